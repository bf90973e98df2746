"""批量 and 主管: many like questions one after another, nothing decided that was not shown and ticked; and the office on one page."""

from __future__ import annotations

import pytest
from sqlmodel import update

from models.cases import Case
from models.reviews import ReviewState
from office.base.db import in_transaction, reading
from office.cases import hands
from office.record import audit
from tests.desk.seat import Page, Seat, Seats
from tests.play import Office


@pytest.fixture
def three(office: Office) -> list[Case]:
    """Three closures with nothing against them."""
    found = []
    for n, name in enumerate(("晨光文具", "星河数码", "云上百货"), 1):
        office.open_shop(f"shop-{n}", name=name)
        found.append(office.request_closure(f"shop-{n}"))
    return found


def open_batch(who: Seat) -> Page:
    return who.see("/b?gate=closure-review")


def ticks(office: Office, *cases: Case) -> dict[str, str]:
    return {f"take.{office.question(case).id}": "1" for case in cases}


def send(who: Seat, page: Page, given: dict[str, str], verdict: str = "APPROVE") -> Page:
    return who.send("/b", page.form("/b").values | {"verdict": verdict} | given)


def approved(office: Office, cases: list[Case]) -> list[bool]:
    return [office.trail(case.id).count("review.decided") == 1 for case in cases]


def test_what_was_ticked_is_decided_each_by_itself_and_the_rest_is_not(
    office: Office, seat: Seats, three: list[Case]
) -> None:
    who = seat("li-na")
    page = open_batch(who)
    assert all(name in page.text for name in ("晨光文具", "星河数码", "云上百货", "没有阻断事项"))
    done = send(who, page, ticks(office, three[0], three[2]))
    assert "2 件已决定" in done.text and done.address.startswith("/b/BN-")
    assert approved(office, three) == [True, False, True]
    with reading() as tx:
        [bundle] = [line for line in audit.timeline(tx, "staff/li-na") if line.action == "review.bundle"]
    assert len(bundle.detail["shown"]) == 2 and "工作台会话" in bundle.text
    assert office.chains() == []


def test_sent_twice_it_is_decided_once_and_leads_to_the_same_result(
    office: Office, seat: Seats, three: list[Case]
) -> None:
    who = seat("li-na")
    page, given = open_batch(who), ticks(office, *three)
    first, second = (send(who, page, given) for _ in range(2))
    assert first.address.partition("?")[0] == second.address and "3 件已决定" in second.text
    assert approved(office, three) == [True, True, True]
    assert "3 件已决定" in who.see(second.address).text, "it stays there"
    assert seat("zhao-min").see(second.address).status == 404


def test_nothing_ticked_decides_nothing(office: Office, seat: Seats, three: list[Case]) -> None:
    who = seat("li-na")
    refused = send(who, open_batch(who), {})
    assert refused.status == 422 and "没有勾选任何一件" in refused.text
    assert approved(office, three) == [False, False, False]


def test_one_whose_facts_changed_since_it_was_shown_is_refused_alone(
    office: Office, seat: Seats, three: list[Case]
) -> None:
    who = seat("li-na")
    page, given = open_batch(who), ticks(office, *three)
    office.snapshot("shop-2", open_orders=2)
    done = send(who, page, given)
    assert "2 件已决定" in done.text and "1 件未采纳" in done.text
    assert approved(office, three) == [True, False, True]


def test_what_was_not_on_the_page_is_not_decided_however_it_is_asked(
    office: Office, seat: Seats, three: list[Case]
) -> None:
    who = seat("li-na")
    page = open_batch(who)
    office.open_shop("shop-9", name="后来的店")
    later = office.request_closure("shop-9")
    done = send(who, page, ticks(office, three[0], later))
    assert "1 件已决定" in done.text and "review.decided" not in office.trail(later.id)
    review = office.question(later)
    forged = page.form("/b").values["asked"] + f";{review.id}#{review.revision}#{review.dossier_sha256}"
    refused = send(who, open_batch(who), ticks(office, later) | {"asked": forged})
    assert refused.status == 422 and "review.decided" not in office.trail(later.id)


def test_a_page_of_another_session_is_not_taken(office: Office, seat: Seats, three: list[Case]) -> None:
    who, other = seat("li-na"), seat("zhao-min")
    assert send(other, open_batch(who), ticks(office, *three)).status == 422
    assert approved(office, three) == [False, False, False]


def test_what_blocks_or_is_somebody_elses_is_named_and_left_out(office: Office, seat: Seats, three: list[Case]) -> None:
    who = seat("li-na")
    office.snapshot("shop-1", open_orders=3)
    office.question(three[0])
    code, second = office.code("zhao-min"), office.question(three[1]).id
    assert in_transaction(lambda tx: hands.claim(tx, second, "zhao-min", code)).accepted
    page = open_batch(who)
    assert "有阻断事项,须逐个决定" in page.text and "赵敏 已认领" in page.text
    assert page.html.count('class="one dossier"') == 1


def test_only_verdicts_that_need_no_reason_are_given_many_at_a_time(
    office: Office, seat: Seats, three: list[Case]
) -> None:
    who = seat("li-na")
    page = open_batch(who)
    assert 'value="REJECT"' not in page.html
    assert send(who, page, ticks(office, *three), "REJECT").status == 422
    assert approved(office, three) == [False, False, False]


@pytest.mark.parametrize("gate", ["refund-review", "forced-second", "none", ""])
def test_money_bans_and_second_looks_have_no_such_page(office: Office, seat: Seats, gate: str) -> None:
    who = seat("wang-fang")
    assert who.see(f"/b?gate={gate}").status == 404
    assert who.send("/b", {"from": f"gate={gate}", "verdict": "APPROVE"}).status == 404


def test_the_queue_offers_it_where_several_wait(office: Office, seat: Seats, three: list[Case]) -> None:
    assert "/b?gate=closure-review" in seat("li-na").see("/q").links.values()
    assert "逐件看" not in seat("wang-fang").see("/q").text


def test_a_session_that_has_ended_decides_nothing_and_what_was_ticked_is_asked_again(
    office: Office, seat: Seats, three: list[Case]
) -> None:
    from datetime import timedelta

    who = seat("li-na")
    page, given = open_batch(who), ticks(office, *three)
    office.clock.advance(timedelta(hours=1))
    assert send(who, page, given).status == 401
    assert approved(office, three) == [False, False, False]


# ── 主管 ─────────────────────────────────────────────────────────────────────


def test_whoever_supervises_sees_who_has_how_much(office: Office, seat: Seats, three: list[Case]) -> None:
    code, review = office.code("li-na"), office.question(three[0])
    assert in_transaction(lambda tx: hands.claim(tx, review.id, "li-na", code)).accepted
    page = seat("he-qiang").see("/lead")
    assert "关店审核员 3 件" in page.html and "主管" in page.text
    row = page.html.partition("li-na")[2].partition("</tr>")[0]
    assert row.count(">1<") >= 1
    assert "没有停止的案件" in page.text


def test_nobody_else_does(office: Office, seat: Seats) -> None:
    who = seat("li-na")
    assert who.see("/lead").status == 404 and "/lead" not in who.see("/q").links.values()


def test_a_stopped_case_and_its_cause_are_named(office: Office, seat: Seats, three: list[Case]) -> None:
    in_transaction(lambda tx: tx.execute(update(Case).where(Case.id == three[0].id).values(halted="反复重启没有进展")))
    page = seat("he-qiang").see("/lead")
    assert three[0].id in page.text and "反复重启没有进展" in page.text
    assert office.question(three[1]).state is ReviewState.PENDING
