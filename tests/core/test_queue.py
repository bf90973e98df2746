"""The queue people work from: what it lists, in which order, and how rarely the board is written."""

from __future__ import annotations

import itertools
import re
import threading
from typing import Any

import pytest

from models.cases import CaseKind
from models.reviews import Role
from office.base.db import in_transaction, reading
from office.cases import confirmations, hands, reviews
from office.cases.gates import Answer
from tasks.sight import board as boards
from tasks.sight import queue
from tasks.sight.board import Board, Clerk
from tasks.sight.queue import Waiting
from tests.play import Office

pytestmark = pytest.mark.both


def listed(role: str | None = None) -> list[Waiting]:
    with reading() as tx:
        return queue.waiting(tx, role)


def page(role: Role = Role.CLOSURE_REVIEWER) -> str:
    """What hangs in Prefect for that role."""
    with reading() as tx:
        return text_of(boards.board(tx), role)


def text_of(content: Board, role: Role = Role.CLOSURE_REVIEWER) -> str:
    return next(page.text for page in content.pages if page.role is role)


def links(text: str) -> list[str]:
    """The cases that have a line with a link, from the top."""
    return re.findall(r"\[[^\]]* · ([A-Z]+-\d{6}-\w{6})\]\(", text)


def proved(office: Office, act: Any, review_id: str, staff_id: str) -> None:
    """Claim or release, proved by the person's own code."""
    code = office.code(staff_id)
    in_transaction(lambda tx: act(tx, review_id, staff_id, code))


class Wall:
    """Where boards are put up: it remembers them, and can be out of reach."""

    def __init__(self) -> None:
        self.seen: list[Board] = []
        self.broken: Exception | None = None
        self.seconds = 0.0

    def put(self, content: Board) -> None:
        if self.broken:
            raise self.broken
        self.seen.append(content)

    def clerk(self) -> Clerk:
        return Clerk(self.put, lambda: self.seconds)


@pytest.fixture
def wall() -> Wall:
    return Wall()


def test_what_is_due_first_comes_first(office: Office) -> None:
    office.open_shop()
    first = office.request_closure()
    office.pass_time(days=1)
    office.open_shop("shop-2", name="远山茶铺")
    second = office.request_closure("shop-2")
    assert [row.case_id for row in listed()] == [first.id, second.id]


def test_what_was_escalated_stands_on_top_and_says_how_often(office: Office) -> None:
    office.open_shop()
    late = office.request_closure()
    office.pass_time(days=10)
    office.pass_time(days=1)
    office.open_shop("shop-2", name="远山茶铺")
    office.request_closure("shop-2")
    top, fresh = listed()
    assert top.case_id == late.id and top.escalations == 2 and fresh.escalations == 0
    assert links(page()) == [late.id, fresh.case_id]
    assert "**逾期升级 1 项**" in page() and page().count("（已超时）") == 1 and f"- ⚠️ [关店审核 · {late.id}]" in page()


def test_a_decided_question_leaves_the_queue(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    office.decide(case, "li-na", "APPROVE")
    assert listed() == []
    waiting, _, decided = page().partition("#### 今日已决定")
    assert "没有待处理的审核任务。" in waiting and links(waiting) == []
    assert links(decided) == [case.id] and "李娜" in decided and "同意关店" in decided
    office.pass_time(days=1)
    assert links(page()) == [], "what was decided yesterday is in `dianwu review mine`"


def test_each_role_sees_its_own(office: Office) -> None:
    office.closed_shop()
    refund = office.request_refund()
    office.open_shop("shop-2", name="远山茶铺")
    closure = office.request_closure("shop-2")
    assert [row.case_id for row in listed(Role.FINANCE)] == [refund.id]
    assert [row.case_id for row in listed(Role.CLOSURE_REVIEWER)] == [closure.id]
    assert links(page(Role.FINANCE)) == [refund.id] and links(page(Role.ARBITRATOR)) == []
    assert links(page(Role.CLOSURE_REVIEWER).partition("#### 今日已决定")[0]) == [closure.id]


def test_the_list_is_narrowed_by_kind_by_lateness_and_to_what_nobody_has_claimed(office: Office) -> None:
    office.closed_shop()
    refund = office.request_refund()
    office.pass_time(days=10)
    office.open_shop("shop-2", name="远山茶铺")
    closure = office.request_closure("shop-2")

    def narrowed(**by: Any) -> list[str]:
        with reading() as tx:
            return [row.case_id for row in queue.waiting(tx, **by)]

    assert narrowed(kind=CaseKind.CLOSURE) == [closure.id]
    assert narrowed(late=True) == [refund.id]
    task = office.question(closure).id
    in_transaction(lambda tx: hands.claim(tx, task, "li-na", office.code("li-na")))
    assert narrowed(unclaimed=True) == [refund.id]
    assert narrowed(role=Role.FINANCE, limit=1) == [refund.id] and narrowed(role=Role.SUPERVISOR) == []


def test_a_claim_is_shown_with_the_name(office: Office) -> None:
    office.open_shop()
    task = office.question(office.request_closure()).id
    proved(office, hands.claim, task, "li-na")
    assert "李娜 已认领" in page()
    with reading() as tx:
        assert [row.review_id for row in queue.waiting(tx, claimed_by="li-na")] == [task]
        assert queue.waiting(tx, claimed_by="zhao-min") == []


def test_the_run_list_shows_the_role_then_that_it_is_late_then_who_has_taken_it(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    task = office.question(case)
    in_transaction(lambda tx: hands.claim(tx, task.id, "li-na", office.code("li-na")))
    office.pass_time(days=10)
    task = office.question(case)
    with reading() as tx:
        assert reviews.tags(tx, task) == ["岗位:关店审核员", "⚠️ 逾期升级", "认领:李娜"]


def test_every_row_leads_to_the_form(office: Office) -> None:
    office.open_shop()
    office.request_closure()
    row = listed()[0]
    assert "/v2/runs" in row.link and f"]({row.link})" in page()


def test_what_is_claimed_or_was_answered_in_vain_stands_on_top_with_the_reason(office: Office) -> None:
    cases = []
    for number in range(3):
        office.open_shop(f"shop-{number}")
        cases.append(office.request_closure(f"shop-{number}").id)
        office.pass_time(hours=1)
    claimed, refused = office.question(office.case(cases[1])), office.question(office.case(cases[2]))
    proved(office, hands.claim, claimed.id, "li-na")
    answer = Answer(
        review_id=refused.id, revision=1, staff_id="li-na", code="000000", verdict="REJECT", reason="缺少 **材料**"
    )
    in_transaction(lambda tx: confirmations.take_form_answer(tx, refused.id, reviews.gate_of(refused), answer))
    assert [row.case_id for row in listed()] == [cases[2], cases[1], cases[0]] == links(page())
    on_top = page().partition("#### 待处理")[0]
    assert links(on_top) == [cases[2], cases[1]] and "上次答复未采纳" in on_top and "动态口令不正确" in on_top
    asked = office.question(office.case(cases[2]))
    with reading() as tx:
        assert reviews.tags(tx, asked)[0] == "⚠️ 上次答复未采纳"


def test_a_shop_named_like_markup_stays_text_in_the_list(office: Office) -> None:
    office.open_shop(name="<script>alert(1)</script> [点](http://evil.example) &amp;")
    office.request_closure()
    assert "<script>" not in page() and "](http://evil" not in page()
    assert "&lt;script&gt;" in page()


def test_of_very_many_the_most_urgent_are_shown_and_all_are_counted(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boards, "SHOWN", 2)
    for number in range(3):
        office.open_shop(f"shop-{number}")
        office.request_closure(f"shop-{number}")
    assert len(links(page())) == 2 and "**3** 项" in page() and "另有 1 项" in page()
    assert "dianwu review list --role 关店审核员" in page()


def test_the_board_is_written_when_something_happened_and_not_for_nothing(office: Office, wall: Wall) -> None:
    clerk = wall.clerk()
    clerk.look()
    assert len(wall.seen) == 1  # at the start nobody knows what hangs there
    office.open_shop()
    office.request_closure()
    wall.seconds += 10
    clerk.look()
    assert len(wall.seen) == 2 and len(links(text_of(wall.seen[1]))) == 1
    wall.seconds += 10
    office.open_shop("shop-2")
    clerk.look()
    assert len(wall.seen) == 2  # much was recorded, but nothing in the queue has changed


def test_a_claim_a_release_and_a_new_holder_are_on_the_board_at_once(office: Office, wall: Wall) -> None:
    office.open_shop()
    task = office.question(office.request_closure()).id
    clerk = wall.clerk()

    def holder() -> str:
        wall.seconds += boards.PAUSE_SECONDS
        clerk.look()
        found = re.search(r"，(\S+) 已认领", text_of(wall.seen[-1]))
        return found[1] if found else ""

    assert holder() == ""
    in_transaction(lambda tx: hands.claim(tx, task, "li-na", office.code("li-na")))
    assert holder() == "李娜"
    code = office.code("he-qiang")
    in_transaction(lambda tx: hands.reassign(tx, task, "zhao-min", "he-qiang", code))
    assert holder() == "赵敏"
    in_transaction(lambda tx: hands.release(tx, task, "zhao-min", office.code("zhao-min")))
    assert holder() == ""


def test_while_much_happens_the_board_is_written_every_other_second_and_misses_nothing(
    office: Office, wall: Wall
) -> None:
    clerk = wall.clerk()
    clerk.look()
    for number in range(5):
        office.open_shop(f"shop-{number}")
        office.request_closure(f"shop-{number}")
        clerk.look()
    assert len(wall.seen) == 1
    wall.seconds += boards.PAUSE_SECONDS
    clerk.look()
    assert len(wall.seen) == 2 and len(links(text_of(wall.seen[1]))) == 5


def test_the_clerk_looks_by_itself_and_survives_a_fault(office: Office) -> None:
    office.open_shop()
    office.request_closure()
    written = threading.Event()
    faults = [KeyError("once")]

    def put(content: Board) -> None:
        if faults:
            raise faults.pop()
        written.set()

    clerk = Clerk(put, itertools.count(0, 10).__next__).start()
    assert written.wait(60)
    clerk.stop()


def test_a_server_out_of_reach_is_tried_again_and_stops_nobody(office: Office, wall: Wall) -> None:
    import httpx

    wall.broken = httpx.ConnectError("refused")
    clerk = wall.clerk()
    clerk.look()
    wall.broken = None
    wall.seconds += boards.PAUSE_SECONDS
    clerk.look()
    assert len(wall.seen) == 1
    wall.broken = httpx.ConnectError("refused")
    assert boards.publish(wall.put) is False
