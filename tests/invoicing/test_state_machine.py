"""Random months: whatever comes in whatever order, lines, statements, invoices, moves and ledger agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlmodel import col, select

from models.books import AccountKind
from models.cases import Case
from models.invoicing import (
    BillableItem,
    ExitObligation,
    ExitState,
    Invoice,
    InvoiceState,
    Statement,
    StatementMove,
    StatementState,
)
from models.shops import ShopState
from office.base import db
from office.cases import gates as review_gates
from policies.invoicing import share
from policies.policy import policy
from tasks.invoicing import exit_invoices, statements
from tasks.settlement import sides
from tasks.shops import settling
from tests.invoicing import kit
from tests.machines import play, rounds
from tests.play import START, Office

SHOPS = st.sampled_from(["shop-1", "shop-2"])
FEN = st.integers(min_value=1, max_value=20_000)


class Months(RuleBasedStateMachine):
    """Two shops, one with automatic deduction, over some months."""

    make_office: Callable[[], Office]
    seen: Counter[str]
    found: list[Statement]
    held: list[Statement]
    open_statements: list[Statement]
    live: list[Invoice]
    leaving: list[ExitObligation]
    cases: list[Case]

    @initialize()
    def begin(self) -> None:
        self.office = self.make_office()
        self.gone: set[str] = set()
        for shop, auto in (("shop-1", False), ("shop-2", True)):
            self.office.open_shop(shop, auto_deduct=auto, contacts=[])
            kit.record(self.office, kit.item(shop, 9_000, settled_at=START.isoformat()))
            kit.settle_receivable(self.office, 1_000, shop)

    @rule(
        shop=SHOPS,
        fen=st.integers(min_value=-8_000, max_value=20_000).filter(bool),
        twice=st.booleans(),
        days_ago=st.sampled_from([0, 0, 0, 31]),
    )
    def an_item_comes(self, shop: str, fen: int, twice: bool, days_ago: int) -> None:
        one = kit.item(shop, fen, settled_at=(self.office.clock.at - timedelta(days=days_ago)).isoformat())
        for _ in range(1 + twice):
            kit.record(self.office, one)

    @rule(shop=SHOPS, which=st.integers(0, 9))
    def an_item_is_corrected(self, shop: str, which: int) -> None:
        with db.reading() as tx:
            right = select(BillableItem).where(BillableItem.shop_id == shop, col(BillableItem.corrects).is_(None))
            found = [(one.id, one.amount_fen) for one in tx.exec(right.order_by(col(BillableItem.recorded_at)))]
        if found:
            wrong, fen = found[which % len(found)]
            kit.record(self.office, kit.item(shop, -fen, corrects=wrong, settled_at=self.office.clock.at.isoformat()))

    @rule(shop=SHOPS, fen=FEN)
    def sales_are_settled(self, shop: str, fen: int) -> None:
        kit.settle_receivable(self.office, fen, shop)

    @rule(shop=SHOPS, fen=FEN)
    def receivables_are_paid_out(self, shop: str, fen: int) -> None:
        self.office.send(
            "receivable.paid_out",
            {
                "shop_id": shop,
                "payment_id": f"out-{next(kit.NUMBERS)}",
                "amount_fen": fen,
                "paid_at": self.office.clock.at.isoformat(),
            },
        )

    @rule(shop=SHOPS, invoiced=st.booleans(), pays=st.booleans())
    def what_was_frozen_comes_free_in_our_time_and_is_the_platforms_to_pay(
        self, shop: str, invoiced: bool, pays: bool
    ) -> None:
        """STL-1, INV-12: a week we settle the shop; what no half of ours has paid is told and listed until it is paid."""
        if self.office.shop(shop).state is not ShopState.OPEN:
            return
        self.moves_to(shop, "OFFICE")
        theirs = [number for number, one in enumerate(self.open_statements) if one.shop_id == shop]
        if invoiced and theirs:
            self.an_invoice_comes(theirs[0], 1, clean=True, over=0)
        self.moves_to(shop, "PLATFORM")
        sides.tell_freed()
        self.office.settle()
        with db.reading() as tx:
            freed, part = settling.freed(tx, shop), settling.platforms_part(tx, shop)
        told = [(one["shop_id"], one["amount_fen"]) for one in self.office.events("receivable.freed")]
        assert all((shop, one.fen) in told and one.open_fen <= part for one in freed)
        if pays and part:
            self.receivables_are_paid_out(shop, part)
            with db.reading() as tx:
                assert settling.freed(tx, shop) == []
        self.seen["freed"] += bool(freed)

    def moves_to(self, shop: str, settler: str) -> None:
        since = self.office.clock.at + timedelta(days=3)
        self.office.send("settlement.assigned", {"shop_id": shop, "settler": settler, "since": since.isoformat()})
        self.time_passes(3.01)

    @rule(days=st.sampled_from([0.01, 5, 20]))
    def time_passes(self, days: float) -> None:
        self.office.clock.advance(timedelta(days=days))
        kit.sweep(self.office)

    @rule(redraft=st.integers(0, 3), held=st.sampled_from(["", "", "shop-1", "shop-2"]))
    def a_month_ends_and_finance_decides(self, redraft: int, held: str) -> None:
        here = self.office.clock.at + timedelta(days=32)
        kit.at(self.office, here.year, here.month, 1, 2)
        kit.sweep(self.office)
        for case in [c for c in self.office.cases() if c.kind == "monthly-invoicing" and c.concluded_at is None]:
            if redraft == 0:
                self.office.decide(case, "wang-fang", "REDRAFT", "重新起草")
                self.seen["redrafted"] += 1
            drafts = [
                s.shop_id
                for s in kit.all_statements()
                if s.period == case.request["period"] and s.state is StatementState.DRAFT
            ]
            self.office.decide(case, "wang-fang", "RELEASE", hold=f"{held}：待核对" if held in drafts else "")
            self.seen["held out"] += held in drafts

    @precondition(lambda self: self.held)
    @rule()
    def a_statement_held_out_is_released(self) -> None:
        one, code = self.held[0], self.office.code("wang-fang")
        said = db.in_transaction(
            lambda tx: statements.release_held(tx, one.period, one.shop_id, "wang-fang", code, "已核对")
        )
        assert said.accepted, said.sentence
        self.office.settle()
        self.seen["released later"] += 1

    @precondition(lambda self: self.open_statements)
    @rule(
        which=st.integers(0, 9),
        part=st.sampled_from([1, 1, 2]),
        clean=st.booleans(),
        over=st.sampled_from([0, 0, 0, 1]),
    )
    def an_invoice_comes(self, which: int, part: int, clean: bool, over: int) -> None:
        shop = self.open_statements[which % len(self.open_statements)].shop_id
        fen = sum(s.open_fen - s.pending_fen for s in self.open_statements if s.shop_id == shop) // part + over
        day = self.office.clock.at + timedelta(hours=8)
        if fen > 0:
            kit.send_invoice(
                self.office,
                fen,
                shop,
                number=f"{day:%y}{next(kit.NUMBERS):018d}",
                issued_on=f"{day:%Y-%m-%d}",
                **({} if clean else {"kind": "ORDINARY", "difficulty": "无法开具专票"}),
            )

    @precondition(lambda self: self.going("invoice-review"))
    @rule(verdict=st.sampled_from(["ACCEPT", "RETURN"]))
    def a_clerk_decides(self, verdict: str) -> None:
        case = self.going("invoice-review")[0]
        # the links on the page may have run out, and the invoice be for too much
        self.answer(case, "xu-jing", verdict, verdict, "RETURN", "RETURN")

    @precondition(lambda self: self.live)
    @rule(which=st.integers(0, 9), part=st.sampled_from([1, 2]))
    def a_red_letter_comes(self, which: int, part: int) -> None:
        gone = [one for one in self.live if self.office.shop(one.shop_id).state is ShopState.CLOSED]
        found = gone or self.live
        one = found[which % len(found)]
        self.office.send(
            "invoice.red_letter",
            {
                "shop_id": one.shop_id,
                "account_id": f"acct-{one.shop_id}",
                "number": f"29{next(kit.NUMBERS):018d}",
                "original_number": one.number,
                "amount_fen": max((one.gross_fen - one.reversed_fen) // part, 1),
                "issued_on": "2026-12-05",
            },
        )
        self.seen["red letters"] += 1
        self.seen["red letters after closing"] += bool(gone)

    @rule(shop=SHOPS, verdict=st.sampled_from(["APPROVE", "APPROVE", "REJECT"]))
    def a_closure_begins_or_is_decided(self, shop: str, verdict: str) -> None:
        for case in self.going("closure"):
            if case.shop_id == shop:
                if any(review.state in review_gates.OPEN for review in self.office.reviews(case)):
                    self.the_closure_is_decided(case, verdict)
                return
        self.office.request_closure(shop)

    def the_closure_is_decided(self, case: Case, verdict: str) -> None:
        """Its facts may have changed, and a second question be taken back for that."""
        for _ in range(3):
            question = self.office.question(case)
            who, says = {
                "closure-override": ("he-qiang", "CONFIRM"),
                "clearing-stuck": ("li-na", "WAIT"),
                "clearing-stuck-second": ("he-qiang", "CONFIRM"),
            }.get(question.gate, ("li-na", verdict))
            outcome = self.office.answer(question, who, says, "核对完毕")
            if outcome.accepted:
                return
        raise AssertionError(outcome.sentence)

    @precondition(lambda self: self.leaving)
    @rule(clear=st.booleans())
    def a_shop_that_leaves_is_cleared_or_its_invoices_are_waived(self, clear: bool) -> None:
        one, code = self.leaving[0], self.office.code("he-qiang")
        if clear:
            self.office.snapshot(one.shop_id)
            return
        said = db.in_transaction(lambda tx: exit_invoices.waive(tx, one.case_id, "he-qiang", code, "无法开票"))
        assert said.accepted, said.sentence
        self.office.settle()

    def answer(self, case: Case, who: str, *verdicts: str) -> None:
        """Give these verdicts until one is taken; what has changed meanwhile is shown with each refusal."""
        for verdict in verdicts:
            outcome = self.office.answer(self.office.question(case), who, verdict, "核对完毕")
            if outcome.accepted:
                return
        raise AssertionError(outcome.sentence)

    # ── what there is ──

    def look(self) -> None:
        """What the rules choose from, read once after each step."""
        self.found, self.cases = kit.all_statements(), self.office.cases()
        self.held = [s for s in self.found if s.state is StatementState.HELD]
        self.open_statements = [s for s in self.found if s.state in {StatementState.ISSUED, StatementState.OVERDUE}]
        self.live = [i for i in kit.invoices() if i.state in {InvoiceState.ACCEPTED, InvoiceState.IN_REVIEW}]
        closures = {case.id for case in self.going("closure")}
        with db.reading() as tx:
            owed = tx.exec(select(ExitObligation).where(ExitObligation.state == ExitState.OPEN)).all()
            self.leaving = sorted((one for one in owed if one.case_id in closures), key=lambda one: one.case_id)
            tx.expunge_all()

    def going(self, kind: str) -> list[Case]:
        return [case for case in self.cases if case.kind == kind and case.concluded_at is None]

    def teardown(self) -> None:
        """Every line that was written still stands, since none ever goes; count where it has been."""
        if not hasattr(self, "office"):
            return
        assert self.office.chains() == []
        with db.reading() as tx:
            late = select(BillableItem).where(
                col(BillableItem.own_period) != BillableItem.period, col(BillableItem.period).not_like("exit/%")
            )
            self.seen["billed later"] += len(tx.exec(late).all())
            for table, column in (
                (Statement, "state"),
                (StatementMove, "kind"),
                (Invoice, "state"),
                (ExitObligation, "state"),
            ):
                for row in tx.exec(select(table)):
                    self.seen[f"{table.__name__} {getattr(row, column)}"] += 1
            exits = select(Statement).where(col(Statement.period).like("exit/%"))
            self.seen["exit statement"] += len(tx.exec(exits).all())
        for case in self.cases:
            self.seen[f"closure {case.state}"] += case.kind == "closure"

    @invariant()
    def everything_agrees(self) -> None:
        if not hasattr(self, "office"):
            return
        self.look()
        kit.money_agrees(self.office)
        self.nobody_leaves_before_what_came_free_is_paid()
        numbers = policy("2026-01-01").invoicing
        for found in self.found:
            if found.state is StatementState.OVERDUE:
                free = self.office.balance(AccountKind.RECEIVABLE, found.shop_id)
                due = share(found.open_fen - found.pending_fen, numbers)
                held = found.frozen_fen + found.set_off_fen
                assert held == due or (held < due and free == 0), (found, free)
            if found.state in {StatementState.INVOICED, StatementState.ISSUED}:
                assert found.frozen_fen + found.set_off_fen == 0 or (
                    found.due_at is not None and found.due_at <= self.office.clock.at
                )
            assert found.frozen_fen == 0 or found.state is StatementState.OVERDUE
        given = [s.number for s in self.found if s.number and s.number.startswith("ZD")]
        for month in {number[2:8] for number in given}:
            counted = sorted(int(number[9:]) for number in given if number[2:8] == month)
            assert counted == list(range(1, len(counted) + 1))

    def nobody_leaves_before_what_came_free_is_paid(self) -> None:
        """CLS-7: at the closing; an invoice may free more of it later."""
        gone = {shop for shop in ("shop-1", "shop-2") if self.office.shop(shop).state is ShopState.CLOSED}
        with db.reading() as tx:
            assert not [one for shop in gone - self.gone for one in settling.freed(tx, shop)]
        self.gone = gone


ENOUGH = {
    "billed later": 1, "exit statement": 3, "redrafted": 3, "held out": 3, "released later": 2, "red letters": 3, "red letters after closing": 1,
    "Statement OVERDUE": 1, "Statement INVOICED": 1, "Statement AUTO_DEDUCTED": 1, "Statement CARRIED": 1,
    "Invoice ACCEPTED": 2, "Invoice RETURNED": 1, "Invoice REVERSED": 1, "ExitObligation WAIVED": 1,
    "ExitObligation FULFILLED": 1, "StatementMove FREEZE": 2, "StatementMove SET_OFF": 2, "StatementMove RELEASE": 1,
    "StatementMove RETURN": 1, "closure CLOSED": 1, "freed": 1,
}  # fmt: skip
"""How often it must have come to this."""


SEVERAL = 2
"""Rounds it takes as a rule until it has been nearly everywhere."""


@rounds(SEVERAL)
def test_whatever_comes_in_whatever_order_the_books_agree(
    new_office: Callable[..., Office], session_folder: Path, number: int
) -> None:
    seen: Counter[str] = Counter()
    play(
        type("Machine", (Months,), {"make_office": staticmethod(new_office), "seen": seen}),
        seen,
        ENOUGH,
        examples=8,
        steps=30,
        number=number,
        of=SEVERAL,
        shared=session_folder / "months",
    )
