"""The page on what Prefect's API can do to us names a test for every line, and each of them is there and shows something."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "engine-authority.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`(test_\w+)`", PAGE))
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| what is changed")]


def _tests() -> dict[str, ast.FunctionDef]:
    files = (ROOT / "tests").rglob("test_*.py")
    trees = (ast.parse(file.read_text(encoding="utf-8")) for file in files)
    return {node.name: node for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)}


def shows_something(test: ast.FunctionDef) -> bool:
    """Whether it can fail by what it looks at, and is not left out."""
    skipped = any("mark.skip" in ast.unparse(mark) or "xfail" in ast.unparse(mark) for mark in test.decorator_list)
    looks = any(isinstance(node, ast.Assert) or "raises" in ast.unparse(node) for node in ast.walk(test))
    return looks and not skipped


def test_every_test_that_the_page_names_is_there_andshows_something() -> None:
    there = _tests()
    assert NAMED and there.keys() >= NAMED, NAMED - there.keys()
    assert [name for name in sorted(NAMED) if not shows_something(there[name])] == []


def test_every_line_of_its_tables_says_what_answers_it_and_names_a_test() -> None:
    assert len(ROWS) > 20
    assert [row for row in ROWS if row.count(" | ") != 3 or "`test_" not in row.rpartition(" | ")[2]] == []


def test_what_the_page_says_of_prefect_is_shown_by_tests_against_a_real_one() -> None:
    """Each table but the last word on views stands on some test that has a Prefect server before it."""
    real = {
        name
        for folder in ("stack", "worker")
        for file in (ROOT / "tests" / folder).rglob("test_*.py")
        if "mark" + ".engine" in (text := file.read_text(encoding="utf-8"))
        for name in re.findall(r"^def (test_\w+)", text, re.M)
    }
    for table in PAGE.split("\n## ")[1:4]:
        assert len(real & set(re.findall(r"`(test_\w+)`", table))) >= 3, table.splitlines()[0]
