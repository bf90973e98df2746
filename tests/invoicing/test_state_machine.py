"""Random months: whatever comes in whatever order, lines, statements, invoices, moves and ledger agree."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlmodel import SQLModel

from models.books import AccountKind
from models.invoicing import InvoiceState, StatementState
from policies.invoicing import share
from policies.policy import policy
from tasks import clock, db
from tests.invoicing import kit
from tests.play import START, Office

SHOPS = st.sampled_from(["shop-1", "shop-2"])
FEN = st.integers(min_value=1, max_value=20_000)


class Months(RuleBasedStateMachine):
    """Two shops, one with automatic deduction, over some months."""

    @initialize()
    def begin(self) -> None:
        SQLModel.metadata.drop_all(db.engine())
        SQLModel.metadata.create_all(db.engine())
        virtual = clock.VirtualClock(START)
        clock.use_clock(virtual)
        self.office = Office(virtual)
        self.office.open_shop("shop-1", deposit_fen=0)
        self.office.open_shop("shop-2", deposit_fen=0, auto_deduct=True)

    @rule(shop=SHOPS, fen=st.integers(min_value=-8_000, max_value=20_000).filter(bool), twice=st.booleans())
    def an_item_comes(self, shop: str, fen: int, twice: bool) -> None:
        one = kit.item(shop, fen, settled_at=self.office.clock.at.isoformat())
        kit.record(self.office, one)
        if twice:
            kit.record(self.office, one)

    @rule(shop=SHOPS, fen=FEN)
    def sales_are_settled(self, shop: str, fen: int) -> None:
        kit.settle_receivable(self.office, fen, shop)

    @rule(shop=SHOPS, fen=FEN)
    def receivables_are_paid_out(self, shop: str, fen: int) -> None:
        self.office.send("receivable.paid_out", {
            "shop_id": shop, "payment_id": f"out-{next(kit.NUMBERS)}", "amount_fen": fen,
            "paid_at": self.office.clock.at.isoformat(),
        })  # fmt: skip

    @rule(days=st.sampled_from([0.01, 5, 20, 32]))
    def time_passes(self, days: float) -> None:
        self.office.clock.advance(timedelta(days=days))
        kit.sweep(self.office)
        for case in self.office.cases():
            if case.kind == "monthly-invoicing" and case.concluded_at is None:
                self.office.decide(case, "wang-fang", "RELEASE")

    @rule(shop=SHOPS, part=st.sampled_from([1, 2, 3]), clean=st.booleans(), over=st.sampled_from([0, 0, 0, 1]))
    def an_invoice_comes(self, shop: str, part: int, clean: bool, over: int) -> None:
        open_ = [s for s in kit.all_statements() if s.shop_id == shop and s.state in {"ISSUED", "OVERDUE"}]
        fen = sum(s.open_fen - s.pending_fen for s in open_) // part + over
        if fen <= 0:
            return
        day = self.office.clock.at + timedelta(hours=8)
        kit.send_invoice(self.office, fen, shop, number=f"{day:%y}{next(kit.NUMBERS):018d}", issued_on=f"{day:%Y-%m-%d}",
                         **({} if clean else {"kind": "ORDINARY", "difficulty": "无法开具专票"}))  # fmt: skip

    @precondition(lambda self: any(c.kind == "invoice-review" and c.concluded_at is None for c in self.office.cases()))
    @rule(verdict=st.sampled_from(["ACCEPT", "RETURN"]))
    def a_clerk_decides(self, verdict: str) -> None:
        case = next(c for c in self.office.cases() if c.kind == "invoice-review" and c.concluded_at is None)
        outcome = self.office.answer(self.office.question(case), "xu-jing", verdict, "核对完毕")
        if "事实已发生变化" in outcome.sentence:  # the links on the page had run out
            outcome = self.office.answer(self.office.question(case), "xu-jing", verdict, "核对完毕")
        if not outcome.accepted:
            self.office.decide(case, "xu-jing", "RETURN", "退回")

    @rule(number=st.integers(min_value=0, max_value=5), part=st.sampled_from([1, 2]))
    def a_red_letter_comes(self, number: int, part: int) -> None:
        live = [i for i in kit.invoices() if i.state in {InvoiceState.ACCEPTED, InvoiceState.IN_REVIEW}]
        if not live:
            return
        one = live[number % len(live)]
        self.office.send("invoice.red_letter", {
            "shop_id": one.shop_id, "account_id": f"acct-{one.shop_id}", "number": f"29{next(kit.NUMBERS):018d}",
            "original_number": one.number, "amount_fen": max((one.gross_fen - one.reversed_fen) // part, 1),
            "issued_on": "2026-12-05",
        })  # fmt: skip

    @rule(shop=SHOPS)
    def a_closure_begins(self, shop: str) -> None:
        self.office.request_closure(shop)

    @invariant()
    def everything_agrees(self) -> None:
        if not hasattr(self, "office"):
            return
        kit.books_agree(self.office)
        numbers = policy("2026-01-01").invoicing
        for found in kit.all_statements():
            if found.state is StatementState.OVERDUE:
                free = self.office.balance(AccountKind.RECEIVABLE, found.shop_id)
                due = share(found.open_fen - found.pending_fen, numbers)
                held = found.frozen_fen + found.set_off_fen
                assert held == due or (held < due and free == 0), (found, free)
            if found.state in {StatementState.INVOICED, StatementState.ISSUED}:
                assert found.frozen_fen + found.set_off_fen == 0 or found.due_at <= self.office.clock.at
            assert found.frozen_fen == 0 or found.state is StatementState.OVERDUE
        given = [s.number for s in kit.all_statements() if s.number and s.number.startswith("ZD")]
        for month in {number[2:8] for number in given}:
            counted = sorted(int(number[9:]) for number in given if number[2:8] == month)
            assert counted == list(range(1, len(counted) + 1))


def test_whatever_comes_in_whatever_order_the_books_agree(database: None) -> None:
    run_state_machine_as_test(
        Months,
        settings=settings(max_examples=15, stateful_step_count=14, deadline=None, derandomize=True,
                          suppress_health_check=list(HealthCheck)),
    )  # fmt: skip
