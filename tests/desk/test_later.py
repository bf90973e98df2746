"""稍后再看: out of one's own list until a time, never out of sight when it is due; and the reasons one often writes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from models.cases import Case
from office.base.db import in_transaction, reading
from office.cases import hands, later
from office.cases.gates import Outcome
from tasks.sight import queue, snippets
from tests.desk.seat import Page, Seat, Seats
from tests.play import Office

HOUR = timedelta(hours=1)


@pytest.fixture
def case(office: Office) -> Case:
    office.open_shop()
    return office.request_closure()


def listed(who: Seat, view: str = "open") -> bool:
    return "关店审核" in [word for word in who.see(f"/q?view={view}").links if word == "关店审核"]


def rows(office: Office, staff_id: str = "li-na") -> int:
    """How many questions this person's list has at this very moment."""
    with reading() as tx:
        return len(queue.waiting(tx, ["closure-reviewer"], seen_by=staff_id))


def put_off(who: Seat, case: Case, when: str = "hour") -> Page:
    review = who.office.question(case)
    form = who.see(f"/r/{review.id}").form("/decide")
    return who.send(f"/r/{review.id}/later", form.values | {"later": when})


def waits(office: Office, case: Case) -> timedelta:
    due = office.question(case).due_at
    assert due is not None
    return due - office.clock.at


def test_it_is_out_of_my_list_and_in_everybody_elses_and_comes_back_by_itself(
    office: Office, seat: Seats, case: Case
) -> None:
    me, other = seat("li-na"), seat("zhao-min")
    put_off(me, case)
    assert not listed(me) and listed(me, "later") and listed(other) and not listed(other, "later")
    office.clock.advance(HOUR - timedelta(seconds=1))
    assert (rows(office), rows(office, "zhao-min")) == (0, 1)
    office.clock.advance(timedelta(seconds=1))
    assert rows(office) == 1
    me.log_in()
    assert listed(me) and not listed(me, "later")


def test_it_is_neither_counted_nor_given_next_meanwhile(office: Office, seat: Seats, case: Case) -> None:
    office.open_shop("shop-2")
    second = office.request_closure("shop-2")
    me = seat("li-na")
    page = put_off(me, case)
    assert office.question(second).id in page.address, "the next one follows"
    with reading() as tx:
        found = queue.tabs(tx, ["closure-reviewer"], "li-na")
    assert (found["open"], found["later"]) == (1, 1)
    page = me.answer(me.see(f"/r/{office.question(second).id}?from="), "APPROVE")
    assert page.address.startswith("/q")


def test_nothing_to_do_says_what_is_put_off(office: Office, seat: Seats, case: Case) -> None:
    me = seat("li-na")
    put_off(me, case)
    assert "稍后再看 1 件" in me.see("/q").text


@pytest.mark.parametrize(
    ("left", "sentence"),
    [
        (timedelta(hours=2, seconds=1), "会回到您的待办"),
        (timedelta(hours=2), "不能推后"),
        (timedelta(minutes=-1), "不能推后"),
    ],
)
def test_a_question_that_is_about_to_be_due_is_not_put_off(
    office: Office, case: Case, left: timedelta, sentence: str
) -> None:
    review = office.question(case)
    office.clock.advance(waits(office, case) - left - timedelta(seconds=30))  # so long a fresh code takes
    code = office.code("li-na")
    outcome = in_transaction(lambda tx: later.put_off(tx, review.id, "li-na", tx.now + timedelta(seconds=1), code))
    assert sentence in outcome.sentence


def test_put_off_beyond_its_time_it_is_back_two_hours_before(office: Office, case: Case) -> None:
    review = office.question(case)
    office.clock.advance(waits(office, case) - timedelta(hours=20))
    code = office.code("li-na")
    outcome = in_transaction(lambda tx: later.put_off(tx, review.id, "li-na", tx.now + timedelta(hours=30), code))
    assert outcome.accepted and "到期前 2 小时" in outcome.sentence
    office.clock.advance(waits(office, case) - later.BEFORE - timedelta(seconds=1))
    assert rows(office) == 0
    office.clock.advance(timedelta(seconds=1))
    assert rows(office) == 1


def test_when_its_facts_change_it_is_back_at_once(office: Office, seat: Seats, case: Case) -> None:
    me = seat("li-na")
    put_off(me, case)
    office.snapshot(open_orders=2)
    office.question(case)
    assert listed(me)


def test_handed_over_by_a_supervisor_it_is_back_at_once(office: Office, seat: Seats, case: Case) -> None:
    put_off(seat("li-na"), case)
    assert rows(office) == 0
    review, code = office.question(case), office.code("he-qiang")
    assert in_transaction(lambda tx: hands.reassign(tx, review.id, "li-na", "he-qiang", code)).accepted
    assert rows(office) == 1


def test_it_is_taken_back_by_hand(office: Office, seat: Seats, case: Case) -> None:
    me = seat("li-na")
    put_off(me, case)
    review = office.question(case)
    page = me.see(f"/r/{review.id}")
    assert "您已推后至" in page.text
    me.send(f"/r/{review.id}/take-up", page.form("/decide").values)
    assert listed(me)


def test_each_time_goes_on_record_and_its_clock_runs_on(office: Office, seat: Seats, case: Case) -> None:
    me, due = seat("li-na"), office.question(case).due_at
    put_off(me, case)
    put_off(me, case)
    assert office.trail(case.id).count("review.put_off") == 2 and office.question(case).due_at == due
    assert office.chains() == []


@pytest.mark.parametrize("days", [8, -1])
def test_no_further_than_a_week_and_not_into_the_past(office: Office, case: Case, days: int) -> None:
    review, code = office.question(case), office.code("li-na")
    outcome = in_transaction(lambda tx: later.put_off(tx, review.id, "li-na", tx.now + timedelta(days=days), code))
    assert not outcome.accepted


def test_nobody_puts_off_in_a_colleagues_name(office: Office, case: Case) -> None:
    review = office.question(case)
    outcome = in_transaction(lambda tx: later.put_off(tx, review.id, "li-na", tx.now + HOUR, "000000"))
    assert not outcome.accepted and "review.put_off" not in office.trail(case.id)


# ── 常用语 ───────────────────────────────────────────────────────────────────


def keep(who: Seat, name: str, text: str) -> Page:
    return who.send("/me/snippets", who.see("/me").form("/me/snippets").values | {"name": name, "text": text})


def test_a_reason_that_is_kept_is_offered_where_reasons_are_written_to_its_author_alone(
    office: Office, seat: Seats, case: Case
) -> None:
    me, other = seat("li-na"), seat("zhao-min")
    keep(me, "缺材料", "请补充营业执照\n和法人身份证")
    review = office.question(case)
    assert "请补充营业执照" in me.see(f"/r/{review.id}").html and "缺材料" in me.see("/me").text
    assert "请补充营业执照" not in other.see(f"/r/{review.id}").html + other.see("/me").html


def test_the_same_name_is_replaced_and_one_is_dropped(office: Office, seat: Seats) -> None:
    me = seat("li-na")
    keep(me, "缺材料", "旧的理由")
    keep(me, " 缺材料 ", "新的理由")
    with reading() as tx:
        [row] = snippets.of(tx, "li-na")
    assert row.text == "新的理由"
    me.send(f"/me/snippets/{row.id}/end", me.see("/me").form("/me/snippets").values)
    with reading() as tx:
        assert snippets.of(tx, "li-na") == []


def test_a_colleague_drops_none_of_mine(office: Office, seat: Seats) -> None:
    me, other = seat("li-na"), seat("zhao-min")
    keep(me, "缺材料", "我的理由")
    with reading() as tx:
        [row] = snippets.of(tx, "li-na")
    other.send(f"/me/snippets/{row.id}/end", other.see("/me").form("/me/snippets").values)
    with reading() as tx:
        assert len(snippets.of(tx, "li-na")) == 1


def test_what_cannot_be_kept_comes_back_with_why(office: Office, seat: Seats) -> None:
    me = seat("li-na")
    page = keep(me, "长", "字" * 5_000)
    assert page.status == 422 and page.form("/me/snippets").values["text"].startswith("字字")
    assert "请填写名称和内容" in keep(me, " ", "有内容").text
    for n in range(snippets.MOST):
        assert in_transaction(lambda tx, n=n: snippets.keep(tx, "li-na", f"第 {n} 条", "理由文本")) == ""
    assert "最多" in keep(me, "再一条", "理由文本").text


def test_nobody_fills_a_cases_record_by_taking_giving_back_and_putting_off_without_end(
    office: Office, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hands, "MOST_CLAIMS", 2)
    monkeypatch.setattr(later, "MOST_TIMES", 2)
    review = office.question(case)

    def act(verb: Callable[..., Outcome], *more: Any) -> str:
        code = office.code("li-na")
        return in_transaction(lambda tx: verb(tx, review.id, "li-na", *more, code=code)).sentence

    for _ in range(2):
        assert [act(hands.claim), act(hands.release)] == ["已认领", "已释放"]
        assert "会回到您的待办" in act(later.put_off, office.clock.at + HOUR) and "已回到" in act(later.take_up)
    assert "次数过多" in act(hands.claim) and "不能再推后" in act(later.put_off, office.clock.at + HOUR)
    office.clock.advance(HOUR)
    assert act(hands.claim) == "已认领", "an hour later it is nobody's game any more"
