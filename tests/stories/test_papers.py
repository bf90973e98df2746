"""Papers: a paper is a file that whoever decides can open; a name or a hash is somebody's word (ambiguity 26)."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import pytest

from models.books import AccountKind
from models.cases import Case
from office.base.settings import settings
from office.cases.markdown import markdown
from office.files import evidence
from tasks.shops import proposals
from tests.appeals.bench import Bench
from tests.play import FILES, PAPERS, REPORT, UNSENT, Office, paper
from tests.reading import read


def place(document: dict[str, Any]) -> Any:
    return settings().home / "evidence" / document["sha256"][:2] / document["sha256"]


# ── a refund ──


def test_finance_opens_every_paper_of_a_refund_by_a_link_in_the_dossier(office: Office) -> None:
    office.closed_shop()
    dossier = read(office.question(office.request_refund()))
    for document in PAPERS:
        found = re.search(
            rf"\[{document['name'].replace('.', '.?.')}\]\(\S+/evidence/(EV-[^?]+)\?exp=(\d+)&sig=(\w+)\)", dossier
        )
        assert found, document["name"]
        item = evidence.opened_by(found[1], int(found[2]), found[3])
        assert item is not None and b"".join(evidence.content(item)) == FILES[document["sha256"]]


@pytest.mark.parametrize(
    "document",
    [
        {"name": "营业执照.pdf", "kind": "BUSINESS_LICENCE", "sha256": "12" * 32},
        {"name": "营业执照.pdf", "kind": "BUSINESS_LICENCE", "url": "https://img.example.com/licence.pdf"},
    ],
    ids=["a hash", "an address"],
)
def test_a_name_without_a_received_file_is_said_to_be_missing_and_blocks(
    office: Office, document: dict[str, Any]
) -> None:
    office.closed_shop()
    case = office.request_refund(documents=[document, PAPERS[1]])
    review = office.question(case)
    assert (
        "营业执照「营业执照" in read(review) and "未收到文件" in read(review) and "检查未发现问题" not in read(review)
    )
    assert "退款资料不齐" in read(review)
    assert office.message("refund_received")["not_received"] == ["营业执照.pdf"]
    office.decide(case, "wang-fang", "APPROVE", "原件已在柜台核对")
    assert office.case(case.id).state == "SECOND_REVIEW", "one person alone does not pay over a paper nobody can read"


@pytest.mark.parametrize("documents", [[], [UNSENT], PAPERS], ids=["none named", "none sent", "all only named"])
def test_no_paper_at_all_is_never_approved_over(office: Office, documents: list[dict[str, Any]]) -> None:
    office.closed_shop()
    case = office.request_refund(documents=documents, staged=False)
    for person in ("wang-fang", "chen-jie"):
        outcome = office.answer(office.question(case), person, "APPROVE", "材料稍后补交")
        assert (
            not outcome.accepted
            and "没有收到任何一份所需材料的文件" in outcome.sentence
            and "REF-2" in outcome.sentence
        )
    assert office.case(case.id).state == "UNDER_REVIEW"
    assert office.balance(AccountKind.DEPOSIT) == 400_000


def test_a_paper_that_is_none_of_those_needed_is_no_paper(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund(documents=[paper("风景.pdf")])
    assert not office.answer(office.question(case), "wang-fang", "APPROVE", "看过了").accepted


def test_a_paper_that_is_needed_and_not_sent_is_named_and_blocks(office: Office) -> None:
    """REF-2"""
    office.closed_shop()
    case = office.request_refund(documents=PAPERS[:1])
    assert "退款资料不齐，还缺：对公账户开户证明" in read(office.question(case))
    office.decide(case, "wang-fang", "APPROVE", "已电话核实")
    assert office.question(case).gate == "refund-second" and office.events("deposit.payout.requested") == []


def test_the_second_person_cannot_confirm_when_the_only_papers_are_gone_by_then(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund(documents=PAPERS[:1])
    office.decide(case, "wang-fang", "APPROVE", "开户许可稍后补交")
    place(PAPERS[0]).unlink()
    outcome = office.answer(office.question(case), "chen-jie", "CONFIRM", "同意")
    assert not outcome.accepted
    assert "丢失或已损坏" in read(office.question(case)), "the first person has not seen that, and is asked again"
    outcome = office.answer(office.question(case), "wang-fang", "APPROVE", "之前看过")
    assert not outcome.accepted and "丢失或已损坏" in outcome.sentence
    assert office.balance(AccountKind.DEPOSIT) == 400_000


def test_a_file_that_arrives_later_is_received_and_the_question_is_shown_anew(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund(staged=False)
    before = office.question(case)
    assert not office.answer(before, "wang-fang", "APPROVE", "先同意").accepted
    office.stage("shop-1", *PAPERS)
    after = office.question(case)
    assert after.revision > before.revision and "⛔" not in read(after) and "/evidence/EV-" in read(after)
    assert not office.answer(before, "wang-fang", "APPROVE", "先同意").accepted, "it was shown without the papers"
    office.decide(case, "wang-fang", "APPROVE")
    assert office.case(case.id).state == "PAYING"


def test_staging_the_same_file_twice_changes_nothing_more(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund(staged=False)
    office.stage("shop-1", *PAPERS)
    before = office.question(case)
    office.stage("shop-1", *PAPERS)
    assert office.question(case).revision == before.revision


def test_another_shops_file_is_nothing_to_this_one(office: Office) -> None:
    office.open_shop("shop-2")
    office.closed_shop()
    office.stage("shop-2", *PAPERS)
    case = office.request_refund(staged=False)
    assert "未收到文件" in read(office.question(case))
    assert not office.answer(office.question(case), "wang-fang", "APPROVE", "别店上传过").accepted


def test_a_file_with_other_bytes_than_the_hash_that_was_named_is_not_the_paper(office: Office) -> None:
    office.closed_shop()
    evidence.stage("shop-1", "营业执照.pdf", io.BytesIO(b"%PDF-1.7 another licence"))
    case = office.request_refund(staged=False)
    assert "「营业执照" in read(office.question(case)) and "未收到文件" in read(office.question(case))


def test_bytes_changed_on_the_disk_are_found_at_the_moment_of_the_decision(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund()
    held = place(PAPERS[0])
    held.write_bytes(held.read_bytes()[::-1])
    outcome = office.answer(office.question(case), "wang-fang", "APPROVE", "看过了")
    assert not outcome.accepted and "丢失或已损坏" in outcome.sentence


def test_a_file_deleted_from_the_disk_blocks_and_is_whole_again_when_it_is_sent_again(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund()
    before = office.question(case)
    place(PAPERS[0]).unlink()
    assert not office.answer(before, "wang-fang", "APPROVE", "看过了").accepted
    office.snapshot()
    assert "文件丢失或已损坏" in read(office.question(case))
    office.stage("shop-1", PAPERS[0])
    assert "⛔" not in read(office.question(case))
    office.decide(case, "wang-fang", "APPROVE")
    assert office.case(case.id).state == "PAYING"


def test_a_paper_sent_anew_under_its_kind_stands_in_for_the_one_that_never_came(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund(documents=[PAPERS[0] | {"sha256": "12" * 32}, PAPERS[1]])
    office.decide(case, "wang-fang", "ASK", "请上传营业执照原件")
    office.merchant_answers(case, "已上传", paper("执照正本.pdf", "BUSINESS_LICENCE"))
    review = office.question(case)
    assert "已由后来收到的材料代替" in read(review) and "⛔" not in read(review)
    office.decide(case, "wang-fang", "APPROVE")
    assert office.case(case.id).state == "PAYING"


def test_one_file_named_as_two_papers_is_pointed_out(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund(documents=[PAPERS[0], PAPERS[0] | {"kind": "ACCOUNT_PERMIT", "name": "开户许可.pdf"}])
    assert "同一份文件被用作多种材料" in read(office.question(case))


def test_a_hostile_name_stays_a_name_in_the_list_of_papers(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund(documents=[*PAPERS, paper("](https://evil.example)<script>.pdf")])
    assert "](https://evil" not in markdown(office.question(case).dossier) and "<script>" not in read(
        office.question(case)
    )


# ── every other kind of case ──


def test_the_merchant_is_told_at_once_that_an_answers_file_is_not_here(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    office.decide(case, "li-na", "ASK", "请提交说明")
    office.merchant_answers(case, "见附件", REPORT, staged=False)
    from tasks.sight.merchant import merchant_view

    assert "商家已补充材料,其中未收到文件(请上传):鉴定报告.pdf" in [
        line.text for line in merchant_view(case.id).timeline
    ]


def a_closure(office: Office, document: dict[str, Any]) -> tuple[Case, str, str]:
    office.open_shop()
    case = office.request_closure()
    office.decide(case, "li-na", "ASK", "请提交说明")
    office.merchant_answers(case, "见附件", document)
    return case, "li-na", "APPROVE"


def a_forced_closure(office: Office, document: dict[str, Any]) -> tuple[Case, str, str]:
    office.open_shop()
    office.stage("shop-1", document)
    return office.propose_forced_closure(documents=[document]), "li-na", "CONFIRM"


@pytest.mark.parametrize("begin", [a_closure, a_forced_closure])
def test_papers_of_every_case_are_opened_from_the_dossier_and_nobody_approves_over_none(
    office: Office, begin: Callable[[Office, dict[str, Any]], tuple[Case, str, str]]
) -> None:
    case, person, verdict = begin(office, UNSENT)
    review = office.question(case)
    assert "⛔" in read(review) and "未收到文件" in read(review) and "/evidence/" not in read(review)
    outcome = office.answer(review, person, verdict, "看过了")
    assert not outcome.accepted and "没有收到任何一份所需材料的文件" in outcome.sentence


@pytest.mark.parametrize("begin", [a_closure, a_forced_closure])
def test_papers_of_every_case_that_are_here_are_linked_and_do_not_block(
    office: Office, begin: Callable[[Office, dict[str, Any]], tuple[Case, str, str]]
) -> None:
    case, person, verdict = begin(office, REPORT)
    review = office.question(case)
    assert "/evidence/EV-" in read(review) and "未收到文件" not in read(review)
    office.decide(case, person, verdict, "看过了")


def test_the_second_person_of_a_forced_closure_cannot_confirm_over_a_report_that_is_gone(office: Office) -> None:
    case, person, verdict = a_forced_closure(office, REPORT)
    office.decide(case, person, verdict, "证据充分")
    place(REPORT).unlink()
    assert not office.answer(office.question(case), "he-qiang", "CONFIRM", "一致").accepted
    assert office.shop().state == "OPEN"


# ── what the platform proposes ──


def documented(office: Office, case: Case, *documents: dict[str, Any], shop_id: str = "shop-1") -> None:
    office.send("proposal.documented", {"shop_id": shop_id, "case_id": case.id, "documents": list(documents)})


def a_ban_without_papers(office: Office) -> tuple[Case, list[str]]:
    office.open_shop()
    return office.propose_forced_closure(documents=[]), ["li-na", "he-qiang"]


def a_correction_without_papers(office: Office) -> tuple[Case, list[str]]:
    Bench(office).rule(deduction_fen=0)
    return office.propose_correction(documents=[]), ["he-qiang", "gao-yuan"]


WITHOUT = pytest.mark.parametrize("begin", [a_ban_without_papers, a_correction_without_papers])


@WITHOUT
def test_two_people_together_cannot_carry_out_a_proposal_that_names_no_paper(
    office: Office, begin: Callable[[Office], tuple[Case, list[str]]]
) -> None:
    """CLS-10, ARB-10, ambiguity 26: what is blocking is said, either can end it, and nobody can confirm."""
    case, people = begin(office)
    review = office.question(case)
    assert "没有收到任何材料" in read(review) and "⛔" in read(review)
    for person in people:
        refused = office.answer(office.question(case), person, "CONFIRM", "情况属实,无需材料")
        assert not refused.accepted
    assert office.question(case).gate in {"forced-first", "correction"} and office.shop().state == "OPEN"
    no = next(verdict for verdict in office.question(case).verdicts if verdict != "CONFIRM")
    office.decide(case, people[0], no, "没有证据")
    assert office.case(case.id).concluded_at is not None and office.shop().state == "OPEN"


@WITHOUT
def test_the_platform_is_asked_once_for_the_papers_of_a_proposal_and_they_can_come_later(
    office: Office, begin: Callable[[Office], tuple[Case, list[str]]]
) -> None:
    case, people = begin(office)
    before = office.question(case)
    for _ in range(2):
        proposals.sweep()
        office.settle()
    assert [event["case_id"] for event in office.events("proposal.papers_requested")] == [case.id]
    late = paper("补充鉴定报告.pdf")
    documented(office, case, late)
    assert "未收到文件" in read(office.question(case))
    assert not office.answer(office.question(case), people[0], "CONFIRM", "已看过").accepted, "only a name so far"
    office.stage("shop-1", late)
    assert office.question(case).revision > before.revision and "⛔" not in read(office.question(case))
    office.decide(case, people[0], "CONFIRM", "已看过")
    office.decide(case, people[1], "CONFIRM", "已看过")
    assert office.case(case.id).outcome in {"FORCED_CLOSED", "CORRECTED"}
    assert office.books() == [] == office.chains()


def test_papers_for_a_case_that_is_no_proposal_or_over_or_another_shops_are_refused(office: Office) -> None:
    office.open_shop("shop-2")
    office.open_shop()
    closing = office.request_closure("shop-2")
    case = office.propose_forced_closure()
    documented(office, closing, REPORT, shop_id="shop-2")
    documented(office, case, REPORT, shop_id="shop-2")
    office.decide(case, "li-na", "DROP", "证据不足")
    documented(office, case, REPORT)
    assert [clause for clause, _ in office.refusals()] == ["CLS-10"] * 3


def test_a_paper_that_comes_between_the_two_people_undoes_no_approval_and_is_shown(office: Office) -> None:
    office.open_shop()
    case = office.propose_forced_closure()
    office.decide(case, "li-na", "CONFIRM", "证据充分")
    more = paper("第二份报告.pdf")
    office.stage("shop-1", more)
    documented(office, case, more)
    documented(office, case, more)  # sent again in another message: still the same file
    question = office.question(case)
    assert question.gate == "forced-second" and "第二份报告" in read(question)
    office.decide(case, "he-qiang", "CONFIRM", "一致")
    assert office.case(case.id).outcome == "FORCED_CLOSED"
