"""A closure rests on what both people have seen: the supervisor alone writes nothing off (CLS-5, CLS-7, ambiguity 23)."""

from __future__ import annotations

from typing import Any

from models.cases import Case
from models.shops import ShopState
from office.base.db import in_transaction
from office.cases import retrying
from tests.appeals.bench import Bench
from tests.play import Office
from tests.reading import read


def waiting_for_the_supervisor(office: Office, **facts: Any) -> Case:
    """A closure that the reviewer has approved over what is open."""
    office.open_shop()
    case = office.request_closure()
    office.snapshot(**(facts or {"open_orders": 3}))
    office.decide(case, "li-na", "APPROVE", "订单可以核销")
    assert office.question(case).gate == "closure-override"
    return case


def test_what_the_reviewer_never_saw_is_not_written_off_by_the_supervisor_alone(office: Office) -> None:
    case = waiting_for_the_supervisor(office)
    form = office.question(case)
    office.snapshot(open_orders=3, arrears_fen=1_000_000)
    assert not office.answer(form, "he-qiang", "CONFIRM", "放行", write_off=True).accepted
    again = office.question(case)
    assert (again.gate, again.round) == ("closure-review", 2)
    assert "自您上次查看以来的变化" in read(again) and "10,000" in read(again)
    assert office.shop().state is ShopState.OPEN
    office.decide(case, "li-na", "APPROVE", "都看过了")
    office.decide(case, "he-qiang", "CONFIRM", "放行", write_off=True)
    assert office.case(case.id).outcome == "CLOSED" or office.shop().state is ShopState.CLEARING
    assert {row.decided_by for row in office.reviews(case) if row.round == 2} == {"li-na", "he-qiang"}
    assert office.books() == [] == office.chains()


def test_a_count_that_grew_is_new_and_one_that_shrank_is_not(office: Office) -> None:
    case = waiting_for_the_supervisor(office, open_aftersales=3)
    office.snapshot(open_aftersales=2)
    assert office.question(case).gate == "closure-override"
    office.snapshot(open_aftersales=4)
    assert (office.question(case).gate, office.question(case).round) == ("closure-review", 2)


def test_what_came_after_the_write_off_is_not_covered_by_it(office: Office) -> None:
    case = waiting_for_the_supervisor(office, open_aftersales=3)
    office.decide(case, "he-qiang", "CONFIRM", "核销", write_off=True)
    office.snapshot(open_aftersales=3, freezes=1, frozen_fen=5)
    assert office.case(case.id).state == "CLEARING"
    office.snapshot(open_aftersales=3)
    assert office.case(case.id).outcome == "CLOSED"


def test_a_blocking_finding_that_went_and_came_back_still_takes_the_supervisor(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    office.snapshot(open_orders=3)
    form = office.question(case)
    office.platform_answers = False
    office.pass_time(days=2)
    office.answer(form, "li-na", "APPROVE", "订单可以核销")
    office.snapshot()
    assert office.shop().state in {ShopState.OPEN, ShopState.CLEARING, ShopState.CLOSED}
    assert "closure-override" in {row.gate for row in office.reviews(case)}


def test_a_penalty_in_place_of_another_is_new_and_one_fewer_is_not(office: Office) -> None:
    """CLS-9, ambiguity 23: which they are counts, not how many."""
    first, second = ({"id": f"p-{n}", "kind": "虚假发货", "settled": False} for n in (1, 2))
    case = waiting_for_the_supervisor(office, penalties=[first, second])
    office.snapshot(penalties=[first])
    assert office.question(case).gate == "closure-override"
    office.snapshot(penalties=[{"id": "p-3", "kind": "售假", "settled": False}])
    assert (office.question(case).gate, office.question(case).round) == ("closure-review", 2)


def test_an_appeal_that_was_written_off_does_not_cover_the_next_one(office: Office) -> None:
    """CLS-9, ambiguity 23: of our own cases which they are counts."""
    bench = Bench(office)
    bench.rule("rul-1", deduction_fen=0)
    first = bench.file()
    case = office.request_closure()
    office.decide(case, "li-na", "APPROVE", "申诉可以核销")
    office.decide(case, "he-qiang", "CONFIRM", "核销", write_off=True)
    bench.rule("rul-2", deduction_fen=0)
    bench.file("rul-2")
    office.decide(first, "zhou-yan", "DISMISS")
    office.snapshot()
    assert office.case(case.id).state == "CLEARING", "nobody has seen the second appeal"


def test_a_supervisor_who_has_decided_lets_no_case_go_on_that_is_objected_to(office: Office) -> None:
    case = waiting_for_the_supervisor(office)
    first = office.question(case)
    office.decide(case, "he-qiang", "CONFIRM", "放行")
    assert office.object_to(first, "he-qiang") and office.case(case.id).halted is not None

    def retried(who: str) -> str:
        code = office.code(who)
        return in_transaction(lambda tx: retrying.retry(tx, case.id, who, code)).sentence

    assert "未参与" in retried("he-qiang") and office.case(case.id).halted is not None
    assert "重新启动" in retried("gao-yuan") and office.case(case.id).halted is None
