"""An office with one shop that has paid its deposit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from policies.policy import policy, use_policies
from tests.appeals.bench import Bench
from tests.play import Office


@pytest.fixture
def appeal_policy() -> Iterator[Callable[..., None]]:
    """Chooses the policy on appeals: ``appeal_policy(second_reviewer="same")``."""

    def choose(**changes: Any) -> None:
        published = policy("2026-01-01")
        appeal = type(published.appeal).model_validate(published.appeal.model_dump() | changes)
        use_policies(published.model_copy(update={"appeal": appeal}))

    yield choose
    use_policies()


@pytest.fixture
def bench(office: Office) -> Bench:
    return Bench(office)
