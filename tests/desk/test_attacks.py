"""Attacks on the desk: a clerk who wants another's decision, odd forms, pages from before, hostile words, guessed numbers."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from limits import parse
from sqlmodel import select, update

from desk import app, reads
from models.cases import Case
from models.desk import DeskDraft
from models.messages import Channel, InboxMessage, InboxState, OutboxMessage, OutboxState
from models.reviews import ReviewState, Role
from office.base.db import Tx, in_transaction, reading
from office.base.vault import opened
from office.cases import judge, signatures
from office.cases.gates import Answer
from office.staff import staff
from tasks.sight import snippets
from tasks.sight.desk_forms import NOT_OURS
from tests.accounts import bound
from tests.desk.seat import Page, Seat, Seats
from tests.desk.test_deciding import case, shown
from tests.desk.test_looks import LICENCE
from tests.desk.test_signing import asked, enrolled
from tests.play import Office

__all__ = ["case"]

HOSTILE = "<script>alert(1)</script>\u05e9\u05dc {{7*7}} [点](http://evil.example)"


def headers(who: Seat) -> dict[str, str]:
    return {"origin": who.origin, "sec-fetch-site": "same-origin"}


# ── hostile words ──


APART = {"bdi", "title", "option", "textarea", "blockquote"}


class Bare(HTMLParser):
    """Where words of others stand without being kept apart from what is beside them (their direction turns it round)."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.within: list[str] = []
        self.found: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"input", "img", "meta", "link", "br", "meter"}:
            self.within.append(tag)
        self.found += [
            f"{tag} {name}"
            for name, value in attrs
            if name.startswith("on") or (name == "href" and "evil" in (value or "") and (value or "")[0] not in "/#")
        ]

    def handle_endtag(self, tag: str) -> None:
        if tag in self.within:
            while self.within.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if "evil.example" in data and not APART & set(self.within):
            self.found.append(f"{'/'.join(self.within[-4:])}: {data.strip()[:80]}")


def test_hostile_words_are_words_on_every_page_and_turn_round_nothing_beside_them(office: Office, seat: Seats) -> None:
    office.open_shop("shop-1", name=HOSTILE)
    bound(office)
    cases = [office.request_closure("shop-1", reason_text=HOSTILE)]
    for n in (2, 3):
        office.open_shop(f"shop-{n}", name=HOSTILE)
        cases.append(office.request_closure(f"shop-{n}", reason_text=HOSTILE))
    office.decide(cases[2], "li-na", "REJECT", HOSTILE)

    def breaks(tx: Tx) -> None:
        letter = tx.exec(select(OutboxMessage).where(OutboxMessage.channel == Channel.EVENT)).first()
        event = tx.exec(select(InboxMessage)).first()
        assert letter is not None and event is not None
        letter.state, letter.note, event.state, event.note = OutboxState.DEAD, HOSTILE, InboxState.FAILED, HOSTILE
        tx.add_all([letter, event])
        tx.execute(update(Case).where(Case.id == cases[0].id).values(halted=HOSTILE))
        snippets.keep(tx, "li-na", "话<b>", HOSTILE)

    in_transaction(breaks)
    me, boss = seat("li-na"), seat("he-qiang")
    batch = me.see("/b?gate=closure-review")
    sent = batch.form("/b").values | {"verdict": "APPROVE", f"take.{office.question(cases[1]).id}": "1"}
    pages = [batch, me.send("/b", sent), boss.see("/lead"), boss.see("/lead?view=free&holder=%3Cb%3Eevil.example")]
    decided = office.reviews(cases[2])[0].id
    pages += [
        me.see(place)
        for place in ("/q", "/q?view=done", "/me", f"/find?q={HOSTILE}", "/find?q=evil", "/s/shop-1", f"/c/{cases[2].id}", f"/r/{decided}",
                      f"/r/{office.question(cases[0]).id}", "/q?shop=%3Cb%3Eevil.example")
    ]  # fmt: skip
    for page in pages:
        assert page.status == 200 and "<script>alert" not in page.html and "<b>evil" not in page.html, page.address
        assert Bare(page.html).found == [], page.address
    assert sum("evil.example" in page.html for page in pages) >= 12


# ── pages from before ──


def test_a_page_from_before_a_change_of_role_decides_nothing(office: Office, seat: Seats, case: Case) -> None:
    who = seat("li-na")
    page = shown(who, case)
    with reading() as tx:
        secret = opened(staff.find(tx, "li-na"), "totp_sealed")
    in_transaction(lambda tx: staff.enrol(tx, "li-na", "李娜", [Role.FINANCE], secret=secret))
    assert who.answer(page, "APPROVE").status == 401
    who.log_in()
    assert NOT_OURS in who.answer(page, "APPROVE").text, "the form of a session that is over"
    now = shown(who, case)
    assert "您没有处理此任务的岗位权限" in who.answer(now, "APPROVE").html.partition('id="refused"')[2]
    assert office.question(case).state is ReviewState.PENDING


def test_a_page_of_an_earlier_release_is_judged_by_what_stands_now(office: Office, seat: Seats, case: Case) -> None:
    who = seat("li-na")
    form = shown(who, case).form("/decide")
    older = {name: value for name, value in form.values.items() if name not in {"marks", "act", "signature", "draft"}}
    newer = {"field.not_yet": "1", "field.write_off": "1", "another": "x"}
    told = who.send(form.action, older | newer | {"verdict": "APPROVE_ALL"})
    assert told.status == 422 and "请选择一个结论" in told.text
    assert who.send(told.form("/decide").action, told.form("/decide").values | {"verdict": "APPROVE"}).status == 200
    assert office.reviews(case)[0].answer == {}, "what this gate does not ask for is nobody's answer"
    assert who.client.get("/static/desk.0123456789abcdef.js").status_code == 404


def test_where_a_refused_answer_came_back_its_question_is_found(office: Office, seat: Seats, case: Case) -> None:
    who = seat("li-na")
    refused = who.answer(shown(who, case), "REJECT")
    assert refused.address.endswith("/decide")
    again = who.see(refused.address)
    assert again.status == 200 and again.address == f"/r/{office.question(case).id}"
    assert who.see(f"{again.address}/elsewhere").status == 404


# ── odd forms ──


@pytest.mark.parametrize(
    "more", [[("verdict", "REJECT")], [("reason", "x")], [("big", "字" * 70_000)], [("token", "")]]
)
def test_a_form_that_says_a_thing_twice_or_too_much_is_none_of_ours(
    office: Office, seat: Seats, case: Case, more: list[tuple[str, str]]
) -> None:
    who = seat("li-na")
    form = shown(who, case).form("/decide")
    given = form.values | {"verdict": "APPROVE", "reason": ""}
    sent: dict[str, str | list[str]] = dict(given)
    for name, value in more:
        sent[name] = [given[name], value] if name in given else value
    answer = Page(who.client.post(form.action, data=sent, headers=headers(who)))
    assert answer.status == 422 and NOT_OURS in answer.text
    assert office.question(case).state is ReviewState.PENDING


@pytest.mark.parametrize(
    "way", ["/decide", "/claim", "/release", "/later", "/confirm", "/object", "/reassign", "/sign", "/draft"]
)
def test_a_form_with_nothing_in_it_does_nothing(office: Office, seat: Seats, case: Case, way: str) -> None:
    who, trail = seat("li-na"), office.trail(case.id)
    address = f"/r/{office.question(case).id}{way}"
    for body in (b"", b"&&=&%00=1", b"verdict"):
        kind = {"content-type": "application/x-www-form-urlencoded"}
        assert who.client.post(address, content=body, headers=headers(who) | kind).status_code in {403, 422}
    upload = who.client.post(address, files={"verdict": ("x.txt", b"APPROVE")}, headers=headers(who))
    assert upload.status_code in {400, 403, 422} and office.trail(case.id) == trail


# ── others' things ──


def test_nobody_writes_or_reads_a_colleagues_draft(office: Office, seat: Seats, case: Case) -> None:
    who, other = seat("li-na"), seat("zhao-min")
    form = shown(who, case).form("/decide")
    draft = form.action.replace("/decide", "/draft")
    assert other.send(draft, form.values | {"reason": "冒名"}).status == 403, "a page of another session"
    own = shown(other, case).form("/decide").values
    other.send(draft, own | {"reason": "我自己的", "staff_id": "li-na"})
    with reading() as tx:
        assert [row.staff_id for row in tx.exec(select(DeskDraft))] == ["zhao-min"]
    assert "我自己的" not in shown(who, case).html


def test_nobody_guesses_numbers_without_end(office: Office, seat: Seats, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads, "_most", parse("4/hour"))
    who = seat("li-na")
    guesses = ["/p/EV-1", "/p/EV-2/1.webp", "/p/EV-3/file", "/r/RV-1", "/c/CLS-1", "/s/none", "/p/EV-4"]
    assert [who.see(one).status for one in guesses] == [404] * 4 + [429] * 3
    assert who.see("/q").status == 200 == seat("zhao-min").see("/q").status


def test_a_picture_is_kept_for_the_session_it_was_handed_out_in(office: Office, seat: Seats) -> None:
    office.closed_shop()
    case = office.request_refund(documents=[LICENCE])
    who = seat("wang-fang")
    place = shown(who, case).html.partition('class="thumb" href="')[2].partition('"')[0]
    told = who.client.get(f"{place}/1.webp").headers
    assert told["vary"] == "cookie" and told["cache-control"].startswith("private")
    assert who.client.get(place, headers={"accept": "application/json"}).json() == {"pages": 1, "shown": 1}


def test_a_signature_over_other_fields_proves_nothing(office: Office, seat: Seats) -> None:
    office.closed_shop()
    case = office.request_refund()
    who = seat("wang-fang")
    key = enrolled(office, who)
    _, options = asked(who, shown(who, case), "APPROVE")
    signature, review = key.sign(options), office.question(case)
    answer = Answer(
        review_id=review.id,
        revision=review.revision,
        staff_id="wang-fang",
        code="",
        verdict="APPROVE",
        extra={"paper": "EV-1"},
    )

    def proved(tx: Tx) -> str | None:
        return signatures.unproved(tx, review, judge.said(tx.get_one(Case, case.id), answer), signature, 0)

    assert in_transaction(proved) == signatures.NOT_THIS


def test_a_clerk_puts_no_other_name_under_an_answer(office: Office, seat: Seats, case: Case) -> None:
    who = seat("li-na")
    who.answer(shown(who, case), "APPROVE", staff_id="zhao-min")
    form = {"staff_id": "zhao-min", "who": "zhao-min", "session": "x", "through": "FORM"}
    who.send(f"/r/{office.reviews(case)[0].id}/decide", form)
    assert office.reviews(case)[0].decided_by == "li-na"


def test_only_wrong_codes_count_against_an_address(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "WRONG_CODES", "2/minute")
    who = Seat(office, "li-na")
    assert [who.log_in().address for _ in range(3)] == ["/q"] * 3
    assert [who.log_in("000000").status for _ in range(3)] == [422, 422, 429]
    options = who.client.post("/login/passkey/options", headers=headers(who))
    assert options.status_code == 200, "keys go on"


def test_a_signature_nested_beyond_all_is_none(office: Office) -> None:
    who = Seat(office, "li-na")
    answer = who.client.post("/login/passkey", data={"credential": "[" * 50_000}, headers=headers(who))
    assert answer.status_code == 422
