"""Every promise in SECURITY.md names the test that holds it, and the test is there; the licence is said where tools look."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = sorted(set(re.findall(r"`(tests/[^`]+)`", (ROOT / "SECURITY.md").read_text(encoding="utf-8"))))


@pytest.mark.parametrize("named", NAMED)
def test_the_test_that_holds_a_promise_is_there(named: str) -> None:
    file, _, name = named.partition("::")
    place = ROOT / file
    assert place.exists(), named
    if name:
        assert re.search(rf"^(async )?def {re.escape(name)}\(", place.read_text(encoding="utf-8"), re.MULTILINE), named


def test_the_licence_is_the_one_that_the_metadata_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (project["license"], project["license-files"]) == ("Apache-2.0", ["LICENSE"])
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Version 2.0, January 2004" in text and "END OF TERMS AND CONDITIONS" in text
