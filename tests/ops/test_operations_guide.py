"""The operator's guide names every setting and every command, and no command that does not exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from office.base.settings import Settings
from ops.cli import app
from ops.worker.settings import WorkerSettings

GUIDE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")


def command_paths() -> set[str]:
    """``dianwu cases show`` and so on, as the command itself knows them."""

    def walk(group: Any, path: str) -> Iterator[str]:
        context = typer.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if isinstance(command, TyperGroup):
                yield from walk(command, f"{path} {name}")
            else:
                yield f"{path} {name}"

    return set(walk(typer.main.get_command(app), "dianwu"))


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_explained(name: str) -> None:
    assert f"| `{name}` |" in GUIDE


@pytest.mark.parametrize("name", sorted(WorkerSettings.__dataclass_fields__))
def test_every_setting_of_the_worker_is_explained(name: str) -> None:
    assert f"`{name.upper()}`" in GUIDE


@pytest.mark.parametrize("path", sorted(command_paths()))
def test_every_command_is_explained(path: str) -> None:
    assert re.search(rf"`{path}[ `]", GUIDE)


def test_no_command_is_promised_that_does_not_exist() -> None:
    known = command_paths()
    promised = re.findall(r"`(dianwu [a-z-]+(?: [a-z-]+)?)", GUIDE)
    assert [one for one in promised if one not in known and one.rpartition(" ")[0] not in known] == []


@pytest.mark.parametrize("path", sorted(command_paths()))
def test_every_command_says_in_chinese_what_it_does(path: str, done: Any) -> None:
    assert re.search(r"[\u4e00-\u9fff]{4}", done(*path.split()[1:], "--help"))
