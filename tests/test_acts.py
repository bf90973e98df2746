"""Every question whose answer something rests on stands in the table of acts, with the test that shows what undoes it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from office.process import office
from tasks.processes import open_office

ROOT = Path(__file__).parent.parent
open_office()
EFFECTS = set(re.findall(r"^effect (\S+) ", (ROOT / "tests" / "names.txt").read_text(encoding="utf-8"), re.M))


def rows() -> list[tuple[str, str, str]]:
    """Acts, gates and tests of each row of the table (ambiguity 23)."""
    text = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8").partition("| act | rests on")[2]
    table = text.partition("\n\n")[0].splitlines()[2:]
    return [(cells[1], cells[2], cells[4]) for line in table if len(cells := line.split("|")) == 6]


@pytest.mark.parametrize("gate", sorted(office().gates))
def test_what_rests_on_an_answer_stands_in_the_table(gate: str) -> None:
    [(act, _, shown)] = [row for row in rows() if f"`{gate}`" in row[1]]
    named = re.findall(r"`([a-z_.]+)`", act)
    prefix = named[0].partition(".")[0] if named else ""
    acts = {name if not name.startswith(".") else f"{prefix}{name}" for name in named}
    assert acts and acts <= EFFECTS
    for file in re.findall(r"`(tests/\S+\.py)`", shown):
        assert (ROOT / file).is_file(), file
