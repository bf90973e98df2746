"""Anything that can happen to appeals, in any order, with workers dying between and inside the steps.

Held throughout: one final outcome, money once, every message to the merchant at most once and none missing,
nothing accepted after a window, nothing lost inside it, the audit chain whole.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import event
from sqlmodel import SQLModel, col, select

from flows.inline import InlineEngine
from models.arbitration import Appeal, EvidenceSubmission, Ruling
from models.books import Transfer
from models.cases import Case, CaseDeadline, CaseKind, CaseState, DeadlineState
from models.messages import Channel, InboxMessage, InboxState, OutboxMessage
from models.reviews import Review
from notifications.scripted import ScriptedNotifier
from policies.appeal import counters
from policies.deadlines import in_time
from tasks import appeals, clock, db, deadlines, delivery, desk, inbox, reviews
from tasks.db import Tx, reading
from tasks.inbox import Arrival
from tasks.outbox import NotYet
from tests.appeals.bench import Bench
from tests.conftest import _forget
from tests.play import PEOPLE, START, Office

FEW = 6
EXAMPLES = int(os.environ.get("DIANWU_TEST_EXAMPLES", str(FEW)))
"""How many sequences are tried; more of them are also drawn at random (``DIANWU_TEST_EXAMPLES=200``)."""
HEARD = frozenset({CaseState.UPHELD, CaseState.DISMISSED, CaseState.CLOSED_TIMEOUT, CaseState.MOOT})


class WorkerDeath(BaseException):
    """The process is gone."""


class MortalEngine(InlineEngine):
    """Dies at a chosen commit of the next segment: just before it, so that it is undone, or just after it."""

    def __init__(self) -> None:
        super().__init__()
        self.fuse: int | None = None
        self.after = False
        self.deaths = 0

    def signal(self, case_id: str) -> None:
        with self._mortal():
            try:
                super().signal(case_id)
            except WorkerDeath:
                self.deaths += 1
                raise NotYet("the worker died; another one will come") from None

    @contextmanager
    def _mortal(self) -> Iterator[None]:
        def burn(_session: Any) -> None:
            if self.fuse is None:
                return
            self.fuse -= 1
            if self.fuse < 0:
                self.fuse = None
                raise WorkerDeath

        name = "after_commit" if self.after else "before_commit"
        event.listen(Tx, name, burn)
        try:
            yield
        finally:
            event.remove(Tx, name, burn)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """What these tests chose to speak through ends with them."""
    yield
    delivery.use_notifier(None)


_homes = itertools.count(1)


def fresh(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Office, MortalEngine]:
    """An office of its own with an empty database."""
    home = folder / f"home-{next(_homes)}"
    home.mkdir()
    monkeypatch.setenv("DIANWU_HOME", str(home))
    _forget()
    SQLModel.metadata.drop_all(db.engine())
    SQLModel.metadata.create_all(db.engine())
    virtual = clock.VirtualClock(START)
    clock.use_clock(virtual)
    delivery.use_notifier(ScriptedNotifier())
    engine = MortalEngine()
    return Office(virtual, engine), engine


def machine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> type[RuleBasedStateMachine]:
    class Appeals(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.office, self.engine = fresh(folder, monkeypatch)
            self.office.hire("tang-wei", "arbitrator")
            self.bench = Bench(self.office)
            self.rulings: list[str] = []
            self.sent: list[Arrival] = []
            self.outcomes: dict[str, str] = {}
            self.steps = 0

        # ── what can happen ──

        @precondition(lambda self: len(self.rulings) < 3)
        @rule(fen=st.sampled_from([0, 20_000, 300_000]))
        def a_ruling_takes_effect(self, fen: int) -> None:
            number = f"rul-{len(self.rulings) + 1}"
            self.bench.rule(number, deduction_fen=fen, ruled_by="sun-lei")
            self.rulings.append(number)

        @precondition(lambda self: self.rulings)
        @rule(which=st.integers(0, 2), read=st.booleans(), empty=st.integers(0, 5))
        def the_merchant_files(self, which: int, read: bool, empty: int) -> None:
            number = self.rulings[which % len(self.rulings)]
            data = self.bench.filing(number, [] if empty == 0 else None)
            self._arrive(self.bench.arrival("appeal.filed", data), read)

        @rule(which=st.integers(0, 5), read=st.booleans())
        def the_merchant_sends_evidence(self, which: int, read: bool) -> None:
            found = [case for case in self.office.cases() if case.kind is CaseKind.APPEAL]
            if found:
                data = self.bench.more(found[which % len(found)])
                self._arrive(self.bench.arrival("appeal.evidence_submitted", data), read)

        @precondition(lambda self: self.rulings)
        @rule(which=st.integers(0, 2), read=st.booleans())
        def somebody_asks_to_withdraw(self, which: int, read: bool) -> None:
            data = {
                "shop_id": "shop-1", "arbitration_id": f"arb-{self.rulings[which % len(self.rulings)]}",
                "reason": "BUYER_GIVES_UP", "requested_by": "BUYER",
            }  # fmt: skip
            self._arrive(self.bench.arrival("arbitration.withdrawal_requested", data), read)

        @precondition(lambda self: self.sent)
        @rule(which=st.integers(0, 30))
        def a_message_comes_again(self, which: int) -> None:
            inbox.receive(self.sent[which % len(self.sent)], desk.on_conflict)
            self._go_on()

        @rule(which=st.integers(0, 5), verdict=st.integers(0, 2), who=st.integers(0, 2))
        def somebody_decides(self, which: int, verdict: int, who: int) -> None:
            questions = self._questions()
            if questions:
                self._answer(questions[which % len(questions)], verdict, who)

        @rule(hours=st.sampled_from([1, 12, 24, 71, 72, 73, 24 * 7]))
        def time_passes(self, hours: int) -> None:
            self.office.clock.advance(timedelta(hours=hours))
            self._sweep()

        @rule(which=st.integers(0, 5), offset=st.sampled_from([-1, 0, 1]))
        def a_window_is_almost_over(self, which: int, offset: int) -> None:
            with reading() as tx:
                ends = list(tx.exec(select(CaseDeadline.due_at).where(CaseDeadline.kind == appeals.EVIDENCE)))
                ends += list(tx.exec(select(Ruling.appeal_until)))
            ahead = sorted(end for end in ends if end + timedelta(seconds=offset) > self.office.clock.at)
            if ahead:
                self.office.clock.at = ahead[which % len(ahead)] + timedelta(seconds=offset)

        @rule(fuse=st.integers(0, 9), after=st.booleans())
        def the_next_worker_dies(self, fuse: int, after: bool) -> None:
            self.engine.fuse, self.engine.after = fuse, after

        @rule()
        def the_sweep_runs(self) -> None:
            self._sweep()

        # ── how it happens ──

        def _arrive(self, arrival: Arrival, read: bool) -> None:
            inbox.receive(arrival, desk.on_conflict)
            self.sent.append(arrival)
            if read:
                self._go_on()

        def _go_on(self) -> None:
            self.office.settle()

        def _sweep(self) -> None:
            inbox.route_due(desk.handle, desk.on_refused)
            deadlines.sweep(desk.DEADLINES, desk.on_stuck)
            self._go_on()

        def _questions(self) -> list[Review]:
            with reading() as tx:
                query = select(Review).where(col(Review.state).in_(reviews.OPEN)).order_by(col(Review.opened_at))
                found = list(tx.exec(query))
                tx.expunge_all()
                return found

        def _answer(self, review: Review, verdict: int, who: int) -> bool:
            gate = desk.GATES[review.gate]
            able = [name for name, (_, roles) in PEOPLE.items() if set(roles) & set(gate.roles)]
            able += ["tang-wei"] if "arbitrator" in review.roles else []
            extra = {"contact": "电话联系店主", "handling": "TO_DEPOSIT"} if "handling" in gate.fields else {}
            choice = review.verdicts[verdict % len(review.verdicts)]
            return self.office.answer(review, able[who % len(able)], choice, "理由充分", **extra).accepted

        # ── what holds ──

        @invariant()
        def money_moves_once_and_every_chain_is_whole(self) -> None:
            assert self.office.books() == []
            assert self.office.chains() == []
            with reading() as tx:
                for ruling in tx.exec(select(Ruling)):
                    back = [
                        posted.amount_fen
                        for posted in tx.exec(select(Transfer))
                        if posted.key.startswith(f"return/{ruling.id}/")
                    ]
                    assert sum(back) in {0, ruling.deduction_fen}
                    assert ruling.voided_at is not None or not back, "money of a valid ruling came back"
                valid = counters(tx.exec(select(Ruling)))
            assert self.bench.counters() == (valid.rulings, valid.points, valid.deducted_fen)

        @invariant()
        def an_outcome_once_reached_stays(self) -> None:
            now = {case.id: str(case.outcome) for case in self.office.cases() if case.outcome}
            assert {case_id: now[case_id] for case_id in self.outcomes} == self.outcomes
            self.outcomes = now

        @invariant()
        def every_outcome_has_told_the_merchant_exactly_what_belongs_to_it(self) -> None:
            for case in self.office.cases():
                if case.kind is CaseKind.APPEAL and case.outcome:
                    told = Counter(name for name in self.office.told(case) if name != "merchant_deadline_reminder")
                    assert all(count == 1 for count in told.values()), told
                    assert self._belongs_to(case) <= set(told), (case.outcome, told)
                    assert len(set(told) & ENDINGS) == 1, told

        def _belongs_to(self, case: Case) -> set[str]:
            with reading() as tx:
                ruling = tx.get(Ruling, case.request["object"])
            match case.outcome:
                case CaseState.REFUSED:
                    return {"appeal_refused"}
                case CaseState.UPHELD:
                    money = {"compensation_returned"} if ruling and ruling.deduction_fen else set()
                    return {"appeal_received", "appeal_upheld"} | money
                case CaseState.DISMISSED:
                    return {"appeal_received", "appeal_dismissed"}
                case CaseState.CLOSED_TIMEOUT:
                    return {"appeal_received", "appeal_evidence_requested", "appeal_closed_timeout"}
                case CaseState.MOOT:
                    return {"appeal_received", "appeal_moot"}
                case other:
                    raise AssertionError(f"an appeal ended as {other}")

        @invariant()
        def the_filing_window_was_kept_on_both_sides(self) -> None:
            with reading() as tx:
                admitted = {row.case_id for row in tx.exec(select(Appeal))}
                for case in tx.exec(select(Case).where(Case.kind == CaseKind.APPEAL)):
                    ruling = tx.get(Ruling, case.request["object"])
                    assert ruling is not None
                    if case.id in admitted:
                        assert in_time(case.received_at, ruling.appeal_until), "accepted after the window"
                    elif case.outcome_clause == "ARB-2":
                        assert not in_time(case.received_at, ruling.appeal_until), "lost inside the window"
                    if case.outcome in HEARD:
                        assert case.id in admitted

        @invariant()
        def the_evidence_window_was_kept_on_both_sides(self) -> None:
            with reading() as tx:
                query = select(InboxMessage).where(InboxMessage.type == "appeal.evidence_submitted")
                for message in tx.exec(query):
                    case = tx.get(Case, message.case_id)
                    assert case is not None
                    window = appeals.window_of(tx, case)
                    late = window is not None and not in_time(message.received_at, window.due)
                    if message.state is InboxState.DONE:
                        assert not late, "accepted after the window"
                    if case.outcome is CaseState.CLOSED_TIMEOUT and self._asked_before(tx, case, message.received_at):
                        assert late, "lost inside the window"

        def _asked_before(self, tx: Tx, case: Case, received_at: datetime) -> bool:
            first = reviews.decided(tx, case.id, appeals.REVIEW.name, 1)
            return first is not None and first.decided_at is not None and first.decided_at <= received_at

        # ── and in the end ──

        def teardown(self) -> None:
            """Everybody does their work; then every case has ended and nothing is missing."""
            self.engine.fuse = None
            for turn in range(40):
                self.office.clock.advance(timedelta(hours=9))
                self._sweep()
                for question in self._questions():
                    for who in range(3):
                        choice = (
                            turn % 2 if question.gate.startswith("appeal-") else 0
                        )  # who sends back for ever never ends
                        if self._answer(question, choice, who):
                            break
                if all(case.outcome for case in self.office.cases()):
                    break
            assert [case.id for case in self.office.cases() if not case.outcome] == []
            for check in (
                self.money_moves_once_and_every_chain_is_whole, self.an_outcome_once_reached_stays,
                self.every_outcome_has_told_the_merchant_exactly_what_belongs_to_it,
                self.the_filing_window_was_kept_on_both_sides, self.the_evidence_window_was_kept_on_both_sides,
            ):  # fmt: skip
                check()
            with reading() as tx:
                assert not list(tx.exec(select(InboxMessage).where(InboxMessage.state == InboxState.FAILED)))
                rounds = Counter((row.case_id, row.evidence_id) for row in tx.exec(select(EvidenceSubmission)))
                assert set(rounds.values()) <= {1}
                open_ = select(CaseDeadline).where(CaseDeadline.state == DeadlineState.OPEN)
                assert not list(tx.exec(open_))
                keys = Counter(row.key for row in tx.exec(select(OutboxMessage)) if row.channel is Channel.MERCHANT)
                assert set(keys.values()) <= {1}

    return Appeals


ENDINGS = frozenset({"appeal_refused", "appeal_upheld", "appeal_dismissed", "appeal_closed_timeout", "appeal_moot"})


def test_whatever_happens_in_whatever_order_appeals_stay_fair(
    database: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine(tmp_path, monkeypatch),
        settings=hypothesis_settings(
            max_examples=EXAMPLES, stateful_step_count=20, deadline=None, derandomize=EXAMPLES == FEW
        ),
    )


def test_a_worker_that_dies_at_any_commit_of_any_segment_changes_nothing_in_the_end(
    database: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longest road, with a death at each of its commits in turn, before it and after it."""
    pictures = set()
    deaths = 0
    for after in (False, True):
        for fuse in (0, 2, 5):
            office, engine = fresh(tmp_path, monkeypatch)
            bench = Bench(office)
            bench.rule(ruled_by="li-na")

            def die(engine: MortalEngine = engine, fuse: int = fuse, after: bool = after) -> None:
                engine.fuse, engine.after = fuse, after

            def revive(office: Office = office, engine: MortalEngine = engine) -> None:
                engine.fuse = None
                office.pass_time(seconds=1)

            die()
            case = bench.file()
            revive()
            for staff_id, verdict, extra in (
                ("zhou-yan", "INSUFFICIENT", {}), ("", "", {}), ("sun-lei", "UPHOLD", {}),
                ("wu-tao", "AGREED", {"contact": "电话联系店主", "handling": "TO_DEPOSIT"}), ("wang-fang", "CONFIRM", {}),
            ):  # fmt: skip
                die()
                if staff_id:
                    office.decide(case, staff_id, verdict, **extra)
                else:
                    bench.send_more(case)
                revive()
            deaths += engine.deaths
            assert office.books() == [] == office.chains()
            assert bench.outcome(case) == "UPHELD"
            pictures.add((tuple(office.told(case)), tuple(sorted(bench.money().items())), bench.counters()))
    assert deaths > 8, "the deaths did happen"
    assert len(pictures) == 1
