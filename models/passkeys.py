"""Passkeys: whose key signs, who was invited to enrol one, and what was asked to be signed."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel

from models.base import UTCDateTime, code


class Passkey(SQLModel, table=True):
    """A key of one person. Its public half stands here and, as it was enrolled, in the person's audit chain."""

    __tablename__ = "passkey"

    id: str = Field(primary_key=True, sa_type=code(64))
    """The SHA-256 of the credential's own id, which may be long."""
    staff_id: str = Field(foreign_key="staff.id", index=True, sa_type=code(32))
    credential_id: str
    public_key: str
    """COSE, base64url."""
    name: str
    device_bound: bool
    """Whether it cannot leave the device it was made on; others are synced by their maker's cloud."""
    sign_count: int = 0
    """The highest the key has said; a lower one later is a signal, no proof, as synced keys do not count."""
    enrolled_at: datetime = Field(sa_type=UTCDateTime)
    used_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    seal: str = Field(sa_type=code(64))
    """Under a key the database does not hold: nobody writes a passkey for a colleague."""


class PasskeyInvitation(SQLModel, table=True):
    """A supervisor's word that this person may enrol a key, once."""

    __tablename__ = "passkey_invitation"

    word_hash: str = Field(primary_key=True, sa_type=code(64))
    """Keyed, so that nobody writes an invitation of their own."""
    staff_id: str = Field(foreign_key="staff.id", sa_type=code(32))
    invited_by: str = Field(foreign_key="staff.id", sa_type=code(32))
    until: datetime = Field(sa_type=UTCDateTime)
    used_at: datetime | None = Field(default=None, sa_type=UTCDateTime)


class SignChallenge(SQLModel, table=True):
    """What a browser was asked to have signed: once, within minutes."""

    __tablename__ = "sign_challenge"

    id: str = Field(primary_key=True, sa_type=code(64))
    """The challenge itself, in hex."""
    purpose: str = Field(sa_type=code(32))
    staff_id: str | None = Field(default=None, foreign_key="staff.id", sa_type=code(32))
    session_id: str | None = Field(default=None, foreign_key="desk_session.id", sa_type=code())
    statement: str = ""
    """What the challenge is the SHA-256 of: the decision that is signed, or the invitation that a key is enrolled by."""
    until: datetime = Field(index=True, sa_type=UTCDateTime)
    used_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    seal: str | None = Field(default=None, sa_type=code(64))
    """Over what is asked of whom until when, under a key the database does not hold: SQL asks for nothing, makes nothing of
    what was signed another thing, and lets nothing be answered later. None with what an earlier version asked."""
