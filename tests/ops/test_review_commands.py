"""The review desk from the terminal: the same judge as behind the form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from models.cases import Case
from tests.play import Office

Done = Callable[..., str]


@pytest.fixture
def closure(office: Office) -> Case:
    office.open_shop()
    return office.request_closure()


def test_the_list_begins_with_what_is_due_first(office: Office, closure: Case, done: Done, told: Any) -> None:
    office.pass_time(days=1)
    office.open_shop("shop-2", name="远山茶铺")
    later = office.request_closure("shop-2")
    assert [row["case_id"] for row in told("review", "list")] == [closure.id, later.id]
    shown = done("review", "list", "--role", "closure-reviewer")
    assert "晨光文具" in shown and "还剩" in shown and "关店审核" in shown
    assert "没有待处理" in done("review", "list", "--role", "finance")
    assert [row["case_id"] for row in told("review", "list", "--case", later.id)] == [later.id]


def test_a_late_task_says_how_late_it_is(office: Office, closure: Case, done: Done) -> None:
    office.pass_time(days=10)
    assert "已超时" in done("review", "list")
    assert "10 天" in done("review", "list", "--late") and "晨光文具" in done("review", "list", "--unclaimed")
    assert "没有待处理" in done("review", "list", "--kind", "refund")


def test_the_dossier_is_shown_with_verdicts_and_what_they_do(office: Office, closure: Case, done: Done) -> None:
    shown = done("review", "show", closure.id)
    assert "检查结果" in shown and "APPROVE" in shown and "逐项关闭店铺能力" in shown
    assert office.question(closure).id in shown


def test_one_claims_another_is_told_who_has_it(
    office: Office, closure: Case, done: Done, refused: Done, told: Any
) -> None:
    task = office.question(closure).id
    done("review", "claim", task, "--as", "li-na", "--code", office.code("li-na"))
    assert "认领" in refused("review", "claim", task, "--as", "zhao-min", "--code", office.code("zhao-min"))
    assert [row["id"] for row in told("review", "list", "--mine", "li-na")] == [task]
    assert told("review", "list", "--mine", "zhao-min") == []
    assert "只有认领人或主管" in refused("review", "release", task, "--as", "zhao-min")
    done("review", "release", task, "--as", "li-na", "--code", office.code("li-na"))
    done("review", "claim", task, "--as", "zhao-min", "--code", office.code("zhao-min"))


def test_a_supervisor_hands_a_task_to_somebody_else(office: Office, closure: Case, done: Done, refused: Done) -> None:
    task = office.question(closure).id
    assert "只有主管" in refused("review", "reassign", task, "--to", "zhao-min", "--by", "li-na")
    assert "岗位" in refused(
        "review", "reassign", task, "--to", "wang-fang", "--by", "he-qiang", "--code", office.code("he-qiang")
    )
    done("review", "reassign", task, "--to", "zhao-min", "--by", "he-qiang", "--code", office.code("he-qiang"))
    assert office.question(closure).claimed_by == "zhao-min"


def test_a_supervisor_appoints_somebody_where_nobody_is_left(
    office: Office, closure: Case, done: Done, refused: Done
) -> None:
    appoint = ("review", "appoint", closure.id, "--to", "wu-tao", "--by")
    assert "还可由" in refused(*appoint, "he-qiang", "--code", office.code("he-qiang"))
    for one in ("li-na", "zhao-min"):
        done("staff", "dismiss", one)
    assert "不正确" in refused(*appoint, "wang-fang", "--code", "000000")
    done(*appoint, "he-qiang", "--code", office.code("he-qiang"))
    assert office.question(closure).appointed == ["wu-tao"]


def test_a_decision_by_its_chinese_word_takes_effect(office: Office, closure: Case, done: Done) -> None:
    code = office.code("li-na")
    shown = done("review", "decide", closure.id, "--as", "li-na", "--verdict", "同意关店", "--code", code)
    assert "检查结果" in shown and "已提交" in shown  # nobody decides on what was not shown
    office.settle()
    assert office.case(closure.id).state == "CLEARING"


def test_ids_words_and_names_are_read_as_they_are_pasted_and_typed(office: Office, closure: Case, done: Done) -> None:
    task = office.question(closure).id
    wide = "".join(chr(ord(sign) + 0xFEE0) for sign in task)
    for pasted in (task.lower(), f" {task}\t", wide, f" {closure.id.lower()} "):
        assert task in done("review", "show", pasted), pasted
    assert closure.id in done("cases", "show", f" {closure.id.lower()}")
    assert closure.id in done(
        "review", "list", "--role", " 关店审核员 ", "--kind", "ＣＬＯＳＵＲＥ", "--case", closure.id.lower()
    )
    for dash in ("－－", "—", "––", "-–"):
        assert closure.id in done("review", "list", f"{dash}role", "关店审核员"), dash
    assert "2026 年" in done("calendar", "show", "２０２６")
    office.snapshot(open_orders=3)
    office.decide(closure, "li-na", "APPROVE")
    code = office.code("he-qiang")
    spaced = f" {code[:3]} {code[3:]}".translate({ord(str(n)): chr(0xFF10 + n) for n in range(10)})
    done(
        "review",
        "decide",
        closure.id,
        "--as",
        " Ｈe-Qiang ",
        "--verdict",
        " 确认放行 ",
        "--reason",
        "买家已同意取消",
        "--code",
        spaced,
        "--set",
        "核销未完事项 ＝ 是",
    )
    office.settle()
    assert office.case(closure.id).request["written_off"] != []


def test_somebody_unknown_is_told_so_before_anything_is_asked_of_them(
    office: Office, closure: Case, refused: Done
) -> None:
    said = refused("review", "decide", closure.id, "--as", "li-nan", "--verdict", "APPROVE")
    assert "没有工号为 li-nan" in said and "动态口令" not in said and "检查结果" not in said


def test_the_code_is_asked_for_and_never_echoed(office: Office, closure: Case, done: Done) -> None:
    code = office.code("li-na")
    shown = done(
        "review",
        "decide",
        closure.id,
        "--as",
        "li-na",
        "--verdict",
        "reject",
        "--reason",
        "资料不符",
        typed=f"{code}\n",
    )
    assert "动态口令" in shown and code not in shown
    office.settle()
    assert office.case(closure.id).outcome == "REJECTED"


def test_what_the_judge_refuses_is_refused_with_its_sentence(office: Office, closure: Case, refused: Done) -> None:
    task = office.question(closure).id
    approve = ("--verdict", "APPROVE", "--code")
    assert "动态口令不正确" in refused("review", "decide", task, "--as", "li-na", *approve, "000000")
    assert "岗位权限" in refused("review", "decide", task, "--as", "wang-fang", *approve, office.code("wang-fang"))
    reject = ("--verdict", "REJECT", "--code", office.code("li-na"))
    assert "必须填写理由" in refused("review", "decide", task, "--as", "li-na", *reject)
    assert office.case(closure.id).state == "UNDER_REVIEW"
    assert office.trail(closure.id).count("review.refused") == 3


def test_a_revision_that_is_no_longer_shown_decides_nothing(office: Office, closure: Case, refused: Done) -> None:
    office.snapshot(open_orders=3)
    told = refused(
        "review",
        "decide",
        closure.id,
        "--as",
        "li-na",
        "--verdict",
        "APPROVE",
        "--reason",
        "可以",
        "--revision",
        "1",
        "--code",
        office.code("li-na"),
    )
    assert "过期" in told
    assert office.question(closure).revision == 2


def test_somebody_else_was_faster(office: Office, closure: Case, refused: Done) -> None:
    task = office.question(closure).id
    office.decide(closure, "zhao-min", "APPROVE")
    told = refused("review", "decide", task, "--as", "li-na", "--verdict", "APPROVE", "--code", office.code("li-na"))
    assert "赵敏" in told


def test_the_gates_own_fields_are_set_by_name(office: Office, closure: Case, done: Done, dianwu: Any) -> None:
    office.snapshot(open_orders=3)
    office.decide(closure, "li-na", "APPROVE")
    decide = ("review", "decide", closure.id, "--as", "he-qiang", "--verdict", "CONFIRM", "--reason", "买家已同意取消")
    assert dianwu(*decide, "--code", "123456", "--set", "colour=red").exit_code == 2
    assert dianwu(*decide, "--code", "123456", "--set", "write_off=vielleicht").exit_code == 2
    done(*decide, "--code", office.code("he-qiang"), "--set", "write_off=是")
    office.settle()
    assert office.case(closure.id).request["written_off"] != []


def test_an_answer_outside_the_forms_limits_is_refused_before_the_code_is_spent(
    office: Office, closure: Case, done: Done, refused: Done
) -> None:
    code = office.code("li-na")
    decide = ("review", "decide", closure.id, "--as", "li-na", "--verdict", "APPROVE")
    assert "理由" in refused(*decide, "--code", code, "--reason", "长" * 1001)
    assert "动态口令" in refused(*decide, "--code", "12")
    done(*decide, "--code", code)


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "RV-000000-XXXXXX"),
        ("claim", "RV-000000-XXXXXX", "--as", "li-na"),
        ("list", "--mine", "nobody"),
        ("decide", "RV-000000-XXXXXX", "--as", "li-na", "--verdict", "APPROVE"),
    ],
)
def test_what_is_not_there_is_said_to_be_not_there(office: Office, refused: Done, arguments: tuple[str, ...]) -> None:
    assert "没有" in refused("review", *arguments)


def test_an_unknown_verdict_is_a_usage_error(office: Office, closure: Case, dianwu: Any) -> None:
    result = dianwu("review", "decide", closure.id, "--as", "li-na", "--verdict", "也许", "--code", "123456")
    assert result.exit_code == 2


def test_a_case_without_an_open_question_asks_for_the_tasks_own_number(
    office: Office, closure: Case, refused: Done
) -> None:
    office.decide(closure, "li-na", "REJECT")
    assert "0 个待处理" in refused("review", "show", closure.id)


def test_several_routine_questions_are_shown_and_decided_by_one_code_with_a_result_each(
    office: Office, done: Done, told: Any
) -> None:
    cases = []
    for number in range(3):
        office.open_shop(f"shop-{number}")
        cases.append(office.request_closure(f"shop-{number}"))
    shown = done(
        "review",
        "decide",
        cases[0].id,
        cases[1].id,
        "--as",
        "li-na",
        "--verdict",
        "同意关店",
        "--reason",
        "材料齐全",
        "--code",
        office.code("li-na"),
    )
    office.settle()
    assert shown.count("✓") >= 2 and all(case.id in shown for case in cases[:2])
    assert [office.case(case.id).state for case in cases] == ["CLEARING", "CLEARING", "UNDER_REVIEW"]
    done(
        "review",
        "decide-all",
        "--gate",
        "关店审核",
        "--as",
        "li-na",
        "--verdict",
        "REJECT",
        "--reason",
        "材料不全",
        "--code",
        office.code("li-na"),
    )
    office.settle()
    assert office.case(cases[2].id).outcome == "REJECTED"
    mine = told("review", "mine", "--as", "li-na")
    assert mine[0]["case_id"] == cases[2].id and len(mine) == 3
    assert {row["verdict"] for row in mine} == {"同意关店", "驳回申请"} and mine[0]["reason"] == "材料不全"
    assert told("review", "mine", "--as", "zhao-min") == []
    assert "最近 1 天没有作出决定" in done("review", "mine", "--as", "zhao-min")


def test_a_session_is_not_to_be_had_where_policy_gives_it_no_minutes(office: Office, refused: Done) -> None:
    said = refused("review", "session", "--as", "li-na")
    assert "不允许终端会话" in said and "动态口令:" not in said, "before a code is asked for"
