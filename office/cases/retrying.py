"""Going on: a case that was halted, after somebody has looked, and the run that carries it no more."""

from __future__ import annotations

from models.cases import Case
from models.confirmations import ReplacedRun
from models.reviews import Role, Staff
from office.base.db import Tx
from office.cases import hands, judge, recorded, reviews
from office.cases.gates import Outcome
from office.cases.locks import lock_case
from office.record import audit, outbox
from office.staff import staff


def retry(tx: Tx, case_id: str, staff_id: str, code: str = "", session: str = "") -> Outcome:
    """An operator has mended what halted a case: let it go on. Whoever does proves who they are, by a one-time code or their
    session at the desk: nobody stands in the record who was not there.

    What an objection halts, or an act that somebody said no to, a supervisor lets go on by a code, and while there is another
    none who has decided in the case; what was kept back leaves then.
    """
    case, person = lock_case(tx, case_id), staff.find(tx, staff_id)
    if not person.active:
        return Outcome(accepted=False, sentence=f"{staff_id} 已停用")
    if case.concluded_at is not None:
        return Outcome(accepted=False, sentence=ended(case))
    if weighs(tx, case):
        if Role.SUPERVISOR not in person.roles:
            return Outcome(
                accepted=False, sentence="案件因决定被提出异议或与留存的决定不符而停止,只有主管核实后可以让其继续"
            )
        if sentence := judge.unproved(tx, staff_id, code) or _has_acted(tx, case, person):
            return Outcome(accepted=False, sentence=sentence)
        outbox.let_go(tx, case)
    elif sentence := hands.nobody(tx, staff_id, code, session):
        return Outcome(accepted=False, sentence=sentence)
    replaced(tx, case)
    case.halted, case.restarts, case.run_id = None, 0, None
    tx.add(case)
    audit.record(tx, case.id, "case.retried", actor=f"staff/{staff_id}", text="人工重试")
    outbox.wake(tx, case)
    return Outcome(accepted=True, sentence="将重新启动运行;已完成的步骤不会重复")


def weighs(tx: Tx, case: Case) -> bool:
    """Whether letting it go on takes a supervisor's code: an objection has stopped it, or an act that somebody said no to."""
    return judge.disputed(tx, case) or recorded.contrary(tx, case)


def ended(case: Case) -> str:
    """What is said of a case that needs no letting go on."""
    return f"案件 {case.id} 已办结({case.state.label}),无需重试"


def _has_acted(tx: Tx, case: Case, person: Staff) -> str | None:
    """Why this supervisor does not look into it: they have decided in it, and there is another."""
    acted = reviews.reviewers_of(tx, case)
    others = [one.name for one in staff.with_role(tx, Role.SUPERVISOR) if one.id not in acted]
    if person.id not in acted or not others:
        return None
    return f"您已参与本案的决定,请由未参与的主管核实后继续:{'、'.join(others)}"


def replaced(tx: Tx, case: Case) -> None:
    """Note that the case's run does not carry it any more. The sweep ends it."""
    if case.run_id is not None and tx.get(ReplacedRun, case.run_id) is None:
        tx.add(ReplacedRun(run_id=case.run_id, case_id=case.id, replaced_at=tx.now))
