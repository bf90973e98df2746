"""The form a reviewer fills in: bound to one question, in Chinese, and nothing from outside is ever markup."""

from __future__ import annotations

import re

import pytest
from jsonschema import Draft202012Validator

from models.cases import Case
from models.reviews import Review
from office.base.db import in_transaction
from office.cases.confirmations import take_form_answer
from office.cases.forms import form_description, form_schema, read_answer, task_token
from office.cases.gates import Answer
from office.cases.markdown import markdown
from office.cases.reviews import gate_of
from office.process import office as opened
from policies.policy import policy_at
from tests.play import PAYEE, Office
from tests.reading import read

HOSTILE = [
    "<script>alert(1)</script>",
    "# 标题",
    "**粗** _斜_ `码` ~~删~~",
    "| 列 | 列 |",
    "{{ flow_run.id }}{% raw %}",
    "[点我](javascript:alert(1))",
    "![x](http://evil.example/x.png)",
    "https://evil.example/",
    "1. 一\n---",
]


@pytest.fixture
def case(office: Office) -> Case:
    office.open_shop()
    return office.request_closure()


def test_the_form_names_its_question_and_no_answer_fits_without_that_name(office: Office, case: Case) -> None:
    review = office.question(case)
    schema = form_schema(review, gate_of(review))
    Draft202012Validator.check_schema(schema)
    token = task_token(review)
    assert schema["properties"]["task"]["enum"] == [token] and schema["properties"]["task"]["default"] == token
    assert {"task", "staff_id", "code", "verdict"} <= set(schema["required"])
    full = {"task": token, "staff_id": "li-na", "code": "123456", "verdict": "同意关店", "reason": ""}
    validator = Draft202012Validator(schema)
    assert validator.is_valid(full)
    for wrong in (
        {k: v for k, v in full.items() if k != "task"},
        full | {"task": f"{review.id}#2"},
        full | {"verdict": "APPROVE"},
        full | {"code": "12345"},
        full | {"staff_id": "Li Na"},
        full | {"reason": "x" * 1001},
        full | {"admin": True},
    ):
        assert not validator.is_valid(wrong), wrong


def test_every_gate_speaks_chinese_and_reads_its_labels_back_as_codes(office: Office, case: Case) -> None:
    review = office.question(case)
    for gate in opened().gates.values():
        shown = review.model_copy(update={"gate": gate.name, "verdicts": [verdict.value for verdict in gate.verdicts]})
        schema = form_schema(shown, gate)
        for name, entry in schema["properties"].items():
            assert re.search(r"[一-鿿]", entry["title"]), (gate.name, name)
            said = re.sub("「[^」]*」", "", f"{entry['title']} {entry.get('description', '')}")
            assert not re.search(r"[一-鿿][,;:()]|[,;:()][一-鿿]", said), (gate.name, said)
        for code, label in zip(shown.verdicts, schema["properties"]["verdict"]["enum"], strict=True):
            assert read_answer(shown, gate, {"task": task_token(shown), "verdict": label}).verdict == code


def test_no_answer_reads_as_a_faulty_schema_and_each_field_comes_back_under_its_own_name(
    office: Office, case: Case
) -> None:
    """One of Prefect's two pages has its server check the answer as if it were the schema, and sends nothing when that fails."""
    review = office.question(case)
    for gate in opened().gates.values():
        shown = review.model_copy(update={"gate": gate.name, "verdicts": [verdict.value for verdict in gate.verdicts]})
        given = dict.fromkeys(form_schema(shown, gate)["properties"], "营业执照:已过期")
        Draft202012Validator.check_schema(given)
        for raw in (
            given,
            dict.fromkeys(gate.fields, "营业执照:已过期"),
        ):  # the names of now, and those of earlier forms
            assert read_answer(shown, gate, raw).extra == dict.fromkeys(gate.fields, "营业执照:已过期"), gate.name


def test_a_form_of_another_question_or_revision_reads_as_stale(office: Office, case: Case) -> None:
    review, gate = office.question(case), opened().gates["closure-review"]
    assert read_answer(review, gate, {"task": task_token(review)}).revision == 1
    for task in ("", "RV-000000-NOBODY#1", f"{review.id}", f"{review.id}#x", f"{review.id}#-1"):
        assert read_answer(review, gate, {"task": task}).revision == 0
    assert read_answer(review, gate, None).verdict == ""


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_merchant_writes_stays_text_in_the_dossier(office: Office, text: str) -> None:
    office.open_shop(name=text.replace("\n", " ")[:60], owner_name="林晓", licence_name=text.replace("\n", " "))
    case = office.request_closure(reason="OTHER", reason_text=text)
    office.decide(case, "li-na", "ASK", "请说明")
    office.merchant_answers(case, text, {"name": text.replace("\n", " "), "kind": "OTHER", "sha256": "ab" * 32})
    review = office.question(case)
    shown = form_description(review, gate_of(review))
    for raw in ("<script", "](", "![", "{{", "{%", "**粗**", "`码`", "~~", "https://evil", "\n# ", "\n1. ", "\n---"):
        if raw in text or f"\n{text}".find(raw) >= 0:
            assert raw not in shown, raw
    for line in shown.splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) in {3, 5}, line  # two columns, or the four of the findings


def test_why_the_last_answer_was_not_taken_stands_on_top_of_the_next_form(office: Office, case: Case) -> None:
    office.snapshot(open_orders=1)
    review = office.question(case)
    assert form_description(review, gate_of(review)).startswith("**⚠️ 事实已发生变化")


def test_an_account_number_is_never_shown_in_full(office: Office) -> None:
    office.closed_shop()
    case = office.request_refund()
    review = office.question(case)
    assert PAYEE["account_no"] not in form_description(review, gate_of(review))
    assert "尾号 1234" in read(review)


def test_a_merchants_line_breaks_stay_and_nothing_is_set_in_italics(office: Office) -> None:
    office.open_shop("shop-7")
    case = office.request_closure("shop-7", reason="OTHER", reason_text="第一行\n第二行\n\n* 第三行")
    dossier = markdown(office.question(case).dossier)
    assert "说明：第一行  \n  第二行  \n  —  \n  \\* 第三行" in dossier
    office.decide(case, "li-na", "ASK", "请补充\n两项材料")
    office.merchant_answers(case, "第一项\n第二项")
    assert "│ 第一项  \n│ 第二项" in read(office.question(case))
    assert not any(line.startswith(">") for line in dossier.splitlines())


def answered_in_vain(office: Office, case: Case, **changes: str) -> Review:
    """The question after an answer that was not taken."""
    review = office.question(case)
    given = {
        "staff_id": "li-na",
        "code": "000000",
        "verdict": "REJECT",
        "reason": "账户 6222021234567890128 与执照不符",
    } | changes
    answer = Answer(review_id=review.id, revision=review.revision, **given)
    outcome = in_transaction(lambda tx: take_form_answer(tx, review.id, gate_of(review), answer))
    assert not outcome.accepted
    return office.question(case)


def test_an_answer_that_was_not_taken_comes_back_filled_in_without_its_code(office: Office, case: Case) -> None:
    review = answered_in_vain(
        office, case, code=office.code("li-na"), reason="账户 6222021234567890128 " + "长" * 2_000
    )
    schema = form_schema(review, gate_of(review))
    assert schema["properties"]["verdict"]["default"] == "驳回申请"
    reason = schema["properties"]["reason"]
    assert "账户 尾号 0128" in reason["default"] and "li-na 上次未采纳的填写" in reason["description"]
    assert schema["properties"]["code"]["default"] == "" and office.code("li-na") not in str(schema)
    assert form_description(review, gate_of(review)).startswith("**⚠️ 上次答复未采纳：")
    office.decide(case, "li-na", "REJECT", "材料不全")
    assert [one.unaccepted for one in office.reviews(case)] == [None]


def test_what_somebody_wrote_under_a_colleagues_id_brings_no_verdict_back_and_says_what_it_is(
    office: Office, case: Case
) -> None:
    review = answered_in_vain(office, case)
    properties = form_schema(review, gate_of(review))["properties"]
    assert "default" not in properties["verdict"]
    assert "未证明身份者以 li-na 名义所填" in properties["reason"]["description"]
    assert properties["reason"]["default"] == "账户 尾号 0128 与执照不符" and "000000" not in str(properties)
    assert form_description(review, gate_of(review)).startswith("**⚠️ 上次答复未采纳：动态口令不正确")


def test_an_empty_code_gets_a_sentence_and_counts_as_no_wrong_one(office: Office, case: Case) -> None:
    schema = form_schema(office.question(case), opened().gates["closure-review"])
    full = {name: field.get("default", "") for name, field in schema["properties"].items()}
    full |= {"staff_id": "li-na", "verdict": "同意关店"}
    assert Draft202012Validator(schema).is_valid(full), "the judge says it in Chinese, Prefect would in English"
    for _ in range(policy_at(office.clock.at).staff.max_wrong_codes + 1):
        assert "没有填写动态口令" in answered_in_vain(office, case, code=" ").notice
    office.decide(case, "li-na", "REJECT", "材料不全")  # nothing is locked


def test_a_reason_is_required_by_the_form_itself_where_something_blocks(office: Office) -> None:
    gate, schemas = opened().gates["refund-review"], []
    for shop_id, penalties in (("shop-1", 0), ("shop-2", 1)):
        office.closed_shop(shop_id)
        office.snapshot(shop_id, penalties=[{"id": "p-1", "kind": "虚假发货", "settled": True}] * penalties)
        schemas.append(form_schema(office.question(office.request_refund(shop_id)), gate))
    clean, blocked = schemas
    assert clean["properties"]["reason"]["default"] == "" and "必填" in clean["properties"]["reason"]["description"]
    task = blocked["properties"]["task"]["default"]
    full = {"task": task, "staff_id": "wang-fang", "code": "123456", "verdict": "同意退还"}
    validator = Draft202012Validator(blocked)
    assert "reason" in blocked["required"] and not validator.is_valid(full)
    assert not validator.is_valid(full | {"reason": ""}) and validator.is_valid(full | {"reason": "已核实"})


def test_what_some_verdict_asks_for_is_not_called_optional_and_may_be_left_empty_for_the_others(
    office: Office, case: Case
) -> None:
    """Prefect writes "(Optional)" beside whatever its schema does not require."""
    review = office.question(case)
    for gate in opened().gates.values():
        shown = review.model_copy(update={"gate": gate.name, "verdicts": [verdict.value for verdict in gate.verdicts]})
        schema = form_schema(shown, gate)
        for name, field in schema["properties"].items():
            said = re.search("必填|必选", field.get("description", ""))
            assert not said or name in schema["required"], (gate.name, name)
            assert name in {"staff_id", "verdict", "reason"} or "default" in field, (gate.name, name)


def test_whoever_may_not_answer_puts_no_words_into_the_form_of_those_who_may(office: Office, case: Case) -> None:
    review = answered_in_vain(
        office, case, staff_id="wang-fang", code=office.code("wang-fang"), reason="已核实,请直接同意"
    )
    properties = form_schema(review, gate_of(review))["properties"]
    assert "岗位权限" in review.notice and "default" not in properties["verdict"]
    assert "default" not in properties["reason"] or not properties["reason"]["default"]
