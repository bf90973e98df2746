"""Alarms: somebody has changed or used the engine in a way that is not ours. Recorded, and a person hears of it.

Whoever reaches Prefect's API can make very many of one kind, so the supervisor hears of a kind once an hour; every one
stands in the audit.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from models.audit import AuditEntry
from models.cases import Case
from models.reviews import Role
from models.text import shortened
from notifications.engine import EngineAlarm
from office.base.db import Tx
from office.base.settings import settings
from office.cases import reviews
from office.record import alerts, audit, outbox

MOST_TEXT = 300


def run_refused(tx: Tx, run_id: str, name: str, deployment: str, reason: str) -> None:
    """A worker did not execute a run, because it was not simply a flow of ours."""
    about = _plain(deployment) or "(无部署)"
    raise_alarm(
        tx,
        "run.refused",
        f"执行端拒绝执行一次运行:{_plain(reason)}",
        kind=f"run/{_kind(reason)}",
        matter=f"运行「{_plain(name)}」,部署「{about}」",
        done="该次运行未被执行,已标记为失败。如非本团队人员操作,说明有人能使用 Prefect 接口,请立即更换其口令并检查部署。",
        run=run_id,
        deployment=about,
        reason=_plain(reason),
    )


def raise_alarm(
    tx: Tx, action: str, text: str, *, kind: str, matter: str, done: str, case: Case | None = None, **detail: Any
) -> AuditEntry:
    """Write it down in the case's trail, or the system's, and tell the supervisor of this ``kind`` once an hour."""
    entry = audit.record(tx, case.id if case else "system", action, text=text, **detail)
    told = EngineAlarm(
        what=text,
        matter=matter,
        done=done,
        seen_at=tx.now,
        case_id=case.id if case else "",
        link=reviews.link_to(case) if case else f"{settings().prefect_ui}/v2/runs",
    )
    once = hashlib.sha256(f"{kind}|{tx.now:%Y-%m-%dT%H}".encode()).hexdigest()[:32]
    if not outbox.written(tx, f"staff:engine/{once}"):
        reviews.notify_staff(tx, Role.SUPERVISOR, told, f"engine/{once}", case)
        alerts.remember(tx, f"staff:engine/{once}", told, "告知主管:Prefect 的改动或异常")
    return entry


def _kind(reason: str) -> str:
    """What our own words say of a refusal, without the names in it: those are written by whoever made the run."""
    return re.sub(r"""(['"]).*\1""", "", _plain(reason)).partition(":")[0]


def _plain(text: str) -> str:
    """What came from the API, fit to be kept: one line, no control characters, not without end."""
    return shortened(re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+", " ", text).strip(), MOST_TEXT)
