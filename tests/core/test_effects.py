"""Effects: once per case and arguments, whoever runs them, however often, however many at once."""

from __future__ import annotations

import threading

import pytest
from sqlmodel import select

from models.cases import CaseState, Effect
from models.shops import Capability
from office.base.db import reading
from office.cases.effects import remembered
from office.cases.locks import UnknownCase
from tasks.closure import steps as closure_steps
from tasks.refund import steps as refund_steps
from tests.core.sql import said
from tests.play import Office

pytestmark = pytest.mark.both


def keys() -> list[str]:
    with reading() as tx:
        return list(tx.exec(select(Effect.key)))


def test_an_effect_run_again_returns_what_it_returned_and_changes_nothing(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    before = (len(office.outbox()), len(office.trail(case.id)), len(keys()))
    assert closure_steps.admit(case.id) is None
    closure_steps.check(case.id, 1)
    assert (len(office.outbox()), len(office.trail(case.id)), len(keys())) == before


def test_a_refusal_is_returned_again_as_the_refusal_it_was(office: Office) -> None:
    office.open_shop()
    case = office.request_closure(account_id="acct-other")
    refusal = closure_steps.admit(case.id)
    assert refusal is not None and (refusal.clause, refusal.code) == ("CLS-3", "not-owner")


def test_the_same_effect_from_many_threads_happens_once(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    start = threading.Barrier(4)
    raised: list[BaseException] = []

    def run() -> None:
        start.wait()
        try:
            for capability in Capability:
                closure_steps.shut_off(case.id, capability)
        except BaseException as fault:
            raised.append(fault)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert raised == []
    assert len(office.events("shop.capability.disabled")) == len(Capability)
    assert office.chains() == []


def test_money_paid_from_many_threads_is_paid_once(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund()
    office.decide(case, "wang-fang", "APPROVE")
    start, said = threading.Barrier(3), []

    def run() -> None:
        start.wait()
        said.append(refund_steps.pay(case.id, 1, 1))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == [True] * 3
    assert len(office.events("deposit.payout.requested")) == 1
    assert office.books() == []


def test_arguments_by_name_and_by_position_are_the_same_effect(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    before = len(keys())
    closure_steps.check(case.id, round=1)
    assert len(keys()) == before


def test_an_effect_on_a_case_nobody_knows_is_an_error(office: Office) -> None:
    with pytest.raises(UnknownCase):
        closure_steps.check("CLS-000000-NOBODY", 1)


def test_states_and_words_come_back_from_the_database_as_what_they_were(office: Office) -> None:
    office.open_shop()
    assert office.case(office.request_closure().id).state is CaseState.UNDER_REVIEW


def test_a_story_told_again_reads_what_it_did_before_at_once(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    with remembered(case.id), said() as heard:
        assert closure_steps.admit(case.id) is None
        closure_steps.check(case.id, 1)
    assert heard == []
    with said() as heard:
        closure_steps.check(case.id, 1)
    assert any("FROM effect" in one for one in heard), "outside the story it is looked up"
