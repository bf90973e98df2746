"""Papers of withdrawals and corrections, and evidence whose file is gone (ambiguity 26)."""

from __future__ import annotations

import pytest

from models.cases import Case
from office.base.settings import settings
from tests.appeals.bench import PNG, Bench
from tests.appeals.test_withdrawal import ask
from tests.play import FILES, UNSENT, paper
from tests.reading import read

JUDGMENT = paper("民事判决书.pdf")


def a_correction(bench: Bench, document: dict[str, object]) -> tuple[Case, str, str]:
    bench.rule()
    bench.office.send(
        "ruling.correction_proposed",
        {
            "shop_id": bench.shop_id,
            "ruling_id": "rul-1",
            "court": "杭州互联网法院",
            "judgment_no": "(2026)浙0192民初1号",
            "judged_on": bench.now.isoformat(),
            "summary": "判决认定已按时发货。",
            "proposed_by": "legal-3",
            "documents": [document],
        },
    )
    return bench.latest(), "he-qiang", "CONFIRM"


def a_withdrawal(bench: Bench, document: dict[str, object]) -> tuple[Case, str, str]:
    bench.rule()
    return ask(bench, documents=[document]), "wu-tao", "CONFIRM"


@pytest.mark.parametrize("begin", [a_correction, a_withdrawal])
def test_a_paper_that_never_came_blocks_and_one_that_comes_is_opened(bench: Bench, begin) -> None:  # type: ignore[no-untyped-def]
    case, person, verdict = begin(bench, UNSENT)
    review = bench.office.question(case)
    assert "⛔" in read(review) and "未收到文件" in read(review)
    refused = bench.office.answer(review, person, verdict, "看过了")
    assert not refused.accepted and "没有收到任何一份所需材料的文件" in refused.sentence


@pytest.mark.parametrize("begin", [a_correction, a_withdrawal])
def test_a_paper_that_comes_later_is_linked_and_the_decision_is_taken(bench: Bench, begin) -> None:  # type: ignore[no-untyped-def]
    case, person, verdict = begin(bench, JUDGMENT)
    before = bench.office.question(case)
    bench.office.stage(bench.shop_id, JUDGMENT)
    after = bench.office.question(case)
    assert after.revision > before.revision and "/evidence/EV-" in read(after) and "⛔" not in read(after)
    assert FILES[JUDGMENT["sha256"]]
    bench.office.decide(case, person, verdict, "看过了")


def test_an_appeal_is_not_judged_finally_over_evidence_that_is_gone_from_the_disk(bench: Bench) -> None:
    bench.rule()
    content = PNG + b"the only proof"
    appeal = bench.file(items=[bench.stage(content)])
    [held] = [path for path in (settings().home / "evidence").rglob("*") if path.is_file()]
    held.unlink()
    bench.office.snapshot()
    for verdict in ("DISMISS", "UPHOLD"):
        refused = bench.office.answer(bench.office.question(appeal), "zhou-yan", verdict, "理由充分")
        assert not refused.accepted and "丢失或已损坏" in refused.sentence
    bench.stage(content)
    bench.office.settle()
    assert "丢失或已损坏" not in read(bench.office.question(appeal))
    bench.office.decide(appeal, "zhou-yan", "UPHOLD")
    assert bench.outcome(appeal) is None or bench.office.case(appeal.id).state == "COMPENSATING"


def test_an_arbitrator_may_ask_again_for_evidence_that_is_gone(bench: Bench) -> None:
    bench.rule()
    appeal = bench.file()
    for path in (settings().home / "evidence").rglob("*"):
        if path.is_file():
            path.unlink()
    assert bench.look_again(appeal, "zhou-yan", "INSUFFICIENT").accepted
