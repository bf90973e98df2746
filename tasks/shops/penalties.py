"""Penalties of our own books: deductions for violations, and rulings against the shop that are still valid (REF-2, amb. 28)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from models.arbitration import Conclusion, Ruling, RulingKind
from models.books import AccountKind, Transfer
from models.deposits import DeductionReason
from models.shops import Penalty
from office.base.db import Tx, prepared
from office.money.ledger import shop_account, shop_balance

PENALTIES = (
    DeductionReason.RULE_VIOLATION,
    DeductionReason.LATE_SHIPMENT,
    DeductionReason.AFTERSALE_DISPUTE,
    DeductionReason.PRODUCT_VIOLATION,
)
"""DED-1 to DED-4. What paid a buyer in advance (DED-5) is none."""
AGAINST = (Conclusion.MERCHANT_LIABLE, Conclusion.SHARED, Conclusion.UNSTATED)


def of_shop(tx: Tx, shop_id: str) -> tuple[Penalty, ...]:
    """The shop's penalty records, oldest first. A deduction is settled when nothing of the shop's is owed any more."""
    owes = bool(shop_balance(tx, shop_id, AccountKind.ARREARS))
    sides = [shop_account(shop_id, kind) for kind in (AccountKind.DEPOSIT, AccountKind.ARREARS)]
    found: dict[str, Penalty] = {}
    for transfer in _deducted(tx, sides):
        number = transfer.key.removeprefix("deduction/").removesuffix("/arrears")
        to_arrears = transfer.key.endswith("/arrears")
        settled = not (owes and to_arrears) and (number not in found or found[number].settled)
        kind = DeductionReason(transfer.reason).label
        found[number] = Penalty(id=number, kind=kind, settled=settled)
    for ruling in _rulings(tx, shop_id):
        found[ruling.id] = Penalty(
            id=ruling.id, kind=f"仲裁判责:{ruling.conclusion.label}", settled=tx.now > ruling.appeal_until
        )
    return tuple(found.values())


@prepared
def _deducted(sides: Sequence[str]) -> SelectOfScalar[Transfer]:
    reasons = [reason.value for reason in PENALTIES]
    of_sides = select(Transfer).where(col(Transfer.debit_account).in_(sides), col(Transfer.reason).in_(reasons))
    return of_sides.order_by(col(Transfer.posted_at), col(Transfer.key))


@prepared
def _rulings(shop_id: str) -> SelectOfScalar[Ruling]:
    against = select(Ruling).where(
        Ruling.shop_id == shop_id,
        Ruling.kind == RulingKind.RULING,
        col(Ruling.voided_at).is_(None),
        col(Ruling.conclusion).in_(AGAINST),
    )
    return against.order_by(col(Ruling.effective_at), col(Ruling.id))
