"""What the platform says of arbitrations: applied for, ruled, money taken, once per matter (ARB, WDR, ambiguity 32)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from sqlmodel import col, select

from models.arbitration import Arbitration, Conclusion, Ruling, RulingKind, Stage
from models.arbitration_events import ArbitrationApplied, ArbitrationProgressed, RulingEffective, deduction_key
from models.deposits import DeductionReason
from models.messages import InboxMessage
from models.money import Money
from models.reviews import Role
from models.shop_events import DepositDeducted
from models.shops import Shop
from notifications import appeal as words
from office.base.db import Tx
from office.cases import cases, kept, merchants
from office.record import audit
from office.record.inbox import Kept, Refused
from policies import appeal as rules_of_appeal
from policies.policy import policy
from tasks.arbitration import doudian, matter, matter_rows
from tasks.arbitration.rulings import appeal_of, find_ruling, lock_ruling, names_no_ruling
from tasks.shops import demands, deposits, facts, shops

# ── what the platform tells us ───────────────────────────────────────────────


def seen_before(
    tx: Tx,
    shop: Shop,
    arbitration_id: str,
    order_id: str | None,
    aftersale_id: str | None,
    stage: Stage,
    message: InboxMessage,
) -> Arbitration:
    """The arbitration, noted at its stage. Refused when it, or one about the same after-sale, was withdrawn (WDR-2)."""
    matter.lock_appeals(tx, shop)
    found = tx.get(Arbitration, arbitration_id)
    if found is not None and found.shop_id != shop.id:
        raise _of_another_shop(f"仲裁 {arbitration_id} 不属于店铺 {shop.id}", f"arbitration/{arbitration_id}/{shop.id}")
    withdrawn = withdrawn_before(tx, shop.id, arbitration_id, order_id, aftersale_id)
    if refusal := rules_of_appeal.rearbitration_barred(withdrawn_before=withdrawn):
        raise Refused(refusal.sentence, refusal.clause)
    if found is None:
        found = Arbitration(
            id=arbitration_id,
            shop_id=shop.id,
            source=matter_rows.source(message),
            stage=stage,
            seen_at=message.received_at,
        )
    found.order_id, found.aftersale_id = found.order_id or order_id or "", found.aftersale_id or aftersale_id or ""
    if found.stage is not Stage.RULED:  # messages come in any order; a ruling is not undone by an older report
        found.stage = stage
    found.seen_at = message.received_at
    tx.add(found)
    tx.flush()
    cases.wake_leaving(tx, shop.id)  # whoever decides about closing or refund is shown that it came, or that it ended
    matter.adopt(tx, found)
    return found


def _of_another_shop(
    sentence: str, about: str, learn: Callable[[Tx, InboxMessage], None] = lambda tx, message: None
) -> Refused:
    """The refusal of what is said about one shop and known of another: whose window and money it is, a person finds out."""
    told = kept.heard(f"{sentence}。哪家店铺的申诉期限和款项与此有关,请与发送方核实", about, Role.SUPERVISOR)

    def heard(tx: Tx, message: InboxMessage) -> None:
        learn(tx, message)
        told(tx, message)

    return Refused(sentence, "ARB-1", heard=heard)


def withdrawn_before(
    tx: Tx, shop_id: str, arbitration_id: str, order_id: str | None, aftersale_id: str | None
) -> str | None:
    """The withdrawn arbitration about the same case, if there is one: same number, same after-sale, or same order
    where no after-sale is known. Of an arbitration reported before its after-sale is known without being named again:
    an order may have several."""
    known = tx.get(Arbitration, arbitration_id)
    aftersale_id = aftersale_id or (known.aftersale_id if known is not None and known.shop_id == shop_id else None)
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
    audit.record(
        tx,
        f"shop/{shop.id}",
        "arbitration.applied",
        actor="platform",
        clause="ARB-9",
        public=True,
        text=f"买家发起仲裁 {event.arbitration_id}",
    )


def progress(tx: Tx, event: ArbitrationProgressed, shop: Shop, message: InboxMessage) -> None:
    """How far an arbitration is outside; a line in the shop's history. After its withdrawal that is no news to act on."""
    still_on(tx, event.arbitration_id, shop)
    seen_before(tx, shop, event.arbitration_id, event.order_id, event.aftersale_id, event.stage, message)
    audit.record(
        tx,
        f"shop/{shop.id}",
        "arbitration.progressed",
        actor="platform",
        clause="ARB-9",
        public=True,
        text=f"仲裁 {event.arbitration_id}:{event.stage.label}",
        stage=event.stage,
    )


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

    A deduction that named the ruling before it came is its money already: the row becomes the ruling's. One that clears
    the merchant gives back what was taken (ARB-1).
    """
    _in_effect(tx, event, message)
    arbitration = seen_before(tx, shop, event.arbitration_id, event.order_id, event.aftersale_id, Stage.RULED, message)
    before = lock_ruling(tx, event.ruling_id) or _deduction_of(tx, event, shop)
    clears, learn = event.conclusion is Conclusion.NOT_MERCHANT, _learned(event, shop)
    if before is not None and before.shop_id != shop.id:
        about = f"ruling/{event.ruling_id}/{shop.id}"
        raise _of_another_shop(f"判责 {event.ruling_id} 已登记在其他店铺名下,未重复登记", about, learn)
    if before is not None and before.kind is RulingKind.RULING:
        raise Refused(f"判责 {event.ruling_id} 已登记,未重复登记", "ARB-1", heard=learn)
    if before is not None and before.void_cause is not None and not clears:
        raise Refused(f"判责 {event.ruling_id} 已因「{before.void_cause.label}」剔除", "ARB-7", heard=learn)
    if not clears and matter.cleared_since(tx, event, message):
        raise Refused(
            f"仲裁 {arbitration.id} 已裁定非商家责任,此前生效的判责 {event.ruling_id} 不再登记", "ARB-1", heard=learn
        )
    if not clears and before is None and (won := matter.won(tx, arbitration)) is not None:
        raise Refused(
            f"仲裁 {arbitration.id} 的判责 {won.called} 已因「{won.void_cause.label if won.void_cause else ''}」剔除,"
            f"结果不可更改,判责 {event.ruling_id} 不再登记,也不扣款",
            "ARB-3",
            heard=learn,
        )
    if doudian.ask(tx, event, message):
        return  # it comes again with its words, or as it is when they are not to be had
    if clears:
        return matter.clear(tx, event, shop, message, arbitration, before)
    from_deposit, arrears, key = Money(), Money(), f"ruling/{event.ruling_id}"
    if event.deduction_fen and before is None:
        posted = deposits.post_deduction(
            tx, shop, key, Money(fen=event.deduction_fen), DeductionReason.ADVANCE_COMPENSATION
        )
        if posted is None:
            raise Refused(f"判责 {event.ruling_id} 的扣款已入账,未重复扣款", "DED-5")
        from_deposit, arrears = posted
    ruling = before or matter_rows.new(tx, message, shop, event.ruling_id)
    matter_rows.describe(ruling, event, arbitration)
    if before is None:
        matter_rows.take(ruling, key, from_deposit, arrears)
    else:
        ruling.deducted_at = ruling.effective_at
    ruling.effective_at = event.effective_at or message.received_at
    matter_rows.keep(tx, ruling, "recorded")
    appeal = appeal_of(tx, ruling.id)
    how = (
        f"与该判责对应的扣款是同一事项,已由申诉 {appeal.case_id} 处理,不再另行申诉。"
        if appeal
        else rules_of_appeal.APPEAL_HOW
    )
    told = words.RulingEffective(
        shop_name=shop.name,
        ruling_id=ruling.called,
        order_id=ruling.order_id,
        conclusion=ruling.conclusion.label,
        decided=ruling.decided,
        effective_at=ruling.effective_at,
        deduction_fen=ruling.deduction_fen,
        from_deposit_fen=ruling.from_deposit_fen,
        arrears_fen=ruling.arrears_fen,
        appeal_how=how,
        appeal_until=ruling.appeal_until,
    )
    merchants.tell(tx, told, f"ruling/{ruling.id}", shop_id=shop.id)
    demands.look(tx, shop)


def _in_effect(tx: Tx, event: RulingEffective | DepositDeducted, message: InboxMessage) -> None:
    """What is to take effect later takes nothing now, holds no appeal open till then, and is no newer than what clears it."""
    if facts.not_yet(tx, event.effective_at, message):
        named = event.ruling_id if isinstance(event, RulingEffective) else event.deduction_id
        raise facts.ahead("生效时间在未来,未受理;请在生效后报送", "ARB-2", f"{event.type}/{event.shop_id}/{named}")


def deduct(tx: Tx, event: DepositDeducted, shop: Shop, message: InboxMessage) -> None:
    """A deduction; one that paid a buyer in advance can be appealed against like a ruling (ARB-1 ②, DED-5).

    One that names its ruling, or else its arbitration, or else its after-sale is that ruling's money: one matter is one
    thing to appeal against, once (ARB-3, ambiguity 32). Of a withdrawn arbitration nothing more is taken (WDR-2).
    """
    _in_effect(tx, event, message)
    at, advance = event.effective_at or message.received_at, event.reason is DeductionReason.ADVANCE_COMPENSATION
    if advance:
        withdrawn = withdrawn_before(tx, shop.id, event.arbitration_id or "", event.order_id, event.aftersale_id)
        if refusal := rules_of_appeal.refuse_deduction_of_withdrawn(withdrawn):
            raise Refused(refusal.sentence, refusal.clause)
    named = bool(event.ruling_id) and find_ruling(tx, event.ruling_id or "") is not None
    if not named and not (event.appealable and advance):
        deposits.deduct(tx, event, shop, message)
        return
    matter.lock_appeals(tx, shop)
    about = (event.order_id, event.aftersale_id, Stage.RULED, message)
    arbitration = seen_before(tx, shop, event.arbitration_id, *about) if event.arbitration_id else None
    known = lock_ruling(tx, event.ruling_id) if event.ruling_id else _ruling_of_matter(tx, event, shop)
    if known is not None and (refusal := rules_of_appeal.refuse_deduction(known, shop.id)):
        raise Refused(refusal.sentence, refusal.clause, heard=_learned(event, shop))
    key = deduction_key(event.deduction_id)
    ruling = known or matter_rows.new(tx, message, shop, event.ruling_id or key)
    if known is not None:
        ruling.deducted_at = at
    else:
        ruling.effective_at, ruling.order_id = at, event.order_id or ""
        ruling.aftersale_id, ruling.decided = event.aftersale_id or "", f"先行赔付买家,依据:{event.clause}"
    if arbitration is None and ruling.arbitration_id is None:
        arbitration = matter.arbitration_about(tx, shop, ruling.aftersale_id)
    if arbitration is not None and ruling.arbitration_id is None:
        ruling.arbitration_id = arbitration.id
        ruling.order_id, ruling.aftersale_id = arbitration.order_id, arbitration.aftersale_id
    until = rules_of_appeal.window_of(ruling, policy(ruling.policy_version)).due
    appeal = appeal_of(tx, ruling.id)
    why_not = f"本次扣款属于判责 {ruling.called},该判责已由申诉 {appeal.case_id} 处理。" if appeal else ""
    parts = deposits.deduct(tx, event, shop, message, appeal_until=until, not_appealable=why_not)
    matter_rows.take(ruling, key, *parts)
    matter_rows.keep(tx, ruling, "deducted" if known is not None else "recorded")


def _learned(event: RulingEffective | DepositDeducted, shop: Shop) -> Callable[[Tx, InboxMessage], None]:
    """A report that changes nothing still says which after-sale an arbitration is about, and that it has ended."""

    def learn(tx: Tx, message: InboxMessage) -> None:
        if event.arbitration_id is None:
            return
        with suppress(Refused):
            seen_before(
                tx,
                shops.find_shop(tx, shop.id),
                event.arbitration_id,
                event.order_id,
                event.aftersale_id,
                Stage.RULED,
                message,
            )

    return learn


def _ruling_of_matter(tx: Tx, event: DepositDeducted, shop: Shop) -> Ruling | None:
    """What a deduction without a ruling's number belongs to; what has not taken its money yet comes first."""
    if event.reason is not DeductionReason.ADVANCE_COMPENSATION:
        return None
    found = matter.reported(tx, shop.id, event.arbitration_id, event.aftersale_id)
    found.sort(key=lambda ruling: (ruling.deduction_fen > 0, ruling.void_cause is not None))
    return lock_ruling(tx, found[0].id) if found else None


def _deduction_of(tx: Tx, event: RulingEffective, shop: Shop) -> Ruling | None:
    """The deduction that came before its ruling and named only the arbitration, or the after-sale."""
    found = filter(names_no_ruling, matter.reported(tx, shop.id, event.arbitration_id, event.aftersale_id))
    return next((lock_ruling(tx, one.id) for one in found), None)
