"""A bank that contradicts itself: its first answer stands, payments stop, people hear it, its proof moves it on (38)."""

from __future__ import annotations

import ast
import io
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select
from typer.testing import CliRunner

import tasks
from models.books import AccountKind
from models.cases import Case, CaseKind
from models.evidence import EvidenceItem
from models.messages import Channel
from models.payouts import BankContradiction, Payout
from office.base.db import in_transaction, reading
from office.base.settings import settings
from office.files import evidence
from ops.cli import app
from tasks.payouts import contradictions
from tasks.sight import proof
from tests.core.sql import write
from tests.deaths import Died, mortal
from tests.play import Office
from tests.reading import read

PROVED = {"proof": "回单 20261204-0017"}
"""The number of the bank's proof, without the file."""


def lose(paper: str) -> None:
    """The stored file is gone."""
    with reading() as tx:
        sha256 = tx.get_one(EvidenceItem, paper).sha256
    (settings().home / "evidence" / sha256[:2] / sha256).unlink()


def with_the_bank(office: Office, fen: int = 400_000) -> Case:
    """A refund whose payment is on its way."""
    office.closed_shop(deposit_fen=fen)
    case = office.request_refund(fen=fen)
    office.decide(case, "wang-fang", "APPROVE")
    assert office.case(case.id).state == "PAYING"
    return case


def after(office: Office, *answers: tuple[str, int]) -> Case:
    """A refund after the bank has answered its first payment so."""
    case = with_the_bank(office)
    for what, fen in answers:
        office.bank(f"{case.id}-P1", what, fen=fen)
    return case


def inquiry(office: Office) -> Case:
    """The one open case about a contradiction."""
    found = [case for case in office.cases() if case.kind is CaseKind.BANK_INQUIRY and case.concluded_at is None]
    assert len(found) == 1, found
    return found[0]


def clear(office: Office, verdict: str) -> Case:
    case = inquiry(office)
    office.decide(case, "wang-fang", verdict, "银行出具回单", **office.bank_proof())
    office.decide(case, "he-qiang", "CONFIRM", "已核对")
    assert office.case(case.id).outcome == "RESOLVED"
    return case


def state(office: Office, case: Case, number: int = 1) -> str:
    with reading() as tx:
        payout = tx.get(Payout, f"{case.id}-P{number}")
        assert payout is not None
        return payout.state.value


def whole(office: Office) -> None:
    assert office.books() == [] == office.chains()
    with reading() as tx:
        assert list(proof.check(tx)) == []


CONTRADICTIONS: dict[str, list[tuple[str, int]]] = {
    "failed, then settled": [("failed", 400_000), ("settled", 400_000)],
    "settled, then failed": [("settled", 400_000), ("failed", 400_000)],
    "settled less a fee": [("settled", 399_999)],
    "settled twice, the second time more": [("settled", 400_000), ("settled", 400_001)],
    "returned less a fee": [("settled", 400_000), ("returned", 399_000)],
    "failed of another amount": [("failed", 1)],
}


@pytest.mark.parametrize("what", CONTRADICTIONS)
def test_the_first_answer_stands_and_finance_and_supervisor_hear_of_the_other(office: Office, what: str) -> None:
    answers = CONTRADICTIONS[what]
    case = after(office, *answers[:-1])
    books = [office.balance(AccountKind.DEPOSIT), office.platform_balance(AccountKind.CASH), state(office, case)]
    said, fen = answers[-1]
    office.bank(f"{case.id}-P1", said, fen=fen)
    assert books == [
        office.balance(AccountKind.DEPOSIT),
        office.platform_balance(AccountKind.CASH),
        state(office, case),
    ]
    assert sorted(office.staff_told("bank_contradicts")) == ["finance", "supervisor"]
    assert "请人工核对银行流水" in office.refusals()[-1][1]
    with reading() as tx:
        row = tx.exec(select(BankContradiction)).one()
        assert (row.case_id, row.amount_fen, row.said) == (case.id, fen, said.upper())
        assert len(contradictions.lines(tx)) == 1
    office.bank(f"{case.id}-P1", said, fen=fen)  # the bank insists
    assert inquiry(office).id == row.inquiry_id and len(office.staff_told("bank_contradicts")) == 2


@pytest.mark.parametrize("number", ["REF-NOBODY-P1", "REF-261119-AAAAAA-P1", "x"])
def test_an_unknown_number_is_heard_by_people_too(office: Office, number: str) -> None:
    office.closed_shop()
    office.bank(number)
    assert sorted(office.staff_told("bank_contradicts")) == ["finance", "supervisor"]
    question = office.question(inquiry(office))
    assert "没有这笔指令" in read(question)
    refused = office.answer(question, "wang-fang", "ANSWER", "属实", **PROVED)
    assert not refused.accepted
    clear(office, "BOOKS")
    whole(office)


def test_numbers_that_we_never_gave_are_listed_in_one_inquiry_and_every_one_is_heard(office: Office) -> None:
    """Ambiguity 38: one question with the whole list, told as it doubles and for every shop whose payments it stops."""
    office.closed_shop()
    office.open_shop("shop-2")
    for number in range(12):
        office.bank(f"REF-NOBODY-P{number}")
    office.bank("REF-NOBODY-P5")  # the bank insists
    office.bank("REF-NOBODY-P12", shop_id="shop-2")
    case = inquiry(office)
    told = [one["listed"] for one in office.messages("bank_contradicts", Channel.STAFF)]
    assert told == [1, 1, 2, 2, 4, 4, 8, 8, 13, 13]
    shown = read(office.question(case))
    assert all(f"REF-NOBODY-P{number}" in shown for number in range(13)) and "共 13 条" in shown
    with reading() as tx:
        assert len(contradictions.lines(tx)) == 13 and contradictions.open_for(tx, "shop-2")
    one, other = office.bank_proof("shop-1"), office.bank_proof("shop-2")
    alone = office.answer(office.question(case), "wang-fang", "BOOKS", "银行书面更正", **one)
    assert not alone.accepted and "为店铺 shop-2 上传" in alone.sentence  # nobody's proof ends what is another's
    office.decide(case, "wang-fang", "BOOKS", "银行书面更正", **(one | {"paper": f"{one['paper']}, {other['paper']}"}))
    assert all(paper["paper"] in read(office.question(case)) for paper in (one, other))
    office.decide(case, "he-qiang", "CONFIRM", "已核对")
    with reading() as tx:
        assert (
            contradictions.lines(tx)
            == []
            == [*contradictions.open_for(tx, "shop-1"), *contradictions.open_for(tx, "shop-2")]
        )
    office.bank("REF-NOBODY-P5")
    assert inquiry(office).id != case.id
    whole(office)


def test_what_comes_after_finance_has_answered_is_an_inquiry_of_its_own(office: Office) -> None:
    """Ambiguity 38: nobody's flood keeps two people from ending what they have in hand."""
    office.closed_shop()
    office.bank("REF-NOBODY-P1")
    first = inquiry(office)
    office.bank("REF-NOBODY-P2")
    office.decide(first, "wang-fang", "BOOKS", "银行书面更正", **office.bank_proof())
    office.bank("REF-NOBODY-P3")
    office.bank("REF-NOBODY-P4")
    office.decide(first, "he-qiang", "CONFIRM", "已核对")
    assert office.case(first.id).outcome == "RESOLVED"
    assert "P3" in read(office.question(inquiry(office))) and "P4" in read(office.question(inquiry(office)))
    with reading() as tx:
        standing = {row.request_no for row in contradictions.standing(tx)}  # of one moment, in either order
    assert standing == {"REF-NOBODY-P3", "REF-NOBODY-P4"}


def test_one_of_several_listed_answers_that_sql_has_taken_away_is_put_back(office: Office) -> None:
    office.closed_shop()
    for number in range(3):
        office.bank(f"REF-NOBODY-P{number}")
    write("DELETE FROM bank_contradiction WHERE request_no = 'REF-NOBODY-P1'")
    in_transaction(contradictions.put_right)
    assert office.staff_told("integrity_broken") == ["supervisor"] and office.chains() == []
    clear(office, "BOOKS")
    with reading() as tx:
        assert contradictions.standing(tx) == [] and len(tx.exec(select(BankContradiction)).all()) == 3


def test_nothing_more_is_paid_while_it_stands_whoever_approves(office: Office) -> None:
    """Today's ¥8,000 for ¥4,000: refused, then settled, and finance pays again."""
    case = after(office, ("failed", 400_000))
    office.decide(case, "wang-fang", "AGAIN")
    shown = office.question(case)
    office.bank(f"{case.id}-P1", "settled")
    now = office.question(case)
    assert (now.id, now.revision) == (shown.id, shown.revision + 1) and "银行回执有矛盾" in read(now)
    for who in ("wang-fang", "chen-jie"):
        refused = office.answer(office.question(case), who, "APPROVE", "照付")
        assert not refused.accepted and "银行回执有矛盾" in refused.sentence
    assert len(office.events("deposit.payout.requested")) == 1
    clear(office, "ANSWER")
    assert office.case(case.id).outcome == "REFUNDED"  # it had been paid: nothing is left to pay
    assert (office.balance(AccountKind.DEPOSIT), office.platform_balance(AccountKind.CASH)) == (0, 0)
    whole(office)


def test_an_answer_that_names_another_shop_is_heard_by_people_and_moves_nobodys_money(office: Office) -> None:
    """REF-3, ambiguity 38: neither the shop it names nor the one the number belongs to."""
    case = with_the_bank(office)
    office.open_shop("shop-2")
    office.bank(f"{case.id}-P1", shop_id="shop-2")
    assert office.case(case.id).concluded_at is None and "shop-2" in office.refusals()[-1][1]
    assert {"finance", "supervisor"} <= {*office.staff_told("bank_contradicts")}
    asked = inquiry(office)
    assert "店铺与指令不符" in read(office.question(asked))
    office.decide(asked, "wang-fang", "ANSWER", "回单为本笔", **office.bank_proof())
    office.decide(asked, "he-qiang", "CONFIRM", "已核对")
    assert office.case(case.id).outcome == "REFUNDED" and office.books() == []


def test_another_application_of_the_shop_is_not_paid_either(office: Office) -> None:
    case = after(office, ("failed", 400_000))
    office.decide(case, "wang-fang", "ABANDON", "改日再退")
    office.bank(f"{case.id}-P1", "settled")
    again = office.request_refund()
    refused = office.answer(office.question(again), "wang-fang", "APPROVE", "照付")
    assert not refused.accepted
    clear(office, "BOOKS")
    office.decide(again, "wang-fang", "APPROVE")
    assert office.case(again.id).state == "PAYING"


def test_a_contradiction_between_the_approval_and_the_payment_stops_the_payment(office: Office) -> None:
    case = after(office, ("failed", 400_000))
    office.decide(case, "wang-fang", "ABANDON", "改日再退")
    office.pay_deposit("shop-1", 1_600_000)
    again = office.request_refund(fen=2_000_000)
    office.decide(again, "wang-fang", "APPROVE")
    office.bank(f"{case.id}-P1", "settled")
    assert office.question(again).gate == "refund-review"  # the second person is not even asked
    assert len(office.events("deposit.payout.requested")) == 1


def test_what_the_bank_did_pay_twice_is_owed_by_the_shop(office: Office) -> None:
    case = after(office, ("failed", 400_000))
    office.decide(case, "wang-fang", "AGAIN")
    office.decide(case, "wang-fang", "APPROVE")
    office.bank(f"{case.id}-P2")
    office.bank(f"{case.id}-P1", "settled")
    assert office.case(case.id).outcome == "REFUNDED"
    clear(office, "ANSWER")
    assert office.balance(AccountKind.ARREARS) == 400_000
    assert office.message("refund_corrected")["changes"] == ["多付的 ¥4,000.00 记为店铺欠款"]
    whole(office)


def test_what_was_not_paid_after_all_is_in_the_deposit_again_and_the_case_goes_on(office: Office) -> None:
    case = after(office, ("settled", 400_000), ("failed", 400_000))
    assert office.case(case.id).outcome == "REFUNDED"
    clear(office, "ANSWER")
    assert office.balance(AccountKind.DEPOSIT) == 400_000
    office.decide(case, "wang-fang", "AGAIN")
    office.decide(case, "wang-fang", "APPROVE")
    office.bank(f"{case.id}-P2")
    assert office.case(case.id).outcome == "REFUNDED"
    whole(office)


def test_what_a_banned_shop_was_not_paid_after_all_is_forfeited_and_the_merchant_reads_so(office: Office) -> None:
    """REF-10, DED-6: never that it is in the deposit again."""
    office.closed_shop(deposit_fen=500_000)
    case = office.request_refund()
    office.decide(case, "wang-fang", "APPROVE")
    for what in ("settled", "failed"):
        office.bank(f"{case.id}-P1", what)
    proposal = office.propose_forced_closure()
    for who in ("li-na", "gao-yuan"):
        office.decide(proposal, who, "CONFIRM", "售假属实")
    clear(office, "ANSWER")
    (change,) = office.message("refund_corrected")["changes"]
    assert "罚没" in change and "已退回" not in change
    assert (office.balance(AccountKind.DEPOSIT), office.case(case.id).outcome_clause) == (0, "REF-10")
    whole(office)


def test_a_fee_taken_off_what_a_banned_shop_was_paid_is_forfeited_and_told(office: Office) -> None:
    """DED-6"""
    after(office, ("settled", 399_900))
    proposal = office.propose_forced_closure()
    for who in ("li-na", "gao-yuan"):
        office.decide(proposal, who, "CONFIRM", "售假属实")
    clear(office, "ANSWER")
    (change,) = office.message("refund_corrected")["changes"]
    assert "¥1.00" in change and "罚没" in change and office.balance(AccountKind.DEPOSIT) == 0
    whole(office)


@pytest.mark.parametrize(
    ("verdict", "deposit", "ended"), [("FULL", 0, "REFUNDED"), ("ANSWER", 100, "REFUNDED"), ("BOOKS", 0, None)]
)
def test_a_fee_taken_off_is_judged_by_people(office: Office, verdict: str, deposit: int, ended: str | None) -> None:
    case = after(office, ("settled", 399_900))
    clear(office, verdict)
    assert office.balance(AccountKind.DEPOSIT) == deposit
    assert office.case(case.id).outcome == ended
    if ended is None:
        office.bank(f"{case.id}-P1")  # the right answer comes
        assert office.case(case.id).outcome == "REFUNDED"
    whole(office)


@pytest.mark.parametrize(
    "then",
    [
        [("settled", 400_000, 0), ("returned", 399_900, 399_900)],
        [("returned", 400_000, 400_100)],
        [("failed", 400_000, 400_000)],
    ],
)
def test_whatever_else_the_bank_says_after_it_proved_another_amount_contradicts_that(
    office: Office, then: list[tuple[str, int, int]]
) -> None:
    """REF-3, ambiguity 38: also what it was told at first. What it proved, said again, is nothing new."""
    case = after(office, ("settled", 399_900))
    clear(office, "ANSWER")
    office.bank(f"{case.id}-P1", fen=399_900)
    before = 100
    for number, (said, fen, deposit) in enumerate(then, start=1):
        assert len(office.staff_told("bank_contradicts")) == 2 * number
        office.bank(f"{case.id}-P1", said, fen=fen)
        assert office.balance(AccountKind.DEPOSIT) == before
        clear(office, "ANSWER")
        assert office.balance(AccountKind.DEPOSIT) == (before := deposit)
    whole(office)


@pytest.mark.parametrize(("verdict", "deposit"), [("FULL", 400_000), ("ANSWER", 399_900), ("BOOKS", 0)])
def test_a_return_less_a_fee_is_judged_by_people(office: Office, verdict: str, deposit: int) -> None:
    after(office, ("settled", 400_000), ("returned", 399_900))
    clear(office, verdict)
    assert office.balance(AccountKind.DEPOSIT) == deposit
    whole(office)


def test_only_the_banks_proof_and_two_people_move_it_on(office: Office) -> None:
    after(office, ("failed", 400_000), ("settled", 400_000))
    case = inquiry(office)
    for extra in ({}, {"proof": " "}):
        refused = office.answer(office.question(case), "wang-fang", "BOOKS", "已核对", **extra)
        assert not refused.accepted and "银行证明" in refused.sentence
    office.decide(case, "wang-fang", "BOOKS", "已核对", **office.bank_proof())
    review = office.question(case)
    assert (review.gate, review.roles) == ("bank-proof-second", ["supervisor"]) and "20261204" in read(review)
    office.decide(case, "he-qiang", "SEND_BACK", "请附流水")
    assert office.question(case).gate == "bank-proof"


def test_what_is_corrected_is_what_both_saw(office: Office) -> None:
    after(office, ("failed", 400_000), ("settled", 400_000))
    case = inquiry(office)
    office.decide(case, "wang-fang", "ANSWER", "已核对", **office.bank_proof())
    office.deduct(100_000)
    asked = office.question(case)
    assert asked.gate == "bank-proof" and "保证金余额" in read(asked), "before the supervisor answers in vain"
    office.pay_deposit("shop-1", 1)
    assert office.question(case).revision == asked.revision + 1, "it is about this shop's money, though not its case"
    clear(office, "ANSWER")
    assert (office.balance(AccountKind.DEPOSIT), office.balance(AccountKind.ARREARS)) == (0, 99_999)
    whole(office)


def test_what_comes_between_the_supervisors_yes_and_the_correction_asks_both_again(office: Office) -> None:
    """REF-3"""
    after(office, ("failed", 400_000), ("settled", 400_000))
    case = inquiry(office)
    office.decide(case, "wang-fang", "ANSWER", "已核对", **office.bank_proof())
    with mortal(lambda when, key: when == "before" and "bank_inquiries.carry_out" in key), pytest.raises(Died):
        office.decide(case, "he-qiang", "CONFIRM", "同意")
    office.deduct(100_000)
    office.clock.advance(timedelta(seconds=61))
    office.settle()
    assert office.question(case).gate == "bank-proof" and "保证金余额" in read(office.question(case))
    clear(office, "ANSWER")
    assert (office.balance(AccountKind.DEPOSIT), office.balance(AccountKind.ARREARS)) == (0, 100_000)
    whole(office)


@pytest.mark.parametrize(
    "answers",
    [
        [("returned", 400_000), ("settled", 400_000)],
        [("returned", 400_000), ("failed", 400_000)],
        [("failed", 400_000), ("returned", 400_000)],
        [("settled", 400_000), ("settled", 400_000)],
    ],
)
def test_answers_that_say_the_same_of_the_money_contradict_nothing(
    office: Office, answers: list[tuple[str, int]]
) -> None:
    after(office, *answers)
    assert office.outbox(topic="bank_contradicts") == [] and office.refusals() == []


@pytest.mark.parametrize(("later", "heard"), [(0, 0), (1, 2)])
def test_money_that_left_once_more_after_it_was_back_is_no_late_report(office: Office, later: int, heard: int) -> None:
    case = after(office, ("returned", 400_000))
    office.clock.advance(timedelta(seconds=later))
    office.bank(f"{case.id}-P1")
    assert len(office.outbox(topic="bank_contradicts")) == heard
    assert office.books() == []


def test_books_check_and_doctor_list_every_open_contradiction(office: Office) -> None:
    case = after(office, ("failed", 400_000), ("settled", 400_000))
    office.bank("REF-NOBODY-P1")
    told = CliRunner().invoke(app, ["books", "check"])
    assert told.exit_code == 1 and told.output.count("银行回执有矛盾") == 2 and case.id in told.output.replace("\n", "")
    assert CliRunner().invoke(app, ["doctor"]).output.count("尚未核清") == 2
    for found in [one for one in office.cases() if one.kind is CaseKind.BANK_INQUIRY]:
        office.decide(found, "wang-fang", "BOOKS", "已核对", **office.bank_proof())
        office.decide(found, "he-qiang", "CONFIRM", "已核对")
    assert CliRunner().invoke(app, ["books", "check"]).exit_code == 0


# ── the kind ──

ASKS = re.compile(r"(?<!正在)人工|请核实")
"""A sentence that asks for a person; one that says people have it already (正在人工审核中) asks for nobody."""


def refusals_in(path: Path) -> list[tuple[str, set[str]]]:
    """Every call that makes a refusal: all the text in it, and the names of its keywords."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"Refused", "Refusal"}:
            text = "".join(
                part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)
            )
            found.append((text, {keyword.arg or "" for keyword in node.keywords}))
    return found


def test_every_refusal_that_asks_for_a_person_is_heard_by_one() -> None:
    root = Path(tasks.__file__).parent.parent
    files = [
        path
        for folder in ("office", "tasks", "policies", "webhooks", "flows")
        for path in (root / folder).rglob("*.py")
    ]
    refusals = [(path.name, *refusal) for path in files for refusal in refusals_in(path)]
    assert len(refusals) > 60
    silent = [(name, text) for name, text, keywords in refusals if ASKS.search(text) and "heard" not in keywords]
    assert silent == []


def test_a_sentence_that_asks_for_a_person_reaches_the_refusal_by_no_other_way() -> None:
    """Sentences handed to a helper that refuses: the helpers that take one must have it heard."""
    root = Path(tasks.__file__).parent
    asking: dict[str, Any] = {}
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                text = ast.unparse(node.exc)
                if ASKS.search(text):
                    asking.setdefault(getattr(node.exc.func, "id", "?"), path.name)
    assert set(asking) <= {"_contradicted"}, asking


# ── the proof is a file ──


def test_without_the_banks_file_nobody_decides(office: Office) -> None:
    """REF-3, ambiguities 26 and 38"""
    after(office, ("failed", 400_000), ("settled", 400_000))
    office.open_shop("shop-2")
    case = inquiry(office)
    for paper in ({}, {"paper": ""}, {"paper": "EV-261119-AAAAAA"}, {"paper": office.bank_proof("shop-2")["paper"]}):
        refused = office.answer(office.question(case), "wang-fang", "BOOKS", "已核对", **PROVED, **paper)
        assert not refused.accepted and "未收到银行证明文件" in refused.sentence and "shop-1" in refused.sentence
    lost = office.bank_proof()
    lose(lost["paper"])
    assert "丢失或已损坏" in office.answer(office.question(case), "wang-fang", "BOOKS", "已核对", **lost).sentence
    office.decide(case, "wang-fang", "BOOKS", "已核对", **office.bank_proof())
    assert f"]({settings().public}/evidence/{lost['paper']}?" in read(office.question(case))
    office.decide(case, "he-qiang", "CONFIRM", "已核对")
    assert office.case(case.id).outcome == "RESOLVED"
    whole(office)


def test_a_proof_that_got_lost_is_confirmed_by_nobody_and_finance_is_asked_again(office: Office) -> None:
    after(office, ("failed", 400_000), ("settled", 400_000))
    case, given = inquiry(office), office.bank_proof()
    office.decide(case, "wang-fang", "ANSWER", "已核对", **given)
    question = office.question(case)
    lose(given["paper"])
    assert not office.answer(question, "he-qiang", "CONFIRM", "已核对").accepted
    assert office.balance(AccountKind.DEPOSIT) == 400_000
    office.pass_time(hours=1)
    if office.question(case).gate == "bank-proof-second":
        assert "无法查看" in read(office.question(case))
        office.decide(case, "he-qiang", "SEND_BACK", "文件丢失")
    assert (office.question(case).gate, office.question(case).round) == ("bank-proof", 2)
    clear(office, "ANSWER")
    whole(office)


def test_a_file_that_the_shop_put_in_is_no_proof_of_the_bank_until_the_bank_or_finance_brings_the_same(
    office: Office,
) -> None:
    """Ambiguity 38: whose money it is does not bring the proof about it."""
    after(office, ("failed", 400_000), ("settled", 400_000))
    case, content = inquiry(office), b"%PDF-1.7 0017"
    own = {"paper": evidence.stage("shop-1", "回单.pdf", io.BytesIO(content)).id}
    refused = office.answer(office.question(case), "wang-fang", "BOOKS", "已核对", **PROVED, **own)
    assert not refused.accepted and "不是由银行或财务上传的" in refused.sentence
    assert office.bank_proof(content=content)["paper"] == own["paper"]
    office.decide(case, "wang-fang", "BOOKS", "已核对", **PROVED, **own)
    office.decide(case, "he-qiang", "CONFIRM", "已核对")
    assert office.case(case.id).outcome == "RESOLVED"
    whole(office)
