"""The accounts of a shop, for whoever adds up its figures (BND-15), and what a binding link is about (BND-2)."""

from __future__ import annotations

from models.bindings import Binding, BindingKind
from models.cases import DeadlineState
from models.shops import Shop
from models.views import BoundAccountView, ShopAccountsView, TicketView
from office.base.db import Tx, reading
from office.cases import deadlines
from policies.bindings import FOR_EVER, unbinds_from
from policies.deadlines import in_time
from tasks.bindings import official, register
from tasks.bindings.intake import SCAN


class UnknownShop(LookupError):
    """No shop has this id."""


def shop_accounts(shop_id: str) -> ShopAccountsView:
    """Every account that is the shop's at this moment; raises :class:`UnknownShop`."""
    with reading() as tx:
        if tx.get(Shop, shop_id) is None:
            raise UnknownShop(shop_id)
        return ShopAccountsView(shop_id=shop_id, as_of=tx.now, accounts=accounts_of(tx, shop_id))


def accounts_of(tx: Tx, shop_id: str) -> tuple[BoundAccountView, ...]:
    """Every account in force, oldest first."""
    return tuple(_shown(tx, row) for row in register.in_force(tx, shop_id=shop_id))


class UnknownTicket(LookupError):
    """No link holds this."""


def ticket(given: str) -> TicketView:
    """What the link of an official account is about, for whoever holds it; raises :class:`UnknownTicket`."""
    with reading() as tx:
        row = official.of_ticket(tx, given)
        due = deadlines.find(tx, row.case_id, SCAN) if row else None
        if row is None or due is None:
            raise UnknownTicket
        still = due.state is DeadlineState.OPEN and in_time(tx.now, due.due_at)
        shop = tx.get_one(Shop, row.shop_id)
        return TicketView(shop_name=shop.name, open=still, expires_at=due.due_at, warning=FOR_EVER)


def _shown(tx: Tx, row: Binding) -> BoundAccountView:
    bound_at = register.bound_at(row)
    unbinds = unbinds_from(row.kind, bound_at, register.numbers(tx, row))
    return BoundAccountView(
        kind=row.kind,
        kind_label=row.kind.label,
        platform=row.platform,
        platform_label=row.platform.label,
        account_id=row.account_id or "",
        account_name=row.account_name,
        bound_at=bound_at,
        unbind_from=unbinds.due if unbinds else None,
        for_ever=row.kind is BindingKind.OFFICIAL,
        case_id=row.case_id,
    )
