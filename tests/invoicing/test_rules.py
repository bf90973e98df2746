"""The rules of invoicing as numbers: shares, months, amounts in capitals, anomalies, checks of an invoice."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import cn2an
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.event_parts import TaxpayerType
from models.invoicing import AnomalyKind, InvoiceContent, InvoiceKind, StatementState
from models.invoicing_events import InvoiceSubmitted
from policies.invoice_checks import Check, Expected, check_invoice, clean, uscc_trouble
from policies.invoicing import (
    Draft,
    Holding,
    NotAPeriod,
    OpenStatement,
    allocate,
    anomalies,
    capitals,
    due,
    needs_second_person,
    next_period,
    over,
    previous_period,
    quarter,
    read_period,
    settle,
    share,
    state_after,
    undo,
)
from policies.policy import SHANGHAI, policy
from policies.vat import allowed_rates, split_gross, tax_of

POLICY = policy("2026-01-01").invoicing
FEN = st.integers(min_value=0, max_value=10**12)


def test_thirty_per_cent_rules_so_ninety_yuan_freeze_twenty_seven_whatever_the_example_of_inv_8_says() -> None:
    """INV-7, INV-8"""
    assert share(9_000, POLICY) == 2_700 != 3_000


@pytest.mark.parametrize(("uninvoiced", "held"), [(0, 0), (1, 0), (2, 1), (5, 2), (99, 30), (101, 30), (105, 32)])
def test_a_share_is_rounded_half_up_to_the_fen(uninvoiced: int, held: int) -> None:
    """INV-7, INV-8"""
    assert share(uninvoiced, POLICY) == held


@pytest.mark.parametrize(
    ("issued", "until"),
    [
        ("2026-01-31T02:00", "2026-02-28T02:00"),
        ("2028-01-31T02:00", "2028-02-29T02:00"),
        ("2026-12-01T02:00", "2027-01-01T02:00"),
        ("2026-03-31T23:59", "2026-04-30T23:59"),
    ],
)
def test_a_statement_is_due_one_calendar_month_after_it_was_issued_clamped_to_the_months_end(
    issued: str, until: str
) -> None:
    start = datetime.fromisoformat(issued).replace(tzinfo=SHANGHAI)
    assert due(start, POLICY).due == datetime.fromisoformat(until).replace(tzinfo=SHANGHAI)


def test_a_month_may_be_drawn_up_from_two_oclock_on_the_first_and_not_a_second_earlier() -> None:
    two = datetime(2026, 11, 30, 18, tzinfo=UTC)
    assert over(two, POLICY) == "2026-11"
    assert over(two - timedelta(seconds=1), POLICY) == "2026-10"


def test_months_follow_one_another_over_the_year() -> None:
    assert (next_period("2026-12"), previous_period("2027-01"), next_period("2026-09")) == (
        "2027-01",
        "2026-12",
        "2026-10",
    )
    assert quarter("2026q4") == ("2026-10", "2026-11", "2026-12")


@pytest.mark.parametrize(
    "text", ["2026-13", "2026-00", "202610", "2026-1", "1999-10", "2026-10 ", "'; DROP TABLE statement"]
)
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(NotAPeriod):
        read_period(text)
    with pytest.raises(NotAPeriod):
        quarter(text)


@given(st.integers(min_value=1, max_value=10**11))
def test_capitals_are_those_of_an_independent_library(yuan: int) -> None:
    assert capitals(yuan * 100) == f"{cn2an.an2cn(yuan, 'up')}元整"


@pytest.mark.parametrize(
    ("fen", "words"),
    [
        (9_050, "玖拾元伍角整"),
        (100_005, "壹仟元零伍分"),
        (0, "零元整"),
        (7, "柒分"),
        (10_000_000_000_00, "壹佰亿元整"),
        (-2_700, "负贰拾柒元整"),
        (10_010_100, "壹拾万零壹佰零壹元整"),
    ],
)
def test_amounts_in_capitals(fen: int, words: str) -> None:
    assert capitals(fen) == words


@given(FEN, st.data())
def test_whatever_was_held_before_settling_once_is_settling_for_good(total: int, data: st.DataObject) -> None:
    invoiced = data.draw(st.integers(0, total))
    pending = data.draw(st.integers(0, total - invoiced))
    frozen, set_off = data.draw(st.integers(0, total)), data.draw(st.integers(0, total))
    held = Holding(
        total_fen=total,
        invoiced_fen=invoiced,
        pending_fen=pending,
        frozen_fen=frozen,
        set_off_fen=set_off,
        auto=data.draw(st.booleans()),
        overdue=data.draw(st.booleans()),
    )
    done = settle(held, POLICY)
    give_back = max(-done.change_fen, 0)
    assert 0 <= done.return_set_off_fen <= set_off and give_back - done.return_set_off_fen <= frozen
    assert frozen + set_off + done.change_fen == done.share_fen
    after = held.model_copy(
        update={
            "frozen_fen": frozen + max(done.change_fen, 0) - (give_back - done.return_set_off_fen),
            "set_off_fen": set_off - done.return_set_off_fen,
        }
    )
    assert settle(after, POLICY).change_fen == 0
    assert done.share_fen <= total


def test_a_statement_closes_by_deduction_only_when_the_whole_share_was_taken() -> None:
    held = Holding(total_fen=9_000, invoiced_fen=0, set_off_fen=1_000, auto=True, overdue=True)
    assert state_after(held, 2_700, 1_000, 9_000) is StatementState.OVERDUE
    assert state_after(held, 2_700, 2_700, 9_000) is StatementState.AUTO_DEDUCTED
    assert state_after(held, 0, 0, 0) is StatementState.INVOICED


@given(FEN, st.lists(FEN, max_size=6))
def test_an_invoice_is_allocated_to_the_fen(gross: int, open_amounts: list[int]) -> None:
    given_, left = allocate(gross, [OpenStatement(id=str(n), open_fen=fen) for n, fen in enumerate(open_amounts)])
    assert sum(given_.values()) + left == gross
    assert all(0 < fen <= open_amounts[int(n)] for n, fen in given_.items())
    taken = undo(gross - left, list(given_.items()))
    assert sum(taken.values()) == gross - left


@pytest.mark.parametrize(
    ("now", "before", "found"),
    [
        (300_000, 100_000, ()),
        (300_001, 100_000, (AnomalyKind.JUMP,)),
        (1_000_000, None, ()),
        (30_000_000, 100_000_000, ()),
        (29_999_999, 100_000_000, (AnomalyKind.DROP,)),
        (-1, 0, (AnomalyKind.NEGATIVE,)),
        (100_000, 1, (AnomalyKind.JUMP,) if 99_999 >= 100_000 else ()),
    ],
)
def test_jumps_and_drops_begin_just_beyond_the_policy(
    now: int, before: int | None, found: tuple[AnomalyKind, ...]
) -> None:
    assert anomalies(Draft(total_fen=now, before_fen=before, tax_identity=True, shop_closed=False), POLICY) == found


def test_four_eyes_need_both_many_anomalies_and_a_large_share() -> None:
    assert not needs_second_person(20, 20, POLICY)
    assert needs_second_person(21, 20, POLICY)
    assert not needs_second_person(1_000, 100_000, POLICY)
    assert needs_second_person(1_001, 100_000, POLICY)


# ── checks of an invoice ─────────────────────────────────────────────────────

CLEAN: dict[str, Any] = InvoiceSubmitted.EXAMPLE | {
    "documents": [{"name": "发票.pdf", "kind": "OTHER", "sha256": "ab" * 32}]
}
EXPECTED = Expected(
    today=date(2026, 11, 20),
    buyer_name="店务演示平台",
    buyer_tax_no="91110000600037341L",
    seller_name="宁波晨光文具有限公司",
    seller_tax_no="91330226MA2AB1C2D8",
    taxpayer=TaxpayerType.GENERAL,
    used_before=False,
    covers={"ZD202610-000001": 9_000},
    open_fen={"ZD202610-000001": 9_000},
    earliest=date(2026, 10, 1),
)


def found(changes: dict[str, Any] | None = None, **expected: Any) -> list[str]:
    sent = InvoiceSubmitted.model_validate(CLEAN | (changes or {}))
    return [finding.code for finding in check_invoice(sent, EXPECTED.model_copy(update=expected), POLICY)]


def line(**changes: Any) -> dict[str, Any]:
    return {"lines": [CLEAN["lines"][0] | changes]}


def test_a_clean_invoice_has_no_findings() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"number": "2633000000001234567"}, Check.NUMBER),
        ({"number": "12345678"}, Check.NUMBER),
        ({"number": "25330000000012345678"}, Check.NUMBER_YEAR),
        ({"buyer_name": "店务演示平台有限公司"}, Check.BUYER_NAME),
        ({"buyer_tax_no": "91110108551385082Q"}, Check.BUYER_TAX_NO),
        ({"seller_tax_no": "92330226MA2AB1C2D5"}, Check.SELLER),
        ({"seller_name": "宁波晨光文具厂"}, Check.SELLER_NAME),
        ({"kind": "ORDINARY"}, Check.KIND),
        ({"kind": "ORDINARY", "difficulty": "税务机关系统升级"}, Check.KIND),
        (line(content="GOODS", quantity="1", rate="6"), Check.GOODS_QUANTITY),
        (line(content="GOODS", quantity=None, rate="6"), Check.GOODS_QUANTITY),
        (line(name="*文具*笔"), Check.SERVICE_NAME),
        (line(name="推广费"), Check.SERVICE_NAME),
        (line(content="GOODS", quantity="0", rate="13"), Check.GOODS),
        (line(rate="3"), Check.RATE),
        ({"net_fen": 8_490}, Check.SUMS),
        ({"issued_on": "2026-11-21"}, Check.ISSUED_ON),
        ({"issued_on": "2026-09-30"}, Check.ISSUED_ON),
        ({"documents": []}, Check.NO_EVIDENCE),
    ],
)
def test_each_rule_is_found_by_name_and_a_person_looks(changes: dict[str, Any], check: Check) -> None:
    """INV-2"""
    sent = InvoiceSubmitted.model_validate(CLEAN | changes)
    findings = check_invoice(sent, EXPECTED, POLICY)
    assert check.value in [finding.code for finding in findings]
    assert not clean(findings)
    assert all(finding.clause and finding.sentence for finding in findings)


@pytest.mark.parametrize("mode", ["SELF", "TAX_BUREAU_AGENT"])
def test_a_small_scale_taxpayer_sends_a_special_invoice_whoever_issued_it(mode: str) -> None:
    """INV-3"""
    net, tax = split_gross(9_000, "3")
    sent = {"issue_mode": mode, "net_fen": net, "tax_fen": tax} | line(net_fen=net, tax_fen=tax, rate="3")
    assert found(sent, taxpayer=TaxpayerType.SMALL_SCALE) == []


def test_a_small_scale_taxpayer_is_pointed_to_the_tax_office_before_an_ordinary_invoice() -> None:
    """INV-3, INV-4"""
    sent = InvoiceSubmitted.model_validate(CLEAN | {"kind": "ORDINARY", "difficulty": "税务机关系统升级"})
    (kind, *_) = check_invoice(sent, EXPECTED.model_copy(update={"taxpayer": TaxpayerType.SMALL_SCALE}), POLICY)
    assert (kind.code, kind.clause, kind.final) == ("kind", "INV-3", False) and "代开" in kind.sentence


def test_brackets_and_width_in_the_buyers_name_make_no_difference() -> None:
    assert found({"buyer_name": "店务(北京)演示平台"}, buyer_name="店务（北京）演示平台") == []


def test_an_old_paper_invoice_has_eight_digits_and_a_code() -> None:
    assert found({"number": "12345678", "invoice_code": "3300000000"}) == []
    assert found({"number": "12345678", "invoice_code": "33000000"}) == [Check.NUMBER]


def test_a_wrong_check_digit_is_a_finding_for_a_person_and_says_that_real_codes_can_have_one() -> None:
    assert "不能仅因此退回" in uscc_trouble("91350211M0000XUF46")
    assert uscc_trouble("91110000600037341L") == ""
    assert found({"seller_tax_no": "911100006000373410"}, seller_tax_no="911100006000373410") == [Check.CHECK_DIGIT]


def test_goods_are_accepted_with_quantity_zero() -> None:
    net, tax = split_gross(9_000, "13")
    goods = {"name": "*文具*笔", "content": "GOODS", "quantity": "0.00", "net_fen": net, "tax_fen": tax, "rate": "13"}
    assert found({"net_fen": net, "tax_fen": tax, "lines": [goods], "difficulty": "经营范围不含服务"}) == []
    assert found({"net_fen": net, "tax_fen": tax, "lines": [goods]}) == [Check.GOODS]


def test_a_discount_line_is_negative_and_the_totals_are_what_is_left() -> None:
    full, off = CLEAN["lines"][0], CLEAN["lines"][0] | {"net_fen": -1_000, "tax_fen": -60}
    assert (
        found(
            {"net_fen": 7_491, "tax_fen": 449, "gross_fen": 7_940, "lines": [full, off]},
            covers={"ZD202610-000001": 7_940},
        )
        == []
    )


@given(st.integers(1, 10**11), st.sampled_from(["1", "3", "6", "9", "13"]))
def test_the_tax_taken_from_a_gross_amount_is_within_the_tolerance_of_the_tax_on_its_net(gross: int, rate: str) -> None:
    net, tax = split_gross(gross, rate)
    assert abs(tax_of(net, rate) - tax) <= POLICY.line_tolerance_fen


@pytest.mark.parametrize(("off", "expected"), [(1, []), (2, [Check.LINE_TAX])])
def test_the_tax_of_a_line_may_be_off_by_one_fen_and_no_more(off: int, expected: list[Check]) -> None:
    """INV-2"""
    changes = line(net_fen=8_491 - off, tax_fen=509 + off) | {"net_fen": 8_491 - off, "tax_fen": 509 + off}
    assert found(changes) == expected


@pytest.mark.parametrize(
    ("gross", "rate", "split"),
    [
        (20_000, "1", (19_802, 198)),
        (9_000, "6", (8_491, 509)),
        (10_000, "3", (9_709, 291)),
        (1_000_000, "13", (884_956, 115_044)),
    ],
)
def test_a_gross_amount_is_split_tax_first(gross: int, rate: str, split: tuple[int, int]) -> None:
    assert split_gross(gross, rate) == split


def test_the_one_per_cent_of_small_taxpayers_ends_with_2027() -> None:
    def rates(day: date, kind: InvoiceKind = InvoiceKind.SPECIAL) -> list[str]:
        found_ = allowed_rates(TaxpayerType.SMALL_SCALE, InvoiceContent.SERVICE, kind, day, POLICY)
        return sorted(str(rate) for rate in found_)

    assert rates(date(2027, 12, 31)) == ["1", "3"]
    assert rates(date(2028, 1, 1)) == ["3"]
    assert rates(date(2027, 12, 31), InvoiceKind.ORDINARY) == ["0", "1", "3"]


def test_a_part_of_a_statement_is_covered_and_more_than_is_open_never() -> None:
    assert found({"gross_fen": 9_000}, open_fen={"ZD202610-000001": 10_000}) == []
    assert found({}, open_fen={"ZD202610-000001": 8_999}) == [Check.COVER]
    assert found({}, covers={"ZD202610-000001": 8_999}) == [Check.COVER]
    assert found({}, left_over_fen=1) == [Check.COVER]
    assert found({}, unknown=("ZD209901-000001",)) == [Check.COVER]
