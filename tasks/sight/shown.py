"""A case as people are shown it: frozen values, in the words they are read in."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from models.base import Frozen
from models.cases import (
    CaseKind,
    CaseState,
    Finding,
)
from models.views import EvidenceShown

# ── the whole picture ────────────────────────────────────────────────────────


class DeadlineShown(Frozen):
    """A deadline with the proof of how it was reckoned. ``seconds_left`` is 0 once ``due_at`` has passed."""

    key: str
    title: str
    """What is due, as people read it; ``key`` is ours."""
    side: str
    clause: str
    state: str
    running: bool
    started_at: datetime
    due_at: datetime
    seconds_left: int
    reckoned: str
    provisional: bool


class FindingShown(Frozen):
    """What a check found, and when it looked."""

    check: str
    recorded_at: datetime
    finding: Finding


class ReviewShown(Frozen):
    """One question: who could answer it, what they were shown, and what was said by whom."""

    id: str
    title: str
    clause: str
    round: int
    seat: int
    state: str
    roles: str
    opened_at: datetime
    due_at: datetime | None
    claimed_by: str
    decided: bool
    decided_by: str
    """``王芳(wang-fang)``; empty while nobody has."""
    decided_at: datetime | None
    verdict: str
    reason: str
    held: str
    """What was answered and waits to be confirmed by whom, until when; empty when nothing does."""
    answer: tuple[tuple[str, str], ...]
    revision: int
    shown: str
    """The dossier in Markdown, part by part as it was shown."""
    kept: str
    """The same in its canonical form, which is what was hashed."""
    shown_sha256: str
    shown_intact: bool
    """Whether the canonical form still has the hash that the decision was bound to in the audit."""
    facts_sha256: str


class WaitShown(Frozen):
    """Something the case waited for besides a review, with the merchant's answer where it was theirs."""

    what: str
    question: str
    state: str
    opened_at: datetime
    closed_at: datetime | None
    answer: str


class PostingShown(Frozen):
    """Money that went from one account to another because of the case."""

    key: str
    debit: str
    credit: str
    amount_fen: int
    reason: str
    why: str
    clause: str
    posted_at: datetime


class RulingShown(Frozen):
    """A ruling the case is about: what was recorded, the proof of its window, and its money in the books."""

    id: str
    kind: str
    facts: tuple[tuple[str, str], ...]
    sides: tuple[tuple[str, str], ...]
    """Each side's account in the arbitration."""
    window: str
    postings: tuple[PostingShown, ...]


class PayoutShown(Frozen):
    """An attempt to pay out, with the people whose permit it used. The payee is masked."""

    request_no: str
    amount_fen: int
    payee: str
    state: str
    permitted_by: str
    requested_at: datetime
    answered_at: datetime | None
    bank_reason: str


class MessageShown(Frozen):
    """Something sent because of the case. An event's body stays sealed; words to people are shown."""

    key: str
    channel: str
    to: str
    to_merchant: bool
    topic: str
    subject: str
    text: str
    state: str
    attempts: int
    created_at: datetime
    closed_at: datetime | None
    note: str


class ReceivedShown(Frozen):
    """A message that reached the door about the case: its hash, never its body."""

    source: str
    message_id: str
    type: str
    title: str
    received_at: datetime
    sha256: str
    state: str
    note: str


class AuditShown(Frozen):
    """One line of the case's chain with everything its hash covers."""

    seq: int
    at: datetime
    actor: str
    who: str
    """The actor as people say it: ``王芳(wang-fang)``."""
    action: str
    clause: str
    text: str
    detail: dict[str, Any]
    public: bool
    prev_hash: str
    hash: str


class ChainShown(Frozen):
    """The case's audit chain and what is wrong with it: nothing, when it is whole."""

    lines: tuple[AuditShown, ...]
    head: str
    seal: str
    problems: tuple[str, ...]


class CaseDossier(Frozen):
    """Everything we hold about one case, fit for our own people: account numbers masked, no secret, no code."""

    id: str
    kind: CaseKind
    shop_id: str | None
    shop_name: str
    subject: str
    state: CaseState
    waits_for: str
    halted: str
    origin: str
    policy_version: str
    received_at: datetime
    opened_at: datetime
    withdrawn_at: datetime | None
    concluded_at: datetime | None
    outcome: CaseState | None
    outcome_clause: str
    outcome_text: str
    run_id: str | None
    run_attempt: int
    seen_at: datetime
    """When this was looked up, by the clock that deadlines go by."""
    request: tuple[tuple[str, str], ...]
    allowed_actions: tuple[str, ...]
    rulings: tuple[RulingShown, ...]
    counters: str
    """What the shop's valid rulings add up to now; empty where the case is about none."""
    timeline: tuple[AuditShown, ...]
    """The case from the ruling on, the lines of the shop's history about it included, oldest first."""
    deadlines: tuple[DeadlineShown, ...]
    findings: tuple[FindingShown, ...]
    reviews: tuple[ReviewShown, ...]
    waits: tuple[WaitShown, ...]
    postings: tuple[PostingShown, ...]
    payouts: tuple[PayoutShown, ...]
    messages: tuple[MessageShown, ...]
    left_off: tuple[tuple[str, int], ...]
    """Of what there is more than is shown, and how many."""
    received: tuple[ReceivedShown, ...]
    evidence: tuple[EvidenceShown, ...]
    chain: ChainShown
