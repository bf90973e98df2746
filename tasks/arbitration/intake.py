"""What the platform says of arbitrations: applied for, ruled, money taken, once per matter (ARB, WDR, ambiguity 32)."""

from __future__ import annotations

from sqlmodel import col, select

from models.arbitration import (
    Arbitration,
    Conclusion,
    Ruling,
    RulingKind,
    Stage,
)
from models.arbitration_events import (
    ArbitrationApplied,
    ArbitrationProgressed,
    RulingEffective,
    RulingRecorded,
    deduction_key,
)
from models.deposits import DeductionReason
from models.messages import InboxMessage
from models.money import Money
from models.shop_events import DepositDeducted
from models.shops import Shop
from notifications import appeal as words
from office.base.db import Tx
from office.cases import cases, merchants
from office.cases.cases import emit
from office.record import audit
from office.record.inbox import Kept, Refused
from policies import appeal as rules_of_appeal
from policies.policy import policy, policy_at
from tasks.arbitration import doudian
from tasks.arbitration.rulings import appeal_of, lock_ruling, recount
from tasks.shops import demands, deposits

# ── what the platform tells us ───────────────────────────────────────────────


def _source(message: InboxMessage) -> str:
    """Who sent it; for Douyin's push also through which of our apps, which is whom an answer goes to."""
    return f"doudian/{message.message_id.split('/')[0]}" if message.source == "doudian" else message.source


def seen_before(
    tx: Tx, shop: Shop, arbitration_id: str, order_id: str | None, aftersale_id: str | None, stage: Stage,
    message: InboxMessage,
) -> Arbitration:  # fmt: skip
    """The arbitration, noted at its stage. Refused when it, or one about the same after-sale, was withdrawn (WDR-2)."""
    found = tx.get(Arbitration, arbitration_id)
    if found is not None and found.shop_id != shop.id:
        raise Refused(f"仲裁 {arbitration_id} 不属于店铺 {shop.id}", "ARB-1")
    withdrawn = withdrawn_before(tx, shop.id, arbitration_id, order_id, aftersale_id)
    if refusal := rules_of_appeal.rearbitration_barred(withdrawn_before=withdrawn):
        raise Refused(refusal.sentence, refusal.clause)
    if found is None:
        found = Arbitration(
            id=arbitration_id, shop_id=shop.id, source=_source(message), stage=stage, seen_at=message.received_at
        )
    found.order_id, found.aftersale_id = found.order_id or order_id or "", found.aftersale_id or aftersale_id or ""
    if stage is Stage.RULED and found.stage is not stage:
        cases.wake_leaving(tx, shop.id)  # it stands in nobody's way any more
    if found.stage is not Stage.RULED:  # messages come in any order; a ruling is not undone by an older report
        found.stage = stage
    found.seen_at = message.received_at
    tx.add(found)
    tx.flush()
    adopt(tx, found)
    return found


def withdrawn_before(
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
        still_on(tx, event.arbitration_id, shop)
    seen_before(tx, shop, event.arbitration_id, event.order_id, event.aftersale_id, Stage.APPLIED, message)
    audit.record(tx, f"shop/{shop.id}", "arbitration.applied", actor="platform", clause="ARB-9", public=True,
                 text=f"买家发起仲裁 {event.arbitration_id}")  # fmt: skip


def progress(tx: Tx, event: ArbitrationProgressed, shop: Shop, message: InboxMessage) -> None:
    """How far an arbitration is outside; a line in the shop's history. After its withdrawal that is no news to act on."""
    still_on(tx, event.arbitration_id, shop)
    seen_before(tx, shop, event.arbitration_id, event.order_id, event.aftersale_id, event.stage, message)
    audit.record(tx, f"shop/{shop.id}", "arbitration.progressed", actor="platform", clause="ARB-9", public=True,
                 text=f"仲裁 {event.arbitration_id}:{event.stage.label}", stage=event.stage)  # fmt: skip


def still_on(tx: Tx, arbitration_id: str, shop: Shop) -> Arbitration | None:
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
    arbitration = seen_before(tx, shop, event.arbitration_id, event.order_id, event.aftersale_id, Stage.RULED, message)
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
        withdrawn = withdrawn_before(tx, shop.id, event.arbitration_id or "", event.order_id, event.aftersale_id)
        if refusal := rules_of_appeal.refuse_deduction_of_withdrawn(withdrawn):
            raise Refused(refusal.sentence, refusal.clause)
    known = lock_ruling(tx, event.ruling_id) if event.ruling_id else _ruling_of_matter(tx, event, shop)
    if known is not None and (refusal := rules_of_appeal.refuse_deduction(known, shop.id)):
        raise Refused(refusal.sentence, refusal.clause)
    if known is None and not (event.appealable and event.reason is DeductionReason.ADVANCE_COMPENSATION):
        deposits.deduct(tx, event, shop, message)
        return
    about = (event.order_id, event.aftersale_id, Stage.RULED, message)
    arbitration = seen_before(tx, shop, event.arbitration_id, *about) if event.arbitration_id else None
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


def adopt(tx: Tx, found: Arbitration) -> None:
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
