"""A question to people: who may answer, with which verdicts, on what dossier; and what an answer is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import Field as Values
from pydantic import model_validator

from models.base import Frozen, Labelled
from models.cases import Case, Finding
from models.dossier import Sheet
from models.reviews import Review, ReviewState, Role
from models.text import typed
from models.windows import Window
from office.base.db import Tx
from office.staff.guard import Place
from policies.approvals import Seen

DEADLINE = "review"
"""The kind of deadline a review has: ours, so it is escalated and never lapses."""

OPEN = (ReviewState.PENDING, ReviewState.CLAIMED)

MOST_KEPT = 25_000
"""Characters of a text that was not taken, kept to be brought back into the form."""

OBJECTED = "的决定提出异议"
"""How the reason ends for which an objection halts a case."""

NOT_TAKEN = "上次答复未采纳"
"""How a question's notice begins when somebody has answered it in vain."""


class Dossier(Frozen):
    """What a reviewer is shown, and the facts in it that may not change between the look and the decision."""

    sheet: Sheet
    facts: dict[str, Any] = Values(default_factory=dict)
    blocking: tuple[Finding, ...] = ()
    shown: dict[str, Any] = Values(default_factory=dict)
    """Facts that are shown anew when they move, and are no term: whoever decided before need not decide again."""
    links_until: str = ""
    """Until when its links open what they name. It is shown anew when that moves, and is no term of the decision."""
    sum_fen: int | None = None
    """The one amount it is about, for a list; none where there is none or several."""

    @property
    def seen(self) -> Seen:
        """What somebody who decides on this has seen, as it can be compared later (ambiguity 23)."""
        listed = {"sum_fen": self.sum_fen, "papers": self.sheet.hashes()}
        return Seen.of(self.facts, self.blocking).model_copy(update=listed)

    @property
    def facts_sha256(self) -> str:
        blocking = [[one.code, one.value, *one.extent, *one.items] for one in self.blocking]
        facts = {"blocking": blocking, **self.facts, **self.shown} | (
            {"links_until": self.links_until} if self.links_until else {}
        )
        return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


class Answer(Frozen):
    """What a person answered. ``extra`` holds the gate's own fields, as the form delivered them."""

    review_id: str
    revision: int
    staff_id: str
    code: str
    verdict: str
    reason: str = ""
    extra: dict[str, Any] = Values(default_factory=dict)
    given_at: datetime | None = None
    """When the person pressed the button, real time; ``None`` means now. Their code is judged by it."""
    through: Place = Place.TERMINAL
    """Where it was given: in Prefect, where others may have had their hands on it, or where only we listen."""
    session: str = ""
    """The word of a session at the desk, which proves its person where policy lets it."""

    signature: str = ""
    """A passkey's answer to the statement of this decision, as the browser gave it."""

    @property
    def proof(self) -> str:
        """What its author is proved by; nothing, when the caller has had that done."""
        if self.signature:
            return "signature"
        return "code" if self.code.strip() else "session" if self.session else ""

    @model_validator(mode="before")
    @classmethod
    def _as_typed(cls, fields: Any) -> Any:
        """No database takes every character that a form or a terminal lets pass, and what was sent is not asked again."""
        return typed(fields)


Check = Callable[[Tx, Case, Review, Answer], str | None]
"""A gate's own condition on an answer: a Chinese sentence when it is not met."""


def no_check(tx: Tx, case: Case, review: Review, answer: Answer) -> str | None:
    """For gates whose verdicts need nothing but the person."""
    return None


@dataclass(frozen=True)
class Gate:
    """A kind of question: who may answer it, with which verdicts, on what dossier, until when."""

    name: str
    """``[a-z0-9-]``: part of the pause key."""
    title: str
    roles: tuple[Role, ...]
    verdicts: type[Labelled]
    dossier: Callable[[Tx, Case, Review], Dossier]
    window: Callable[[Case], Window]
    clause: str
    reason_required: frozenset[str] = frozenset()
    """Verdicts that need a written reason."""
    consequences: Mapping[str, str] = field(default_factory=dict)
    """What each verdict will do, in Chinese, shown beside the choices."""
    fields: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """The gate's own form fields: name → JSON Schema with Chinese title and limits; none is required by schema."""
    check: Check = no_check
    excluded: Callable[[Tx, Case], set[str]] = lambda tx, case: set()
    """Staff who may not answer besides those who decided another seat of the same question."""
    rests_on: str = ""
    """The gate whose decision of the same round this one confirms: it is taken back when that one no longer holds."""

    def verdict(self, code: str) -> Labelled:
        return self.verdicts(code)


class Outcome(Frozen):
    """Whether an answer was taken; otherwise the sentence its author reads."""

    accepted: bool
    sentence: str = ""
    proved: bool = True
    """Whether its author has proved who they are: of a refused answer, whose words it brings back."""
