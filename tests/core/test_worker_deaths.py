"""Workers that die at every step of both stories: the same end, the same books, every message once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from flows.inline import STORIES
from flows.story import Resting
from models.audit import AuditEntry
from models.books import Transfer
from models.cases import Case, CaseKind, Effect
from models.messages import Channel
from models.reviews import Review, ReviewState
from tasks import proof, reviews
from tasks.db import reading
from tests.deaths import Died, mortal
from tests.play import Office


def until_done(office: Office, act: Callable[[], Any]) -> Any:
    """Do something; when a worker dies over it, time passes until its lease is over and another goes on."""
    try:
        return act()
    except Died:
        return revive(office)


def revive(office: Office) -> None:
    for _ in range(200):
        office.clock.advance(timedelta(seconds=61))
        try:
            office.settle()
        except Died:
            continue
        return
    raise AssertionError("the case never gets on")


def both_stories(office: Office) -> tuple[str, str]:
    """Close a shop over a blocking finding, then return its deposit with one bank return on the way."""
    office.open_shop()
    office.snapshot(open_orders=1)
    until_done(office, lambda: office.send("closure.requested", {
        "shop_id": "shop-1", "account_id": "acct-shop-1", "reason": "STOCK_CLEARED",
    }))  # fmt: skip
    closing = of_kind(CaseKind.CLOSURE)
    decide(office, closing, "li-na", "ASK")
    until_done(office, lambda: office.merchant_answers(closing))
    decide(office, closing, "li-na", "APPROVE")
    decide(office, closing, "he-qiang", "CONFIRM")
    until_done(office, office.snapshot)
    until_done(office, lambda: office.send("refund.requested", {
        "shop_id": "shop-1", "account_id": "acct-shop-1", "amount_fen": 400_000, "documents": [],
        "payee": {"method": "CORPORATE_ACCOUNT", "name": "宁波晨光文具有限公司", "account_no": "3301040160000121234",
                  "bank_name": "中国银行"},
    }))  # fmt: skip
    refund = of_kind(CaseKind.REFUND)
    decide(office, refund, "wang-fang", "APPROVE")
    decide(office, refund, "chen-jie", "CONFIRM")
    until_done(office, lambda: office.bank(f"{refund.id}-P1", "returned"))
    decide(office, refund, "wang-fang", "AGAIN")
    decide(office, refund, "wang-fang", "APPROVE")
    decide(office, refund, "chen-jie", "CONFIRM")
    until_done(office, lambda: office.bank(f"{refund.id}-P2"))
    return closing.id, refund.id


def of_kind(kind: CaseKind) -> Case:
    with reading() as tx:
        case = tx.exec(select(Case).where(Case.kind == kind)).one()
        tx.expunge(case)
        return case


def decide(office: Office, case: Case, staff_id: str, verdict: str) -> None:
    """Decide; a worker dying over what follows takes nothing from the decision."""
    until_done(office, lambda: office.decide(case, staff_id, verdict, "已核对,同意继续"))


def remains(closing: str, refund: str) -> dict[str, Any]:
    """Everything that two tellings of the same stories must have in common, without ids and times."""

    def plain(text: str) -> str:
        return text.replace(closing, "CLS").replace(refund, "REF")

    with reading() as tx:
        numbers = {
            review.id: f"RV{n}" for n, review in enumerate(tx.exec(select(Review).order_by(col(Review.opened_at))))
        }

        def unnumbered(text: str) -> str:
            for review_id, name in numbers.items():
                text = text.replace(review_id, name)
            return plain(text)

        lines = tx.exec(
            select(AuditEntry).where(col(AuditEntry.stream).in_([closing, refund])).order_by(col(AuditEntry.id))
        )
        return {
            "cases": sorted((case.kind, str(case.outcome)) for case in tx.exec(select(Case))),
            "effects": sorted(unnumbered(key) for key in tx.exec(select(Effect.key))),
            "transfers": sorted((plain(row.key), row.amount_fen) for row in tx.exec(select(Transfer))),
            "reviews": sorted((row.gate, row.round, row.state, str(row.verdict)) for row in tx.exec(select(Review))),
            "audit": [(plain(line.stream), line.action) for line in lines],
            "wrong": list(proof.check(tx)),
        }


def sent(office: Office, closing: str, refund: str) -> list[str]:
    names = []
    reviews_of = {
        review.id: f"{review.gate}/{review.round}" for case in (closing, refund) for review in office.reviews(case)
    }
    for row in office.outbox():
        if row.channel is not Channel.RUN:
            key = row.key.replace(closing, "CLS").replace(refund, "REF")
            for review_id, name in reviews_of.items():
                key = key.replace(review_id, name)
            names.append(key)
    return sorted(names)


def told(office: Office) -> tuple[dict[str, Any], list[str]]:
    closing, refund = both_stories(office)
    assert office.chains() == []
    return remains(closing, refund), sent(office, closing, refund)


KNOWN: dict[str, Any] = {}
"""What is left when nobody dies, found once per process."""


def test_told_undisturbed_both_stories_end_well(office: Office) -> None:
    left, messages = told(office)
    assert left["cases"] == [("closure", "CLOSED"), ("refund", "REFUNDED")]
    assert left["wrong"] == []
    assert len(messages) == len(set(messages))
    KNOWN["end"] = (left, messages)


def known(office_factory: Callable[[], Office]) -> tuple[dict[str, Any], list[str]]:
    if "end" not in KNOWN:
        KNOWN["end"] = told(office_factory())
    return KNOWN["end"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_worker_that_dies_once_at_every_single_effect_leaves_what_nobody_dying_leaves(
    new_office: Callable[[], Office], when: str
) -> None:
    left, messages = known(new_office)
    died: set[str] = set()

    def strike(at: str, key: str) -> bool:
        if at != when or key in died:
            return False
        died.add(key)
        return True

    with mortal(strike):
        now_left, now_sent = told(new_office())
    assert len(died) >= 30
    assert now_left == left
    assert now_sent == messages


@pytest.mark.parametrize("step", range(3))
def test_a_worker_that_dies_at_every_seventh_commit_leaves_what_nobody_dying_leaves(
    new_office: Callable[[], Office], step: int
) -> None:
    left, messages = known(new_office)
    count = 0

    def strike(at: str, key: str) -> bool:
        nonlocal count
        count += 1
        return count % 7 == step

    with mortal(strike):
        now_left, now_sent = told(new_office())
    assert now_left == left
    assert now_sent == messages


def test_every_story_told_again_from_the_top_after_every_segment_changes_nothing(
    new_office: Callable[[], Office],
) -> None:
    left, messages = known(new_office)
    office = new_office()
    settle = office.settle

    def twice() -> None:
        settle()
        for case in office.cases():
            if case.concluded_at is None:
                before = (len(office.outbox()), len(office.trail(case.id)))
                for _ in range(2):
                    with suppress(Resting):
                        STORIES[case.kind](case.id)
                assert (len(office.outbox()), len(office.trail(case.id))) == before, case.kind

    office.settle = twice  # type: ignore[method-assign]
    now_left, now_sent = told(office)
    assert now_left == left
    assert now_sent == messages


def test_a_case_that_has_ended_tells_so_and_does_nothing(office: Office) -> None:
    office.closed_shop()
    case = office.latest()
    before = (len(office.outbox()), len(office.trail(case.id)))
    assert STORIES[CaseKind.CLOSURE](case.id).startswith("案件已办结")
    assert (len(office.outbox()), len(office.trail(case.id))) == before


def test_every_event_delivered_twice_is_acted_on_once(new_office: Callable[[], Office]) -> None:
    left, messages = known(new_office)
    office = new_office()
    receive = office.receive

    def twice(type_: str, data: dict[str, Any], message_id: str = "") -> Any:
        named = message_id or f"twice-{next(office._numbers)}"
        receipt = receive(type_, data, named)
        assert receive(type_, data, named) == "SAME"
        return receipt

    office.receive = twice  # type: ignore[method-assign]
    now_left, now_sent = told(office)
    assert now_left == left
    assert now_sent == messages


def test_open_questions_are_none_when_both_stories_are_over(office: Office) -> None:
    both_stories(office)
    with reading() as tx:
        assert reviews.waiting(tx) == []
        assert {review.state for review in tx.exec(select(Review))} == {ReviewState.DECIDED}
