"""Objections: somebody says that what was recorded in their name is not theirs. What is held ends; what counts stops where it is."""

from __future__ import annotations

from sqlmodel import col, select

from models.cases import Case
from models.confirmations import ConfirmationState
from models.messages import OutboxMessage, OutboxState
from models.payout_events import TO_BANK
from models.reviews import Role, Staff
from models.text import too_long
from notifications.engine import DecisionDisputed
from office.base.db import Tx
from office.cases import gates as review_gates
from office.cases import judge, reviews
from office.cases.confirmation_letters import in_name
from office.cases.confirmations import about
from office.cases.gates import Outcome
from office.cases.held_answers import close, open_of
from office.record import audit, decision_seals, outbox
from office.staff import staff
from office.staff.guard import Place
from policies.masking import mask_accounts


def dispute(
    tx: Tx,
    review_id: str,
    staff_id: str,
    code: str,
    words: str,
    place: Place = Place.TERMINAL,
) -> Outcome:
    """Somebody says that what was recorded in their name is not theirs, or a supervisor says so for them.

    What is held ends, and the question is asked again. What counts already is not undone, but stopped where it is: the case
    goes no further, and what it says and orders to the outside and has not left yet, payments above all, is kept back until
    a supervisor has looked.
    """
    case, review, gate = about(tx, review_id)
    held = open_of(tx, review_id)
    author = held.staff_id if held else review.decided_by
    verdict = held.verdict if held else review.verdict
    if author is None or verdict is None:
        return Outcome(accepted=False, sentence="该任务没有以您的名义记录的决定")
    by = tx.get(Staff, staff_id)
    if by is None or (by.id != author and Role.SUPERVISOR not in by.roles):
        return Outcome(accepted=False, sentence="只有作出该决定的本人或主管可以提出异议")
    if sentence := judge.unproved(tx, staff_id, code, place=place, weighty=False) or too_long(words, "说明"):
        return Outcome(accepted=False, sentence=sentence)
    said = mask_accounts(words.strip())
    if held is not None:
        done = "该答复尚未生效,已作废,问题已重新提出。请核实是否有人改动了表单。"
        close(tx, case, held, ConfirmationState.DISPUTED, by.id, said)
        notice = f"{by.name} 表示上一份答复「{gate.verdict(verdict).label}」并非本人所作,已作废。请核对后重新决定。"
        decision_seals.say(tx, review, notice, review.unaccepted)
        outbox.wake(tx, case)
    elif case.concluded_at is None:
        case.halted = f"{by.name} 对「{gate.title}」{review_gates.OBJECTED}"
        tx.add(case)
        outbox.hold(tx, case)
        done = (
            f"该决定已经生效,系统不会自动撤销。案件已停止自动处理,尚未发出的通知和指令已扣住。{_payments(tx, case)}核实决定无误的,"
            f"由主管执行 dianwu cases retry {case.id} --by 工号 继续(须动态口令),扣住的随之发出;确非本人所作的,请勿继续,"
            "查明原因后再定如何处理。"
        )
    else:
        done = "该决定已经生效,案件已办结。请核实并决定如何补救。"
    audit.record(
        tx,
        case.id,
        "review.disputed",
        actor=f"staff/{by.id}",
        clause=gate.clause,
        review=review.id,
        author=author,
        text=f"对以其名义记录的「{gate.title}:{gate.verdict(verdict).label}」提出异议",
        verdict=verdict,
        said=said,
        held=held is not None,
    )
    told = DecisionDisputed(
        **in_name(case, review, gate, staff.find(tx, author)),
        verdict=gate.verdict(verdict).label,
        said=said or "(未说明)",
        by_name=by.name,
        done=done,
        link=reviews.link_to(case),
    )
    reviews.notify_staff(tx, Role.SUPERVISOR, told, f"disputed/{held.id if held else review.id}/{by.id}", case)
    return Outcome(accepted=True, sentence=f"已记录异议并告知主管。{done}")


def _payments(tx: Tx, case: Case) -> str:
    """Which orders to pay were kept back, and which are out of our hands; nothing where the case has none."""
    query = select(OutboxMessage).where(OutboxMessage.case_id == case.id, OutboxMessage.audience == TO_BANK)
    orders = list(tx.exec(query.order_by(col(OutboxMessage.id))))
    kept = [_order(row) for row in orders if row.note == outbox.HELD]
    gone = [_order(row) for row in orders if row.state in {OutboxState.SENT, OutboxState.NEW}]  # NEW: leaving right now
    return (f"打款指令 {'、'.join(kept)} 尚未送达银行,已扣住。" if kept else "") + (
        f"打款指令 {'、'.join(gone)} 已发往银行,系统无法撤回,请立即联系银行。" if gone else ""
    )


def _order(row: OutboxMessage) -> str:
    return row.key.partition(":")[2]
