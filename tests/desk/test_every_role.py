"""The day of every role at the desk: each process is decided there from its first question to its end, fields and all."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from models.cases import Case
from policies.policy import policy, use_policies
from tests.appeals.bench import Bench
from tests.desk.seat import Page, Seats
from tests.invoicing.kit import DOUBTFUL, billed, invoices, item, record, review_of, send_invoice
from tests.invoicing.kit import at as moment
from tests.invoicing.kit import open_month as month
from tests.opening.bench import LICENCE, Applicant, bank, enter, wrong
from tests.play import Office


@pytest.fixture
def decide(office: Office, seat: Seats) -> Callable[..., Page]:
    """Somebody finds the case's question in their queue, opens it and answers."""

    def answer(case: Case, staff_id: str, verdict: str, reason: str = "理由充分", **fields: str) -> Page:
        who = seat(staff_id)
        review = office.question(case)
        listed = next(link for link in who.see("/q").links.values() if link.startswith(f"/r/{review.id}"))
        page = who.answer(who.see(listed), verdict, reason, **fields)
        assert page.address.startswith(("/q", "/r/")) and "未采纳" not in page.text, page.text
        assert "review.decided" in office.trail(case.id)
        return page

    return answer


def test_a_ban_takes_reviewer_and_supervisor(office: Office, decide: Callable[..., Page]) -> None:
    office.open_shop()
    case = office.propose_forced_closure()
    decide(case, "li-na", "CONFIRM")
    decide(case, "he-qiang", "CONFIRM")
    assert office.case(case.id).outcome == "FORCED_CLOSED"


def test_an_appeal_goes_from_the_arbitrator_over_merchant_service_to_finance(
    office: Office, decide: Callable[..., Page]
) -> None:
    bench = Bench(office)
    bench.rule()
    case = bench.file()
    decide(case, "zhou-yan", "UPHOLD")
    decide(case, "wu-tao", "AGREED", contact="11 月 20 日电话联系林晓", handling="退回保证金")
    decide(case, "wang-fang", "CONFIRM")
    assert bench.outcome(case) == "UPHELD"


def test_a_month_is_released_with_a_shop_held_back(office: Office, decide: Callable[..., Page]) -> None:
    office.open_shop()
    office.open_shop("shop-2", name="星河数码")
    record(office, item("shop-1"), item("shop-2"))
    moment(office, 2026, 12, 1, 2)
    case = month(office)
    decide(case, "wang-fang", "RELEASE", hold="shop-2:合同在核对")
    assert office.case(case.id).outcome == "ISSUED"
    assert "合同在核对" in str(office.reviews(case)[0].answer)


def test_the_clerk_returns_an_invoice(office: Office, decide: Callable[..., Page]) -> None:
    billed(office)
    send_invoice(office, **DOUBTFUL)
    case = review_of(office)
    decide(case, "xu-jing", "RETURN", "购买方名称有误")
    assert invoices()[-1].state == "RETURNED"


def test_an_override_is_ticked_by_the_supervisor(office: Office, decide: Callable[..., Page]) -> None:
    office.open_shop()
    office.snapshot(open_orders=3)
    case = office.request_closure()
    decide(case, "li-na", "APPROVE", "剩余订单正在发货")
    decide(case, "he-qiang", "CONFIRM", write_off="1")
    assert office.reviews(case)[1].answer == {"write_off": True}


@pytest.fixture
def signed_only() -> Iterator[None]:
    """A policy under which money takes a signature and nothing else."""
    published = policy("2026-01-01")
    decisions = published.decisions.model_copy(update={"signed_only": ("refund-review",)})
    use_policies(published.model_copy(update={"decisions": decisions}))
    yield
    use_policies()


def test_where_policy_asks_for_a_signature_no_code_decides_wherever_it_is_typed(
    office: Office, seat: Seats, signed_only: None
) -> None:
    office.closed_shop()
    case = office.request_refund()
    asked, who = office.question(case), seat("wang-fang")
    told = "「退保证金审核」须在工作台用通行密钥签名"
    assert office.fill_in(asked, "wang-fang", "APPROVE").sentence == told
    assert office.answer(asked, "wang-fang", "APPROVE").sentence == told
    assert told in who.answer(who.see(f"/r/{asked.id}"), "APPROVE").text


def test_an_opening_takes_its_reviewer_three_times_with_two_ticks(office: Office, decide: Callable[..., Page]) -> None:
    applicant = Applicant(office, "ENTERPRISE")
    applicant.materials()
    decide(applicant.case, "tang-yu", "ASK", items="营业执照:看不清,请重新拍摄")
    applicant.papers(LICENCE)
    decide(applicant.case, "tang-yu", "APPROVE")
    applicant.certificate()
    decide(applicant.case, "tang-yu", "APPROVE", signature="on", seal="on")
    bank(applicant)
    for by in (1, 2, 3):
        enter(applicant, wrong(applicant, by=by))
    bank(applicant, 2)
    for by in (1, 2, 3):
        enter(applicant, wrong(applicant, 2, by))
    decide(applicant.case, "wang-fang", "PROVED", paper=office.bank_proof()["paper"])
    applicant.finishing()
    decide(applicant.case, "tang-yu", "APPROVE")
    assert office.shop().state == "AWAITING_DEPOSIT"
