"""Anything that can happen to closures and refunds, in any order, with workers dying between and inside the steps.

Held throughout: books and chains whole, no more money out than came in, one closure and one refund of a shop at a
time, no payout without its used permit, nothing left to a shop closed by force, every message once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlmodel import col, select

from flows.inline import InlineEngine
from models.books import DepositPayment
from models.cases import CaseKind, CaseState
from models.messages import Channel
from models.payouts import Payout, PayoutState, Permit
from models.reviews import Review
from tasks import audit, proof, reviews, staff
from tasks.db import in_transaction, reading
from tasks.outbox import NotYet
from tests.deaths import Died, mortal
from tests.machines import play
from tests.play import PAPERS, PAYEE, PEOPLE, Office

pytestmark = pytest.mark.both

SHOPS = ("shop-1", "shop-2")
ONCE = {
    "closure_received", "closure_refused", "closure_rejected", "closure_withdrawn", "closure_approved_clearing",
    "shop_closed", "forced_closure_decided", "refund_received", "refund_refused", "refund_rejected",
}  # fmt: skip
"""What a merchant is told at most once in a case's life."""


class MortalEngine(InlineEngine):
    """Dies at a chosen effect of the segments to come: just before its commit, so that it is undone, or just after."""

    def __init__(self) -> None:
        super().__init__()
        self.fuse: int | None = None
        self.after = False
        self.deaths = 0

    def signal(self, case_id: str) -> None:
        with mortal(self._burn):
            try:
                super().signal(case_id)
            except Died:
                self.deaths += 1
                raise NotYet("the worker died; another one will come") from None

    def _burn(self, when: str, _key: str) -> bool:
        if self.fuse is None or when != ("after" if self.after else "before"):
            return False
        self.fuse -= 1
        if self.fuse >= 0:
            return False
        self.fuse = None
        return True


def machine(new_office: Callable[..., Office], seen: Counter[str]) -> type[RuleBasedStateMachine]:
    class Back(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.engine = MortalEngine()
            self.office = new_office(self.engine)
            self.stale: list[Review] = []
            self.dismissed: str = ""
            self.office.open_shop("shop-1")
            self.office.closed_shop("shop-2", deposit_fen=1_500_000)
            self.office.request_refund("shop-2", 400_000)

        # ── what can happen ──

        @rule(shop=st.sampled_from(SHOPS), owner=st.integers(0, 5))
        def the_merchant_asks_to_close(self, shop: str, owner: int) -> None:
            self.office.request_closure(shop, **({} if owner else {"account_id": "somebody"}))

        @rule(
            shop=st.sampled_from(SHOPS[::-1]), fen=st.sampled_from([400_000, 1, 700_000, 2_000_000]),
            papers=st.booleans(), name=st.sampled_from([PAYEE["name"], PAYEE["name"], "别的公司"]),
        )  # fmt: skip
        def the_merchant_asks_the_deposit_back(self, shop: str, fen: int, papers: bool, name: str) -> None:
            documents = PAPERS if papers else []
            self.office.request_refund(shop, fen, documents=documents, payee=PAYEE | {"name": name})

        @rule(which=st.integers(0, 9), what=st.sampled_from(["withdraw", "answer", "answer", "payee", "payee"]))
        def the_merchant_says_more(self, which: int, what: str) -> None:
            cases = [case for case in self.office.cases() if case.kind in {CaseKind.CLOSURE, CaseKind.REFUND}]
            if not cases:
                return
            case = cases[which % len(cases)]
            if what == "withdraw":
                self.office.withdraw(case)
            elif what == "answer":
                self.office.merchant_answers(case, "已补充", *PAPERS)
            else:
                self.office.correct_payee(case, account_no="3301040160000125678")

        @rule(shop=st.sampled_from(SHOPS), facts=st.sampled_from([
            {}, {}, {"open_orders": 2}, {"open_orders": 3}, {"arrears_fen": 500}, {"uninvoiced_fen": 1},
        ]))  # fmt: skip
        def the_platform_reports(self, shop: str, facts: dict[str, Any]) -> None:
            self.office.snapshot(shop, **facts)

        @rule(shop=st.sampled_from(SHOPS), fen=st.sampled_from([100, 450_000]))
        def the_deposit_is_drawn_on(self, shop: str, fen: int) -> None:
            self.office.send("deposit.deducted", {
                "shop_id": shop, "deduction_id": f"ded-{self.office.clock.at.timestamp()}", "amount_fen": fen,
                "reason": "LATE_SHIPMENT", "clause": "发货规则", "appealable": True,
            })  # fmt: skip

        @rule(shop=st.sampled_from(SHOPS), fen=st.sampled_from([100, 900_000]))
        def the_merchant_pays(self, shop: str, fen: int) -> None:
            self.office.pay_deposit(shop, fen)

        @rule(shop=st.sampled_from(SHOPS))
        def the_platform_proposes_to_close_by_force(self, shop: str) -> None:
            self.office.send("forced_closure.proposed", {
                "shop_id": shop, "proposal_id": "p", "violation": "售假", "clause": "DED-7", "description": "抽检",
                "proposed_by": "risk-17",
            })  # fmt: skip

        @rule(which=st.integers(0, 3), verdict=st.sampled_from([0, 0, 0, 1, 2]), who=st.integers(0, 3),
              how=st.sampled_from(["right"] * 6 + ["wrong", "stale", "anybody"]))  # fmt: skip
        def somebody_decides(self, which: int, verdict: int, who: int, how: str) -> None:
            open_now = self._questions()
            questions = self.stale if how == "stale" and self.stale else open_now
            if not questions:
                return
            review = questions[which % len(questions)]
            able = [i for i, (_, roles) in PEOPLE.items() if how == "anybody" or {*review.roles} & {*roles}]
            person = able[who % len(able)]
            self._answer(review, person, review.verdicts[verdict % len(review.verdicts)], how, bool(who % 2))

        def _answer(self, review: Review, person: str, verdict: str, how: str, write_off: bool) -> None:
            code = "000000" if how == "wrong" else None
            outcome = self.office.answer(review, person, verdict, "理由充分", code=code, write_off=write_off)
            assert not (outcome.accepted and (how == "wrong" or person == self.dismissed or person in review.excluded))
            seen["decided" if outcome.accepted else f"refused: {how}"] += 1
            self.stale.append(review)

        @precondition(lambda self: self._questions())
        @rule(paying=st.booleans())
        def everybody_agrees(self, paying: bool) -> None:
            for turn in range(4):
                if not (questions := self._questions()):
                    break
                review = questions[turn % len(questions)]
                able = [
                    i for i, (_, roles) in PEOPLE.items() if {*review.roles} & {*roles} and i not in review.excluded
                ]
                self._answer(review, able[turn % len(able)], review.verdicts[0], "right", bool(turn % 2))
            if paying:
                self.the_bank_answers("settled", 0)

        @rule(what=st.sampled_from(["settled", "settled", "failed", "returned"]), which=st.integers(0, 5))
        def the_bank_answers(self, what: str, which: int) -> None:
            payouts = self._rows(select(Payout).order_by(col(Payout.request_no)))
            asked = [row for row in payouts if row.state is PayoutState.REQUESTED] or payouts
            if asked:
                row = asked[which % len(asked)]
                shop = self.office.case(row.case_id).shop_id or ""
                self.office.bank(row.request_no, what, row.amount_fen, shop, reason="户名不符")

        @rule(person=st.sampled_from(["li-na", "wang-fang", "he-qiang", ""]))
        def somebody_is_dismissed_and_another_taken_back(self, person: str) -> None:
            for staff_id, active in ((self.dismissed, True), (person, False)):
                if staff_id:
                    in_transaction(lambda tx, i=staff_id, a=active: staff.set_active(tx, i, a))  # type: ignore[misc]
            self.dismissed = person

        @rule(hours=st.sampled_from([1, 24, 24 * 4, 24 * 8]))
        def time_passes(self, hours: int) -> None:
            self.office.pass_time(hours=hours)
            self._rest()

        @rule(fuse=st.integers(0, 12), after=st.booleans())
        def the_next_worker_dies(self, fuse: int, after: bool) -> None:
            self.engine.fuse, self.engine.after = fuse, after

        # ── what must hold ──

        @invariant()
        def one_of_a_kind_is_under_way_in_a_shop(self) -> None:
            taken_up = Counter(
                (case.shop_id, case.kind) for case in self.office.cases()
                if case.concluded_at is None and case.state is not CaseState.SUBMITTED
            )  # fmt: skip
            assert [key for key, count in taken_up.items() if count > 1] == []

        @invariant()
        def no_more_money_goes_out_than_came_in(self) -> None:
            came_in = sum(row.amount_fen for row in self._rows(select(DepositPayment)))
            payouts = self._rows(select(Payout))
            out = sum(row.amount_fen for row in payouts if row.state in {PayoutState.REQUESTED, PayoutState.SETTLED})
            used = {permit.id for permit in self._rows(select(Permit)) if permit.used_at is not None}
            assert out <= came_in and {row.permit_id for row in payouts} <= used
            assert self.office.books() == []

        @invariant()
        def nobody_is_told_the_same_twice(self) -> None:
            told = Counter(
                (row.case_id, row.topic) for row in self.office.outbox(Channel.MERCHANT) if row.topic in ONCE
            )
            assert [key for key, count in told.items() if count > 1] == []

        def teardown(self) -> None:
            self.engine.fuse = None
            self._rest()
            with reading() as tx:
                assert list(proof.check(tx)) == [] == list(audit.verify(tx))
            for case in self.office.cases():
                seen[f"{case.kind} {case.outcome or case.state}"] += 1
                seen[case.kind] += 1
            seen["deaths"] += self.engine.deaths
            seen["paid"] += sum(row.state is PayoutState.SETTLED for row in self._rows(select(Payout)))

        # ── helpers ──

        def _rest(self) -> None:
            """A worker that died is replaced, and whatever was left is done."""
            for _ in range(3):
                self.office.clock.advance(timedelta(seconds=61))
                self.office.settle()

        def _rows(self, query: Any) -> list[Any]:
            with reading() as tx:
                found = list(tx.exec(query))
                tx.expunge_all()
                return found

        def _questions(self) -> list[Review]:
            return self._rows(select(Review).where(col(Review.state).in_(reviews.OPEN)).order_by(col(Review.opened_at)))

    return Back


ENOUGH = {
    "decided": 1, "deaths": 1, "paid": 1, "closure CLOSED": 1, "closure REFUSED": 1, "refund REFUSED": 1,
    CaseKind.FORCED_CLOSURE: 1,
}  # fmt: skip
"""How often it must have come to this."""


def test_whatever_happens_to_closures_and_refunds_the_books_are_whole_and_nothing_is_done_twice(
    new_office: Callable[..., Office],
) -> None:
    seen: Counter[str] = Counter()
    play(machine(new_office, seen), seen, ENOUGH, examples=6, steps=25)
