"""At the desk: log in, read, decide once, be turned away with everything still there, go on to the next."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from models.cases import Case
from models.reviews import ReviewState, Role
from office.base.db import Tx, in_transaction, reading
from office.base.vault import opened
from office.cases import reviews
from office.staff import desk_sessions, staff
from tests.desk.seat import Page, Seat, Seats
from tests.play import Office

HOSTILE = "<script>alert(1)</script>{{7*7}} [点](http://evil.example)"


@pytest.fixture
def case(office: Office) -> Case:
    """A closure waiting for its reviewer, with nothing against it."""
    office.open_shop()
    return office.request_closure()


def shown(who: Seat, case: Case) -> Page:
    return who.see(f"/r/{who.office.question(case).id}")


# ── logging in ──


def test_nobody_sees_anything_before_logging_in(office: Office, case: Case) -> None:
    stranger = Seat(office, "li-na")
    for address in ("/", "/q", f"/r/{office.question(case).id}", f"/c/{case.id}", "/me", "/find?q=x", "/s/shop-1"):
        page = stranger.see(address)
        assert page.address.startswith("/login") and "晨光文具" not in page.text, address


def test_somebody_unknown_and_a_wrong_code_hear_the_same(office: Office) -> None:
    wrong = Seat(office, "li-na").log_in("000000")
    unknown = Seat(office, "nobody-at-all").log_in("000000")
    assert desk_sessions.WRONG in wrong.text and desk_sessions.WRONG in unknown.text


def test_after_logging_in_one_is_where_one_wanted_to_go(office: Office, case: Case) -> None:
    page = Seat(office, "li-na").log_in(to=f"/r/{office.question(case).id}")
    assert page.status == 200 and "关店审核" in page.text and "晨光文具" in page.text


@pytest.mark.parametrize("to", ["https://evil.example/", "//evil.example", "/\\evil.example"])
def test_logging_in_leads_nowhere_else(office: Office, to: str) -> None:
    assert Seat(office, "li-na").log_in(to=to).address == "/q"


def test_a_session_ends_after_half_an_hour_without_anything(office: Office, seat: Seats) -> None:
    who = seat("li-na")
    office.clock.advance(timedelta(minutes=30))
    assert who.see("/q").address == "/q"
    office.clock.advance(timedelta(minutes=30, seconds=1))
    assert who.see("/q").address.startswith("/login")


def test_a_page_knows_how_long_its_session_holds_and_whoever_says_so_stays(office: Office, seat: Seats) -> None:
    who = seat("li-na")
    left = int(who.see("/me").html.partition('data-left="')[2].partition('"')[0])
    assert 1799 <= left <= 1800
    office.clock.advance(timedelta(minutes=29))
    assert int(who.client.get("/pulse?v=none").headers["x-session-left"]) <= 60, "the pulse is nobody's presence"
    own = {"origin": who.origin, "sec-fetch-site": "same-origin"}
    stayed = who.client.post("/stay", headers=own)
    assert stayed.status_code == 204 and int(stayed.headers["x-session-left"]) >= 1799
    for _ in range(19):
        office.clock.advance(timedelta(minutes=29, seconds=59))
        stayed = who.client.post("/stay", headers=own)
    assert int(stayed.headers["x-session-left"]) < 1000, "ten hours are the most"
    office.clock.advance(timedelta(minutes=29))
    assert who.client.post("/stay", headers=own | {"accept": "application/json"}).status_code == 401


def test_and_after_ten_hours_in_any_case(office: Office, seat: Seats) -> None:
    who = seat("li-na")
    for _ in range(20):
        office.clock.advance(timedelta(minutes=29, seconds=59))
        assert who.see("/q").address == "/q"
    office.clock.advance(timedelta(minutes=1))
    assert who.see("/q").address.startswith("/login")


@pytest.mark.parametrize(
    "change",
    [
        lambda tx: staff.enrol(tx, "li-na", "李娜", [Role.CLOSURE_REVIEWER]),
        lambda tx: staff.enrol(
            tx, "li-na", "李娜", [Role.FINANCE], secret=opened(staff.find(tx, "li-na"), "totp_sealed")
        ),
        lambda tx: staff.set_active(tx, "li-na", False),
    ],
    ids=["key", "role", "leaves"],
)
def test_it_ends_when_a_key_or_a_role_changes_or_somebody_leaves(
    office: Office, seat: Seats, change: Callable[[Tx], None]
) -> None:
    who = seat("li-na")
    in_transaction(change)
    assert who.see("/q").address.startswith("/login")


def test_a_session_is_ended_from_another_browser(office: Office, seat: Seats) -> None:
    here, there = seat("li-na"), seat("li-na")
    mine = here.see("/me")
    ends = [form for form in mine.forms if form.action.endswith("/end")]
    assert len(ends) == 2
    with reading() as tx:
        other = [row.id for row in desk_sessions.of(tx, "li-na")]
    for form in ends:
        if other[0] in form.action:  # the newest is the other browser's
            here.send(form.action, form.values)
    assert there.see("/q").address.startswith("/login") and here.see("/q").address == "/q"


# ── deciding ──


def test_a_clean_case_is_decided_on_the_session_and_the_next_of_the_filter_follows(
    office: Office, seat: Seats, case: Case
) -> None:
    office.open_shop("shop-2", name="星河数码")
    other = office.request_closure("shop-2")
    who = seat("li-na")
    queue = who.see("/q?gate=closure-review")
    assert "晨光文具" in queue.text and "星河数码" in queue.text
    page = who.see(queue.links["关店审核"])
    first = case if case.id in page.text else other
    after = who.answer(page, "APPROVE")
    assert after.status == 200 and "已记录：关店审核：同意关店" in after.text
    assert (other.id if first is case else case.id) in after.text
    assert office.reviews(first)[0].state is ReviewState.DECIDED
    done = who.answer(after, "REJECT", "材料不符")
    assert done.address == "/q?gate=closure-review" and "没有符合条件的待办" in done.text
    assert "材料不符" in who.see("/q?view=done").text
    assert office.chains() == []


def test_money_takes_a_code_each_time(office: Office, seat: Seats) -> None:
    office.closed_shop()
    case = office.request_refund()
    who = seat("wang-fang")
    refused = who.answer(shown(who, case), "APPROVE", "材料齐全", code="")
    assert refused.status == 422 and "没有填写动态口令" in refused.text
    assert office.question(case).state is not ReviewState.DECIDED
    taken = who.answer(refused, "APPROVE", "材料齐全")
    assert (taken.address.startswith("/q") and office.case(case.id).outcome is not None) or office.reviews(case)[
        0
    ].decided_by


def test_what_blocks_takes_a_code_too(office: Office, seat: Seats, case: Case) -> None:
    office.snapshot(open_orders=3)
    who = seat("li-na")
    assert "code" in shown(who, case).form("/decide").values


def test_a_refused_answer_comes_back_with_everything_typed_and_the_cause_on_top(
    office: Office, seat: Seats, case: Case
) -> None:
    who = seat("li-na")
    refused = who.answer(shown(who, case), "REJECT")
    assert refused.status == 422 and "必须填写理由" in refused.text and "<title>错误：" in refused.html
    assert refused.form("/decide").values["verdict"] == "REJECT"
    office.snapshot(open_orders=1)
    overtaken = who.answer(refused, "REJECT", "还有订单没有完成")
    assert "事实已发生变化" in overtaken.text or "已过期" in overtaken.text
    assert overtaken.form("/decide").values["reason"] == "还有订单没有完成"
    assert "1 笔订单" in overtaken.text  # what is shown is what stands now
    assert who.answer(overtaken, "REJECT", "还有订单没有完成", code=office.code("li-na")).address.startswith("/q")


def test_pressed_twice_it_is_decided_once_and_both_hear_the_same(office: Office, seat: Seats, case: Case) -> None:
    who = seat("li-na")
    form = shown(who, case).form("/decide")
    given = form.values | {"verdict": "APPROVE"}
    first, second = who.send(form.action, given), who.send(form.action, given)
    assert first.address == second.address and first.status == second.status == 200
    assert office.trail(case.id).count("review.decided") == 1
    assert office.trail(case.id).count("review.refused") == 0


def test_a_second_window_hears_who_was_first_and_keeps_its_words(office: Office, seat: Seats, case: Case) -> None:
    who, other = seat("li-na"), seat("zhao-min")
    mine, theirs = shown(who, case), shown(other, case)
    who.answer(mine, "APPROVE")
    late = other.answer(theirs, "REJECT", "我不同意")
    assert "该任务已由 李娜 处理完毕" in late.text and "我不同意" in late.text


def test_a_session_that_ends_in_the_middle_costs_nothing_and_replays_nothing(
    office: Office, seat: Seats, case: Case
) -> None:
    who = seat("li-na")
    page = shown(who, case)
    office.clock.advance(timedelta(hours=1))
    asked = who.answer(page, "REJECT", "与主体不符,请更正")
    assert asked.status == 401 and desk_sessions.ENDED in asked.text
    kept = asked.form("/login").values
    back = who.send("/login", kept | {"staff_id": "li-na", "code": office.code("li-na")})
    form = back.form("/decide")
    assert form.values["reason"] == "与主体不符,请更正" and form.values["verdict"] == "REJECT"
    assert office.question(case).state is ReviewState.PENDING
    assert who.answer(back, "REJECT", form.values["reason"]).address.startswith("/q")


def test_a_form_of_another_session_another_question_or_another_text_is_not_taken(
    office: Office, seat: Seats, case: Case
) -> None:
    office.open_shop("shop-2")
    other = office.request_closure("shop-2")
    who, colleague = seat("li-na"), seat("zhao-min")
    form = shown(who, case).form("/decide")
    given = form.values | {"verdict": "APPROVE"}
    for send, address, changes in (
        (colleague, form.action, {}),
        (who, form.action.replace(office.question(case).id, office.question(other).id), {}),
        (who, form.action, {"revision": "2"}),
        (who, form.action, {"shown": "0" * 64}),
        (who, form.action, {"token": ""}),
    ):
        assert "表单已失效" in send.send(address, given | changes).text
    assert office.question(case).state is office.question(other).state is ReviewState.PENDING


# ── drafts, claims ──


def test_what_is_typed_is_kept_and_an_older_window_does_not_replace_it(office: Office, seat: Seats, case: Case) -> None:
    who = seat("li-na")
    first, second = shown(who, case).form("/decide"), shown(who, case).form("/decide")
    draft = next(way for way in first.ways if way.endswith("/draft"))
    who.send(draft, first.values | {"reason": "写到一半"})
    assert shown(who, case).form("/decide").values["reason"] == "写到一半"
    late = who.client.post(
        draft,
        data=second.values | {"reason": "旧窗口"},
        headers={"origin": who.origin, "sec-fetch-site": "same-origin", "accept": "application/json"},
    )
    assert late.status_code == 409
    assert shown(who, case).form("/decide").values["reason"] == "写到一半"
    assert "写到一半" not in seat("zhao-min").see(f"/r/{office.question(case).id}").text


def test_claiming_keeps_others_out_and_releasing_lets_them_in(office: Office, seat: Seats, case: Case) -> None:
    who, other = seat("li-na"), seat("zhao-min")
    form = shown(who, case).form("/decide")
    who.send(form.action.replace("/decide", "/claim"), form.values)
    assert "已由 李娜 认领" in shown(other, case).text
    assert "已由 李娜 认领" in other.answer(shown(other, case), "APPROVE").text
    form = shown(who, case).form("/decide")
    who.send(form.action.replace("/decide", "/release"), form.values)
    assert other.answer(shown(other, case), "APPROVE").address.startswith("/q")


def test_a_supervisor_hands_a_question_over_by_a_code(office: Office, seat: Seats, case: Case) -> None:
    boss = seat("he-qiang")
    assert "关店审核" in boss.see("/q?role=closure-reviewer").text
    page = shown(boss, case)
    form = page.form("/reassign")
    wrong = boss.send(form.action, form.values | {"to": "zhao-min", "code": "000000"})
    assert "动态口令不正确" in wrong.text
    form = wrong.form("/reassign")
    boss.send(form.action, form.values | {"to": "zhao-min", "code": office.code("he-qiang")})
    assert office.question(case).claimed_by == "zhao-min"
    assert not [one for one in shown(seat("li-na"), case).forms if one.action.endswith("/reassign")]


def test_a_claim_ends_by_itself_and_the_question_is_everybodys_again(office: Office, seat: Seats) -> None:
    office.clock.advance(datetime(2026, 12, 1, 2, tzinfo=UTC) - office.clock.at)
    office.open_shop()
    case = office.request_closure()
    who = seat("li-na")
    form = shown(who, case).form("/decide")
    who.send(form.action.replace("/decide", "/claim"), form.values)
    office.clock.advance(timedelta(hours=8))
    in_transaction(reviews.look_after)
    assert office.question(case).claimed_by == "li-na"
    office.clock.advance(timedelta(seconds=1))
    in_transaction(reviews.look_after)
    assert office.question(case).claimed_by is None
    assert "李娜 的认领失效:已超过 8 小时" in seat("zhao-min").see(f"/c/{case.id}").text


def test_who_may_not_decide_reads_why(office: Office, seat: Seats, case: Case) -> None:
    assert "您没有处理此任务的岗位权限,需要:关店审核员" in shown(seat("wang-fang"), case).text


# ── looking ──


def test_a_number_leads_to_its_page_and_looking_changes_nothing(office: Office, seat: Seats, case: Case) -> None:
    who, review = seat("li-na"), office.question(case)
    before = office.trail(case.id)
    for number, address in ((case.id, f"/c/{case.id}"), (review.id, f"/r/{review.id}"), ("shop-1", "/s/shop-1")):
        page = who.see(f"/find?q=+{number}+")
        assert page.address == address and "晨光文具" in page.text
    assert "/s/shop-1" in who.see("/find?q=晨光").links.values()
    assert who.see("/r/RV-000000-AAAAAA").status == 404 == who.see("/c/none").status == who.see("/s/none").status
    assert office.trail(case.id) == before


def test_what_a_merchant_writes_is_read_and_never_obeyed(office: Office, seat: Seats) -> None:
    office.open_shop("shop-x", name=f"店 {HOSTILE}")
    case = office.request_closure("shop-x", reason_text=f"原因 {HOSTILE}")
    who = seat("li-na")
    for address in ("/q", f"/r/{office.question(case).id}", f"/c/{case.id}", "/s/shop-x", "/find?q=店"):
        page = who.see(address)
        assert page.status == 200
        assert "<script>alert" not in page.html
        assert not any("evil.example" in link for link in page.links.values())


# ── the guard ──


def test_nothing_is_taken_from_a_page_that_is_not_ours(office: Office, seat: Seats, case: Case) -> None:
    who = seat("li-na")
    form = shown(who, case).form("/decide")
    given = form.values | {"verdict": "APPROVE"}
    for headers in (
        {"origin": "http://localhost:4200"},
        {"origin": "null"},
        {"origin": ""},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "none"},
    ):
        assert who.send(form.action, given, **headers).status == 403
        assert Seat(office, "li-na").send("/login", {"staff_id": "li-na", "code": "0"}, **headers).status == 403
    assert office.question(case).state is ReviewState.PENDING
    assert who.send(form.action, given, **{"sec-fetch-site": ""}).status == 200  # a browser that does not say


def test_another_name_for_the_desk_is_not_answered(office: Office, seat: Seats) -> None:
    assert seat("li-na").client.get("/q", headers={"host": "127.0.0.1:8788"}).status_code == 421


def test_every_answer_says_what_a_browser_may_do_with_it(office: Office, seat: Seats, case: Case) -> None:
    who = seat("li-na")
    for address in ("/q", "/login", f"/r/{office.question(case).id}", "/nothing"):
        headers = who.see(address).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store" and headers["referrer-policy"] == "same-origin"
        assert headers["cross-origin-opener-policy"] == "same-origin" and headers["x-frame-options"] == "DENY"
    page = who.see("/q").html
    assert " style=" not in page and " onclick" not in page and "<script>" not in page


def test_the_pulse_costs_nothing_while_nothing_happens(office: Office, seat: Seats, case: Case) -> None:
    who, review = seat("li-na"), office.question(case)
    first = who.client.get(f"/pulse?r={review.id}").json()
    assert first["counts"]["open"] == 1 and first["revision"] == 1
    assert who.client.get(f"/pulse?v={first['version']}").status_code == 304


def test_a_word_that_was_there_before_is_nobodys_session(office: Office) -> None:
    who = Seat(office, "li-na")
    who.client.cookies.set("dianwu_desk", "planted-by-somebody-else", domain="localhost.local")
    assert who.see("/q").address.startswith("/login")
    who.log_in()
    words = [cookie.value for cookie in who.client.cookies.jar if cookie.name == "dianwu_desk"]
    assert "planted-by-somebody-else" not in words[-1] and len(words[-1] or "") >= 43
    assert who.log_in().address == "/q"


def test_the_log_of_requests_names_no_case_and_no_person(
    office: Office, seat: Seats, case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    who = seat("li-na")
    with caplog.at_level("INFO", "dianwu.desk.access"):
        who.answer(shown(who, case), "REJECT")
        who.see(f"/find?q={case.id}")
        who.see(f"/nothing/{case.id}")
    lines = [record.getMessage() for record in caplog.records if record.name == "dianwu.desk.access"]
    assert len(lines) >= 5 and not any(case.id in line or "RV-" in line or "li-na" in line for line in lines)
