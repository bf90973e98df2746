"""What the platform reads about an appeal, and what a court could read afterwards."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from fastapi.testclient import TestClient

from models.cases import Case
from office.base.settings import settings
from tasks.sight.disputes import dispute_file
from tasks.sight.merchant import merchant_view
from tasks.sight.views import case_dossier
from tests.appeals.bench import Bench
from tests.play import SILENCE, Office
from webhooks.app import create_app


def test_the_platform_sees_until_when_evidence_counts_what_was_sent_and_what_may_be_done(office: Office) -> None:
    bench = Bench(office)
    bench.rule()
    case = bench.file()
    office.decide(case, "zhou-yan", "INSUFFICIENT", "请补充揽收底单")
    view = merchant_view(case.id)
    assert (view.submission_count, view.past_due, view.waits_for) == (1, False, "商家补充举证")
    assert view.allowed_actions == ("appeal.evidence_submitted",)
    assert view.due_by is not None and view.due_by == office.deadline(case, "re-evidence").due_at
    assert any(item["satisfied"] for item in view.evidence or ())


def read(case: Case) -> dict[str, Any]:
    """The case as the platform reads it at the door."""
    client = TestClient(create_app(settings(), case_view=merchant_view))
    answer = client.get(f"/cases/{case.id}", headers={"authorization": "Bearer token-of-the-tests"})
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_at_the_door_an_appeal_says_what_is_asked_until_when_and_what_may_be_done(office: Office) -> None:
    bench = Bench(office)
    bench.rule()
    case = bench.file()
    assert [read(case)[name] for name in ("due_by", "past_due", "submission_count", "allowed_actions")] == [
        None,
        False,
        1,
        [],
    ]
    office.decide(case, "zhou-yan", "INSUFFICIENT", "请补充揽收底单")
    due = office.deadline(case, "re-evidence").due_at
    asked = read(case)
    assert datetime.fromisoformat(asked["due_by"]) == due
    assert asked["allowed_actions"] == ["appeal.evidence_submitted"]
    assert [(item["kind"], item["satisfied"]) for item in asked["evidence"]] == [("LOGISTICS", True), ("CHAT", False)]
    office.clock.at = due + timedelta(milliseconds=1500)
    late = read(case)
    assert (late["past_due"], late["allowed_actions"]) == (True, [])
    office.clock.at = due + SILENCE
    office.sweep()
    closed = read(case)
    assert (closed["outcome"], closed["allowed_actions"]) == ("CLOSED_TIMEOUT", ["escalation.noted"])


def test_a_filing_refused_for_want_of_evidence_shows_what_was_expected(office: Office) -> None:
    bench = Bench(office)
    bench.rule()
    view = merchant_view(bench.file(items=[]).id)
    assert (view.submission_count, view.allowed_actions) == (0, ())
    assert [(item["kind"], item["satisfied"]) for item in view.evidence or ()] == [
        ("LOGISTICS", False),
        ("CHAT", False),
    ]


def test_the_dispute_file_tells_an_appeal_from_the_ruling_to_the_money_in_words(office: Office) -> None:
    bench = Bench(office)
    bench.rule(ruled_by="li-na")
    case = bench.file()
    office.decide(case, "zhou-yan", "INSUFFICIENT", "请补充揽收底单")
    bench.send_more(case)
    office.decide(case, "sun-lei", "UPHOLD", "补充凭证有效")
    office.decide(case, "wu-tao", "AGREED", contact="电话联系店主", handling="TO_DEPOSIT")
    office.decide(case, "wang-fang", "CONFIRM")
    dossier = case_dossier(case.id)
    request = dict(dossier.request)
    assert request["申诉对象"] == "rul-1"
    assert request["原因"] == "已按约定发货"
    assert request["申诉陈述"] == "已按时发货,请复核。"
    assert "物流凭证" in request["随申请提交的凭证"]
    (ruling,) = dossier.rulings
    assert "7 个自然日" in ruling.window
    assert [(one.key, one.amount_fen) for one in ruling.postings] == [
        ("ruling/rul-1", 20_000),
        ("return/rul-1/deposit", 20_000),
    ]
    assert dossier.counters.startswith("有效判责 0 项")
    clauses = [line.clause for line in dossier.timeline]
    assert clauses[0] == "ARB-2", "it begins with the ruling"
    assert [clause for clause in ("ARB-2", "ARB-4", "ARB-5", "ARB-7", "ARB-8") if clause not in clauses] == []
    page = dispute_file(dossier)
    for raw in ("SHIPPED_IN_TIME", ">object<", ">named<", ">statement<"):
        assert raw not in page.split('id="audit"')[0].replace("&#34;", '"')
    for words in ("案件经过", "申诉期限的计算", "十天未收到货", "ruling/rul-1", "补充凭证有效", "第 2 次举证"):
        assert words in page


def test_the_dispute_file_names_every_item_with_the_hash_it_was_submitted_under(office: Office) -> None:
    bench = Bench(office)
    bench.rule()
    case = bench.file()
    office.decide(case, "zhou-yan", "DISMISS", "凭证与订单不符")
    dossier = case_dossier(case.id)
    assert [item.kind for item in dossier.evidence]
    page = dispute_file(dossier)
    for item in dossier.evidence:
        assert item.sha256 in page
    assert "ARB-3" in page and "周妍" in page and "凭证与订单不符" in page
