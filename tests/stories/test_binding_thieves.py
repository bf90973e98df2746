"""Shops, accounts and talents that cheat or change their minds at the wrong moment: what the register never holds (BND)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from models.bindings import BindingKind
from models.cases import CaseState
from office.base.db import Tx, in_transaction
from office.cases import routing
from tasks.bindings import steps
from tasks.bindings.intake import CODE
from tasks.sight.accounts import shop_accounts
from tests import accounts
from tests.accounts import answered, channel, consent, enter, mark, month, report, row, sales_of, self_operated, today
from tests.deaths import Died, mortal
from tests.play import Office
from tests.together import at_once


@pytest.mark.both
def test_a_sixth_channel_raced_against_one_that_leaves_never_makes_six(office: Office) -> None:
    """BND-5, BND-8: two finish while a fifth is let go; whoever is first, five places hold no more than five."""
    office.open_shop()
    for number in range(5):
        channel(office, f"tt-{number}")
    office.clock.advance(timedelta(days=181))
    accounts.unbind_channel(office, "tt-0")
    two = [accounts.ask_channel(office, f"tt-{name}") for name in "ab"]
    for case in two:
        answered(case, CODE)
    acts: list[Any] = [lambda one=case: steps.bind(one.id) for case in two]
    acts.append(
        lambda: (
            office.receive(
                "account.unbind_requested",
                {
                    "shop_id": "shop-1",
                    "account_id": "acct-shop-1",
                    "kind": "CHANNEL",
                    "platform": "DOUYIN",
                    "target_account_id": "tt-1",
                },
            )
            and None
        )
    )
    raised = at_once(acts)
    office.settle()
    assert raised == []
    outcomes = sorted(str(office.case(case.id).outcome) for case in two)
    assert outcomes in (["BOUND", "BOUND"], ["BOUND", "REFUSED"])
    assert len(shop_accounts("shop-1").accounts) == 3 + outcomes.count("BOUND") <= 5


@pytest.mark.parametrize("first", ["account.consent_answered", "account.consent_withdrawn"])
def test_a_consent_and_its_withdrawal_bind_nothing_in_whatever_order_they_come(office: Office, first: str) -> None:
    """BND-10, BND-14"""
    office.open_shop()
    month(office)
    (case,) = mark(office)
    said = {
        "account.consent_answered": {"case_id": case.id, "target_account_id": "dy-8", "agrees": True},
        "account.consent_withdrawn": {"target_account_id": "dy-8"},
    }
    for type_ in sorted(said, key=lambda one: one != first):
        for _ in range(2):
            office.receive(type_, said[type_])
    office.settle()
    assert office.case(case.id).outcome is CaseState.DECLINED and row(case).bound_at is None
    assert office.events("account.bound") == []


@pytest.mark.parametrize(
    "comes", ["consent withdrawn", "shop closes", "sales corrected", "other shop", "marking withdrawn"]
)
def test_what_comes_between_the_talents_yes_and_the_act_counts(office: Office, comes: str) -> None:
    """BND-9, BND-10, BND-12, BND-14: the worker that was to bind it has died."""
    office.open_shop()
    month(office)
    (case,) = mark(office)
    with mortal(lambda when, key: when == "before" and "bindings.bind" in key), pytest.raises(Died):
        consent(office, case)
    if comes == "consent withdrawn":
        office.receive("account.consent_withdrawn", {"target_account_id": "dy-8"})
    elif comes == "shop closes":
        office.receive("shop.snapshot", {"shop_id": "shop-1", "as_of": office.clock.at.isoformat(), "facts": {}})
        in_transaction(lambda tx: tx.execute(_closing()))
    elif comes == "sales corrected":
        days = [sales_of(today(office) - timedelta(days=n), 50_000) for n in range(1, 31)]
        office.receive("talent.sales", {"as_of": office.clock.at.isoformat(), "days": days})
    elif comes == "other shop":
        in_transaction(lambda tx: _somebody_elses(tx, case.id))
    else:
        office.receive("account.binding_withdrawn", office._from_owner(case))
    office.clock.advance(timedelta(seconds=61))
    office.settle()
    outcome, clause = {
        "consent withdrawn": ("DECLINED", "BND-9"),
        "shop closes": ("REFUSED", "BND-9"),
        "sales corrected": ("REFUSED", "BND-9"),
        "other shop": ("REFUSED", "BND-12"),
        "marking withdrawn": ("WITHDRAWN", "BND-9"),
    }[comes]
    assert (office.case(case.id).outcome, office.case(case.id).outcome_clause) == (outcome, clause)
    assert row(case).bound_at is None and office.events("account.bound") == []


def _closing() -> Any:
    from sqlalchemy import update

    from models.shops import Shop, ShopState

    return update(Shop).values(state=ShopState.CLEARING)


def _somebody_elses(tx: Tx, case_id: str) -> None:
    """Another binding of the same account is in force by now."""
    from models.bindings import Binding
    from models.cases import Case

    mine = tx.get_one(Case, case_id)
    other = mine.model_copy(update={"id": "BND-000000-OTHER", "origin": "other", "run_id": None})
    tx.add(Case(**other.model_dump()))
    tx.flush()
    tx.add(
        Binding(
            case_id=other.id,
            shop_id="shop-1",
            kind=BindingKind.SELF_OPERATED,
            platform="DOUYIN",
            account_id="dy-8",
            bound_at=tx.now,
        )
    )


def test_a_consent_that_is_taken_back_at_the_very_moment_of_the_act_binds_nothing(office: Office) -> None:
    """BND-10, BND-14: the act reads it itself, whatever its run had read before."""
    office.open_shop()
    month(office)
    (case,) = mark(office)
    with mortal(lambda when, key: when == "before" and "bindings.bind" in key), pytest.raises(Died):
        consent(office, case)
    office.receive("account.consent_withdrawn", {"target_account_id": "dy-8"})
    routing.route_due()
    steps.bind(case.id)
    assert office.case(case.id).outcome is CaseState.DECLINED and row(case).bound_at is None


@pytest.mark.parametrize(("seconds", "asked"), [(-1, False), (0, True), (1, True)])
def test_a_talent_who_took_the_consent_back_is_left_alone_for_a_week(office: Office, seconds: int, asked: bool) -> None:
    """BND-10: by that shop; another shop may ask at once."""
    office.open_shop()
    case = self_operated(office)
    accounts.withdraw_consent(office)
    ended = row(case).ended_at
    assert ended is not None
    office.clock.at = ended + timedelta(days=7, seconds=seconds)
    month(office)
    (again,) = mark(office)
    assert office.case(again.id).state is (CaseState.AWAITING_CONSENT if asked else CaseState.REFUSED)
    if not asked:
        assert office.case(again.id).outcome_clause == "BND-10"


def test_an_account_that_is_named_twice_in_a_batch_and_lines_nobody_can_read_come_back_by_position(
    office: Office,
) -> None:
    """BND-13: every other line has its case."""
    office.open_shop()
    office.send(
        "accounts.marking_requested",
        {
            "shop_id": "shop-1",
            "account_id": "acct-shop-1",
            "accounts": [
                {"target_account_id": "dy-1"},
                {"target_account_id": "dy-1"},
                7,
                {"target_account_id": "x" * 65},
                {},
                {"target_account_id": "dy-2", "target_name": "<b>小晨</b>"},
                {"target_account_id": "dy-3", "colour": "red"},
            ],
        },
    )
    (told,) = office.events("accounts.marking.received")
    assert [one["target_account_id"] for one in told["cases"]] == ["dy-1", "dy-2"]
    assert sorted(line["position"] for line in told["rejected"]) == [2, 3, 4, 5, 7]
    assert all(line["reason"] for line in told["rejected"])


@pytest.mark.parametrize("many", [100, 101])
def test_a_batch_has_a_hundred_accounts_at_most(office: Office, many: int) -> None:
    """BND-13"""
    from pydantic import ValidationError

    from models.talent_events import MarkingRequested

    batch = {"shop_id": "s", "account_id": "a", "accounts": [{"target_account_id": f"dy-{n}"} for n in range(many)]}
    if many == 100:
        assert len(MarkingRequested.model_validate(batch).accounts) == many
    else:
        with pytest.raises(ValidationError):
            MarkingRequested.model_validate(batch)


def test_sales_of_odd_types_are_a_missing_day_and_never_a_share(office: Office) -> None:
    """BND-9, ambiguity 50"""
    office.open_shop()
    month(office, but=(3,))
    day = sales_of(today(office) - timedelta(days=3), 1)
    odd: list[object] = [60_000.0, "60000", True, -1, 10**13 + 1, None]
    report(office, *(day | {"shops": [{"shop_id": "shop-1", "fen": fen}]} for fen in odd))
    told = office.events("figures.rejected")[-1]["rejected"]
    assert [line["position"] for line in told] == list(range(1, len(odd) + 1))
    (case,) = mark(office)
    assert office.case(case.id).state is CaseState.AWAITING_FIGURES


def test_a_code_is_nobodys_any_more_once_the_wish_was_taken_back(office: Office) -> None:
    """BND-7: the withdrawal and the right code arrive together."""
    office.open_shop()
    case = accounts.ask_channel(office)
    office.receive("account.binding_withdrawn", office._from_owner(case))
    office.receive("account.code_entered", office._from_owner(case) | {"code": accounts.codes(office, case)[0]})
    office.settle()
    assert office.case(case.id).outcome is CaseState.WITHDRAWN and row(case).bound_at is None
    enter(office, case)
    assert "已办结" in office.refusals()[-1][1]
