"""What is typed into the terminal: bytes and characters that nobody can keep end in a sentence, and nothing is done."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer

from ops.chinese import broken, wide
from ops.cli import COMMANDS, app
from ops.commands.terminal import WIDTH
from tasks.sight import queue
from tests.play import Office

Say = Callable[..., str]


@pytest.mark.parametrize("word", ["\udcb3\udcbf\udcb9\udce2", "晨\x1b[31m光", "晨\u202e光"])
def test_a_word_that_is_no_text_is_refused_wherever_it_stands(office: Office, refused: Say, word: str) -> None:
    for line in (
        ["cases", "list", "--shop", word],
        [word],
        ["cases", "show", word],
        ["inbox", "dismiss", "1", "--reason", word, "--staff", "he-qiang", "--code", "123456"],
        ["import", "billables", word],
    ):
        said = refused(*line)
        assert f"第 {line.index(word) + 1} 个词" in said and "什么都没有执行" in said
        assert said.isprintable() or "\x1b" not in said


def test_the_bytes_of_a_gbk_terminal_end_in_a_sentence_and_not_in_a_traceback() -> None:
    words = [b"cases", b"list", b"--shop", "晨光".encode("gbk")]
    start = [sys.executable.encode(), b"-X", b"utf8", b"-c", b"from ops.cli import main; main()"]
    ran = subprocess.run([*start, *words], capture_output=True, check=False)
    assert ran.returncode == 1 and b"Traceback" not in ran.stderr
    assert "第 4 个词不是 UTF-8 编码" in ran.stderr.decode()


# ── what Typer says by itself ────────────────────────────────────────────────

ENGLISH = re.compile(r"[A-Za-z]{2,}[ -]?[a-z]* [a-z]{2,}|\b(Usage|Error|Options|Arguments|Commands|required|default)\b")
"""Words of English; what can be typed is taken away first."""


def english(text: str) -> list[str]:
    return [line for line in text.splitlines() if ENGLISH.search(re.sub(r"dianwu( [a-z-]+)*|--?[a-z-]+", "", line))]


def verbs() -> Iterator[list[str]]:
    root: Any = typer.main.get_command(app)
    for name in COMMANDS:
        command = root.get_command(None, name)
        yield [name]
        yield from ([name, verb] for verb in getattr(command, "commands", {}))


def test_help_is_chinese_and_fits_the_screen_for_every_command(dianwu: Any) -> None:
    for words in [[], *verbs()]:
        for flag in ("-h", "--help"):
            told = dianwu(*words, flag)
            assert told.exit_code == 0 and "用法：" in told.output, words
            assert english(told.output) == [], words
            assert [line for line in told.output.splitlines() if wide(line) > WIDTH] == [], words


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("nonsense", "没有命令 nonsense"), ("review lits", "没有命令 lits，是否应为 list"), ("review", "用法："), ("", "用法："),
        ("review show", "缺少 任务编号"), ("review decide RV-1 --verdict APPROVE", "缺少 --as"), ("cases retry CLS-1", "缺少 --by"),
        ("cases list --stat 1", "没有选项 --stat，是否应为 --state"), ("cases list --limit", "--limit 后面缺少它的值"),
        ("cases list --open=1", "--open 后面不带值"), ("cases show CLS-1 CLS-2", "多出了「CLS-2」"),
        ("cases list --limit 0", "--limit：须不小于 1"), ("cases list --limit 99999", "--limit：须不大于 10000"),
        ("cases list --limit 三", "--limit：须为整数"), ("inbox retry 七", "编号：须为整数"), ("cases list --kind 离婚", "没有「离婚」，可选："),
        ("cases list -x", "没有选项 -x"), ("clock advance 3x", "不是时长"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_read_is_told_in_chinese_with_what_to_write(
    office: Office, dianwu: Any, line: str, why: str
) -> None:
    said = dianwu(*line.split())
    assert said.exit_code == 2 and why in said.output, said.output
    assert english(said.output) == []


@pytest.mark.parametrize(("typed", "meant"), [("doctr", "doctor"), ("case", "cases"), ("reveiw", "review")])
def test_a_command_that_is_mistyped_is_answered_with_the_one_that_was_probably_meant(
    dianwu: Any, typed: str, meant: str
) -> None:
    said = dianwu(typed)
    assert said.exit_code == 2 and re.search(f"没有命令 {typed}.是否应为 {meant}", said.output)


def test_whoever_gives_up_at_a_question_is_told_that_nothing_was_done(office: Office, dianwu: Any) -> None:
    office.open_shop()
    case = office.request_closure()
    said = dianwu("review", "claim", case.id, "--as", "li-na", typed="")
    assert said.exit_code == 1 and "已取消" in said.output and english(said.output) == []


def test_whoever_interrupts_a_command_is_told_so(office: Office, dianwu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(queue, "waiting", interrupted)
    said = dianwu("review", "list")
    assert said.exit_code == 130 and "已中断" in said.output


ASKED = httpx.Request("POST", "http://prefect:4200/api/work_pools/")


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (httpx.ConnectError("refused", request=ASKED), "没有应答.*PREFECT_API_URL"),
        (httpx.HTTPStatusError("500", request=ASKED, response=httpx.Response(500)), "500.*Redis"),
        (
            httpx.HTTPStatusError("401", request=ASKED, response=httpx.Response(401)),
            "拒绝登录.*PREFECT_API_AUTH_STRING",
        ),
    ],
)
def test_a_prefect_that_is_away_ends_a_deployment_in_a_sentence(
    office: Office, refused: Say, monkeypatch: pytest.MonkeyPatch, trouble: Exception, told: str
) -> None:
    def away() -> None:
        raise trouble

    monkeypatch.setattr("ops.deploy.deploy", away)
    assert re.search(told, refused("deploy").replace("\n", ""))


def test_a_code_that_is_piped_in_is_read_without_a_word_about_the_terminal(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    start = [sys.executable, "-c", "from ops.cli import main; main()", "review", "claim", case.id, "--as", "li-na"]
    ran = subprocess.run(start, input="000000\n", capture_output=True, text=True, check=False)
    assert ran.returncode == 1 and ran.stderr == "✗ 动态口令不正确，请输入验证器当前显示的 6 位数字\n"


@pytest.mark.parametrize("width", [2, 7, 20, 41])
def test_a_text_is_folded_by_columns_and_breaks_no_id_that_fits(width: int) -> None:
    text = "已通知商家：【店务】关店申请已收到：晨光文具（CLS-261229-ZDQQV0） 自 2026-12-29 起，截至 a" + "b" * 90
    lines = broken(text, width)
    assert "".join(lines) == text and all(wide(line.rstrip()) <= width for line in lines)
    assert width < 20 or any("CLS-261229-ZDQQV0" in line for line in lines)
    assert not any(line.startswith(tuple("：，。）】")) for line in lines) or width < 41


TOLD = {
    "StaffError",
    "SettingsError",
    "WrongForm",
    "ClockCannotMove",
    "AnchorError",
    "StackError",
    "Faulty",
    "NotAPeriod",
}
"""What the terminal tells people in the error's own words."""


def test_an_error_that_is_told_in_its_own_words_has_chinese_ones() -> None:
    root = Path(__file__).parents[2]
    for folder in ("models", "policies", "office", "tasks", "desk", "ops"):
        for file in (root / folder).rglob("*.py"):
            source = file.read_text(encoding="utf-8")
            for node in ast.walk(ast.parse(source)) if any(f"{name}(" in source for name in TOLD) else ():
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") in TOLD and node.args:
                    words = "".join(
                        part.value
                        for part in ast.walk(node.args[0])
                        if isinstance(part, ast.Constant) and isinstance(part.value, str)
                    )
                    assert not ENGLISH.search(re.sub(r"dianwu( [a-z-]+)*", "", words)), f"{file}:{node.lineno} {words}"
