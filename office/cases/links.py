"""Addresses: where people find a case, a question, a file."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime

from models.cases import Case
from models.reviews import Review, Role
from office.base.settings import settings
from office.base.vault import audit_key

BOARD = "review-inbox"
"""How the keys of the roles' pages in Prefect begin."""


def link_to(case: Case, review: Review | None = None) -> str:
    """Where an operator finds the case, or this question of it: at the desk where the settings say its address, else in the
    Prefect UI, of which ``/v2`` is the default one, whose dialog shows most."""
    if settings().desk_url and review:
        return f"{settings().desk}/r/{review.id}"
    return of_case(case.id, case.run_id or "")


def of_case(case_id: str, run_id: str) -> str:
    """Where an operator finds the case with this number, played by this run."""
    if settings().desk_url:
        return f"{settings().desk}/c/{case_id}"
    runs = f"{settings().prefect_ui}/v2/runs"
    return f"{runs}/flow-run/{run_id}" if run_id else runs


def of_queue(role: Role) -> str:
    """Where somebody of this role finds everything that waits for them; a supervisor, what waits for anybody."""
    if settings().desk_url:
        return f"{settings().desk}/lead" if role is Role.SUPERVISOR else f"{settings().desk}/q?role={role}"
    return f"{settings().prefect_ui}/v2/artifacts/key/{board_key(role)}"


def board_key(role: Role) -> str:
    """The key of a role's page in Prefect: ``review-inbox-finance``."""
    return f"{BOARD}-{role.value}"


def of_file(evidence_id: str, until: datetime) -> str:
    """An address that opens one item of evidence until then, and only that one."""
    expires = int(until.timestamp())
    return f"{settings().public}/evidence/{evidence_id}?exp={expires}&sig={signature(evidence_id, expires)}"


def signature(evidence_id: str, expires: int) -> str:
    """What nobody without our key can put into such an address. Raises :class:`SettingsError` without a key."""
    own = hmac.new(audit_key(), b"dianwu evidence links, 1", hashlib.sha256).digest()
    return hmac.new(own, f"{evidence_id}\n{expires}".encode(), hashlib.sha256).hexdigest()
