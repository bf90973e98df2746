"""Who somebody is and what they may do is what was recorded, whatever SQL writes into their row."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import text

from models.cases import Case
from models.reviews import Role, Staff
from office.base import db
from office.base.db import in_transaction, reading
from office.cases import gates as review_gates
from office.cases import hands
from office.record import audit, seen, standing
from office.staff import people, staff
from tests.core.sql import said, write
from tests.play import Office

ATTACKS = {
    "another role": "UPDATE staff SET roles = '[\"closure-reviewer\", \"finance\"]' WHERE id = 'li-na'",
    "a role less": "UPDATE staff SET roles = '[]' WHERE id = 'li-na'",
    "dismissed": "UPDATE staff SET active = false WHERE id = 'li-na'",
    "a colleague's secret": "UPDATE staff SET totp_sealed = (SELECT totp_sealed FROM staff WHERE id = 'wang-fang')"
    " WHERE id = 'li-na'",
    "a substitute": "UPDATE staff SET substitute_id = 'zhao-min', away_until = '2027-01-01 00:00:00.000000' WHERE id = 'li-na'",
    "another name in the row": "UPDATE staff SET totp_sealed = '' WHERE id = 'li-na'",
}


def closure(office: Office) -> Case:
    office.open_shop()
    return office.request_closure()


def claim(office: Office, case: Case, staff_id: str) -> review_gates.Outcome:
    review_id, code = office.question(case).id, office.code(staff_id)
    return in_transaction(lambda tx: hands.claim(tx, review_id, staff_id, code))


@pytest.mark.parametrize("attack", ATTACKS)
def test_nobody_answers_under_a_row_that_sql_has_changed_and_the_supervisor_is_told_once(
    office: Office, attack: str
) -> None:
    case = closure(office)
    write(ATTACKS[attack])
    for _ in range(2):
        outcome = office.answer(office.question(case), "li-na", "APPROVE", "核对过")
        assert (outcome.accepted, outcome.sentence) == (False, standing.REFUSAL)
    assert office.staff_told("integrity_broken") == ["supervisor"]
    assert office.trail("staff/li-na").count("staff.doubted") == 1
    office.decide(case, "zhao-min", "APPROVE")
    assert office.chains() == []


@pytest.mark.parametrize("to", ["nowhere", "where they were written to before"])
def test_nobody_is_kept_from_hearing_what_is_recorded_in_their_name_because_sql_changed_where_they_are_written_to(
    office: Office, to: str
) -> None:
    case, before = closure(office), ""
    for address in ("mailto://old@example.com", "mailto://li-na@example.com"):
        with reading() as tx:
            before = tx.get_one(Staff, "li-na").contact_sealed
        in_transaction(partial(staff.set_contact, staff_id="li-na", contacts=[address]))
    write("UPDATE staff SET contact_sealed = :to WHERE id = 'li-na'", to="" if to == "nowhere" else before)
    in_transaction(standing.check)  # every sweep looks
    assert office.staff_told("integrity_broken") == ["supervisor"]
    outcome = office.answer(office.question(case), "li-na", "APPROVE", "核对过")
    assert (outcome.accepted, outcome.sentence) == (False, standing.REFUSAL)


def test_a_person_who_was_dismissed_does_not_come_back_by_sql(office: Office) -> None:
    case = closure(office)
    in_transaction(lambda tx: staff.set_active(tx, "li-na", False))
    write("UPDATE staff SET active = true WHERE id = 'li-na'")
    assert not office.answer(office.question(case), "li-na", "APPROVE", "核对过").accepted
    assert office.staff_told("integrity_broken") == ["supervisor"]


def test_somebody_written_into_the_table_by_sql_is_nobody(office: Office) -> None:
    case = closure(office)
    write(
        "INSERT INTO staff (id, name, roles, totp_sealed, active, contact_sealed, enrolled_at)"
        " SELECT 'mallory', '马某', roles, totp_sealed, active, '', enrolled_at FROM staff WHERE id = 'zhao-min'"
    )
    office.secrets["mallory"] = office.secrets["zhao-min"]
    outcome = office.answer(office.question(case), "mallory", "APPROVE", "核对过")
    assert (outcome.accepted, outcome.sentence) == (False, standing.REFUSAL)


def test_a_role_given_by_sql_is_not_counted_among_those_who_hold_it_and_claims_nothing(office: Office) -> None:
    case = closure(office)
    write("UPDATE staff SET roles = '[\"closure-reviewer\"]' WHERE id = 'wang-fang'")
    with reading() as tx:
        assert {one.id for one in staff.with_role(tx, Role.CLOSURE_REVIEWER)} == {"li-na", "zhao-min"}
    outcome = claim(office, case, "wang-fang")
    assert (outcome.accepted, outcome.sentence) == (False, standing.REFUSAL)


def test_what_somebody_claimed_is_not_passed_on_by_a_substitution_that_sql_wrote(office: Office) -> None:
    case = closure(office)
    claim(office, case, "li-na")
    write("UPDATE staff SET active = false WHERE id = 'li-na'")
    outcome = office.answer(office.question(case), "zhao-min", "APPROVE", "核对过")
    assert "李娜 认领" in outcome.sentence


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE audit SET detail = '{}' WHERE stream = 'staff/li-na'",
        "UPDATE audit_head SET seal = (SELECT seal FROM audit_head WHERE stream = 'staff/wang-fang') WHERE stream = 'staff/li-na'",
        "DELETE FROM audit_head WHERE stream = 'staff/li-na'",
    ],
)
def test_who_changes_the_record_as_well_gains_nothing(office: Office, attack: str) -> None:
    case = closure(office)
    write(attack)
    write("UPDATE staff SET roles = '[\"closure-reviewer\", \"supervisor\"]' WHERE id = 'li-na'")
    assert not office.answer(office.question(case), "li-na", "APPROVE", "核对过").accepted
    assert "supervisor" in office.staff_told("integrity_broken")


def test_a_new_enrolment_makes_somebody_whole_again_and_a_dismissal_makes_nothing_good(office: Office) -> None:
    case = closure(office)
    write("UPDATE staff SET roles = '[\"finance\", \"closure-reviewer\"]' WHERE id = 'li-na'")
    with pytest.raises(staff.StaffError, match="enrol"):
        in_transaction(lambda tx: staff.set_active(tx, "li-na", True))
    in_transaction(lambda tx: staff.set_active(tx, "li-na", False))
    with pytest.raises(staff.StaffError, match="enrol"):
        in_transaction(lambda tx: staff.set_active(tx, "li-na", True))
    office.hire("li-na", "closure-reviewer")
    office.decide(case, "li-na", "APPROVE")


def test_a_substitution_set_by_the_command_holds(office: Office) -> None:
    case = closure(office)
    claim(office, case, "li-na")
    until = office.clock.at + timedelta(days=2)
    in_transaction(lambda tx: staff.set_substitute(tx, "li-na", "zhao-min", until))
    office.decide(case, "zhao-min", "APPROVE")


def test_everybody_is_compared_before_anything_is_used(office: Office) -> None:
    in_transaction(standing.check)
    assert office.staff_told("integrity_broken") == []
    write("UPDATE staff SET roles = '[\"supervisor\"]' WHERE id IN ('li-na', 'xu-jing')")
    for _ in range(2):
        in_transaction(standing.check)
    assert office.staff_told("integrity_broken") == ["supervisor", "supervisor"]


def test_whoever_was_enrolled_by_an_earlier_version_is_taken_by_what_it_recorded(office: Office) -> None:
    """Its lines say the roles and whether somebody is active, and nothing about the secret."""
    case = closure(office)
    write("DELETE FROM audit WHERE stream = 'staff/li-na'")
    write("DELETE FROM audit_head WHERE stream = 'staff/li-na'")
    in_transaction(lambda tx: audit.record(tx, "staff/li-na", "staff.enrolled", roles=["closure-reviewer"]))
    in_transaction(lambda tx: audit.record(tx, "staff/li-na", "staff.active", active=False))
    in_transaction(lambda tx: audit.record(tx, "staff/li-na", "staff.active", active=True))
    office.decide(case, "li-na", "APPROVE")
    write("UPDATE staff SET roles = '[\"finance\"]' WHERE id = 'li-na'")
    with reading() as tx:
        assert standing.doubt(tx, staff.find(tx, "li-na")) == "岗位"


def test_whether_anybody_is_left_is_read_together_however_many_people_there_are(office: Office) -> None:
    def asked() -> tuple[int, int]:
        """How many people there are, and how many statements it takes to know who is hindered."""
        with reading() as tx:
            people.roster(tx)  # each new chain is read once, then known by its end
        with reading() as tx, said() as heard:
            everybody = people.roster(tx)
        assert not any(one.hindered for one in everybody)
        return len(everybody), len(heard)

    few, before = asked()
    for number in range(20):
        office.hire(f"colleague-{number}", "finance")
    many, after = asked()
    assert (many, after) == (few + 20, before) and after <= 4


def test_a_chain_that_goes_on_elsewhere_is_followed_among_many(office: Office) -> None:
    write("UPDATE audit_head SET seal = 'forged' WHERE stream = 'staff/li-na'")
    in_transaction(lambda tx: standing.note(tx, staff.find(tx, "li-na"), "staff.noted", "重新登记"))
    write("UPDATE staff SET roles = '[\"finance\"]' WHERE id = 'xu-jing'")
    with reading() as tx:
        hindered = {one.id: one.hindered for one in people.roster(tx)}
    assert hindered["li-na"] == "" and hindered["xu-jing"] == "登记信息存疑" and hindered["wang-fang"] == ""


def broken_twice(staff_id: str) -> None:
    """Somebody's chain was found broken twice, and goes on in a third."""
    for stream in (f"staff/{staff_id}", f"staff/{staff_id}~2"):
        write("UPDATE audit_head SET seal = 'forged' WHERE stream = :stream", stream=stream)
        in_transaction(lambda tx: standing.note(tx, staff.find(tx, staff_id), "staff.noted", "重新登记"))


@pytest.mark.parametrize("gone", ["~2", ""], ids=["from between", "the first"])
@pytest.mark.parametrize("tables", [("audit_head",), ("audit_head", "audit")], ids=["its head", "all of it"])
def test_a_chain_taken_from_between_keeps_nobody_out_and_is_heard_of(
    office: Office, gone: str, tables: tuple[str, ...]
) -> None:
    case = closure(office)
    broken_twice("li-na")
    for table in tables:
        write(f"DELETE FROM {table} WHERE stream = :stream", stream=f"staff/li-na{gone}")
    before = office.staff_told("integrity_broken")
    in_transaction(standing.check)
    assert (office.staff_told("integrity_broken") > before) is (gone == "~2"), "the first one's loss is found by night"
    office.decide(case, "li-na", "APPROVE")
    in_transaction(lambda tx: standing.note(tx, staff.find(tx, "li-na"), "staff.noted", "再次登记"))
    with reading() as tx:
        assert standing.noted(tx, "li-na").startswith("staff/li-na~3/"), "and the record goes on where it ended"


def test_whose_last_chain_was_taken_away_is_back_when_a_supervisor_has_enrolled_them(office: Office) -> None:
    case = closure(office)
    broken_twice("li-na")
    in_transaction(standing.check)
    write("DELETE FROM audit_head WHERE stream = 'staff/li-na~3'")
    assert not office.answer(office.question(case), "li-na", "APPROVE", "核对过").accepted
    assert "supervisor" in office.staff_told("integrity_broken")
    office.hire("li-na", "closure-reviewer")
    office.decide(case, "li-na", "APPROVE")


def as_it_is(staff_id: str) -> Callable[[], None]:
    """Keeps a person's row and chain, and puts them back later, every seal with them."""
    with db.engine().connect() as connection:
        row = dict(connection.execute(text("SELECT * FROM staff WHERE id = :id"), {"id": staff_id}).mappings().one())
        head = dict(
            connection.execute(text("SELECT * FROM audit_head WHERE stream = :stream"), {"stream": f"staff/{staff_id}"})
            .mappings()
            .one()
        )

    def put_back() -> None:
        write(
            "UPDATE staff SET active = :active, totp_sealed = :totp_sealed WHERE id = :id",
            **{name: row[name] for name in ("active", "totp_sealed", "id")},
        )
        write("DELETE FROM audit WHERE stream = :stream AND seq > :seq", stream=head["stream"], seq=head["seq"])
        for table in ("audit", "audit_head"):
            write(f"DELETE FROM {table} WHERE stream LIKE :more", more=f"{head['stream']}~%")
        write("UPDATE audit_head SET seq = :seq, hash = :hash, seal = :seal WHERE stream = :stream", **head)

    return put_back


def test_a_dismissed_clerk_does_not_come_back_with_a_chain_of_yesterday(office: Office) -> None:
    case = closure(office)
    put_back = as_it_is("li-na")
    in_transaction(lambda tx: staff.set_active(tx, "li-na", False))
    in_transaction(standing.check)  # every sweep looks
    for _ in range(2):
        put_back()
        assert not office.answer(office.question(case), "li-na", "APPROVE", "核对过").accepted
    assert "supervisor" in office.staff_told("integrity_broken")
    with reading() as tx:
        assert "li-na" not in {one.id for one in staff.with_role(tx, Role.CLOSURE_REVIEWER)}
    office.hire("li-na", "closure-reviewer")  # a supervisor lets her
    in_transaction(standing.check)
    office.decide(case, "li-na", "APPROVE")


def test_people_of_another_database_are_not_taken_for_those_of_the_last_one(office: Office) -> None:
    in_transaction(standing.check)
    assert "li-na" in json.loads(seen.file().read_text())
    number, line, born = seen.far("li-na") or (0, 0, "")
    assert not seen.behind("li-na", (1, 1, "of another li-na"))
    assert seen.behind("li-na", (number, line - 1, born)) and not seen.behind("li-na", (number, line, born))
    seen.file().write_text("torn")
    assert not seen.behind("li-na", (1, 1, born)), "a torn file remembers nothing, and is written anew"
    in_transaction(standing.check)
    assert seen.far("li-na") == (number, line, born)
