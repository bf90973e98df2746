"""The clock port: what time it is for every case, and how a demonstration moves it forward."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from sqlmodel import Session

from models.audit import ClockOffset
from office.base.settings import settings


class Clock(Protocol):
    """Says what time it is, for a transaction."""

    def now(self, session: Session) -> datetime: ...

    def real(self) -> datetime:
        """The time outside, which one-time codes and locks go by, however far a demonstration has moved."""
        ...

    def ticks(self) -> float:
        """Seconds that only grow, whatever is done to the machine's time: how long something has taken."""
        ...


class SystemClock:
    """The machine's clock. Production uses nothing else."""

    def now(self, session: Session) -> datetime:
        return datetime.now(UTC)

    def real(self) -> datetime:
        return datetime.now(UTC)

    def ticks(self) -> float:
        return time.monotonic()


class MovableClock(SystemClock):
    """The machine's clock plus the offset in the database, so that every process moves together."""

    def now(self, session: Session) -> datetime:
        row = session.get(ClockOffset, 1)
        return self.real() + timedelta(seconds=row.seconds if row else 0)


class VirtualClock:
    """A clock that stands still until it is moved: for tests."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self, session: Session) -> datetime:
        return self.at

    def real(self) -> datetime:
        return self.at

    def ticks(self) -> float:
        return self.at.timestamp()

    def advance(self, by: timedelta) -> datetime:
        self.at += by
        return self.at


class ClockCannotMove(ValueError):
    """Only a demonstration's clock moves, and only forward."""


_chosen: list[Clock] = []


def use_clock(clock: Clock | None) -> None:
    """Choose the clock of this process; ``None`` goes back to what the settings say."""
    _chosen[:] = [clock] if clock else []


def clock() -> Clock:
    if not _chosen:
        _chosen.append(SystemClock() if settings().production else MovableClock())
    return _chosen[0]


def read_now(session: Session) -> datetime:
    """The current time in UTC."""
    return clock().now(session)


def advance(session: Session, by: timedelta) -> datetime:
    """Move a demonstration's clock forward for every process; returns the new time."""
    if settings().production:
        raise ClockCannotMove("生产环境的时钟不能拨动")
    if by <= timedelta(0):
        raise ClockCannotMove("时钟只能向前拨")
    row = session.get(ClockOffset, 1) or ClockOffset(id=1)
    row.seconds += int(by.total_seconds())
    session.add(row)
    session.flush()
    return read_now(session)
