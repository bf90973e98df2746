"""Workers that die: the in-process kill −9, struck just before or just after an effect is committed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

from models.cases import Effect
from office.base.db import Tx

if TYPE_CHECKING:
    from tests.play import Office

Strike = Callable[[str, str], bool]
"""Told ``before`` or ``after`` and the effect's key; true when the worker is to die there."""


STRIKES: list[Strike] = []
"""Whoever is asked at the moment."""


class Died(BaseException):
    """The process is gone. Nothing catches it, as nothing catches a kill −9."""


def listen(transactions: type[Tx], strike: Strike) -> Callable[[], None]:
    """Ask ``strike`` before and after every commit of an effect; the way to stop asking."""

    def note(tx: Any, _context: Any) -> None:
        tx.info.setdefault("effects", []).extend(row.key for row in tx.new if isinstance(row, Effect))

    def before(tx: Any) -> None:
        for key in tx.info.get("effects", []):
            if strike("before", key):
                raise Died(key)

    def after(tx: Any) -> None:
        for key in tx.info.pop("effects", []):
            if strike("after", key):
                raise Died(key)

    hooks = (("after_flush", note), ("before_commit", before), ("after_commit", after))
    for name, hook in hooks:
        event.listen(transactions, name, hook)
    STRIKES.append(strike)

    def stop() -> None:
        STRIKES.remove(strike)
        for name, hook in hooks:
            event.remove(transactions, name, hook)

    return stop


@contextmanager
def mortal(strike: Strike) -> Iterator[None]:
    """Let workers die where ``strike`` says so, as long as the block lasts."""
    stop = listen(Tx, strike)
    try:
        yield
    finally:
        stop()


def until_done(office: Office, act: Callable[[], Any]) -> Any:
    """Do something; when a worker dies over it, time passes until its lease is over and another goes on."""
    try:
        return act()
    except Died:
        return revive(office)


def revive(office: Office) -> None:
    for _ in range(200):
        office.clock.advance(timedelta(seconds=61))
        try:
            office.settle()
        except Died:
            continue
        return
    raise AssertionError("the case never gets on")
