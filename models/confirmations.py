"""What a person answered through Prefect until it counts, the forms that were shown there, and runs that were replaced."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Column, Field, SQLModel

from models.base import Labelled, UTCDateTime, Word, code, json_type


class Weight(Labelled):
    """How much rests on a decision: what is asked of it before it counts."""

    ROUTINE = "ROUTINE", "一般"
    WEIGHTY = "WEIGHTY", "重要"
    """Money, a ban, or a second person's."""


class Holding(Labelled):
    """What a weighty answer given through Prefect waits for before it counts."""

    IMMEDIATE = "immediate", "立即生效"
    WINDOW = "window", "异议期届满后生效"
    CONFIRM = "confirm", "本人确认后生效"


class ConfirmationState(Labelled):
    OPEN = "OPEN", "待本人确认"
    CONFIRMED = "CONFIRMED", "本人已确认"
    PASSED = "PASSED", "异议期已过"
    DISPUTED = "DISPUTED", "本人已提出异议"
    DROPPED = "DROPPED", "已失效"


class Confirmation(SQLModel, table=True):
    """A weighty answer that came through Prefect, held until whoever gave it confirms it where only we listen, or has had
    time to object. The review is decided when it ends well, and asked again when it does not."""

    __tablename__ = "confirmation"
    __table_args__ = (
        Index("ix_confirmation_review", "review_id", "state"),
        CheckConstraint("(state = 'OPEN') = (closed_at IS NULL)", name="ck_confirmation_closed"),
    )

    id: str = Field(primary_key=True, sa_type=code())
    review_id: str = Field(foreign_key="review.id", sa_type=code())
    case_id: str = Field(foreign_key="case.id", index=True, sa_type=code())
    revision: int
    """Of the review, as it was answered: facts that have changed since end the answer."""
    staff_id: str = Field(foreign_key="staff.id", sa_type=code(32))
    verdict: str = Field(sa_type=code(32))
    reason: str = ""
    answer: dict[str, Any] = Field(default_factory=dict, sa_column=Column(json_type(), nullable=False))
    holding: Holding = Field(sa_type=Word(Holding))
    held_at: datetime = Field(sa_type=UTCDateTime)
    seal: str = Field(sa_type=code(64))
    """Over all of the above, with a key the database does not hold: what was changed here counts for nothing."""
    due_at: datetime = Field(sa_type=UTCDateTime)
    """When the time to object is over, or from when the supervisor is told that it still waits."""
    state: ConfirmationState = Field(default=ConfirmationState.OPEN, sa_type=Word(ConfirmationState))
    closed_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    closed_by: str = Field(default="", sa_type=code(32))
    note: str = ""


class ShownForm(SQLModel, table=True):
    """A form as we wrote it into Prefect. What comes back is judged only if that is what stands there still."""

    __tablename__ = "shown_form"
    __table_args__ = (
        Index("ix_shown_form_review", "review_id", "judged_at"),
        Index("ix_shown_form_left", "cleared_at", "judged_at"),
    )

    key: str = Field(primary_key=True, sa_type=code(120))
    """The pause key."""
    review_id: str = Field(foreign_key="review.id", sa_type=code())
    case_id: str = Field(foreign_key="case.id", sa_type=code())
    run_id: str = Field(sa_type=code())
    description_sha256: str = Field(sa_type=code(64))
    """Empty, like the next, for a form shown by an earlier version, which did not keep it."""
    schema_sha256: str = Field(sa_type=code(64))
    shown_at: datetime = Field(sa_type=UTCDateTime)
    judged_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    """When its answer was judged, or it was passed over without one."""
    cleared_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    """When nothing that was answered to it was left in Prefect."""
    seal: str | None = Field(default=None, sa_type=code(64))
    """Over all but the last, with a key the database does not hold. An answer to a form without it is a doubt."""


class ReplacedRun(SQLModel, table=True):
    """A Prefect run that does not carry its case any more. It is ended, and what was answered in it is told."""

    __tablename__ = "replaced_run"
    __table_args__ = (Index("ix_replaced_run_open", "ended_at"),)

    run_id: str = Field(primary_key=True, sa_type=code())
    case_id: str = Field(foreign_key="case.id", sa_type=code())
    replaced_at: datetime = Field(sa_type=UTCDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
