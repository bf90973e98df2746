"""One matter: what belongs together has one row, one appeal, one result, and takes its money once (ambiguity 32).

Reports come in any order, and what belongs together may show only later. Then the two become one: what was taken twice
is given back by a counter-posting, of two appeals one goes on. A ruling that clears the merchant gives all of it back.
"""

from __future__ import annotations

from sqlmodel import col, select

from models.arbitration import Appeal, Arbitration, Conclusion, Ruling, RulingKind, VoidCause
from models.arbitration_events import RulingEffective
from models.cases import Case, CaseState
from models.messages import InboxMessage
from models.money import Money
from models.shops import Shop
from notifications import appeal as words
from office.base.db import Tx
from office.cases import cases, merchants
from office.cases.locks import lock_case
from office.record import alerts, audit
from policies import appeal as rules_of_appeal
from policies.appeal import Split
from tasks.arbitration.matter_rows import describe, give_back, keep, money_moved, new, take
from tasks.arbitration.rulings import appeal_of, end_appeal, lock_ruling, names_no_ruling, rulings_of, strike

# ── what belongs together ────────────────────────────────────────────────────


def reported(tx: Tx, shop_id: str, arbitration_id: str | None, aftersale_id: str | None) -> list[Ruling]:
    """Everything recorded for the shop that is one matter with a report that names these."""
    near = (col(Ruling.arbitration_id) == (arbitration_id or "-")) | (col(Ruling.aftersale_id) == (aftersale_id or "-"))
    query = select(Ruling).where(Ruling.shop_id == shop_id, near, col(Ruling.merged_into).is_(None))
    return [
        ruling
        for ruling in tx.exec(query.order_by(col(Ruling.recorded_at), col(Ruling.id)))
        if rules_of_appeal.one_matter(ruling, arbitration_id=arbitration_id, aftersale_id=aftersale_id)
    ]


def arbitration_about(tx: Tx, shop: Shop, aftersale_id: str) -> Arbitration | None:
    """The shop's arbitration about an after-sale, where a deduction names nothing else."""
    if not aftersale_id:
        return None
    query = select(Arbitration).where(Arbitration.shop_id == shop.id, Arbitration.aftersale_id == aftersale_id)
    return tx.exec(query.order_by(col(Arbitration.seen_at).desc()).limit(1)).first()


def adopt(tx: Tx, found: Arbitration) -> None:
    """A deduction that named only the after-sale belongs to its arbitration from now on, whichever was told first; with
    what else was reported of that arbitration it is one matter."""
    if found.aftersale_id:
        orphans = select(Ruling).where(
            Ruling.shop_id == found.shop_id,
            Ruling.aftersale_id == found.aftersale_id,
            col(Ruling.arbitration_id).is_(None),
        )
        for ruling in tx.exec(orphans):
            ruling.arbitration_id = found.id
            tx.add(ruling)
        tx.flush()
    _unite(tx, found)


def withdrawn_with(tx: Tx, found: Arbitration) -> list[Ruling]:
    """What falls with an arbitration that is withdrawn: what was reported of it, and deductions that named its order and
    nothing else, as a later one would not be taken any more (WDR-2). Where the order has another arbitration, too, nobody
    knows whose those are: they stay, with an appeal of their own."""
    of_it = col(Ruling.arbitration_id) == found.id
    if found.order_id and not others_of_order(tx, found):
        of_it |= (
            col(Ruling.arbitration_id).is_(None) & (Ruling.order_id == found.order_id) & (Ruling.aftersale_id == "")
        )
    query = select(Ruling).where(Ruling.shop_id == found.shop_id, of_it, col(Ruling.merged_into).is_(None))
    return list(tx.exec(query.order_by(col(Ruling.effective_at), col(Ruling.id))))


def others_of_order(tx: Tx, found: Arbitration) -> list[str]:
    """The shop's other arbitrations about the same order that still stand."""
    if not found.order_id:
        return []
    query = select(Arbitration.id).where(
        Arbitration.shop_id == found.shop_id,
        Arbitration.order_id == found.order_id,
        Arbitration.id != found.id,
        col(Arbitration.withdrawn_at).is_(None),
    )
    return list(tx.exec(query.order_by(col(Arbitration.id))))


def lock_appeals(tx: Tx, shop: Shop) -> None:
    """Lock the shop's open appeals before any of its rulings: a case always comes before its ruling."""
    running = select(Appeal.case_id).join(Case, col(Case.id) == Appeal.case_id)
    running = running.where(Case.shop_id == shop.id, col(Case.concluded_at).is_(None))
    for case_id in sorted(tx.exec(running)):
        lock_case(tx, case_id)


# ── two that turn out to be one ──────────────────────────────────────────────


def _unite(tx: Tx, found: Arbitration) -> None:
    """Make one of everything reported of an arbitration that names no ruling, and of what it belongs to."""
    rows = [one for one in rulings_of(tx, found.id) if one.merged_into is None]
    for alone in filter(names_no_ruling, rows):
        others = [
            one
            for one in rows
            if one is not alone and one.merged_into is None and (not names_no_ruling(one) or _earlier(one, alone))
        ]
        if not others:
            continue
        other = min(others, key=lambda one: (names_no_ruling(one), one.voided_at is not None, one.deduction_fen > 0))
        if alone.voided_at is None:
            _merge(tx, kept=other, gone=alone)
        elif other.voided_at is None:  # the matter has its result: nothing that is told later reopens it (ARB-3)
            _merge(tx, kept=alone, gone=other)


def _earlier(one: Ruling, other: Ruling) -> bool:
    return (one.recorded_at, one.id) < (other.recorded_at, other.id)


def _merge(tx: Tx, kept: Ruling, gone: Ruling) -> None:
    """From now on ``gone`` is part of ``kept``. What was taken later of the two, or for a matter that is decided, goes back."""
    shop = tx.get_one(Shop, kept.shop_id)
    _one_appeal(tx, kept, gone)
    for ruling_id in sorted((kept.id, gone.id)):
        lock_ruling(tx, ruling_id)
    start = max(gone.effective_at, gone.deducted_at or gone.effective_at)
    back = Split()
    if kept.voided_at is not None or (kept.deduction_fen and kept.recorded_at <= gone.recorded_at):
        back = give_back(tx, gone)
    elif gone.deduction_fen:
        back = give_back(tx, kept)
        take(kept, gone.posting, Money(fen=gone.from_deposit_fen), Money(fen=gone.arrears_fen))
        take(gone, gone.posting, Money(), Money())
    kept.deducted_at = max(kept.deducted_at or kept.effective_at, start)
    strike(tx, None, gone.id, VoidCause.SAME_MATTER)
    gone.merged_into = kept.id
    tx.add(gone)
    keep(tx, kept, f"united/{gone.id}")
    audit.record(
        tx,
        f"shop/{shop.id}",
        "matter.united",
        clause="ARB-3",
        public=True,
        ruling=kept.id,
        merged=gone.id,
        text=f"{gone.kind.label} {gone.called} 与{kept.kind.label} {kept.called} 为同一事项,已合并;"
        f"重复扣款:{back.text()}",
    )
    appeal = appeal_of(tx, kept.id)
    decided = f"该事项已因「{kept.void_cause.label}」剔除,无需申诉。" if kept.void_cause else ""
    heard = f"该事项已由申诉 {appeal.case_id} 处理,不再另行申诉。" if appeal else ""
    told = words.MattersUnited(
        shop_name=shop.name,
        ruling_id=kept.called,
        other_id=gone.called,
        to_deposit_fen=back.to_deposit.fen,
        to_receivable_fen=back.to_receivable.fen,
        to_arrears_fen=back.to_arrears.fen,
        not_appealable=decided or heard,
        appeal_how="" if decided or heard else rules_of_appeal.APPEAL_HOW,
        appeal_until=None if decided or heard else kept.appeal_until,
    )
    merchants.tell(tx, told, f"united/{gone.id}", shop_id=shop.id)
    if back != Split():
        money_moved(tx, shop)


WON, LOST, RUNNING, ENDED = range(4)
"""How an appeal stands, in the order in which one of two goes before the other."""


def _one_appeal(tx: Tx, kept: Ruling, gone: Ruling) -> None:
    """Of two appeals one goes on, or stands, and is the kept ruling's: a final one, else the earlier (ARB-3)."""
    found = [appeal for ruling in (kept, gone) if (appeal := appeal_of(tx, ruling.id))]
    state = {appeal.case_id: _state(tx, appeal) for appeal in found}
    found.sort(key=lambda appeal: (state[appeal.case_id], appeal.admitted_at))
    for place, appeal in enumerate(found):
        if state[appeal.case_id] == RUNNING and (place or kept.void_cause):
            cause = f"与申诉 {found[0].case_id} 为同一事项,以该申诉的结果为准"
            if not place and kept.void_cause:
                cause = f"该事项已因「{kept.void_cause.label}」剔除"
            end_appeal(tx, cases.get(tx, appeal.case_id), kept, cause, clause="ARB-3", outcome=CaseState.SUPERSEDED)
    if list(state.values()).count(LOST) and list(state.values()).count(WON):
        won, lost = (appeal.case_id for appeal in found)
        alerts.tell(
            tx,
            f"opposite/{won}/{lost}",
            where=f"店铺 {kept.shop_id}",
            finding=f"申诉 {won}(申诉成立)与申诉 {lost}({_outcome(tx, lost)})后来查明为同一事项,结果相反",
            consequence="两件申诉的结果均不更改;该事项按申诉成立处理,重复的扣款已冲回。请与平台核实。",
        )
    if found and found[0].ruling_id == gone.id:  # the two change places
        rows = [
            Appeal(
                ruling_id=kept.id if one.ruling_id == gone.id else gone.id,
                case_id=one.case_id,
                reason=one.reason,
                admitted_at=one.admitted_at,
            )
            for one in found
        ]
        for one in found:
            tx.delete(one)
        tx.flush()
        tx.add_all(rows)
        tx.flush()


def _state(tx: Tx, appeal: Appeal) -> int:
    case, ruling = lock_case(tx, appeal.case_id), tx.get_one(Ruling, appeal.ruling_id)
    if ruling.void_cause is VoidCause.APPEAL_UPHELD:
        return WON
    if case.concluded_at is None:
        return RUNNING
    return LOST if case.outcome in {CaseState.DISMISSED, CaseState.CLOSED_TIMEOUT} else ENDED


def _outcome(tx: Tx, case_id: str) -> str:
    case = cases.get(tx, case_id)
    return (case.outcome or case.state).label


# ── cleared ──────────────────────────────────────────────────────────────────


def clear(
    tx: Tx, event: RulingEffective, shop: Shop, message: InboxMessage, of: Arbitration, before: Ruling | None
) -> None:
    """The arbitration found that it was not the merchant: nothing counts, and what was taken for the matter goes back (ARB-1).

    Money that people are deciding about, or have decided about, is left to them (ARB-8).
    """
    at = event.effective_at or message.received_at
    ruling = before or new(tx, message, shop, event.ruling_id)
    matter = [
        one
        for one in rulings_of(tx, of.id)
        if one.merged_into is None and (one.kind is RulingKind.DEDUCTION or one.effective_at <= at)
    ]
    standing = [one for one in {one.id: one for one in (*matter, ruling)}.values() if one.voided_at is None]
    fallen = [one for one in standing if one is not ruling or before is not None]
    told, back, taken = [one.called for one in fallen], Split(), 0
    cause = f"仲裁 {of.id} 裁定非商家责任"
    for one in fallen:
        appeal = appeal_of(tx, one.id)
        running = lock_case(tx, appeal.case_id) if appeal else None
        if appeal is not None and running is not None and running.concluded_at is not None:
            alerts.tell(
                tx,
                f"cleared/{appeal.case_id}/{event.ruling_id}",
                where=f"店铺 {shop.id}",
                finding=f"申诉 {appeal.case_id}({_outcome(tx, appeal.case_id)})已有结果,之后{cause}",
                consequence="申诉的结果不更改;判责和扣款按裁决冲回。请与平台核实。",
            )
        strike(tx, None, one.id, VoidCause.MERCHANT_CLEARED)
        taken += one.deduction_fen
        back = back.plus(give_back(tx, one))
        if running is not None and running.concluded_at is None:
            end_appeal(tx, running, one, cause, clause="ARB-1", outcome=CaseState.SUPERSEDED)
    if ruling.voided_at is None:
        ruling.voided_at, ruling.void_cause = tx.now, VoidCause.MERCHANT_CLEARED
    describe(ruling, event, of)
    ruling.effective_at = at
    tx.add(ruling)
    tx.flush()
    audit.record(
        tx,
        f"shop/{shop.id}",
        "arbitration.cleared",
        actor="platform",
        clause="ARB-1",
        public=True,
        text=f"仲裁 {of.id} 裁决:{event.conclusion.label},不计判责。{event.decided}"
        + (f" 已扣款项冲回:{back.text()}。" if taken else ""),
        ruling=ruling.id,
    )
    if not fallen:
        return
    letter = words.MerchantCleared(
        shop_name=shop.name,
        arbitration_id=of.id,
        rulings=tuple(told),
        decided=event.decided,
        deduction_fen=taken,
        to_deposit_fen=back.to_deposit.fen,
        to_receivable_fen=back.to_receivable.fen,
        to_arrears_fen=back.to_arrears.fen,
    )
    merchants.tell(tx, letter, f"cleared/{ruling.id}", shop_id=shop.id)
    money_moved(tx, shop)


def cleared_since(tx: Tx, event: RulingEffective, message: InboxMessage) -> bool:
    """Whether a ruling that took effect no earlier has cleared the merchant in this arbitration already."""
    at = event.effective_at or message.received_at
    return any(
        one.conclusion is Conclusion.NOT_MERCHANT and one.effective_at >= at
        for one in rulings_of(tx, event.arbitration_id)
    )


def won(tx: Tx, arbitration: Arbitration) -> Ruling | None:
    """The ruling of an arbitration that the merchant has won against for good: under no second number does it come again (ARB-3)."""
    for_good = {VoidCause.APPEAL_UPHELD, VoidCause.COURT_JUDGMENT}
    return next((one for one in rulings_of(tx, arbitration.id) if one.void_cause in for_good), None)
