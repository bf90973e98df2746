"""Random bindings: whoever asks, scans, agrees and lets go in whatever order, the register never holds what it may not (BND)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlmodel import select

from models.bindings import Binding, BindingKind
from models.cases import Case, CaseKind, CaseState
from office.base.db import reading
from tasks.sight.accounts import shop_accounts
from tests import accounts
from tests.machines import play, rounds
from tests.play import Office

SHOPS = ("shop-1", "shop-2")
SHOP = st.sampled_from(SHOPS)
ACCOUNT = st.sampled_from(["dy-1", "dy-2", "dy-3"])
TWICE = st.booleans()
DAYS_BOUND = timedelta(days=180)


class Bindings(RuleBasedStateMachine):
    """Two shops, three accounts that each may want, and the time that passes."""

    make_office: Callable[[], Office]
    seen: Counter[str]

    @initialize()
    def begin(self) -> None:
        self.office = self.make_office()
        for shop in SHOPS:
            self.office.open_shop(shop, contacts=[])
        self.agreed: set[str] = set()
        self.wanted_six = False

    # ── what the shops and the accounts' sides do ──

    @rule(shop=SHOP)
    def asks_for_an_official_account(self, shop: str) -> None:
        accounts.ask(self.office, shop)

    @rule(account=ACCOUNT, accepts=st.sampled_from([True, True, False]), twice=TWICE)
    def whoever_has_a_link_answers(self, account: str, accepts: bool, twice: bool) -> None:
        for case in self.going(BindingKind.OFFICIAL):
            for _ in range(1 + twice):
                accounts.scan(self.office, case, account)
                accounts.answer(self.office, case, account, accepts)

    @rule(account=ACCOUNT, twice=TWICE)
    def the_shops_confirm(self, account: str, twice: bool) -> None:
        for case in self.going(BindingKind.OFFICIAL):
            for _ in range(1 + twice):
                accounts.confirm(self.office, case, account)

    @rule(shop=SHOP, account=ACCOUNT)
    def a_whole_handshake(self, shop: str, account: str) -> None:
        case = accounts.ask(self.office, shop)
        if self.office.case(case.id).concluded_at is None:
            accounts.scan(self.office, case, account)
            accounts.answer(self.office, case, account)
            accounts.confirm(self.office, case, account)

    @rule(
        shop=SHOP,
        account=st.sampled_from([f"tt-{n}" for n in range(8)]),
        right=st.sampled_from([True, True, False]),
        twice=TWICE,
    )
    def a_channel_is_asked_for_and_a_code_entered(self, shop: str, account: str, right: bool, twice: bool) -> None:
        case = accounts.ask_channel(self.office, account, shop)
        for _ in range(1 + twice):
            if accounts.codes(self.office, case):
                accounts.enter(self.office, case, "" if right else accounts.wrong(self.office, case))

    @precondition(lambda self: not self.wanted_six)
    @rule()
    def a_shop_wants_six_channels_and_lets_one_go_when_it_may(self) -> None:
        self.wanted_six = True  # once a sequence: else chance plays little else
        for number in range(6):
            self.a_channel_is_asked_for_and_a_code_entered("shop-1", f"tt-{number}", right=True, twice=False)
        self.time_passes(DAYS_BOUND)
        self.a_shop_lets_go("shop-1", 0, twice=True)

    @rule(
        shop=SHOP,
        account=ACCOUNT,
        ours=st.sampled_from([50_000, 60_000, 60_000]),
        agrees=st.sampled_from([True, True, False]),
        twice=TWICE,
    )
    def a_talent_is_marked_and_answers(self, shop: str, account: str, ours: int, agrees: bool, twice: bool) -> None:
        accounts.month(self.office, ours, account=account, shop_id=shop)
        (case,) = accounts.mark(self.office, account, shop_id=shop)
        for _ in range(1 + twice):
            accounts.consent(self.office, case, agrees, account)
        if agrees:
            self.agreed.add(case.id)

    @rule(shop=SHOP, account=ACCOUNT)
    def a_talent_agrees_and_takes_it_back(self, shop: str, account: str) -> None:
        self.a_talent_is_marked_and_answers(shop, account, 60_000, agrees=True, twice=False)
        self.a_talent_takes_it_back(account)

    @rule(account=ACCOUNT)
    def a_talent_takes_it_back(self, account: str) -> None:
        accounts.withdraw_consent(self.office, account)

    @rule(shop=SHOP, which=st.integers(0, 9), twice=TWICE)
    def a_shop_lets_go(self, shop: str, which: int, twice: bool) -> None:
        mine = [row for row in self.register() if row.shop_id == shop and row.in_force]
        if mine:
            row = mine[which % len(mine)]
            for _ in range(1 + twice):
                self.office.send(
                    "account.unbind_requested",
                    {
                        "shop_id": shop,
                        "account_id": f"acct-{shop}",
                        "kind": row.kind,
                        "platform": row.platform,
                        "target_account_id": row.account_id,
                    },
                )

    @rule(which=st.integers(0, 9))
    def a_wish_is_taken_back(self, which: int) -> None:
        if going := self.going():
            case = going[which % len(going)]
            self.office.send("account.binding_withdrawn", self.office._from_owner(case))

    @rule(
        by=st.sampled_from(
            [timedelta(seconds=61), timedelta(minutes=31), timedelta(hours=25), timedelta(days=8), DAYS_BOUND]
        )
    )
    def time_passes(self, by: timedelta) -> None:
        self.office.clock.advance(by)
        self.office.sweep()

    # ── what there is ──

    def register(self) -> list[Binding]:
        with reading() as tx:
            rows = list(tx.exec(select(Binding).order_by(Binding.case_id)))
            tx.expunge_all()
        return rows

    def going(self, *kinds: BindingKind) -> list[Case]:
        of = {row.case_id: row.kind for row in self.register()}
        return [
            case
            for case in self.office.cases()
            if case.kind is CaseKind.ACCOUNT_BINDING
            and case.concluded_at is None
            and (not kinds or of[case.id] in kinds)
        ]

    @invariant()
    def the_register_is_sound(self) -> None:
        if not hasattr(self, "office"):
            return
        rows = self.register()
        live = [row for row in rows if row.in_force]

        def most(kind: BindingKind, *by: str) -> int:
            counted = Counter(tuple(getattr(row, name) for name in by) for row in live if row.kind is kind)
            return max(counted.values(), default=0)

        assert most(BindingKind.OFFICIAL, "shop_id") <= 1 >= most(BindingKind.OFFICIAL, "account_id")  # BND-1
        assert most(BindingKind.CHANNEL, "shop_id") <= 5  # BND-5
        assert most(BindingKind.CHANNEL, "platform", "account_id") <= 1
        assert most(BindingKind.SELF_OPERATED, "account_id") <= 1  # BND-12
        for row in rows:
            if row.kind is BindingKind.OFFICIAL:
                assert row.ended_at is None, row  # BND-3
            elif row.kind is BindingKind.CHANNEL and row.ended_at and row.bound_at:
                assert row.ended_at >= row.bound_at + DAYS_BOUND, row  # BND-8
            elif row.bound_at and row.kind is BindingKind.SELF_OPERATED:
                assert row.case_id in self.agreed, row  # BND-10
        ended = {case.id: case for case in self.office.cases() if case.kind is CaseKind.ACCOUNT_BINDING}
        for row in rows:
            assert (ended[row.case_id].outcome is CaseState.BOUND) == (row.bound_at is not None), row
        for shop in SHOPS:  # BND-15
            listed = sorted((one.kind, one.account_id) for one in shop_accounts(shop).accounts)
            assert listed == sorted((row.kind, str(row.account_id)) for row in live if row.shop_id == shop)

    def teardown(self) -> None:
        if hasattr(self, "office"):
            assert self.office.chains() == []
            for row in self.register():
                self.seen[f"{row.kind} bound"] += row.bound_at is not None
                self.seen[f"{row.kind} let go"] += row.ended_at is not None
            for case in self.office.cases():
                self.seen[f"{case.outcome} {case.outcome_clause}"] += case.kind is CaseKind.ACCOUNT_BINDING


ENOUGH: dict[str, Any] = {
    "OFFICIAL bound": 1,
    "CHANNEL bound": 3,
    "SELF_OPERATED bound": 1,
    "SELF_OPERATED let go": 1,
}
"""How often it must have come to this."""


@rounds(1)
def test_whatever_is_asked_in_whatever_order_the_register_holds_only_what_it_may(
    new_office: Callable[..., Office], session_folder: Path, number: int
) -> None:
    seen: Counter[str] = Counter()
    play(
        type("Machine", (Bindings,), {"make_office": staticmethod(new_office), "seen": seen}),
        seen,
        ENOUGH,
        examples=4,
        steps=20,
        number=number,
        of=1,
        shared=session_folder / "bindings",
    )
