"""What time does to an appeal."""

from __future__ import annotations

from models.cases import Case, CaseDeadline, DeadlineState, WaitState
from office.base.db import Tx
from office.cases import cases, merchants
from office.record import outbox
from tasks.appeal.window import EVIDENCE

# ── when time passes ─────────────────────────────────────────────────────────


def remind_evidence(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    merchants.remind(tx, case, deadline, matter="为申诉补充凭证", silence="申诉将关闭,且不能再次申诉。")


def evidence_lapsed(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    wait = cases.find_wait(tx, case.id, EVIDENCE)
    if wait is not None:
        cases.close_wait(tx, wait, WaitState.LAPSED)


def look_for_notice(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    """Have the case look whether its notice is out; the outbox itself tells operators when one is given up."""
    if deadline.state is not DeadlineState.MET:
        outbox.wake(tx, case)
