"""What the desk was built against, threat by threat: each names the tests that hold it off, and those without one are here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from desk import guard
from desk.visitor import cookie_name
from models.cases import Case
from models.desk import DeskDraft, DeskSession
from models.reviews import ReviewState
from office.base.clock import clock
from office.base.db import in_transaction, reading
from office.base.settings import settings
from office.cases.signatures import COPIED
from office.staff import passkeys
from policies.policy import policy, use_policies
from tasks.sight import desk_forms
from tests.desk.seat import Seat, Seats
from tests.desk.test_signing import asked, enrolled
from tests.play import Office

HERE = Path(__file__).parent
THREATS = {
    "a form on another port or subdomain": ["test_deciding.py::test_nothing_is_taken_from_a_page_that_is_not_ours"],
    "being logged in as somebody else": [
        "test_deciding.py::test_nothing_is_taken_from_a_page_that_is_not_ours",
        "test_threats.py::test_each_log_in_is_another_session_and_the_one_before_is_not_taken_over",
    ],
    "a session planted": ["test_deciding.py::test_a_word_that_was_there_before_is_nobodys_session"],
    "a session stolen": [
        "test_threats.py::test_a_session_lies_in_no_table_and_no_script_reads_it",
        "test_deciding.py::test_a_session_ends_after_half_an_hour_without_anything",
        "test_deciding.py::test_and_after_ten_hours_in_any_case",
        "test_deciding.py::test_it_ends_when_a_key_or_a_role_changes_or_somebody_leaves",
        "test_deciding.py::test_a_session_is_ended_from_another_browser",
    ],
    "money on a stolen session": ["test_deciding.py::test_money_takes_a_code_each_time"],
    "a signature given twice": ["test_signing.py::test_what_was_signed_is_decided_once_however_often_it_is_sent"],
    "a signature for something else": [
        "test_signing.py::test_a_signature_for_something_else_decides_nothing",
        "test_batch.py::test_what_is_not_in_the_signed_list_is_refused_alone",
    ],
    "signing what was not shown": [
        "test_deciding.py::test_a_form_of_another_session_another_question_or_another_text_is_not_taken",
        "test_in_chromium.py::test_a_refused_answer_keeps_every_word_and_facts_that_change_are_shown_first",
    ],
    "a key enrolled by somebody else": [
        "test_signing.py::test_an_invitation_is_for_one_person_once_and_for_a_day",
        "test_signed_before.py::test_nobody_enrols_a_key_that_no_supervisor_invited",
    ],
    "a key in somebody's cloud": ["test_threats.py::test_a_key_that_is_copied_is_known_as_such_and_signs_what_policy_lets_it"],
    "a copied key": ["test_signing.py::test_a_count_that_does_not_grow_is_noted_and_refuses_nobody"],
    "a code told to a false page": ["test_every_role.py::test_where_policy_asks_for_a_signature_no_code_decides_wherever_it_is_typed"],
    "another name for the desk": [
        "test_deciding.py::test_another_name_for_the_desk_is_not_answered",
        "../ops/test_doctor.py::test_passkeys_that_another_host_name_lost_are_counted_and_a_number_is_no_name_for_them",
    ],
    "the desk in a frame": ["test_deciding.py::test_every_answer_says_what_a_browser_may_do_with_it"],
    "what merchants write": [
        "test_deciding.py::test_what_a_merchant_writes_is_read_and_never_obeyed",
        "test_attacks.py::test_hostile_words_are_words_on_every_page_and_turn_round_nothing_beside_them",
    ],
    "a hostile file": ["test_pictures.py::test_whoever_draws_may_use_little", "test_pictures.py::test_a_picture_of_too_many_pixels_is_not_unpacked"],
    "guessing by differences": [
        "test_deciding.py::test_somebody_unknown_and_a_wrong_code_hear_the_same",
        "test_threats.py::test_what_is_not_there_looks_the_same_whatever_was_asked",
        "test_attacks.py::test_nobody_guesses_numbers_without_end",
    ],
    "locking somebody out": [
        "test_threats.py::test_whom_wrong_codes_lock_logs_in_by_their_key",
        "test_attacks.py::test_only_wrong_codes_count_against_an_address",
    ],
    "an insider who reads": [
        "test_looks.py::test_whoever_reads_a_paper_stands_in_the_shops_chain_once_in_a_session",
        "test_looks.py::test_whoever_reads_what_they_are_not_asked_stands_in_the_shops_chain_once_in_a_session",
        "test_looks.py::test_nobody_reads_through_everybodys_dossiers",
    ],
    "a supervisor who appoints themselves": ["test_lead.py::test_where_nobody_is_left_somebody_is_appointed"],
    "a page from before": [
        "test_deciding.py::test_a_second_window_hears_who_was_first_and_keeps_its_words",
        "test_attacks.py::test_a_page_from_before_a_change_of_role_decides_nothing",
        "test_attacks.py::test_a_page_of_an_earlier_release_is_judged_by_what_stands_now",
    ],
    "a colleague's browser": ["test_attacks.py::test_a_picture_is_kept_for_the_session_it_was_handed_out_in"],
    "a form that says a thing twice": ["test_attacks.py::test_a_form_that_says_a_thing_twice_or_too_much_is_none_of_ours"],
    "drafts that lie about": [
        "test_threats.py::test_a_draft_is_sealed_and_gone_with_the_decision_or_after_a_month",
        "test_attacks.py::test_nobody_writes_or_reads_a_colleagues_draft",
    ],
    "looking too often": ["test_deciding.py::test_the_pulse_costs_nothing_while_nothing_happens"],
}  # fmt: skip


@pytest.mark.parametrize("threat", THREATS)
def test_every_threat_has_a_test(threat: str) -> None:
    for one in THREATS[threat]:
        file, _, name = one.partition("::")
        assert f"def {name}(" in (HERE / file).read_text(encoding="utf-8"), one


@pytest.fixture
def case(office: Office) -> Case:
    office.closed_shop()
    return office.request_refund()


def words(who: Seat) -> list[str]:
    return [cookie.value or "" for cookie in who.client.cookies.jar if cookie.name == "dianwu_desk"]


def test_each_log_in_is_another_session_and_the_one_before_is_not_taken_over(office: Office, seat: Seats) -> None:
    who = seat("li-na")
    before = words(who)
    who.log_in()
    assert before and words(who) != before


def test_a_session_lies_in_no_table_and_no_script_reads_it(
    office: Office, seat: Seats, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = seat("li-na")
    with reading() as tx:
        [row] = tx.exec(select(DeskSession))
        assert words(who)[0] not in str(row.model_dump())
    given = {"staff_id": "li-na", "code": office.code("li-na"), "to": "/q"}
    own = {"origin": who.origin, "sec-fetch-site": "same-origin"}
    said = who.client.post("/login", data=given, headers=own, follow_redirects=False).headers["set-cookie"].lower()
    assert "httponly" in said and "samesite=lax" in said and "path=/" in said
    monkeypatch.setenv("DIANWU_DESK_URL", "https://desk.example.com")
    settings.cache_clear()
    assert cookie_name(settings()) == "__Host-dianwu", "of this very host, and over https alone"


@pytest.fixture
def bound() -> Iterator[None]:
    published = policy("2026-01-01")
    decisions = published.decisions.model_copy(update={"device_bound": ("refund-review",)})
    use_policies(published.model_copy(update={"decisions": decisions}))
    yield
    use_policies()


@pytest.mark.parametrize("synced", [False, True], ids=["on this device", "copied"])
def test_a_key_that_is_copied_is_known_as_such_and_signs_what_policy_lets_it(
    office: Office, seat: Seats, case: Case, bound: None, synced: bool
) -> None:
    who = seat("wang-fang")
    key = enrolled(office, who, synced=synced)
    assert ("可同步" if synced else "仅在本设备") in who.see("/me").text
    page = who.see(f"/r/{office.question(case).id}")
    values, options = asked(who, page, "APPROVE")
    told = who.send(page.form("/decide").action, values | {"signature": key.sign(options)})
    assert (COPIED in told.text) is synced
    assert ("review.decided" in office.trail(case.id)) is not synced


def test_what_is_not_there_looks_the_same_whatever_was_asked(office: Office, seat: Seats, case: Case) -> None:
    who, token = seat("li-na"), 'name="token" value="'
    pages = [
        who.see(place)
        for place in ("/r/RV-000000-AAAAAA", "/c/REF-000000-AAAAAA", "/s/none", "/p/EV-none", "/b/BN-none", "/lead")
    ]
    assert {page.status for page in pages} == {404}
    assert len({page.html.partition(token)[0] for page in pages}) == 1
    assert all(page.headers["cross-origin-resource-policy"] == "same-origin" for page in pages)
    assert "frame-ancestors 'none'" in guard.POLICY


def test_whom_wrong_codes_lock_logs_in_by_their_key(office: Office, seat: Seats, case: Case) -> None:
    who = seat("wang-fang")
    key = enrolled(office, who)
    stranger = Seat(office, "wang-fang")
    for _ in range(6):
        stranger.log_in("000000")
    options = in_transaction(lambda tx: passkeys.begin(tx, "log in", None, None))
    page = who.send("/login/passkey", {"credential": key.sign(json.loads(options)), "to": "/me"})
    assert page.address == "/me"


def test_a_draft_is_sealed_and_gone_with_the_decision_or_after_a_month(office: Office, seat: Seats, case: Case) -> None:
    who, review = seat("wang-fang"), office.question(case)

    def type_something() -> None:
        form = who.see(f"/r/{review.id}").form("/decide")
        draft = next(way for way in form.ways if way.endswith("/draft"))
        who.send(draft, form.values | {"reason": "张三的账户"})

    def drafts() -> list[DeskDraft]:
        with reading() as tx:
            found = list(tx.exec(select(DeskDraft)))
            tx.expunge_all()
        return found

    type_something()
    [row] = drafts()
    assert "张三" not in str(row.model_dump())
    for after, left in ((timedelta(days=30), 1), (timedelta(seconds=1), 0)):
        office.clock.advance(after)
        in_transaction(desk_forms.forget_old)
        assert len(drafts()) == left
    assert clock().real() > row.saved_at and office.question(case).state is ReviewState.PENDING
