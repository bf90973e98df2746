"""Self-operated accounts: the share of whole days, the talent's consent, and letting go at any time (BND-9 to BND-15)."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from models.bindings import Binding
from models.cases import Case, CaseState
from models.talents import SelfOperatedCheck, SelfOperatedProposal, TalentDay
from office.base.db import in_transaction, reading
from office.cases import cases
from policies.binding_numbers import BindingPolicy
from policies.days import days_before
from policies.shares import reaches
from tasks.bindings import steps, watch
from tasks.bindings.intake import CONSENT, FIGURES
from tasks.sight.accounts import shop_accounts
from tests.accounts import (
    SHANGHAI,
    answered,
    consent,
    mark,
    mark_back,
    month,
    report,
    row,
    sales_of,
    self_operated,
    today,
    withdraw_consent,
)
from tests.play import SILENCE, Office
from tests.together import at_once


def findings(case: Case) -> list[str]:
    with reading() as tx:
        return [found.code for found in cases.findings(tx, case.id)]


# ── the share ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("ours", "total", "inclusive", "enough"),
    [(50, 100, False, False), (51, 100, False, True), (5001, 10_000, False, True), (5000, 10_000, True, True),
     (4999, 10_000, True, False), (0, 0, False, False), (0, 0, True, False), (100, 100, False, True)],
)  # fmt: skip
def test_more_than_half_is_asked_unless_the_policy_says_at_least(
    ours: int, total: int, inclusive: bool, enough: bool
) -> None:
    """BND-9, ambiguity 17"""
    assert reaches(ours, total, BindingPolicy(share_inclusive=inclusive)) is enough


def test_the_last_thirty_days_are_whole_days_of_shanghai_before_today() -> None:
    """Ambiguity 50"""
    last_second = datetime(2026, 3, 1, 23, 59, 59, tzinfo=SHANGHAI)
    first, last = days_before(last_second, 30)
    assert (first.isoformat(), last.isoformat()) == ("2026-01-30", "2026-02-28")
    assert days_before(last_second + timedelta(seconds=1), 30)[1].isoformat() == "2026-03-01"


def test_a_marked_account_is_bound_when_its_share_is_enough_and_the_talent_agrees(office: Office) -> None:
    """BND-9, BND-10"""
    office.open_shop()
    month(office)
    (case,) = mark(office)
    assert office.case(case.id).state is CaseState.AWAITING_CONSENT
    (asked,) = office.events("account.consent.requested")
    assert (asked["shop_name"], asked["target_account_id"]) == ("晨光文具", "dy-8")
    assert shop_accounts("shop-1").accounts == (), "nothing without the talent"
    consent(office, case)
    assert office.case(case.id).outcome is CaseState.BOUND
    assert office.told(case) == ["consent_asked", "account_bound"]
    assert office.message("consent_asked")["share_percent"] == "60.00"
    (shown,) = shop_accounts("shop-1").accounts
    assert (shown.kind, shown.account_id, shown.unbind_from, shown.for_ever) == ("SELF_OPERATED", "dy-8", None, False)
    assert office.books() == [] == office.chains()


def test_exactly_half_is_not_more_than_half(office: Office) -> None:
    """BND-9"""
    office.open_shop()
    month(office, 50_000)
    (case,) = mark(office)
    assert (office.case(case.id).outcome, office.case(case.id).outcome_clause) == ("REFUSED", "BND-9")
    assert "50.00%,未超过 50%" in office.message("binding_refused")["grounds"][0]["sentence"]


def test_today_and_the_day_before_the_window_are_not_in_it(office: Office) -> None:
    office.open_shop()
    month(office, 50_000)
    report(office, sales_of(today(office) - timedelta(days=31), 100_000), sales_of(today(office), 100_000))
    (case,) = mark(office)
    assert office.case(case.id).outcome is CaseState.REFUSED


def test_a_missing_day_is_asked_for_and_never_a_zero(office: Office) -> None:
    """BND-9, ambiguity 50"""
    office.open_shop()
    month(office, but=(7,))
    (case,) = mark(office)
    assert (office.case(case.id).state, findings(case)) == (CaseState.AWAITING_FIGURES, ["share-missing"])
    (asked,) = office.events("talent.sales.requested")
    lacks = today(office) - timedelta(days=7)
    assert asked["days"] == [lacks.isoformat()]
    report(office, sales_of(today(office), 1))
    assert office.case(case.id).state is CaseState.AWAITING_FIGURES
    report(office, sales_of(lacks, 0))
    assert office.case(case.id).state is CaseState.AWAITING_CONSENT
    consent(office, case)
    assert office.case(case.id).outcome is CaseState.BOUND


def test_days_that_never_come_end_it_and_the_merchant_reads_so(office: Office) -> None:
    office.open_shop()
    (case,) = mark(office)
    office.clock.at = office.deadline(case, FIGURES).due_at + SILENCE
    office.sweep()
    assert office.case(case.id).outcome is CaseState.LAPSED
    assert "逾期未补齐" in office.message("binding_ended")["why"]


@pytest.mark.parametrize(("seconds", "counts"), [(-1, True), (0, True), (1, False)])
def test_missing_days_count_that_come_in_the_last_second_of_their_window(
    office: Office, seconds: int, counts: bool
) -> None:
    """BND-9: 48 hours, by when they reached the door."""
    office.open_shop()
    month(office, but=(7,))
    lacks = today(office) - timedelta(days=7)
    (case,) = mark(office)
    office.clock.at = office.deadline(case, FIGURES).due_at + timedelta(seconds=seconds)
    report(office, sales_of(lacks, 0))
    office.clock.advance(SILENCE)
    office.sweep()
    assert (office.case(case.id).outcome is CaseState.LAPSED) is not counts


@pytest.mark.parametrize("seconds", [-1, 0, 1])
def test_a_day_reported_before_its_end_is_not_the_whole_day(office: Office, seconds: int) -> None:
    office.open_shop()
    month(office, but=(1,))
    yesterday = today(office) - timedelta(days=1)
    ended = datetime.combine(today(office), datetime.min.time(), tzinfo=SHANGHAI)
    report(office, sales_of(yesterday, 60_000), as_of=ended + timedelta(seconds=seconds))
    (case,) = mark(office)
    assert findings(case) == (["share-stale"] if seconds < 0 else [])


def test_parts_larger_than_the_whole_are_a_finding_and_no_yes(office: Office) -> None:
    """Ambiguity 50"""
    office.open_shop()
    month(office, but=(3,))
    report(office, sales_of(today(office) - timedelta(days=3), 100_001))
    (case,) = mark(office)
    assert (findings(case), office.case(case.id).state) == (["share-contradicts"], CaseState.AWAITING_FIGURES)
    report(office, sales_of(today(office) - timedelta(days=3), 100_000))
    assert office.case(case.id).state is CaseState.AWAITING_CONSENT


@pytest.mark.both
def test_a_later_report_replaces_a_day_and_an_older_one_does_not(office: Office) -> None:
    office.open_shop()
    day, now = today(office) - timedelta(days=1), office.clock.at
    for minutes, ours in ((0, 10), (-60, 20), (0, 30)):
        report(office, sales_of(day, ours, 100), as_of=now + timedelta(minutes=minutes))
    with reading() as tx:
        assert tx.exec(select(TalentDay.parts_fen)).all() == [30]
    report(office, sales_of(day, 0, 0), as_of=now + timedelta(minutes=4))
    with reading() as tx:
        assert tx.exec(select(TalentDay.total_fen, TalentDay.parts_fen)).all() == [(0, 0)]


def test_figures_from_the_future_are_refused(office: Office) -> None:
    office.open_shop()
    report(office, sales_of(today(office) + timedelta(days=1), 1))
    report(office, sales_of(today(office), 1), as_of=office.clock.at + timedelta(hours=1))
    assert [clause for clause, _ in office.refusals()] == ["BND-9"]
    assert [line["position"] for line in office.events("figures.rejected")[-1]["rejected"]] == [1]


def test_a_correction_while_the_talent_thinks_counts(office: Office) -> None:
    office.open_shop()
    month(office, 51_000)
    (case,) = mark(office)
    month(office, 49_000)
    consent(office, case)
    assert (office.case(case.id).outcome, office.case(case.id).outcome_clause) == ("REFUSED", "BND-9")


def test_days_that_pass_while_the_talent_thinks_change_nothing(office: Office) -> None:
    office.open_shop()
    month(office)
    (case,) = mark(office)
    office.pass_time(days=5)
    consent(office, case)
    assert office.case(case.id).outcome is CaseState.BOUND


# ── the talent ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("seconds", "bound"), [(-1, True), (0, True), (1, False)])
def test_silence_is_a_no_after_seven_days(office: Office, seconds: int, bound: bool) -> None:
    """BND-10"""
    office.open_shop()
    month(office)
    (case,) = mark(office)
    due = office.deadline(case, CONSENT).due_at
    assert due - office.case(case.id).opened_at == timedelta(days=7)
    office.clock.at = due + timedelta(seconds=seconds)
    office.receive("account.consent_answered", {"case_id": case.id, "target_account_id": "dy-8", "agrees": True})
    office.clock.advance(timedelta(hours=3))
    office.sweep()
    assert office.case(case.id).outcome is (CaseState.BOUND if bound else CaseState.LAPSED)
    if not bound:
        assert "视为不同意" in office.message("binding_ended")["why"]


@pytest.mark.parametrize(("seconds", "asked"), [(-1, False), (0, True), (1, True)])
def test_a_talent_who_says_no_is_not_bound_and_left_alone_for_a_week(office: Office, seconds: int, asked: bool) -> None:
    """BND-10"""
    office.open_shop()
    month(office)
    (case,) = mark(office)
    consent(office, case, agrees=False)
    assert office.case(case.id).outcome is CaseState.DECLINED
    consent(office, case)
    assert office.refusals()[-1][0] == "BND-10" and row(case).bound_at is None
    ended = office.case(case.id).concluded_at
    assert ended is not None
    office.clock.at = ended + timedelta(days=7, seconds=seconds)
    month(office)
    (again,) = mark(office)
    assert office.case(again.id).state is (CaseState.AWAITING_CONSENT if asked else CaseState.REFUSED)
    if not asked:
        assert office.case(again.id).outcome_clause == "BND-10"


def test_only_the_talent_answers(office: Office) -> None:
    office.open_shop()
    month(office)
    (case,) = mark(office)
    consent(office, case, account="dy-9")
    assert office.refusals()[-1][0] == "BND-10"
    assert office.case(case.id).state is CaseState.AWAITING_CONSENT


def test_the_talent_is_reminded_through_the_platform(office: Office) -> None:
    office.open_shop()
    month(office)
    (case,) = mark(office)
    due = office.deadline(case, CONSENT).due_at
    for hours in (72, 24, 2):
        office.clock.at = due - timedelta(hours=hours)
        office.sweep()
        office.sweep()
    assert [one["reminder"] for one in office.events("account.consent.requested")] == [False, True, True, True]


def test_the_same_consent_twice_binds_once(office: Office) -> None:
    office.open_shop()
    month(office)
    (case,) = mark(office)
    for _ in range(2):
        office.send(
            "account.consent_answered", {"case_id": case.id, "target_account_id": "dy-8", "agrees": True}, "yes-1"
        )
    consent(office, case)
    assert len(office.events("account.bound")) == 1 and office.told(case).count("account_bound") == 1


# ── once across shops ────────────────────────────────────────────────────────


def test_an_account_is_self_operated_for_one_shop(office: Office) -> None:
    """BND-12"""
    office.open_shop()
    office.open_shop("shop-2")
    self_operated(office)
    month(office, account="dy-8", shop_id="shop-2")
    (other,) = mark(office, shop_id="shop-2")
    assert (office.case(other.id).outcome, office.case(other.id).outcome_clause) == ("REFUSED", "BND-12")
    mark_back(office)
    (again,) = mark(office, shop_id="shop-2")
    consent(office, again)
    assert office.case(again.id).outcome is CaseState.BOUND


@pytest.mark.both
def test_when_a_talent_agrees_to_two_shops_at_once_one_gets_the_account(office: Office) -> None:
    """BND-12"""
    office.open_shop()
    office.open_shop("shop-2")
    sold = {n: "shop-1" if n > 14 else "shop-2" for n in range(1, 31)}
    report(office, *(sales_of(today(office) - timedelta(days=n), 100_000, shop_id=shop) for n, shop in sold.items()))
    (one,) = mark(office)
    office.pass_time(days=3)
    report(office, *(sales_of(today(office) - timedelta(days=n), 100_000, shop_id="shop-2") for n in range(1, 4)))
    (two,) = mark(office, shop_id="shop-2")
    assert {office.case(case.id).state for case in (one, two)} == {CaseState.AWAITING_CONSENT}

    answered(one, CONSENT)
    answered(two, CONSENT)
    assert at_once(partial(steps.bind, case.id) for case in (one, two)) == []
    assert sorted(str(office.case(case.id).outcome) for case in (one, two)) == ["BOUND", "REFUSED"]


@pytest.mark.both
def test_the_database_itself_refuses_a_second_shop(office: Office) -> None:
    office.open_shop()
    office.open_shop("shop-2")
    self_operated(office)
    self_operated(office, "dy-9", "shop-2")
    with pytest.raises(IntegrityError):
        in_transaction(lambda tx: [setattr(one, "account_id", "dy-8") for one in tx.exec(select(Binding))])


# ── batches ──────────────────────────────────────────────────────────────────


def test_a_batch_has_a_case_and_a_result_for_each_account(office: Office) -> None:
    """BND-13"""
    office.open_shop()
    month(office, account="dy-1")
    month(office, 10_000, account="dy-2")
    found = mark(office, "dy-1", "dy-2", "dy-3")
    assert [office.case(case.id).state for case in found] == [
        CaseState.AWAITING_CONSENT,
        CaseState.REFUSED,
        CaseState.AWAITING_FIGURES,
    ]
    again = mark(office, "dy-1")
    assert office.case(again[0].id).outcome is CaseState.REFUSED
    assert found[0].id in (office.case(again[0].id).outcome_text or "")
    consent(office, found[0], account="dy-1")
    assert office.case(found[0].id).outcome is CaseState.BOUND


def test_the_same_batch_twice_opens_each_case_once(office: Office) -> None:
    office.open_shop()
    batch = {
        "shop_id": "shop-1",
        "account_id": "acct-shop-1",
        "accounts": [{"target_account_id": "dy-1"}, {"target_account_id": "dy-2"}],
    }
    for _ in range(2):
        office.send("accounts.marking_requested", batch, "batch-1")
    assert len(office.cases()) == 2


# ── letting go ───────────────────────────────────────────────────────────────


def test_the_shop_marks_it_back_at_once(office: Office) -> None:
    """BND-14"""
    office.open_shop()
    case = self_operated(office)
    mark_back(office)
    assert row(case).ended_at is not None and shop_accounts("shop-1").accounts == ()
    told = office.message("account_unbound")
    assert (told["rule"], told["how"]) == ("BND-14", "店铺标记为带货")
    assert self_operated(office).outcome is CaseState.BOUND


def test_the_talent_takes_the_consent_back_at_once_and_the_shop_is_told(office: Office) -> None:
    """BND-14"""
    office.open_shop()
    self_operated(office)
    withdraw_consent(office)
    assert shop_accounts("shop-1").accounts == ()
    assert office.message("account_unbound")["how"] == "达人撤回同意"
    assert office.events("account.unbound")[0]["how"] == "CONSENT_WITHDRAWN"
    withdraw_consent(office)
    assert office.refusals()[-1][0] == "BND-14"


def test_a_consent_taken_back_before_it_was_acted_on_binds_nothing(office: Office) -> None:
    office.open_shop()
    month(office)
    (case,) = mark(office)
    office.receive("account.consent_answered", {"case_id": case.id, "target_account_id": "dy-8", "agrees": True})
    office.receive("account.consent_withdrawn", {"target_account_id": "dy-8"})
    office.settle()
    assert office.case(case.id).outcome is CaseState.DECLINED and row(case).bound_at is None


# ── the daily look ───────────────────────────────────────────────────────────


def look(office: Office) -> int:
    done = watch.sweep()
    office.settle()
    return done


def standing(office: Office) -> list[tuple[str, str]]:
    with reading() as tx:
        rows = tx.exec(select(SelfOperatedProposal).where(SelfOperatedProposal.ended_at == None))  # noqa: E711
        return sorted((one.shop_id, one.account_id) for one in rows)


def test_the_daily_look_proposes_what_sells_mostly_for_a_shop_and_binds_nothing(office: Office) -> None:
    """BND-11"""
    office.open_shop()
    office.open_shop("shop-2")
    month(office, account="dy-1")
    month(office, 50_000, account="dy-2")
    month(office, 90_000, account="dy-3", but=(4,))
    month(office, 100_000, account="dy-4", shop_id="shop-2")
    opened = len(office.cases())
    assert look(office) == 2
    assert standing(office) == [("shop-1", "dy-1"), ("shop-2", "dy-4")]
    assert len(office.cases()) == opened, "no case before a talent has to decide"
    told = [event["accounts"] for event in office.events("self_operated.proposed")]
    assert told == [
        [{"target_account_id": "dy-1", "share_percent": "60.00"}],
        [{"target_account_id": "dy-4", "share_percent": "100.00"}],
    ]
    assert len([name for name in office.told() if name == "self_operated_proposed"]) == 2
    assert look(office) == 0, "a day is looked at once"


def test_it_looks_again_the_next_day_tells_only_what_is_new_and_ends_what_is_over(office: Office) -> None:
    office.open_shop()
    month(office, account="dy-1")
    month(office, account="dy-2")
    month(office, account="dy-3")
    look(office)
    (case,) = mark(office, "dy-1")
    consent(office, case, account="dy-1")
    office.clock.advance(timedelta(days=1))
    month(office, 10_000, account="dy-2")
    look(office)  # dy-3 has no figures for yesterday: nothing is known to have changed
    assert standing(office) == [("shop-1", "dy-3")]
    assert len(office.events("self_operated.proposed")) == 1
    with reading() as tx:
        checks = tx.exec(select(SelfOperatedCheck).order_by("day")).all()
        assert [(one.proposed, one.ended, one.done_at is not None) for one in checks] == [(3, 0, True), (0, 2, True)]


def test_an_account_that_is_somebodys_already_is_proposed_to_nobody(office: Office) -> None:
    """BND-11, BND-12: whoever has it, and however much it sells for another shop."""
    office.open_shop()
    office.open_shop("shop-2")
    self_operated(office, "dy-1")
    month(office, 90_000, account="dy-1", shop_id="shop-2")
    look(office)
    assert standing(office) == [] and office.events("self_operated.proposed") == []


@pytest.mark.parametrize(("minutes", "found"), [(59, False), (60, True)])
def test_figures_that_come_after_the_look_are_looked_at_the_same_day(office: Office, minutes: int, found: bool) -> None:
    """BND-11"""
    office.open_shop()
    month(office, account="dy-1")
    month(office, account="dy-2", but=(1,))
    look(office)
    report(office, sales_of(today(office) - timedelta(days=1), 60_000, account="dy-2"))
    office.clock.advance(timedelta(minutes=minutes))
    look(office)
    assert (("shop-1", "dy-2") in standing(office)) is found
    told = [
        [one["target_account_id"] for one in event["accounts"]] for event in office.events("self_operated.proposed")
    ]
    assert told == ([["dy-1"], ["dy-2"]] if found else [["dy-1"]])


def test_it_begins_at_the_hour_of_the_policy(office: Office) -> None:
    office.open_shop()
    month(office)
    nine = datetime.combine(today(office) + timedelta(days=1), datetime.min.time(), tzinfo=SHANGHAI) + timedelta(
        hours=9
    )
    office.clock.at = nine - timedelta(seconds=1)
    assert look(office) == 0
    with reading() as tx:
        assert tx.exec(select(SelfOperatedCheck)).all() == []
    office.clock.at = nine
    look(office)
    with reading() as tx:
        assert len(tx.exec(select(SelfOperatedCheck)).all()) == 1


@pytest.mark.both
def test_killed_between_two_chunks_it_goes_on_where_it_was(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 6):
        office.open_shop(f"shop-{number}")
        month(office, account=f"dy-{number}", shop_id=f"shop-{number}")
    monkeypatch.setattr(watch, "SHOPS_AT_ONCE", 2)
    assert in_transaction(watch._chunk) == 2
    assert look(office) == 3
    assert [shop for shop, _ in standing(office)] == [f"shop-{number}" for number in range(1, 6)]
    assert len(office.events("self_operated.proposed")) == 5


def test_a_proposed_account_is_bound_only_after_its_talent_agrees(office: Office) -> None:
    """BND-10, BND-11"""
    office.open_shop()
    month(office)
    look(office)
    (case,) = mark(office)
    assert office.case(case.id).state is CaseState.AWAITING_CONSENT
    assert shop_accounts("shop-1").accounts == ()


def test_every_account_in_force_is_listed_for_whoever_adds_up(office: Office) -> None:
    """BND-15"""
    from tests.accounts import bound, channel

    office.open_shop()
    bound(office)
    channel(office)
    self_operated(office)
    assert {one.kind for one in shop_accounts("shop-1").accounts} == {"OFFICIAL", "CHANNEL", "SELF_OPERATED"}
