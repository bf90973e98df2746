"""The desk: who sits at it, what they have begun to write, have looked at and put off, and which forms of it were answered."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from models.base import UTCDateTime, code


class DeskSession(SQLModel, table=True):
    """Somebody at the desk, from one browser. What proves it is a word that only the browser keeps; here stands its hash.

    All its times are real time: a demonstration's moved clock neither shortens nor lengthens it.
    """

    __tablename__ = "desk_session"

    id: str = Field(primary_key=True, sa_type=code())
    staff_id: str = Field(foreign_key="staff.id", index=True, sa_type=code(32))
    word_sha256: str = Field(sa_type=code(64), unique=True)
    standing_sha256: str = Field(sa_type=code(64))
    """Of the session and of the person's roles and key as they were, under a key that the database does not hold: a
    change of any ends it, and nobody writes one for a colleague."""
    agent: str = Field(default="", sa_type=code(80))
    """The browser's family and system, for its person to know it by."""
    opened_at: datetime = Field(sa_type=UTCDateTime)
    seen_at: datetime = Field(sa_type=UTCDateTime)
    until: datetime = Field(sa_type=UTCDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UTCDateTime)


class DeskDraft(SQLModel, table=True):
    """What somebody has typed about a question and not sent. It may name people and accounts, so it is sealed."""

    __tablename__ = "desk_draft"

    staff_id: str = Field(primary_key=True, foreign_key="staff.id", sa_type=code(32))
    review_id: str = Field(primary_key=True, foreign_key="review.id", sa_type=code())
    version: int = 1
    """Grows with every save; what was typed on an older one does not replace a newer one."""
    body_sealed: str
    saved_at: datetime = Field(sa_type=UTCDateTime)


class DeskAnswer(SQLModel, table=True):
    """A form of the desk that was sent, and what became of it: sent twice, it is answered twice the same."""

    __tablename__ = "desk_answer"
    __table_args__ = (Index("ix_desk_answer_at", "at"),)

    key: str = Field(primary_key=True, sa_type=code(64))
    session_id: str = Field(foreign_key="desk_session.id", sa_type=code())
    review_id: str = Field(foreign_key="review.id", sa_type=code())
    accepted: bool
    sentence: str
    at: datetime = Field(sa_type=UTCDateTime)


class DeskPresence(SQLModel, table=True):
    """Who has a question before them, as their page said last. It keeps nobody out; it is dropped with the day. Real time."""

    __tablename__ = "desk_presence"

    review_id: str = Field(primary_key=True, foreign_key="review.id", sa_type=code())
    staff_id: str = Field(primary_key=True, foreign_key="staff.id", sa_type=code(32))
    at: datetime = Field(index=True, sa_type=UTCDateTime)


class PutOff(SQLModel, table=True):
    """Somebody wants to look at a question later: until then it is out of their list, and in everybody else's."""

    __tablename__ = "put_off"

    review_id: str = Field(primary_key=True, foreign_key="review.id", sa_type=code())
    staff_id: str = Field(primary_key=True, foreign_key="staff.id", sa_type=code(32))
    revision: int
    """What they had seen: when the facts change it is back at once."""
    until: datetime = Field(sa_type=UTCDateTime)
    times: int = 1
    """How often they have put it off, for the supervisor."""


class PaperLook(SQLModel, table=True):
    """A page of a paper that was handed to somebody at full size, by what the file holds: another content is another paper.
    Page 0 is the original. Real time."""

    __tablename__ = "paper_look"

    staff_id: str = Field(primary_key=True, foreign_key="staff.id", sa_type=code(32))
    sha256: str = Field(primary_key=True, sa_type=code(64))
    page: int = Field(primary_key=True)
    pages: int
    """How many the file has; 0 when nobody knows."""
    at: datetime = Field(sa_type=UTCDateTime)
    seal: str | None = Field(default=None, sa_type=code(64))
    """That it was we who handed it out, under a key that the database does not hold; what has none does not count."""


class PaperRead(SQLModel, table=True):
    """That a paper was handed out in a session at the desk, small or large: once each into the shop's audit chain."""

    __tablename__ = "paper_read"

    session_id: str = Field(primary_key=True, foreign_key="desk_session.id", sa_type=code())
    evidence_id: str = Field(primary_key=True, foreign_key="evidence_item.id", sa_type=code())
    at: datetime = Field(sa_type=UTCDateTime)


class Snippet(SQLModel, table=True):
    """A reason that somebody writes often, under a word of theirs."""

    __tablename__ = "snippet"
    __table_args__ = (UniqueConstraint("staff_id", "name", name="uq_snippet"),)

    id: str = Field(primary_key=True, sa_type=code())
    staff_id: str = Field(foreign_key="staff.id", index=True, sa_type=code(32))
    name: str = Field(sa_type=code(40))
    text: str
    at: datetime = Field(sa_type=UTCDateTime)
