"""批量 and 主管: many like questions one after another, nothing decided that was not shown and ticked; and the office on one page."""

from __future__ import annotations

import pytest
from sqlmodel import update

from models.cases import Case
from models.reviews import Review, ReviewState
from office.base.db import in_transaction, reading, transaction
from office.cases import hands, together
from office.record import audit
from policies.policy import policy, use_policies
from tasks.sight import queue
from tasks.sight.desk_forms import NOT_OURS
from tests.desk.seat import Page, Seat, Seats
from tests.desk.softkey import SoftKey
from tests.desk.test_signing import asked, enrolled
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
    assert "有阻断事项，须逐个决定" in page.text and "赵敏 已认领" in page.text
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


@pytest.mark.both
def test_what_comes_next_is_never_what_a_colleague_holds_or_i_had_a_hand_in(
    office: Office, seat: Seats, three: list[Case]
) -> None:
    code, first = office.code("zhao-min"), office.question(three[0]).id
    assert in_transaction(lambda tx: hands.claim(tx, first, "zhao-min", code)).accepted

    def listed(staff_id: str, free_for: str = "") -> list[str]:
        with reading() as tx:
            found = queue.waiting(tx, ["closure-reviewer"], seen_by=staff_id, limit=1, free_for=free_for)
            return [row.review_id for row in found]

    assert listed("zhao-min") == [first] == listed("zhao-min", "zhao-min"), "one's own claims come first"
    assert listed("li-na", "li-na") != [first]
    who = seat("li-na")
    ways = [f"/r/{office.question(one).id}/{way}" for one in three[1:] for way in ("next", "previous")]
    assert {who.see(way).address.partition("?")[0] for way in ways} == {
        f"/r/{office.question(one).id}" for one in three[1:]
    }
    page = who.see(f"/b?pick={office.question(three[2]).id}&pick={first}&view=open")
    assert page.html.count('class="one dossier"') == 1 and "赵敏 已认领" in page.text
    assert seat("he-qiang").see("/lead").status == 200


# ── by one signature ─────────────────────────────────────────────────────────


@pytest.fixture
def signer(office: Office, seat: Seats, three: list[Case]) -> tuple[Seat, SoftKey]:
    """A reviewer with a passkey, on facts of today."""
    who = seat("li-na")
    key = enrolled(office, who)
    for n in (2, 3):
        office.snapshot(f"shop-{n}")
    return who, key


def to_sign(who: Seat, page: Page, given: dict[str, str], verdict: str = "APPROVE") -> dict[str, object]:
    own = {"origin": who.origin, "sec-fetch-site": "same-origin"}
    values = page.form("/b").values | {"verdict": verdict} | given
    return who.client.post("/b/sign", data=values, headers=own).json()


def lines(case: Case) -> list[dict[str, object]]:
    with reading() as tx:
        return [line.detail for line in audit.timeline(tx, case.id) if line.action == "review.decided"]


@pytest.mark.both
def test_one_signature_over_the_list_decides_each_once_and_each_is_proved_for_itself(
    office: Office, three: list[Case], signer: tuple[Seat, SoftKey]
) -> None:
    who, key = signer
    page, given = open_batch(who), ticks(office, *three)
    given["signature"] = key.sign(to_sign(who, page, given))
    first, second = (send(who, page, given) for _ in range(2))
    assert "3 件已决定" in first.text and first.address.partition("?")[0] == second.address
    assert approved(office, three) == [True, True, True]
    records = [line for case in three for line in lines(case)]
    assert {line["proof"] for line in records} == {"signature"}
    assert len({line["signed"]["statement"] for line in records}) == 1
    assert office.chains() == []
    review = office.reviews(three[1])[0]
    with transaction() as tx:
        tx.execute(update(Review).where(Review.id == review.id).values(verdict="REJECT"))
    [said] = [one for one in office.chains() if "not the one that was signed" in one]
    assert review.id in said


def test_what_is_not_in_the_signed_list_is_refused_alone(
    office: Office, three: list[Case], signer: tuple[Seat, SoftKey]
) -> None:
    who, key = signer
    page = open_batch(who)
    signature = key.sign(to_sign(who, page, ticks(office, *three[:2])))
    office.snapshot("shop-2", open_orders=2)
    done = send(who, page, ticks(office, *three) | {"signature": signature})
    assert "1 件已决定" in done.text and "2 件未采纳" in done.text
    assert approved(office, three) == [True, False, False]


def test_a_signature_for_one_is_none_for_many_and_the_other_way_round(
    office: Office, three: list[Case], signer: tuple[Seat, SoftKey]
) -> None:
    who, key = signer
    page, given = open_batch(who), ticks(office, *three)
    one = who.see(f"/r/{office.question(three[0]).id}")
    values, options = asked(who, one, "APPROVE")
    assert send(who, page, given | {"signature": key.sign(options)}).status == 422
    refused = who.send(one.form("/decide").action, values | {"signature": key.sign(to_sign(who, page, given))})
    assert refused.status == 422
    assert approved(office, three) == [False, False, False]


def test_nobody_signs_a_list_of_what_weighs(office: Office, three: list[Case], signer: tuple[Seat, SoftKey]) -> None:
    who, _ = signer
    office.closed_shop("shop-8")
    money = office.question(office.request_refund("shop-8"))
    page = open_batch(who)
    forged = {"asked": f"{money.id}#{money.revision}#{money.dossier_sha256}", f"take.{money.id}": "1"}
    assert to_sign(who, page, forged) == {"sentence": NOT_OURS}
    assert to_sign(who, page, forged | {"from": "gate=refund-review"}) == {"sentence": NOT_OURS}


@pytest.mark.parametrize(
    ("rules", "refused"),
    [({"by_session": ()}, "没有填写动态口令"), ({"signed_only": ("closure-review",)}, "须在工作台用通行密钥签名")],
    ids=["no session", "signatures only"],
)
def test_policy_asks_more_of_many_as_it_does_of_one(
    office: Office, three: list[Case], signer: tuple[Seat, SoftKey], rules: dict[str, object], refused: str
) -> None:
    who, key = signer
    published = policy("2026-01-01")
    use_policies(published.model_copy(update={"decisions": published.decisions.model_copy(update=rules)}))
    try:
        page, given = open_batch(who), ticks(office, *three)
        assert refused in send(who, page, given).text
        ids = [office.question(case).id for case in three]
        with reading() as tx:
            shown = together.shown(tx, ids)
        if "signed_only" in rules:
            with pytest.raises(together.NotTogether, match=refused):
                together.decide(shown, "li-na", "APPROVE", "", code=office.code("li-na"))
        assert approved(office, three) == [False, False, False]
        page = open_batch(who)
        assert "3 件已决定" in send(who, page, given | {"signature": key.sign(to_sign(who, page, given))}).text
    finally:
        use_policies()


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
