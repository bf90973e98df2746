"""Planted: what somebody put where a form of ours or its answer is to lie.

A form that lies there before we have written ours makes room for it. An answer that lies behind a form which nobody has
answered yet was put there so that the person's own is refused.

An answer comes with its resume, and never before: while the run still waits behind our form, whatever lies there is somebody
else's. It is taken away, so that the person can answer, and told.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.input.run_input import keyset_from_base_key
from sqlmodel import col, select

from models.cases import Case
from models.confirmations import ShownForm
from models.reviews import Review
from office.base.db import Tx, in_transaction, reading
from office.cases import alarms
from office.cases.gates import OPEN
from office.cases.locks import lock_case
from office.record import outbox
from office.runs import engine, shown_forms

AT_ONCE = 20
"""Forms looked at in one sweep, by chance: each costs Prefect a question."""


def put(client: SyncPrefectClient, run_id: UUID, case_id: str, key: str, content: str) -> None:
    """Write a part of a form, in the place of whatever lies there: a form's key is used once, so it is not ours."""
    try:
        client.create_flow_run_input(run_id, key, content)
        return
    except PrefectHTTPStatusError as error:
        if error.response.status_code != httpx.codes.CONFLICT:
            raise
    client.delete_flow_run_input(run_id, key)
    client.create_flow_run_input(run_id, key, content)
    in_transaction(
        lambda tx: alarms.raise_alarm(
            tx,
            "form.planted",
            "案件的下一份表单已被人抢先写入 Prefect,已换成系统所写的",
            kind=f"form-planted/{case_id}",
            matter=f"运行 {run_id}",
            done="以系统所写的表单为准,本人可照常提交。说明有人能使用 Prefect 接口,请核实并更换其口令。",
            case=lock_case(tx, case_id),
            run=str(run_id),
        )
    )


def look(page: Sequence[FlowRun]) -> int:
    """Look at some forms of these suspended runs and behind them; returns how many planted answers were taken away."""
    waiting = {str(run.id): run.state.state_details.pause_key for run in page if run.state is not None}
    with reading() as tx:
        query = (
            select(Case.id, Case.run_id, Review.pause_key)
            .join(Review, col(Review.case_id) == Case.id)
            .where(col(Case.run_id).in_(waiting), col(Review.state).in_(OPEN), col(Review.pause_key).is_not(None))
        )
        shown = [
            (case_id, run_id, key)
            for case_id, run_id, key in tx.exec(query)
            if run_id and key and waiting[run_id] == key
        ]
    chosen = random.sample(shown, min(AT_ONCE, len(shown)))
    return sum(_taken_away(case_id, run_id, key) for case_id, run_id, key in chosen)


def _taken_away(case_id: str, run_id: str, key: str) -> bool:
    keys, client = keyset_from_base_key(key), engine.client()
    try:
        lies = {row.key: row.value for row in client.filter_flow_run_input(UUID(run_id), f"{key}-", 10, set())}
        run = engine.read_run(run_id)  # read after the answer: a resume writes both together
        if run is None or run.state is None or not run.state.is_paused() or run.state.state_details.pause_key != key:
            return False
        if spoilt := in_transaction(lambda tx: _spoilt(tx, key, lies)):
            in_transaction(lambda tx: show_again(tx, case_id))
        if spoilt or keys["response"] not in lies:
            return False
        client.delete_flow_run_input(UUID(run_id), keys["response"])
    except (ObjectNotFound, PrefectHTTPStatusError) as error:
        if isinstance(error, PrefectHTTPStatusError) and error.response.status_code != httpx.codes.NOT_FOUND:
            raise
        return False  # the run, or what lay there, is gone
    in_transaction(lambda tx: _tell(tx, case_id, run_id))
    return True


def _spoilt(tx: Tx, key: str, lies: Mapping[str, str]) -> bool:
    """Whether the form that nobody has answered yet is not there as we wrote it: text or choices taken away, or others."""
    keys, form = keyset_from_base_key(key), tx.get(ShownForm, key)
    if form is None or form.judged_at is not None:
        return False  # answered elsewhere, and cleared
    parts = {keys["description"]: form.description_sha256, keys["schema"]: form.schema_sha256}
    return any(sha256 and shown_forms.digest(lies.get(part, "")) != sha256 for part, sha256 in parts.items())


def show_again(tx: Tx, case_id: str) -> None:
    case = lock_case(tx, case_id)
    outbox.wake(tx, case)
    alarms.raise_alarm(
        tx,
        "form.hidden",
        "案件的运行没有显示系统所写的表单,已重新显示",
        kind=f"hidden/{case_id}",
        matter=f"运行 {case.run_id}",
        done="若非升级或重启期间,说明有人能使用 Prefect 接口改动运行,请核实并更换其口令。",
        case=case,
    )


def _tell(tx: Tx, case_id: str, run_id: str) -> None:
    alarms.raise_alarm(
        tx,
        "answer.planted",
        "尚未有人作答的表单里已有一份答复,不是经由提交表单而来,已移除",
        kind=f"planted/{case_id}",
        matter=f"运行 {run_id}",
        done="该答复未被采用,本人可照常提交。说明有人能使用 Prefect 接口,请核实并更换其口令。",
        case=lock_case(tx, case_id),
        run=run_id,
    )
