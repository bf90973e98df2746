"""The numbers of the office itself: proofs and sessions of people, the weight of their decisions, early messages."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, field_validator

from models.windows import Hours, PositiveWindow
from policies.sections import Section


class StaffPolicy(Section):
    """How many wrong one-time codes lock a person at one place, for how many minutes, and how soon after a right code a
    second one opens the lock."""

    since: ClassVar[str] = "2026-01-01"

    max_wrong_codes: int = Field(ge=1)
    lock_minutes: int = Field(ge=1)
    session_minutes: int = Field(default=0, ge=0, le=15)
    """How long one code opens a session for routine questions at the terminal; 0: not at all."""
    second_code_minutes: int = Field(default=5, ge=1, le=60)
    desk_idle_minutes: int = Field(default=30, ge=1, le=60)
    """How long a session at the desk holds while nothing is done in it."""
    desk_hours: int = Field(default=10, ge=1, le=12)
    """How long it holds at most."""
    claim_hours: int = Field(default=0, ge=0, le=24 * 7)
    """How long a claim holds before the question is everybody's again; 0: until it is released."""
    key_rest_hours: int = Field(default=24, ge=0, le=24 * 30)
    """How long codes of a new or another secret, or of somebody taken back, prove nothing weighty; in a demonstration they
    do at once."""
    passkey_rest_hours: int = Field(default=24, ge=0, le=24 * 30)
    """How long a new passkey signs nothing weighty: whoever got one enrolled in somebody's name is found out first."""
    answer_kept_minutes: int = Field(ge=1, le=24 * 60)
    bundle_minutes: int = Field(default=15, ge=0, le=24 * 60)
    """How long letters to a role wait for each other; 0 sends each by itself."""
    code_kept_minutes: int = Field(default=5, ge=1, le=60)
    """At most so long, whatever an older file says of answers: a code that lies in Prefect must not live for an hour."""

    @property
    def kept_minutes(self) -> int:
        """How old an answer may be that is still judged by the moment it was given."""
        return min(self.answer_kept_minutes, self.code_kept_minutes)


ROUTINE = ("closure-review", "withdrawal", "compensation-service", "invoice-review")
"""The floor: no other gate's decisions may be called routine or be taken on a session alone."""


class DecisionPolicy(Section):
    """How much rests on the decisions of a gate, and how long whoever decided may object before a weighty one counts."""

    since: ClassVar[str] = "2026-12-01"

    routine: tuple[str, ...] = ROUTINE
    """Gates whose decisions move no money, ban nobody and are nobody's second look. Every other one is weighty."""
    by_session: tuple[str, ...] = ROUTINE
    """Gates that a session at the desk is proof enough for while nothing blocks; every other one takes a code each time."""
    signed_only: tuple[str, ...] = ()
    """Gates that take a passkey's signature and nothing else."""
    device_bound: tuple[str, ...] = ()
    """Gates whose signatures count only from a key that cannot leave the device it was made on."""
    papers_first: tuple[str, ...] = ()
    """Gates that nobody decides before all papers of the question were handed to them at the desk."""
    objection: PositiveWindow = Hours(n=4)

    @field_validator("by_session")
    @classmethod
    def _not_under_the_floor(cls, gates: tuple[str, ...]) -> tuple[str, ...]:
        if low := sorted(set(gates) - set(ROUTINE)):
            raise ValueError(f"money, bans and second persons are never decided on a session alone: {', '.join(low)}")
        return gates


class InboxPolicy(Section):
    """How many hours a message that is early (its shop or blue invoice is not known yet) waits before it is refused."""

    since: ClassVar[str] = "2026-12-01"

    early_hours: int = Field(default=24, ge=0, le=24 * 7)
