"""Somebody sits down at the desk."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from desk import reads
from tests.desk.seat import Seat
from tests.play import Office


@pytest.fixture
def seat(office: Office) -> Iterator[Callable[[str], Seat]]:
    """Somebody sits down at the desk and logs in; nobody of this office has read anything yet."""
    reads._limiter.storage.reset()
    open_: list[Seat] = []

    def sit(staff_id: str) -> Seat:
        made = Seat(office, staff_id)
        open_.append(made)
        made.log_in()
        return made

    yield sit
    for one in open_:
        one.client.close()
