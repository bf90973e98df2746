"""Whoever writes much at once leaves the others their turn: how a writer of SQLite, which alone has one at a time, waits; chunks."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from models.audit import Installation
from office.base import db
from office.base.db import CHUNK_SECONDS, LOOK_AGAIN, Pace, in_transaction, reading


def kept(value: str) -> None:
    in_transaction(lambda tx: tx.merge(Installation(key="turn", value=value)))


def busy() -> Connection:
    """Another writer in the middle of its transaction."""
    connection = db.engine().connect()
    connection.begin()
    return connection


def test_a_writer_looks_again_often_enough_to_find_the_gap_between_two_chunks_of_another(
    database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, looked = busy(), []

    def slept(seconds: float) -> None:
        looked.append(seconds)
        if len(looked) == 3:
            other.close()

    monkeypatch.setattr("office.base.db.time.sleep", slept)
    kept("mine")
    assert len(looked) == 3 and max(looked) <= LOOK_AGAIN < db.BREATH
    with reading() as tx:
        assert tx.get_one(Installation, "turn").value == "mine"


def test_a_writer_whose_turn_does_not_come_says_so(database: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "PATIENCE", 0.0)
    monkeypatch.setattr(db, "RETRIES", 1)
    other = busy()
    with pytest.raises(OperationalError, match="locked"):
        kept("mine")
    other.close()
    kept("mine")


@pytest.mark.parametrize(
    ("took", "next_size"),
    [
        (CHUNK_SECONDS, 200),
        (CHUNK_SECONDS * 1.25, 160),
        (CHUNK_SECONDS * 9, 100),
        (CHUNK_SECONDS / 1.25, 250),
        (0, 400),
    ],
)
def test_the_next_chunk_is_as_large_as_the_last_one_was_fast(took: float, next_size: int) -> None:
    pace = Pace(100)
    pace.after(0)
    pace.after(took)
    assert pace.size == next_size


def test_a_chunk_is_never_smaller_than_the_first_however_slow_the_machine() -> None:
    pace = Pace(100)
    pace.after(3600)
    assert pace.size == 100


def test_the_time_in_which_others_let_it_wait_makes_no_chunk_smaller(
    database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = iter([0.0, CHUNK_SECONDS])
    monkeypatch.setattr("office.base.db.time.perf_counter", lambda: next(at))
    other, pace = busy(), Pace(1)
    pace.size = 8
    monkeypatch.setattr("office.base.db.time.sleep", lambda _seconds: other.close())
    assert pace.chunk(lambda tx, size: size) == 8
    assert pace.size == 8
