"""What a shop must have paid, what it has, and whether it opens with that (DEP-1 to DEP-5, DEP-10)."""

from __future__ import annotations

from models.books import AccountKind
from models.money import Money
from models.shops import Shop, ShopState
from office.base.db import Tx
from office.money.ledger import shop_balance
from policies.deposit import Missing, NotRecruiting, certification_fee, required_deposit
from policies.policy import policy_at
from tasks.shops import applications


def required(tx: Tx, shop: Shop) -> Money:
    """How much deposit the shop owes in all, by its entity type and categories (DEP-1 to DEP-5)."""
    rules_now = policy_at(tx.now)
    try:
        return required_deposit(shop.entity_type, shop.categories, rules_now)
    except NotRecruiting:  # its categories were recruited when it came: it goes on owing what its entity type owes
        return required_deposit(shop.entity_type, [], rules_now)


def missing(tx: Tx, shop: Shop) -> Missing:
    """What the shop must have paid and has not."""
    fee = certification_fee(shop.entity_type, shop.official_account, shop.certified_until, tx.now, policy_at(tx.now))
    return Missing(required=required(tx, shop), balance=shop_balance(tx, shop.id, AccountKind.DEPOSIT), fee=fee)


def opens(tx: Tx, shop: Shop) -> bool:
    """Whether the shop, which was not open, has now paid everything, and nothing else keeps it from opening."""
    paid = shop.state is ShopState.AWAITING_DEPOSIT and not missing(tx, shop).total
    return paid and not applications.hinders(tx, shop)[1]
