"""The policy: every number in one dated file, checked when it is read, the newest in force wins."""

import tomllib
from datetime import UTC, date, datetime
from importlib.resources import files

import pytest
from pydantic import ValidationError

from models.deposits import RefundDocument
from models.shops import EntityType
from models.windows import CalendarDays, Months, NaturalDays, WorkingDays
from policies.office_numbers import DecisionPolicy
from policies.policy import Policy, UnknownPolicy, policy, policy_at, read_policy, version_on, versions
from policies.sections import Section


def text_of(version: str) -> str:
    return files("policies").joinpath("versions", f"{version}.toml").read_text(encoding="utf-8")


TEXT = text_of("2026-01-01")


def test_the_windows_of_the_rulebook_are_in_the_policy_with_their_kind_of_day():
    rules = policy("2026-01-01")
    assert rules.version == "2026-01-01"
    assert rules.closure.ask == NaturalDays(n=7)
    assert rules.closure.exit_invoice == CalendarDays(n=5)
    assert rules.closure.reopen == Months(n=6)
    assert rules.refund.sla == WorkingDays(n=7)
    assert rules.refund.early_reminder == NaturalDays(n=7)
    assert rules.reminders.merchant_hours_before == (72, 24, 2)
    assert (rules.staff.max_wrong_codes, rules.staff.lock_minutes) == (5, 15)


def test_every_entity_type_is_told_which_documents_a_refund_needs():
    assert set(policy("2026-01-01").refund.required_documents) == set(EntityType)
    assert RefundDocument.BUSINESS_LICENCE in policy("2026-01-01").refund.required_documents[EntityType.ENTERPRISE]


def test_a_policy_begins_at_midnight_in_shanghai_and_not_in_greenwich():
    first_second = datetime(2025, 12, 31, 16, 0, 0, tzinfo=UTC)
    assert policy_at(first_second).version == "2026-01-01"
    with pytest.raises(UnknownPolicy, match="2025-12-31"):
        policy_at(datetime(2025, 12, 31, 15, 59, 59, tzinfo=UTC))


def test_the_newest_policy_in_force_is_the_one():
    known = ("2026-01-01", "2026-07-01", "2027-01-01")
    assert version_on(date(2026, 6, 30), known) == "2026-01-01"
    assert version_on(date(2026, 7, 1), known) == "2026-07-01"
    assert version_on(date(2030, 1, 1), known) == "2027-01-01"


def test_every_packaged_version_reads_and_is_named_by_its_date():
    for version in versions():
        assert policy(version).version == date.fromisoformat(version).isoformat()


SECTIONS = {name: field.annotation for name, field in Policy.model_fields.items() if name != "meta"}


@pytest.mark.parametrize("name", sorted(SECTIONS))
def test_a_section_stands_beside_its_rule_and_says_since_when_it_exists(name: str) -> None:
    """A file in force is never edited: one from before the section does not name it, and every number has a default there."""
    section = SECTIONS[name]
    assert section is not None and issubclass(section, Section)
    assert section.__module__ != "policies.policy"
    named = {version for version in versions() if name in tomllib.loads(text_of(version))}
    assert named == {version for version in versions() if version >= section.since}
    if section.since > min(versions()):
        assert Policy.model_fields[name].default == section()


@pytest.mark.parametrize("version", ["2025-01-01", "", "../2026-01-01", "2026-01-01.toml"])
def test_an_unknown_version_is_said_to_be_unknown_with_the_ones_there_are(version):
    with pytest.raises(UnknownPolicy, match="there are: 2026-01-01"):
        policy(version)


@pytest.mark.parametrize("gate", ["refund-review", "closure-override", "forced-closure", "invoicing-release"])
def test_no_policy_puts_a_decision_about_money_under_the_floor(gate):
    with pytest.raises(ValidationError, match="never decided on a session alone"):
        DecisionPolicy(by_session=("closure-review", gate))


def test_a_policy_may_ask_more_than_the_floor():
    assert DecisionPolicy(by_session=(), signed_only=("refund-review",)).by_session == ()


def test_a_naive_moment_has_no_policy():
    with pytest.raises(ValueError, match="naive"):
        policy_at(datetime(2026, 3, 1))


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ('version = "2026-01-01"', 'version = "2026-01-02"', "calls itself"),
        ("max_wrong_codes", "max_wrong_kodes", "max_wrong_kodes"),
        ('unit = "working_days", n = 7', 'unit = "working_days", n = 0', "over before it begins"),
        ('unit = "working_days", n = 7', 'unit = "days", n = 7', "unit"),
        ('penalty_policy = "any"', 'penalty_policy = "some"', "penalty_policy"),
        ('"母婴" = 10_000_00', '"母婴" = 50_000_00', "outside"),
        ('PERSON = ["IDENTITY_CARD", "ACCOUNT_PROOF"]', "", "no required documents for PERSON"),
        ("[72, 24, 2]", "[72, 24, -2]", "merchant_hours_before"),
        ("people = 2", "people = 1", "people"),
    ],
)
def test_a_mistake_in_a_policy_file_is_found_when_it_is_read(before, after, complaint):
    assert before in TEXT
    with pytest.raises(ValueError, match=complaint):
        read_policy(TEXT.replace(before, after), "2026-01-01")
