"""What was answered leaves Prefect: the answer with its code, and the dossier it was given on."""

from __future__ import annotations

from uuid import UUID, uuid4

import httpx
import pytest
from prefect.exceptions import PrefectHTTPStatusError
from prefect.input.run_input import keyset_from_base_key

from models.confirmations import ShownForm
from office.base.db import in_transaction, reading
from office.runs import engine, shown_forms
from tests.play import Office

keys = keyset_from_base_key("key-1")
EVERY = tuple(keys.values())


class Inputs:
    """What Prefect keeps with one run; it answers 404 for what is not there, or something worse."""

    def __init__(self, *kept: str, status: int = 404) -> None:
        self.kept, self.status = list(kept), status

    def delete_flow_run_input(self, run_id: UUID, key: str) -> None:
        if key not in self.kept:
            answer = httpx.Response(self.status, request=httpx.Request("DELETE", "http://prefect/input"))
            raise PrefectHTTPStatusError("no", request=answer.request, response=answer)
        self.kept.remove(key)


@pytest.fixture
def form(office: Office) -> ShownForm:
    return ShownForm(key="key-1", run_id=str(uuid4()))  # type: ignore[call-arg]


def test_an_answered_form_leaves_neither_answer_nor_dossier_in_prefect(form: ShownForm) -> None:
    inputs = Inputs(*EVERY, "another-form")
    shown_forms.clear(inputs, form)  # type: ignore[arg-type]
    assert inputs.kept == ["another-form"]
    shown_forms.clear(inputs, form)  # type: ignore[arg-type]


@pytest.mark.parametrize("there", range(8))
def test_what_is_gone_already_holds_up_nothing(form: ShownForm, there: int) -> None:
    inputs = Inputs(*(key for place, key in enumerate(EVERY) if there >> place & 1))
    shown_forms.clear(inputs, form)  # type: ignore[arg-type]
    assert inputs.kept == []


def test_a_prefect_that_refuses_is_asked_again_later(form: ShownForm) -> None:
    with pytest.raises(PrefectHTTPStatusError):
        shown_forms.clear(Inputs(status=503), form)  # type: ignore[arg-type]


def test_the_answer_goes_at_once_and_the_dossier_when_the_segment_ends(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = Inputs(*EVERY)
    monkeypatch.setattr(engine, "client", lambda: inputs)
    office.open_shop()
    case_id = office.request_closure().id
    review = office.question(case_id)

    def kept() -> ShownForm:
        with reading() as tx:
            form = tx.get_one(ShownForm, "key-1")
            tx.expunge_all()
        return form

    in_transaction(lambda tx: shown_forms.note(tx, review, str(uuid4()), "key-1", "文字", "选项"))
    shown_forms.clear_judged(case_id)
    assert inputs.kept == list(EVERY), "nobody has answered yet"
    in_transaction(lambda tx: shown_forms.judged(tx, "key-1"))
    shown_forms.take_out_answer(inputs, kept())  # type: ignore[arg-type]
    assert inputs.kept == [keys["description"], keys["schema"]]
    inputs.status, there, inputs.kept = 503, inputs.kept, []
    shown_forms.clear_judged(case_id)
    assert kept().cleared_at is None, "Prefect is away: what the segment did stands, and the sweep asks again"
    inputs.status, inputs.kept = 404, there
    shown_forms.clear_judged(case_id)
    assert inputs.kept == [] and kept().cleared_at is not None
