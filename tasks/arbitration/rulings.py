"""Rulings against a shop: found, locked, counted, struck out; how they read."""

from __future__ import annotations

from sqlmodel import col, select

from models.arbitration import (
    Appeal,
    Arbitration,
    MerchantCounter,
    Ruling,
    RulingKind,
    VoidCause,
)
from models.arbitration_events import (
    AboutRuling,
    RulingVoided,
    deduction_key,
)
from models.cases import Case, CaseState
from models.dossier import Rows
from models.money import yuan
from models.reviews import Review
from notifications import appeal as words
from office.base.db import Tx
from office.cases import cases, dossier, merchants
from office.cases.cases import emit
from office.cases.locks import lock_case
from office.cases.merchants import shop_of
from office.record import audit, outbox
from policies import appeal as rules_of_appeal
from tasks.arbitration.request import Concerned

FINAL = frozenset({"UPHOLD", "DISMISS"})
"""Verdicts after which an appeal's result stands, whether or not everything that follows from it has happened."""


# ── rulings ──────────────────────────────────────────────────────────────────


def lock_ruling(tx: Tx, ruling_id: str) -> Ruling | None:
    """The ruling, locked until the transaction ends. A case is always locked before its ruling.

    Found by its own number, by the key of the deduction that is its money, or by what has become part of it.
    """
    if (found := find_ruling(tx, ruling_id)) is None:
        return None
    query = select(Ruling).where(Ruling.id == found.id).execution_options(populate_existing=True)
    return tx.exec(query.with_for_update() if tx.postgres else query).first()


def find_ruling(tx: Tx, object_id: str) -> Ruling | None:
    named = (col(Ruling.id) == object_id) | (col(Ruling.posting) == object_id) | (col(Ruling.number) == object_id)
    found = tx.exec(select(Ruling).where(named).order_by(col(Ruling.merged_into).is_not(None))).first()
    while found is not None and found.merged_into is not None:
        found = tx.get(Ruling, found.merged_into)
    return found


def names_no_ruling(ruling: Ruling) -> bool:
    """Whether it is a deduction that came without a ruling's number, and none has come since."""
    return ruling.kind is RulingKind.DEDUCTION and ruling.id.startswith(deduction_key(""))


def ruling_of(tx: Tx, case: Case) -> Ruling | None:
    """The ruling a case is about, if it exists and is the shop's."""
    object_id = Concerned.of(case).object
    found = find_ruling(tx, object_id) if object_id else None
    return found if found is not None and found.shop_id == case.shop_id else None


def the_ruling(tx: Tx, case: Case) -> Ruling:
    """The ruling of a case that was taken up and therefore has one."""
    found = ruling_of(tx, case)
    if found is None:
        raise LookupError(f"{case.id} is about no ruling")
    return found


def recount(tx: Tx, shop_id: str) -> MerchantCounter:
    """Reckon the shop's counters anew from its valid rulings (ARB-7)."""
    now = rules_of_appeal.counters(tx.exec(select(Ruling).where(Ruling.shop_id == shop_id)))
    row = tx.get(MerchantCounter, shop_id) or MerchantCounter(shop_id=shop_id, recomputed_at=tx.now)
    row.rulings, row.points, row.deducted_fen = now.rulings, now.points, now.deducted_fen
    row.recomputed_at = tx.now
    tx.add(row)
    tx.flush()
    return row


def strike(tx: Tx, case: Case | None, ruling_id: str, cause: VoidCause) -> bool:
    """Strike a ruling and recount; ``False`` if it was struck before. Money is another matter (ARB-7, ARB-8).

    Without a case it is the platform's own report that strikes it.
    """
    ruling = lock_ruling(tx, ruling_id)
    if ruling is None or ruling.voided_at is not None:
        return False
    ruling.voided_at, ruling.void_cause, ruling.void_case = tx.now, cause, case.id if case else None
    tx.add(ruling)
    tx.flush()
    row, clause = recount(tx, ruling.shop_id), rules_of_appeal.clause_of(cause)
    event = RulingVoided(
        shop_id=ruling.shop_id,
        ruling_id=ruling.called,
        case_id=ruling.void_case,
        cause=cause,
        clause=clause,
        rulings=row.rulings,
        points=row.points,
        deducted_fen=row.deducted_fen,
        at=tx.now,
    )
    emit(tx, event, f"ruling/{ruling.id}/voided", case, shop_id=ruling.shop_id)
    subject = case.id if case else f"shop/{ruling.shop_id}"
    audit.record(
        tx,
        subject,
        "ruling.voided",
        clause=clause,
        public=True,
        ruling=ruling.id,
        cause=cause,
        text=f"{ruling.kind.label} {ruling.called} 已剔除:{cause.label}",
        rulings=row.rulings,
        points=row.points,
    )
    return True


def appeal_of(tx: Tx, ruling_id: str) -> Appeal | None:
    """The one appeal that was admitted against a ruling."""
    return tx.get(Appeal, ruling_id)


def is_withdrawn(tx: Tx, ruling: Ruling | None) -> bool:
    """Whether the arbitration behind a ruling has been withdrawn."""
    found = tx.get(Arbitration, ruling.arbitration_id) if ruling and ruling.arbitration_id else None
    return found is not None and found.withdrawn_at is not None


def end_appeal(
    tx: Tx, running: Case, ruling: Ruling, cause: str, *, clause: str, outcome: CaseState = CaseState.MOOT
) -> None:
    """End an appeal that has nothing left to decide, and say why on its own case."""
    told = words.AppealMoot(
        shop_name=shop_of(tx, running).name,
        case_id=running.id,
        ruling_id=Concerned.of(running).named,
        cause=cause,
        struck=ruling.voided_at is not None,
    )
    merchants.tell(tx, told, f"{running.id}/moot", case=running)
    cases.conclude(tx, running, outcome, f"{cause},申诉终止", clause=clause)
    outbox.wake(tx, running)  # its run ends instead of waiting in the list for ever


def final_appeal(tx: Tx, ruling_id: str) -> str | None:
    """The appeal against this ruling whose result is already final, also while its money is still being handled."""
    appeal = appeal_of(tx, ruling_id)
    if appeal is None:
        return None
    case = lock_case(tx, appeal.case_id)
    if case.outcome in {CaseState.UPHELD, CaseState.DISMISSED, CaseState.CLOSED_TIMEOUT}:
        return case.id
    query = select(Review.verdict).where(Review.case_id == case.id, col(Review.gate).startswith("appeal-"))
    return case.id if FINAL & {verdict for verdict in tx.exec(query) if verdict} else None


def counters_text(tx: Tx, shop_id: str | None) -> str:
    """What the shop's valid rulings add up to, in a sentence."""
    counter = tx.get(MerchantCounter, shop_id) if shop_id else None
    if counter is None:
        return "没有其他有效判责。"
    return f"有效判责 {counter.rulings} 项,记 {counter.points} 分,先行赔付 {yuan(counter.deducted_fen)}。"


def concerned(tx: Tx, case: Case) -> list[Ruling]:
    """The rulings a case is about: the one it names, or all of the arbitration's."""
    if arbitration_id := Concerned.of(case).arbitration_id:
        return [ruling for ruling in rulings_of(tx, arbitration_id) if ruling.shop_id == case.shop_id]
    found = ruling_of(tx, case)
    return [found] if found is not None else []


def rulings_of(tx: Tx, arbitration_id: str) -> list[Ruling]:
    query = select(Ruling).where(Ruling.arbitration_id == arbitration_id)
    return list(tx.exec(query.order_by(col(Ruling.effective_at), col(Ruling.id))))


def ruling_part(ruling: Ruling) -> Rows:
    """A ruling, name by value; every word of it comes from outside."""
    return Rows.of(ruling_rows(ruling))


def ruling_rows(ruling: Ruling) -> dict[str, str]:
    """What is recorded of a ruling, in words as they came."""
    return {
        "编号": f"{ruling.called}({ruling.kind.label})",
        "订单 / 售后": f"{ruling.order_id or '—'} / {ruling.aftersale_id or '—'}",
        "结论": ruling.conclusion.label,
        "判定内容": ruling.decided,
        "扣款": rules_of_appeal.deduction_text(ruling),
        "记分": str(ruling.points),
        "生效时间": dossier.when(ruling.effective_at),
        "申诉截止": f"{dossier.when(ruling.appeal_until)}(ARB-2)",
        "状态": f"已剔除:{ruling.void_cause.label}" if ruling.void_cause else "有效",
    }


# ── correcting a ruling by a court's judgment ────────────────────────────────


def named(event: AboutRuling) -> dict[str, str]:
    """The part of a case's request that says which ruling it is about."""
    return {"object": event.object_id, "named": event.ruling_id or event.deduction_id or ""}
