"""Views: what the platform reads about a case at ``GET /cases/{id}``, fit for the merchant's eyes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field

from models.base import Frozen


class TimelineLine(Frozen):
    """One thing that happened, as the merchant may read it."""

    at: datetime
    text: str = Field(description="in Chinese")
    clause: str = ""


class CaseView(Frozen):
    """Where a case stands. Times are in UTC; words ending in ``_label`` and texts are Chinese."""

    id: str
    kind: str
    kind_label: str
    shop_id: str | None = None
    state: str
    state_label: str
    waits_for: str = Field(default="", description="who or what the case waits for, in Chinese; empty when over")
    due_at: datetime | None = Field(default=None, description="the next due time that is open")
    seconds_left: int | None = Field(default=None, ge=0, description="until due_at; 0 once it has passed")
    due_by: datetime | None = Field(
        default=None, description="until when the merchant's further evidence counts; null where none is asked for"
    )
    past_due: bool = False
    allowed_actions: tuple[str, ...] = Field(
        default=(), description="types of the events that the merchant's side may send about this case now"
    )
    outcome: str | None = None
    outcome_clause: str | None = None
    outcome_text: str | None = None
    service_contact: str = Field(default="", description="where the merchant gets help with any question (CLS-11)")
    timeline: tuple[TimelineLine, ...] = ()
    submission_count: int | None = Field(default=None, ge=0, description="of evidence; null where none is asked for")
    evidence: tuple[dict[str, Any], ...] | None = Field(
        default=None, description="the checklist with what is satisfied; null where none is asked for"
    )
    missing: tuple[dict[str, Any], ...] | None = Field(
        default=None,
        description="what the merchant has still to bring, each with why and its clause; null where nothing is asked for",
    )


class EvidenceShown(Frozen):
    """Something submitted in the case. ``sha256`` is of its content; ``where`` says what it was sent with."""

    name: str
    kind: str
    sha256: str = ""
    url: str = ""
    submitted_at: datetime | None = None
    where: str = ""


class BoundAccountView(Frozen):
    """An account that is a shop's now. Times are in UTC; words ending in ``_label`` are Chinese."""

    kind: str
    kind_label: str
    platform: str
    platform_label: str
    account_id: str
    account_name: str = ""
    bound_at: datetime
    unbind_from: datetime | None = Field(
        default=None, description="from when a channel may be let go (BND-8); null where nothing is waited for"
    )
    for_ever: bool = Field(description="an official account is never let go (BND-3)")
    case_id: str


class ShopAccountsView(Frozen):
    """Whose figures are a shop's own: every account in force, oldest first, for whoever aggregates (BND-15)."""

    shop_id: str
    as_of: datetime
    accounts: tuple[BoundAccountView, ...]


class TicketView(Frozen):
    """What whoever has scanned a link reads before they accept in the app. Texts are Chinese."""

    shop_name: str
    open: bool = Field(description="whether the link can still be scanned and accepted")
    expires_at: datetime
    warning: str
