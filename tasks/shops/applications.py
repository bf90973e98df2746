"""The application that a shop is opened by: it waits for the deposit, and is told when the shop opens or does not (OPN-13)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import col, select

from models.cases import Case, CaseKind, CaseState, CaseWait, Finding, WaitState
from models.reviews import Role
from models.shops import Capability, Shop
from notifications.message import Ground
from notifications.opening import OpeningHeld, OpeningPaidNotOpen
from office.base.db import Tx
from office.cases import cases, merchants, reviews
from office.cases.locks import lock_case
from office.process import office
from office.record import outbox
from policies.appeal import SERVICE_HOW
from tasks.shops import capabilities

DEPOSIT = "opening-deposit"
"""The kind of wait of an application for the deposit that opens its shop."""
KINDS = (CaseKind.OPENING, CaseKind.REOPENING)


def of_shop(tx: Tx, shop_id: str) -> Case | None:
    """The application this shop is opened by, locked: the last one that came as far as the deposit and has not opened it."""
    query = (
        select(Case.id)
        .join(CaseWait, col(CaseWait.case_id) == Case.id)
        .where(
            Case.shop_id == shop_id,
            CaseWait.kind == DEPOSIT,
            CaseWait.state != WaitState.ANSWERED,
        )
    )
    found = tx.exec(query.order_by(col(CaseWait.opened_at).desc())).first()
    return lock_case(tx, found) if found else None


def hinders(tx: Tx, shop: Shop) -> tuple[Case | None, Sequence[Finding]]:
    """What keeps the application from opening its shop at this moment, whoever approved it before (ambiguity 23)."""
    application = of_shop(tx, shop.id)
    asks = office().kinds[application.kind].hinders if application else None
    return application, asks(tx, application) if application and asks else ()


def held(tx: Tx, shop: Shop) -> bool:
    """Whether what came up since its last review keeps a shop that has paid from opening; merchant and people are told
    what it is. The sweep looks again."""
    application, found = hinders(tx, shop)
    if application is None or not found:
        return False
    key = f"{application.id}/held/{'-'.join(sorted(finding.code for finding in found))}"
    grounds = tuple(Ground.of(finding) for finding in found)
    told = OpeningHeld(
        shop_name=shop.name,
        case_id=application.id,
        matter=application.kind.label,
        grounds=grounds,
        objection=SERVICE_HOW,
    )
    merchants.tell(tx, told, key, case=application)
    heard = OpeningPaidNotOpen(
        case_id=application.id, subject=shop.name, grounds=grounds, since=tx.now, link=reviews.link_to(application)
    )
    for role in (Role.OPENING_REVIEWER, Role.SUPERVISOR):
        reviews.notify_staff(tx, role, heard, f"{key}/{role}", application)
    return True


def opens(tx: Tx, shop: Shop) -> None:
    """The deposit is fully paid: the shop gets what it can do, one by one in the name of its application if it has one."""
    tx.add(shop)
    application = of_shop(tx, shop.id)
    if application is None:
        shop.capabilities = [capability.value for capability in Capability]
        return
    capabilities.grant(tx, application, shop)
    for wait in cases.waits(tx, application.id, DEPOSIT):
        wait.state, wait.closed_at = WaitState.ANSWERED, tx.now  # also of one that has ended for want of money
        tx.add(wait)
    _wake(tx, application)


def goes_unpaid(tx: Tx, shop: Shop) -> None:
    """Somebody decided that the shop stays closed until it has paid: whoever opens it waits no longer. An open one has none."""
    application = of_shop(tx, shop.id)
    if application is not None:
        for wait in cases.waits(tx, application.id, DEPOSIT):
            cases.close_wait(tx, wait, WaitState.LAPSED)
        _wake(tx, application)


def _wake(tx: Tx, application: Case) -> None:
    if application.concluded_at is None:
        outbox.wake(tx, application)


def end(tx: Tx, shop_id: str, clause: str) -> None:
    """The shop is being closed, or was by force: its application is over."""
    for kind in KINDS:
        for application in cases.open_cases(tx, shop_id, kind):
            locked = lock_case(tx, application.id)
            cases.conclude(tx, locked, CaseState.SUPERSEDED, "店铺进入关店流程,入驻申请终止", clause=clause)
            outbox.wake(tx, locked)
