"""A process: what one kind of business brings to the office, declared once, beside its verbs.

``tasks/processes.py`` lists them all. :func:`open_office` makes them known to inbox, forms, sweep, doctor and whoever looks
at cases; door, worker, command and test call it when they start. Here nothing knows what a process does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from models.requests import Asked

if TYPE_CHECKING:  # what a process brings is made of these; they ask the office, and it is made of what they are
    from sqlalchemy import ColumnElement

    from models.cases import Case, CaseKind, CaseState, Finding
    from models.messages import InboxMessage
    from models.payout_events import Instruction, InstructionUpdated
    from models.payouts import Payout, PayoutState
    from models.views import EvidenceShown
    from models.wire import Event
    from office.base.db import Tx
    from office.cases.deadlines import Kind
    from office.cases.gates import Gate
    from office.cases.named_papers import Named

T = TypeVar("T")


@dataclass(frozen=True)
class Pays:
    """How a kind of case pays through the bank: in which events, under which clauses, and what an answer means to it.

    Permits, instructions, postings and answers are the same for everybody (``tasks.payouts.payouts``).
    """

    asks_bank: type[Instruction]
    """The event that orders the bank to pay."""
    tells: type[InstructionUpdated] | None
    """The event that tells the platform how a payment stands; ``None`` where it is not to know."""
    clause: str
    permitted_under: str = ""
    answered_under: str = ""
    taken: Callable[[Tx, Case, Payout, PayoutState], None] | None = None
    """What follows from an answer, when the money is already where it says: the payout, and its state before."""


@dataclass(frozen=True)
class Process:
    """Everything the office has to know of one process. Most have a kind of case; what several stand on has none."""

    name: str
    kind: CaseKind | None = None
    request: type[Asked] = Asked
    """What its cases are opened with; the titles of the fields are what people read."""
    states: Sequence[CaseState] = ()
    """The few words of its own that its cases go through and end in, besides ``SUBMITTED`` and ``REFUSED``."""
    clause: str = ""
    """Under which its merchant is asked, where no question of its own says so."""
    hears: Mapping[type[Event], Callable[[Tx, Any, InboxMessage], None]] = field(default_factory=dict)
    """What outsiders send, and the handler that acts on it in the given transaction."""
    asks: Sequence[Gate] = ()
    clocks: Mapping[str, Kind] = field(default_factory=dict)
    """Kind of deadline → what is done when it reminds and when it is due."""
    waits: Mapping[str, str] = field(default_factory=dict)
    """Kind of wait → what is awaited, in Chinese."""
    may_send: Callable[[Tx, Case], Iterable[str]] | None = None
    """Types of the events that the merchant's side may send about a case now, besides answering a question. Also asked
    when the case has ended."""
    view: Callable[[Tx, Case], Mapping[str, Any]] | None = None
    """Fields of its own in what the merchant's side reads about a case (:class:`models.views.CaseView`)."""
    papers: Callable[[Tx, Case], Iterable[Named]] | None = None
    """Documents that a case of its kind names elsewhere than in its request and in answers."""
    names_file: Callable[[str], ColumnElement[bool]] | None = None
    """What is true of a case that names the file of a hash elsewhere: it looks anew when that file arrives."""
    leaves: bool = False
    """Whether its cases close a shop, pay it or open it again: they look anew when something stands in the way of that, or no more."""
    evidence: Callable[[Tx, Case], Iterable[EvidenceShown]] | None = None
    """What it keeps of what was submitted in any case, beside the documents that events name."""
    pays: Pays | None = None
    hinders: Callable[[Tx, Case], Sequence[Finding]] | None = None
    """What keeps the shop from opening by one of its cases though everything is paid: it came up since people approved."""
    every_minute: Mapping[str, Callable[[], object]] = field(default_factory=dict)
    """Steps of the sweep, by the name under which it reports them."""
    proves: Callable[[Tx], Iterable[str]] | None = None
    """What is wrong between its rows and the books, a Chinese sentence each; nothing while every invariant holds."""


class NotOpen(RuntimeError):
    """Somebody works in an office whose processes nobody has named."""

    def __init__(self) -> None:
        super().__init__(
            "the office is not open: whatever starts (door, worker, command, test) calls "
            "tasks.processes.open_office() first"
        )


class Office:
    """The processes of this installation, by what one looks them up by. Two that bring the same name are a bug."""

    def __init__(self, processes: Sequence[Process]) -> None:
        self.processes = tuple(processes)

    @cached_property
    def gates(self) -> Mapping[str, Gate]:
        return _once((gate.name, gate) for one in self.processes for gate in one.asks)

    @cached_property
    def clocks(self) -> Mapping[str, Kind]:
        return _once(item for one in self.processes for item in one.clocks.items())

    @cached_property
    def handlers(self) -> Mapping[type[Event], Callable[[Tx, Any, InboxMessage], None]]:
        return _once(item for one in self.processes for item in one.hears.items())

    @cached_property
    def waits(self) -> Mapping[str, str]:
        return _once(item for one in self.processes for item in one.waits.items())

    @cached_property
    def every_minute(self) -> Mapping[str, Callable[[], object]]:
        return _once(item for one in self.processes for item in one.every_minute.items())

    @cached_property
    def kinds(self) -> Mapping[CaseKind, Process]:
        return _once((one.kind, one) for one in self.processes if one.kind)


K = TypeVar("K")


def _once(found: Iterable[tuple[K, T]]) -> dict[K, T]:
    made: dict[K, T] = {}
    for name, value in found:
        if name in made:
            raise ValueError(f"two processes bring {name!r}")
        made[name] = value
    return made


_open: list[Office] = []


def open_with(processes: Sequence[Process]) -> None:
    """Open the office of this process of the machine; opening it again with the same changes nothing."""
    if not _open or _open[0].processes != tuple(processes):
        _open[:] = [Office(processes)]


def office() -> Office:
    """The office as it was opened; raises :class:`NotOpen`."""
    if not _open:
        raise NotOpen
    return _open[0]
