"""A bank that pays, or says it paid, another amount than the random one: books and merchant follow its proof (OPN-10, 38)."""

from __future__ import annotations

import pytest
from sqlmodel import func, select

from models.books import AccountKind, Transfer
from models.cases import CaseKind
from models.messages import Channel
from models.money import yuan
from models.opening import TransferState
from office.base.db import reading
from office.record import audit
from tasks.payouts import contradictions
from tests.opening.bench import Applicant, amount, bank, enter, enterprise, right
from tests.opening.test_transfer import in_the_sweep, proved, state
from tests.play import Office


def clear(office: Office, verdict: str) -> None:
    """Finance and a supervisor say what the bank's proof shows."""
    (case,) = [one for one in office.cases() if one.kind is CaseKind.BANK_INQUIRY and one.concluded_at is None]
    office.decide(case, "wang-fang", verdict, "银行出具回单", **office.bank_proof())
    office.decide(case, "he-qiang", "CONFIRM", "已核对")
    assert office.case(case.id).outcome == "RESOLVED"


def other(applicant: Applicant) -> int:
    """An amount that was not the one instructed."""
    return amount(applicant) % 99 + 1


@pytest.fixture
def applicant(office: Office) -> Applicant:
    return enterprise(office)


def left(office: Office) -> int:
    """How much of our own money has left us: what was put in, less what is still there."""
    with reading() as tx:
        put_in = tx.exec(select(func.sum(Transfer.amount_fen)).where(Transfer.reason == "payout.funded")).one()
    return int(put_in) - office.platform_balance(AccountKind.OWN_FUNDS)


def test_what_the_bank_proved_to_have_paid_is_what_the_merchant_finds_and_what_left_us(
    office: Office, applicant: Applicant
) -> None:
    """OPN-10, ambiguity 38"""
    paid, told = other(applicant), amount(applicant)
    bank(applicant, fen=paid)
    assert state(applicant) is TransferState.SENT
    clear(office, "ANSWER")
    assert state(applicant) is TransferState.ARRIVED and proved(office) == []
    enter(applicant, f"0.{told:02d}")
    assert state(applicant) is TransferState.ARRIVED
    enter(applicant, f"0.{paid:02d}")
    assert state(applicant) is TransferState.VERIFIED
    assert left(office) == paid and proved(office) == []
    assert "refund_corrected" not in office.told()  # the platform's own money is none of the merchant's


def test_where_the_difference_is_the_banks_the_amount_stays_the_one_instructed(
    office: Office, applicant: Applicant
) -> None:
    told = amount(applicant)
    bank(applicant, fen=other(applicant))
    clear(office, "FULL")
    enter(applicant, right(applicant))
    assert state(applicant) is TransferState.VERIFIED
    assert left(office) == told and proved(office) == []


def test_more_than_could_be_drawn_is_in_the_books_as_it_left_and_cannot_be_entered(
    office: Office, applicant: Applicant
) -> None:
    bank(applicant, fen=500)
    clear(office, "ANSWER")
    enter(applicant, "5.00")
    assert state(applicant) is TransferState.ARRIVED and "不计次数" in office.refusals()[-1][1]
    office.pass_time(days=8)
    assert applicant.now.outcome == "LAPSED"
    in_the_sweep(office)
    assert left(office) == 500 and proved(office) == []


@pytest.mark.parametrize(("said", "verdict"), [("settled", "ANSWER"), ("failed", "ANSWER"), ("returned", "ANSWER")])
def test_of_an_amount_that_was_entered_the_difference_is_to_what_was_instructed(
    office: Office, applicant: Applicant, said: str, verdict: str
) -> None:
    bank(applicant)
    enter(applicant, right(applicant))
    told, fen = amount(applicant), other(applicant)
    bank(applicant, what=said, fen=fen)
    clear(office, verdict)
    assert left(office) == {"settled": fen, "failed": 0, "returned": told - fen}[said]
    assert proved(office) == []


def test_what_failed_and_was_paid_after_all_has_left_with_what_was_instructed(
    office: Office, applicant: Applicant
) -> None:
    told = amount(applicant)
    bank(applicant, what="failed")
    bank(applicant)
    clear(office, "ANSWER")
    office.send("opening.withdrawn", applicant.own())
    in_the_sweep(office)
    assert left(office) == told and proved(office) == []


def test_an_answer_with_the_amount_that_covers_is_another_amount(office: Office, applicant: Applicant) -> None:
    """OPN-10: 0.99 is in our books until the amount was entered; it is not what the bank was told."""
    bank(applicant, fen=99 if amount(applicant) != 99 else 98)
    clear(office, "ANSWER")
    assert state(applicant) is TransferState.ARRIVED
    enter(applicant, right(applicant))
    assert left(office) in {98, 99} and proved(office) == []


def test_nobody_but_the_payee_reads_what_the_bank_says_it_paid_until_it_was_entered(
    office: Office, applicant: Applicant
) -> None:
    """OPN-10, ambiguity 38: neither what the bank was told nor what it answered, in no question, message or record."""
    paid = other(applicant)
    bank(applicant, fen=paid)
    (case,) = [one for one in office.cases() if one.kind is CaseKind.BANK_INQUIRY]
    amounts = {f"0.{paid:02d}", f"0.{amount(applicant):02d}", "0.99"}

    def read() -> str:
        with reading() as tx:
            records = [line.text for stream in (case.id, applicant.case.id) for line in audit.timeline(tx, stream)]
            records += contradictions.lines(tx)
        told = office.messages("bank_contradicts", Channel.STAFF)
        listed = [(review.seen or {}).get("sum_fen") for review in office.reviews(case)]
        shown = [str(review.dossier) for review in office.reviews(case)] + [yuan(fen) for fen in listed if fen]
        return " ".join([*records, str(told), *shown])

    assert "金额保密" in read() and not [fen for fen in amounts if fen in read()]
    office.decide(case, "wang-fang", "ANSWER", "银行出具回单", **office.bank_proof())
    office.decide(case, "he-qiang", "CONFIRM", "已核对")
    assert not [fen for fen in amounts if fen in read()]
    enter(applicant, f"0.{paid:02d}")
    assert state(applicant) is TransferState.VERIFIED
