"""The clock: a demonstration's moves forward for everybody, production's never, and codes go by the real one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from office.base import clock, settings
from office.base.clock import ClockCannotMove, MovableClock, SystemClock
from office.base.db import in_transaction

WEEK = timedelta(days=7)


def now() -> datetime:
    return in_transaction(lambda tx: tx.now)


def test_a_demonstration_moves_forward_and_every_process_sees_it(database: None) -> None:
    in_transaction(lambda tx: clock.advance(tx, WEEK))
    in_transaction(lambda tx: clock.advance(tx, timedelta(hours=1)))
    clock.use_clock(None)  # another process, reading the same database
    assert WEEK + timedelta(hours=1) <= now() - datetime.now(UTC) + timedelta(minutes=1)
    assert abs(clock.clock().real() - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize("by", [timedelta(0), timedelta(seconds=-1)])
def test_time_never_moves_back(database: None, by: timedelta) -> None:
    with pytest.raises(ClockCannotMove):
        in_transaction(lambda tx: clock.advance(tx, by))


def test_the_clock_of_a_production_installation_does_not_move(database: None, monkeypatch: pytest.MonkeyPatch) -> None:
    in_transaction(lambda tx: clock.advance(tx, WEEK))
    monkeypatch.setenv("DIANWU_PROFILE", "production")
    monkeypatch.setenv("DIANWU_PREFECT_AUTH", "ops:secret")
    monkeypatch.setenv("DIANWU_SANDBOX_BANK", "false")
    settings.settings.cache_clear()
    clock.use_clock(None)
    assert isinstance(clock.clock(), SystemClock) and not isinstance(clock.clock(), MovableClock)
    assert now() - datetime.now(UTC) < timedelta(minutes=1)
    with pytest.raises(ClockCannotMove):
        in_transaction(lambda tx: clock.advance(tx, WEEK))


def test_everything_in_one_transaction_happens_at_the_same_moment(database: None) -> None:
    assert in_transaction(lambda tx: tx.now == tx.now)
