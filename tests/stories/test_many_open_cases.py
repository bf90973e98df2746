"""A shop with thousands of open cases is as quick to decide about as one with a few: nothing walks through all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, insert

from models.cases import Case, CaseKind
from models.reviews import Review
from office.base.db import engine, in_transaction
from office.cases.reviews import OTHERS
from tests.play import Office, paper

pytestmark = pytest.mark.both

SOME, MANY = 5, 400


def crowd(office: Office, like: Case, count: int) -> None:
    """So many other cases of the shop, each open, without a question."""

    def fill(tx: Any) -> None:
        row = tx.get(Case, like.id)
        base = {column.name: getattr(row, column.name) for column in Case.__table__.columns}  # type: ignore[attr-defined]
        others = [
            base | {"id": f"APL-260101-{n:06d}", "kind": CaseKind.APPEAL, "origin": f"other/{n}", "run_id": None}
            for n in range(count)
        ]
        tx.execute(insert(Case), others)

    in_transaction(fill)


class Work:
    statements = 0
    cases = 0


@contextmanager
def counted() -> Iterator[Work]:
    """What an act costs: statements sent, cases loaded."""
    work = Work()

    def sent(*_: Any) -> None:
        work.statements += 1

    def loaded(*_: Any) -> None:
        work.cases += 1

    event.listen(engine(), "before_cursor_execute", sent)
    event.listen(Case, "load", loaded)
    try:
        yield work
    finally:
        event.remove(engine(), "before_cursor_execute", sent)
        event.remove(Case, "load", loaded)


def decide(office: Office, case: Case) -> None:
    office.decide(case, "li-na", "APPROVE", "已核对")


def report(office: Office, case: Case) -> None:
    office.snapshot(open_orders=1)


def send_a_file(office: Office, case: Case) -> None:
    office.stage("shop-1", paper("后来的材料.pdf"))


def look(office: Office, case: Case) -> None:
    office.question(case)


@pytest.mark.parametrize("act", [decide, report, send_a_file, look], ids=lambda act: act.__name__)
def test_an_act_costs_the_same_however_many_cases_the_shop_has_open(
    new_office: Callable[..., Office], act: Callable[[Office, Case], None]
) -> None:
    found = []
    for count in (SOME, MANY):
        office = new_office()
        office.open_shop()
        case = office.request_closure()
        crowd(office, case, count)
        office.snapshot(open_orders=3)  # the question is shown anew with them
        with counted() as work:
            act(office, case)
        found.append(work)
    few, many = found
    assert many.statements <= few.statements + 2
    assert many.cases <= few.cases + 4 * OTHERS, (
        "twenty are named wherever a dossier is put together, the rest is counted"
    )


def test_what_stands_in_the_way_is_counted_to_the_last_one(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    crowd(office, case, MANY)
    office.snapshot()
    review = office.question(case)
    assert f"该店铺的其他案件({MANY + 1})" in review.dossier or f"该店铺的其他案件({MANY})" in review.dossier
    assert f"还有 {MANY} 件仲裁申诉" in review.dossier or f"{MANY}" in review.dossier
    assert isinstance(review, Review)
