"""Our own books stand in the way of closing and of the refund: fees by their own date, bills, penalties (amb. 28, 30, 31)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from models.books import AccountKind
from models.cases import Case
from models.messages import Channel
from models.shops import ShopState
from office.base.db import in_transaction, reading
from tasks.invoicing import exit_invoices
from tasks.shops import penalties
from tests.invoicing import kit
from tests.invoicing.kit import send_invoice, told
from tests.play import Office
from tests.reading import read

DECEMBER, JANUARY = "2026-12", "2027-01"


def fee(office: Office, settled_at: str, fen: int = 1_000) -> None:
    kit.record(office, kit.item(fen=fen, settled_at=settled_at))


def closing(office: Office, *moment: int) -> Case:
    """A shop whose closing starts at that Beijing moment and has been approved."""
    kit.at(office, *moment)
    office.snapshot()
    case = office.request_closure()
    office.decide(case, "li-na", "APPROVE")
    if office.case(case.id).state == "SECOND_REVIEW":
        office.decide(case, "he-qiang", "CONFIRM")  # nothing is written off
    return case


# ── which fees an exit invoice covers (INV-9, ambiguity 31) ──


@pytest.mark.parametrize(("second", "of_the_duty"), [(0, True), (1, True), (2, False)])
def test_a_fee_incurred_by_the_moment_of_the_start_is_of_the_duty_and_one_a_second_later_is_not(
    office: Office, second: int, of_the_duty: bool
) -> None:
    """INV-9"""
    office.open_shop()
    case = closing(office, 2026, 11, 25, 10, 0, 0)  # the request comes a second later, after the facts
    fee(office, f"2026-11-25T10:00:0{second}+08:00")
    assert bool(told(office, "exit_invoices_opened")) is of_the_duty
    office.snapshot()
    assert (office.case(case.id).outcome is None) is of_the_duty
    if of_the_duty:
        send_invoice(office, 1_000, issued_on="2026-11-25")
        assert office.case(case.id).outcome == "CLOSED"
    kit.books_agree(office)


@pytest.mark.parametrize(
    ("settled_at", "of_the_duty"),
    [
        ("2026-12-31T23:59:59+08:00", False),
        ("2027-01-01T00:00:00+08:00", True),
    ],
)
def test_a_fee_of_the_last_second_of_december_is_of_decembers_year_whenever_it_is_billed(
    office: Office, settled_at: str, of_the_duty: bool
) -> None:
    """INV-9"""
    office.open_shop()
    kit.at(office, 2027, 1, 1, 2)
    kit.issue_month(office, DECEMBER)  # December is closed: what comes late is billed in January
    fee(office, settled_at)
    case = closing(office, 2027, 1, 10, 10)
    office.snapshot()
    assert bool(told(office, "exit_invoices_opened")) is of_the_duty
    assert office.case(case.id).state == "CLEARING"  # as an exit invoice, or as a bill of the year before
    kit.books_agree(office)


def test_a_fee_after_the_start_is_billed_with_its_own_month(office: Office) -> None:
    office.open_shop()
    closing(office, 2026, 11, 20, 10)
    kit.at(office, 2026, 11, 22, 11)
    fee(office, "2026-11-22T10:00:00+08:00", 5_000)
    office.snapshot()
    assert office.shop().state is ShopState.CLOSED
    kit.at(office, 2026, 12, 1, 2)
    kit.issue_month(office)
    assert kit.statement().total_fen == 5_000
    kit.books_agree(office)


def test_a_waiver_covers_what_the_supervisor_saw_and_nothing_more(office: Office) -> None:
    office.open_shop()
    fee(office, "2026-11-10T10:00:00+08:00")
    case = closing(office, 2026, 11, 20, 10)
    office.snapshot(open_orders=1)

    def waives() -> str:
        code = office.code("he-qiang")
        return in_transaction(lambda tx: exit_invoices.waive(tx, case.id, "he-qiang", code, "无法开票")).sentence

    assert "已豁免" in waives()
    fee(office, "2026-11-11T10:00:00+08:00", 2_000)
    office.snapshot()
    assert office.case(case.id).state == "CLEARING"
    assert "已豁免" in waives()
    office.snapshot()
    assert office.case(case.id).outcome == "CLOSED"


def waive(office: Office, case: Case) -> str:
    code = office.code("he-qiang")
    return in_transaction(lambda tx: exit_invoices.waive(tx, case.id, "he-qiang", code, "无法开票")).sentence


@pytest.mark.parametrize(("later", "closes"), [(499, True), (500, True), (501, False)])
def test_a_waiver_covers_what_the_platform_reported_then_and_nothing_more(
    office: Office, later: int, closes: bool
) -> None:
    """CLS-8, ambiguity 23"""
    office.open_shop()
    case = closing(office, 2026, 11, 20, 10)
    office.snapshot(open_orders=1, uninvoiced_fen=500)
    assert "平台报告未开票 ¥5.00" in waive(office, case)
    office.snapshot(uninvoiced_fen=later)
    assert (office.case(case.id).outcome == "CLOSED") is closes
    if not closes:
        assert "平台报告未开票 ¥5.01" in waive(office, case)
        office.snapshot(uninvoiced_fen=later)
        assert office.case(case.id).outcome == "CLOSED"


def test_supervisors_hear_at_once_that_a_waiver_no_longer_covers_everything(office: Office) -> None:
    """CLS-8, ambiguity 23: each time it has grown further, and not again while it stays"""
    office.open_shop()
    fee(office, "2026-11-10T10:00:00+08:00")
    case = closing(office, 2026, 11, 20, 10)
    office.snapshot(open_orders=1)
    assert "已豁免" in waive(office, case)
    exit_invoices.sweep()
    assert office.staff_told("waiver_outgrown") == []
    fee(office, "2026-11-11T10:00:00+08:00", 2_000)
    for _ in range(2):
        exit_invoices.sweep()
    assert office.staff_told("waiver_outgrown") == ["supervisor"]
    office.snapshot(open_orders=1, uninvoiced_fen=300)
    exit_invoices.sweep()
    told = office.messages("waiver_outgrown", Channel.STAFF)
    assert [(one["own_fen"], one["reported_fen"]) for one in told] == [(2_000, 0), (2_000, 300)]
    assert {one["case_id"] for one in told} == {case.id}


@pytest.mark.parametrize(("later", "blocks"), [(500, False), (501, True)])
def test_a_waiver_at_closing_counts_at_the_refund_as_far_as_it_went(office: Office, later: int, blocks: bool) -> None:
    """REF-8, CLS-8: of what the platform reports and of our own bills."""
    office.open_shop()
    fee(office, "2026-11-10T10:00:00+08:00")
    case = closing(office, 2026, 11, 20, 10)
    office.snapshot(open_orders=1, uninvoiced_fen=500)
    waive(office, case)
    office.snapshot(uninvoiced_fen=500)
    assert office.case(case.id).outcome == "CLOSED"
    office.snapshot(uninvoiced_fen=later)
    dossier = refund_dossier(office)
    assert ("尚未开票" in dossier) is blocks and "账单尚有" not in dossier


@pytest.mark.parametrize("known", ["before the start", "after it"])
def test_fees_that_only_the_platform_knows_start_the_five_days_too(office: Office, known: str) -> None:
    """CLS-8: the duty is open, told, reminded and lapses like one of our own books, and ends when the platform says so."""
    office.open_shop()
    office.snapshot(uninvoiced_fen=700 if known == "before the start" else 0)
    case = office.request_closure()
    office.snapshot(uninvoiced_fen=700)
    for _ in range(2):
        exit_invoices.sweep()
        office.settle()
    (message,) = told(office, "exit_invoices_opened")
    assert (message["amount_fen"], message["reported_fen"], message["statements"]) == (0, 700, [])
    deadline = office.deadline(case.id, "exit-invoice")
    assert deadline.state == "OPEN" and message["due"] == deadline.due_at.isoformat().replace("+00:00", "Z")
    office.clock.at = deadline.due_at - timedelta(hours=24)
    kit.sweep(office)
    assert office.told(case).count("merchant_deadline_reminder") == 1
    office.snapshot()
    exit_invoices.sweep()
    office.settle()
    assert office.deadline(case.id, "exit-invoice").state == "MET"
    assert [message["waived"] for message in told(office, "exit_invoices_settled")] == [False]
    kit.books_agree(office)


def test_fees_the_platform_reports_lapse_after_five_days_and_not_a_second_before(office: Office) -> None:
    office.open_shop()
    office.snapshot(uninvoiced_fen=700)
    case = office.request_closure()
    due = office.deadline(case.id, "exit-invoice").due_at
    for seconds, state in ((-1, "OPEN"), (0, "OPEN"), (1, "OPEN"), (31, "LAPSED")):
        office.clock.at = due + timedelta(seconds=seconds)
        office.sweep()
        assert office.deadline(case.id, "exit-invoice").state == state, seconds


# ── bills (CLS-9, REF-8, ambiguity 30) ──


def test_decembers_statement_of_yesterday_stands_in_the_way_of_closing_on_the_second_of_january(office: Office) -> None:
    """CLS-9"""
    office.open_shop()
    kit.at(office, 2026, 12, 10, 11)
    fee(office, "2026-12-10T10:00:00+08:00", 9_000)
    kit.at(office, 2027, 1, 1, 2)
    kit.issue_month(office, DECEMBER)
    kit.at(office, 2027, 1, 2, 10)
    office.snapshot()
    case = office.request_closure()
    assert "账单尚有" in read(office.question(case)) and told(office, "exit_invoices_opened") == []
    office.decide(case, "li-na", "APPROVE", "等开票")
    office.decide(case, "he-qiang", "CONFIRM", "等开票")
    office.snapshot()
    assert office.case(case.id).state == "CLEARING"
    sent = send_invoice(office, 9_000, issued_on="2027-01-02", number=f"27{1:018d}")
    assert sent.state == "ACCEPTED", kit.told(office, "invoice_returned")
    assert office.case(case.id).outcome == "CLOSED"


def refund_dossier(office: Office) -> str:
    case = office.request_refund()
    return read(office.question(case))


def test_a_statement_reopened_by_a_red_letter_after_closed_blocks_the_refund_and_its_share_is_kept_back(
    office: Office,
) -> None:
    office.open_shop()
    fee(office, "2026-11-10T10:00:00+08:00", 100_000)
    case = closing(office, 2026, 11, 20, 10)
    office.snapshot()
    number = send_invoice(office, 100_000, issued_on="2026-11-20").number
    assert office.case(case.id).outcome == "CLOSED"
    office.send(
        "invoice.red_letter",
        {
            "shop_id": "shop-1",
            "account_id": "acct-shop-1",
            "number": f"26{7:018d}",
            "original_number": number,
            "amount_fen": 100_000,
            "issued_on": "2026-11-21",
            "reason": "开票有误",
        },
    )
    refund = office.request_refund()
    shown = read(office.question(refund))
    assert "店务账单尚有 ¥1,000.00 未开票" in shown and "另留存 **¥300.00**" in shown
    office.decide(refund, "wang-fang", "APPROVE", "先退其余")
    office.decide(refund, "chen-jie", "CONFIRM", "先退其余")
    assert office.platform_balance(AccountKind.CLEARING) == 370_000
    assert office.balance(AccountKind.DEPOSIT) == 30_000
    [letter] = office.letters("refund_approved")  # what is kept back, why, and how to object
    assert "另留存 ¥300.00" in letter and "INV-7" in letter and "异议" in letter
    office.bank(f"{refund.id}-P1", fen=370_000)
    assert office.case(refund.id).outcome == "REFUNDED"
    assert office.books() == []


def test_a_fee_recorded_after_closed_blocks_the_refund(office: Office) -> None:
    office.closed_shop()
    fee(office, "2026-11-10T10:00:00+08:00", 2_000)
    assert "店务账单尚有 ¥20.00 未开票" in refund_dossier(office)


def test_an_invoiced_shop_shows_no_bill_at_all(office: Office) -> None:
    office.closed_shop()
    assert "店务账单" not in refund_dossier(office)


# ── penalties (REF-2, ambiguities 4 and 28) ──


def deducted(office: Office, reason: str, fen: int = 10_000) -> None:
    office.deduct(
        fen,
        f"d-{reason}",
        reason=reason,
        severe=reason == "PRODUCT_VIOLATION",
        **{"effective_at": office.clock.at.isoformat()} if reason == "ADVANCE_COMPENSATION" else {},
    )


@pytest.mark.parametrize("reason", ["RULE_VIOLATION", "LATE_SHIPMENT", "AFTERSALE_DISPUTE", "PRODUCT_VIOLATION"])
def test_a_deduction_for_a_violation_is_a_penalty_record_beside_the_platforms_facts(
    office: Office, reason: str
) -> None:
    """REF-2"""
    office.closed_shop()
    deducted(office, reason)
    case = office.request_refund(fen=390_000)
    assert "1 项处罚记录" in read(office.question(case))
    assert not office.answer(office.question(case), "wang-fang", "APPROVE", "").accepted
    office.snapshot(penalties=[{"id": f"d-{reason}", "kind": "违规", "settled": True}])
    assert "1 项处罚记录" in read(office.question(case))  # the same one, reported by the platform
    office.snapshot(penalties=[{"id": "p-9", "kind": "虚假发货", "settled": True}])
    assert "2 项处罚记录" in read(office.question(case))


def test_what_could_not_be_deducted_leaves_the_penalty_unsettled(office: Office) -> None:
    office.closed_shop()
    deducted(office, "RULE_VIOLATION", 500_000)
    with reading() as tx:
        (penalty,) = penalties.of_shop(tx, "shop-1")
    assert (penalty.id, penalty.settled) == ("d-RULE_VIOLATION", False)


def test_an_advance_compensation_is_no_penalty(office: Office) -> None:
    office.closed_shop()
    deducted(office, "ADVANCE_COMPENSATION")
    with reading() as tx:
        assert penalties.of_shop(tx, "shop-1") == ()


def test_a_valid_ruling_against_the_shop_is_a_penalty_record(office: Office) -> None:
    office.closed_shop()
    office.send(
        "ruling.effective",
        {
            "ruling_id": "r-1",
            "arbitration_id": "a-1",
            "shop_id": "shop-1",
            "conclusion": "MERCHANT_LIABLE",
            "decided": "商家承担责任",
            "effective_at": office.clock.at.isoformat(),
        },
    )
    with reading() as tx:
        assert [(one.id, one.settled) for one in penalties.of_shop(tx, "shop-1")] == [("r-1", False)]
    office.pass_time(days=8)
    with reading() as tx:
        assert [(one.id, one.settled) for one in penalties.of_shop(tx, "shop-1")] == [("r-1", True)]
    assert "1 项处罚记录" in refund_dossier(office)


def test_a_merchant_is_told_how_many_statements_of_the_duty_are_not_named(office: Office) -> None:
    """CLS-8: as many late batches as there are, each with an exit statement of its own."""
    office.open_shop()
    closing(office, 2026, 11, 25, 10)
    for minute in range(22):
        fee(office, f"2026-11-25T09:{minute:02}:00+08:00")
    (*_, before, last) = told(office, "exit_invoices_opened")
    assert (len(before["statements"]), len(last["statements"])) == (20, 20)
    assert last["statements"][-1] == "另有 3 份账单" and last["amount_fen"] == 22_000
