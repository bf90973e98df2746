"""A matter's row and its money: made, described, taken, given back."""

from __future__ import annotations

from models.arbitration import Arbitration, Conclusion, Handling, MoneyReturn, Ruling, RulingKind
from models.arbitration_events import RulingEffective, RulingRecorded
from models.books import AccountKind
from models.cases import Case
from models.messages import InboxMessage
from models.money import Money
from models.shops import Shop
from office.base.db import Tx
from office.cases import cases
from office.cases.cases import emit
from office.money import ledger
from office.money.ledger import platform_account, shop_account, shop_balance
from office.record import audit
from policies import appeal as rules_of_appeal
from policies.appeal import Split
from policies.policy import policy, policy_at
from tasks.arbitration.rulings import recount
from tasks.invoicing import freezes
from tasks.shops import bans, demands


def give_back(tx: Tx, ruling: Ruling) -> Split:
    """Reverse a deduction by a counter-posting: what had only become arrears is forgiven, the rest goes where it came from.

    A banned shop's goes to its held receivables, of which two people decide. Money that people have decided about stays.
    """
    if not ruling.deduction_fen or tx.get(MoneyReturn, ruling.id) is not None:
        return Split()
    to = Handling.TO_RECEIVABLE if bans.is_banned(tx, ruling.shop_id) else Handling.TO_DEPOSIT
    owed = shop_balance(tx, ruling.shop_id, AccountKind.ARREARS)
    split = rules_of_appeal.split_return(Money(fen=ruling.deduction_fen), Money(fen=ruling.arrears_fen), owed, to)
    post_return(tx, ruling, split, f"reversed/{ruling.posting}", reason="compensation.reversed", clause="DED-5")
    take(ruling, ruling.posting, Money(), Money())
    tx.add(ruling)
    return split


def post_return(
    tx: Tx, ruling: Ruling, split: Split, key: str, *, reason: str, clause: str, case: Case | None = None
) -> None:
    """Give deducted money back as it was split, once per key."""
    for kind, amount in (
        (AccountKind.ARREARS, split.to_arrears),
        (AccountKind.DEPOSIT, split.to_deposit),
        (AccountKind.RECEIVABLE, split.to_receivable),
    ):
        ledger.post(
            tx,
            f"{key}/{kind}",
            debit=platform_account(AccountKind.COMPENSATION),
            credit=shop_account(ruling.shop_id, kind),
            amount=amount,
            reason=reason,
            clause=clause,
            case_id=case.id if case else None,
        )


def money_moved(tx: Tx, shop: Shop) -> None:
    """What came back may be all that was missing, or held by somebody else."""
    freezes.settle_shop(tx, shop.id)
    demands.look(tx, tx.get_one(Shop, shop.id))
    cases.wake_leaving(tx, shop.id)


def new(tx: Tx, message: InboxMessage, shop: Shop, id: str) -> Ruling:
    """What can be appealed against from now on, under the policy in force when it reached us; a deduction as yet."""
    return Ruling(
        id=id,
        kind=RulingKind.DEDUCTION,
        shop_id=shop.id,
        conclusion=Conclusion.MERCHANT_LIABLE,
        decided="",
        effective_at=message.received_at,
        appeal_until=message.received_at,
        recorded_at=tx.now,
        policy_version=policy_at(message.received_at).version,
        source=source(message),
    )


def source(message: InboxMessage) -> str:
    """Who sent it; for Douyin's push also through which of our apps, which is whom an answer goes to."""
    return f"doudian/{message.message_id.split('/')[0]}" if message.source == "doudian" else message.source


def describe(ruling: Ruling, event: RulingEffective, arbitration: Arbitration) -> None:
    """What the arbitration says, written into its row."""
    ruling.kind, ruling.number = RulingKind.RULING, event.ruling_id if ruling.id != event.ruling_id else None
    ruling.conclusion, ruling.decided, ruling.points = event.conclusion, event.decided, event.points
    ruling.buyer_account, ruling.merchant_account = event.buyer_account, event.merchant_account
    ruling.ruled_by, ruling.order_id = event.ruled_by or "", arbitration.order_id
    ruling.arbitration_id, ruling.aftersale_id = arbitration.id, arbitration.aftersale_id


def take(ruling: Ruling, key: str, from_deposit: Money, arrears: Money) -> None:
    """Note the money that stands taken for a ruling, and under which key it stands in the books."""
    ruling.from_deposit_fen, ruling.arrears_fen = from_deposit.fen, arrears.fen
    ruling.deduction_fen = from_deposit.fen + arrears.fen
    ruling.posting = key if ruling.deduction_fen or ruling.posting else ""


def keep(tx: Tx, ruling: Ruling, what: str) -> None:
    """Fix the window, count the ruling in and say so."""
    window = rules_of_appeal.window_of(ruling, policy(ruling.policy_version))
    ruling.appeal_until = window.due
    tx.add(ruling)
    tx.flush()
    recount(tx, ruling.shop_id)
    event = RulingRecorded(
        shop_id=ruling.shop_id,
        ruling_id=ruling.called,
        kind=ruling.kind,
        effective_at=window.start,
        appeal_until=window.due,
        deduction_fen=ruling.deduction_fen,
    )
    emit(tx, event, f"ruling/{ruling.id}/{what}/{ruling.kind.value}", shop_id=ruling.shop_id)
    done = "united" if what.startswith("united/") else what
    audit.record(
        tx,
        f"shop/{ruling.shop_id}",
        f"ruling.{done}",
        actor="platform",
        clause="ARB-2",
        public=True,
        text=f"{ruling.kind.label} {ruling.called} 生效。申诉期限:{window.text()}",
        ruling=ruling.id,
    )
