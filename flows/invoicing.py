"""Monthly invoicing (月度开票): what every shop has to invoice is drawn up, released by finance, and issued.

    month over ─▶ drafted in chunks ─▶ totals, anomalies ─▶ finance ─┬─▶ released ─▶ (many anomalies: second person)
                        ▲                                            │                         │
                        └──────────── drafted again ◀────────────────┘         issued in chunks, without gaps ─▶ summary

Rules and numbers:       policies/invoicing.py      INV-1, INV-5, INV-7, ambiguity 15
What the merchant reads: notifications/invoicing.py, notifications/documents/statement.html.j2
When nobody answers:     flows/deadlines.py; what comes after the due time: tasks/invoicing/freezes.py
"""

from __future__ import annotations

from itertools import count
from typing import assert_never

from flows import artifacts
from flows.story import story
from flows.waiting import ask
from models.cases import CaseKind
from tasks.invoicing import drafts, releases, statements
from tasks.invoicing.releases import ReleaseVerdict
from tasks.releasing import SecondRelease


@story(CaseKind.INVOICING, "月度开票：按月起草账单，财务放行，编号出具并通知商家（INV-1 至 INV-7）。")
def invoice_month(case_id: str) -> None:
    """Take one month from its last day to statements that every shop has been told about."""
    for round in count(1):
        drafts.begin(case_id, round)
        artifacts.progress("起草账单", case_id, drafts.draft(case_id))
        drafts.total_up(case_id, round)
        decision = ask(case_id, releases.RELEASE, round=round)
        match decision.read(ReleaseVerdict):
            case None:
                raise RuntimeError(f"{case_id}: a month cannot be withdrawn")
            case ReleaseVerdict.REDRAFT:
                continue
            case ReleaseVerdict.RELEASE:
                pass
            case unknown:
                assert_never(unknown)
        if drafts.to_second(case_id, round):  # four eyes over many anomalies
            second = ask(case_id, releases.SECOND, round=round)
            if second.verdict != SecondRelease.CONFIRM:
                continue
        if releases.release(case_id, round) is not None:  # as long as who released may release
            break

    artifacts.progress("出具账单", case_id, statements.issue(case_id, releases.insist))
    artifacts.result(releases.result_of(case_id))  # before the month ends: whoever dies here comes back
    statements.finish(case_id)
