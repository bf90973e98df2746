"""A number in the policy that nobody reads would let an owner believe that changing it changes something."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from policies.policy import Policy

ROOT = Path(__file__).parent.parent.parent
CODE = ("policies", "notifications", "office", "tasks", "flows", "webhooks", "ops")


def sections(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, str]]:
    """Every number of the policy file: its path, and the name by which it is read."""
    for name, field in model.model_fields.items():
        inner = [kind for kind in _types(field.annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)]
        ours = [kind for kind in inner if kind.__module__.startswith("policies.")]
        if not ours:
            yield f"{path}{name}", name
        for kind in ours:
            yield from sections(kind, f"{path}{name}.")


def _types(annotation: Any) -> Iterator[Any]:
    yield annotation
    for inner in get_args(annotation):
        yield from _types(inner)


def read_names() -> set[str]:
    """Every attribute that code reads, outside the classes that declare the policy."""
    names: set[str] = set()
    for folder in CODE:
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                    names.add(node.attr)
    return names


READ = read_names()
SOURCE_ONLY = {"invoicing.rates.source"}
"""Where a number comes from, for whoever reads the file."""


@pytest.mark.parametrize(("path", "name"), [pair for pair in sections(Policy) if pair[0] not in SOURCE_ONLY])
def test_every_number_of_the_policy_is_read_somewhere(path: str, name: str) -> None:
    assert name in READ, f"nobody reads {path}"


def test_the_walk_sees_the_whole_file_and_would_miss_a_number_without_a_reader() -> None:
    paths = {path for path, _ in sections(Policy)}
    assert {
        "forced_closure.people",
        "appeal.max_reevidence",
        "appeal.evidence.max_items",
        "invoicing.rates.percents",
        "staff.second_code_minutes",
        "opening.transfer_tries",
        "bindings.codes_a_day",
        "settlement.account_rest_hours",
    } <= paths
    assert "a_number_that_nobody_reads" not in READ
