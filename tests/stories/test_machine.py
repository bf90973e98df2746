"""Anything that can happen to closures and refunds, in any order, with workers dying between and inside the steps.

Held throughout: books and chains whole, no more money out than came in, one closure and one refund of a shop at a
time, no payout without its used permit, nothing left to a shop closed by force, every message once; no money leaves
while somebody whose approval it rests on has not seen a standing blocking finding, nor before arrears are set off.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlmodel import col, select

from flows.inline import InlineEngine
from models.books import DepositPayment, Transfer
from models.cases import Case, CaseKind, CaseState
from models.invoicing import InvoiceState
from models.messages import Channel
from models.payouts import BankContradiction, Payout, PayoutState, Permit
from models.reviews import Review, Role
from models.shops import Capability, ShopState
from office.base.db import in_transaction, reading
from office.cases import cases
from office.cases import gates as review_gates
from office.record import chain_proof
from office.record.sending import NotYet
from office.staff import staff
from tasks.invoicing import bills
from tasks.refund import plan as refund_plan
from tasks.shops import owed, shops
from tasks.sight import proof
from tests.deaths import Died, mortal
from tests.invoicing import kit
from tests.machines import play, rounds
from tests.play import PAPERS, PAYEE, PEOPLE, REPORT, Office, paper

SHOPS = ("shop-1", "shop-2")
ALIPAY = {"method": "ALIPAY", "name": "林晓", "account_no": "13800001234", "bank_name": ""}
WECHAT = {"method": "WECHAT", "name": "林晓", "account_no": "wx-linxiao-77", "bank_name": ""}
FINED = {"penalties": [{"id": "p-1", "kind": "虚假发货", "settled": False}]}
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
            self.unsent: list[tuple[str, list[dict[str, Any]]]] = []
            self.dismissed: str = ""
            self.paid: set[str] = set()
            self.office.open_shop("shop-1")
            self.roleless: str = ""
            self.leave("shop-2")
            self.office.pay_deposit("shop-2", 100_000, "ALIPAY", payer_account=ALIPAY["account_no"], payer_name="林晓")
            self.office.request_refund("shop-2", 1_600_000)

        def leave(self, shop: str) -> None:
            """A shop that has invoiced its fees is closed, and the invoice can still be reversed."""
            self.office.open_shop(shop, deposit_fen=1_500_000)
            kit.record(self.office, kit.item(shop, 90_000))
            case = self.office.request_closure(shop)
            self.office.decide(case, "li-na", "APPROVE")
            kit.send_invoice(self.office, 90_000, shop, issued_on="2026-11-19")
            self.office.snapshot(shop)
            assert self.office.case(case.id).outcome == "CLOSED"

        # ── what can happen ──

        @rule(shop=st.sampled_from(SHOPS), owner=st.integers(0, 5))
        def the_merchant_asks_to_close(self, shop: str, owner: int) -> None:
            self.office.request_closure(shop, **({} if owner else {"account_id": "somebody"}))

        @rule(
            shop=st.sampled_from(SHOPS[::-1]),
            fen=st.sampled_from([400_000, 1, 700_000, 2_000_000]),
            papers=st.sampled_from(["here", "here", "late", "none"]),
            payee=st.sampled_from([PAYEE, PAYEE, PAYEE | {"name": "别的公司"}, ALIPAY, WECHAT]),
            others=st.sampled_from([[], [PAYEE], [ALIPAY, WECHAT]]),
        )
        def the_merchant_asks_the_deposit_back(
            self, shop: str, fen: int, papers: str, payee: dict[str, str], others: list[dict[str, str]]
        ) -> None:
            late = [paper(f"营业执照-{next(kit.NUMBERS)}.pdf", "BUSINESS_LICENCE"), PAPERS[1]]
            documents = {"here": PAPERS, "late": late, "none": []}[papers]
            self.office.request_refund(
                shop, fen, documents=documents, payee=payee, other_payees=others, staged=papers != "late"
            )
            self.unsent += [(shop, late)] if papers == "late" else []

        @rule(which=st.integers(0, 3))
        def papers_arrive_late(self, which: int) -> None:
            if not self.unsent:
                self.the_merchant_asks_the_deposit_back(SHOPS[1], 400_000, "late", PAYEE, [])
            shop, documents = self.unsent.pop(which % len(self.unsent))
            self.office.stage(shop, *documents)
            seen["late papers"] += 1

        @rule(which=st.integers(0, 9), what=st.sampled_from(["withdraw", "answer", "answer", "payee", "payee"]))
        def the_merchant_says_more(self, which: int, what: str) -> None:
            theirs = [case for case in self.office.cases() if case.kind in {CaseKind.CLOSURE, CaseKind.REFUND}]
            if not theirs:
                return
            case = theirs[which % len(theirs)]
            if what == "withdraw":
                self.office.withdraw(case)
            elif what == "answer":
                self.office.merchant_answers(case, "已补充", *PAPERS)
            else:
                self.office.correct_payee(case, account_no="3301040160000125678")

        @rule(shop=st.sampled_from(SHOPS), facts=st.sampled_from([
            {}, {}, {"open_orders": 2}, {"open_orders": 3}, {"arrears_fen": 500}, {"uninvoiced_fen": 1}, FINED,
        ]))  # fmt: skip
        def the_platform_reports(self, shop: str, facts: dict[str, Any]) -> None:
            self.office.snapshot(shop, **facts)

        @precondition(lambda self: self._second_questions())
        @rule(facts=st.sampled_from([{"open_orders": 9}, FINED, {"open_orders": 2, "open_aftersales": 1}]))
        def facts_worsen_between_two_approvals(self, facts: dict[str, Any]) -> None:
            case = self.office.case(self._second_questions()[0].case_id)
            self.office.snapshot(case.shop_id or "", **facts)
            seen["worsened between approvals"] += 1

        @rule(shop=st.sampled_from(SHOPS), fen=st.sampled_from([100, 450_000]))
        def the_deposit_is_drawn_on(self, shop: str, fen: int) -> None:
            self.office.deduct(fen, f"ded-{self.office.clock.at.timestamp()}", shop_id=shop)

        @rule(
            shop=st.sampled_from(SHOPS),
            fen=st.sampled_from([1, 100, 900_000]),
            payer=st.sampled_from([None, ALIPAY, WECHAT]),
        )
        def the_merchant_pays(self, shop: str, fen: int, payer: dict[str, str] | None) -> None:
            if payer is None:
                self.office.pay_deposit(shop, fen)
            else:
                self.office.pay_deposit(
                    shop, fen, payer["method"], payer_account=payer["account_no"], payer_name=payer["name"]
                )

        @rule(shop=st.sampled_from(SHOPS))
        def the_platform_proposes_to_close_by_force(self, shop: str) -> None:
            self.office.stage(shop, REPORT)
            self.office.send(
                "forced_closure.proposed",
                {
                    "shop_id": shop,
                    "proposal_id": f"p-{len(self.office.cases())}",
                    "violation": "售假",
                    "clause": "DED-7",
                    "description": "抽检",
                    "proposed_by": "risk-17",
                    "documents": [REPORT],
                },
            )

        @precondition(lambda self: self._under_way(CaseKind.REFUND) and not self._under_way(CaseKind.FORCED_CLOSURE))
        @rule(end=st.sampled_from(["pending", "dropped", "confirmed"]))
        def a_ban_is_proposed_while_a_refund_is_under_way(self, end: str) -> None:
            shop = self._under_way(CaseKind.REFUND)[0].shop_id or ""
            self.the_platform_proposes_to_close_by_force(shop)
            for case in self._under_way(CaseKind.FORCED_CLOSURE):
                if case.shop_id == shop and end != "pending":
                    self._ban(case, 0 if end == "confirmed" else 1)
                seen[f"ban {end} over a refund"] += 1

        def _ban(self, case: Case, verdict: int) -> None:
            for _ in range(2):
                for review in [one for one in self._questions() if one.case_id == case.id]:
                    if able := self._able(review):
                        self._answer(review, able[0], review.verdicts[verdict], "right", write_off=False)

        @rule(part=st.sampled_from([1, 2]))
        def a_red_letter_comes_after_closing(self, part: int) -> None:
            """The fees of the closed shop are open again, or half of them, while its deposit is asked back."""
            live = [one for one in kit.invoices() if one.state is InvoiceState.ACCEPTED]
            if live and (left := live[0].gross_fen - live[0].reversed_fen) > 0:
                self.office.send(
                    "invoice.red_letter",
                    {
                        "shop_id": "shop-2",
                        "account_id": "acct-shop-2",
                        "number": f"26{next(kit.NUMBERS):018d}",
                        "original_number": live[0].number,
                        "amount_fen": max(left // part, 1),
                        "issued_on": "2026-11-20",
                        "reason": "开票有误",
                    },
                )
                seen["red letters after closing"] += 1

        @rule()
        def the_closed_shop_invoices_what_is_open_again(self) -> None:
            with reading() as tx:
                fen, _ = bills.open_now(tx, "shop-2")
            if fen > 0:
                day = self.office.clock.at + timedelta(hours=8)
                number = f"{day:%y}{next(kit.NUMBERS):018d}"
                kit.send_invoice(self.office, fen, "shop-2", number=number, issued_on=f"{day:%Y-%m-%d}")

        @rule(person=st.sampled_from(["chen-jie", "wang-fang", "gao-yuan", "zhao-min", ""]))
        def somebody_loses_their_roles_and_another_gets_them_back(self, person: str) -> None:
            """They are enrolled for something that decides nothing here, and later for what they did before."""
            for staff_id, roles in (
                (self.roleless, PEOPLE.get(self.roleless, ("", []))[1]),
                (person, [Role.INVOICE_CLERK]),
            ):
                if staff_id and staff_id != self.dismissed:
                    kept = self.office.secrets[staff_id]
                    in_transaction(
                        lambda tx, i=staff_id, r=roles, s=kept: staff.enrol(tx, i, PEOPLE[i][0], r, secret=s)  # type: ignore[misc]
                    )
            self.roleless = person if person != self.dismissed else ""
            seen["roles lost"] += bool(self.roleless)

        @rule(
            which=st.integers(0, 3),
            verdict=st.sampled_from([0, 0, 0, 1, 2]),
            who=st.integers(0, 3),
            how=st.sampled_from(["right"] * 6 + ["wrong", "stale", "anybody"]),
        )
        def somebody_decides(self, which: int, verdict: int, who: int, how: str) -> None:
            open_now = self._questions()
            questions = self.stale if how == "stale" and self.stale else open_now
            if not questions:
                return
            review = questions[which % len(questions)]
            able = sorted(PEOPLE) if how == "anybody" else self._able(review) or sorted(PEOPLE)
            person = able[who % len(able)]
            self._answer(review, person, review.verdicts[verdict % len(review.verdicts)], how, bool(who % 2))

        def _answer(self, review: Review, person: str, verdict: str, how: str, write_off: bool) -> None:
            code = "000000" if how == "wrong" else None
            proof = self.office.bank_proof(self._about(review)) if review.gate == "bank-proof" else {}
            extra = {"write_off": write_off} | proof
            outcome = self.office.answer(review, person, verdict, "理由充分", code=code, **extra)
            may = person in self._able(review)
            assert not (outcome.accepted and (how == "wrong" or not may)), (person, review.gate)
            self.no_money_leaves_over_a_blocking_finding_that_somebody_who_approved_has_not_seen()
            seen["decided" if outcome.accepted else f"refused: {how}"] += 1
            self.stale.append(review)

        @precondition(lambda self: self._questions())
        @rule(paying=st.booleans())
        def everybody_agrees(self, paying: bool) -> None:
            for turn in range(4):
                if not (questions := self._questions()):
                    break
                review = questions[turn % len(questions)]
                able = self._able(review) or sorted(PEOPLE)
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

        @rule(which=st.integers(0, 5), over=st.booleans())
        def a_share_that_had_arrived_comes_back(self, which: int, over: bool) -> None:
            """Its refund is taken up again; or it is over, with the rest of it given up: then merchant and finance hear of it."""
            if not (arrived := self._arrived()):
                self.everybody_agrees(paying=True)
            if not (arrived := arrived or self._arrived()):
                return
            row = arrived[which % len(arrived)]
            case = self.office.case(row.case_id)
            if over and case.concluded_at is None:
                self._rest_of_it_is_given_up(case)
            self.office.bank(row.request_no, "returned", row.amount_fen, row.shop_id or "", reason="账户已销户")
            [now] = self._rows(select(Payout).where(Payout.request_no == row.request_no))
            if now.state is PayoutState.RETURNED and self.office.case(case.id).concluded_at is not None:
                told = [one["request_no"] for one in self.office.messages("payment_came_back", Channel.STAFF)]
                outcome = self.office.case(case.id).outcome
                assert row.request_no in told or outcome is CaseState.SUPERSEDED, (row, outcome)
                seen["came back when it was over"] += 1
            seen["came back late"] += now.state is PayoutState.RETURNED

        def _rest_of_it_is_given_up(self, case: Case) -> None:
            asked = select(Payout).where(Payout.case_id == case.id, Payout.state == PayoutState.REQUESTED)
            for row in self._rows(asked):
                self.office.bank(row.request_no, "failed", row.amount_fen, row.shop_id or "", reason="账户已销户")
            self._rest()
            for review in [
                one for one in self._questions() if one.case_id == case.id and one.gate == "refund-returned"
            ]:
                if able := self._able(review):
                    self._answer(review, able[0], "ABANDON", "right", write_off=False)
            self._rest()

        def _arrived(self) -> list[Payout]:
            """What the bank has settled and nothing else is said about."""
            odd = {row.request_no for row in self._rows(select(BankContradiction))}
            paid = self._rows(
                select(Payout).where(Payout.state == PayoutState.SETTLED).order_by(col(Payout.request_no))
            )
            return [row for row in paid if row.request_no not in odd]

        @rule(
            what=st.sampled_from(["settled", "failed", "returned"]),
            which=st.integers(0, 5),
            more=st.sampled_from([0, 0, 0, -1, 1]),
            known=st.integers(0, 4),
        )
        def the_bank_says_something_else(self, what: str, which: int, more: int, known: int) -> None:
            payouts = self._rows(select(Payout).order_by(col(Payout.request_no)))
            row = payouts[which % len(payouts)] if payouts else None
            if row is None or not known:
                self.office.bank("REF-NOBODY-P1", what)
            elif row.amount_fen + more > 0:
                self.office.bank(
                    row.request_no, what, row.amount_fen + more, self.office.case(row.case_id).shop_id or ""
                )
            seen["contradictions"] = max(seen["contradictions"], len(self._rows(select(BankContradiction))))

        @rule(person=st.sampled_from(["li-na", "wang-fang", "he-qiang", ""]))
        def somebody_is_dismissed_and_another_taken_back(self, person: str) -> None:
            if person == self.roleless:
                return
            for staff_id, active in ((self.dismissed, True), (person, False)):
                if staff_id:
                    in_transaction(lambda tx, i=staff_id, a=active: staff.set_active(tx, i, a))  # type: ignore[misc]
            self.dismissed = person

        @rule(hours=st.sampled_from([1, 24, 24 * 4, 24 * 8]))
        def time_passes(self, hours: int) -> None:
            self.office.pass_time(hours=hours)
            self._rest()

        @rule(write_off=st.sampled_from([True, True, False]), worse=st.booleans())
        def clearing_drags_on(self, write_off: bool, worse: bool) -> None:
            """Something stays open until people are asked about it; it may grow between the two of them."""
            if not self._clearing():
                self.the_merchant_asks_to_close(SHOPS[0], 1)
                self.everybody_agrees(paying=False)
            if not self._clearing():
                return
            case = self._clearing()[0]
            self.office.snapshot(case.shop_id or "", open_aftersales=1)
            self.office.pass_time(days=15, minutes=1)
            self._rest()
            for turn in range(2):
                for review in [one for one in self._questions() if one.case_id == case.id]:
                    if able := self._able(review):
                        verdict = "CONFIRM" if turn else "WRITE_OFF" if write_off else "WAIT"
                        self._answer(
                            review,
                            able[0],
                            verdict if verdict in review.verdicts else review.verdicts[0],
                            "right",
                            write_off=False,
                        )
                        seen[f"asked in clearing: {review.gate}"] += 1
                if worse and not turn:
                    self.office.snapshot(case.shop_id or "", open_aftersales=2)

        @rule(fuse=st.integers(0, 12), after=st.booleans())
        def the_next_worker_dies(self, fuse: int, after: bool) -> None:
            self.engine.fuse, self.engine.after = fuse, after

        # ── what must hold ──

        @invariant()
        def one_of_a_kind_is_under_way_in_a_shop(self) -> None:
            taken_up = Counter(
                (case.shop_id, case.kind)
                for case in self.office.cases()
                if case.concluded_at is None
                and case.state is not CaseState.SUBMITTED
                and case.shop_id
                and case.kind is not CaseKind.INVOICE_REVIEW
            )
            assert [key for key, count in taken_up.items() if count > 1] == []

        @invariant()
        def no_more_money_goes_out_than_came_in(self) -> None:
            came_in = sum(row.amount_fen for row in self._rows(select(DepositPayment)))
            payouts = self._rows(select(Payout))
            out = sum(row.amount_fen for row in payouts if row.state in {PayoutState.REQUESTED, PayoutState.SETTLED})
            used = {permit.id for permit in self._rows(select(Permit)) if permit.used_at is not None}
            twice = sum(row.amount_fen for row in self._corrected())  # what the bank paid twice is owed, and told
            assert out - twice <= came_in and {row.permit_id for row in payouts} <= used
            assert self.office.books() == []

        @invariant()
        def no_money_leaves_over_a_blocking_finding_that_somebody_who_approved_has_not_seen(self) -> None:
            for payout in self._new_payouts():
                with reading() as tx:
                    case = cases.get(tx, payout.case_id)
                    standing = [finding for finding in refund_plan.findings_now(tx, case) if finding.blocking]
                    people = tx.get_one(Permit, payout.permit_id).granted_by.split(",")
                    assert {*people}.isdisjoint({self.dismissed, self.roleless}), people
                    query = select(Review).where(
                        Review.case_id == case.id, col(Review.gate).in_(["refund-review", "refund-second"])
                    )
                    decided = [row for row in tx.exec(query.order_by(col(Review.decided_at))) if row.decided_by]
                    last = {row.decided_by: row for row in decided}
                    for person in people:
                        saw = {one["code"]: one for one in (last[person].seen or {})["blocking"]}
                        for finding in standing:
                            assert finding.code in saw, (finding, person)
                            most = saw[finding.code]["extent"]
                            assert all(now <= then for now, then in zip(finding.extent, most, strict=True))
                    assert not standing or len(people) == 2
                    shop = case.shop_id or ""
                    kept = bills.kept_back(tx, shop, bills.open_now(tx, shop)[0])
                    assert shops.book_facts(tx, shop).deposit_fen >= kept  # what INV-7 would freeze stays here
                    seen["paid with a bill open"] += kept > 0
                    assert not tx.exec(PENDING_BANS.where(Case.shop_id == shop)).first()
                    assert shops.book_facts(tx, case.shop_id or "").arrears_fen == 0  # set off before anything is paid

        @invariant()
        def what_was_paid_out_to_a_shop_is_at_most_what_came_in_less_what_it_owes(self) -> None:
            for shop in SHOPS:
                mine = {f"shop/{shop}/{kind}" for kind in ("deposit", "arrears")}
                moved = Counter[str]()
                for row in self._rows(select(Transfer)):
                    if {row.debit_account, row.credit_account} & mine:
                        moved[row.reason] += row.amount_fen
                drawn = sum(fen for reason, fen in moved.items() if reason in {"LATE_SHIPMENT", "FORCED_CLOSURE"})
                out = moved["payout.requested"] - moved["payout.reversed"]
                with reading() as tx:
                    owed = shops.book_facts(tx, shop).arrears_fen
                assert out <= moved["deposit.paid"] + owed - drawn + sum(row.amount_fen for row in self._given(shop))

        @invariant()
        def a_shop_is_open_only_when_paid_or_while_it_is_asked_and_decided_about(self) -> None:
            for shop in (self.office.shop(shop) for shop in SHOPS):
                asked = [
                    case
                    for case in self.office.cases()
                    if case.shop_id == shop.id and case.kind is CaseKind.DEPOSIT_DEMAND and case.concluded_at is None
                ]
                with reading() as tx:
                    lacks = bool(owed.missing(tx, shop).total)
                if shop.state is ShopState.OPEN:
                    assert len(asked) == lacks and len(shop.capabilities) == len(Capability)
                elif shop.state is ShopState.AWAITING_DEPOSIT:
                    assert lacks and shop.capabilities == []
                else:
                    assert asked == []

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
                assert list(proof.check(tx)) == [] == list(chain_proof.verify(tx))
            bans = {case.shop_id for case in self._under_way(CaseKind.FORCED_CLOSURE)}
            seen["ban pending over a refund"] += any(case.shop_id in bans for case in self._under_way(CaseKind.REFUND))
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

        def _corrected(self) -> list[Transfer]:
            return [
                row
                for row in self._rows(select(Transfer).where(Transfer.reason == "payout.corrected"))
                if row.debit_account.startswith("shop/")
            ]

        def _given(self, shop: str) -> list[Transfer]:
            """What the bank's proof showed to be with us still, though the books had it paid."""
            return [
                row
                for row in self._rows(select(Transfer).where(Transfer.reason == "payout.corrected"))
                if row.credit_account == f"shop/{shop}/deposit"
            ]

        def _about(self, review: Review) -> str | None:
            """The shop whose money an inquiry is about, for which the bank's proof is staged."""
            rows = self._rows(select(BankContradiction).where(BankContradiction.inquiry_id == review.case_id))
            return rows[0].shop_id if rows else None

        def _new_payouts(self) -> list[Payout]:
            """Instructions given since this was asked last."""
            new = [row for row in self._rows(select(Payout)) if row.request_no not in self.paid]
            self.paid |= {row.request_no for row in new}
            seen["several accounts"] += len(new) > 1
            return new

        def _able(self, review: Review) -> list[str]:
            """Who may answer: holds a role of the question now, works here, and has not acted where they may not."""
            roles = {
                name: {Role.INVOICE_CLERK} if name == self.roleless else {*held} for name, (_, held) in PEOPLE.items()
            }
            return [
                name
                for name, held in roles.items()
                if {*review.roles} & held and name != self.dismissed and name not in review.excluded
            ]

        def _under_way(self, kind: CaseKind) -> list[Case]:
            return [case for case in self.office.cases() if case.kind is kind and case.concluded_at is None]

        def _clearing(self) -> list[Case]:
            return [case for case in self._under_way(CaseKind.CLOSURE) if case.state is CaseState.CLEARING]

        def _second_questions(self) -> list[Review]:
            return [review for review in self._questions() if review.gate == "refund-second"]

        def _questions(self) -> list[Review]:
            return self._rows(
                select(Review).where(col(Review.state).in_(review_gates.OPEN)).order_by(col(Review.opened_at))
            )

    return Back


PENDING_BANS = select(Case).where(Case.kind == CaseKind.FORCED_CLOSURE, col(Case.concluded_at).is_(None))

ENOUGH = {
    "red letters after closing": 1, "ban pending over a refund": 1, "ban dropped over a refund": 1, "roles lost": 1,
    "ban confirmed over a refund": 1,
    "contradictions": 1, "several accounts": 1, "worsened between approvals": 1, "bank-inquiry RESOLVED": 1,
    "late papers": 1, "asked in clearing: clearing-stuck": 1, "decided": 1,
    "deaths": 1, "paid": 1, "came back late": 1, "closure CLOSED": 1, "closure REFUSED": 1, "refund REFUSED": 1,
    CaseKind.FORCED_CLOSURE: 1, CaseKind.DEPOSIT_DEMAND: 1,
}  # fmt: skip
"""How often it must have come to this."""


SEVERAL = 2
"""Rounds it takes as a rule until it has been nearly everywhere."""


@rounds(SEVERAL)
def test_whatever_happens_to_closures_and_refunds_the_books_are_whole_and_nothing_is_done_twice(
    new_office: Callable[..., Office], session_folder: Path, number: int
) -> None:
    seen: Counter[str] = Counter()
    play(
        machine(new_office, seen),
        seen,
        ENOUGH,
        examples=6,
        steps=25,
        number=number,
        of=SEVERAL,
        shared=session_folder / "closures",
    )
