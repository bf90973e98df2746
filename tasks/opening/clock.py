"""What time does to an application."""

from __future__ import annotations

from models.cases import Case, CaseDeadline, WaitState
from office.base.db import Tx
from office.cases import cases, merchants
from tasks.opening import parts


def remind(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    missing = "、".join(need.label for need in parts.missing(tx, case))
    merchants.remind(
        tx,
        case,
        deadline,
        matter=f"提交{missing}",
        silence="逾期未提交,本次申请将自动关闭;可重新申请,已提交的资料保留。",
    )


def lapsed(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    """The window is over; a file that came in time, and that nobody has looked at since, still counts."""
    if parts.look(tx, case):
        return
    wait = cases.find_wait(tx, case.id, deadline.key)
    if wait is not None:
        cases.close_wait(tx, wait, WaitState.LAPSED)
