"""What comes between two people and their act, tried once more for every act that moves receivables (ambiguities 23, 24, 38)."""

from __future__ import annotations

import pytest

from models.books import AccountKind
from models.cases import Case
from tests.invoicing import kit as invoicing
from tests.play import Office
from tests.settlement import kit
from tests.settlement.kit import confirm, on_first_of_december, order, ours, run

MUCH = 2_000_000
"""More than one person may pay again (10,000.00)."""


def one_would_pay_again(office: Office) -> Case:
    """Much came back from the bank, and the first of two people would pay it once more."""
    ours(office)
    confirm(office, order(goods=MUCH + 550))
    on_first_of_december(office)
    run(office)
    kit.bank(office, kit.payments(office)[0], "returned", "收款账户已销户")
    case = kit.return_case()
    office.decide(case, "wang-fang", "AGAIN")
    assert office.question(case).gate == "settlement-returned-second"
    return case


def another_account(office: Office) -> None:
    kit.set_account(office, account_no="3301040160000555555")


def arrears(office: Office) -> None:
    kit.owe(office, 5_000)


def a_ban(office: Office) -> None:
    office.propose_forced_closure()


def a_contradiction(office: Office) -> None:
    office.bank("STR-NOBODY-P1", fen=100)


@pytest.mark.parametrize("comes", [another_account, arrears, a_ban, a_contradiction])
def test_what_comes_before_the_second_person_takes_a_second_payout_back_to_the_first(
    office: Office, comes: object
) -> None:
    """STL-1: whose account it is, what is paid of it, and what stands in the way."""
    case = one_would_pay_again(office)
    comes(office)  # type: ignore[operator]
    question = office.question(case)
    assert (question.gate, question.round) == ("settlement-returned", 2)
    assert len(kit.payments(office)) == 1
    kit.sound(office)


@pytest.mark.parametrize("comes", [another_account, arrears, a_ban, a_contradiction])
def test_what_comes_while_a_second_payout_waits_for_facts_has_both_decide_again(office: Office, comes: object) -> None:
    """Ambiguities 23 and 27: both have said yes, the platform has not answered yet."""
    case = one_would_pay_again(office)
    office.platform_answers = False
    office.pass_time(hours=25)
    office.decide(case, "chen-jie", "CONFIRM")
    assert len(kit.payments(office)) == 1
    comes(office)  # type: ignore[operator]
    office.snapshot()
    question = office.question(case)
    assert (question.gate, question.round) == ("settlement-returned", 2)
    assert len(kit.payments(office)) == 1
    kit.sound(office)


@pytest.mark.parametrize("comes", [a_ban, a_contradiction, another_account])
def test_what_comes_while_a_half_waits_for_facts_holds_the_shop(office: Office, comes: object) -> None:
    """Ambiguities 24, 27 and 38: released, and not posted yet."""
    ours(office)
    confirm(office, order(goods=MUCH + 550))
    on_first_of_december(office)
    office.platform_answers = False
    run(office)
    assert kit.payments(office) == []
    comes(office)  # type: ignore[operator]
    office.snapshot()
    assert kit.payments(office) == [] and office.balance(AccountKind.RECEIVABLE) == MUCH
    kit.sound(office)


def test_what_an_accepted_invoice_frees_of_a_banned_shop_is_held_at_once(office: Office) -> None:
    """INV-12, DED-7: a share that was frozen before the ban comes free after it, and goes nowhere but to two people."""
    office.open_shop()
    invoicing.record(office, invoicing.item(fen=9_000))
    kit.at(office, 2026, 12, 1, 2)
    invoicing.issue_month(office)
    invoicing.settle_receivable(office, 10_000)
    invoicing.after_due(office, invoicing.statement(), 60)
    assert office.balance(AccountKind.RECEIVABLE_FROZEN) == 2_700
    proposal = office.propose_forced_closure()
    office.decide(proposal, "li-na", "CONFIRM", "售假属实")
    office.decide(proposal, "he-qiang", "CONFIRM", "售假属实")
    banned = office.balance(AccountKind.RECEIVABLE_BANNED)
    invoicing.send_invoice(office, 9_000, issued_on="2026-12-02")
    assert office.balance(AccountKind.RECEIVABLE) == 0
    assert office.balance(AccountKind.RECEIVABLE_BANNED) + office.balance(AccountKind.RECEIVABLE_FROZEN) == 10_000
    assert office.balance(AccountKind.RECEIVABLE_BANNED) > banned
    assert office.chains() == []
