"""An official account: link, scan, acceptance, the shop's word, and then for ever (BND-1 to BND-4)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from models.cases import CaseKind, CaseState
from office.base.db import in_transaction
from policies.bindings import FOR_EVER
from tasks.bindings.intake import CONFIRM, SCAN
from tasks.sight.accounts import shop_accounts
from tests.accounts import answer, ask, ask_channel, bound, confirm, row, scan, ticket, unbind
from tests.opening.bench import Applicant
from tests.play import SILENCE, Office

# ── the handshake ────────────────────────────────────────────────────────────


def test_link_scan_acceptance_and_the_shops_word_bind_an_official_account(office: Office) -> None:
    """BND-1, BND-2"""
    office.open_shop()
    case = ask(office)
    assert office.case(case.id).state is CaseState.PENDING_SCAN
    (issued,) = office.events("account.ticket.issued")
    assert issued["link"].endswith(f"/accounts/tickets/{issued['ticket']}") and issued["qr_svg"].startswith("<svg")
    scan(office, case)
    assert office.case(case.id).state is CaseState.PENDING_SCAN
    answer(office, case)
    assert office.case(case.id).state is CaseState.ACCOUNT_ACCEPTED
    assert row(case).bound_at is None
    confirm(office, case)
    assert office.case(case.id).outcome is CaseState.BOUND
    assert office.told(case) == ["official_link_issued", "official_accepted", "account_bound"]
    (event,) = office.events("account.bound")
    assert (event["target_account_id"], event["for_ever"], event["unbind_from"]) == ("dy-1", True, None)
    assert [(one.account_id, one.for_ever) for one in shop_accounts("shop-1").accounts] == [("dy-1", True)]
    assert office.books() == [] == office.chains()


def test_nothing_is_bound_before_the_warning_was_read(office: Office) -> None:
    """BND-3"""
    office.open_shop()
    case = ask(office)
    scan(office, case)
    answer(office, case)
    assert office.message("official_accepted")["warning"] == FOR_EVER
    confirm(office, case, knows=False)
    assert office.refusals()[-1][0] == "BND-3" and row(case).bound_at is None
    confirm(office, case)
    assert row(case).bound_at is not None


def test_the_shop_confirms_only_the_account_that_has_accepted(office: Office) -> None:
    """BND-2"""
    office.open_shop()
    case = ask(office)
    scan(office, case)
    confirm(office, case)
    assert "没有需要店铺确认" in office.refusals()[-1][1]
    answer(office, case)
    confirm(office, case, "dy-2")
    assert "不一致" in office.refusals()[-1][1]
    assert office.case(case.id).state is CaseState.ACCOUNT_ACCEPTED


def test_who_scans_first_is_the_one(office: Office) -> None:
    office.open_shop()
    case = ask(office)
    scan(office, case, "dy-1")
    scan(office, case, "dy-2")
    answer(office, case, "dy-2")
    assert [clause for clause, _ in office.refusals()] == ["BND-2", "BND-2"]
    assert len(office.events("account.scan.recorded")) == 1
    answer(office, case, "dy-1")
    assert row(case).account_id == "dy-1"


def test_an_acceptance_that_overtakes_its_scan_counts_and_the_name_comes_after(office: Office) -> None:
    office.open_shop()
    case = ask(office)
    answer(office, case)
    scan(office, case, name="晨光官方号")
    assert office.refusals() == [] and row(case).account_name == "晨光官方号"
    assert office.case(case.id).state is CaseState.ACCOUNT_ACCEPTED


def test_every_event_twice_changes_nothing(office: Office) -> None:
    office.open_shop()
    case = ask(office)
    for _ in range(2):
        office.send("account.scanned", {"ticket": ticket(office, case), "target_account_id": "dy-1"}, "scan-1")
    for _ in range(2):
        office.send(
            "account.answered", {"ticket": ticket(office, case), "target_account_id": "dy-1", "accepts": True}, "yes-1"
        )
    confirmed = office._from_owner(case) | {"target_account_id": "dy-1", "knows_for_ever": True}
    for _ in range(2):
        office.send("account.official_confirmed", confirmed, "sure-1")
    confirm(office, case)  # another message that says the same
    assert len(office.events("account.bound")) == 1 and office.told(case).count("account_bound") == 1
    assert "已办结" in office.refusals()[-1][1]


@pytest.mark.parametrize("ends", ["declined", "withdrawn", "silent-account", "silent-shop"])
def test_without_everybodys_word_nothing_is_bound_and_the_merchant_is_told(office: Office, ends: str) -> None:
    office.open_shop()
    case = ask(office)
    if ends == "declined":
        answer(office, case, accepts=False)
    elif ends == "withdrawn":
        answer(office, case)
        office.send("account.binding_withdrawn", office._from_owner(case))
        confirm(office, case)
    elif ends == "silent-account":
        office.clock.at = office.deadline(case, SCAN).due_at + SILENCE
        office.sweep()
    else:
        answer(office, case)
        office.clock.at = office.deadline(case, CONFIRM).due_at + SILENCE
        office.sweep()
    outcome = {"declined": "DECLINED", "withdrawn": "WITHDRAWN"}.get(ends, "LAPSED")
    assert office.case(case.id).outcome == outcome
    assert office.message("binding_ended")["objection"]
    assert row(case).bound_at is None and office.events("account.bound") == []
    again = bound(office)
    assert again.outcome is CaseState.BOUND


@pytest.mark.parametrize(("seconds", "counts"), [(-1, True), (0, True), (1, False)])
def test_the_link_is_good_to_its_last_second(office: Office, seconds: int, counts: bool) -> None:
    """BND-2"""
    office.open_shop()
    case = ask(office)
    due = office.deadline(case, SCAN).due_at
    assert due - office.case(case.id).opened_at == timedelta(minutes=30)
    data = {"ticket": ticket(office, case), "target_account_id": "dy-1", "accepts": True}
    office.clock.at = due + timedelta(seconds=seconds)
    office.receive("account.answered", data)
    office.clock.advance(timedelta(hours=1))  # we were down
    office.sweep()
    assert office.case(case.id).state is (CaseState.ACCOUNT_ACCEPTED if counts else CaseState.LAPSED)


@pytest.mark.parametrize(("seconds", "counts"), [(-1, True), (0, True), (1, False)])
def test_the_shop_confirms_to_the_last_second_of_its_day(office: Office, seconds: int, counts: bool) -> None:
    """BND-2"""
    office.open_shop()
    case = ask(office)
    scan(office, case)
    answer(office, case)
    office.clock.at = office.deadline(case, CONFIRM).due_at + timedelta(seconds=seconds)
    confirm(office, case)
    assert (office.case(case.id).outcome is CaseState.BOUND) is counts


def test_a_made_up_link_and_one_that_is_over_open_nothing(office: Office) -> None:
    office.open_shop()
    case = bound(office)
    answer(office, case, "dy-2")
    office.send("account.scanned", {"ticket": "A" * 32, "target_account_id": "dy-2"})
    assert [clause for clause, _ in office.refusals()] == ["BND-2", "BND-2"]


def test_only_the_owner_asks_and_only_for_a_shop_that_stays(office: Office) -> None:
    office.open_shop()
    stranger = ask(office, account_id="acct-9")
    assert office.case(stranger.id).outcome is CaseState.REFUSED
    office.closed_shop("shop-2")
    gone = ask(office, "shop-2")
    assert (office.case(gone.id).outcome, office.case(gone.id).outcome_clause) == ("REFUSED", "BND-1")


def test_a_shop_that_is_being_opened_binds_its_official_account_and_no_other(office: Office) -> None:
    """BND-4, OPN-17"""
    Applicant(office, "ENTERPRISE")
    assert office.shop().official_account is False
    assert bound(office).outcome is CaseState.BOUND
    assert office.shop().official_account is True
    assert office.case(ask_channel(office).id).outcome is CaseState.REFUSED


def test_a_second_wish_while_one_is_open_names_the_first(office: Office) -> None:
    office.open_shop()
    first = ask(office)
    second = ask(office)
    assert office.case(second.id).outcome is CaseState.REFUSED
    assert first.id in (office.case(second.id).outcome_text or "")


def test_a_shop_that_begins_to_close_meanwhile_gets_no_account_and_is_not_held_up(office: Office) -> None:
    office.open_shop()
    case = ask(office)
    answer(office, case)
    closing = office.request_closure()
    office.decide(closing, "li-na", "APPROVE")
    office.snapshot()
    assert office.case(closing.id).outcome == "CLOSED"
    confirm(office, case)
    assert office.case(case.id).outcome is CaseState.REFUSED and row(case).bound_at is None


# ── once, and for ever ───────────────────────────────────────────────────────


def test_one_account_for_a_shop_and_one_shop_for_an_account(office: Office) -> None:
    """BND-1"""
    office.open_shop()
    bound(office)
    second = ask(office)
    assert (office.case(second.id).outcome, office.case(second.id).outcome_clause) == ("REFUSED", "BND-1")
    office.open_shop("shop-2")
    other = ask(office, "shop-2")
    scan(office, other, "dy-1")
    assert office.refusals()[-1] == ("BND-1", "该抖音号已是其他店铺的官方账号,不能再次绑定。")
    assert row(other).account_id is None
    scan(office, other, "dy-2")


@pytest.mark.both
def test_of_two_shops_that_confirm_the_same_account_one_gets_it(office: Office) -> None:
    """BND-1"""
    office.open_shop()
    office.open_shop("shop-2")
    one, two = ask(office), ask(office, "shop-2")
    for case in (one, two):
        scan(office, case)
        answer(office, case)
    confirm(office, two)
    confirm(office, one)
    assert (office.case(two.id).outcome, office.case(one.id).outcome) == ("BOUND", "REFUSED")
    assert office.message("binding_refused")["grounds"][0]["clause"] == "BND-1"


def test_no_unbinding_whatever_arrives(office: Office) -> None:
    """BND-3"""
    office.open_shop()
    case = bound(office)
    office.pass_time(days=2000)
    unbind(office)
    office.send("shop.updated", {"shop_id": "shop-1", "official_account": False})
    office.send("account.binding_withdrawn", office._from_owner(case))
    assert [clause for clause, _ in office.refusals()] == ["BND-3", "BND-3", "BND-2"]
    told = office.message("unbinding_refused")
    assert told["grounds"] == [{"clause": "BND-3", "sentence": FOR_EVER}] and told["objection"]
    assert row(case).ended_at is None and office.shop().official_account is True
    with pytest.raises(IntegrityError):
        in_transaction(lambda tx: tx.execute(text("UPDATE binding SET ended_at = bound_at")))
    closing = office.request_closure()
    office.decide(closing, "li-na", "APPROVE")
    office.snapshot()
    assert office.case(closing.id).outcome == "CLOSED" and row(case).ended_at is None


def test_the_certification_fee_is_waived_once_and_a_demand_for_it_ends(office: Office) -> None:
    """BND-4"""
    office.open_shop(official_account=False)
    (demand,) = [case for case in office.cases() if case.kind is CaseKind.DEPOSIT_DEMAND]
    assert office.message("deposit_topup_demanded")["fee_fen"] == 600_00
    bound(office)
    assert office.case(demand.id).outcome == "PAID"
    assert office.message("account_bound")["waived_fen"] == 600_00
    assert office.trail("shop/shop-1").count("certification.waived") == 1
    office.pass_time(days=400)
    assert [event["certification_fee_fen"] for event in office.events("deposit.topup_demanded")] == [600_00]


@pytest.mark.both
def test_the_database_itself_refuses_a_second_official_account(office: Office) -> None:
    office.open_shop()
    office.open_shop("shop-2")
    bound(office)
    waiting = ask(office, "shop-2")
    with pytest.raises(IntegrityError):
        in_transaction(
            lambda tx: tx.execute(
                text(
                    "UPDATE binding SET account_id = 'dy-1', bound_at = opened_at FROM \"case\" WHERE case_id = id AND case_id = :id"
                ),
                {"id": waiting.id},
            )
        )


def test_the_link_stands_in_no_row_in_the_clear(office: Office) -> None:
    office.open_shop()
    case = ask(office)
    secret = ticket(office, case)
    assert row(case).ticket_hash not in {secret, None}
    assert secret not in str(office.case(case.id).model_dump())
