"""Disputes: everything about one case as a single HTML file that can be printed, kept and checked."""

from __future__ import annotations

from notifications.document import render_document
from office.base.settings import settings
from tasks.sight.shown import CaseDossier

PARTS = (
    ("facts", "案件事实"),
    ("timeline", "案件经过"),
    ("rulings", "判责"),
    ("findings", "检查结果"),
    ("decisions", "审核与决定"),
    ("deadlines", "期限"),
    ("money", "资金"),
    ("messages", "消息"),
    ("evidence", "证据目录"),
    ("audit", "审计链与核验说明"),
)


def dispute_file(case: CaseDossier) -> str:
    """The dispute file as one self-contained page: no script, nothing loaded, nothing from outside read as markup."""
    return render_document("dispute", {"case": case, "platform": settings().platform_name, "parts": PARTS})
