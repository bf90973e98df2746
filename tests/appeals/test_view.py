"""What the platform reads about an appeal, and what a court could read afterwards."""

from __future__ import annotations

from tasks.disputes import dispute_file
from tasks.views import case_dossier, merchant_view
from tests.appeals.bench import Bench
from tests.play import Office


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
