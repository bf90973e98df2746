"""What our own people look for and at: a shop with everything of it, and the place that a number stands for. Looks only."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import col, func, or_, select

from models.arbitration import Arbitration, Ruling
from models.base import Frozen
from models.books import Account
from models.cases import Case
from models.evidence import EvidenceItem
from models.invoicing import Invoice, Statement
from models.payouts import Payout
from models.reviews import Review
from models.shops import Penalty, Shop
from models.views import BoundAccountView
from office.base.db import Tx
from tasks.shops import penalties
from tasks.sight.accounts import accounts_of

MOST = 50
"""Rows of one kind that a page lists, and says when there are more."""
MONTHS = 12
"""Statements that a shop's page lists."""


class ShopShown(Frozen):
    """A shop as our people see it. Sums in fen."""

    model_config = Frozen.model_config | {"arbitrary_types_allowed": True}

    shop: Shop
    cases: tuple[Case, ...]
    balances: tuple[tuple[str, int], ...]
    penalties: tuple[Penalty, ...]
    statements: tuple[Statement, ...]
    accounts: tuple[BoundAccountView, ...] = ()
    """Those that are the shop's now (BND-15)."""
    more_cases: int = 0
    more_statements: int = 0
    """How many there are besides those that are here."""


def shop(tx: Tx, shop_id: str) -> ShopShown | None:
    """A shop with its cases, its money, its penalties and its latest statements."""
    found = tx.get(Shop, shop_id)
    if found is None:
        return None
    open_first = col(Case.concluded_at).is_not(None)
    cases = select(Case).where(Case.shop_id == shop_id).order_by(open_first, col(Case.received_at).desc()).limit(MOST)
    accounts = select(Account).where(Account.shop_id == shop_id).order_by(col(Account.id))
    statements = (
        select(Statement).where(Statement.shop_id == shop_id).order_by(col(Statement.period).desc()).limit(MONTHS)
    )
    every_case = tx.exec(select(func.count()).select_from(Case).where(Case.shop_id == shop_id)).one()
    every_statement = tx.exec(select(func.count()).select_from(Statement).where(Statement.shop_id == shop_id)).one()
    return ShopShown(
        shop=found,
        cases=tuple(tx.exec(cases)),
        penalties=penalties.of_shop(tx, shop_id),
        balances=tuple((one.kind.label, one.balance_fen) for one in tx.exec(accounts)),
        statements=tuple(tx.exec(statements)),
        accounts=accounts_of(tx, shop_id),
        more_cases=max(every_case - MOST, 0),
        more_statements=max(every_statement - MONTHS, 0),
    )


def place_of(tx: Tx, given: str) -> tuple[str, str] | None:
    """The page an exact number stands for: ``r`` a question, ``c`` a case, ``s`` a shop, with its id."""
    number = given.strip()[:64]
    if not number:
        return None
    for kind, table in (("c", Case), ("r", Review), ("s", Shop)):
        if tx.get(table, number) is not None:
            return kind, number
    if payout := tx.get(Payout, number):
        return "c", payout.case_id
    if (invoice := tx.exec(select(Invoice).where(Invoice.number == number)).first()) is not None:
        return ("c", invoice.case_id) if invoice.case_id else ("s", invoice.shop_id)
    found = tx.get(Ruling, number) or tx.get(Arbitration, number) or tx.get(EvidenceItem, number)
    return ("s", found.shop_id) if found is not None else None


def matching(tx: Tx, words: str) -> Sequence[Shop]:
    """Shops whose name, licence or credit code holds these words; one more than :data:`MOST` where there are more."""
    wanted = words.strip()
    if not wanted:
        return ()
    holds = (col(part).contains(wanted, autoescape=True) for part in (Shop.name, Shop.licence_name, Shop.uscc))
    return list(tx.exec(select(Shop).where(or_(*holds)).order_by(col(Shop.name)).limit(MOST + 1)))
