"""The scenes of the demonstration, played in one process: what they send and decide is what the story asks for."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, cast

from sqlmodel import col, select

from models.cases import Case
from models.payouts import Payout, PayoutState
from office.base.db import Tx, reading
from office.cases.reviews import gate_of
from office.files import evidence
from ops.rehearsal import Rehearsal
from ops.scenes.accounts import OTHER, AccountsLaterScene, AccountsScene
from ops.scenes.closing import ForcedScene
from ops.scenes.openings import OpeningScene, ReopeningScene
from ops.scenes.settlements import SettlementScene
from tasks.bindings import watch
from tasks.payouts import sources
from tasks.settlement import halves
from tests.play import Office
from webhooks import sandbox_bank


class Stage:
    """A rehearsal whose stack is the office of a test: everything that follows has happened when an act returns."""

    def __init__(self, office: Office) -> None:
        self.office = office

    def send(self, type_: str, data: dict[str, Any]) -> None:
        self.office.send(type_, data)
        self._bank()

    def _bank(self) -> None:
        with reading() as tx:
            asked = tx.exec(select(Payout).where(Payout.state == PayoutState.REQUESTED))
            orders = [
                (
                    row.request_no,
                    sandbox_bank.decide(sources.payee_of(row).account_no)[0].type.removeprefix("payout."),
                    sources.amount_of(row),
                    row.shop_id or "",
                )
                for row in asked
            ]
        for order in orders:
            self.office.bank(*order)

    def case_of(self, shop_id: str, kind: str) -> str:
        with reading() as tx:
            query = select(Case.id).where(Case.shop_id == shop_id, Case.kind == kind)
            return next(iter(tx.exec(query.order_by(col(Case.opened_at).desc()))))

    def cases_of(self, shop_id: str, kind: str) -> list[str]:
        return [case.id for case in self.office.cases() if (case.shop_id, case.kind) == (shop_id, kind)]

    def state(self, case_id: str, state: str) -> Case:
        case = self.office.case(case_id)
        assert case.state == state
        return case

    def asks(self, case_id: str, gate: str) -> None:
        assert self.office.question(case_id).gate == gate

    def decide(self, case_id: str, gate: str, staff_id: str, verdict: str, reason: str = "", **extra: Any) -> None:
        review = self.office.question(case_id)
        assert review.gate == gate
        code = next(one for one in review.verdicts if gate_of(review).verdict(one).label == verdict)
        outcome = self.office.answer(review, staff_id, code, reason, **extra)
        if not outcome.accepted:  # what has changed is shown once more, and answered again as a person would
            outcome = self.office.answer(self.office.question(case_id), staff_id, code, reason, **extra)
        assert outcome.accepted, outcome.sentence
        self._bank()

    def wait(self, look: Callable[[], Any], what: str) -> Any:
        seen = look()
        assert seen, what
        return seen

    def read(self, work: Callable[[Tx], Any]) -> Any:
        with reading() as tx:
            return work(tx)

    def now(self) -> datetime:
        return self.office.clock.at

    def advance(self, by: timedelta) -> None:
        self.office.clock.advance(by)

    def sweep(self) -> None:
        halves.catch_up()
        watch.sweep()
        self.office.sweep()

    def snapshot(self, shop_id: str, **facts: Any) -> None:
        self.office.snapshot(shop_id, **facts)

    def document(self, shop_id: str, name: str, content: bytes, kind: str = "OTHER") -> dict[str, Any]:
        evidence.stage(shop_id, name, io.BytesIO(content))
        return {"name": name, "kind": kind, "sha256": hashlib.sha256(content).hexdigest()}


def test_a_person_and_an_enterprise_open_their_shops(office: Office) -> None:
    """OPN-6, OPN-10, OPN-14, OPN-17: one waits for its review, one for the amount, until somebody plays on."""
    scene = OpeningScene(cast(Rehearsal, Stage(office)))
    scene.set_up()
    assert [what for _, what, _, _ in scene.waiting()] == ["入驻主体审核", "商家填写打款金额"]
    scene.play()
    assert [office.case(case_id).outcome for case_id in scene.cases()] == ["OPENED", "OPENED", "REFUSED"]


def test_a_shop_opens_again_six_months_and_a_second_later(office: Office) -> None:
    """REO-1, REO-3, REO-5: a banned one does not."""
    stage = cast(Rehearsal, Stage(office))
    banned = ForcedScene(stage)
    banned.set_up()
    banned.play()
    scene = ReopeningScene(stage)
    scene.set_up()
    scene.play()
    assert [office.case(case_id).outcome for case_id in scene.cases()] == ["CLOSED", "OPENED", "REFUSED"]


def test_a_half_is_released_with_a_hold_arrears_a_return_and_its_second_payout(office: Office) -> None:
    """STL-1, STL-4, STL-5, STL-6, ambiguity 49: the half waits for its release until somebody plays on."""
    scene = SettlementScene(cast(Rehearsal, Stage(office)))
    scene.set_up()
    assert [what for _, what, _, _ in scene.waiting()] == ["半月货款放行"]
    scene.play()
    assert [office.case(case_id).outcome for case_id in scene.cases()] == ["OPENED", "SETTLED", "PAID_AGAIN"]
    assert office.books() == [] == office.chains()


def test_a_shop_binds_its_accounts_and_lets_one_go_half_a_year_later(office: Office) -> None:
    """BND-3, BND-5, BND-8, BND-11, BND-12, BND-14: until somebody plays on, a talent is asked."""
    office.open_shop(OTHER)
    stage = cast(Rehearsal, Stage(office))
    scene = AccountsScene(stage)
    scene.set_up()
    assert [what for _, what, _, _ in scene.waiting()] == ["达人同意成为自营账号"]
    scene.play()
    ended = [office.case(case_id).outcome for case_id in scene.cases()]
    assert ended == ["BOUND", "BOUND", *["BOUND"] * 5, "REFUSED", "REFUSED"]
    stage.advance(timedelta(days=180))
    AccountsLaterScene(stage).play()
    assert office.books() == [] == office.chains()
