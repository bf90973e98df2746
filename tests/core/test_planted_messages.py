"""No alarm is silenced, and no letter sent elsewhere, by a row that SQL wrote or changed in the outbox."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest

from models.cases import Case
from models.messages import Channel
from notifications.scripted import ScriptedNotifier
from office.base.db import Tx, in_transaction
from office.base.vault import seal_json
from office.cases import alarms
from office.record import alerts, audit, envelopes, outbox, unsent
from tasks.sight import examination
from tests.core.sql import read, write
from tests.play import Office

PLANT = (
    "INSERT INTO outbox (key, channel, topic, audience, payload_sealed, created_at, state, attempts, next_at, note, reached)"
    " VALUES (:key, 'STAFF', 'integrity_broken', 'supervisor', :sealed, '2026-11-19 00:00:00', 'SENT', 1,"
    " '2026-11-19 00:00:00', '', '[]')"
)


def plant(key: str, sealed: str = "") -> None:
    write(PLANT, key=key, sealed=sealed)


def tell(key: str, where: str) -> None:
    in_transaction(lambda tx: alerts.tell(tx, key, where=where, finding="x", consequence="y"))


def found(office: Office) -> list[str]:
    return [
        outbox.body(row)["where"] for row in office.outbox(Channel.STAFF, "integrity_broken") if row.state != "SENT"
    ]


@pytest.mark.parametrize("how", ["empty", "of another row", "nonsense"])
def test_an_alarm_is_heard_although_somebody_has_put_its_row_there_before(office: Office, how: str) -> None:
    tell("first", "甲")
    [one] = read("SELECT payload_sealed FROM outbox WHERE key = 'staff:integrity/first'")
    plant("staff:integrity/second", {"empty": "", "of another row": one, "nonsense": "1:zzz"}[how])
    for _ in range(2):
        tell("second", "乙")
    assert set(found(office)) == {"甲", "乙", "发件箱"} and len(found(office)) == 3


def test_neither_is_an_alarm_silenced_that_is_told_once_an_hour(office: Office) -> None:
    once = hashlib.sha256(f"k|{office.clock.at:%Y-%m-%dT%H}".encode()).hexdigest()[:32]
    plant(f"staff:engine/{once}")
    for _ in range(2):
        in_transaction(lambda tx: alarms.raise_alarm(tx, "run.meddled", "t", kind="k", matter="m", done="d"))
    [row] = office.outbox(Channel.STAFF, "engine_alarm")
    assert row.state == "NEW" and found(office) == ["发件箱"]


@pytest.mark.parametrize(
    "change", ["shop_id = 'shop-2'", "audience = '@eve'", "channel = 'STAFF', audience = 'finance'"]
)
def test_a_letter_goes_to_whom_it_was_written_for(office: Office, notifier: ScriptedNotifier, change: str) -> None:
    office.open_shop(contacts=["mailto://one@example.com"])
    office.open_shop("shop-2", contacts=["mailto://eve@example.com"])
    office.settle()
    sent = len(notifier.sent)
    said = {
        "shop_name": "甲",
        "case_id": "CLS-1",
        "closed_at": "2026-11-19T02:00:00Z",
        "reopen_from": "2027-05-19T02:00:00Z",
        "refundable_fen": 1,
    }
    key = "merchant:to-one"
    in_transaction(lambda tx: outbox.put(tx, key, Channel.MERCHANT, "shop_closed", said, shop_id="shop-1"))
    write(f"UPDATE outbox SET {change} WHERE key = '{key}'")
    for _ in range(3):
        office.settle()
        office.clock.advance(timedelta(seconds=1))
    [row] = [row for row in office.outbox() if row.key == key]
    assert (row.channel, row.audience, row.shop_id, row.state) == (Channel.MERCHANT, "", "shop-1", "SENT")
    went = [target.contacts for target, _ in notifier.sent[sent:] if target.audience == "merchant"]
    assert went == [("mailto://one@example.com",)]
    assert "发件箱" in {outbox.body(one)["where"] for one in office.outbox(Channel.STAFF, "integrity_broken")}


def test_what_an_earlier_version_wrote_leaves_as_it_stands(office: Office) -> None:
    tell("old", "丙")
    body = {"where": "丙", "finding": "x", "consequence": "y", "found_at": "2026-11-19T02:00:00Z"}
    key = "staff:integrity/old"
    write(
        "UPDATE outbox SET payload_sealed = :old WHERE key = :key",
        old=seal_json(body, envelopes.place_of(key)),
        key=key,
    )
    office.settle()
    assert [(row.state, outbox.body(row)["where"]) for row in office.outbox() if row.key == key] == [("SENT", "丙")]


CLOSED = {
    "sent": "state = 'SENT', closed_at = '2026-11-19 02:00:00'",
    "skipped": "state = 'SKIPPED', note = '已并入汇总'",
    "with another's seal": "state = 'SENT', closing_seal = (SELECT closing_seal FROM outbox WHERE key = 'staff:integrity/first')",
    "given up": "state = 'DEAD', closed_at = '2026-11-19 02:00:00'",
    "in a state that nobody knows": "state = 'HIDDEN'",
    "put off": "next_at = '2099-01-01 00:00:00'",
    "in somebody's hands for ever": "leased_until = '2099-01-01 00:00:00'",
}


@pytest.mark.both
@pytest.mark.parametrize("how", CLOSED)
def test_what_sql_marked_as_sent_or_put_off_leaves_after_all_and_is_heard(
    office: Office, notifier: ScriptedNotifier, how: str
) -> None:
    tell("first", "甲")
    office.settle()
    tell("second", "乙")
    write(f"UPDATE outbox SET {CLOSED[how]} WHERE key = 'staff:integrity/second'")
    office.settle()
    assert "乙" not in str(notifier.sent)
    examination.examine()
    office.settle()
    heard = str(notifier.sent)
    assert "乙" in heard and "标为已发出" in heard
    examination.examine()
    examination.examine()
    assert office.staff_told("integrity_broken") == ["supervisor"] * 3, "once"


UNREADABLE = {
    "what it has reached": "reached = 'null'",
    "by whom it goes": "channel = 'NOBODY'",
}


@pytest.mark.both
@pytest.mark.parametrize("what", UNREADABLE)
def test_a_row_that_nobody_can_read_keeps_no_letter_from_leaving_and_leaves_itself(
    office: Office, notifier: ScriptedNotifier, what: str
) -> None:
    tell("first", "甲")
    tell("second", "乙")
    write(f"UPDATE outbox SET {UNREADABLE[what]} WHERE key = 'staff:integrity/first'")
    office.settle()
    assert "乙" in str(notifier.sent)
    office.clock.advance(timedelta(hours=2))
    for _ in range(2):
        examination.examine()
        office.settle()
    assert "甲" in str(notifier.sent) and {row.state for row in office.outbox(Channel.STAFF)} == {"SENT"}
    assert "无法读取" in str(notifier.sent)


def test_older_messages_that_sql_has_closed_are_found_in_turn(office: Office) -> None:
    for number in range(9):
        tell(str(number), "甲")
    office.settle()
    write("UPDATE outbox SET state = 'SKIPPED' WHERE key < 'staff:integrity/5'")
    assert sum(unsent.look(2) for _ in range(10)) == 5


def test_what_we_have_sent_skipped_kept_back_or_put_off_ourselves_is_nothing_to_hear_of(office: Office) -> None:
    office.open_shop(contacts=["mailto://one@example.com"])
    office.request_closure()
    in_transaction(
        lambda tx: outbox.put(
            tx,
            "merchant:later",
            Channel.MERCHANT,
            "shop_closed",
            {},
            shop_id="shop-1",
            not_before=tx.now + timedelta(days=40),
        )
    )
    in_transaction(
        lambda tx: outbox.put(tx, "merchant:no", Channel.MERCHANT, "shop_closed", {}, not_before=tx.now + timedelta(1))
    )
    in_transaction(lambda tx: outbox.drop(tx, "merchant:no", "不再需要"))
    office.settle()
    office.clock.advance(timedelta(days=2))
    examination.examine()
    assert office.staff_told("integrity_broken") == []


def test_what_a_case_that_is_objected_to_keeps_back_is_not_sent_because_sql_has_touched_it(office: Office) -> None:
    office.open_shop(contacts=["mailto://one@example.com"])
    case = office.request_closure()
    office.decide(case, "li-na", "APPROVE")
    assert office.object_to(office.reviews(case)[0], "li-na").accepted

    def say(tx: Tx) -> None:
        outbox.put(tx, "merchant:kept", Channel.MERCHANT, "shop_closed", {}, case=tx.get_one(Case, case.id))
        outbox.hold(tx, tx.get_one(Case, case.id))

    in_transaction(say)
    write("UPDATE outbox SET state = 'SENT' WHERE key = 'merchant:kept'")
    examination.examine()
    [row] = [row for row in office.outbox(Channel.MERCHANT) if row.key == "merchant:kept"]
    assert (row.state, row.note) == ("SKIPPED", outbox.HELD)


@pytest.mark.parametrize("when", ["before it left", "after it left"])
def test_an_alarm_that_sql_has_deleted_is_written_anew(office: Office, notifier: ScriptedNotifier, when: str) -> None:
    tell("first", "甲")
    if when == "after it left":
        office.settle()
    write("DELETE FROM outbox WHERE topic = 'integrity_broken'")
    for _ in range(2):
        examination.examine()
        office.settle()
    assert str(notifier.sent).count("甲") >= 1 and found(office) == []
    assert [row.key for row in office.outbox(Channel.STAFF, "integrity_broken")] == ["staff:integrity/first"]
    assert office.chains() == []


def test_however_many_alarms_there_are_each_that_was_deleted_is_written_anew_in_its_turn(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "NEWEST", 2)
    for number in range(7):
        tell(str(number), "甲")
    in_transaction(lambda tx: alarms.raise_alarm(tx, "run.meddled", "t", kind="k", matter="m", done="d"))
    write("DELETE FROM outbox")
    assert sum(in_transaction(alerts.told_again) for _ in range(4)) == 8
    assert office.staff_told("engine_alarm") == ["supervisor"]


def test_no_alarm_in_somebody_elses_words_is_written_because_sql_put_it_into_the_record(office: Office) -> None:
    tell("first", "甲")
    write(
        """UPDATE audit SET detail = '{"key": "staff:integrity/first", "message": {"where": "乙"}}' WHERE stream = 'alerts'"""
    )
    write("DELETE FROM outbox WHERE topic = 'integrity_broken'")
    audit._found_whole.clear()  # as in another process
    in_transaction(alerts.told_again)
    assert found(office) == [] and any("alerts" in problem for problem in office.chains())
