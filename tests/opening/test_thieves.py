"""Applicants who cheat, and banks and platforms that make mistakes about them: what neither gets past (OPN, REO)."""

from __future__ import annotations

import inspect
from datetime import timedelta
from functools import partial

import pytest
from sqlmodel import select

from models.messages import InboxMessage, InboxState
from models.opening import OpeningPart, OpeningTransfer, TransferState
from office.base.db import reading
from office.cases import cases, routing
from policies import opening as policy_of_opening
from tasks.bindings import channel
from tasks.opening import transfer, tries
from tests.opening.bench import (
    IDENTITY,
    LICENCE,
    PRODUCTS,
    Applicant,
    amount,
    bank,
    enter,
    enterprise,
    opened,
    right,
    wrong,
)
from tests.opening.test_transfer import proved, state
from tests.play import START, Office
from tests.together import at_once

# ── the random transfer ──────────────────────────────────────────────────────


@pytest.mark.both
def test_of_many_amounts_tried_at_once_three_count(office: Office) -> None:
    """OPN-10: under lock; the right one among them, tried after the third, opens nothing."""
    applicant = enterprise(office)
    bank(applicant)
    for by in range(1, 7):
        office.receive("opening.amount_entered", applicant.own() | {"amount": wrong(applicant, by=by)})
    with reading() as tx:
        waiting = list(tx.exec(select(InboxMessage.id).where(InboxMessage.state == InboxState.NEW)))
    at_once(partial(routing._route, number or 0, routing.handle) for number in waiting)
    office.settle()
    with reading() as tx:
        assert [row.tries for row in tries.of_case(tx, applicant.case.id)] == [3, 0]
    assert state(applicant) is TransferState.WRONG
    enter(applicant, right(applicant))
    assert state(applicant, 2) is TransferState.SENT


@pytest.mark.parametrize("compares", [transfer.entered, channel.entered])
def test_comparing_what_is_secret_tells_nothing_by_time(compares: object) -> None:
    """OPN-10, BND-7: no other comparison with what is sealed."""
    said = inspect.getsource(compares)  # type: ignore[arg-type]
    assert said.count("hmac.compare_digest(") == 1 and said.count("amount_of(") + said.count("opened(") == 1


def test_the_amount_after_a_used_up_one_is_another(office: Office) -> None:
    """OPN-10: never the same twice running, whatever is drawn."""
    transfer.use_chance(lambda _: 0)
    try:
        applicant = enterprise(office)
        bank(applicant)
        for by in (1, 2, 3):
            enter(applicant, wrong(applicant, by=by))
        assert (amount(applicant), amount(applicant, 2)) == (1, 2)
    finally:
        transfer.use_chance(None)


@pytest.mark.parametrize("same", ["account", "payee"])
def test_wrong_amounts_count_for_a_year_to_the_second(office: Office, same: str) -> None:
    """OPN-10, ambiguity 44: of the merchant's account, whatever bank account; of the bank account, whoever gave it."""
    applicant = enterprise(office)
    bank(applicant)
    for by in (1, 2):
        enter(applicant, wrong(applicant, by=by))
    with reading() as tx:
        row = tx.exec(select(OpeningTransfer)).one()
        case = cases.get(tx, applicant.case.id)
        counted = row.account_hash if same == "payee" else "another bank account"
        account = case.request["account_id"] if same == "account" else "acct-other"
        tx.expunge_all()
    case.request = case.request | {"account_id": account}
    for seconds, wrongs in ((-1, 2), (0, 2), (1, 0)):
        office.clock.at = row.sent_at + timedelta(days=365, seconds=seconds)
        with reading() as tx:
            assert tries.wrong_before(tx, case, counted) == wrongs, seconds


def test_an_amount_entered_before_the_bank_has_reported_counts_and_its_late_report_changes_nothing(
    office: Office,
) -> None:
    """OPN-10, ambiguity 44: from when the bank is told; the report comes after, twice, and then the money comes back."""
    applicant = enterprise(office)
    enter(applicant, right(applicant))
    assert state(applicant) is TransferState.VERIFIED
    for what in ("settled", "settled", "returned"):
        bank(applicant, what=what)
        assert state(applicant) is TransferState.VERIFIED
    assert applicant.stage == "FINISHING" and proved(office) == []


def test_an_amount_that_arrives_with_the_withdrawal_verifies_nothing(office: Office) -> None:
    """OPN-2, OPN-10: the application is over, whichever of the two was read first by a worker that had not looked yet."""
    applicant = enterprise(office)
    bank(applicant)
    office.receive("opening.withdrawn", applicant.own())
    office.receive("opening.amount_entered", applicant.own() | {"amount": right(applicant)})
    office.settle()
    assert applicant.now.outcome == "WITHDRAWN"
    transfer.sweep()
    assert proved(office) == []


# ── who somebody is ──────────────────────────────────────────────────────────


def test_an_identity_number_written_otherwise_is_the_same_number(office: Office) -> None:
    """REO-5, OPN-8: hyphens and brackets make nobody another person."""
    opened(office)
    case = office.propose_forced_closure()
    office.decide(case, "li-na", "CONFIRM")
    office.decide(case, "he-qiang", "CONFIRM")
    other = Applicant(office, shop_id="shop-2", owner="acct-other")
    other.basics("清风文具")
    other.entity_info(identity_no="330226-1990(0101)1234")
    other.papers(IDENTITY, PRODUCTS)
    other.training()
    outcome = office.answer(office.question(other.case), "tang-yu", "APPROVE", "同意")
    assert not outcome.accepted and "REO-5" in outcome.sentence


def test_a_banned_business_does_not_come_back_by_another_person(office: Office) -> None:
    """REO-5: known by its credit code."""
    office.open_shop()
    case = office.propose_forced_closure()
    office.decide(case, "li-na", "CONFIRM")
    office.decide(case, "he-qiang", "CONFIRM")
    other = Applicant(office, "ENTERPRISE", "shop-2", owner="acct-other")
    other.basics("清风文具")
    other.entity_info(legal_person="王明", identity_no="110101199001011234", licence_name="另起炉灶有限公司")
    other.papers(LICENCE, IDENTITY, PRODUCTS)
    other.training()
    outcome = office.answer(office.question(other.case), "tang-yu", "APPROVE", "同意")
    assert not outcome.accepted and "REO-5" in outcome.sentence


@pytest.mark.parametrize(("days", "over"), [(-1, True), (0, False), (1, False)])
def test_a_licence_is_good_to_its_last_day(days: int, over: bool) -> None:
    """OPN-7"""
    from models.shops import EntityType
    from policies.policy import SHANGHAI

    until = START.astimezone(SHANGHAI).date() + timedelta(days=days)
    found = policy_of_opening.entity_findings(
        EntityType.ENTERPRISE,
        "宁波晨光文具有限公司",
        "91330226MA2AB1C2D8",
        until,
        name_taken=False,
        banned=False,
        same_business=0,
        now=START.astimezone(SHANGHAI).replace(hour=23, minute=59, second=59),
    )
    assert ("licence_over" in {one.code for one in found}) is over


# ── applications again and again ─────────────────────────────────────────────


def test_the_last_application_is_the_one_that_is_taken_up_again(office: Office) -> None:
    """OPN-2: the first lapsed, the second was withdrawn; what was brought for the second is here."""
    applicant = Applicant(office)
    applicant.basics()
    office.pass_time(days=31)
    assert applicant.now.outcome == "LAPSED"
    applicant.apply()
    applicant.entity_info()
    applicant.papers(IDENTITY, PRODUCTS)
    applicant.send("opening.withdrawn")
    assert applicant.now.outcome == "WITHDRAWN"
    applicant.apply()
    assert applicant.missing() == ["TRAINING"]


def test_everything_sent_twice_and_too_late_changes_nothing(office: Office) -> None:
    """OPN-2 … OPN-6: what a step does not take is refused with the clause, and nothing that was reviewed moves."""
    applicant = Applicant(office)
    for _ in range(2):
        applicant.materials()
    applicant.approve()
    before = [(part.part, part.sha256) for part in _parts(applicant)]
    refused = len(office.refusals())
    applicant.basics("另一个名字")
    applicant.entity_info(legal_person="王明")
    applicant.papers(LICENCE)
    applicant.training()
    applicant.account_given()
    enter(applicant, "0.37")
    assert [clause for clause, _ in office.refusals()[refused:]] == [
        "OPN-3",
        "OPN-8",
        "OPN-4",
        "OPN-5",
        "OPN-10",
        "OPN-10",
    ]
    assert [(part.part, part.sha256) for part in _parts(applicant)] == before


def _parts(applicant: Applicant) -> list[OpeningPart]:
    from tasks.opening import parts

    with reading() as tx:
        found = list(parts.of_case(tx, applicant.case.id).values())
        tx.expunge_all()
        return found  # type: ignore[return-value]


def test_nobody_but_the_applicant_sends_anything_about_an_application(office: Office) -> None:
    """OPN-2, OPN-10: not the owner of another shop, nor under another shop's number."""
    applicant = enterprise(office)
    bank(applicant)
    said = right(applicant)
    for changes in ({"account_id": "acct-shop-9"}, {"case_id": "OPN-000000-NOBODY"}):
        office.send("opening.amount_entered", applicant.own() | {"amount": said} | changes)
        office.send("opening.withdrawn", applicant.own() | changes)
    office.send(
        "opening.account_submitted",
        applicant.own()
        | {
            "shop_id": "shop-9",
            "payee": {
                "method": "CORPORATE_ACCOUNT",
                "name": "宁波晨光文具有限公司",
                "account_no": "3301040160000129999",
                "bank_name": "x",
            },
        },
    )
    assert state(applicant) is TransferState.ARRIVED and applicant.now.outcome is None
    assert len(office.refusals()) == 5
