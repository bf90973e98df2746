"""An invoice is accepted, and a month released, on what whoever said yes has seen (INV-1, INV-2, ambiguity 23)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from models.cases import Case
from office.base.settings import settings
from tests.deaths import Died, mortal
from tests.invoicing import kit
from tests.invoicing.kit import at, billed, item, open_month, record, send_invoice, statement
from tests.play import Office
from tests.reading import read


def doubtful(office: Office) -> tuple[Case, str]:
    billed(office)
    office.open_shop("shop-2")
    sent = send_invoice(office, **kit.DOUBTFUL)
    return kit.review_of(office), sent.number


def another_shop_sends_the_same_number(office: Office, number: str) -> None:
    send_invoice(office, shop_id="shop-2", number=number)


def its_file_is_lost(office: Office, number: str) -> None:
    (file,) = kit.invoices()[0].evidence
    (settings().home / "evidence" / file["sha256"][:2] / file["sha256"]).unlink()


NEWS = pytest.mark.parametrize(
    ("happens", "sentence"),
    [(another_shop_sends_the_same_number, "另一家店铺提交过相同号码"), (its_file_is_lost, "丢失或已损坏")],
)


@NEWS
def test_what_comes_before_the_clerks_yes_is_shown_first(
    office: Office, happens: Callable[[Office, str], None], sentence: str
) -> None:
    case, number = doubtful(office)
    shown = office.question(case)
    happens(office, number)
    assert not office.answer(shown, "xu-jing", "ACCEPT", "已电话核实").accepted
    assert statement().state == "ISSUED"


@NEWS
def test_what_comes_between_the_clerks_yes_and_the_act_asks_the_clerk_again(
    office: Office, happens: Callable[[Office, str], None], sentence: str
) -> None:
    case, number = doubtful(office)
    with mortal(lambda when, key: when == "before" and "invoices.accept_by_clerk" in key), pytest.raises(Died):
        office.decide(case, "xu-jing", "ACCEPT", "已电话核实")
    happens(office, number)
    office.clock.advance(timedelta(seconds=61))
    office.settle()
    again = office.question(case)
    assert (again.gate, again.round) == ("invoice-review", 2) and statement().state == "ISSUED"
    assert "自您上次查看以来的变化" in read(again) and sentence in read(again)
    office.decide(case, "xu-jing", "RETURN", "请重新提交")
    assert office.case(case.id).outcome == "RETURNED"
    kit.books_agree(office)


def test_a_second_yes_over_what_is_new_accepts_it(office: Office) -> None:
    case, number = doubtful(office)
    with mortal(lambda when, key: when == "before" and "invoices.accept_by_clerk" in key), pytest.raises(Died):
        office.decide(case, "xu-jing", "ACCEPT", "已电话核实")
    another_shop_sends_the_same_number(office, number)
    office.clock.advance(timedelta(seconds=61))
    office.settle()
    office.decide(case, "xu-jing", "ACCEPT", "另一家误填,已核实")
    assert office.case(case.id).outcome == "ACCEPTED" and statement().state == "INVOICED"
    kit.books_agree(office)


def test_a_month_is_issued_as_both_saw_it_whatever_comes_between_them(office: Office) -> None:
    """A draft is closed when it is shown: what comes later is the next month's and changes nothing of it."""
    for n in range(1, 23):
        office.open_shop(f"shop-{n}")
    record(office, *(item(f"shop-{n}", fen=-1) for n in range(2, 23)), item("shop-1", 9_000))
    at(office, 2026, 12, 1, 2)
    case = open_month(office)
    office.decide(case, "wang-fang", "RELEASE")
    seen = office.question(case)
    record(office, item("shop-1", 500))
    office.sweep()
    assert (office.question(case).gate, office.question(case).revision) == ("invoicing-second", seen.revision)
    office.decide(case, "chen-jie", "CONFIRM")
    assert office.case(case.id).outcome == "ISSUED" and statement().total_fen == 9_000
    kit.books_agree(office)
