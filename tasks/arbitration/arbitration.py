"""Arbitration: rulings recorded and struck, withdrawn arbitrations, corrections by court judgment (ARB, WDR, DED-5)."""

from __future__ import annotations

from collections.abc import Callable

from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from models.arbitration import (
    Appeal,
    Arbitration,
    Conclusion,
    MerchantCounter,
    MoneyReturn,
    Ruling,
    RulingKind,
    Stage,
    VoidCause,
)
from models.arbitration_events import (
    AboutRuling,
    ArbitrationApplied,
    ArbitrationProgressed,
    ArbitrationWithdrawalRequested,
    ArbitrationWithdrawn,
    RulingCorrectionProposed,
    RulingEffective,
    RulingRecorded,
    RulingVoided,
    deduction_key,
)
from models.base import Labelled
from models.cases import Case, CaseKind, CaseState
from models.deposits import DeductionReason
from models.events import DepositDeducted
from models.messages import InboxMessage
from models.money import Money, yuan
from models.outcomes import Refusal
from models.reviews import Review, Role
from models.shops import Shop
from notifications import appeal as words
from office.base.db import Tx
from office.cases import approvals, cases, dossier, merchants
from office.cases.cases import emit, rules
from office.cases.effects import effects_of
from office.cases.locks import lock_case
from office.cases.merchants import ground, shop_of
from office.cases.reviews import Answer, Dossier, Gate, decided, last_decider
from office.files import papers
from office.process import Process
from office.record import audit, outbox
from office.record.inbox import Kept, Refused
from policies import appeal as rules_of_appeal
from policies.approvals import Seen
from policies.policy import policy, policy_at
from tasks.arbitration import doudian
from tasks.arbitration.request import CorrectionAsked, WithdrawalAsked
from tasks.closure.closures import shop_part
from tasks.shops import demands, deposits, shops

effect = effects_of("arbitration")

FINAL = frozenset({"UPHOLD", "DISMISS"})
"""Verdicts after which an appeal's result stands, whether or not everything that follows from it has happened."""


class WithdrawalVerdict(Labelled):
    CONFIRM = "CONFIRM", "已核实,撤销仲裁"
    REJECT = "REJECT", "不予撤销"


class CorrectionVerdict(Labelled):
    CONFIRM = "CONFIRM", "同意更正"
    REJECT = "REJECT", "不予更正"


# ── what the platform tells us ───────────────────────────────────────────────


def _source(message: InboxMessage) -> str:
    """Who sent it; for Douyin's push also through which of our apps, which is whom an answer goes to."""
    return f"doudian/{message.message_id.split('/')[0]}" if message.source == "doudian" else message.source


def _seen(
    tx: Tx, shop: Shop, arbitration_id: str, order_id: str | None, aftersale_id: str | None, stage: Stage,
    message: InboxMessage,
) -> Arbitration:  # fmt: skip
    """The arbitration, noted at its stage. Refused when it, or one about the same after-sale, was withdrawn (WDR-2)."""
    found = tx.get(Arbitration, arbitration_id)
    if found is not None and found.shop_id != shop.id:
        raise Refused(f"仲裁 {arbitration_id} 不属于店铺 {shop.id}", "ARB-1")
    withdrawn = _withdrawn_before(tx, shop.id, arbitration_id, order_id, aftersale_id)
    if refusal := rules_of_appeal.rearbitration_barred(withdrawn_before=withdrawn):
        raise Refused(refusal.sentence, refusal.clause)
    if found is None:
        found = Arbitration(
            id=arbitration_id, shop_id=shop.id, source=_source(message), stage=stage, seen_at=message.received_at
        )
    found.order_id, found.aftersale_id = found.order_id or order_id or "", found.aftersale_id or aftersale_id or ""
    if found.stage is not Stage.RULED:  # messages come in any order; a ruling is not undone by an older report
        found.stage = stage
    found.seen_at = message.received_at
    tx.add(found)
    tx.flush()
    _adopt(tx, found)
    return found


def _withdrawn_before(
    tx: Tx, shop_id: str, arbitration_id: str, order_id: str | None, aftersale_id: str | None
) -> str | None:
    """The withdrawn arbitration about the same case, if there is one: same number, same after-sale, or same order
    where no after-sale is named."""
    query = select(Arbitration).where(Arbitration.shop_id == shop_id, col(Arbitration.withdrawn_at).is_not(None))
    for other in tx.exec(query.order_by(col(Arbitration.id))):
        same_aftersale = bool(aftersale_id) and other.aftersale_id == aftersale_id
        same_order = bool(order_id) and other.order_id == order_id and not (aftersale_id and other.aftersale_id)
        if other.id == arbitration_id or same_aftersale or same_order:
            return other.id
    return None


def apply(tx: Tx, event: ArbitrationApplied, shop: Shop, message: InboxMessage) -> None:
    """A buyer asks for arbitration (ARB-9). Douyin's report of one that was withdrawn meanwhile is late, not a new one."""
    if message.source == doudian.AUDIENCE:
        _still_on(tx, event.arbitration_id, shop)
    _seen(tx, shop, event.arbitration_id, event.order_id, event.aftersale_id, Stage.APPLIED, message)
    audit.record(tx, f"shop/{shop.id}", "arbitration.applied", actor="platform", clause="ARB-9", public=True,
                 text=f"买家发起仲裁 {event.arbitration_id}")  # fmt: skip


def progress(tx: Tx, event: ArbitrationProgressed, shop: Shop, message: InboxMessage) -> None:
    """How far an arbitration is outside; a line in the shop's history. After its withdrawal that is no news to act on."""
    _still_on(tx, event.arbitration_id, shop)
    _seen(tx, shop, event.arbitration_id, event.order_id, event.aftersale_id, event.stage, message)
    audit.record(tx, f"shop/{shop.id}", "arbitration.progressed", actor="platform", clause="ARB-9", public=True,
                 text=f"仲裁 {event.arbitration_id}:{event.stage.label}", stage=event.stage)  # fmt: skip


def _still_on(tx: Tx, arbitration_id: str, shop: Shop) -> Arbitration | None:
    """The shop's arbitration, if we know it; a report about one that was withdrawn is kept."""
    known = tx.get(Arbitration, arbitration_id)
    if known is None or known.shop_id != shop.id:
        return None
    if known.withdrawn_at is not None:
        raise Kept(f"arbitration {known.id} was withdrawn before")
    return known


def rule(tx: Tx, event: RulingEffective, shop: Shop, message: InboxMessage) -> None:
    """A ruling takes effect: recorded, its deduction posted, the merchant told how to appeal until when (ARB-2).

    A deduction that named the ruling before it came is its money already: the row becomes the ruling's.
    """
    before = lock_ruling(tx, event.ruling_id) or _deduction_of(tx, event, shop)
    if before is not None and (before.kind is RulingKind.RULING or before.shop_id != shop.id):
        raise Refused(f"判责 {event.ruling_id} 已登记,未重复登记", "ARB-1")
    if before is not None and before.void_cause is not None:
        raise Refused(f"判责 {event.ruling_id} 已因「{before.void_cause.label}」剔除", "ARB-7")
    arbitration = _seen(tx, shop, event.arbitration_id, event.order_id, event.aftersale_id, Stage.RULED, message)
    if doudian.ask(tx, event, message):
        return  # it comes again with its words, or as it is when they are not to be had
    if event.conclusion is Conclusion.NOT_MERCHANT:
        audit.record(tx, f"shop/{shop.id}", "arbitration.cleared", actor="platform", clause="ARB-1", public=True,
                     text=f"仲裁 {arbitration.id} 裁决:{event.conclusion.label},不计判责。{event.decided}")  # fmt: skip
        return
    from_deposit, arrears, key = Money(), Money(), f"ruling/{event.ruling_id}"
    if event.deduction_fen and before is None:
        posted = deposits.post_deduction(
            tx, shop, key, Money(fen=event.deduction_fen), DeductionReason.ADVANCE_COMPENSATION
        )
        if posted is None:
            raise Refused(f"判责 {event.ruling_id} 的扣款已入账,未重复扣款", "DED-5")
        from_deposit, arrears = posted
    ruling = before or _new(tx, message, shop, event.ruling_id)
    ruling.number = event.ruling_id if ruling.id != event.ruling_id else None
    if before is None:
        _take(ruling, key, from_deposit, arrears)
    else:
        ruling.deducted_at = ruling.effective_at
    ruling.kind, ruling.effective_at = RulingKind.RULING, event.effective_at or message.received_at
    ruling.conclusion, ruling.decided, ruling.points = event.conclusion, event.decided, event.points
    ruling.buyer_account, ruling.merchant_account = event.buyer_account, event.merchant_account
    ruling.ruled_by, ruling.order_id = event.ruled_by or "", arbitration.order_id
    ruling.arbitration_id, ruling.aftersale_id = arbitration.id, arbitration.aftersale_id
    _keep(tx, ruling, "recorded")
    appeal = appeal_of(tx, ruling.id)
    how = (
        f"与该判责对应的扣款是同一事项,已由申诉 {appeal.case_id} 处理,不再另行申诉。"
        if appeal
        else rules_of_appeal.APPEAL_HOW
    )
    told = words.RulingEffective(
        shop_name=shop.name, ruling_id=ruling.called, order_id=ruling.order_id, conclusion=ruling.conclusion.label,
        decided=ruling.decided, effective_at=ruling.effective_at, deduction_fen=ruling.deduction_fen,
        from_deposit_fen=ruling.from_deposit_fen, arrears_fen=ruling.arrears_fen, appeal_how=how,
        appeal_until=ruling.appeal_until,
    )  # fmt: skip
    merchants.tell(tx, told, f"ruling/{ruling.id}", shop_id=shop.id)
    demands.look(tx, shop)


def deduct(tx: Tx, event: DepositDeducted, shop: Shop, message: InboxMessage) -> None:
    """A deduction; one that paid a buyer in advance can be appealed against like a ruling (ARB-1 ②, DED-5).

    One that names its ruling, or else its arbitration, or else its after-sale is that ruling's money: one matter is one
    thing to appeal against, once (ARB-3, ambiguity 32). Of a withdrawn arbitration nothing more is taken (WDR-2).
    """
    at = event.effective_at or message.received_at
    if event.reason is DeductionReason.ADVANCE_COMPENSATION:
        withdrawn = _withdrawn_before(tx, shop.id, event.arbitration_id or "", event.order_id, event.aftersale_id)
        if refusal := rules_of_appeal.refuse_deduction_of_withdrawn(withdrawn):
            raise Refused(refusal.sentence, refusal.clause)
    known = lock_ruling(tx, event.ruling_id) if event.ruling_id else _ruling_of_matter(tx, event, shop)
    if known is not None and (refusal := rules_of_appeal.refuse_deduction(known, shop.id)):
        raise Refused(refusal.sentence, refusal.clause)
    if known is None and not (event.appealable and event.reason is DeductionReason.ADVANCE_COMPENSATION):
        deposits.deduct(tx, event, shop, message)
        return
    about = (event.order_id, event.aftersale_id, Stage.RULED, message)
    arbitration = _seen(tx, shop, event.arbitration_id, *about) if event.arbitration_id else None
    key = deduction_key(event.deduction_id)
    ruling = known or _new(tx, message, shop, event.ruling_id or key)
    if known is not None:
        ruling.deducted_at = at
    else:
        ruling.effective_at, ruling.order_id = at, event.order_id or ""
        ruling.aftersale_id, ruling.decided = event.aftersale_id or "", f"先行赔付买家,依据:{event.clause}"
    if arbitration is None and ruling.arbitration_id is None:
        arbitration = _arbitration_about(tx, shop, ruling.aftersale_id)
    if arbitration is not None and ruling.arbitration_id is None:
        ruling.arbitration_id = arbitration.id
        ruling.order_id, ruling.aftersale_id = arbitration.order_id, arbitration.aftersale_id
    until = rules_of_appeal.window_of(ruling, policy(ruling.policy_version)).due
    appeal = appeal_of(tx, ruling.id)
    why_not = f"本次扣款属于判责 {ruling.called},该判责已由申诉 {appeal.case_id} 处理。" if appeal else ""
    parts = deposits.deduct(tx, event, shop, message, appeal_until=until, not_appealable=why_not)
    _take(ruling, key, *parts)
    _keep(tx, ruling, "deducted" if known is not None else "recorded")


def _ruling_of_matter(tx: Tx, event: DepositDeducted, shop: Shop) -> Ruling | None:
    """What a deduction without a ruling's number belongs to; what has not taken its money yet comes first."""
    if event.reason is not DeductionReason.ADVANCE_COMPENSATION:
        return None
    found = _matter(tx, shop.id, event.arbitration_id, event.aftersale_id)
    found.sort(key=lambda ruling: (ruling.deduction_fen > 0, ruling.void_cause is not None))
    return lock_ruling(tx, found[0].id) if found else None


def _deduction_of(tx: Tx, event: RulingEffective, shop: Shop) -> Ruling | None:
    """The deduction that came before its ruling and named only the arbitration, or the after-sale."""
    found = [
        ruling for ruling in _matter(tx, shop.id, event.arbitration_id, event.aftersale_id)
        if ruling.kind is RulingKind.DEDUCTION and ruling.id == ruling.posting  # it names no ruling, this one or another
    ]  # fmt: skip
    return lock_ruling(tx, found[0].id) if found else None


def _matter(tx: Tx, shop_id: str, arbitration_id: str | None, aftersale_id: str | None) -> list[Ruling]:
    """Everything recorded for the shop that is one matter with a report that names these (ambiguity 32)."""
    near = (col(Ruling.arbitration_id) == (arbitration_id or "-")) | (col(Ruling.aftersale_id) == (aftersale_id or "-"))
    query = select(Ruling).where(Ruling.shop_id == shop_id, near).order_by(col(Ruling.recorded_at), col(Ruling.id))
    return [
        ruling for ruling in tx.exec(query)
        if rules_of_appeal.one_matter(ruling, arbitration_id=arbitration_id, aftersale_id=aftersale_id)
    ]  # fmt: skip


def _arbitration_about(tx: Tx, shop: Shop, aftersale_id: str) -> Arbitration | None:
    """The shop's arbitration about an after-sale, where a deduction names nothing else."""
    if not aftersale_id:
        return None
    query = select(Arbitration).where(Arbitration.shop_id == shop.id, Arbitration.aftersale_id == aftersale_id)
    return tx.exec(query.order_by(col(Arbitration.seen_at).desc()).limit(1)).first()


def _adopt(tx: Tx, found: Arbitration) -> None:
    """A deduction that named only the after-sale belongs to its arbitration from now on, whichever was told first."""
    if not found.aftersale_id:
        return
    orphans = select(Ruling).where(
        Ruling.shop_id == found.shop_id, Ruling.aftersale_id == found.aftersale_id, col(Ruling.arbitration_id).is_(None)
    )
    for ruling in tx.exec(orphans):
        ruling.arbitration_id = found.id
        tx.add(ruling)
    tx.flush()


def _new(tx: Tx, message: InboxMessage, shop: Shop, id: str) -> Ruling:
    """What can be appealed against from now on, under the policy in force when it reached us; a deduction as yet."""
    return Ruling(
        id=id, kind=RulingKind.DEDUCTION, shop_id=shop.id, conclusion=Conclusion.MERCHANT_LIABLE, decided="",
        effective_at=message.received_at, appeal_until=message.received_at, recorded_at=tx.now,
        policy_version=policy_at(message.received_at).version, source=_source(message),
    )  # fmt: skip


def _take(ruling: Ruling, key: str, from_deposit: Money, arrears: Money) -> None:
    """Note the money that was taken for a ruling, and under which key it stands in the books."""
    ruling.from_deposit_fen, ruling.arrears_fen = from_deposit.fen, arrears.fen
    ruling.deduction_fen = from_deposit.fen + arrears.fen
    ruling.posting = key if ruling.deduction_fen else ""


def _keep(tx: Tx, ruling: Ruling, what: str) -> None:
    """Fix the window, count the ruling in and say so."""
    window = rules_of_appeal.window_of(ruling, policy(ruling.policy_version))
    ruling.appeal_until = window.due
    tx.add(ruling)
    tx.flush()
    recount(tx, ruling.shop_id)
    event = RulingRecorded(
        shop_id=ruling.shop_id, ruling_id=ruling.called, kind=ruling.kind, effective_at=window.start,
        appeal_until=window.due, deduction_fen=ruling.deduction_fen,
    )  # fmt: skip
    emit(tx, event, f"ruling/{ruling.id}/{what}/{ruling.kind.value}", shop_id=ruling.shop_id)
    audit.record(tx, f"shop/{ruling.shop_id}", f"ruling.{what}", actor="platform", clause="ARB-2", public=True,
                 text=f"{ruling.kind.label} {ruling.called} 生效。申诉期限:{window.text()}", ruling=ruling.id)  # fmt: skip


# ── rulings ──────────────────────────────────────────────────────────────────


def lock_ruling(tx: Tx, ruling_id: str) -> Ruling | None:
    """The ruling, locked until the transaction ends. A case is always locked before its ruling.

    Found by its own number, or by the key of the deduction that is its money.
    """
    query = _named(ruling_id).execution_options(populate_existing=True)
    return tx.exec(query.with_for_update() if tx.postgres else query).first()


def _named(object_id: str) -> SelectOfScalar[Ruling]:
    named = (col(Ruling.id) == object_id) | (col(Ruling.posting) == object_id) | (col(Ruling.number) == object_id)
    return select(Ruling).where(named)


def find_ruling(tx: Tx, object_id: str) -> Ruling | None:
    return tx.exec(_named(object_id)).first()


def ruling_of(tx: Tx, case: Case) -> Ruling | None:
    """The ruling a case is about, if it exists and is the shop's."""
    object_id = case.request.get("object")
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


def strike(tx: Tx, case: Case, ruling_id: str, cause: VoidCause) -> bool:
    """Strike a ruling and recount; ``False`` if it was struck before. Money is another matter (ARB-7, ARB-8)."""
    ruling = lock_ruling(tx, ruling_id)
    if ruling is None or ruling.voided_at is not None:
        return False
    ruling.voided_at, ruling.void_cause, ruling.void_case = tx.now, cause, case.id
    tx.add(ruling)
    tx.flush()
    row, clause = recount(tx, ruling.shop_id), rules_of_appeal.clause_of(cause)
    event = RulingVoided(
        shop_id=ruling.shop_id, ruling_id=ruling.called, case_id=case.id, cause=cause, clause=clause, rulings=row.rulings,
        points=row.points, deducted_fen=row.deducted_fen, at=tx.now,
    )  # fmt: skip
    emit(tx, event, f"ruling/{ruling.id}/voided", case)
    audit.record(tx, case.id, "ruling.voided", clause=clause, public=True, ruling=ruling.id, cause=cause,
                 text=f"{ruling.kind.label} {ruling.called} 已剔除:{cause.label}", rulings=row.rulings, points=row.points)  # fmt: skip
    return True


def appeal_of(tx: Tx, ruling_id: str) -> Appeal | None:
    """The one appeal that was admitted against a ruling."""
    return tx.get(Appeal, ruling_id)


def is_withdrawn(tx: Tx, ruling: Ruling | None) -> bool:
    """Whether the arbitration behind a ruling has been withdrawn."""
    found = tx.get(Arbitration, ruling.arbitration_id) if ruling and ruling.arbitration_id else None
    return found is not None and found.withdrawn_at is not None


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
    if arbitration_id := case.request.get("arbitration_id"):
        return [ruling for ruling in rulings_of(tx, arbitration_id) if ruling.shop_id == case.shop_id]
    found = ruling_of(tx, case)
    return [found] if found is not None else []


def rulings_of(tx: Tx, arbitration_id: str) -> list[Ruling]:
    query = select(Ruling).where(Ruling.arbitration_id == arbitration_id)
    return list(tx.exec(query.order_by(col(Ruling.effective_at), col(Ruling.id))))


# ── withdrawing an arbitration ───────────────────────────────────────────────


def request_withdrawal(tx: Tx, event: ArbitrationWithdrawalRequested, shop: Shop, message: InboxMessage) -> None:
    """Somebody asks to withdraw an arbitration; merchant service decides (WDR-3).

    Douyin reports what the buyer has done already, maybe more than once, maybe before we heard of the arbitration.
    """
    if message.source == doudian.AUDIENCE:
        _cancelled(tx, event, shop, message)
    consent = event.consent.model_dump(mode="json") if event.consent else None
    cases.open_case(
        tx, CaseKind.WITHDRAWAL, origin=f"{message.source}/{message.message_id}", received_at=message.received_at,
        shop=shop, actor="platform", clause="WDR-3",
        request={"arbitration_id": event.arbitration_id, "reason": event.reason, "requested_by": event.requested_by,
                 "note": event.note, "consent": consent,
                 "documents": [document.model_dump(mode="json") for document in event.documents]},
        text=f"{event.requested_by.label}申请撤销仲裁 {event.arbitration_id}:{event.reason.label}",
    )  # fmt: skip


def _cancelled(tx: Tx, event: ArbitrationWithdrawalRequested, shop: Shop, message: InboxMessage) -> None:
    """Note the arbitration as applied for, if it is new to us; a cancellation that is in hand or done is kept."""
    if _still_on(tx, event.arbitration_id, shop) is None:
        if other := _withdrawn_before(tx, shop.id, event.arbitration_id, event.order_id, event.aftersale_id):
            raise Kept(f"arbitration {other} about the same after-sale was withdrawn before")
        _seen(tx, shop, event.arbitration_id, event.order_id, event.aftersale_id, Stage.APPLIED, message)
    open_ones = select(Case).where(
        Case.kind == CaseKind.WITHDRAWAL, Case.shop_id == shop.id, col(Case.concluded_at).is_(None)
    )
    if any(WithdrawalAsked.of(case).arbitration_id == event.arbitration_id for case in tx.exec(open_ones)):
        raise Kept(f"a withdrawal of arbitration {event.arbitration_id} is being checked")


def _refuse_withdrawal(tx: Tx, case: Case) -> Refusal | None:
    """Why the arbitration cannot be withdrawn as things stand now."""
    found = tx.get(Arbitration, WithdrawalAsked.of(case).arbitration_id)
    known = found is not None and found.shop_id == case.shop_id
    rulings = rulings_of(tx, found.id) if found is not None and known else []
    final = next(filter(None, (final_appeal(tx, ruling.id) for ruling in rulings)), None)
    return rules_of_appeal.refuse_withdrawal(
        known=known, withdrawn=found is not None and found.withdrawn_at is not None, final_appeal=final,
        ruling_void=bool(rulings) and all(ruling.voided_at is not None for ruling in rulings),
    )  # fmt: skip


def _stays(tx: Tx, case: Case, refusal: Refusal) -> None:
    """Tell the merchant that the arbitration goes on, and why; not of one that is withdrawn already."""
    if refusal.code == "withdrawn-before":
        return
    told = words.ArbitrationStays(
        shop_name=shop_of(tx, case).name, case_id=case.id, arbitration_id=WithdrawalAsked.of(case).arbitration_id,
        grounds=(ground(refusal),),
    )  # fmt: skip
    merchants.tell(tx, told, f"{case.id}/stays", case=case)


@effect("受理撤销仲裁申请")
def admit_withdrawal(tx: Tx, case: Case) -> Refusal | None:
    """Take the request up, or refuse it with the clause (WDR-1, WDR-2)."""
    if refusal := _refuse_withdrawal(tx, case):
        _stays(tx, case, refusal)
        cases.refuse(tx, case, refusal)
        return refusal
    cases.move(tx, case, CaseState.UNDER_REVIEW, "等待商服核实", clause="WDR-3")
    return None


@effect("不予撤销仲裁")
def reject_withdrawal(tx: Tx, case: Case) -> None:
    query = select(Review.reason).where(Review.case_id == case.id, Review.verdict == WithdrawalVerdict.REJECT.value)
    reason = tx.exec(query).first() or ""
    _stays(tx, case, Refusal(code="rejected", clause="WDR-1", sentence=reason))
    cases.conclude(tx, case, CaseState.REJECTED, f"不予撤销:{reason}", clause="WDR-1")


class Withdrawn(Labelled):
    """What became of a withdrawal that merchant service confirmed."""

    TOO_LATE = "TOO_LATE", "申诉已有最终结果"
    DONE = "DONE", "已撤销"
    MONEY = "MONEY", "已撤销,待处理赔付款"
    CHANGED = "CHANGED", "与商服所见不同,须重新核实"


@effect("撤销仲裁")
def withdraw(tx: Tx, case: Case) -> Withdrawn:
    """Withdraw: bars any new arbitration of the same case, ends a running appeal as moot, strikes the ruling where
    the policy says so. An appeal whose result became final while merchant service asked around wins (ARB-3)."""
    return _withdraw(tx, case, 1)


@effect("重新核实后撤销仲裁")
def withdraw_again(tx: Tx, case: Case, round: int) -> Withdrawn:
    """The same in a later round."""
    return _withdraw(tx, case, round)


def _withdraw(tx: Tx, case: Case, round: int) -> Withdrawn:
    if refusal := _refuse_withdrawal(tx, case):
        _stays(tx, case, refusal)
        cases.refuse(tx, case, refusal)
        return Withdrawn.TOO_LATE
    given = decided(tx, case.id, WITHDRAWAL.name, round)
    if given is None or not approvals.stand([given], _withdrawal_dossier(tx, case, given).seen):  # ambiguity 23
        cases.move(tx, case, CaseState.UNDER_REVIEW, "事实发生变化,等待商服重新核实", clause="WDR-3")
        return Withdrawn.CHANGED
    found = tx.get(Arbitration, WithdrawalAsked.of(case).arbitration_id)
    if found is None:
        raise LookupError(f"{case.id}: no arbitration")
    found.withdrawn_at, found.withdrawal_case, found.stage = tx.now, case.id, Stage.WITHDRAWN
    tx.add(found)
    reason = WithdrawalAsked.of(case).reason
    _adopt(tx, found)
    struck: list[Ruling] = []
    for ruling in rulings_of(tx, found.id):
        appeal = appeal_of(tx, ruling.id)
        running = lock_case(tx, appeal.case_id) if appeal else None
        if rules(case).appeal.withdrawal_strikes_ruling and strike(
            tx, case, ruling.id, VoidCause.ARBITRATION_WITHDRAWN
        ):
            struck.append(ruling)
        if running is not None and running.concluded_at is None:
            _end_as_moot(tx, running, ruling, f"仲裁 {found.id} 已撤销", clause="WDR-1")
    event = ArbitrationWithdrawn(
        shop_id=found.shop_id, arbitration_id=found.id, case_id=case.id, reason=reason, at=tx.now
    )
    emit(tx, event, f"{case.id}/withdrawn", case)
    told = words.ArbitrationWithdrawn(
        shop_name=shop_of(tx, case).name, case_id=case.id, arbitration_id=found.id, reason=reason.label,
        struck=bool(struck), money=bool(_money_taken(tx, found.id)),
    )  # fmt: skip
    merchants.tell(tx, told, f"{case.id}/withdrawn", case=case)
    if money := _money_taken(tx, found.id):  # whatever the policy proposes, people decide and the merchant is told
        case.request = {**case.request, "objects": money}
        cases.move(tx, case, CaseState.COMPENSATING, "仲裁已撤销,商服与财务处理已扣赔付款", clause="WDR-1")
        return Withdrawn.MONEY
    _conclude_withdrawal(tx, case)
    return Withdrawn.DONE


def _money_taken(tx: Tx, arbitration_id: str) -> list[str]:
    """The arbitration's rulings whose deduction nobody has decided about yet (ambiguity 35)."""
    return [
        ruling.id for ruling in rulings_of(tx, arbitration_id)
        if ruling.deduction_fen and tx.get(MoneyReturn, ruling.id) is None
    ]  # fmt: skip


def _end_as_moot(
    tx: Tx, running: Case, ruling: Ruling, cause: str, *, clause: str, outcome: CaseState = CaseState.MOOT
) -> None:
    """End an appeal that has nothing left to decide, and say why on its own case."""
    told = words.AppealMoot(
        shop_name=shop_of(tx, running).name, case_id=running.id, ruling_id=running.request["named"], cause=cause,
        struck=ruling.voided_at is not None,
    )  # fmt: skip
    merchants.tell(tx, told, f"{running.id}/moot", case=running)
    cases.conclude(tx, running, outcome, f"{cause},申诉终止", clause=clause)
    outbox.wake(tx, running)  # its run ends instead of waiting in the list for ever


def _conclude_withdrawal(tx: Tx, case: Case) -> None:
    text = f"仲裁 {WithdrawalAsked.of(case).arbitration_id} 已撤销,同一售后不可再次仲裁"
    cases.conclude(tx, case, CaseState.ARBITRATION_WITHDRAWN, text, clause="WDR-2")


@effect("撤销仲裁办结")
def conclude_withdrawal(tx: Tx, case: Case) -> None:
    _conclude_withdrawal(tx, case)


def _withdrawal_dossier(tx: Tx, case: Case, review: Review) -> Dossier:
    shop, found = shop_of(tx, case), tx.get(Arbitration, WithdrawalAsked.of(case).arbitration_id)
    rulings = rulings_of(tx, WithdrawalAsked.of(case).arbitration_id)
    consent = WithdrawalAsked.of(case).consent
    asked = dossier.table(
        {
            "仲裁编号": dossier.plain(WithdrawalAsked.of(case).arbitration_id),
            "申请方": WithdrawalAsked.of(case).requested_by.label,
            "原因": WithdrawalAsked.of(case).reason.label,
            "说明": dossier.lines(WithdrawalAsked.of(case).note) or "(无)",
            "买家同意记录": dossier.plain(consent.record) if consent else "**未附,须核实后填写**",
            "收到时间": dossier.when(case.received_at),
        }
    )
    given = rules(case).appeal
    effects = [
        "- 同一售后**不能再次申请仲裁**(WDR-2)。",
        "- 进行中的申诉将终止(WDR-1)。",
        f"- 判责{'将被剔除' if given.withdrawal_strikes_ruling else '继续有效'},"
        "已扣赔付款由商服与财务决定去向,并告知商家结果和原因;规则建议:"
        f"{rules_of_appeal.proposed_handling(WithdrawalAsked.of(case).reason, rules(case)).label}。",
    ]
    now = Seen.of(
        {
            "withdrawn": found is not None and found.withdrawn_at is not None,
            "rulings": [[ruling.id, ruling.voided_at is not None] for ruling in rulings],
        },
        papers.blocking(tx, case, "WDR-3"),
    )  # fmt: skip
    return dossier.assemble(
        f"撤销仲裁 · {dossier.plain(shop.name)} · {case.id}",
        (approvals.SINCE, approvals.changes_part(tx, case, review, now, {"rulings": "相关判责"})),
        ("撤销后的结果", "\n".join(effects)), ("申请", asked), ("店铺", shop_part(tx, shop)),
        *papers.parts(tx, case, review, "WDR-3"),
        ("相关判责", "\n\n".join(ruling_part(ruling) for ruling in rulings) or "尚未判责。"),
        facts=now.terms, blocking=now.blocking, links_until=papers.links_until(tx, case, review),
    )  # fmt: skip


def ruling_part(ruling: Ruling) -> str:
    """A ruling in a table; every word of it comes from outside."""
    return dossier.table(ruling_rows(ruling, dossier.plain))


def ruling_rows(ruling: Ruling, word: Callable[[str, int], str]) -> dict[str, str]:
    """What is recorded of a ruling; ``word`` makes words from outside fit for where they are shown."""
    return {
        "编号": f"{word(ruling.called, 300)}({ruling.kind.label})",
        "订单 / 售后": f"{word(ruling.order_id, 300) or '—'} / {word(ruling.aftersale_id, 300) or '—'}",
        "结论": ruling.conclusion.label,
        "判定内容": word(ruling.decided, 1000),
        "扣款": rules_of_appeal.deduction_text(ruling),
        "记分": str(ruling.points),
        "生效时间": dossier.when(ruling.effective_at),
        "申诉截止": f"{dossier.when(ruling.appeal_until)}(ARB-2)",
        "状态": f"已剔除:{ruling.void_cause.label}" if ruling.void_cause else "有效",
    }


def _consent_on_record(tx: Tx, case: Case, review: Review, given: Answer) -> str | None:
    if given.verdict != WithdrawalVerdict.CONFIRM:
        return None
    if unreadable := papers.refusal(tx, case, "WDR-3"):
        return unreadable
    asked = WithdrawalAsked.of(case)
    record = (asked.consent.record if asked.consent else "") or str(given.extra.get("consent_record", ""))
    return rules_of_appeal.consent_missing(asked.requested_by, record)


WITHDRAWAL = Gate(
    name="withdrawal", title="撤销仲裁核实", roles=(Role.MERCHANT_SERVICE,), verdicts=WithdrawalVerdict,
    dossier=_withdrawal_dossier, window=lambda case: rules(case).appeal.withdrawal_sla, clause="WDR-3",
    reason_required=frozenset(WithdrawalVerdict), check=_consent_on_record,
    consequences={"CONFIRM": "撤销仲裁,同一售后不可再次仲裁,进行中的申诉终止", "REJECT": "仲裁继续有效,理由会告知商家"},
    fields={
        "consent_record": {
            "title": "买家同意记录", "type": "string", "maxLength": 300, "default": "",
            "description": "通话录音编号、聊天记录编号等;商家单方申请时必填(WDR-4)",
        }
    },
)  # fmt: skip


# ── correcting a ruling by a court's judgment ────────────────────────────────


def named(event: AboutRuling) -> dict[str, str]:
    """The part of a case's request that says which ruling it is about."""
    return {"object": event.object_id, "named": event.ruling_id or event.deduction_id or ""}


def propose_correction(tx: Tx, event: RulingCorrectionProposed, shop: Shop, message: InboxMessage) -> None:
    """A court's judgment against a ruling: two supervisors decide (ARB-10, ambiguity 11)."""
    cases.open_case(
        tx, CaseKind.CORRECTION, origin=f"{message.source}/{message.message_id}", received_at=message.received_at,
        shop=shop, actor=f"platform/{event.proposed_by}", clause="ARB-10",
        request={**named(event), "court": event.court, "judgment_no": event.judgment_no,
                 "judged_on": event.judged_on.isoformat(), "summary": event.summary, "proposed_by": event.proposed_by,
                 "documents": [document.model_dump(mode="json") for document in event.documents]},
        text=f"提议依法院判决更正判责:{event.judgment_no}",
    )  # fmt: skip


@effect("受理判责更正")
def admit_correction(tx: Tx, case: Case) -> Refusal | None:
    refusal = rules_of_appeal.refuse_correction(ruling=ruling_of(tx, case), shop_id=case.shop_id or "")
    if refusal is not None:
        cases.refuse(tx, case, refusal)
        return refusal
    cases.move(tx, case, CaseState.UNDER_REVIEW, "主管审核中", clause="ARB-10")
    return None


@effect("提交第二位主管")
def correction_to_second(tx: Tx, case: Case) -> None:
    cases.move(tx, case, CaseState.SECOND_REVIEW, "等待第二位主管复核", clause="ARB-10")


@effect("不予更正判责")
def reject_correction(tx: Tx, case: Case) -> None:
    query = select(Review.reason).where(Review.case_id == case.id, Review.verdict == CorrectionVerdict.REJECT.value)
    cases.conclude(tx, case, CaseState.REJECTED, f"不予更正:{tx.exec(query).first() or ''}", clause="ARB-10")


@effect("重新审核判责更正")
def correction_again(tx: Tx, case: Case, round: int) -> bool:
    """Both are asked again about what stands now; ``False`` when the ruling was struck meanwhile and nothing is left."""
    if the_ruling(tx, case).voided_at is not None:
        _conclude_needless(tx, case)
        return False
    cases.move(tx, case, CaseState.UNDER_REVIEW, "事实发生变化,主管重新审核", clause="ARB-10")
    return True


@effect("再次提交第二位主管")
def correction_to_second_again(tx: Tx, case: Case, round: int) -> None:
    cases.move(tx, case, CaseState.SECOND_REVIEW, "等待第二位主管复核", clause="ARB-10")


def _conclude_needless(tx: Tx, case: Case) -> None:
    cases.conclude(tx, case, CaseState.SUPERSEDED, "判责此前已剔除,无需更正", clause="ARB-7")


@effect("更正判责")
def correct(tx: Tx, case: Case) -> bool | None:
    """Strike the ruling as both supervisors saw it in the first round; ``True`` when there is deducted money to talk about.

    ``None`` when it is no longer what they saw (ambiguity 23). A dismissed appeal stays dismissed.
    """
    return _correct(tx, case, 1)


@effect("重新审核后更正判责")
def correct_again(tx: Tx, case: Case, round: int) -> bool | None:
    """The same in a later round."""
    return _correct(tx, case, round)


def _correct(tx: Tx, case: Case, round: int) -> bool | None:
    ruling = the_ruling(tx, case)
    lock_ruling(tx, ruling.id)
    if ruling.voided_at is not None:
        _conclude_needless(tx, case)
        return False
    given = [review for gate in (CORRECTION, CORRECTION_SECOND) if (review := decided(tx, case.id, gate.name, round))]
    if len(given) < 2 or not approvals.stand(given, _correction_dossier(tx, case, given[-1]).seen):
        return None
    strike(tx, case, ruling.id, VoidCause.COURT_JUDGMENT)
    told = words.RulingCorrected(
        shop_name=shop_of(tx, case).name, case_id=case.id, ruling_id=ruling.id, court=CorrectionAsked.of(case).court,
        judgment_no=CorrectionAsked.of(case).judgment_no, deduction_fen=ruling.deduction_fen,
    )  # fmt: skip
    merchants.tell(tx, told, f"{case.id}/corrected", case=case)
    appeal = appeal_of(tx, ruling.id)
    running = lock_case(tx, appeal.case_id) if appeal else None
    if running is not None and running.concluded_at is None:
        cause = f"判责已依法院判决 {CorrectionAsked.of(case).judgment_no} 更正"
        _end_as_moot(tx, running, ruling, cause, clause="ARB-10", outcome=CaseState.SUPERSEDED)
    if not ruling.deduction_fen:
        _conclude_correction(tx, case)
        return False
    cases.move(tx, case, CaseState.COMPENSATING, "判责已更正,商服处理赔付款", clause="ARB-8")
    return True


def _conclude_correction(tx: Tx, case: Case) -> None:
    cases.conclude(tx, case, CaseState.CORRECTED, "判责已依法院判决更正", clause="ARB-10")


@effect("判责更正办结")
def conclude_correction(tx: Tx, case: Case) -> None:
    _conclude_correction(tx, case)


_CORRECTION_TERMS = {
    "voided": "判责状态", "deduction": "扣款", "points": "记分", "conclusion": "结论", "appeal": "该判责的申诉",
}  # fmt: skip


def _correction_dossier(tx: Tx, case: Case, review: Review) -> Dossier:
    shop, ruling = shop_of(tx, case), the_ruling(tx, case)
    judgment = dossier.table(
        {
            "法院": dossier.plain(CorrectionAsked.of(case).court),
            "案号": dossier.plain(CorrectionAsked.of(case).judgment_no),
            "判决日期": dossier.when(CorrectionAsked.of(case).judged_on),
            "提议人": dossier.plain(CorrectionAsked.of(case).proposed_by),
        }
    )
    first = decided(tx, case.id, CORRECTION.name, review.round) if review.gate == CORRECTION_SECOND.name else None
    said = f"{first.decided_by}:同意更正。\n{dossier.quoted(first.reason)}" if first else ""
    outcome = f"两位主管均同意后剔除判责;已扣赔付款 {yuan(ruling.deduction_fen)} 由商服与财务处理。"
    appeal = appeal_of(tx, ruling.id)
    heard = tx.get(Case, appeal.case_id) if appeal else None
    result = (heard.outcome.label if heard.outcome else "审理中,更正后终止") if heard else ""
    now = Seen.of(
        {
            "voided": ruling.voided_at is not None, "deduction": ruling.deduction_fen, "points": ruling.points,
            "conclusion": ruling.conclusion, "appeal": [heard.id, heard.outcome] if heard else None,
        },
        papers.blocking(tx, case, "ARB-10"),
    )  # fmt: skip
    return dossier.assemble(
        f"判责更正 · {dossier.plain(shop.name)} · {case.id}",
        (approvals.SINCE, approvals.changes_part(tx, case, review, now, _CORRECTION_TERMS)),
        ("同意后的结果", outcome), ("法院判决", judgment), ("判决摘要", dossier.quoted(CorrectionAsked.of(case).summary)),
        *papers.parts(tx, case, review, "ARB-10"), ("判责", ruling_part(ruling)), ("该判责的申诉", f"{heard.id}:{result}" if heard else ""),
        ("第一位主管意见", said), facts=now.terms, blocking=now.blocking,
        links_until=papers.links_until(tx, case, review),
    )  # fmt: skip


def _judgment_is_here(tx: Tx, case: Case, review: Review, given: Answer) -> str | None:
    return papers.refusal(tx, case, "ARB-10") if given.verdict == CorrectionVerdict.CONFIRM else None


_CORRECTION_RESULTS = {"CONFIRM": "两位主管均同意后剔除判责,不可撤销", "REJECT": "结束案件,判责继续有效"}

CORRECTION = Gate(
    name="correction", title="判责更正审核", roles=(Role.SUPERVISOR,), verdicts=CorrectionVerdict,
    dossier=_correction_dossier, window=lambda case: rules(case).appeal.correction_sla, clause="ARB-10",
    reason_required=frozenset(CorrectionVerdict), consequences=_CORRECTION_RESULTS, check=_judgment_is_here,
    excluded=lambda tx, case: {CorrectionAsked.of(case).proposed_by},
)  # fmt: skip

CORRECTION_SECOND = Gate(
    name="correction-second", title="判责更正复核", roles=(Role.SUPERVISOR,), verdicts=CorrectionVerdict,
    dossier=_correction_dossier, window=lambda case: rules(case).appeal.correction_sla, clause="ARB-10",
    reason_required=frozenset(CorrectionVerdict), consequences=_CORRECTION_RESULTS, check=_judgment_is_here,
    excluded=lambda tx, case: {CorrectionAsked.of(case).proposed_by} | last_decider(tx, case, CORRECTION.name),
    rests_on=CORRECTION.name,
)  # fmt: skip

RULINGS = Process(
    name="ruling",
    hears={
        DepositDeducted: shops.about_shop(deduct),
        ArbitrationApplied: shops.about_shop(apply),
        ArbitrationProgressed: shops.about_shop(progress),
        RulingEffective: shops.about_shop(rule),
    },
)

WITHDRAWING = Process(
    name="arbitration-withdrawal",
    kind=CaseKind.WITHDRAWAL,
    request=WithdrawalAsked,
    clause="WDR-3",
    hears={ArbitrationWithdrawalRequested: shops.about_shop(request_withdrawal)},
    asks=(WITHDRAWAL,),
)

CORRECTING = Process(
    name="ruling-correction",
    kind=CaseKind.CORRECTION,
    request=CorrectionAsked,
    clause="ARB-10",
    hears={RulingCorrectionProposed: shops.about_shop(propose_correction)},
    asks=(CORRECTION, CORRECTION_SECOND),
)

PROCESSES = (RULINGS, WITHDRAWING, CORRECTING)
