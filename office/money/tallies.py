"""Tallies: the sealed running total of each account, so that proving it costs the same however long it has been used.

A tally goes on with each posting, under the account's lock, from what it said before: never from the account's row, which
whoever has the database can put right. Every transfer is sealed with its key, so the number of them and both sums say which
they are; one that SQL added, changed or took away leaves totals that the tally does not know, or a tally of other transfers.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from office.base.vault import keyed_hash, same


@dataclass(frozen=True, slots=True)
class Tally:
    """What we posted to an account."""

    transfers: int = 0
    debit_fen: int = 0
    credit_fen: int = 0
    until: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    """When the latest of them was posted."""

    @property
    def totals(self) -> tuple[int, int]:
        return self.debit_fen, self.credit_fen

    def after(self, debits: int, credits: int, at: datetime, transfers: int = 1) -> Tally:
        return Tally(
            self.transfers + transfers, self.debit_fen + debits, self.credit_fen + credits, max(self.until, at)
        )


def sealed(account_id: str, tally: Tally) -> str:
    said = f"{tally.transfers}|{tally.debit_fen}|{tally.credit_fen}|{tally.until.astimezone(UTC).isoformat()}"
    return f"{said}|{_seal(account_id, said)}"


def opened(account_id: str, written: str | None) -> Tally | None:
    """What the tally of this account says; ``None`` if it is not one that we wrote."""
    said, _, seal = (written or "").rpartition("|")
    if not said or not same(seal, _seal(account_id, said)):
        return None
    transfers, debits, credits, until = said.split("|")
    return Tally(int(transfers), int(debits), int(credits), datetime.fromisoformat(until))


def continued(
    account_id: str, written: str | None, debits: int, credits: int, at: datetime, transfers: int = 1
) -> str | None:
    """The tally after further postings. One that is not ours stays as it is: what somebody wrote is not made ours."""
    before = opened(account_id, written)
    return sealed(account_id, before.after(debits, credits, at, transfers)) if before else written


def _seal(account_id: str, said: str) -> str:
    return keyed_hash(f"tally|{account_id}|{said}")
