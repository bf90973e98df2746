"""One change at a time to one case."""

from __future__ import annotations

from sqlmodel import select

from models.cases import Case
from office.base.db import Tx


class UnknownCase(LookupError):
    """No case has this id."""


def lock_case(tx: Tx, case_id: str) -> Case:
    """The case, locked until the transaction ends: one change at a time to one case.

    Read anew under the lock, whatever this transaction may have seen of it before.
    """
    query = select(Case).where(Case.id == case_id).execution_options(populate_existing=True)
    case = tx.exec(query.with_for_update() if tx.postgres else query).first()
    if case is None:
        raise UnknownCase(case_id)
    return case
