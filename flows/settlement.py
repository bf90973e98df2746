"""Settlement (货款结算): half a month's receivables are drawn up for every shop, released by finance, posted and paid.

    half over ─▶ drafted in chunks ─▶ totals, anomalies ─▶ finance ─┬─▶ released ─▶ (much money, many anomalies: second person)
                       ▲                                            │                         │
                       └──────────── drafted again ◀────────────────┘     posted and paid in chunks ─▶ statements, messages
                       └── who released may not any more ◀───────────────────────────┘

Rules and numbers:       policies/settlement.py      STL-1 … STL-6, ambiguities 29, 46, 48, 49
What the merchant reads: notifications/settlement.py, notifications/documents/settlement.html.j2
When nobody answers:     flows/deadlines.py; what the bank sends back: flows/settlement_return.py
"""

from __future__ import annotations

from itertools import count
from typing import assert_never

from flows import artifacts
from flows.story import story
from flows.waiting import ask, wait_until
from models.cases import CaseKind
from tasks.releasing import SecondRelease
from tasks.settlement import ages, drafts, posting, releases, steps
from tasks.settlement.releases import ReleaseVerdict


@story(CaseKind.SETTLEMENT, "货款结算：每半个月起草各店应结货款，财务放行，入账付款并通知商家（STL-1 至 STL-6）。")
def settle_half(case_id: str) -> None:
    """Take half a month from its last day to money that is on its way to every shop that can be paid."""
    for round in count(1):
        steps.meet()
        steps.begin(case_id, round)
        artifacts.progress("起草结算单", case_id, drafts.draft(case_id))
        steps.total_up(case_id, round)
        decision = ask(case_id, releases.RELEASE, round=round)
        match decision.read(ReleaseVerdict):
            case None:
                raise RuntimeError(f"{case_id}: a half cannot be withdrawn")
            case ReleaseVerdict.REDRAFT:
                continue
            case ReleaseVerdict.RELEASE:
                pass
            case unknown:
                assert_never(unknown)
        if steps.to_second(case_id, round):  # four eyes over much money or many anomalies
            second = ask(case_id, releases.SECOND, round=round)
            if second.verdict != SecondRelease.CONFIRM:
                continue
        if releases.release(case_id, round) is None:  # as long as who released may release
            continue
        artifacts.progress(
            "请平台报送经营数据", case_id, ages.ask(case_id, round)
        )  # the facts it rests on have an age (27)
        wait_until(case_id, lambda: ages.ready(case_id) or releases.lost(case_id))
        ages.go_on(case_id) if round == 1 else ages.go_on_again(case_id, round)
        artifacts.progress("结算付款", case_id, posting.settle(case_id, round))
        if posting.settled(case_id, round):  # the same is asked at each chunk; what was paid until then stays paid
            break

    artifacts.result(releases.result_of(case_id))  # before the half ends: whoever dies here comes back
    steps.finish(case_id)
