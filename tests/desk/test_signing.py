"""A signature proves one person's one decision: not another verdict, question, person or moment, and it is used once."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import update

from models.cases import Case
from models.messages import Channel
from models.passkeys import Passkey
from models.reviews import ReviewState
from office.base.db import in_transaction, reading, transaction
from office.base.settings import settings
from office.cases import signatures
from office.record import audit, outbox
from office.staff import desk_sessions, passkeys
from tests.desk.seat import Page, Seat, Seats
from tests.desk.softkey import SoftKey
from tests.play import Office


@pytest.fixture
def case(office: Office) -> Case:
    """A refund that finance decides."""
    office.closed_shop()
    return office.request_refund()


def enrolled(office: Office, who: Seat, *, synced: bool = False) -> SoftKey:
    """A key of this person's, invited by a supervisor, and old enough for money."""
    key, code = SoftKey(who.origin, synced=synced), office.code("he-qiang")
    word, _ = in_transaction(lambda tx: passkeys.invite(tx, who.staff_id, "he-qiang", code))
    with reading() as tx:
        session = desk_sessions.of(tx, who.staff_id)[0].id
    code = office.code(who.staff_id)
    options, sentence = in_transaction(lambda tx: passkeys.begin_enrolment(tx, who.staff_id, session, word, code))
    assert not sentence, sentence
    made = key.create(json.loads(options))
    assert in_transaction(lambda tx: passkeys.finish_enrolment(tx, who.staff_id, session, made, "软件密钥")) == ""
    office.clock.advance(timedelta(hours=24))
    office.snapshot()
    who.log_in()
    return key


def asked(who: Seat, page: Page, verdict: str, reason: str = "") -> tuple[dict[str, str], dict[str, object]]:
    """What would be sent, and what is to be signed for it."""
    values = page.form("/decide").values | {"verdict": verdict, "reason": reason, "code": ""}
    own = {"origin": who.origin, "sec-fetch-site": "same-origin"}
    return values, who.client.post(
        page.form("/decide").action.replace("/decide", "/sign"), data=values, headers=own
    ).json()


def shown(who: Seat, case: Case) -> Page:
    return who.see(f"/r/{who.office.question(case).id}")


def test_a_passkey_of_ones_own_is_told_to_its_person_and_to_all_supervisors(
    office: Office, seat: Seats, case: Case
) -> None:
    enrolled(office, seat("wang-fang"))
    assert sorted(office.staff_told("staff_changed")) == ["@gao-yuan", "@he-qiang", "@wang-fang", "supervisor"]
    [told, *_] = [outbox.body(row) for row in office.outbox(Channel.STAFF, "staff_changed")]
    assert (told["what"], told["key"], told["by"]) == ("登记了通行密钥「软件密钥」", "该通行密钥", "何强(he-qiang)")


def test_what_was_signed_is_decided_once_however_often_it_is_sent(office: Office, seat: Seats, case: Case) -> None:
    who = seat("wang-fang")
    key = enrolled(office, who)
    page = shown(who, case)
    values, options = asked(who, page, "APPROVE")
    sent = values | {"signature": key.sign(options)}
    first, second = (who.send(page.form("/decide").action, sent) for _ in range(2))
    assert first.address == second.address and office.trail(case.id).count("review.decided") == 1
    with reading() as tx:
        (line,) = [line for line in audit.timeline(tx, case.id) if line.action == "review.decided"]
    assert (
        line.detail["proof"] == "signature" and json.loads(line.detail["signed"]["statement"])["verdict"] == "APPROVE"
    )
    assert office.chains() == []


@pytest.mark.parametrize("changes", [{"verdict": "REJECT"}, {"reason": "另一个理由"}], ids=["verdict", "reason"])
def test_a_signature_for_something_else_decides_nothing(
    office: Office, seat: Seats, case: Case, changes: dict[str, str]
) -> None:
    who = seat("wang-fang")
    key = enrolled(office, who)
    page = shown(who, case)
    values, options = asked(who, page, "APPROVE", "材料齐全")
    refused = who.send(page.form("/decide").action, values | changes | {"signature": key.sign(options)})
    assert "签名的内容与提交的不一致" in refused.text
    again = who.send(
        page.form("/decide").action,
        refused.form("/decide").values
        | values
        | {"token": refused.form("/decide").values["token"], "signature": key.sign(options)},
    )
    assert "签名请求已过期或已使用" in again.text
    assert office.question(case).state is ReviewState.PENDING


@pytest.mark.parametrize(("seconds", "taken"), [(179, True), (180, True), (181, False)])
def test_a_signature_is_good_for_three_minutes(
    office: Office, seat: Seats, case: Case, seconds: int, taken: bool
) -> None:
    who = seat("wang-fang")
    key = enrolled(office, who)
    page = shown(who, case)
    values, options = asked(who, page, "APPROVE")
    office.clock.advance(timedelta(seconds=seconds))
    answer = who.send(page.form("/decide").action, values | {"signature": key.sign(options)})
    assert ("签名请求已过期" in answer.text) is not taken


@pytest.mark.parametrize("wrong", ["origin", "unverified", "written by SQL", "a colleague's"])
def test_a_key_that_is_not_theirs_on_our_page_proves_nothing(
    office: Office, seat: Seats, case: Case, wrong: str
) -> None:
    who, other = seat("wang-fang"), seat("chen-jie")
    key = enrolled(office, who)
    signer = key
    match wrong:
        case "origin":
            key.origin = "https://desk.example.evil"
        case "written by SQL":
            with transaction() as tx:
                tx.execute(update(Passkey).values(staff_id="chen-jie"))
        case "a colleague's":
            other.log_in()
            signer = enrolled(office, other)
            who.log_in()
    page = shown(who, case)
    values, options = asked(who, page, "APPROVE")
    given = signer.sign(options, verified=wrong != "unverified")
    refused = who.send(page.form("/decide").action, values | {"signature": given})
    told = {"written by SQL": passkeys.NOT_KNOWN, "a colleague's": "签名不是由您的通行密钥作出的"}
    assert told.get(wrong, passkeys.NOT_SIGNED) in refused.text
    assert office.question(case).state is ReviewState.PENDING


def test_a_count_that_does_not_grow_is_noted_and_refuses_nobody(office: Office, seat: Seats, case: Case) -> None:
    who = seat("wang-fang")
    key = enrolled(office, who)
    with transaction() as tx:
        tx.execute(update(Passkey).values(sign_count=7))
    key.count = 5
    page = shown(who, case)
    values, options = asked(who, page, "APPROVE")
    assert "未采纳" not in who.send(page.form("/decide").action, values | {"signature": key.sign(options)}).text
    assert "passkey.count" in office.trail("staff/wang-fang")


def test_an_invitation_is_for_one_person_once_and_for_a_day(office: Office, seat: Seats) -> None:
    seat("wang-fang")
    code = office.code("he-qiang")
    word, _ = in_transaction(lambda tx: passkeys.invite(tx, "wang-fang", "he-qiang", code))
    with reading() as tx:
        session = desk_sessions.of(tx, "wang-fang")[0].id

    def told(staff_id: str, given: str) -> str:
        code = office.code(staff_id)
        return in_transaction(lambda tx: passkeys.begin_enrolment(tx, staff_id, session, given, code))[1]

    assert "邀请码不正确" in told("chen-jie", word) and "邀请码不正确" in told("wang-fang", "0" * 16)
    assert told("wang-fang", word) == "" and "邀请码不正确" in told("wang-fang", word)
    office.clock.advance(timedelta(minutes=1))
    code = office.code("gao-yuan")
    late, _ = in_transaction(lambda tx: passkeys.invite(tx, "wang-fang", "gao-yuan", code))
    office.clock.advance(timedelta(hours=24))
    assert "已过期" in told("wang-fang", late)
    code = office.code("wang-fang")
    assert (
        in_transaction(lambda tx: passkeys.invite(tx, "chen-jie", "wang-fang", code))[1]
        == "只有主管可以邀请登记通行密钥"
    )


# ── confirming what was answered in Prefect ──────────────────────────────────


@pytest.fixture
def confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A weighty answer out of Prefect counts when its author has confirmed it where only we listen."""
    monkeypatch.setenv("DIANWU_CONFIRMATION", "confirm")
    settings.cache_clear()


def to_confirm(who: Seat, page: Page) -> dict[str, object]:
    own = {"origin": who.origin, "sec-fetch-site": "same-origin"}
    form = page.form("/confirm")
    return who.client.post(form.action.replace("/confirm", "/sign-confirmation"), data=form.values, headers=own).json()


def test_what_was_answered_in_prefect_is_confirmed_by_a_signature_over_the_very_decision(
    office: Office, seat: Seats, case: Case, confirmed: None
) -> None:
    who = seat("wang-fang")
    key = enrolled(office, who)
    review = office.question(case)
    assert office.fill_in(review, "wang-fang", "APPROVE").accepted
    page = who.see(f"/r/{review.id}")
    values = page.form("/confirm").values | {"code": "", "signature": key.sign(to_confirm(who, page))}
    for _ in range(2):
        who.send(page.form("/confirm").action, values)
    with reading() as tx:
        [line] = [line for line in audit.timeline(tx, case.id) if line.action == "review.decided"]
        assert list(signatures.check(tx)) == []
    statement = json.loads(line.detail["signed"]["statement"])
    assert (statement["verdict"], statement["staff"], line.detail["proof"]) == ("APPROVE", "wang-fang", "signature")
    assert line.detail["confirmed"] == "CONFIRMED" and office.chains() == []


def test_a_signature_of_somebody_else_or_for_something_else_confirms_nothing(
    office: Office, seat: Seats, case: Case, confirmed: None
) -> None:
    who, other = seat("wang-fang"), seat("chen-jie")
    key = enrolled(office, who)
    other.log_in()
    theirs = enrolled(office, other)
    who.log_in()
    review = office.question(case)
    page = who.see(f"/r/{review.id}")
    _, rejects = asked(who, page, "REJECT", "不同意这一申请")
    assert office.fill_in(review, "wang-fang", "APPROVE").accepted
    page = who.see(f"/r/{review.id}")
    form = page.form("/confirm")
    for signature in (key.sign(rejects), theirs.sign(to_confirm(who, page)), "{}"):
        refused = who.send(form.action, form.values | {"code": "", "signature": signature})
        assert refused.status == 422
    assert "review.decided" not in office.trail(case.id)


def test_nobody_is_asked_to_sign_what_a_colleague_answered(
    office: Office, seat: Seats, case: Case, confirmed: None
) -> None:
    review = office.question(case)
    assert office.fill_in(review, "wang-fang", "APPROVE").accepted
    other = seat("chen-jie")
    page = other.see(f"/r/{review.id}")
    own = {"origin": other.origin, "sec-fetch-site": "same-origin"}
    values = {"act": page.form("/decide").values["act"]}
    assert other.client.post(f"/r/{review.id}/sign-confirmation", data=values, headers=own).status_code == 404
