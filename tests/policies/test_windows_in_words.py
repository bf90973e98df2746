"""How long something may take is policy: no sentence that people read names a window by itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.windows import in_words
from policies.policy import policy, versions

ROOT = Path(__file__).parent.parent.parent
CODE = ("policies", "notifications", "tasks", "flows", "desk")
NAMED = re.compile(r"[0-9一二两三四五六七八九十]+\s?个?(天|日内|工作日|自然日|个?月内|个月|小时)")
DAY_AFTER = "{}付款已提交银行，收款账户：{{{{ payee }}}}。银行到账时间以银行处理为准，遇节假日顺延至下一工作日。{}"
BODIES = (("txt", "", ""), ("html", '<p style="margin:0 0 16px;">', "</p>"))
NO_WINDOW = {
    "desk/looking.py": {"近 7 天", "近 90 天"},  # how far back one looks
    "desk/question.py": {"1 小时后"},  # how long somebody puts a question aside
    "policies/bindings.py": {"该账号 24 小时内最多接收 "},  # what a day is; how many in it is policy
    "policies/opening.py": {
        "货款一般 7 至 10 天回流,起步资金大致需要 2 万元,供参考,不作为入驻条件(OPN-19)。"
    },  # a hint
    **{
        f"notifications/messages/settlement_issued/body.{kind}.j2": {DAY_AFTER.format(*marks)}
        for kind, *marks in BODIES
    },
}
"""What is said of days and is no window of a rule."""


def sentences() -> Iterator[tuple[str, str]]:
    """Every text in the code that is no comment for developers, and every line of every letter."""
    for folder in CODE:
        for file in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            notes = {
                id(node.value)
                for node in ast.walk(tree)
                if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            }
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in notes:
                    yield str(file.relative_to(ROOT)), node.value
        for kind in ("*.j2", "*.html", "*.js"):
            for file in sorted((ROOT / folder).rglob(kind)):
                for line in file.read_text(encoding="utf-8").splitlines():
                    yield str(file.relative_to(ROOT)), line


def test_no_letter_form_or_page_names_a_window_that_policy_may_change() -> None:
    found = [
        (file, text[:80]) for file, text in sentences() if NAMED.search(text) and text not in NO_WINDOW.get(file, set())
    ]
    assert found == []


@pytest.mark.parametrize("text", ["请在 7 天内提交", "7 个工作日", "三天内答复", "6 个月后", "24 小时内有效"])
def test_the_walk_would_find_one(text: str) -> None:
    assert NAMED.search(text)


def test_a_window_is_said_with_its_own_unit() -> None:
    for version in versions():
        rules = policy(version)
        assert (in_words(rules.refund.sla), in_words(rules.appeal.reevidence)) == ("7 个工作日", "3 天")
        assert (in_words(rules.closure.reopen), in_words(rules.closure.facts_stale_after)) == ("6 个月", "24 小时")
