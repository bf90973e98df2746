"""Sessions: some minutes in which one code is enough for routine questions at the terminal, where policy allows it."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel

from models.base import UTCDateTime, code


class TerminalSession(SQLModel, table=True):
    """One session. What proves it is a word of chance that only its terminal keeps; here stands the word's hash."""

    __tablename__ = "terminal_session"

    id: str = Field(primary_key=True, sa_type=code())
    staff_id: str = Field(foreign_key="staff.id", index=True, sa_type=code(32))
    word_sha256: str = Field(sa_type=code(64), unique=True)
    standing_sha256: str = Field(sa_type=code(64))
    """Of the session and of the person's roles and key as they were, under a key that the database does not hold: a
    change of any ends it, and nobody writes one for a colleague."""
    opened_at: datetime = Field(sa_type=UTCDateTime)
    until: datetime = Field(sa_type=UTCDateTime)
    """Real time: a demonstration's moved clock neither shortens nor lengthens it."""
    closed_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
