"""The audit: whatever somebody changes, removes or cuts off by hand shows."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from tasks import audit
from tasks.db import in_transaction, reading

TAMPERED = {
    "UPDATE audit SET text = 'x' WHERE stream = 's' AND seq = 2": "line 2 was changed",
    "UPDATE audit SET public = NOT public WHERE stream = 's' AND seq = 2": "line 2 was changed",
    "UPDATE audit SET actor = 'staff/other' WHERE stream = 's' AND seq = 1": "line 1 was changed",
    "UPDATE audit SET clause = 'X-1' WHERE stream = 's' AND seq = 3": "line 3 was changed",
    "DELETE FROM audit WHERE stream = 's' AND seq = 2": "line 2 is missing",
    "DELETE FROM audit WHERE stream = 's' AND seq = 1": "line 1 is missing",
    "DELETE FROM audit WHERE stream = 's' AND seq = 3": "the chain ends at line 2",
    "DELETE FROM audit WHERE stream = 's'": "the chain ends at line 0",
    "UPDATE audit_head SET seq = 2 WHERE stream = 's'": "not sealed",
    "DELETE FROM audit_head WHERE stream = 's'": "the chain has no head",
}


@pytest.fixture
def chain(database: None) -> None:
    """Three lines in one stream, and one in another."""
    for number in range(3):
        in_transaction(lambda tx, n=number: audit.record(tx, "s", "did", text=f"第 {n} 步", clause="CLS-5", n=n))  # type: ignore[misc]
    in_transaction(lambda tx: audit.record(tx, "other", "did"))


def verify(stream: str | None = None) -> list[str]:
    with reading() as tx:
        return list(audit.verify(tx, stream))


def test_a_chain_nobody_touched_is_whole(chain: None) -> None:
    assert verify() == []


@pytest.mark.parametrize("sql", TAMPERED)
def test_every_kind_of_tampering_is_named(chain: None, sql: str) -> None:
    in_transaction(lambda tx: tx.execute(text(sql)))
    assert any(TAMPERED[sql] in sentence for sentence in verify())
    assert verify("other") == []


def test_a_cut_tail_shows_even_when_the_head_is_rewound_to_it(chain: None) -> None:
    in_transaction(lambda tx: tx.execute(text("DELETE FROM audit WHERE stream = 's' AND seq = 3")))
    in_transaction(lambda tx: tx.execute(text(
        "UPDATE audit_head SET seq = 2, hash = (SELECT hash FROM audit WHERE stream = 's' AND seq = 2) WHERE stream = 's'"
    )))  # fmt: skip
    assert any("not sealed" in sentence for sentence in verify())  # the seal needs a key the database does not hold


def test_what_is_recorded_in_a_transaction_that_fails_was_never_recorded(chain: None) -> None:
    with pytest.raises(RuntimeError):
        in_transaction(_record_and_fail)
    assert verify() == []
    with reading() as tx:
        assert len(audit.timeline(tx, "s")) == 3


def _record_and_fail(tx: object) -> None:
    audit.record(tx, "s", "did")  # type: ignore[arg-type]
    raise RuntimeError("the change did not happen")


def test_the_merchant_reads_only_the_public_lines(chain: None) -> None:
    in_transaction(lambda tx: audit.record(tx, "s", "told", public=True))
    with reading() as tx:
        assert [line.action for line in audit.timeline(tx, "s", public_only=True)] == ["told"]
