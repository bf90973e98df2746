"""Where a shop's receivables are paid, and whether that account is its own under the names it has now (STL-1, REF-5)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from models.payouts import Payee, PayeeMethod
from models.settlement import SettlementAccount
from models.shops import Shop
from office.base.db import Tx
from office.base.vault import opened_json
from policies.payees import Holder
from policies.policy import policy_at
from policies.text import same_name


def holder_of(shop: Shop) -> Holder:
    return Holder(entity=shop.entity_type, licence_name=shop.licence_name, owner_name=shop.owner_name)


SINCE = "since"
"""Under which name it lies sealed with an account since when it is the shop's; earlier versions sealed none."""


def payee_of(account: SettlementAccount) -> Payee:
    return read(opened_json(account, "payee_sealed"))[0]


def read(sealed: dict[str, Any]) -> tuple[Payee, datetime | None]:
    """The account, and since when it is the shop's: no row that SQL wrote makes one rest that came just now."""
    since = sealed.get(SINCE)
    payee = Payee.model_validate({name: value for name, value in sealed.items() if name != SINCE})
    return payee, datetime.fromisoformat(since) if since else None


def resting(tx: Tx, since: datetime | None) -> bool:
    """Whether an account came too lately for money to go there, by what lies sealed with it."""
    return since is not None and since > tx.now - timedelta(hours=policy_at(tx.now).settlement.account_rest_hours)


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
