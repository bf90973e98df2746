"""Deposits: paid, drawn on and set off by the platform's events, always as balanced postings."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from models.accounts import shows_a_part
from models.books import AccountKind, DepositPayment
from models.cases import Case
from models.deposits import DeductionReason
from models.event_parts import PaymentPurpose
from models.messages import InboxMessage
from models.money import Money
from models.reviews import Role
from models.shop_events import DepositDeducted, DepositPaid, DepositSetOff
from models.shops import Shop, ShopState
from notifications import deposit as words
from office.base.db import Tx, prepared
from office.base.vault import opened, place, seal
from office.cases import kept, merchants, reviews
from office.money import ledger
from office.money.ledger import platform_account, shop_account, shop_balance
from office.process import Process
from office.record import audit
from office.record.inbox import Refused
from policies.appeal import APPEAL_HOW, SERVICE_HOW
from policies.deposit import certification_fee, certified_for, split_deduction
from policies.payees import SAME_CHANNEL, PaidIn
from policies.policy import policy_at
from tasks.shops import demands, owed, shops


def pay(tx: Tx, event: DepositPaid, shop: Shop, message: InboxMessage) -> None:
    """Money arrived: it becomes frozen deposit (DEP-9), settles what the shop owes (DED-9), or is a fee (DEP-7)."""
    if tx.get(ledger.Transfer, f"payment/{event.payment_id}") is not None:
        raise Refused(f"付款 {event.payment_id} 已入账,未重复入账")
    if shop.state is ShopState.FORCED_CLOSED and event.purpose is not PaymentPurpose.ARREARS:  # what is owed is taken
        raise _unbooked("店铺已被强制关店,不再收取保证金", "CLS-10", event)
    if shop.state is ShopState.APPLYING:
        sentence = "店铺尚在入驻审核中,未要求缴费,未入账,请原路退回;店铺审核通过后会通知缴纳保证金"
        raise _unbooked(sentence, "OPN-13", event)
    if event.purpose is PaymentPurpose.CERTIFICATION_FEE:
        return _certify(tx, event, shop)
    amount = Money(fen=event.amount_fen)
    arrears = shop_balance(tx, shop.id, AccountKind.ARREARS)
    if event.purpose is PaymentPurpose.ARREARS and amount.fen > arrears.fen:
        raise _unbooked(f"补缴金额 {amount} 超过店铺欠款 {arrears},未入账", "DED-9", event)
    kind = AccountKind.ARREARS if event.purpose is PaymentPurpose.ARREARS else AccountKind.DEPOSIT
    ledger.post(
        tx,
        f"payment/{event.payment_id}",
        debit=platform_account(AccountKind.CASH),
        credit=shop_account(shop.id, kind),
        amount=amount,
        reason="deposit.paid",
        clause="DEP-9" if kind is AccountKind.DEPOSIT else "DED-9",
    )
    audit.record(
        tx,
        f"shop/{shop.id}",
        "deposit.paid",
        actor="platform",
        clause="DEP-9",
        public=True,
        text=f"{event.purpose.label} {amount}({event.channel.label})",
        payment=event.payment_id,
    )
    if kind is AccountKind.ARREARS:
        key = f"payment/{event.payment_id}"
        _tell_reduced(tx, shop, event.payment_id, key, amount, how=event.purpose.label, rule="DED-9")
        demands.look(tx, shop)
        return
    payer, name = _whole(event.payer_account), _whole(event.payer_name)
    tx.add(
        DepositPayment(
            id=event.payment_id,
            shop_id=shop.id,
            channel=event.channel,
            amount_fen=amount.fen,
            paid_at=event.paid_at,
            payer_sealed=seal(payer, place(DepositPayment, "payer_sealed", event.payment_id)) if payer else "",
            payer_name_sealed=seal(name, place(DepositPayment, "payer_name_sealed", event.payment_id))
            if name
            else None,
        )
    )
    told = words.DepositPaid(
        shop_name=shop.name,
        payment_id=event.payment_id,
        amount_fen=amount.fen,
        channel=event.channel.label,
        paid_at=event.paid_at,
        balance_fen=shop_balance(tx, shop.id, AccountKind.DEPOSIT).fen,
        opens=owed.opens(tx, shop),
    )
    merchants.tell(tx, told, f"payment/{event.payment_id}", shop_id=shop.id)
    demands.look(tx, shop)


def _tell_reduced(
    tx: Tx, shop: Shop, number: str, key: str, amount: Money, *, how: str, rule: str, note: str = ""
) -> None:
    told = words.ArrearsReduced(
        shop_name=shop.name,
        number=number,
        how=how,
        rule=rule,
        note=note,
        at=tx.now,
        amount_fen=amount.fen,
        arrears_fen=shop_balance(tx, shop.id, AccountKind.ARREARS).fen,
        balance_fen=shop_balance(tx, shop.id, AccountKind.DEPOSIT).fen,
        appeal_how=SERVICE_HOW,
    )
    merchants.tell(tx, told, key, shop_id=shop.id)


def _unbooked(sentence: str, clause: str, event: DepositPaid) -> Refused:
    """The refusal of money that a merchant has paid: it is in nobody's books, so finance hears, not only the sender."""
    why = f"{sentence}。商家已付 {Money(fen=event.amount_fen)}(付款编号 {event.payment_id}),请与平台核实并安排退回"
    return Refused(sentence, clause, heard=kept.heard(why, f"paid/{event.shop_id}/{event.payment_id}", Role.FINANCE))


def _certify(tx: Tx, event: DepositPaid, shop: Shop) -> None:
    """The certification fee of a year: its own posting, never a deposit, waived by an official account (DEP-7, ambiguity 2)."""
    rules, amount = policy_at(tx.now), Money(fen=event.amount_fen)
    if shop.state not in demands.ASKED:
        raise _unbooked(f"店铺状态为「{shop.state.label}」,不再收取认证审核费", "DEP-7", event)
    fee = certification_fee(shop.entity_type, shop.official_account, None, tx.now, rules)
    if not fee:
        sentence = "该店铺无需缴纳认证审核费(已绑定官方账号、未要求认证或主体为个人),未入账"
        raise _unbooked(sentence, "DEP-7", event)
    if amount.fen != fee.fen:
        raise _unbooked(f"认证审核费为一年 {fee},收到 {amount},未入账", "DEP-7", event)
    ledger.post(
        tx,
        f"payment/{event.payment_id}",
        debit=platform_account(AccountKind.CASH),
        credit=platform_account(AccountKind.CERTIFICATION),
        amount=amount,
        reason="certification_fee.paid",
        clause="DEP-7",
    )
    year = certified_for(min(event.paid_at, tx.now), shop.certified_until, rules)
    shop.certified_until = year.due
    tx.add(shop)
    audit.record(
        tx,
        f"shop/{shop.id}",
        "certification_fee.paid",
        actor="platform",
        clause="DEP-7",
        public=True,
        text=f"{event.purpose.label} {amount}({event.channel.label}),{year.text()}",
        payment=event.payment_id,
    )
    told = words.CertificationFeePaid(
        shop_name=shop.name,
        payment_id=event.payment_id,
        amount_fen=amount.fen,
        channel=event.channel.label,
        paid_at=event.paid_at,
        until=year.due,
        opens=owed.opens(tx, shop),
    )
    merchants.tell(tx, told, f"payment/{event.payment_id}", shop_id=shop.id)
    demands.look(tx, shop)


def _whole(text: str | None) -> str:
    """What a refund can go by; empty when the channel showed only a part of it."""
    return text if text and not shows_a_part(text) else ""


def deduct(
    tx: Tx,
    event: DepositDeducted,
    shop: Shop,
    message: InboxMessage,
    *,
    appeal_until: datetime | None = None,
    not_appealable: str = "",
) -> tuple[Money, Money]:
    """Draw on the deposit; what it cannot cover becomes arrears (DED-9). Says how to appeal, or why not (DED-8).

    ``appeal_until`` is given for what the appeal centre takes; anything else goes through customer service.
    Returns what came from the deposit and what is owed.
    """
    reason = DeductionReason(event.reason.value)
    amount = Money(fen=event.amount_fen)
    told = post_deduction(tx, shop, f"deduction/{event.deduction_id}", amount, reason)
    if told is None:
        raise Refused(f"扣款 {event.deduction_id} 已入账,未重复扣款")
    from_deposit, arrears = told
    why_not = event.not_appealable_reason or not_appealable
    notice = words.DepositDeducted(
        shop_name=shop.name,
        deduction_id=event.deduction_id,
        rule=reason.clause,
        reason=reason.label,
        explanation=event.clause,
        deducted_at=event.effective_at or message.received_at,
        amount_fen=amount.fen,
        from_deposit_fen=from_deposit.fen,
        arrears_fen=arrears.fen,
        balance_fen=shop_balance(tx, shop.id, AccountKind.DEPOSIT).fen,
        appeal_how="" if why_not else APPEAL_HOW if appeal_until else SERVICE_HOW,
        appeal_until=None if why_not else appeal_until,
        not_appealable=why_not,
    )
    merchants.tell(tx, notice, f"deduction/{event.deduction_id}", shop_id=shop.id)
    demands.look(tx, shop)
    return told


def post_deduction(
    tx: Tx, shop: Shop, key: str, amount: Money, reason: DeductionReason, case_id: str | None = None
) -> tuple[Money, Money] | None:
    """Post a deduction once: (from the deposit, to arrears); ``None`` if it was posted before."""
    if tx.get(ledger.Transfer, key) or tx.get(ledger.Transfer, f"{key}/arrears"):
        return None
    from_deposit, arrears = split_deduction(amount, shop_balance(tx, shop.id, AccountKind.DEPOSIT))
    compensation = reason is DeductionReason.ADVANCE_COMPENSATION
    receiver = platform_account(AccountKind.COMPENSATION if compensation else AccountKind.PENALTY)
    ledger.post(
        tx,
        key,
        debit=shop_account(shop.id, AccountKind.DEPOSIT),
        credit=receiver,
        amount=from_deposit,
        reason=reason,
        clause=reason.clause,
        case_id=case_id,
    )
    ledger.post(
        tx,
        f"{key}/arrears",
        debit=shop_account(shop.id, AccountKind.ARREARS),
        credit=receiver,
        amount=arrears,
        reason=reason,
        clause="DED-9",
        case_id=case_id,
    )
    audit.record(
        tx,
        f"shop/{shop.id}",
        "deposit.deducted",
        actor="platform",
        clause=reason.clause,
        public=True,
        text=f"扣除保证金 {from_deposit}" + (f",转为欠款 {arrears}" if arrears else ""),
        key=key,
    )
    return from_deposit, arrears


def forfeit(tx: Tx, shop: Shop, case: Case, key: str) -> Money:
    """Whatever deposit a shop closed by force has, or gets back from the bank, is the platform's (DED-6, CLS-10)."""
    held = shop_balance(tx, shop.id, AccountKind.DEPOSIT)
    ledger.post(
        tx,
        key,
        debit=shop_account(shop.id, AccountKind.DEPOSIT),
        credit=platform_account(AccountKind.FORFEITURE),
        amount=held,
        reason=DeductionReason.FORCED_CLOSURE,
        clause="DED-6",
        case_id=case.id,
    )
    if held:
        audit.record(tx, case.id, "deposit.forfeited", clause="DED-6", text=f"罚没保证金 {held}", public=True, key=key)
        reviews.wake_asking(tx, shop.id)
    return held


def set_off(tx: Tx, event: DepositSetOff, shop: Shop, message: InboxMessage) -> None:
    """Use the frozen deposit for the one thing it may be used for: what the shop owes (DEP-9, ambiguity 21)."""
    amount, key = Money(fen=event.amount_fen), f"set-off/{event.set_off_id}"
    if tx.get(ledger.Transfer, key) is not None:
        raise Refused(f"抵扣 {event.set_off_id} 已入账,未重复抵扣")
    arrears = shop_balance(tx, shop.id, AccountKind.ARREARS)
    deposit = shop_balance(tx, shop.id, AccountKind.DEPOSIT)
    if amount.fen > arrears.fen:
        raise Refused(f"保证金只能用于抵扣赔付和处罚欠款:申请抵扣 {amount},现有欠款 {arrears}", "DEP-9")
    if amount.fen > deposit.fen:
        raise Refused(f"抵扣金额 {amount} 超过保证金余额 {deposit}", "DED-9")
    _off_arrears(tx, shop, key, amount, "DEP-9")
    audit.record(
        tx,
        f"shop/{shop.id}",
        "deposit.set_off",
        actor="platform",
        clause="DEP-9",
        public=True,
        text=f"保证金抵扣欠款 {amount}",
        note=event.note,
    )
    _tell_reduced(tx, shop, event.set_off_id, key, amount, how="保证金抵扣", rule="DEP-9", note=event.note)
    demands.look(tx, shop)


def _off_arrears(tx: Tx, shop: Shop, key: str, amount: Money, clause: str, case: Case | None = None) -> None:
    deposit, arrears = (shop_account(shop.id, kind) for kind in (AccountKind.DEPOSIT, AccountKind.ARREARS))
    case_id, reason = case.id if case else None, "deposit.set_off"
    ledger.post(tx, key, debit=deposit, credit=arrears, amount=amount, reason=reason, clause=clause, case_id=case_id)


def set_off_arrears(tx: Tx, shop: Shop, case: Case, key: str) -> Money:
    """Take what the shop owes in our books from its deposit, as far as that goes, before anything is paid (ambiguity 29)."""
    owed = shop_balance(tx, shop.id, AccountKind.ARREARS)
    amount = Money(fen=min(owed.fen, shop_balance(tx, shop.id, AccountKind.DEPOSIT).fen))
    _off_arrears(tx, shop, key, amount, "REF-8", case)
    if amount:
        audit.record(
            tx,
            case.id,
            "deposit.set_off",
            clause="REF-8",
            public=True,
            text=f"退款前以保证金抵扣欠款 {amount}",
            key=key,
        )
    return amount


def paid_in(tx: Tx, shop_id: str) -> tuple[list[PaidIn], bool]:
    """The shop's deposit payments that go back the way they came, oldest first; and whether there were others (REF-8)."""
    ways = {method.value: method for method in SAME_CHANNEL}
    rows = list(_payments(tx, shop_id))
    through = [row for row in rows if row.channel in ways]
    back = [
        PaidIn(
            method=ways[row.channel],
            fen=row.amount_fen,
            account_no=opened(row, "payer_sealed") if row.payer_sealed else "",
            name=opened(row, "payer_name_sealed") if row.payer_name_sealed else "",
        )
        for row in through
    ]
    return back, len(through) < len(rows) or not rows


@prepared
def _payments(shop_id: str) -> SelectOfScalar[DepositPayment]:
    of_shop = select(DepositPayment).where(DepositPayment.shop_id == shop_id)
    return of_shop.order_by(col(DepositPayment.paid_at), col(DepositPayment.id))


PROCESS = Process(
    name="deposit",
    hears={DepositPaid: shops.about_shop(pay), DepositSetOff: shops.about_shop(set_off)},
)
