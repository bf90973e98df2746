"""Anything that can happen to appeals, in any order, with workers dying before and after every effect.

Held throughout: one final outcome, money once, every message to the merchant at most once and none missing,
nothing accepted after a window, nothing lost inside it, the audit chain whole. What left us and when is taken from
a witness outside, and the windows are reckoned from that and from what was sent, never from our own records.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from sqlmodel import col, select

from models.arbitration import (
    Appeal,
    Conclusion,
    EvidenceSubmission,
    Handling,
    MoneyReturn,
    Ruling,
    RulingKind,
    VoidCause,
)
from models.audit import AuditEntry
from models.books import AccountKind, Transfer
from models.cases import Case, CaseDeadline, CaseKind, CaseState, DeadlineState
from models.messages import InboxMessage, InboxState, OutboxMessage, OutboxState
from models.reviews import Review, Role
from models.shops import ShopState
from office.base.db import in_transaction, reading
from office.cases import reviews, routing
from office.record import inbox, outbox
from office.record.inbox import Arrival, Receipt
from office.staff import staff
from policies.appeal import counters
from tasks import delivery
from tasks.appeal import review as appeal_review
from tasks.settlement import sides
from tasks.shops import settling
from tests.appeals.bench import Bench
from tests.appeals.witness import FILING, Witness, whole
from tests.deaths import mortal, until_done
from tests.machines import play, rounds
from tests.play import FILES, JUDGMENT, PEOPLE, REPORT, Office

EDGES = st.sampled_from([timedelta(seconds=-1), timedelta(0), timedelta(milliseconds=900), timedelta(seconds=1)])
"""Around the last second of a window: that second counts to its end, the next one does not."""
DEATHS = st.sampled_from(["", "", "before", "after"])
CUT_SHORT = frozenset({CaseState.MOOT, CaseState.SUPERSEDED})
"""Ends that come from outside and at any moment."""


@dataclass(frozen=True)
class Sent:
    """A message as its sender remembers it."""

    arrival: Arrival
    at: datetime
    about: str
    """The ruling (a filing) or the case (evidence)."""
    good: bool = True
    """From the owner, with something new in it."""


class Appeals(RuleBasedStateMachine):
    make_office: Callable[[], Office]
    seen: Counter[str]

    def __init__(self) -> None:
        super().__init__()
        self.office = type(self).make_office()
        self.clock = self.office.clock
        self.witness = Witness(self.clock)
        delivery.use_notifier(self.witness)
        self.office.hire("tang-wei", "arbitrator")
        self.bench = Bench(self.office)
        self.rulings: dict[str, datetime] = {}
        self.sent: list[Sent] = []
        self.outcomes: dict[str, str] = {}
        self.numbers = itertools.count(1)
        self.fuse: tuple[str, int] | None = None
        self.known: dict[str, Any] = {}
        self.died = 0
        self.roleless = ""
        self.mortality = mortal(self._strike)
        self.mortality.__enter__()

    # ── what can happen ──

    @initialize(
        fen=st.sampled_from([[20_000, 0], [300_000, 20_000], [20_000, 300_000], [0]]),
        read=st.booleans(),
        asked=st.booleans(),
        moved=st.booleans(),
    )
    def a_merchant_appeals(self, fen: list[int], read: bool, asked: bool, moved: bool) -> None:
        """``moved``: of a shop that we have settled for some days, and the platform does again."""
        for settler, days in (("OFFICE", 20), ("PLATFORM", 10)) if moved else ():
            since = (self.clock.at - timedelta(days=days)).isoformat()
            said = {"shop_id": self.bench.shop_id, "settler": settler, "since": since}
            self.office.send("settlement.assigned", said)
        self.moved = moved
        for amount in fen:
            self._ruling(amount)
        self._file(next(iter(self.rulings)), read=read or asked)
        if asked:
            self._answer(self._questions()[0], "INSUFFICIENT")

    @precondition(lambda self: len(self.rulings) < 3)
    @rule(fen=st.sampled_from([0, 20_000, 300_000]), days_ago=st.sampled_from([0, 0, 1, 6, 8]))
    def a_ruling_takes_effect(self, fen: int, days_ago: int) -> None:
        self._ruling(fen, timedelta(days=days_ago))

    @precondition(lambda self: len(self.rulings) < 3)
    @rule(fen=st.sampled_from([5_000, 300_000]))
    def a_deduction_pays_a_buyer(self, fen: int) -> None:
        number = f"ded-{next(self.numbers)}"
        self.rulings[f"deduction/{number}"] = self.clock.at
        self._compensates(fen, number, order_id="order-88")

    def _compensates(self, fen: int, number: str, **matter: str) -> None:
        self._do(
            lambda: self.office.deduct(
                fen,
                number,
                reason="ADVANCE_COMPENSATION",
                shop_id=self.bench.shop_id,
                clause="先行赔付规则第五条",
                **matter,
            )
        )

    @rule(which=st.integers(0, 2), fen=st.sampled_from([5_000, 300_000]), by=st.sampled_from(["ruling", "arbitration"]))
    def a_deduction_turns_out_to_carry_out_a_ruling(self, which: int, fen: int, by: str) -> None:
        """One matter, told in two reports: one appeal, one window from the later of the two (ambiguity 32)."""
        with reading() as tx:
            alone = select(Ruling.id).where(
                Ruling.kind == RulingKind.RULING,
                Ruling.deduction_fen == 0,
                col(Ruling.voided_at).is_(None),
                Ruling.conclusion == Conclusion.MERCHANT_LIABLE,
                col(Ruling.posting).is_(None),
            )
            found = [name for name in tx.exec(alone.order_by(col(Ruling.id))) if name in self._unheard()]
        if not found:
            return
        name, number, at = found[which % len(found)], f"ded-{next(self.numbers)}", self.clock.at
        self._compensates(fen, number, **{"ruling_id": name} if by == "ruling" else {"arbitration_id": f"arb-{name}"})
        if self.bench.ruling(name).posting:  # otherwise the matter has ended in the meantime
            self.rulings[name] = max(at, self.rulings[name])
            self.seen["reports linked"] += 1

    @rule(which=st.integers(0, 2), read=st.booleans(), luck=st.integers(0, 3), dies=DEATHS)
    def the_merchant_files(self, which: int, read: bool, luck: int, dies: str) -> None:
        names = self._unheard() if luck else list(self.rulings)
        if names:
            self._may_die(dies)
            self._file(names[which % len(names)], read=read, empty=luck == 1)

    @rule(which=st.integers(0, 2), offset=EDGES, read=st.booleans())
    def the_merchant_files_at_the_edge(self, which: int, offset: timedelta, read: bool) -> None:
        ends = [(name, whole(self.rulings[name]) + FILING + offset) for name in self._unheard()]
        ahead = [(name, end) for name, end in ends if end >= self.clock.at]
        if ahead:
            name, self.clock.at = ahead[which % len(ahead)]
            self._file(name, read=read)

    @rule(
        which=st.integers(0, 5),
        read=st.booleans(),
        how=st.sampled_from(["fresh"] * 4 + ["stale", "stranger"]),
        dies=DEATHS,
    )
    def the_merchant_sends_evidence(self, which: int, read: bool, how: str, dies: str) -> None:
        self._may_die(dies)
        found = self._asked() or self._appeals()
        if found:
            self._send_evidence(found[which % len(found)], read, how)

    @precondition(lambda self: self._asked())
    @rule(which=st.integers(0, 5), offset=EDGES, read=st.booleans())
    def the_merchant_sends_evidence_at_the_edge(self, which: int, offset: timedelta, read: bool) -> None:
        ends = [(case, self.witness.evidence_until(case.id)) for case in self._asked()]
        ahead = [(case, end + offset) for case, end in ends if end and end + offset >= self.clock.at]
        if ahead:
            case, self.clock.at = ahead[which % len(ahead)]
            self._send_evidence(case, read)

    @precondition(lambda self: self._questions("appeal-"))
    @rule(which=st.integers(0, 5), verdict=st.sampled_from(["INSUFFICIENT"] * 3 + ["UPHOLD", "DISMISS"]), dies=DEATHS)
    def an_arbitrator_decides(self, which: int, verdict: str, dies: str) -> None:
        self._may_die(dies)
        questions = self._questions("appeal-")
        question = questions[which % len(questions)]
        self._answer(question, verdict if verdict in question.verdicts else ["UPHOLD", "DISMISS"][which % 2])

    @precondition(lambda self: self._questions())
    @rule(which=st.integers(0, 5), luck=st.integers(0, 7), handling=st.sampled_from(list(Handling)), dies=DEATHS)
    def somebody_does_their_work(self, which: int, luck: int, handling: Handling, dies: str) -> None:
        self._may_die(dies)
        questions = self._questions("compensation") or self._questions()
        question = questions[which % len(questions)]
        self._answer(question, question.verdicts[luck == 0], handling)

    @precondition(lambda self: self._questions())
    @rule(which=st.integers(0, 5), who=st.sampled_from(sorted(PEOPLE)), verdict=st.integers(0, 2))
    def somebody_decides_who_may_not(self, which: int, who: str, verdict: int) -> None:
        questions = self._questions()
        question = questions[which % len(questions)]
        if who not in self._able(question):
            choice = question.verdicts[verdict % len(question.verdicts)]
            self._do(lambda: self.office.answer(question, who, choice, "理由充分"))
            assert all(now.decided_by != who for now in self.office.reviews(question.case_id) if now.id == question.id)

    @precondition(lambda self: not self._all("arbitration.withdrawal_requested"))
    @rule(which=st.integers(0, 2), read=st.booleans(), luck=st.integers(0, 1))
    def somebody_asks_to_withdraw(self, which: int, read: bool, luck: int) -> None:
        if luck == 0:
            ruled = [name for name in self.rulings if not name.startswith("deduction/")]  # by an arbitration
            name = ruled[which % len(ruled)]
            self._arrive(
                "arbitration.withdrawal_requested",
                {
                    "shop_id": self.bench.shop_id,
                    "arbitration_id": f"arb-{name}",
                    "reason": "BUYER_GIVES_UP",
                    "requested_by": "BUYER",
                },
                name,
                read,
            )

    @precondition(lambda self: not any(sent.about == "cleared" for sent in self._all("ruling.effective")))
    @rule(which=st.integers(0, 2), read=st.booleans(), luck=st.integers(0, 3))
    def an_arbitration_finds_that_it_was_not_the_merchant(self, which: int, read: bool, luck: int) -> None:
        if luck == 0:
            ruled = [name for name in self.rulings if not name.startswith("deduction/")]
            name = ruled[which % len(ruled)]
            self._arrive(
                "ruling.effective",
                self.bench.ruled(
                    f"clear-{name}",
                    arbitration_id=f"arb-{name}",
                    aftersale_id=f"as-{name}",
                    conclusion="NOT_MERCHANT",
                    points=0,
                    deduction_fen=0,
                ),
                "cleared",
                read,
            )

    def _papers(self, paper: dict[str, Any]) -> list[dict[str, Any]]:
        """A paper whose file is here."""
        self.bench.stage(FILES[paper["sha256"]])
        return [paper]

    @precondition(lambda self: not self._all("ruling.correction_proposed"))
    @rule(which=st.integers(0, 2), read=st.booleans(), luck=st.integers(0, 2))
    def a_court_has_judged(self, which: int, read: bool, luck: int) -> None:
        if luck == 0:
            name = list(self.rulings)[which % len(self.rulings)]
            self._arrive(
                "ruling.correction_proposed",
                self._named(name)
                | {
                    "shop_id": self.bench.shop_id,
                    "court": "杭州互联网法院",
                    "judgment_no": "(2026)浙0192民初1号",
                    "judged_on": self.clock.at.isoformat(),
                    "summary": "判决认定商家已按时发货。",
                    "proposed_by": "legal-3",
                    "documents": self._papers(JUDGMENT),
                },
                name,
                read,
            )

    @precondition(lambda self: not self._all("forced_closure.proposed"))
    @rule(read=st.booleans(), luck=st.integers(0, 2), end=st.sampled_from(["pending", "dropped", "confirmed"]))
    def a_ban_is_proposed_while_appeals_run(self, read: bool, luck: int, end: str) -> None:
        """It stays open until everybody does their work, or is decided at once: appeals go on either way."""
        if luck == 0:
            self._arrive(
                "forced_closure.proposed",
                {
                    "shop_id": self.bench.shop_id,
                    "proposal_id": "prop-1",
                    "violation": "售卖假冒商品",
                    "clause": "DED-7",
                    "description": "抽检 3 批次均为假冒商品。",
                    "proposed_by": "risk-17",
                    "documents": self._papers(REPORT),
                },
                self.bench.shop_id,
                read,
            )
            for _ in range(2 if end != "pending" else 0):
                for question in self._questions("forced-"):
                    self._answer(question, question.verdicts[0 if end == "confirmed" else 1])
            self.seen[f"ban {end}"] += 1

    @rule(person=st.sampled_from(["sun-lei", "zhou-yan", "tang-wei", "wang-fang", ""]))
    def somebody_loses_their_roles_and_another_gets_them_back(self, person: str) -> None:
        for name, roles in ((self.roleless, self._roles().get(self.roleless)), (person, {Role.INVOICE_CLERK})):
            if name and roles:
                kept, called = self.office.secrets[name], PEOPLE.get(name, (name, []))[0]
                held = sorted(Role(role) for role in roles)
                self._do(
                    partial(
                        in_transaction, lambda tx, n=name, c=called, r=held, s=kept: staff.enrol(tx, n, c, r, secret=s)
                    )
                )  # type: ignore[misc]
        self.roleless = person
        self.seen["roles lost"] += bool(person)

    @rule(which=st.integers(0, 5), read=st.booleans())
    def the_merchant_turns_elsewhere(self, which: int, read: bool) -> None:
        if found := self._appeals():
            case = found[which % len(found)]
            self._arrive(
                "escalation.noted",
                {
                    "shop_id": self.bench.shop_id,
                    "case_id": case.id,
                    "channel": "LAWSUIT",
                    "note": "已立案。",
                },
                case.id,
                read,
            )

    @rule(which=st.integers(0, 30), other_bytes=st.booleans())
    def a_message_comes_again(self, which: int, other_bytes: bool) -> None:
        arrival = self.sent[which % len(self.sent)].arrival
        if other_bytes:
            arrival = arrival.model_copy(update={"body": arrival.body.replace(b'"data": {', b'"data": {"odd": 1, ', 1)})
        receipt = inbox.receive(arrival, routing.on_conflict)
        assert receipt in ({Receipt.CONFLICT} if other_bytes else {Receipt.SAME, Receipt.REFUSED})
        self._do(self.office.settle)

    @rule(hours=st.sampled_from([1, 6, 24]))
    def nobody_can_be_reached_for_hours(self, hours: int) -> None:
        self.witness.deaf_until = self.clock.at + timedelta(hours=hours)

    @precondition(lambda self: self.clock.at < self.witness.deaf_until)
    @rule()
    def the_courier_tries_until_it_gives_up(self) -> None:
        self.witness.deaf_until += timedelta(hours=24)
        for _ in range(12):
            if not (waiting := self._undelivered()):
                return
            self.clock.at = max(self.clock.at, min(waiting))
            self._do(self.office.settle)

    @rule(hours=st.sampled_from([1, 12, 24, 71, 72, 73]))
    def time_passes(self, hours: int) -> None:
        self.clock.advance(timedelta(hours=hours))
        self._sweep()

    @rule()
    def the_sweep_runs(self) -> None:
        self._sweep()

    @rule(fuse=st.integers(0, 2), when=st.sampled_from(["before", "after"]))
    def a_worker_dies_later(self, fuse: int, when: str) -> None:
        self.fuse = (when, fuse)

    # ── how it happens ──

    def _may_die(self, when: str) -> None:
        """The worker that takes up what comes next dies over its first effect."""
        self.fuse = (when, 0) if when else self.fuse

    def _strike(self, at: str, _key: str) -> bool:
        if self.fuse is None or at != self.fuse[0]:
            return False
        self.fuse = (at, self.fuse[1] - 1)
        if self.fuse[1] >= 0:
            return False
        self.fuse = None
        self.died += 1
        return True

    def _do(self, act: Callable[[], Any]) -> Any:
        self.known.clear()
        return until_done(self.office, act)

    def _once(self, what: str, look: Callable[[], Any]) -> Any:
        """What was seen since anything was last done."""
        if what not in self.known:
            self.known[what] = look()
        return self.known[what]

    def _ruling(self, fen: int, ago: timedelta = timedelta(0)) -> None:
        name = f"rul-{next(self.numbers)}"
        self.rulings[name] = self.clock.at - ago
        self._do(lambda: self.bench.rule(name, effective_at=self.rulings[name], deduction_fen=fen))

    @staticmethod
    def _named(name: str) -> dict[str, str]:
        number = name.removeprefix("deduction/")
        return {"ruling_id" if number == name else "deduction_id": number}

    def _unheard(self) -> list[str]:
        """What nobody has appealed against yet."""
        filed = {sent.about for sent in self._all("appeal.filed")}
        return [name for name in self.rulings if name not in filed]

    def _file(self, name: str, *, read: bool, empty: bool = False) -> None:
        data = self.bench.filing("", [] if empty else None)
        del data["ruling_id"]
        self._arrive("appeal.filed", data | self._named(name), name, read, good=not empty)

    def _send_evidence(self, case: Case, read: bool, how: str = "fresh") -> None:
        items = [ref["id"] for ref in case.request["evidence"]] if how == "stale" else None
        data = self.bench.more(case, items or None)
        if how == "stranger":
            data["account_id"] = "acct-somebody-else"
        good = how == "fresh" or (how == "stale" and not items)
        self._arrive("appeal.evidence_submitted", data, case.id, read, good=good)

    def _arrive(self, type_: str, data: dict[str, Any], about: str, read: bool, good: bool = True) -> None:
        arrival = self.bench.arrival(type_, data)
        inbox.receive(arrival, routing.on_conflict)
        self.sent.append(Sent(arrival, self.clock.at, about, good))
        if read:
            self._do(self.office.settle)

    def _all(self, type_: str) -> list[Sent]:
        return [sent for sent in self.sent if sent.arrival.type == type_]

    def _appeals(self) -> list[Case]:
        """Cases of the appeals filed, in the order of filing."""
        by_origin = {case.origin: case for case in self._once("cases", self.office.cases)}
        origins = [f"platform/{sent.arrival.message_id}" for sent in self._all("appeal.filed")]
        return [by_origin[origin] for origin in origins if origin in by_origin]

    def _asked(self) -> list[Case]:
        """Those whose merchant was told to bring more."""
        told = self.witness.told()
        return [case for case in self._appeals() if told["appeal_evidence_requested", case.id]]

    def _sweep(self) -> None:
        self._do(self.office.sweep)

    def _questions(self, gate: str = "") -> list[Review]:
        """Open questions of gates whose name begins so, in the order in which their cases came."""

        def look() -> list[Review]:
            with reading() as tx:
                order = {case.id: (case.received_at, case.origin) for case in tx.exec(select(Case))}
                found = reviews.waiting(tx)
                tx.expunge_all()
            return sorted(found, key=lambda review: (order[review.case_id], review.gate, review.round))

        return [review for review in self._once("questions", look) if review.gate.startswith(gate)]

    def _able(self, review: Review) -> list[str]:
        people = self._roles() | ({self.roleless: {"invoice-clerk"}} if self.roleless else {})
        return [name for name, roles in people.items() if roles & set(review.roles) and name not in review.excluded]

    @staticmethod
    def _roles() -> dict[str, set[str]]:
        return {name: {*roles} for name, (_, roles) in PEOPLE.items()} | {"tang-wei": {"arbitrator"}}

    def _answer(self, review: Review, verdict: str, handling: Handling = Handling.TO_DEPOSIT) -> None:
        """Somebody who may answers; facts that changed meanwhile are looked at and answered again."""
        if (
            self.office.shop(self.bench.shop_id).state is ShopState.FORCED_CLOSED
        ):  # nothing goes into its deposit any more
            handling = handling if handling in {Handling.NO_MONEY, Handling.BUYER_KEEPS} else Handling.TO_RECEIVABLE
        extra = {"contact": "电话联系店主", "handling": handling.value} if review.gate == "compensation-service" else {}
        last = "SEND_BACK" if review.gate == "compensation-finance" else verdict  # agreed before the shop was banned
        for says in (verdict, verdict, last):
            found = [now for now in self._questions() if now.id == review.id]
            if found and self._able(found[0]):
                who = self._able(found[0])[0]
                self._do(partial(self.office.answer, found[0], who, says, "理由充分", **extra))

    # ── what holds ──

    @invariant()
    def an_outcome_once_reached_stays(self) -> None:
        cases: list[Case] = self._once("cases", self.office.cases)
        now = {case.id: str(case.outcome) for case in cases if case.outcome}
        assert {case_id: now[case_id] for case_id in self.outcomes} == self.outcomes
        self.outcomes = now

    @invariant()
    def no_message_to_the_merchant_arrives_twice(self) -> None:
        assert set(self.witness.words.values()) <= {1}

    @invariant()
    def money_moves_once(self) -> None:
        self._once("money", self._money)

    def _money(self) -> None:
        assert self.office.books() == []
        with reading() as tx:
            posted = {row.key: row.amount_fen for row in tx.exec(select(Transfer))}
            returns = {row.ruling_id: row for row in tx.exec(select(MoneyReturn))}
            rulings = list(tx.exec(select(Ruling)))
        for row in rulings:
            key = row.posting or (row.id if row.kind is RulingKind.DEDUCTION else f"ruling/{row.id}")
            taken = [fen for name, fen in posted.items() if name in {key, f"{key}/arrears"}]
            back = [fen for name, fen in posted.items() if name.startswith(f"return/{row.id}/")]
            reversed_ = [fen for name, fen in posted.items() if name.startswith(f"reversed/{row.posting or '-'}/")]
            assert sum(taken) - sum(reversed_) == row.deduction_fen, "deducted once, and all of it"
            assert not reversed_ or (row.void_cause is VoidCause.MERCHANT_CLEARED and row.deduction_fen == 0)
            if row.id not in returns:
                assert not back
            elif returns[row.id].handling is Handling.BUYER_KEEPS:
                assert not any(back), "what the buyer keeps is returned to nobody"
            elif returns[row.id].handling is Handling.NO_MONEY:
                assert sum(back) <= row.arrears_fen, "only what was never taken is forgiven"
            else:
                assert sum(back) == row.deduction_fen, "returned once, and all of it"
            assert row.voided_at is not None or not back, "money of a valid ruling came back"
        valid = counters(rulings)
        assert self.bench.counters() == (valid.rulings, valid.points, valid.deducted_fen)

    @invariant()
    def no_window_is_stretched_or_cut(self) -> None:
        self._once("windows", self._windows)

    def _windows(self) -> None:
        with reading() as tx:
            states = {row.message_id: row.state for row in tx.exec(select(InboxMessage))}
            cases = {case.origin: case for case in tx.exec(select(Case).where(Case.kind == CaseKind.APPEAL))}
            admitted = {row.case_id: row.ruling_id for row in tx.exec(select(Appeal))}
            struck = {row.id for row in tx.exec(select(Ruling)) if row.voided_at is not None}
            first = {
                review.case_id: review.decided_at
                for review in tx.exec(select(Review).where(Review.gate == "appeal-review"))
                if review.verdict == "INSUFFICIENT" and review.decided_at
            }
        self._filings(states, cases, admitted, struck)
        for case in cases.values():
            self._evidence(case, states, first.get(case.id))

    def _filings(
        self, states: dict[str, InboxState], cases: dict[str, Case], admitted: dict[str, str], struck: set[str]
    ) -> None:
        for sent in self._all("appeal.filed"):
            if states[sent.arrival.message_id] is InboxState.NEW:
                continue
            case = cases[f"platform/{sent.arrival.message_id}"]  # everything filed has a case
            until = whole(self.rulings[sent.about]) + FILING
            in_time = whole(sent.at) <= until
            if case.id in admitted:
                assert in_time and sent.good, "accepted after the window, or without evidence"
            elif case.outcome_clause == "ARB-2":
                assert not in_time, "lost inside the window"
            elif case.outcome and in_time and sent.good and sent.about not in struck:
                assert sent.about in admitted.values(), "refused, and no other appeal is why"

    def _evidence(self, case: Case, states: dict[str, InboxState], asked: datetime | None) -> None:
        mine = [sent for sent in self._all("appeal.evidence_submitted") if sent.about == case.id]
        taken = [sent for sent in mine if states[sent.arrival.message_id] is InboxState.DONE]
        until = self.witness.evidence_until(case.id)
        assert len(taken) <= 1, "further evidence is sent once"
        assert all(sent.good and asked and (until is None or whole(sent.at) <= until) for sent in taken), (
            "taken too late"
        )
        due = [sent for sent in mine if sent.good and asked and asked <= sent.at]
        due = [sent for sent in due if until is None or whole(sent.at) <= until]
        read = [sent for sent in due if states[sent.arrival.message_id] is not InboxState.NEW]
        if read and case.outcome not in CUT_SHORT:
            assert taken and taken[0].at <= read[0].at, "lost inside the window"
        if case.outcome is CaseState.CLOSED_TIMEOUT:
            assert until is not None and not due and self.clock.at > until, "closed over a merchant who was in time"

    # ── and in the end ──

    def teardown(self) -> None:
        """Everybody does their work; then every case has ended and nothing is missing."""
        try:
            self._everybody_finishes()
            for check in (
                self.an_outcome_once_reached_stays,
                self.no_message_to_the_merchant_arrives_twice,
                self.money_moves_once,
                self.no_window_is_stretched_or_cut,
                self._nothing_is_left,
                self._the_merchant_was_told_everything,
            ):
                check()
            self._count()
        finally:
            self.mortality.__exit__(None, None, None)

    def _everybody_finishes(self) -> None:
        self.fuse = None
        self.somebody_loses_their_roles_and_another_gets_them_back("")
        self.witness.deaf_until = self.clock.at
        self._one_second_too_late()
        for turn in range(60):
            self._sweep()
            self._send_again_what_was_given_up()
            for question in reversed(self._questions()):  # what came last first: a withdrawal finds the appeal running
                last = {"deposit-overdue": -1}  # nobody pays: a longer window would not be the end of it
                either = turn % 2 if question.gate.startswith("appeal-") else last.get(question.gate, 0)
                self._answer(question, question.verdicts[either])
            if all(case.outcome for case in self.office.cases()) and not self._undelivered():
                return self._file(next(iter(self.rulings)), read=True)  # and one who tries again
            self.clock.at = self._next_moment()
        raise AssertionError([(case.id, case.state) for case in self.office.cases() if not case.outcome])

    def _one_second_too_late(self) -> None:
        """Every other time, whoever still has a window open misses it by as little as one can."""
        for case in self._asked():
            until = self.witness.evidence_until(case.id)
            if until and until > self.clock.at and case.outcome is None and self.died % 2:
                self.clock.at = until + timedelta(seconds=1)
                self._send_evidence(case, read=False)

    def _undelivered(self) -> list[datetime]:
        with reading() as tx:
            query = select(OutboxMessage.next_at).where(OutboxMessage.state == OutboxState.NEW)
            return list(tx.exec(query))

    def _next_moment(self) -> datetime:
        with reading() as tx:
            query = select(CaseDeadline.next_action_at).where(col(CaseDeadline.next_action_at).is_not(None))
            due = [*tx.exec(query), *tx.exec(select(InboxMessage.next_at).where(InboxMessage.state == InboxState.NEW))]
        ahead = [at for at in (*due, *self._undelivered()) if at and at > self.clock.at]
        return min(ahead, default=self.clock.at + timedelta(minutes=2))

    def _send_again_what_was_given_up(self) -> None:
        with reading() as tx:
            keys = list(tx.exec(select(OutboxMessage.key).where(OutboxMessage.state == OutboxState.DEAD)))
        for key in keys:
            in_transaction(lambda tx, key=key: outbox.resend(tx, key))  # type: ignore[misc]
        if keys:
            self.seen["given up and sent again"] += len(keys)
            self._do(self.office.settle)

    def _nothing_is_left(self) -> None:
        assert self.office.chains() == []
        self._what_came_free_is_told()
        with reading() as tx:
            states = {row.message_id: row.state for row in tx.exec(select(InboxMessage))}
            assert {InboxState.NEW, InboxState.FAILED}.isdisjoint(states.values())
            assert all(states[sent.arrival.message_id] is InboxState.DONE for sent in self._all("appeal.filed"))
            assert not list(tx.exec(select(CaseDeadline).where(CaseDeadline.state == DeadlineState.OPEN)))
            rounds = Counter((row.case_id, row.evidence_id) for row in tx.exec(select(EvidenceSubmission)))
            ends = Counter(tx.exec(select(AuditEntry.stream).where(AuditEntry.action == "case.concluded")))
            returned = {row.ruling_id for row in tx.exec(select(MoneyReturn))}
            for case in tx.exec(select(Case)):
                ruling = tx.get(Ruling, case.request.get("object", ""))
                if case.outcome is CaseState.UPHELD and ruling is not None and ruling.deduction_fen:
                    assert ruling.id in returned, "upheld, and nobody saw to the money"
        assert set(rounds.values()) <= {1}
        assert set(ends.values()) == {1}, "one final outcome"

    def _what_came_free_is_told(self) -> None:
        """STL-1: what goes back to the receivables of a shop that has moved to the platform is the platform's to pay."""
        sides.tell_freed()
        self._do(self.office.settle)
        with reading() as tx:
            listed = [(one.shop_id, one.fen, one.open_fen) for one in settling.freed(tx)]
        told = [(one["shop_id"], one["amount_fen"], one["open_fen"]) for one in self.office.events("receivable.freed")]
        free = self.office.balance(AccountKind.RECEIVABLE, self.bench.shop_id)
        assert listed == ([(self.bench.shop_id, free, free)] if self.moved and free else []) and {*listed} <= {*told}
        self.seen["freed"] += bool(listed)

    def _the_merchant_was_told_everything(self) -> None:
        """What the witness has heard is exactly what happened, and nothing twice."""
        with reading() as tx:
            expected: list[tuple[str, str]] = []
            rulings = list(tx.exec(select(Ruling)))
            fallen = {
                row.arbitration_id for row in rulings if row.void_cause is VoidCause.MERCHANT_CLEARED and row.points
            }
            for row in rulings:
                if row.conclusion is Conclusion.NOT_MERCHANT:
                    expected += [("merchant_cleared", row.arbitration_id or "")] if row.arbitration_id in fallen else []
                    continue
                kind = "deposit_deducted" if row.kind is RulingKind.DEDUCTION else "ruling_effective"
                expected.append((kind, row.id.removeprefix("deduction/")))
                if kind == "ruling_effective" and (row.posting or "").startswith("deduction/"):  # told in two reports
                    expected.append(("deposit_deducted", str(row.posting).removeprefix("deduction/")))
            expected += [("appeal_received", row.case_id) for row in tx.exec(select(Appeal))]
            expected += [("compensation_returned", row.case_id) for row in tx.exec(select(MoneyReturn))]
            again = {row.case_id for row in tx.exec(select(EvidenceSubmission)) if row.round == 2}
            expected += [("appeal_evidence_received", case_id) for case_id in again]
            dropped = select(OutboxMessage.case_id).where(
                OutboxMessage.topic == "appeal_evidence_requested", OutboxMessage.state == OutboxState.SKIPPED
            )
            unasked = again & set(tx.exec(dropped))  # answered before the notice got through: it is not sent after
            expected += [
                ("appeal_evidence_requested", row.stream)
                for row in tx.exec(select(AuditEntry).where(AuditEntry.action == "case.state"))
                if row.detail.get("state") == CaseState.AWAITING_MERCHANT and row.stream not in unasked
            ]
            for case in tx.exec(select(Case)):
                ending = ENDINGS.get(case.kind, {}).get(case.outcome or CaseState.SUBMITTED)
                expected += [(ending, case.id)] if ending else []
        assert self.witness.told() == Counter(expected)

    def _count(self) -> None:
        self.seen.update(str(case.outcome) for case in self.office.cases())
        self.seen.update(case.outcome_clause or "" for case in self._appeals() if case.outcome is CaseState.REFUSED)
        self.seen["deaths"] += self.died
        with reading() as tx:
            more = list(tx.exec(select(InboxMessage).where(InboxMessage.type == "appeal.evidence_submitted")))
            second = select(Review).where(Review.gate == appeal_review.SECOND.name, col(Review.decided_by).is_not(None))
            self.seen["second reviews"] += len(list(tx.exec(second)))
            cleared = select(Ruling).where(Ruling.void_cause == VoidCause.MERCHANT_CLEARED, Ruling.points > 0)
            self.seen["merchant cleared"] += len(list(tx.exec(cleared)))
            self.seen["money returned"] += len(list(tx.exec(select(MoneyReturn))))
        self.seen["evidence taken"] += sum(row.state is InboxState.DONE for row in more)
        for sent in self._all("appeal.evidence_submitted"):
            until = self.witness.evidence_until(sent.about)
            if until and -1 <= (whole(sent.at) - until).total_seconds() <= 1:
                self.seen[f"evidence at the edge {(whole(sent.at) - until).total_seconds():+.0f}"] += 1
            self.seen["evidence too late"] += bool(until and whole(sent.at) > until)
        for sent in self._all("appeal.filed"):
            gap = (whole(sent.at) - whole(self.rulings[sent.about]) - FILING).total_seconds()
            if -1 <= gap <= 1:
                self.seen[f"filed at the edge {gap:+.0f}"] += 1


ENDINGS: dict[CaseKind, dict[CaseState, str]] = {
    CaseKind.APPEAL: {
        CaseState.REFUSED: "appeal_refused",
        CaseState.UPHELD: "appeal_upheld",
        CaseState.DISMISSED: "appeal_dismissed",
        CaseState.CLOSED_TIMEOUT: "appeal_closed_timeout",
        CaseState.MOOT: "appeal_moot",
        CaseState.SUPERSEDED: "appeal_moot",
    },
    CaseKind.WITHDRAWAL: {
        CaseState.REFUSED: "arbitration_stays",
        CaseState.REJECTED: "arbitration_stays",
        CaseState.ARBITRATION_WITHDRAWN: "arbitration_withdrawn",
    },
    CaseKind.CORRECTION: {CaseState.CORRECTED: "ruling_corrected"},
}
"""What the merchant reads when a case ends so; of a correction that comes to nothing, nothing."""


ENOUGH = {
    "UPHELD": 3, "DISMISSED": 1, "CLOSED_TIMEOUT": 2, "MOOT": 1, "SUPERSEDED": 1, "ARB-2": 1, "ARB-3": 1, "ARB-4": 1,
    "ARBITRATION_WITHDRAWN": 1, "CORRECTED": 1, "second reviews": 1, "money returned": 2, "deaths": 12,
    "evidence taken": 2, "evidence too late": 1, "filed at the edge +0": 1, "filed at the edge +1": 1,
    "roles lost": 1, "merchant cleared": 1, "reports linked": 1, "ban pending": 1, "ban dropped": 1, "ban confirmed": 1,
    "evidence at the edge +0": 1, "evidence at the edge +1": 1, "given up and sent again": 1,
}  # fmt: skip
"""How often it must have come to this."""


SEVERAL = 2
"""Rounds it takes as a rule until it has been nearly everywhere."""


@rounds(SEVERAL)
def test_whatever_happens_in_whatever_order_appeals_stay_fair(
    new_office: Callable[[], Office], session_folder: Path, number: int
) -> None:
    seen: Counter[str] = Counter()
    play(
        type("Machine", (Appeals,), {"make_office": staticmethod(new_office), "seen": seen}),
        seen,
        ENOUGH,
        examples=8,
        steps=30,
        number=number,
        of=SEVERAL,
        shared=session_folder / "appeals",
    )
