"""Random halves: whatever comes in whatever order, orders = payments + holds + carried = ledger, and nothing is paid twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlmodel import select

from models.books import AccountKind, Transfer
from models.cases import Case, CaseKind
from models.messages import Channel
from models.payouts import BankContradiction, Payout, PayoutState, Permit
from models.settlement import Aftersale, Half, HalfState, Settlement, SettlementOrder, SettlementState
from models.shops import ShopSnapshot
from office.base import db
from office.cases import gates as review_gates
from policies.policy import SHANGHAI
from policies.settlement import cut_off, half_of, order_half
from tasks.settlement import halves, sides
from tasks.shops import settling
from tests.machines import play, rounds
from tests.play import Office
from tests.settlement import kit

SHOPS = st.sampled_from(["shop-1", "shop-2"])
FEN = st.integers(min_value=0, max_value=20_000)
BEGINNINGS = [(2026, 2, 20), (2026, 4, 10), (2026, 12, 12), (2028, 2, 26)]
"""February, a month of thirty days, the end of a year, a leap February."""
SELDOM = st.sampled_from([False, False, True])
SOON = st.sampled_from([-20, -3, -1, 0, 0, 0])


class Halves(RuleBasedStateMachine):
    """Two shops that we settle, over some halves."""

    make_office: Callable[[], Office]
    seen: Counter[str]

    @initialize(begin=st.sampled_from(BEGINNINGS))
    def begin(self, begin: tuple[int, int, int]) -> None:
        self.office = self.make_office()
        self.unsent: list[dict[str, Any]] = []
        self.ordered: set[str] = set()
        kit.at(self.office, *begin, 10)
        self.seen[f"{begin[0]}-{begin[1]}"] += 1
        for shop in ("shop-1", "shop-2"):
            self.office.open_shop(shop, contacts=[])
            since = datetime(begin[0], begin[1], 1, tzinfo=SHANGHAI) - timedelta(days=60)
            self.office.send("settlement.assigned", {"shop_id": shop, "settler": "OFFICE", "since": since.isoformat()})
            kit.set_account(self.office, shop)
        self.office.clock.advance(timedelta(hours=25))

    # ── what comes in ──

    @rule(shop=SHOPS, goods=FEN, refund=st.integers(0, 3_000), commission=st.integers(0, 3_000), days=SOON,
          seconds=st.integers(-1, 1), twice=st.booleans(), late=SELDOM)  # fmt: skip
    def an_order_is_confirmed(
        self, shop: str, goods: int, refund: int, commission: int, days: int, seconds: int, twice: bool, late: bool
    ) -> None:
        at = self.office.clock.at + timedelta(days=days)
        edge = cut_off(half_of(at - timedelta(days=15))) + timedelta(seconds=seconds)  # to the second around a cut-off
        one = kit.order(
            shop,
            goods,
            refund_fen=min(refund, goods),
            commission_fen=commission,
            confirmed_at=(edge if days == -1 else at).isoformat(),
        )
        if late:
            self.unsent.append(one)
        else:
            kit.confirm(self.office, *([one] * (1 + twice)))

    @rule()
    def what_was_held_up_on_its_way_arrives(self) -> None:
        if self.unsent:
            kit.confirm(self.office, *self.unsent)
            self.seen["late order"] += 1
            self.unsent.clear()

    @rule(which=st.integers(0, 30), back=FEN, days=SOON, ends=st.sampled_from([None, 0, 0, 1]), twice=st.booleans())
    def an_after_sale_is_reported(self, which: int, back: int, days: int, ends: int | None, twice: bool) -> None:
        known = [(row.id, row.shop_id) for row in self.all(SettlementOrder)]
        known += [(one["order_id"], one["shop_id"]) for one in self.unsent]
        if not known:
            return
        order_id, shop = known[which % len(known)]
        opened = self.office.clock.at + timedelta(days=days)
        one = kit.aftersale(order_id, shop, opened_at=opened.isoformat())
        ended = one | {"ended_at": self.office.clock.at.isoformat(), "refund_fen": back, "commission_back_fen": 10}
        first, *more = (
            [one] if ends is None else [ended, one] if ends else [one, ended]
        )  # also the end before the start
        for each in (first, *more):
            for _ in range(1 + twice):
                kit.after(self.office, each)
        self.seen["after-sale first"] += order_id in {one["order_id"] for one in self.unsent}

    @rule(back=FEN)
    def an_open_after_sale_ends(self, back: int) -> None:
        opened = [row for row in self.all(Aftersale) if row.ended_at is None]
        if opened:
            one = opened[0]
            kit.after(
                self.office,
                {
                    "aftersale_id": one.id,
                    "order_id": one.order_id,
                    "shop_id": one.shop_id,
                    "refund_fen": back,
                    "opened_at": one.opened_at.isoformat(),
                    "ended_at": self.office.clock.at.isoformat(),
                },
            )

    @rule(shop=SHOPS, fen=st.integers(1, 3_000))
    def the_shop_owes(self, shop: str, fen: int) -> None:
        kit.owe(self.office, fen + self.office.balance(AccountKind.DEPOSIT, shop) - 400_000, shop)

    @rule(shop=SHOPS, frozen=st.sampled_from([0, 0, 2_000, 100_000]))
    def the_platform_freezes_or_frees(self, shop: str, frozen: int) -> None:
        self.office.snapshot(shop, freezes=int(frozen > 0), frozen_fen=frozen)

    @rule(shop=SHOPS, right=st.booleans())
    def the_account_changes(self, shop: str, right: bool) -> None:
        name = {} if right else {"name": "别人有限公司"}
        kit.set_account(self.office, shop, account_no=f"33010401600001{next(kit.NUMBERS) % 10_000:04d}", **name)

    @rule(more=st.sampled_from([0, 1, -1]), ended=SELDOM)
    def the_bank_contradicts_itself(self, more: int, ended: bool) -> None:
        """Nothing more is paid to the shop until two people have ended it (ambiguity 38)."""
        if ended:
            self.what_came_back_was_paid_after_all()
        arrived = [one for one in self.all(Payout) if one.state is PayoutState.SETTLED and one.amount_fen + more > 0]
        for row in arrived[:1]:
            self.office.bank(row.request_no, "settled" if more else "failed", row.amount_fen + more, row.shop_id or "")
            self.seen["contradictions"] += 1
        for case in self.going(CaseKind.BANK_INQUIRY) if ended else ():
            about = next(one for one in self.all(BankContradiction) if one.inquiry_id == case.id)
            self.office.decide(case, "wang-fang", "BOOKS", "银行已书面更正", **self.office.bank_proof(about.shop_id))
            self.office.decide(case, "he-qiang", "CONFIRM", "已核对")

    def what_came_back_was_paid_after_all(self) -> None:
        """The bank proves it, and nobody is asked about paying it again (ambiguity 38)."""
        back = {
            one.request_no: one for one in self.all(Payout) if one.state in {PayoutState.RETURNED, PayoutState.FAILED}
        }
        for case in self.going(CaseKind.SETTLEMENT_RETURN)[:1]:
            row = back.get(case.request["request_no"])
            if row is None or self.office.balance(AccountKind.RECEIVABLE, row.shop_id or "") < row.amount_fen:
                return
            self.office.clock.advance(timedelta(seconds=1))
            self.office.bank(row.request_no, "settled", row.amount_fen, row.shop_id or "")
            open_now = [one for one in self.all(BankContradiction) if one.closed_at is None]
            inquiry = next(one.inquiry_id for one in open_now if one.request_no == row.request_no)
            self.office.decide(inquiry, "wang-fang", "ANSWER", "银行出具回单", **self.office.bank_proof(row.shop_id))
            self.office.decide(inquiry, "he-qiang", "CONFIRM", "已核对")
            assert self.office.case(case.id).outcome == "PAID_AGAIN"
            self.seen["paid after all"] += 1

    # ── time and people ──

    @rule(days=st.sampled_from([0.5, 2, 6]))
    def time_passes(self, days: float) -> None:
        self.office.clock.advance(timedelta(days=days))

    @rule(soon=st.sampled_from([True, True, False]), hold=SELDOM, redraft=SELDOM, between=SELDOM, silent=SELDOM)
    def the_next_half_is_settled(self, soon: bool, hold: bool, redraft: bool, between: bool, silent: bool) -> None:
        """``silent``: the platform says nothing when it is asked about facts that are too old to pay on (ambiguity 27)."""
        if soon:
            run = cut_off(half_of(self.office.clock.at)) + timedelta(hours=4)
            self.office.clock.at = max(self.office.clock.at, run)
        opened = halves.catch_up()
        self.office.settle()
        for case in self.going(CaseKind.SETTLEMENT):
            half = case.request["half"]
            if redraft:
                self.answer(case, "REDRAFT")
            if between:
                self.an_after_sale_is_reported(0, 500, 0, None, False)
            drafted = [row.shop_id for row in self.all(Settlement) if row.half == half]
            held = f"{drafted[0]}:待核实" if hold and drafted else ""
            self.office.platform_answers = not silent
            self.answer(case, "RELEASE", hold=held)
            self.the_platforms_time_to_answer_goes_by(case)
            self.office.platform_answers = True
            self.seen["held out"] += bool(held)
            if held and redraft:
                self.seen["released later"] += kit.release_held(self.office, "chen-jie", drafted[0], half).accepted
        self.seen["halves"] += len(opened)

    def the_platforms_time_to_answer_goes_by(self, case: Case) -> None:
        """A half waits for facts no longer than that; whose did not come is held."""
        if self.office.case(case.id).concluded_at is None:
            self.office.pass_time(hours=4, minutes=1)
        assert self.office.case(case.id).concluded_at is not None

    @rule(
        goods=st.integers(5_000, 20_000),
        what=st.sampled_from(["settled", "settled", "returned"]),
        late=SELDOM,
        how=st.sampled_from(["", "", "held out", "silent"]),
    )
    def half_a_month_goes_by(self, goods: int, what: str, late: bool, how: str = "") -> None:
        """What happens most: both shops sell, the half is settled, the bank pays."""
        for shop in ("shop-1", "shop-2"):
            self.an_order_is_confirmed(shop, goods, 0, 100, 0, 0, twice=False, late=late)
        self.the_next_half_is_settled(
            soon=True, hold=how == "held out", redraft=False, between=False, silent=how == "silent"
        )
        self.the_bank_answers(what, twice=True)

    @rule(goods=st.integers(5_000, 20_000))
    def half_a_month_goes_by_while_a_ban_is_proposed(self, goods: int) -> None:
        """Nothing leaves meanwhile, neither by the half nor again after a return (CLS-10, ambiguity 24)."""
        proposal = self.office.propose_forced_closure("shop-1", proposal_id=f"prop-{next(kit.NUMBERS)}")
        before = {row.request_no for row in self.all(Payout) if row.shop_id == "shop-1"}
        self.half_a_month_goes_by(goods, "settled", late=False)
        self.finance_decides_about_what_came_back("AGAIN")
        assert {row.request_no for row in self.all(Payout) if row.shop_id == "shop-1"} == before
        if not self.office.answer(self.office.question(proposal), "li-na", "DROP", "证据不足").accepted:
            self.office.decide(proposal, "li-na", "DROP", "证据不足")  # the half has changed the money that was shown
        self.seen["ban proposed"] += 1

    @rule(goods=st.integers(5_000, 20_000), fen=st.integers(1, 3_000))
    def a_shop_that_owes_sells(self, goods: int, fen: int) -> None:
        self.the_shop_owes("shop-1", fen)
        self.half_a_month_goes_by(goods, "settled", late=False)

    @rule(what=st.sampled_from(["settled", "settled", "failed", "returned"]), twice=st.booleans())
    def the_bank_answers(self, what: str, twice: bool) -> None:
        asked = [row for row in self.all(Payout) if row.state is PayoutState.REQUESTED]
        for row in asked[:2]:
            for _ in range(1 + twice):
                self.office.bank(row.request_no, what, row.amount_fen, row.shop_id or "")

    @rule(which=st.integers(0, 9), decided=st.booleans())
    def what_had_arrived_comes_back(self, which: int, decided: bool) -> None:
        """However long ago: finance is asked about it, or hears that nothing waits for it and the books have it."""
        arrived = [one for one in self.all(Payout) if one.state is PayoutState.SETTLED]
        if not arrived:
            return
        row = arrived[which % len(arrived)]
        self.office.bank(row.request_no, "returned", row.amount_fen, row.shop_id or "", "账户已销户")
        if next(one for one in self.all(Payout) if one.request_no == row.request_no).state is PayoutState.RETURNED:
            asked = [case for case in self.going(CaseKind.SETTLEMENT_RETURN) if case.shop_id == row.shop_id]
            told = [one["request_no"] for one in self.office.messages("payment_came_back", Channel.STAFF)]
            assert asked or row.request_no in told, row
            self.seen["came back late"] += 1
        if decided:
            self.finance_decides_about_what_came_back("AGAIN")

    @rule(shop=SHOPS, fen=st.integers(1, 20_000), pays=st.booleans(), returns=st.booleans(), back=st.booleans())
    def the_shop_moves_to_the_platform(self, shop: str, fen: int, pays: bool, returns: bool, back: bool) -> None:
        """It settles and pays its own; what is then free of our time is listed and told until it has paid that, too (STL-1)."""
        if self.moves_to(shop, "PLATFORM"):
            at = (self.office.clock.at - timedelta(hours=1)).isoformat()
            said = {"shop_id": shop, "settlement_id": f"stl-{next(kit.NUMBERS)}", "amount_fen": fen, "settled_at": at}
            self.office.send("receivable.settled", said)
            if returns:
                self.what_had_arrived_comes_back(0, decided=False)
            if pays:
                self.the_platform_pays(shop, fen)
            self.what_is_freed_is_told_and_listed_until_it_is_paid(shop)
            self.seen["moved"] += 1
        if back:
            self.moves_to(shop, "OFFICE")

    def moves_to(self, shop: str, settler: str) -> bool:
        since = self.office.clock.at + timedelta(days=1)
        self.office.send("settlement.assigned", {"shop_id": shop, "settler": settler, "since": since.isoformat()})
        self.office.clock.advance(timedelta(days=1, hours=2))
        with db.reading() as tx:
            return settling.switches(tx, shop)[0].since == since

    def the_platform_pays(self, shop: str, fen: int) -> None:
        said = {"shop_id": shop, "payment_id": f"out-{next(kit.NUMBERS)}", "amount_fen": fen}
        self.office.send("receivable.paid_out", said | {"paid_at": self.office.clock.at.isoformat()})

    def what_is_freed_is_told_and_listed_until_it_is_paid(self, shop: str) -> None:
        sides.tell_freed()
        self.office.settle()
        with db.reading() as tx:
            freed, part = settling.freed(tx, shop), settling.platforms_part(tx, shop)
        for one in freed:
            told = [(said["shop_id"], said["amount_fen"]) for said in self.office.events("receivable.freed")]
            assert (shop, one.fen) in told and one.open_fen <= part
            self.the_platform_pays(shop, part)
            with db.reading() as tx:
                assert settling.freed(tx, shop) == []
            self.seen["freed"] += 1

    @rule(what=st.sampled_from(["AGAIN", "DEFER"]))
    def finance_decides_about_what_came_back(self, what: str) -> None:
        for case in self.going(CaseKind.SETTLEMENT_RETURN):
            if any(review.state in review_gates.OPEN for review in self.office.reviews(case)):
                self.answer(case, what, "DEFER")
                self.seen[what] += 1

    def answer(self, case: Case, *verdicts: str, **extra: Any) -> None:
        for verdict in (verdict for one in verdicts for verdict in (one, one)):  # what has changed is shown once more
            question = self.office.question(case)
            second = question.gate.endswith("second")
            outcome = self.office.answer(
                question, "chen-jie" if second else "wang-fang", "CONFIRM" if second else verdict, "核对完毕", **extra
            )
            if outcome.accepted:
                return
        raise AssertionError(outcome.sentence)

    # ── what there is ──

    def all(self, table: type[Any]) -> list[Any]:
        with db.reading() as tx:
            rows = list(tx.exec(select(table)))
            tx.expunge_all()
        return sorted(rows, key=lambda row: str(getattr(row, "id", getattr(row, "request_no", ""))))

    def going(self, kind: CaseKind) -> list[Case]:
        return [case for case in self.office.cases() if case.kind is kind and case.concluded_at is None]

    @invariant()
    def everything_agrees(self) -> None:
        if not hasattr(self, "office"):
            return
        kit.money_sound(self.office)
        self.nothing_left_on_old_facts_or_over_what_stands_in_the_way()
        orders, sales, rows, payouts = (self.all(one) for one in (SettlementOrder, Aftersale, Settlement, Payout))
        known = {order.id for order in orders}
        posted = {(row.half, row.shop_id) for row in rows if row.state is not SettlementState.DRAFT}
        moved = self.all(Transfer)
        for shop in ("shop-1", "shop-2"):
            everything = sum(one.net_fen for one in orders if one.shop_id == shop)
            everything += sum(one.net_fen for one in sales if one.shop_id == shop and one.order_id in known)
            to_come = sum(
                one.net_fen
                for one in (*orders, *sales)
                if one.shop_id == shop
                and (not isinstance(one, Aftersale) or one.order_id in known)
                and (one.half, shop) not in posted
            )
            out = sum(
                one.amount_fen
                for one in payouts
                if one.shop_id == shop and one.state in {PayoutState.REQUESTED, PayoutState.SETTLED}
            )
            mine = [row for row in rows if row.shop_id == shop and row.state is not SettlementState.DRAFT]
            set_off = sum(row.set_off_fen for row in mine)
            carried = sum(row.carried_fen for row in mine if row.taken_on is None)
            free = self.office.balance(AccountKind.RECEIVABLE, shop)
            theirs = sum(
                one.amount_fen for one in moved if one.reason == "receivable.settled" and shop in one.credit_account
            )
            theirs -= sum(
                one.amount_fen for one in moved if one.reason == "receivable.paid_out" and shop in one.debit_account
            )
            assert everything + theirs == to_come + out + set_off + free + carried, (
                shop,
                everything,
                to_come,
                out,
                free,
            )
        self.nothing_is_forgotten(orders, sales, posted)

    def nothing_left_on_old_facts_or_over_what_stands_in_the_way(self) -> None:
        """Ambiguities 24, 27 and 38, of whatever was ordered since this was looked at last."""
        new = [row for row in self.all(Payout) if row.request_no not in self.ordered]
        self.ordered |= {row.request_no for row in new}
        facts = {row.shop_id: row for row in self.all(ShopSnapshot)} if new else {}
        contradicted = {one.shop_id: one.received_at for one in self.all(BankContradiction) if one.closed_at is None}
        for row in new:
            assert row.requested_at - facts[row.shop_id].as_of <= timedelta(hours=24), row
            assert row.requested_at <= contradicted.get(row.shop_id, row.requested_at), row
            self.everybody_saw_what_is_paid_again(row)

    def everybody_saw_what_is_paid_again(self, row: Payout) -> None:
        """Ambiguity 23: this amount, over nothing that stands in the way."""
        case = self.office.case(row.case_id)
        if case.kind is CaseKind.SETTLEMENT_RETURN:
            with db.reading() as tx:
                by = tx.get_one(Permit, row.permit_id).granted_by.split(",")
            last = {one.decided_by: one.seen or {} for one in self.office.reviews(case) if one.decided_by}
            assert all(last[who]["terms"]["amount"] == row.amount_fen and not last[who]["blocking"] for who in by)

    def nothing_is_forgotten(self, orders: list[Any], sales: list[Any], posted: set[tuple[str, str]]) -> None:
        """Every order lies in the half it belongs to, or a later one; in none while an after-sale of it is open."""
        settled = {half.id for half in self.all(Half) if half.state is HalfState.SETTLED}
        for order in orders:
            own = [sale.ended_at for sale in sales if sale.order_id == order.id]
            if (order.half, order.shop_id) in posted:
                continue
            target = order_half(order.own_half, own)
            assert (order.half is None) == (target is None), order
            assert order.half is None or (order.half >= str(target) and order.half not in settled), order

    def teardown(self) -> None:
        if hasattr(self, "office"):
            assert self.office.chains() == []
            for row in self.all(Settlement):
                self.seen[f"{row.state}"] += 1
                self.seen["arrears set off"] += row.set_off_fen > 0
                self.seen["platform's freeze"] += row.frozen_fen > 0
                self.seen[f"hold {row.hold}"] += 1
            for order in self.all(SettlementOrder):
                self.seen["settled later"] += order.half is not None and order.half > order.own_half


ENOUGH = {
    "2026-2": 1, "2028-2": 1, "2026-12": 1, "halves": 6, "late order": 1, "settled later": 1, "PAID": 2,
    "HELD": 1, "arrears set off": 1, "held out": 1, "RETURNED": 1, "ban proposed": 1,
    "hold OLD_FACTS": 1, "contradictions": 1, "came back late": 1, "moved": 1,
}  # fmt: skip
"""How often it must have come to this."""
SEVERAL = 2


@rounds(SEVERAL)
def test_whatever_comes_in_whatever_order_orders_payments_holds_and_ledger_agree(
    new_office: Callable[..., Office], session_folder: Path, number: int
) -> None:
    seen: Counter[str] = Counter()
    play(
        type("Machine", (Halves,), {"make_office": staticmethod(new_office), "seen": seen}),
        seen,
        ENOUGH,
        examples=4,
        steps=20,
        number=number,
        of=SEVERAL,
        shared=session_folder / "halves",
    )
