"""What staff read when the engine was used behind our back, and what everybody reads about a decision in their name."""

from __future__ import annotations

from typing import ClassVar

from notifications.message import Line, Link, Moment, Prose, StaffMessage


class EngineAlarm(StaffMessage):
    """To the supervisor, and to whoever it touches: something in Prefect was changed or used in a way that is not ours."""

    name: ClassVar[str] = "engine_alarm"
    clause: ClassVar[str] = "NOT"

    what: Prose
    matter: Line
    done: Prose
    """What we did about it, and what a person should do."""
    seen_at: Moment
    case_id: Line = ""
    link: Link


class _InYourName(StaffMessage):
    review_id: Line
    case_id: Line
    case_kind: Line
    subject: Line
    gate: Line
    staff_id: Line
    staff_name: Line


class DecisionRecorded(_InYourName):
    """To whoever decided, over a channel of their own: what was recorded in their name, and how to object."""

    name: ClassVar[str] = "decision_recorded"
    clause: ClassVar[str] = "NOT"

    verdict: Line
    reason: Prose = ""
    recorded_at: Moment
    follows: Prose
    """Whether it counts already, or when and how it will."""


class DecisionDropped(_InYourName):
    """To whoever answered: their answer does not count, why, and what to do."""

    name: ClassVar[str] = "decision_dropped"
    clause: ClassVar[str] = "NOT"

    why: Prose
    link: Link


class DecisionDisputed(_InYourName):
    """To the supervisor: somebody says that what was recorded in their name is not what they decided."""

    name: ClassVar[str] = "decision_disputed"
    clause: ClassVar[str] = "NOT"

    verdict: Line
    said: Prose = ""
    by_name: Line
    done: Prose
    link: Link


class ConfirmationLate(_InYourName):
    """To the supervisor: a weighty decision still waits for the confirmation of whoever gave it."""

    name: ClassVar[str] = "confirmation_late"
    clause: ClassVar[str] = "NOT"

    verdict: Line
    due: Moment
    why: Prose
    link: Link
