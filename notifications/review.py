"""What staff read about the questions put to them, and about a colleague who is locked out."""

from __future__ import annotations

from typing import ClassVar

from models.base import Frozen
from notifications.message import Count, Line, Link, Moment, StaffMessage


class _AboutReview(StaffMessage):
    case_id: Line
    case_kind: Line
    """Chinese name of the kind of case."""
    subject: Line
    """What the case is about, usually the shop's name."""
    gate: Line
    """Chinese name of the question: ``关店审核``."""
    role: Line
    """Chinese names of the roles that may answer."""
    link: Link
    rule: Line = ""
    """The question's own clause: ``REF-7``; empty in messages of versions before it was told."""


class ReviewWaiting(_AboutReview):
    """A case waits for a person."""

    name: ClassVar[str] = "review_waiting"
    clause: ClassVar[str] = "NOT"
    bundled: ClassVar[str] = "待处理的审核"
    first_at_once: ClassVar[bool] = True

    opened_at: Moment
    due: Moment | None = None


class ReviewReminder(_AboutReview):
    """It still waits, and its due time comes closer."""

    name: ClassVar[str] = "review_reminder"
    clause: ClassVar[str] = "NOT"
    bundled: ClassVar[str] = "即将到期的审核"

    due: Moment
    hours_left: Count
    claimed_by: Line = ""


class ReviewOverdue(_AboutReview):
    """To the supervisor: nobody answered in time."""

    name: ClassVar[str] = "review_overdue"
    clause: ClassVar[str] = "NOT"
    bundled: ClassVar[str] = "已超时的审核"

    due: Moment
    hours_late: Count
    claimed_by: Line = ""


class ReviewStranded(_AboutReview):
    """To the supervisor: nobody is left who may answer (ambiguity 37)."""

    name: ClassVar[str] = "review_stranded"
    clause: ClassVar[str] = "NOT"
    bundled: ClassVar[str] = "无人可处理的审核"
    first_at_once: ClassVar[bool] = True

    review_id: Line
    hindered: tuple[Line, ...]
    """Everybody whose question it would be, with what hinders them."""


class ReviewAppointed(_AboutReview):
    """A supervisor has appointed somebody for this question."""

    name: ClassVar[str] = "review_appointed"
    clause: ClassVar[str] = "NOT"

    person: Line
    by: Line


class StaffLocked(StaffMessage):
    """To the supervisor: too many wrong one-time codes in one person's name, by whoever it was."""

    name: ClassVar[str] = "staff_locked"
    clause: ClassVar[str] = "NOT"

    staff_id: Line
    staff_name: Line
    failed_codes: Count
    place: Line = ""
    """Where they were typed: ``表单``, ``终端``; empty in messages of versions before it was told."""
    locked_until: Moment


class StaffChanged(StaffMessage):
    """To whom it is about and to all supervisors: somebody was given a key, given it back, stood in for or dismissed."""

    name: ClassVar[str] = "staff_changed"
    clause: ClassVar[str] = "NOT"

    staff_id: Line
    staff_name: Line
    what: Line
    by: Line
    """The supervisor whose word it was, or that there was none."""
    at: Moment
    key: Line = "动态口令"
    """What was given to them, or given back."""
    counts_from: Moment | None = None
    """From when it proves what is weighty, where that is still ahead."""


class BundleEntry(Frozen):
    """One message of a bundle: its subject, and where its case is."""

    heading: Line
    sentence: Line
    link: Link | None = None


class StaffBundle(StaffMessage):
    """What a role was to be told in a quarter of an hour, as one list."""

    name: ClassVar[str] = "staff_bundle"
    clause: ClassVar[str] = "NOT"

    count: Count
    entries: tuple[BundleEntry, ...]
    """In the order of their headings."""
    more: Count = 0
    """How many are left away."""
    link: Link | None = None
    """Where all of it is found: the last one, to which a chat without room for the rest leads."""
