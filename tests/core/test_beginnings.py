"""What offices of the tests begin with is copied: it is the same as played, and whoever watches sees everything played."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import select

from models.cases import Case
from models.reviews import Review
from notifications.scripted import ScriptedNotifier
from office.base import db
from office.base.db import in_transaction
from office.base.settings import settings
from office.cases import cases
from tests import beginnings, furniture
from tests.deaths import mortal
from tests.play import Office

NewOffice = Callable[..., Office]


def begin(office: Office) -> Case:
    office.open_shop(name="从头开始")
    return office.request_closure(reason_text="不再经营")


def commits(office: Office) -> int:
    """How much is done in the office while it begins."""
    before = furniture.COMMITS[0]
    begin(office)
    return furniture.COMMITS[0] - before


def test_what_began_so_twice_is_the_third_time_laid_out_the_same_and_goes_on(
    new_office: NewOffice, notifier: ScriptedNotifier
) -> None:
    found = []
    for _ in range(3):
        office, so_far = new_office(), len(notifier.sent)
        case = begin(office)
        found.append(
            [
                office.trail(case.id),
                office.told(),
                office.clock.at,
                office.number,
                office.reported,
                [rendered.subject for _, rendered in notifier.sent[so_far:]],
                len(office.carrier.woken),
                [end for _, end in office.engine.played],
                office.case(case.id).state,
            ]
        )
        assert office.books() == [] == office.chains()
    assert found[0][:5] == found[1][:5] == found[2][:5] and found[0][6:] == found[1][6:] == found[2][6:]
    assert len(found[0][5]) == len(found[2][5])
    office.decide(case, "li-na", "APPROVE")
    office.snapshot()
    assert office.case(case.id).outcome == "CLOSED" and office.chains() == []


def test_what_was_forgotten_meanwhile_goes_on_as_no_other_office_did(
    new_office: NewOffice, request: pytest.FixtureRequest
) -> None:
    kept = beginnings.KEPT
    request.addfinalizer(lambda: setattr(beginnings, "KEPT", kept))
    beginnings.KEPT = 4
    for others in range(4):
        for _ in range(3):
            office = new_office()
            for number in range(others):
                office.open_shop(f"shop-{number}", name=f"另外 {others} 家")
        for _ in range(3):
            office, asked = new_office(), set()
            for number in range(2):
                office.open_shop(f"shop-{number}", name=f"忘记之后 {others}")
                asked.add(office.question(office.request_closure(f"shop-{number}")).id)
            assert in_transaction(lambda tx: set(tx.exec(select(Review.id)))) == asked


def somebody_counts(_: pytest.MonkeyPatch, stack: ExitStack) -> None:
    def hear(*_: Any) -> None: ...

    event.listen(db.engine(), "before_cursor_execute", hear)
    stack.callback(event.remove, db.engine(), "before_cursor_execute", hear)


def workers_may_die(_: pytest.MonkeyPatch, stack: ExitStack) -> None:
    stack.enter_context(mortal(lambda when, key: False))


def something_is_put_aside(monkeypatch: pytest.MonkeyPatch, _: ExitStack) -> None:
    monkeypatch.setattr(cases, "UNHEARD_OF", True, raising=False)


def the_settings_are_others(monkeypatch: pytest.MonkeyPatch, _: ExitStack) -> None:
    monkeypatch.setenv("DIANWU_CONFIRMATION", "window")
    settings.cache_clear()


def something_was_done(*_: Any) -> None:
    in_transaction(lambda tx: tx.connection())


@pytest.mark.parametrize(
    "watch",
    [somebody_counts, workers_may_die, something_is_put_aside, the_settings_are_others, something_was_done],
    ids=lambda watch: watch.__name__,
)
def test_whoever_watches_sees_everything_played(
    new_office: NewOffice, monkeypatch: pytest.MonkeyPatch, watch: Callable[..., None]
) -> None:
    assert [commits(new_office()) for _ in range(3)][-1] < 5, "it is laid out"
    office = new_office()
    with ExitStack() as stack:
        watch(monkeypatch, stack)
        assert commits(office) > 20
