"""Whoever decides about money is shown what has changed before they answer, also what time alone has changed (ambiguity 23)."""

from __future__ import annotations

from datetime import timedelta

from models.books import AccountKind
from tasks.settlement import returns
from tests.play import Office
from tests.reading import read
from tests.settlement import kit
from tests.settlement.kit import NET, confirm, on_first_of_december, order, ours, run


def test_an_account_that_has_rested_is_shown_and_the_first_answer_counts(office: Office) -> None:
    """STL-1: nothing but time ends the rest, and finance needs no second attempt."""
    case = kit.sent_back(office)
    kit.set_account(office, account_no="3301040160000999999")
    resting = office.question(case)
    assert "收款账户变更未满规定时间" in read(resting)
    office.pass_time(hours=23, minutes=59)
    assert returns.look_again() == 0 and office.question(case).revision == resting.revision
    office.pass_time(minutes=2)
    assert returns.look_again() == 1
    office.settle()
    assert returns.look_again() == 0
    assert "收款账户变更未满规定时间" not in "".join(read_blocking(office, case.id))
    office.decide(case, "wang-fang", "AGAIN", "账户已核实")
    assert [one["amount_fen"] for one in kit.payments(office)] == [NET, NET]
    kit.sound(office)


def read_blocking(office: Office, case_id: str) -> list[str]:
    return [one["sentence"] for one in (office.question(case_id).seen or {}).get("blocking", ())]


def test_a_proposed_ban_is_shown_anew_when_a_half_a_deduction_or_the_bank_changes_the_shops_money(
    office: Office,
) -> None:
    """CLS-10, DED-6, DED-7: what it would forfeit and freeze, before anybody answers; no approval is undone by it."""
    ours(office)
    confirm(office, order())
    on_first_of_december(office)
    half = kit.draft(office)
    proposal = office.propose_forced_closure()
    office.decide(proposal, "li-na", "CONFIRM", "三批次均为假冒")
    before = office.question(proposal)
    office.decide(half, "wang-fang", "RELEASE")
    assert office.balance(AccountKind.RECEIVABLE) == NET
    drawn = office.question(proposal)
    assert drawn.revision == before.revision + 1 and "¥94.50" in read(drawn)
    kit.owe(office, 5_000)
    gone = office.question(proposal)
    assert gone.revision == drawn.revision + 1 and "¥0.00" in read(gone)
    office.pay_deposit("shop-1", 700)
    assert "¥7.00" in read(office.question(proposal))
    office.decide(proposal, "he-qiang", "CONFIRM", "同意")
    assert office.case(proposal.id).outcome == "FORCED_CLOSED"
    kit.sound(office)


def test_money_of_a_banned_shop_is_decided_about_with_the_arrears_it_has_now(office: Office) -> None:
    """DED-7, DED-9: also a deduction is shown before anybody answers."""
    ours(office)
    confirm(office, order())
    on_first_of_december(office)
    proposal = office.propose_forced_closure()
    office.decide(proposal, "li-na", "CONFIRM", "三批次均为假冒")
    office.decide(proposal, "he-qiang", "CONFIRM", "同意")
    run(office)
    held = office.latest()
    office.clock.advance(timedelta(seconds=1))
    before = office.question(held)
    kit.owe(office, -399_000)
    assert office.question(held).revision == before.revision + 1 and "¥10.00" in read(office.question(held))
    office.decide(held, "wang-fang", "RELEASE", "货款为正常经营所得")
