"""Every promise in SECURITY.md names the test that holds it, and the test is there; the licence is said where tools look."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

from tests.ops.test_engine_authority_page import shows_something

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[^`]+)`", PAGE)))
PROMISED = PAGE.partition("\n## Promises")[2].partition("\n## ")[0]


@pytest.mark.parametrize("named", NAMED)
def test_the_test_that_holds_a_promise_is_there(named: str) -> None:
    file, _, name = named.partition("::")
    place = ROOT / file
    assert place.exists(), named
    if name:
        assert re.search(rf"^(async )?def {re.escape(name)}\(", place.read_text(encoding="utf-8"), re.MULTILINE), named


def test_every_promise_names_a_test_that_shows_something() -> None:
    promises = re.findall(r"^- .*(?:\n  .*)*", PROMISED, re.MULTILINE)
    assert len(promises) > 60 and [one for one in promises if "`tests/" not in one] == []
    for named in NAMED:
        file, _, name = named.partition("::")
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        tests = [one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name in {name or one.name}]
        assert any(shows_something(one) for one in tests), named


def test_the_licence_is_the_one_that_the_metadata_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (project["license"], project["license-files"]) == ("Apache-2.0", ["LICENSE"])
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Version 2.0, January 2004" in text and "END OF TERMS AND CONDITIONS" in text
