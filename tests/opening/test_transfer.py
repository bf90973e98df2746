"""The random transfer: who has the account reads the amount there; tries, windows, returns and a person's word (OPN-10)."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest

from models.books import AccountKind
from models.messages import Channel
from models.opening import Stage, TransferState
from office.base.db import reading
from office.cases.markdown import markdown
from office.files import evidence
from office.money.ledger import BooksForged
from policies.opening import pick_amount, read_amount
from policies.policy import policy_at
from tasks.opening import transfer, tries
from tasks.sight import proof
from tests.core.sql import write
from tests.opening.bench import Applicant, amount, bank, enter, enterprise, right, wrong
from tests.play import SILENCE, START, Office

NUMBERS = policy_at(START).opening


def state(applicant: Applicant, number: int = 1) -> TransferState:
    with reading() as tx:
        row = tries.find(tx, applicant.case.id, number)
        assert row is not None
        return row.state


def proved(office: Office) -> list[str]:
    with reading() as tx:
        found = list(proof.check(tx))
    return [*office.books(), *office.chains(), *found]


def test_an_enterprise_is_verified_by_the_amount_it_finds_on_its_account(office: Office) -> None:
    """OPN-9, OPN-10: form, transfer, the right amount, then logo and links."""
    applicant = enterprise(office)
    assert applicant.now.state == "PAYING" and applicant.stage is Stage.TRANSFER
    bank(applicant)
    enter(applicant, right(applicant))
    assert state(applicant) is TransferState.VERIFIED and applicant.stage is Stage.FINISHING
    assert office.message("opening_amount_taken")["verified"] is True
    assert proved(office) == []
    applicant.finishing()
    applicant.approve()
    office.pay_deposit("shop-1", 400_000)
    assert applicant.now.state == "AWAITING_PAYMENT", "the certification fee is owed beside the deposit"
    office.pay_deposit("shop-1", 60_000, purpose="CERTIFICATION_FEE")
    assert applicant.now.outcome == "OPENED"
    assert office.platform_balance(AccountKind.CERTIFICATION) == 60_000 and proved(office) == []


def test_what_really_left_is_in_the_books_when_the_amount_is_no_secret_any_more(office: Office) -> None:
    """OPN-10: covered by 0.99 until it was entered, exactly the amount from then on, paid from the platform's own money."""
    applicant = enterprise(office)
    bank(applicant)
    before = office.platform_balance(AccountKind.OWN_FUNDS)
    fen = amount(applicant)
    enter(applicant, right(applicant))
    assert office.platform_balance(AccountKind.OWN_FUNDS) - before == 99 - fen
    assert proved(office) == []


def test_the_platforms_own_money_leaves_only_if_we_put_it_there(office: Office) -> None:
    write("INSERT INTO account (id, kind, debit_fen, credit_fen) VALUES ('platform/own-funds', 'own-funds', 0, 99)")
    with pytest.raises(BooksForged, match="own-funds"):
        enterprise(office)


def test_three_wrong_amounts_end_a_transfer_and_two_transfers_bring_a_person(office: Office) -> None:
    """OPN-10: tries are told; the second amount is another one; then finance decides."""
    applicant = enterprise(office)
    bank(applicant)
    for by in (1, 2):
        enter(applicant, wrong(applicant, by=by))
        assert state(applicant) is TransferState.ARRIVED
    assert [event["tries_left"] for event in office.events("opening.transfer.updated")][-2:] == [2, 1]
    enter(applicant, wrong(applicant, by=3))
    assert state(applicant) is TransferState.WRONG and state(applicant, 2) is TransferState.SENT
    assert amount(applicant, 2) != amount(applicant, 1)
    enter(applicant, right(applicant))  # the first one's amount, too late
    assert state(applicant, 2) is TransferState.SENT
    bank(applicant, 2)
    for by in (1, 2, 3):
        enter(applicant, wrong(applicant, 2, by))
    question = office.question(applicant.case)
    assert question.gate == "opening-transfer" and question.roles == ["finance"]
    outcome = office.answer(question, "wang-fang", "PROVED", "已核对开户证明")
    assert not outcome.accepted and "未收到银行证明文件" in outcome.sentence
    own = evidence.stage("shop-1", "回单.pdf", io.BytesIO(b"%PDF-1.7 drawn by the applicant")).id
    outcome = office.answer(question, "wang-fang", "PROVED", "已核对开户证明", paper=own)
    assert not outcome.accepted and "不是由银行或财务上传的" in outcome.sentence
    office.decide(applicant.case, "wang-fang", "PROVED", "已核对开户证明", paper=office.bank_proof()["paper"])
    assert applicant.stage is Stage.FINISHING and proved(office) == []


@pytest.mark.parametrize(
    "text", ["", "三角七分", "0.375", "abc", "-0.37", "0,37", "0.37 0.38", "9" * 60, "0", "5.00", "37"]
)
def test_a_text_that_is_no_amount_costs_no_try(office: Office, text: str) -> None:
    """OPN-10, ambiguity 44: nor does one that cannot have been sent."""
    applicant = enterprise(office)
    bank(applicant)
    enter(applicant, text)
    with reading() as tx:
        row = tries.find(tx, applicant.case.id, 1)
        assert row is not None and row.tries == 0
    assert "不计次数" in office.refusals()[-1][1]
    enter(applicant, right(applicant))
    assert state(applicant) is TransferState.VERIFIED


@pytest.mark.parametrize("text, fen", [
    ("0.37", 37), ("¥0.37", 37), ("0.37元", 37), ("０．３７ 元", 37), ("0.370", 37), ("0.3", 30), ("37", 3700), ("人民币0.01", 1),
    ("0.375", None), ("", None), ("-0.37", None), ("1e-1", None), ("0.37;0.38", None),
])  # fmt: skip
def test_amounts_are_read_as_people_type_them(text: str, fen: int | None) -> None:
    """OPN-10."""
    assert read_amount(text) == fen


def test_every_amount_but_the_last_is_as_likely(office: Office) -> None:
    """OPN-10: 0.01 to 0.99, never the same twice running."""
    drawn = [pick_amount(NUMBERS, 37, lambda n, at=at: at) for at in range(98)]  # type: ignore[misc]
    assert drawn == [fen for fen in range(1, 100) if fen != 37]


@pytest.mark.parametrize("seconds, taken", [(-1, True), (0, True), (1, False)])
def test_the_amount_can_be_entered_for_seven_days_from_the_banks_report(
    office: Office, seconds: int, taken: bool
) -> None:
    """OPN-10, ambiguity 44: to the second; then the application lapses, and what was brought stays."""
    applicant = enterprise(office)
    office.pass_time(days=2)
    bank(applicant)
    due = office.deadline(applicant.case, "opening-amount/1")
    assert due.due_at - office.clock.at == timedelta(days=7)
    office.clock.at = due.due_at + timedelta(seconds=seconds)
    enter(applicant, right(applicant))
    assert (state(applicant) is TransferState.VERIFIED) is taken
    office.pass_time(seconds=SILENCE.total_seconds() + 1)
    if not taken:
        assert applicant.now.outcome == "LAPSED" and applicant.now.outcome_clause == "OPN-10"
        assert state(applicant) is TransferState.EXPIRED
        in_the_sweep(office)
        assert proved(office) == []
        applicant.apply()
        assert applicant.missing() == []


def in_the_sweep(office: Office) -> None:
    assert transfer.sweep() == 1 and transfer.sweep() == 0


def test_a_late_entry_counts_by_when_it_reached_the_door(office: Office) -> None:
    """OPN-10: it was in the inbox at the last second, and is read after it."""
    applicant = enterprise(office)
    bank(applicant)
    office.clock.at = office.deadline(applicant.case, "opening-amount/1").due_at
    office.receive("opening.amount_entered", applicant.own() | {"amount": right(applicant)})
    office.pass_time(minutes=10)
    assert state(applicant) is TransferState.VERIFIED


@pytest.mark.parametrize("what", ["returned", "failed"])
def test_what_the_bank_returns_costs_nothing_and_goes_back_to_the_merchant(office: Office, what: str) -> None:
    """OPN-10, ambiguity 44: no try, none of the two transfers; another account, another amount."""
    applicant = enterprise(office)
    bank(applicant, what=what, reason="户名与账号不符")
    assert (
        applicant.missing() == ["ACCOUNT"]
        and "户名与账号不符" in office.message("opening_transfer_returned")["bank_reason"]
    )
    applicant.account_given(account_no="3301040160000125678")
    assert state(applicant, 2) is TransferState.SENT
    bank(applicant, 2)
    for by in (1, 2, 3):
        enter(applicant, wrong(applicant, 2, by))
    assert state(applicant, 3) is TransferState.SENT, "the returned one was none of the two"
    bank(applicant, 3)
    enter(applicant, right(applicant, 3))
    assert state(applicant, 3) is TransferState.VERIFIED and proved(office) == []


def test_a_fresh_application_does_not_start_counting_anew(office: Office) -> None:
    """OPN-10, ambiguity 44: tries count per account and per bank account, over every application."""
    applicant = enterprise(office)
    bank(applicant)
    for by in (1, 2, 3):
        enter(applicant, wrong(applicant, by=by))
    applicant.send("opening.withdrawn")
    assert applicant.now.outcome == "WITHDRAWN"
    other = enterprise(office, "shop-2", owner="acct-other")  # another account, the same bank account
    bank(other)
    for by in (1, 2, 3):
        enter(other, wrong(other, by=by))
    assert office.question(other.case).gate == "opening-transfer", "six wrong amounts to this bank account"


def test_an_individual_business_is_verified_only_by_an_account_it_gave(office: Office) -> None:
    """OPN-10, ambiguity 44: no form; the account may be in the operator's own name."""
    applicant = Applicant(office, "INDIVIDUAL_BUSINESS")
    applicant.materials()
    applicant.approve()
    assert applicant.stage is Stage.FINISHING
    other = Applicant(office, "INDIVIDUAL_BUSINESS", "shop-2")
    other.basics("清风文具")
    other.entity_info()
    other.account_given(name="林晓")
    other.papers(*other_papers())
    other.training()
    other.approve()
    assert other.stage is Stage.TRANSFER
    bank(other)
    enter(other, right(other))
    assert other.stage is Stage.FINISHING


def other_papers() -> list[dict[str, object]]:
    from tests.opening.bench import IDENTITY, LICENCE, PRODUCTS

    return [LICENCE, IDENTITY, PRODUCTS]


def test_the_account_is_the_licences_own(office: Office) -> None:
    """OPN-10: brackets and blanks make no other name, another company does."""
    applicant = Applicant(office, "ENTERPRISE")
    applicant.materials()
    applicant.approve()
    applicant.account_given(name="另一家公司")
    assert office.refusals()[-1] == ("OPN-10", "对公账户户名须与营业执照名称一致")
    applicant.account_given(method="BANK_CARD")
    assert office.refusals()[-1][0] == "OPN-10"


def test_signature_and_seal_are_confirmed_apart(office: Office) -> None:
    """OPN-9: one tick is not two."""
    applicant = Applicant(office, "ENTERPRISE")
    applicant.materials()
    applicant.approve()
    applicant.certificate()
    for ticks in ({}, {"signature": True}, {"seal": True}):
        outcome = office.answer(office.question(applicant.case), "tang-yu", "APPROVE", "同意", **ticks)
        assert not outcome.accepted and "OPN-9" in outcome.sentence
    applicant.approve(signature=True, seal=True)
    assert applicant.stage is Stage.TRANSFER


def test_nothing_is_approved_for_the_shop_before_the_account_is_verified(office: Office) -> None:
    """OPN-11: logo and links are not even taken, and there is no question to answer."""
    applicant = enterprise(office)
    applicant.links()
    assert office.refusals()[-1][0] == "OPN-11"
    assert [review.gate for review in office.reviews(applicant.case)] == ["opening-entity", "opening-certificate"]


def test_finance_hears_of_a_bank_that_says_nothing(office: Office) -> None:
    """OPN-10: and the merchant's days have not begun."""
    applicant = enterprise(office)
    office.pass_time(days=6)
    assert office.staff_told("opening_transfer_silent")[0] == "finance"
    assert applicant.now.outcome is None


def test_money_that_comes_back_after_the_amount_was_right_is_in_the_books(office: Office) -> None:
    applicant = enterprise(office)
    bank(applicant)
    enter(applicant, right(applicant))
    bank(applicant, what="returned", reason="账户已销户")
    assert applicant.stage is Stage.FINISHING and proved(office) == []
    (told,) = office.messages("payment_came_back", Channel.STAFF)  # the account may be no good after all
    assert "已凭这笔打款通过验证" in told["then"] and told["bank_reason"] == "账户已销户"


@pytest.mark.parametrize("what", ["failed", "returned"])
def test_a_transfer_that_comes_back_when_its_application_is_over_is_told_to_finance(office: Office, what: str) -> None:
    """OPN-10: without the amount, which is nobody's to read yet."""
    applicant = enterprise(office)
    office.send("opening.withdrawn", applicant.own())
    bank(applicant, what=what)
    (told,) = office.messages("payment_came_back", Channel.STAFF)
    assert (told["amount"], told["case_id"]) == ("金额保密", applicant.case.id) and "无需再次打款" in told["then"]
    assert proved(office) == []


def test_a_transfer_that_arrives_when_its_application_is_over_is_told_and_in_the_books_as_it_left(
    office: Office,
) -> None:
    """OPN-10: it is the applicant's, and nobody is asked for it any more."""
    applicant = enterprise(office)
    office.send("opening.withdrawn", applicant.own())
    bank(applicant)
    (told,) = office.messages("payment_came_back", Channel.STAFF)
    assert (told["amount"], told["arrived"]) == ("金额保密", True) and "不收回" in told["then"]
    transfer.sweep()
    assert office.platform_balance(AccountKind.OWN_FUNDS) == 99 - amount(applicant)
    assert proved(office) == [] and not office.messages("opening_amount_asked")
    bank(applicant, what="returned")
    assert len(office.messages("payment_came_back", Channel.STAFF)) == 2 and proved(office) == []


def test_whoever_decides_is_shown_no_amount(office: Office) -> None:
    """OPN-10."""
    applicant = enterprise(office)
    for number in (1, 2):
        bank(applicant, number)
        for by in (1, 2, 3):
            enter(applicant, wrong(applicant, number, by))
    shown = markdown(office.question(applicant.case).dossier)
    assert right(applicant) not in shown and right(applicant, 2) not in shown and "第 2 笔" in shown


def test_an_account_given_before_the_business_was_named_is_looked_at_by_the_review(office: Office) -> None:
    """OPN-10: nothing was known against it when it came; nobody approves over it."""
    applicant = Applicant(office, "INDIVIDUAL_BUSINESS")
    applicant.account_given(name="另一家公司")
    applicant.materials()
    outcome = office.answer(office.question(applicant.case), "tang-yu", "APPROVE", "同意")
    assert not outcome.accepted and "户名" in outcome.sentence
    applicant.ask_again("对公账户:户名不一致")
    applicant.account_given(name="林晓")
    applicant.approve()
    assert state(applicant) is TransferState.SENT
