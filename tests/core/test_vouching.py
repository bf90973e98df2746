"""Who decides is a supervisor's word: keys are given, changed and given back by another person's proof, and everybody hears."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from models.reviews import Role
from office.base import settings as settings_module
from office.base.db import in_transaction
from office.cases import objections
from office.staff import passkeys, staff, vouching
from office.staff.vouching import Word
from policies.policy import SHANGHAI
from tests.core.sql import read, write
from tests.play import Office

DAY = timedelta(hours=24)


@pytest.fixture
def production(office: Office, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    """An office whose people have been with it for longer than new keys rest."""
    office.clock.advance(DAY)
    for name, value in (("PROFILE", "production"), ("SANDBOX_BANK", "false"), ("PREFECT_AUTH", "a:b")):
        monkeypatch.setenv(f"DIANWU_{name}", value)
    settings_module.settings.cache_clear()
    yield office
    settings_module.settings.cache_clear()


def enrol(office: Office, staff_id: str, *roles: Role, by: str = "he-qiang", alone: bool = False) -> str:
    """The sentence why not; the person's device has the new secret otherwise."""
    word = Word(by=by, code=office.code(by) if by else "", alone=alone)
    made, sentence = in_transaction(lambda tx: vouching.enrol(tx, staff_id, staff_id, roles, word))
    if made:
        office.secrets[staff_id] = made.secret
    return sentence


def nobody() -> None:
    """Everybody and whatever was written about them is gone."""
    for table in ("desk_session", "spent_code", "code_guard", "staff", "audit", "audit_head"):
        write(f"DELETE FROM {table}")


def heard(office: Office) -> list[str]:
    return sorted(office.staff_told("staff_changed"))


def test_a_new_key_is_told_to_its_person_and_to_all_supervisors_and_by_whom(production: Office) -> None:
    assert enrol(production, "wang-fang", Role.FINANCE) == ""
    assert heard(production) == ["@gao-yuan", "@he-qiang", "@wang-fang", "supervisor"]
    said = read("SELECT action FROM audit WHERE stream = 'staff/wang-fang' AND actor = 'staff/he-qiang'")
    assert (said, production.chains()) == (["staff.enrolled"], [])


@pytest.mark.parametrize(("seconds", "counts"), [(-1, False), (0, True), (1, True)])
def test_a_key_that_is_new_moves_no_money_before_its_rest_is_over_and_its_person_hears_from_when(
    production: Office, seconds: int, counts: bool
) -> None:
    production.closed_shop()
    case = production.request_refund()
    until = production.clock.at + timedelta(seconds=30) + DAY  # the supervisor's code takes half a minute, too
    assert enrol(production, "wang-fang", Role.FINANCE) == ""
    production.clock.at = until - timedelta(minutes=5)
    production.snapshot()
    production.clock.at = until - timedelta(seconds=30 - seconds)
    outcome = production.answer(production.question(case), "wang-fang", "APPROVE", "核对过")  # by the next code
    assert production.clock.at == until + timedelta(seconds=seconds) and outcome.accepted is counts, outcome.sentence
    if not counts:
        assert f"自 {until.astimezone(SHANGHAI):%Y-%m-%d %H:%M}(北京时间)起方可办理" in outcome.sentence
    assert production.chains() == []


def test_neither_does_one_that_was_given_back_or_one_in_the_form(production: Office) -> None:
    production.closed_shop()
    case = production.request_refund()
    in_transaction(lambda tx: staff.set_active(tx, "wang-fang", False))
    assert in_transaction(lambda tx: vouching.restore(tx, "wang-fang", Word())) == vouching.NO_WORD
    word = Word(by="he-qiang", code=production.code("he-qiang"))
    assert in_transaction(lambda tx: vouching.restore(tx, "wang-fang", word)) == ""
    assert "方可办理" in production.fill_in(production.question(case), "wang-fang", "APPROVE").sentence
    production.clock.advance(DAY)
    production.snapshot()
    assert production.answer(production.question(case), "wang-fang", "APPROVE", "核对过").accepted


def test_routine_work_and_objections_do_not_wait(production: Office) -> None:
    production.open_shop()
    case = production.request_closure()
    assert enrol(production, "li-na", Role.CLOSURE_REVIEWER) == ""
    review = production.question(case)
    production.decide(case, "li-na", "REJECT")
    code = production.code("li-na")
    said = in_transaction(lambda tx: objections.dispute(tx, review.id, "li-na", code, "不是我作的决定"))
    assert said.accepted, said.sentence


def test_a_supervisor_of_today_vouches_for_nobody_and_invites_nobody(production: Office) -> None:
    assert enrol(production, "qian-yu", Role.SUPERVISOR) == ""
    assert "方可办理" in enrol(production, "wang-fang", Role.FINANCE, by="qian-yu")
    code = production.code("qian-yu")
    assert "方可办理" in in_transaction(lambda tx: passkeys.invite(tx, "wang-fang", "qian-yu", code))[1]
    production.clock.advance(DAY)
    assert enrol(production, "wang-fang", Role.FINANCE, by="qian-yu") == ""


def test_when_no_other_supervisor_is_left_a_key_is_given_alone_rests_and_everybody_hears(production: Office) -> None:
    assert vouching.STILL_OTHERS in enrol(production, "he-qiang", Role.SUPERVISOR, by="", alone=True)
    word = Word(by="he-qiang", code=production.code("he-qiang"))
    assert in_transaction(lambda tx: vouching.dismiss(tx, "gao-yuan", word)) == ""
    assert "--alone" in enrol(production, "he-qiang", Role.SUPERVISOR, by="")
    before = len(heard(production))
    assert enrol(production, "he-qiang", Role.SUPERVISOR, by="", alone=True) == ""
    assert {"@wang-fang", "@li-na", "@he-qiang"} <= set(heard(production)) and len(heard(production)) > before
    assert "方可办理" in enrol(production, "wang-fang", Role.FINANCE)


def test_the_first_of_all_is_a_supervisor_who_vouches_for_the_others_at_once(production: Office) -> None:
    nobody()
    assert enrol(production, "wang-fang", Role.FINANCE, by="") == vouching.FIRST
    assert enrol(production, "he-qiang", Role.SUPERVISOR, by="") == ""
    assert enrol(production, "gao-yuan", Role.SUPERVISOR, by="") != "", "there is one who can be asked"
    assert enrol(production, "gao-yuan", Role.SUPERVISOR) == ""
    nobody()
    assert enrol(production, "eve", Role.SUPERVISOR, by="") != "", "nobody becomes the first a second time"


def test_in_a_demonstration_new_keys_decide_at_once(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund()
    assert enrol(office, "wang-fang", Role.FINANCE) == ""
    assert office.answer(office.question(case), "wang-fang", "APPROVE", "核对过").accepted
