"""Recovery: compares open cases with the runs that should carry them, and restarts what is lost.

A run may have been killed with its worker, cancelled by hand in the UI, have failed on a bug, or have vanished
with Prefect's whole database. Whatever it was, the case goes on from what is recorded, or says why it cannot.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

import httpx
from prefect.client.schemas.actions import VariableCreate, VariableUpdate
from prefect.client.schemas.objects import StateType
from prefect.exceptions import PrefectHTTPStatusError
from prefect.states import Crashed
from sqlmodel import col, select

from models.audit import Installation
from models.cases import Case
from models.reviews import Role
from models.text import shortened, whole
from notifications.operations import CaseHalted
from office.base.clock import clock
from office.base.db import Tx, in_transaction, reading
from office.cases import alarms, retrying, reviews
from office.cases.locks import lock_case
from office.cases.reviews import link_to
from office.record import audit, outbox
from office.runs import strays, unrest
from office.runs.engine import DISPLACED, PUT_OFF, UNREADABLE, Found, client, restless

logger = logging.getLogger("dianwu.recovery")

MOST_RESTARTS = 5
"""Restarts without the case getting as far as waiting; then it is halted and a person is told."""
PER_SWEEP = 2_000
"""Cases compared with Prefect in one sweep; those compared longest ago first."""
BUSY_AT_MOST = timedelta(minutes=2)
"""A segment takes seconds. A run busy for longer without a sign has lost its process."""
MEDDLED = frozenset({DISPLACED, PUT_OFF, f"运行失败:{UNREADABLE}"})
"""Troubles that come from nobody but whoever reaches Prefect's API."""
ANCHOR = "dianwu_installation"
"""A Prefect variable of ours: when it is gone, Prefect's database is another one."""


def recover() -> dict[str, int]:
    """Compare and restart; returns how many cases were compared and how many restarted or halted.

    When our mark is missing in Prefect, its database is another one, or somebody took the mark away: then every open case
    is compared at once. What Prefect still knows goes on in its run, so that nobody can have two forms of one case.
    """
    cursor, batch = ("", _all_open()) if _mark_is_missing() else _next_batch()
    runs = restless(case.run_id for case in batch if case.run_id)
    in_transaction(lambda tx: _keep(tx, "recovery_cursor", cursor))
    held = in_transaction(lambda tx: _held_up(tx, batch, runs))
    return {"compared": len(batch)} | compare([case for case in batch if case.run_id in runs], runs, held)


def _held_up(tx: Tx, batch: Sequence[Case], runs: Mapping[str, Found | None]) -> set[str]:
    """The runs that have not come to rest for long; those that have not even begun are told, and keep their turn."""
    held = unrest.for_long(tx, batch, [run_id for run_id, found in runs.items() if found is not None])
    waiting = [
        case for case in batch if case.run_id in held and (runs[case.run_id] or (None,))[0] is StateType.SCHEDULED
    ]
    if waiting:
        alarms.raise_alarm(
            tx,
            "run.not_begun",
            f"有案件的运行早该开始而没有开始:{len(waiting)} 件,例如 {waiting[0].id}",
            kind="not-begun",
            matter=f"运行 {waiting[0].run_id}",
            done="未自动处理。请检查执行端是否繁忙或停止、工作池与队列是否被暂停或限流(dianwu doctor),以及有没有人反复改动运行的时间。",
        )
    return held


def compare(
    batch: Sequence[Case], runs: Mapping[str, Found | None], held: Collection[str] = frozenset()
) -> dict[str, int]:
    """Restart those of these cases whose run, as found in Prefect, cannot carry them any more.

    ``held`` are runs that we have not seen at rest for long, whatever Prefect says of their last state.
    """
    now = in_transaction(lambda tx: tx.now)
    troubles = {
        case.id: trouble
        for case in batch
        if (trouble := _trouble(case, runs.get(case.run_id or ""), now, held=case.run_id in held))
    }
    stuck = {case.id: case.run_id for case in batch if case.run_id and _is_busy(runs.get(case.run_id))}
    return mend(troubles, stuck)


def mend(troubles: Mapping[str, str], stuck: Mapping[str, str]) -> dict[str, int]:
    """Restart every case of these, each by itself; those that meet a fault are raised together at the end.

    They are compared again in their turn. ``stuck`` are runs that Prefect still believes to be busy.
    """
    counts = {"restarted": 0, "halted": 0}
    faults: list[Exception] = []
    for case_id, trouble in troubles.items():
        try:
            if case_id in stuck:
                _free(stuck[case_id])
            done = in_transaction(lambda tx, c=case_id, t=trouble: _restart(tx, c, t))  # type: ignore[misc]
            counts[done] = counts.get(done, 0) + 1
        except Exception as fault:  # a case that cannot be restarted leaves the others their turn; raised below
            logger.exception("case %s could not be restarted", case_id)
            faults.append(fault)
    if faults:
        raise ExceptionGroup("cases could not be restarted", faults)
    return counts


def _trouble(case: Case, found: Found | None, now: datetime, *, held: bool = False) -> str | None:
    """Why the case's run cannot carry it any more; ``None`` when all is well.

    ``now`` is our time, which a demonstration may have moved; Prefect's states go by the time outside, and by whoever sets
    them: a busy run that is ``held`` is lost, however new its state.
    """
    if case.run_id is None:
        return None  # its first wake-up is still in the outbox
    if found is None:
        return "运行记录在 Prefect 中不存在"
    state, message, since = found
    match state:
        case StateType.CANCELLED:
            return "运行被手动取消"
        case StateType.FAILED | StateType.CRASHED:
            return f"运行失败:{shortened(message, 200)}"
        case StateType.COMPLETED:
            return "运行已结束但案件未办结"
        case StateType.PENDING | StateType.RUNNING | StateType.CANCELLING:
            silent = case.run_seen_at is None or now - case.run_seen_at > BUSY_AT_MOST
            if held or (clock().real() - since > BUSY_AT_MOST and silent):
                return "运行长时间无响应,执行进程已丢失"
            return None
        case StateType.SCHEDULED:
            return message or None
        case _:
            return None


def _restart(tx: Tx, case_id: str, trouble: str) -> str:
    """Give the case another run, or halt it when that has not helped often enough."""
    case = lock_case(tx, case_id)
    if case.concluded_at is not None or case.halted:
        return "ended"
    if case.restarts >= MOST_RESTARTS:
        case.halted = trouble
        tx.add(case)
        audit.record(tx, case.id, "case.halted", text=f"案件无法自动继续:{trouble}")
        message = CaseHalted(
            case_id=case.id,
            case_kind=case.kind.label,
            subject=case.subject or case.id,
            halted_at=tx.now,
            reason=f"已自动重启 {case.restarts} 次仍未恢复:{trouble}。处理后请执行 dianwu cases retry {case.id}",
            link=link_to(case),
        )
        reviews.notify_staff(tx, Role.SUPERVISOR, message, f"halted/{case.id}/{case.run_attempt}", case)
        return "halted"
    case.restarts += 1
    retrying.replaced(tx, case)
    case.run_id = None  # the next wake-up starts attempt + 1
    tx.add(case)
    audit.record(tx, case.id, "case.run_lost", text=f"{trouble},将重新启动运行")
    if trouble in MEDDLED:
        alarms.raise_alarm(
            tx,
            "run.meddled",
            f"案件的运行被改动而无法承载案件:{trouble}",
            kind=f"meddled/{trouble}",
            case=case,
            matter=f"案件 {case.id}",
            done="已由新的运行承载案件。若非本团队操作,说明有人能使用 Prefect 接口,请核实并更换其口令。",
        )
    outbox.wake(tx, case)
    return "restarted"


def _is_busy(found: Found | None) -> bool:
    return found is not None and found[0] in {StateType.PENDING, StateType.RUNNING, StateType.CANCELLING}


def _free(run_id: str) -> None:
    """Mark a run that lost its process as crashed, so that it gives back its concurrency slot."""
    client().set_flow_run_state(uuid.UUID(run_id), Crashed(message="process lost"), force=True)


def _all_open() -> list[Case]:
    with reading() as tx:
        query = select(Case).where(col(Case.concluded_at).is_(None), col(Case.halted).is_(None))
        found = list(tx.exec(query.order_by(col(Case.id))))
        tx.expunge_all()
    return found


def _next_batch() -> tuple[str, list[Case]]:
    """The next open cases in turn, and where to go on after them."""
    with reading() as tx:
        kept = tx.get(Installation, "recovery_cursor")
        query = select(Case).where(col(Case.concluded_at).is_(None), col(Case.halted).is_(None)).order_by(col(Case.id))
        batch = list(tx.exec(query.where(Case.id > (kept.value if kept else "")).limit(PER_SWEEP)))
        tx.expunge_all()
    return (batch[-1].id if len(batch) == PER_SWEEP else "", batch)


def _keep(tx: Tx, key: str, value: str) -> None:
    row = tx.get(Installation, key) or Installation(key=key, value=value)
    row.value = value
    tx.add(row)


def _mark_is_missing() -> bool:
    """Whether this Prefect database does not bear our mark, while we have left one before; it is left again."""
    with reading() as tx:
        row = tx.get(Installation, "prefect")
        known = row.value if row else None
    variable = client().read_variable_by_name(ANCHOR)
    if variable is not None and str(variable.value) == known:
        return False
    identity = known or uuid.uuid4().hex
    try:
        if variable is None:
            client().create_variable(VariableCreate(name=ANCHOR, value=identity))
        else:
            client().update_variable(VariableUpdate(name=ANCHOR, value=identity))
    except (PrefectHTTPStatusError, httpx.HTTPError):
        logger.warning("could not leave our mark in Prefect; trying again with the next sweep")
        return False
    in_transaction(lambda tx: _marked(tx, identity, again=known is not None))
    return known is not None


def _marked(tx: Tx, identity: str, *, again: bool) -> None:
    _keep(tx, "prefect", identity)
    if again:
        alarms.raise_alarm(
            tx,
            "engine.mark_missing",
            "Prefect 里本系统的标记变量不见了或被改动",
            kind="mark",
            matter=f"Prefect 变量 {ANCHOR}",
            done="标记已重新写入,全部在办案件已与 Prefect 的运行逐一核对,只有运行确已丢失的才重新启动。"
            "若近期没有更换 Prefect 数据库,说明有人删改了变量。",
        )


def end_strays() -> dict[str, int]:
    """End the runs that were replaced, and those among Prefect's suspended ones that carry no case, a page a sweep."""
    ended = strays.end_replaced()
    with reading() as tx:
        kept = tx.get(Installation, "strangers_cursor")
    strangers, offset = strays.end_strangers((whole(kept.value) if kept else 0) or 0)
    if offset or kept:
        in_transaction(lambda tx: _keep(tx, "strangers_cursor", str(offset)))
    return {"replaced": ended, "strangers": strangers}
