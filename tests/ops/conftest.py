"""The ``dianwu`` command as an operator uses it, on the office of the story tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from ops.cli import app

Run = Callable[..., Result]


@pytest.fixture
def dianwu() -> Run:
    """Runs one command line; returns its exit code, what it printed and what it complained about."""

    def run(*arguments: str, typed: str | None = None) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], input=typed)

    return run


@pytest.fixture
def done(dianwu: Run) -> Callable[..., str]:
    """Runs one command line that must succeed; returns what it printed."""

    def run(*arguments: str, typed: str | None = None) -> str:
        result = dianwu(*arguments, typed=typed)
        assert result.exit_code == 0, result.output
        return result.output

    return run


@pytest.fixture
def refused(dianwu: Run) -> Callable[..., str]:
    """Runs one command line that must be refused with 1 and a sentence; returns the sentence."""

    def run(*arguments: str, typed: str | None = None) -> str:
        result = dianwu(*arguments, typed=typed)
        assert result.exit_code == 1, result.output
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.output

    return run


@pytest.fixture
def told(done: Callable[..., str]) -> Callable[..., Any]:
    """What a command tells machines."""
    return lambda *arguments: json.loads(done(*arguments, "--json"))
