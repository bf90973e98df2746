"""What a check of the doctor is: fine, a warning or a fault, with its remedy."""

from __future__ import annotations

from models.base import Frozen, Labelled


class Health(Labelled):
    GOOD = "good", "✓"
    WARNING = "warning", "⚠"
    BAD = "bad", "✗"


class Check(Frozen):
    """One thing looked at: how it is in a sentence, and what to do about it where something is to be done."""

    name: str
    health: Health
    sentence: str
    remedy: str = ""


def good(name: str, sentence: str) -> Check:
    return Check(name=name, health=Health.GOOD, sentence=sentence)


def warn(name: str, sentence: str, remedy: str) -> Check:
    return Check(name=name, health=Health.WARNING, sentence=sentence, remedy=remedy)


def bad(name: str, sentence: str, remedy: str) -> Check:
    return Check(name=name, health=Health.BAD, sentence=sentence, remedy=remedy)
