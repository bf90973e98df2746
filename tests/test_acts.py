"""Every question whose answer something rests on stands in the table of acts, with the test that shows what undoes it."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows import stories
from office.process import office
from tasks.processes import open_office

ROOT = Path(__file__).parent.parent
open_office()
assert stories.STORIES, "which load every verb"
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


def acts() -> dict[str, Callable[..., object]]:
    """The verbs of all processes, by the name under which their effects are kept."""
    found = {}
    for module in [module for name, module in sys.modules.items() if name.startswith("tasks.")]:
        for verb in vars(module).values():
            if (name := getattr(verb, "effect_name", None)) and verb.__module__ == module.__name__:
                found[name] = inspect.unwrap(verb)
    return found


def reached(verb: Callable[..., object]) -> Iterator[ast.Call]:
    """Every call in a verb and in the functions of its module that it calls."""
    module = sys.modules[verb.__module__]
    left, seen = [verb], set()
    while left:
        function = left.pop()
        seen.add(function)
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
            if not isinstance(node, ast.Call):
                continue
            yield node
            called = vars(module).get(node.func.id) if isinstance(node.func, ast.Name) else None
            if inspect.isfunction(called) and called.__module__ == module.__name__ and called not in seen:
                left.append(called)


@pytest.mark.parametrize(("act", "gates"), [(act, gates) for act, gates, _ in rows() if "`" in act])
def test_whoever_acts_insists_on_what_was_decided_by_gate_round_and_verdict(act: str, gates: str) -> None:
    first, *others = re.findall(r"`([a-z_.]+)`", act)
    for name in [first, *(other if not other.startswith(".") else first.partition(".")[0] + other for other in others)]:
        assert insists(acts()[name]), f"{name} does what nobody was asked"


def insists(verb: Callable[..., object]) -> bool:
    return any(ast.unparse(call.func) in {"approvals.insist", "approvals.says"} for call in reached(verb))


def test_a_verb_that_does_not_insist_is_found() -> None:
    assert not insists(acts()["refunds.check"])
