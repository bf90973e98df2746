"""Deadlines (时限巡检), every minute: what has lapsed, whom to remind, what is late, which runs are lost.

Nothing here decides: a lapse, a reminder, an escalation or a restart is recorded with the case, and the case's own
story reads it. A merchant's window never lapses while something of theirs that came in time is still unread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from prefect import flow, get_run_logger

from office.base.db import in_transaction
from office.cases import alarms, calendar_watch, reviews, routing, timekeeping
from office.process import office
from office.runs import recovery, shown_forms, sweeps
from office.staff import staff
from tasks.processes import open_office
from tasks.sight import anchors, board, desk_forms, examination

logger = logging.getLogger("dianwu.deadlines")

Step = Callable[[], object]

FIRST: Mapping[str, Step] = {
    "messages": lambda: routing.route_due(limit=1000),
    "deadlines": timekeeping.sweep,
}
LAST: Mapping[str, Step] = {
    "calendar": calendar_watch.watch,
    "runs": recovery.recover,
    "strays": recovery.end_strays,
    "forms": shown_forms.clear_leftovers,
    "people": lambda: in_transaction(reviews.look_after),
    "codes": lambda: in_transaction(staff.forget_spent_codes),
    "drafts": lambda: in_transaction(desk_forms.forget_old),
    "examination": examination.examine,
    "anchors": anchors.write_due,
    "noted": lambda: in_transaction(sweeps.note),
    "board": board.publish,
}
"""What came in first, so that nothing lapses over it; then what the processes do every minute, in the order of their
list; the board last, so that it shows the rest."""


@flow(
    name="deadlines",
    description="时限巡检（每分钟）：逾期处理、到期提醒、超时升级、丢失运行的恢复。",
    persist_result=False,
)
def keep_deadlines() -> dict[str, object]:
    """One sweep. Run twice, or by two workers at once, it does everything once."""
    open_office()
    done = take_steps({**FIRST, **office().every_minute, **LAST})
    get_run_logger().info("sweep: %s", done)
    return done


def _tell(name: str, fault: Exception) -> None:
    try:
        in_transaction(
            lambda tx: alarms.raise_alarm(
                tx,
                "sweep.step_failed",
                f"时限巡检的一步未能完成：{name}({type(fault).__name__})",
                kind=f"sweep/{name}",
                matter="时限巡检",
                done="其余各步已照常进行，这一步每分钟重试。请查看执行端日志和 dianwu doctor。",
            )
        )
    except Exception:  # the database is away: the fault itself is raised
        logger.exception("that a step failed could not be told")


def take_steps(steps: Mapping[str, Step]) -> dict[str, object]:
    """Take every step, also after one that failed; the supervisor hears of it, and the faults are raised together."""
    done: dict[str, object] = {}
    faults: list[Exception] = []
    for name, step in steps.items():
        try:
            done[name] = step()
        except Exception as fault:  # one step that cannot be taken takes nobody else's turn; raised below
            logger.exception("the step %s of the sweep failed", name)
            faults.append(fault)
            _tell(name, fault)
    if faults:
        raise ExceptionGroup("steps of the sweep failed", faults)
    return done
