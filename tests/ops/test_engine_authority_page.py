"""The page on what Prefect's API can do to us names a test for every line, and each of them is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "engine-authority.md").read_text(encoding="utf-8")


def test_every_test_that_the_page_names_is_there() -> None:
    there = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert named and named <= there, named - there


def test_every_line_of_its_tables_names_one() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| what is changed")]
    assert len(rows) > 20
    assert [row for row in rows if "`test_" not in row] == []
