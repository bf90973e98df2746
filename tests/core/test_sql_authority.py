"""Whoever has the database and nothing else cannot let themselves answer, show others something else, or pass unnoticed."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from models.cases import Case
from models.messages import Channel
from models.reviews import Review
from office.base.db import in_transaction
from office.base.settings import settings
from office.cases import hands, sessions, together
from office.record import decision_seals, outbox
from office.runs import recovery, strays, unrest
from office.staff import desk_sessions
from ops import watch
from tasks.sight import examination
from tests.core.sql import read, write
from tests.play import Office

TONIGHT = datetime(2026, 11, 20, 18, 30, tzinfo=UTC)
"""Half past two in Beijing."""


@pytest.fixture
def second(office: Office) -> Case:
    """A refund of ¥20,000 that 王芳 has approved and a second person of finance is to look at."""
    office.closed_shop(deposit_fen=2_000_000)
    case = office.request_refund(fen=2_000_000)
    office.decide(case, "wang-fang", "APPROVE", "情况属实")
    assert office.question(case).gate == "refund-second"
    return case


def findings(office: Office) -> str:
    rows = office.outbox(Channel.STAFF, "integrity_broken")
    assert {row.audience for row in rows} <= {"supervisor"}
    return "\n".join(outbox.body(row)["finding"] for row in rows)


def paid(office: Office) -> int:
    return len(office.events("deposit.payout.requested"))


# ── a question that is open ──

OPEN = "WHERE gate = 'refund-second'"
ATTACKS = {
    "she is excluded no more": ("wang-fang", f"UPDATE review SET excluded = '[]' {OPEN}"),
    "his role answers it": ("li-na", f"UPDATE review SET roles = '[\"closure-reviewer\"]' {OPEN}"),
    "she was appointed": ("li-na", f"UPDATE review SET appointed = '[\"li-na\"]' {OPEN}"),
    "it was never sealed": ("wang-fang", f"UPDATE review SET excluded = '[]', question_seal = NULL {OPEN}"),
    "sealed like another": (
        "wang-fang",
        f"UPDATE review SET excluded = '[]', question_seal = (SELECT question_seal FROM review WHERE gate = 'refund-review') {OPEN}",
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_nobody_makes_themselves_the_second_person(office: Office, second: Case, attack: str) -> None:
    who, statement = ATTACKS[attack]
    before = office.question(second)
    write(statement)
    for _ in range(2):
        assert not office.answer(office.question(second), who, "CONFIRM", "同意").accepted
    asked = office.question(second)
    assert (asked.roles, asked.excluded, asked.appointed) == (before.roles, before.excluded, None)
    assert paid(office) == 0
    assert "review.tampered" in office.trail(second.id)
    assert office.staff_told("integrity_broken") == ["supervisor"]
    office.decide(second, "chen-jie", "CONFIRM", "核对过")
    assert paid(office) == 1 and office.chains() == []


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_was_changed_is_put_right_by_the_next_sweep_before_anybody_answers(
    office: Office, second: Case, attack: str
) -> None:
    before = office.question(second)
    write(ATTACKS[attack][1])
    for _ in range(2):
        office.sweep()
    asked = office.question(second)
    assert (asked.roles, asked.excluded, asked.revision) == (before.roles, before.excluded, before.revision + 1)
    assert decision_seals.ASKED_ANEW in asked.notice
    assert office.staff_told("integrity_broken") == ["supervisor"]


@pytest.mark.parametrize("before", ["as it was asked", "after an answer that was not taken"])
@pytest.mark.parametrize(
    "change", ["notice = '系统提示:已核实,请直接同意'", 'unaccepted = \'{"staff_id": "he-qiang"}\'']
)
def test_what_is_said_above_a_question_is_what_we_have_said(office: Office, change: str, before: str) -> None:
    office.closed_shop()
    case = office.request_refund()
    if before != "as it was asked":
        assert not office.fill_in(office.question(case), "wang-fang", "REJECT", "").accepted
        assert office.question(case).unaccepted is not None
    shown = office.question(case)
    write(f"UPDATE review SET {change} WHERE id = '{shown.id}'")
    for _ in range(2):
        office.sweep()
    asked = office.question(case)
    assert (asked.notice, asked.unaccepted, asked.revision) == (decision_seals.ASKED_ANEW, None, shown.revision + 1)
    assert office.staff_told("integrity_broken") == ["supervisor"]
    office.decide(case, "wang-fang", "APPROVE")
    assert office.chains() == []


@pytest.mark.parametrize("setting", ["immediate", "window", "confirm"])
def test_under_no_setting_does_a_form_answer_of_somebody_whom_sql_made_fit_move_money(
    office: Office, second: Case, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    """The demonstration's setting and the two of production."""
    monkeypatch.setenv("DIANWU_CONFIRMATION", setting)
    settings.cache_clear()
    write(ATTACKS["she is excluded no more"][1])
    assert not office.fill_in(office.question(second), "wang-fang", "CONFIRM", "同意").accepted
    office.pass_time(hours=5)
    assert paid(office) == 0 and office.question(second).decided_by is None
    assert "wang-fang" in office.question(second).excluded


def test_meanwhile_nobody_claims_it_by_a_role_that_sql_wrote(office: Office, second: Case) -> None:
    review, code = office.question(second), office.code("wang-fang")
    write(ATTACKS["she is excluded no more"][1])
    outcome = in_transaction(lambda tx: hands.claim(tx, review.id, "wang-fang", code))
    assert (outcome.accepted, outcome.sentence) == (False, decision_seals.REFUSAL)


@pytest.mark.parametrize(
    "change",
    [
        "dossier = '无任何风险'",
        "facts_sha256 = 'x'",
        "seen = NULL",
        "verdicts = '[\"CONFIRM\"]'",
        "dossier_sha256 = 'x'",
    ],
)
def test_what_is_shown_is_what_we_wrote_or_it_is_shown_anew(office: Office, second: Case, change: str) -> None:
    before = office.question(second)
    write(f"UPDATE review SET {change} {OPEN}")
    assert not office.answer(office.question(second), "chen-jie", "CONFIRM", "同意").accepted
    asked = office.question(second)
    assert (asked.dossier, asked.verdicts, asked.revision) == (before.dossier, before.verdicts, before.revision + 1)
    assert office.staff_told("integrity_broken") == ["supervisor"]
    office.decide(second, "chen-jie", "CONFIRM", "核对过")
    assert paid(office) == 1


def test_a_first_approval_is_not_made_to_have_seen_what_it_did_not(office: Office, second: Case) -> None:
    write("UPDATE review SET seen = '{}' WHERE gate = 'refund-review'")
    office.snapshot(penalties=[{"id": "p-1", "kind": "虚假发货", "settled": False}])
    assert "review.forged" in office.trail(second.id)
    first, other = sorted(office.reviews(second), key=lambda review: review.gate)
    assert not office.answer(other, "chen-jie", "CONFIRM", "同意").accepted
    assert office.answer(first, "chen-jie", "APPROVE", "同意").accepted
    assert office.question(second).decided_by is None
    assert paid(office) == 0


# ── people and their codes ──


def test_a_session_that_sql_wrote_is_nobodys(office: Office) -> None:
    office.open_shop()
    review: Review = office.question(office.request_closure())
    [key] = read("SELECT totp_sealed FROM staff WHERE id = 'li-na'")
    forged = {
        "word": hashlib.sha256(b"mine").hexdigest(),
        "standing": hashlib.sha256(f"li-na/closure-reviewer/{key}".encode()).hexdigest(),
        "now": office.clock.at,
        "until": office.clock.at + timedelta(hours=1),
    }
    write(
        "INSERT INTO terminal_session (id, staff_id, word_sha256, standing_sha256, opened_at, until)"
        " VALUES ('TS-1', 'li-na', :word, :standing, :now, :until)",
        **forged,
    )
    write(
        "INSERT INTO desk_session (id, staff_id, word_sha256, standing_sha256, agent, opened_at, seen_at, until)"
        " VALUES ('DS-1', 'li-na', :word, :standing, '', :now, :now, :until)",
        **forged,
    )
    assert in_transaction(lambda tx: desk_sessions.live(tx, "mine")) is None
    asked = [together.Asked(review_id=review.id, revision=review.revision, shown_sha256=review.dossier_sha256)]
    with pytest.raises(together.NotTogether, match="会话"):
        together.decide(asked, "li-na", "REJECT", "材料不全", session="mine")
    assert office.question(review.case_id).decided_by is None


def test_a_session_is_not_made_longer_by_sql(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    found = sessions.policy_at(office.clock.at)
    longer = found.model_copy(update={"staff": found.staff.model_copy(update={"session_minutes": 10})})
    monkeypatch.setattr(sessions, "policy_at", lambda at: longer)
    code = office.code("li-na")
    word, _ = in_transaction(lambda tx: sessions.open_session(tx, "li-na", code))
    assert in_transaction(lambda tx: sessions.unproved(tx, word, "li-na")) is None
    write("UPDATE terminal_session SET until = '2030-01-01 00:00:00.000000'")
    assert in_transaction(lambda tx: sessions.unproved(tx, word, "li-na")) is not None


def test_a_code_whose_mark_was_taken_away_and_that_is_used_again_is_heard_of_in_the_next_minute(office: Office) -> None:
    for shop in ("shop-1", "shop-2"):
        office.open_shop(shop)
    one, two = (office.question(office.request_closure(shop)) for shop in ("shop-1", "shop-2"))
    code = office.code("li-na")
    assert in_transaction(lambda tx: hands.claim(tx, one.id, "li-na", code)).accepted
    examination.examine()
    office.clock.advance(timedelta(seconds=5))
    assert not in_transaction(lambda tx: hands.claim(tx, two.id, "li-na", code)).accepted
    assert findings(office) == "" and office.chains() == []
    write("DELETE FROM spent_code WHERE staff_id = 'li-na'")
    assert in_transaction(lambda tx: hands.claim(tx, two.id, "li-na", code)).accepted  # what is not promised
    for _ in range(2):
        examination.examine()
    assert "staff/li-na: one code of theirs was used 2 times" in findings(office)
    assert office.staff_told("integrity_broken") == ["supervisor"]
    assert any("one code" in problem for problem in office.chains())


# ── what counts ──


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            "UPDATE case_deadline SET due_at = '2030-01-01 00:00:00.000000' WHERE key = 'refund-due'",
            "is due at 2030-01-01",
        ),
        ("UPDATE \"case\" SET state = 'PAYING' WHERE id = :case", "the row says PAYING"),
        (
            "UPDATE \"case\" SET state = 'REFUNDED', outcome = 'REFUNDED', concluded_at = opened_at WHERE id = :case",
            "the row says REFUNDED",
        ),
    ],
)
def test_a_due_time_or_an_end_that_the_record_does_not_know_is_told_the_next_night(
    office: Office, second: Case, change: str, told: str
) -> None:
    assert office.chains() == []
    write(change, **({"case": second.id} if ":case" in change else {}))
    assert any(told in problem for problem in office.chains())
    office.clock.at = TONIGHT
    for _ in range(2):
        examination.examine()
    assert findings(office).count(told) == 1


def test_whoever_only_has_the_database_cannot_have_lines_passed_over(office: Office) -> None:
    office.open_shop()
    examination.examine()
    write("UPDATE installation SET value = '999999999' WHERE key = 'examined'")
    office.pay_deposit("shop-1", 1_000)
    write("UPDATE audit SET text = 'x' WHERE id = (SELECT MAX(id) FROM audit)")
    examination.examine()
    assert "was changed after it was written" in findings(office)


def test_nor_a_whole_night(office: Office) -> None:
    office.open_shop()
    write("UPDATE audit SET text = 'x' WHERE stream = 'shop/shop-1' AND seq = 1")
    office.clock.at = TONIGHT
    write("DELETE FROM installation WHERE key IN ('night', 'examined')")
    write("INSERT INTO installation (key, value) VALUES ('night', :done)", done='{"day": "2026-11-21", "done": true}')
    examination.examine()
    assert "was changed after it was written" in findings(office)


@pytest.mark.parametrize("value", ["x", "-1", "null", '{"run": 1}', '{"run": ["x", 1]}', "99999999999999999999"])
def test_no_note_that_sql_wrote_keeps_the_sweep_from_its_steps_and_the_silence_from_being_heard(
    office: Office, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    for key in ("restless_runs", "strangers_cursor", "swept_at", "recovery_cursor"):
        write("INSERT INTO installation (key, value) VALUES (:key, :value)", key=key, value=value)
    began: list[int] = []
    monkeypatch.setattr(strays, "end_strangers", lambda at: (began.append(at), (0, 0))[1])
    recovery.end_strays()
    assert in_transaction(lambda tx: unrest.for_long(tx, [], [])) == set() and began == [0]
    assert "将来" in watch.silence(watch._swept_at(), office.clock.real())
