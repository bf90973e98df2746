"""Characters no database keeps: a form that was sent once is not asked again for one, and none of them is kept."""

from __future__ import annotations

import pytest

from models.reviews import Review
from office.base.db import in_transaction, reading
from office.cases import confirmations
from office.cases.forms import read_answer, task_token
from office.cases.reviews import gate_of
from office.staff import staff
from tests.play import Office

pytestmark = pytest.mark.both


def test_a_reason_with_characters_no_database_takes_decides_the_question_without_them(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    review = office.question(case)
    gate = gate_of(review)
    form = {
        "task": task_token(review),
        "staff_id": "li-na\x00",
        "code": f"\u2060{office.code('li-na')}\u200b\udcb3",
        "verdict": "同意关店",
        "reason": "同意\x00,\ud83e请注意\udcd6🩷\u202e",
    }
    outcome = in_transaction(
        lambda tx: confirmations.take_form_answer(tx, review.id, gate, read_answer(review, gate, form))
    )
    assert outcome.accepted, outcome.sentence
    with reading() as tx:
        kept = tx.get_one(Review, review.id)
        assert (kept.decided_by, kept.reason) == ("li-na", "同意,请注意🩷")
    office.settle()
    assert office.chains() == []


def test_a_reason_made_of_nothing_else_is_no_reason(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    review = office.question(case)
    gate = gate_of(review)
    form = {
        "task": task_token(review),
        "staff_id": "li-na",
        "code": office.code("li-na"),
        "verdict": "驳回",
        "reason": "\x00\x01",
    }
    given = read_answer(review, gate, form | {"verdict": gate.verdict(next(iter(gate.reason_required))).label})
    outcome = in_transaction(lambda tx: confirmations.take_form_answer(tx, review.id, gate, given))
    assert not outcome.accepted and "理由" in outcome.sentence


@pytest.mark.parametrize("typed", ["\udcb3\udcbf\udcb9", "\x00", "六位数字", "１２３４５６", "\U0001fa77" * 6, ""])
def test_whatever_is_typed_in_place_of_a_code_is_a_wrong_code_and_no_fault(office: Office, typed: str) -> None:
    """A terminal in GBK hands half surrogates over."""
    proof = in_transaction(lambda tx: staff.prove(tx, "li-na", typed))
    assert not proof.ok and "口令" in proof.sentence
