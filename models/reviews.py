"""Reviews: what is asked of people, who may answer, and what they said. The only record of a decision."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

from pydantic import Field as Values
from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlmodel import Column, Field, SQLModel

from models.base import Frozen, Labelled, UTCDateTime, Word, code, json_type


class Role(Labelled):
    CLOSURE_REVIEWER = "closure-reviewer", "关店审核员"
    FINANCE = "finance", "财务"
    ARBITRATOR = "arbitrator", "仲裁员"
    MERCHANT_SERVICE = "merchant-service", "商服"
    INVOICE_CLERK = "invoice-clerk", "开票专员"
    SUPERVISOR = "supervisor", "主管"
    OPENING_REVIEWER = "opening-reviewer", "入驻审核员"


class Staff(SQLModel, table=True):
    """A person who decides. The TOTP secret is sealed."""

    __tablename__ = "staff"

    id: str = Field(primary_key=True, sa_type=code(32))
    name: str
    roles: list[str] = Field(default_factory=list, sa_column=Column(json_type(), nullable=False))
    totp_sealed: str
    active: bool = True
    contact_sealed: str = ""
    locked_until: datetime | None = Field(default=None, sa_type=UTCDateTime)
    """Until when some place asks for two codes in a row, for lists; which place stands with :class:`CodeGuard`."""
    substitute_id: str | None = Field(default=None, sa_type=code(32))
    away_until: datetime | None = Field(default=None, sa_type=UTCDateTime)
    enrolled_at: datetime = Field(sa_type=UTCDateTime)


class CodeGuard(SQLModel, table=True):
    """Wrong codes typed under a person's id at one place (the form, a terminal), by whoever it was."""

    __tablename__ = "code_guard"

    staff_id: str = Field(primary_key=True, foreign_key="staff.id", sa_type=code(32))
    place: str = Field(primary_key=True, sa_type=code(32))
    wrong: int = 0
    """In a row, since the last right one or the last lock."""
    locked_until: datetime | None = Field(default=None, sa_type=UTCDateTime)
    first_step: int | None = None
    """The time step of the last right code while locked: the next right one opens."""


class SpentCode(SQLModel, table=True):
    """A one-time code's time step, spent by a staff member. A code is valid once."""

    __tablename__ = "spent_code"

    staff_id: str = Field(primary_key=True, foreign_key="staff.id", sa_type=code(32))
    step: int = Field(primary_key=True)
    at: datetime = Field(sa_type=UTCDateTime)


class ReviewState(Labelled):
    PENDING = "PENDING", "待处理"
    CLAIMED = "CLAIMED", "已认领"
    DECIDED = "DECIDED", "已决定"
    WITHDRAWN = "WITHDRAWN", "已撤回"
    SUPERSEDED = "SUPERSEDED", "已失效"


class Review(SQLModel, table=True):
    """One question to one person. ``revision`` grows when the facts shown have changed; ``attempt`` with each
    form shown (a refused answer is asked again under a new pause key)."""

    __tablename__ = "review"
    __table_args__ = (
        UniqueConstraint("case_id", "gate", "round", "seat", name="uq_review"),
        Index("ix_review_open", "state", "due_at", "opened_at", "id", "claimed_by"),
        Index("ix_review_decided", "state", "decided_at", "decided_by"),
        CheckConstraint(
            "(state = 'DECIDED') = (decided_by IS NOT NULL AND verdict IS NOT NULL)", name="ck_review_decided"
        ),
    )

    id: str = Field(primary_key=True, sa_type=code())
    case_id: str = Field(foreign_key="case.id", index=True, sa_type=code())
    gate: str = Field(sa_type=code(32))
    round: int = 1
    seat: int = 1
    roles: list[str] = Field(sa_column=Column(json_type(), nullable=False))
    excluded: list[str] = Field(default_factory=list, sa_column=Column(json_type(), nullable=False))
    """Staff who may not answer: they made or decided something in this case before (four eyes)."""
    verdicts: list[str] = Field(sa_column=Column(json_type(), nullable=False))
    state: ReviewState = Field(default=ReviewState.PENDING, sa_type=Word(ReviewState))
    revision: int = 1
    attempt: int = 0
    pause_key: str | None = Field(default=None, sa_type=code(120))
    notice: str = ""
    """Why the last answer was refused; shown on top of the next form."""
    unaccepted: dict[str, Any] | None = Field(default=None, sa_column=Column(json_type(), nullable=True))
    """What was filled in when it was refused (who, verdict, reason, the gate's own fields; never the code): the next form
    comes back with it."""
    dossier: str = ""
    """What is shown, in Markdown, merchant text escaped."""
    dossier_sha256: str = Field(default="", sa_type=code(64))
    facts_sha256: str = Field(default="", sa_type=code(64))
    seen: dict[str, Any] | None = Field(default=None, sa_column=Column(json_type(), nullable=True))
    """What whoever decides was shown, as ``policies.approvals.Seen``; none with those of versions before it was kept."""
    opened_at: datetime = Field(sa_type=UTCDateTime)
    due_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    claimed_by: str | None = Field(default=None, sa_type=code(32))
    claimed_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    appointed: list[str] | None = Field(default=None, sa_column=Column(json_type(), nullable=True))
    """Staff whom a supervisor let answer this question although their roles do not (ambiguity 37)."""
    stranded_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    """Since when nobody is left who may answer, as the supervisors were told."""
    decided_by: str | None = Field(default=None, foreign_key="staff.id", sa_type=code(32))
    decided_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    verdict: str | None = Field(default=None, sa_type=code(32))
    reason: str = ""
    answer: dict[str, Any] = Field(default_factory=dict, sa_column=Column(json_type(), nullable=False))
    """The gate's own fields as answered (days granted, handling agreed …)."""
    decision_seal: str | None = Field(default=None, sa_type=code(64))
    """That the decision was made by the judge of answers, under a key that the database does not hold."""
    question_seal: str | None = Field(default=None, sa_type=code(64))
    """That what is asked, who may answer, and what they are shown is what we wrote, under the same key."""

    @property
    def form_key(self) -> str:
        """The pause key of the last form that was shown."""
        return f"{self.gate}-{self.round}-{self.seat}-{self.id.lower()}-{self.attempt}"


V = TypeVar("V", bound=Labelled)


class Decision(Frozen):
    """What a review came to, as a flow reads it. ``verdict`` is ``None`` when the question was withdrawn."""

    review_id: str
    verdict: str | None
    decided_by: str | None = None
    decided_at: datetime | None = None
    reason: str = ""
    answer: dict[str, Any] = Values(default_factory=dict)
    overtaken: bool = False
    """The question was taken back because the decision it rests on no longer holds: that one is to be asked anew."""

    def read(self, words: type[V]) -> V | None:
        """The verdict as a word of the gate's own vocabulary."""
        return None if self.verdict is None else words(self.verdict)
