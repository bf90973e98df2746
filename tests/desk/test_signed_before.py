"""What was signed, begun or ended at the desk stays what it was, whoever writes its row again; the supervisor hears of it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from office.base.db import in_transaction
from office.base.settings import settings
from office.staff import passkeys
from tests.core.sql import read, write
from tests.desk.seat import Page, Seat, Seats
from tests.desk.softkey import SoftKey
from tests.desk.test_signing import asked, enrolled, shown
from tests.play import Office

LATER = "2030-01-01 00:00:00.000000"


def signed_by(office: Office, who: Seat) -> dict[str, Any]:
    """A refusal that they signed, as it lies in the record."""
    key = enrolled(office, who)
    case = office.request_refund("shop-1")
    page = shown(who, case)
    values, options = asked(who, page, "REJECT", "材料不全")
    who.send(page.form("/decide").action, values | {"signature": key.sign(options)})
    assert office.case(case.id).outcome == "REJECTED"
    [detail] = read("SELECT detail FROM audit WHERE action = 'review.decided' AND stream = :c", c=case.id)
    said: dict[str, Any] = detail if isinstance(detail, dict) else json.loads(detail)
    signed: dict[str, Any] = said["signed"]
    return signed


def again(signed: dict[str, Any]) -> str:
    """What was signed, as a browser would send it."""
    response = {
        "clientDataJSON": signed["client_data"],
        "authenticatorData": signed["authenticator_data"],
        "signature": signed["signature"],
    }
    return json.dumps(
        {"id": signed["credential"], "rawId": signed["credential"], "type": "public-key", "response": response}
    )


def have_asked(signed: dict[str, Any], purpose: str, statement: str) -> None:
    """Write, by SQL, that this was what we asked to be signed."""
    challenge = passkeys.raw(json.loads(passkeys.raw(signed["client_data"]))["challenge"]).hex()
    write(
        "UPDATE sign_challenge SET purpose = :p, statement = :t, until = :u, used_at = NULL WHERE id = :i",
        i=challenge,
        p=purpose,
        t=statement,
        u=LATER,
    )


def with_key(who: Seat, credential: str) -> Page:
    return who.send("/login/passkey", {"credential": credential, "to": "/q"})


@pytest.fixture
def signed(office: Office, seat: Seats) -> dict[str, Any]:
    office.closed_shop("shop-1")
    return signed_by(office, seat("wang-fang"))


def test_what_was_signed_once_logs_nobody_in(office: Office, signed: dict[str, Any]) -> None:
    have_asked(signed, "log in", "")
    thief = Seat(office, "wang-fang")
    for _ in range(2):
        assert not with_key(thief, again(signed)).address.startswith("/q")
    assert office.staff_told("integrity_broken") == ["supervisor"]


def test_what_was_signed_once_decides_nothing_else(office: Office, seat: Seats, signed: dict[str, Any]) -> None:
    office.closed_shop("shop-2")
    case = office.request_refund("shop-2")
    who, review = seat("wang-fang"), office.question(case)
    have_asked(
        signed,
        "decide",
        json.dumps(
            {
                "review": review.id,
                "revision": review.revision,
                "shown_sha256": review.dossier_sha256,
                "verdict": "APPROVE",
                "facts_sha256": review.facts_sha256,
                "reason": "同意",
                "fields": {},
                "staff": "wang-fang",
            }
        ),
    )
    page = who.see(f"/r/{review.id}")
    values = page.form("/decide").values | {
        "verdict": "APPROVE",
        "reason": "同意",
        "code": "",
        "signature": again(signed),
    }
    assert passkeys.TOO_LATE in who.send(page.form("/decide").action, values).text
    assert office.question(case).decided_by is None
    assert [order for order in office.events("deposit.payout.requested") if order["case_id"] == case.id] == []
    assert office.staff_told("integrity_broken") == ["supervisor"]


def test_what_was_asked_is_not_answered_later_because_sql_says_so(office: Office, seat: Seats) -> None:
    office.closed_shop()
    case, who = office.request_refund(), seat("wang-fang")
    key = enrolled(office, who)
    page = shown(who, case)
    values, options = asked(who, page, "APPROVE")
    office.clock.advance(timedelta(minutes=10))
    write("UPDATE sign_challenge SET until = :u", u=LATER)
    who.send(page.form("/decide").action, values | {"signature": key.sign(options)})
    assert office.question(case).decided_by is None
    assert office.staff_told("integrity_broken") == ["supervisor"]


def test_nobody_enrols_a_key_that_no_supervisor_invited(office: Office, seat: Seats) -> None:
    from webauthn.helpers import bytes_to_base64url

    who = seat("wang-fang")
    [session] = read("SELECT id FROM desk_session WHERE staff_id = 'wang-fang' ORDER BY opened_at DESC LIMIT 1")
    challenge = b"\x08" * 32
    write(
        "INSERT INTO sign_challenge (id, purpose, staff_id, session_id, statement, until, seal)"
        " VALUES (:i, 'enrol', 'wang-fang', :d, '', :u, '')",
        i=challenge.hex(),
        d=session,
        u=LATER,
    )
    made = SoftKey(settings().desk).create({"challenge": bytes_to_base64url(challenge)})
    who.send("/me/passkeys", {"credential": made, "name": "手机"})
    assert read("SELECT COUNT(*) FROM passkey") == [0]
    assert office.staff_told("integrity_broken") == ["supervisor"]


@pytest.mark.parametrize("change", ["used_at = NULL", f"until = '{LATER}', used_at = NULL", "staff_id = 'chen-jie'"])
def test_an_invitation_is_used_once_and_by_whom_it_is_for_whatever_sql_says(
    office: Office, seat: Seats, change: str
) -> None:
    who = seat("wang-fang")
    code = office.code("he-qiang")
    word, _ = in_transaction(lambda tx: passkeys.invite(tx, "wang-fang", "he-qiang", code))

    def begin(staff_id: str) -> str:
        own = office.code(staff_id)
        return in_transaction(lambda tx: passkeys.begin_enrolment(tx, staff_id, session, word, own))[1]

    [session] = read("SELECT id FROM desk_session WHERE staff_id = :s", s=who.staff_id)
    if "staff_id" not in change:
        assert begin("wang-fang") == ""
    write(f"UPDATE passkey_invitation SET {change}")
    assert begin("chen-jie" if "staff_id" in change else "wang-fang") == passkeys.NOT_INVITED
    assert office.staff_told("integrity_broken") == ["supervisor"]


def test_a_key_that_was_ended_signs_nothing_again(office: Office, seat: Seats) -> None:
    office.closed_shop("shop-1")
    case, who = office.request_refund("shop-1"), seat("wang-fang")
    key = enrolled(office, who)
    page = shown(who, case)
    values, options = asked(who, page, "APPROVE")
    [row] = read("SELECT id FROM passkey")
    assert in_transaction(lambda tx: passkeys.end(tx, row, "wang-fang"))  # the phone was stolen
    write("UPDATE passkey SET ended_at = NULL")
    assert any("wang-fang" in problem and "passkey" in problem for problem in office.chains())
    answer = who.send(page.form("/decide").action, values | {"signature": key.sign(options)})
    assert passkeys.NOT_KNOWN in answer.text
    assert office.events("deposit.payout.requested") == []
    assert office.staff_told("integrity_broken") == ["supervisor"]


def test_a_session_that_was_ended_does_not_go_on(office: Office, seat: Seats) -> None:
    office.open_shop()
    who = seat("li-na")
    word = dict(who.client.cookies)
    who.send("/logout", {"token": who.see("/q").form("/logout").values["token"]})
    who.client.cookies.update(word)  # somebody has the cookie
    write("UPDATE desk_session SET ended_at = NULL")
    assert who.see("/q").address.startswith("/login")
    assert any("li-na" in problem and "desk_session" in problem for problem in office.chains())
