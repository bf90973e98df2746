"""Where a shop's receivables are paid, and whether that account is its own under the names it has now (STL-1, REF-5)."""

from __future__ import annotations

from models.payouts import Payee, PayeeMethod
from models.settlement import SettlementAccount
from models.shops import Shop
from office.base.db import Tx
from office.base.vault import opened_json
from policies.payees import Holder
from policies.text import same_name


def holder_of(shop: Shop) -> Holder:
    return Holder(entity=shop.entity_type, licence_name=shop.licence_name, owner_name=shop.owner_name)


def payee_of(account: SettlementAccount) -> Payee:
    return Payee.model_validate(opened_json(account, "payee_sealed"))


def fits(payee: Payee, holder: Holder) -> bool:
    """Whether the account is the shop's own: the licence's corporate account, or one in the owner's name (REF-5)."""
    if holder.company:
        return payee.method is PayeeMethod.CORPORATE_ACCOUNT and same_name(payee.name, holder.licence_name)
    return any(same_name(payee.name, name) for name in (holder.owner_name, holder.licence_name) if name)


def look(tx: Tx, shop: Shop) -> None:
    """The shop's names or kind have changed: its account is its own under the new ones, or is not any more."""
    account = tx.get(SettlementAccount, shop.id)
    if account is not None:
        account.fits = fits(payee_of(account), holder_of(shop))
        tx.add(account)
