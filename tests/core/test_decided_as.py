"""Nothing is done that the people of this very case have not decided so, whatever else SQL has a run read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from models.books import AccountKind
from models.cases import Case
from office.base.db import in_transaction, reading
from office.cases import approvals, retrying
from office.record.decision_seals import DecisionForged
from policies.approvals import Seen
from tasks.refund import steps
from tests.core.sql import write
from tests.play import Office

BIG = 2_000_000


@contextmanager
def asleep(office: Office, case: Case) -> Iterator[None]:
    """The case does not go on meanwhile, as when the engine is down."""
    office.engine.signal = lambda case_id: None  # type: ignore[method-assign]
    yield
    del office.engine.signal
    office.carrier.signal(case.id)
    office.settle()


def read_instead(case: Case, gate: str, review_id: str) -> None:
    """Have the case's run take somebody else's question for its own."""
    result = json.dumps(review_id)
    write("UPDATE effect SET result = :r WHERE key LIKE :k", r=result, k=f"{case.id}/waiting._open_review/{gate}/%")


def of_gate(office: Office, case: Case, gate: str) -> str:
    return next(review.id for review in office.reviews(case) if review.gate == gate)


def ordered(office: Office, case: Case) -> list[int]:
    return [order["amount_fen"] for order in office.events("deposit.payout.requested") if order["case_id"] == case.id]


def test_a_refusal_is_not_paid_because_another_case_was_approved(office: Office) -> None:
    office.closed_shop("shop-1")
    approved = office.request_refund("shop-1")
    office.decide(approved, "wang-fang", "APPROVE")
    office.closed_shop("shop-2")
    case = office.request_refund("shop-2")
    with asleep(office, case):
        office.decide(case, "wang-fang", "REJECT", "材料系伪造,不同意")
        read_instead(case, "refund-review", of_gate(office, approved, "refund-review"))
    assert office.case(case.id).outcome == "REJECTED"
    assert ordered(office, case) == []


def test_a_second_persons_refusal_is_not_paid_because_they_confirmed_another(office: Office) -> None:
    refunds = []
    for shop in ("shop-1", "shop-2"):
        office.closed_shop(shop, deposit_fen=BIG)
        refunds.append(office.request_refund(shop, fen=BIG))
        office.decide(refunds[-1], "wang-fang", "APPROVE")
    approved, case = refunds
    office.decide(approved, "chen-jie", "CONFIRM")
    with asleep(office, case):
        office.decide(case, "chen-jie", "REJECT", "不同意")
        read_instead(case, "refund-second", of_gate(office, approved, "refund-second"))
    assert office.case(case.id).outcome == "REJECTED"
    assert ordered(office, case) == []


@pytest.mark.parametrize(
    ("second", "other", "outcome"), [("DROP", "CONFIRM", "DROPPED"), ("CONFIRM", "DROP", "FORCED_CLOSED")]
)
def test_a_ban_is_what_its_own_two_people_decided(office: Office, second: str, other: str, outcome: str) -> None:
    bans = []
    for shop in ("shop-1", "shop-2"):
        office.open_shop(shop)
        bans.append(office.propose_forced_closure(shop, proposal_id=f"prop-{shop}"))
        office.decide(bans[-1], "li-na", "CONFIRM")
    first, case = bans
    office.decide(first, "he-qiang", other, "另一案的意见")
    with asleep(office, case):
        office.decide(case, "he-qiang", second, "证据已核对")
        read_instead(case, "forced-second", of_gate(office, first, "forced-second"))
    assert office.case(case.id).outcome == outcome
    assert (office.balance(AccountKind.DEPOSIT, "shop-2") == 0) is (outcome == "FORCED_CLOSED")


def test_an_act_that_somebody_said_no_to_is_not_done_and_the_case_stops_and_the_supervisor_hears(
    office: Office,
) -> None:
    office.closed_shop(deposit_fen=BIG)
    case = office.request_refund(fen=BIG)
    office.decide(case, "wang-fang", "APPROVE")
    with asleep(office, case):
        office.decide(case, "chen-jie", "REJECT", "不同意")
        for _ in range(2):
            with pytest.raises(DecisionForged, match="REJECT"):
                steps.grant(case.id, 1, 1)
        assert office.case(case.id).halted is not None
        office.settle()
        assert office.staff_told("integrity_broken") == ["supervisor"]
        for who in ("wang-fang", "he-qiang"):  # nobody of another role, and no supervisor's mere name
            code = office.code(who) if who == "wang-fang" else ""
            assert not in_transaction(lambda tx: retrying.retry(tx, case.id, who, code)).accepted  # noqa: B023
        write('UPDATE "case" SET halted = NULL')
    assert ordered(office, case) == [] and office.case(case.id).outcome == "REJECTED"


def test_nobodys_approval_is_none(office: Office) -> None:
    with reading() as tx:
        assert not approvals.stand(tx, [], Seen())
