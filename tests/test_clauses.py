"""Every clause of the rules is cited where it is done and in a test that shows it (docs/rules.md, the clause tables)."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CODE = ("models", "policies", "notifications", "office", "tasks", "flows")
SHOWING = ("policies", "stories", "appeals", "invoicing", "opening", "settlement")
CATALOGUE = ROOT / "tests" / "notifications" / "test_message_catalogue.py"
ROW = re.compile(r"^\| ([A-Z]{3}-\d+(?:(?:, | … )[A-Z]{3}-\d+)*) \|", re.MULTILINE)
CLAUSE = re.compile(r"\b([A-Z]{3})-(\d+)(?:\s?(?:…|\.\.\.|至|to|–)\s?(?:[A-Z]{3}-)?(\d+))?")
CHAPTERS = {
    "CLS": 11,
    "REF": 11,
    "DEP": 11,
    "DED": 9,
    "ARB": 10,
    "WDR": 4,
    "INV": 12,
    "BND": 15,
    "OPN": 19,
    "REO": 5,
    "STL": 6,
}
"""How many clauses each chapter of the sources has."""


def cited(text: str) -> set[str]:
    """Clauses named in a text; ``ARB-1 … ARB-10`` names those between, too."""
    found = set()
    for chapter, first, last in CLAUSE.findall(text):
        found |= {f"{chapter}-{number}" for number in range(int(first), int(last or first) + 1)}
    return found


@cache
def rows() -> set[str]:
    """The clauses that have a row in docs/rules.md."""
    text = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    return {clause for row in ROW.findall(text) for clause in cited(row)}


def of_a_line(text: str) -> set[str]:
    """Only clauses named by themselves: a range in a headline shows nothing about the one in its middle."""
    return {f"{chapter}-{first}" for chapter, first, last in CLAUSE.findall(text) if not last}


@cache
def in_code() -> set[str]:
    """Clauses named in the code that does them: in a value, a comment or the docstring of what is done, not in a range."""
    return {
        clause
        for folder in CODE
        for file in (ROOT / folder).rglob("*.py")
        for clause in of_a_line(file.read_text(encoding="utf-8"))
    }


@cache
def in_tests() -> dict[str, set[str]]:
    """Clause → the tests that show it: by their docstring, their name or what they assert.

    Of the business only: elsewhere ``CLS-1`` is the number of some case.
    """
    found: dict[str, set[str]] = {}
    for file in [*(file for folder in SHOWING for file in (ROOT / "tests" / folder).rglob("test_*.py")), CATALOGUE]:
        text = file.read_text(encoding="utf-8")
        lines = text.split("\n")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and file != Path(__file__):
                named = of_a_line("\n".join(lines[node.lineno - 1 : node.end_lineno]))
                named |= {
                    f"{chapter.upper()}-{number}"
                    for chapter, number in re.findall(
                        r"_(cls|ref|dep|ded|arb|wdr|inv|stl|opn|reo)_(\d+)(?=_|$)", node.name
                    )
                }
                for clause in named:
                    found.setdefault(clause, set()).add(f"{file.name}::{node.name}")
    return found


ALL = sorted(f"{chapter}-{number}" for chapter, count in CHAPTERS.items() for number in range(1, count + 1))


@pytest.mark.parametrize("clause", ALL)
def test_every_clause_has_a_row_code_that_does_it_and_a_test_that_shows_it(clause: str) -> None:
    assert clause in rows(), f"docs/rules.md has no row for {clause}"
    assert clause in in_code(), f"no code cites {clause}"
    assert in_tests().get(clause), f"no test cites {clause}"


def test_the_walk_reads_ranges_and_lists() -> None:
    assert cited("ARB-1 … ARB-3, INV-2, CLS-4 至 CLS-5") == {"ARB-1", "ARB-2", "ARB-3", "INV-2", "CLS-4", "CLS-5"}
    assert of_a_line("ARB-1 … ARB-3, INV-2") == {"INV-2"}
    assert len(ALL) == 113
