"""What the stack starts it keeps up, and stops in order: the door first, the server last."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from office.base.settings import settings
from ops import migrate
from ops import stack as stacks
from ops.deploy import DEPLOYMENTS
from ops.stack import LAST, Part, Stack
from tests.worker.conftest import until

LINGERS = """
import pathlib, signal, sys, time
name, folder = sys.argv[1], pathlib.Path(sys.argv[2])
def stopped(*_):
    with (folder / "stopped").open("a") as file: file.write(name + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, stopped)
with (folder / name).open("a") as file: file.write("up\\n")
while True: time.sleep(60)
"""


def small(folder: Path) -> dict[str, Part]:
    """Parts that note when they are up and when they are told to stop."""

    def part(name: str) -> Part:
        return Part(name, [sys.executable, "-S", "-c", LINGERS, name, str(folder)], (folder / name).exists)

    return {name: part(name) for name in ("prefect", "door", "desk", "worker")}


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.setattr(migrate, "upgrade", lambda: None)
    monkeypatch.setattr(Stack, "_deploy", lambda self: 0)
    stack = Stack(settings())
    stack.parts = small(tmp_path)
    return stack


def starts(folder: Path, name: str) -> int:
    file = folder / name
    return len(file.read_text().splitlines()) if file.exists() else 0


def test_a_part_that_was_started_again_is_still_stopped_in_its_turn(stack: Stack, tmp_path: Path) -> None:
    with stack:
        until(lambda: starts(tmp_path, "worker") == 1)
        for name in stack.parts:
            stack.kill(name)
        for name in stack.parts:
            until(lambda name=name: starts(tmp_path, name) == 2)  # type: ignore[misc]
    assert (tmp_path / "stopped").read_text().split() == ["desk", "door", "worker", "prefect"]


def test_a_part_that_keeps_falling_waits_half_a_minute_and_holds_up_no_other(stack: Stack, tmp_path: Path) -> None:
    with stack:
        worker = stack.parts["worker"]
        until(lambda: starts(tmp_path, "worker") == 1)
        assert worker.process is not None
        worker.falls, fell_after = 40, time.monotonic()
        worker.process.kill()
        until(lambda: worker.again > worker.started)
        assert worker.again - fell_after > 20
        stack.kill("door")
        until(lambda: starts(tmp_path, "door") == 2)
        assert starts(tmp_path, "worker") == 1


def test_a_prefect_that_comes_back_is_deployed_to_only_when_it_knows_nothing_of_the_last_deployment(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = DEPLOYMENTS[-1].flow.name
    assert f"deployments/name/{name}/{name}" == LAST
    asked, deployed = [], []
    monkeypatch.setattr(Stack, "_deploy", lambda self: deployed.append("again") or 0)
    back = Part("prefect", [], lambda: True)
    for knows in (True, False):
        monkeypatch.setattr(stacks, "_answers", lambda url, given, knows=knows: asked.append(url) or knows)
        stack._prefect_is_back(back)
        assert deployed == ([] if knows else ["again"])
    assert asked == [f"{settings().prefect_api}/{LAST}"] * 2
