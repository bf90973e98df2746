"""An office with one shop that has paid its deposit."""

from __future__ import annotations

import pytest

from tests.appeals.bench import Bench
from tests.play import Office


@pytest.fixture
def bench(office: Office) -> Bench:
    return Bench(office)
