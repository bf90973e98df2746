"""One change at a time to one case."""

from __future__ import annotations

from sqlmodel import select
from sqlmodel.sql.expression import SelectOfScalar

from models.cases import Case
from office.base.db import Tx, prepared


class UnknownCase(LookupError):
    """No case has this id."""


def lock_case(tx: Tx, case_id: str) -> Case:
    """The case, locked until the transaction ends: one change at a time to one case.

    Read anew under the lock, whatever this transaction may have seen of it before.
    """
    case = _locked(tx, case_id).first()
    if case is None:
        raise UnknownCase(case_id)
    return case


@prepared
def _locked(case_id: str) -> SelectOfScalar[Case]:
    return select(Case).where(Case.id == case_id).with_for_update().execution_options(populate_existing=True)
