"""Deadlines (时限巡检), every minute: what has lapsed, whom to remind, what is late, which runs are lost.

Nothing here decides: a lapse, a reminder, an escalation or a restart is recorded with the case, and the case's own
story reads it. A merchant's window never lapses while something of theirs that came in time is still unread.
"""

from __future__ import annotations

from prefect import flow, get_run_logger

from tasks import deadlines, desk, documents, freezes, inbox, periods, queue, recovery, staff
from tasks.db import in_transaction


@flow(
    name="deadlines", description="时限巡检(每分钟):逾期处理、到期提醒、超时升级、丢失运行的恢复。",
    persist_result=False,
)  # fmt: skip
def keep_deadlines() -> dict[str, int]:
    """One sweep. Run twice, or by two workers at once, it does everything once."""
    inbox.route_due(desk.handle, desk.on_refused, limit=1000)
    done = {"deadlines": deadlines.sweep(desk.DEADLINES), "statements": freezes.sweep()}
    done["months"] = len(periods.catch_up())
    done["documents"] = documents.write_due()
    done |= recovery.recover()
    in_transaction(staff.forget_spent_codes)
    queue.publish()
    get_run_logger().info("sweep: %s", done)
    return done
