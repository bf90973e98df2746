"""Any kind of case that says how it pays is paid by the same port: many accounts, each once; amounts nobody may read."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from sqlmodel import select

from models.audit import AuditEntry
from models.base import new_id
from models.books import AccountKind
from models.cases import Case, CaseKind, CaseState
from models.payouts import Order, Payee, PayeeMethod, Payout, PayoutState
from models.refund_events import PayoutRequested
from models.shops import Shop
from office.base.db import Tx, in_transaction, reading
from office.cases.locks import lock_case
from office.money import ledger
from office.process import Pays, Process, open_with
from tasks.payouts import payouts, permits, sources
from tasks.payouts.sources import PermitRefused
from tasks.processes import PROCESSES, open_office
from tasks.sight import proof
from tests.play import Office

SHOPS_OWN, PLATFORMS = AccountKind.DEPOSIT, AccountKind.OWN_FUNDS
CARDS = [
    Payee(method=PayeeMethod.BANK_CARD, name="林晓", account_no=f"62220210010987654{n}", bank_name="") for n in "12"
]
SEEN: list[tuple[PayoutState, PayoutState]] = []


@pytest.fixture
def paying(office: Office) -> Iterator[None]:
    """A demand for deposit that pays: some kind of case that has never paid anything."""
    SEEN.clear()
    pays = Pays(
        asks_bank=PayoutRequested,
        tells=None,
        clause="OPN-10",
        taken=lambda tx, case, payout, before: SEEN.append((before, payout.state)),
    )

    def made(one: Process) -> Process:
        return dataclasses.replace(one, pays=pays, states=(*one.states, CaseState.PAYING))

    open_with([made(one) if one.kind is CaseKind.DEPOSIT_DEMAND else one for one in PROCESSES])
    yield
    open_office()


def some_case(office: Office) -> Case:
    shop_id = office.open_shop()

    def make(tx: Tx) -> Case:
        case = Case(
            id=new_id("DEP", tx.now),
            kind=CaseKind.DEPOSIT_DEMAND,
            shop_id=tx.get_one(Shop, shop_id).id,
            origin="test",
            state=CaseState.UNDER_REVIEW,
            request={},
            policy_version="2026-01-01",
            received_at=tx.now,
            opened_at=tx.now,
            concluded_at=tx.now,
            outcome=CaseState.RESOLVED,  # no story is told about it
        )
        tx.add(case)
        tx.flush()
        return case

    return in_transaction(make)


def pay(case: Case, orders: list[Order], source: AccountKind) -> list[str]:
    def work(tx: Tx) -> list[str]:
        locked = lock_case(tx, case.id)
        permits.grant(tx, locked, orders, ["wang-fang"])
        return [payout.request_no for payout in payouts.instruct(tx, locked, 1, orders, source)]

    return in_transaction(work)


def payout(number: str) -> Payout:
    with reading() as tx:
        row = tx.get_one(Payout, number)
        tx.expunge(row)
        return row


def sound(office: Office) -> None:
    assert office.books() == []
    with reading() as tx:
        assert list(proof.check(tx)) == []


@pytest.mark.both
@pytest.mark.usefixtures("paying")
def test_a_kind_of_case_that_never_paid_pays_two_accounts_once_each(office: Office) -> None:
    case = some_case(office)
    numbers = pay(case, [Order(payee=card, fen=fen) for card, fen in zip(CARDS, (100, 250), strict=True)], SHOPS_OWN)
    sound(office)
    for _ in range(2):
        office.bank(numbers[0], fen=100)
        office.bank(numbers[1], "returned", 250)
    assert [payout(number).state for number in numbers] == [PayoutState.SETTLED, PayoutState.RETURNED]
    assert SEEN == [(PayoutState.REQUESTED, PayoutState.SETTLED), (PayoutState.REQUESTED, PayoutState.RETURNED)]
    with reading() as tx:
        assert ledger.shop_balance(tx, "shop-1", AccountKind.DEPOSIT).fen == 400_000 - 100
    sound(office)


@pytest.mark.usefixtures("paying")
def test_a_case_that_says_nothing_of_paying_pays_nothing(office: Office) -> None:
    closing = office.request_closure(office.open_shop())
    with pytest.raises(PermitRefused):
        pay(closing, [Order(payee=CARDS[0], fen=100)], SHOPS_OWN)


@pytest.mark.usefixtures("paying")
def test_an_amount_that_nobody_may_read_is_booked_under_its_cover_until_it_is_revealed(office: Office) -> None:
    case = some_case(office)
    (number,) = pay(case, [Order(payee=CARDS[0], fen=37, covered_by_fen=99)], PLATFORMS)
    row = payout(number)
    assert (row.amount_fen, row.covered, sources.amount_of(row)) == (99, True, 37)
    assert office.events("deposit.payout.requested")[-1]["amount_fen"] == 37
    office.bank(number, fen=37)
    sound(office)

    def reveal(tx: Tx) -> int:
        return sources.reveal(tx, lock_case(tx, case.id), tx.get_one(Payout, number)).fen

    assert [in_transaction(reveal), in_transaction(reveal)] == [37, 37]
    sound(office)
    with reading() as tx:
        assert own_funds(tx) == 99 - 37
    office.bank(number, "returned", 37)
    sound(office)
    with reading() as tx:
        assert own_funds(tx) == 99


def own_funds(tx: Tx) -> int:
    return ledger.balance(tx, ledger.platform_account(PLATFORMS)).fen


@pytest.mark.usefixtures("paying")
def test_an_amount_revealed_before_the_bank_has_answered_leaves_no_more_than_itself(office: Office) -> None:
    case = some_case(office)
    (number,) = pay(case, [Order(payee=CARDS[0], fen=1, covered_by_fen=99)], PLATFORMS)
    in_transaction(lambda tx: sources.reveal(tx, lock_case(tx, case.id), tx.get_one(Payout, number)))
    office.bank(number, fen=1)
    sound(office)
    with reading() as tx:
        assert own_funds(tx) == 98


@pytest.mark.usefixtures("paying")
def test_a_covered_amount_stands_in_no_line_of_the_record(office: Office) -> None:
    case = some_case(office)
    pay(case, [Order(payee=CARDS[0], fen=83, covered_by_fen=99)], PLATFORMS)
    with reading() as tx:
        rows = [str(row.model_dump()) for row in tx.exec(select(Payout))]
        rows += [str(row.model_dump()) for row in tx.exec(select(AuditEntry).where(AuditEntry.stream == case.id))]
    assert len(rows) > 1 and not [row for row in rows if "0.83" in row or "amount_fen': 83" in row]
