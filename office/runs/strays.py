"""Strays: answers that came to a run which does not carry its case, and runs that carry none.

A run is replaced when it is lost; until it is ended its form can still be answered, and whoever reaches Prefect's API can
make such a form anew. What is answered there decides nothing. Whoever answered is told, so is the supervisor, the code is
spent and taken out of Prefect, and the run is ended.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

import httpx
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.input.run_input import keyset_from_base_key
from prefect.states import Cancelled
from sqlmodel import col, select

from models.cases import Case, CaseKind
from models.confirmations import ReplacedRun, ShownForm
from models.reviews import Review, Staff
from office.base.clock import clock
from office.base.db import Tx, in_transaction, reading
from office.cases import alarms, confirmation_letters, reviews
from office.cases.gates import OPEN
from office.cases.locks import lock_case
from office.runs import engine, planted, shown_forms
from office.staff import staff

logger = logging.getLogger("dianwu.strays")

PAGE = 200
"""Suspended runs looked at in one sweep; the next sweep goes on behind them."""
MOST_INPUTS = 50
"""Values kept with one run that are looked at: ours leave three for each form."""
RESPONSE = "-response"
MOST_LEVELS = 8
"""Of an answer; no form of ours has more than two."""


def end_replaced() -> int:
    """End what was replaced and tell of what was answered there; returns how many runs were ended."""
    with reading() as tx:
        query = select(ReplacedRun).where(col(ReplacedRun.ended_at).is_(None)).limit(PAGE)
        rows = list(tx.exec(query.order_by(col(ReplacedRun.replaced_at))))
        tx.expunge_all()
    for row in rows:
        collect(row.run_id, row.case_id)
        _end(row.run_id)
        in_transaction(lambda tx, run_id=row.run_id: _ended(tx, run_id))  # type: ignore[misc]
    return len(rows)


def _ended(tx: Tx, run_id: str) -> None:
    row = tx.get(ReplacedRun, run_id)
    if row is not None:
        row.ended_at = tx.now
        tx.add(row)


def _end(run_id: str) -> None:
    """Cancel a run, unless it has ended or is gone."""
    run = engine.read_run(run_id)
    if run is not None and (run.state is None or not run.state.is_final()):
        state: Any = Cancelled(message="Replaced: another run carries the case.")
        engine.client().set_flow_run_state(run.id, state, force=True)


def collect(run_id: str, case_id: str | None) -> int:
    """Take every answer out of a run that carries no case, and tell of it; returns how many there were."""
    found = 0
    try:
        rows = engine.client().filter_flow_run_input(UUID(run_id), "", MOST_INPUTS, set())
    except (ObjectNotFound, PrefectHTTPStatusError) as error:
        if isinstance(error, PrefectHTTPStatusError) and error.response.status_code != httpx.codes.NOT_FOUND:
            raise
        return 0
    lies = {row.key: row.value for row in rows if row.key.endswith(RESPONSE)}
    for key, value in {**lies, **_to_our_forms(run_id, lies)}.items():
        values = values_of(value)
        in_transaction(lambda tx, v=values, k=key: _tell(tx, run_id, case_id, k, v))  # type: ignore[misc]
        engine.client().delete_flow_run_input(UUID(run_id), key)
        found += 1
    return found


def _to_our_forms(run_id: str, known: Collection[str]) -> dict[str, str]:
    """What was answered to forms of ours in this run, each asked for by its name: behind however much somebody has put there."""
    with reading() as tx:
        shown = select(ShownForm.key).where(ShownForm.run_id == run_id, col(ShownForm.cleared_at).is_(None))
        keys = [keyset_from_base_key(key)["response"] for key in tx.exec(shown)]
    found: dict[str, str] = {}
    for key in keys:
        if key in known:
            continue
        try:
            found[key] = engine.client().read_flow_run_input(UUID(run_id), key)
        except (ObjectNotFound, PrefectHTTPStatusError) as error:
            if isinstance(error, PrefectHTTPStatusError) and error.response.status_code != httpx.codes.NOT_FOUND:
                raise
    return found


def values_of(text: str) -> dict[str, Any]:
    """What a form delivered, by field; nothing where it is no object of JSON."""
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return raw if isinstance(raw, dict) and _within(raw, MOST_LEVELS) else {}


def _within(value: Any, levels: int) -> bool:
    """Whether it is nested no deeper than that; whoever looks at it later goes down as far as it goes."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels > 0 and all(_within(one, levels - 1) for one in inside)


def _tell(tx: Tx, run_id: str, case_id: str | None, key: str, values: dict[str, Any]) -> None:
    """Record one stray answer, spend its code, and tell the person and the supervisor."""
    case = lock_case(tx, case_id) if case_id else None
    staff_id = str(values.get("staff_id", "")).strip()[:32]
    person = tx.get(Staff, staff_id)
    theirs = person is not None and staff.spend(tx, staff_id, str(values.get("code", ""))[:32], clock().real())
    staff.pass_over_form_codes(tx)  # whoever reached the run can have put another name and code into it
    shown_forms.judged(tx, key.removesuffix(RESPONSE), run_id)
    review = tx.get(Review, str(values.get("task", "")).partition("#")[0][:64])
    who = f"{person.name}({person.id})" if person else "不明人员"
    alarms.raise_alarm(
        tx,
        "answer.stray",
        f"在不属于本系统的表单里发现一份以 {who} 名义提交的答复,未予采用",
        kind=f"stray/{case_id}",
        matter=f"运行 {run_id}",
        done="答复已从 Prefect 移除"
        + (",其动态口令已作废。" if theirs else "。")
        + "请提醒本人到案件现在的表单重新提交。",
        case=case,
        run=run_id,
        staff=staff_id if person else "",
        code_spent="yes" if theirs else "no",
    )
    if theirs and person is not None and review is not None:  # whatever case the run was made to say it is of
        why, about = "您提交答复的表单属于一次已被替换的运行", tx.get_one(Case, review.case_id)
        confirmation_letters.tell_dropped(tx, about, review, reviews.gate_of(review), person, why, f"stray/{key}")


# ── runs that carry no case ──────────────────────────────────────────────────


def end_strangers(offset: int) -> tuple[int, int]:
    """Look at one page of Prefect's suspended runs for those that carry none of our cases, and end them.

    Returns how many were ended, and where the next sweep goes on.
    """
    waiting = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PAUSED])))
    page = engine.read_runs(waiting, limit=PAGE, offset=offset)
    with reading() as tx:
        ours = set(tx.exec(select(Case.run_id).where(col(Case.run_id).in_([str(run.id) for run in page]))))
        strangers = [run for run in page if str(run.id) not in ours and _claims_a_case(tx, run)]
        hidden = _hidden(tx, page)
    for run in strangers:
        _end_stranger(run)
    for case_id in hidden:
        in_transaction(lambda tx, c=case_id: planted.show_again(tx, c))  # type: ignore[misc]
    planted.look(page)
    return len(strangers), offset + PAGE - len(strangers) if len(page) == PAGE else 0


def _hidden(tx: Tx, page: Sequence[FlowRun]) -> list[str]:
    """Cases whose suspended run cannot be read, or whose question is open and not shown by the form written for it."""
    shown = {str(run.id): run.state.state_details for run in page if run.state is not None}
    unreadable = [str(run.id) for run in page if run.state is None]
    query = (
        select(Case.id, Case.run_id, Review.pause_key)
        .join(Review, col(Review.case_id) == Case.id)
        .where(col(Case.run_id).in_(shown), col(Review.state).in_(OPEN), col(Review.pause_key).is_not(None))
    )
    return [
        *tx.exec(select(Case.id).where(col(Case.run_id).in_(unreadable))),
        *(
            case_id
            for case_id, run_id, key in tx.exec(query)
            if run_id
            and key
            and (shown[run_id].pause_key != key or shown[run_id].run_input_keyset != keyset_from_base_key(key))
        ),
    ]


def _claims_a_case(tx: Tx, run: FlowRun) -> bool:
    """Whether a run looks like one of ours: others may use the same Prefect for what does not concern us."""
    if run.deployment_id in {engine.deployment_id(kind) for kind in CaseKind}:
        return True
    return tx.get(Case, str(run.parameters.get("case_id", ""))[:64]) is not None


def _end_stranger(run: FlowRun) -> None:
    case_id = str(run.parameters.get("case_id", ""))[:64]
    with reading() as tx:
        known = tx.get(Case, case_id) is not None
    collect(str(run.id), case_id if known else None)
    state: Any = Cancelled(message="This run carries no case.")
    engine.client().set_flow_run_state(run.id, state, force=True)

    def told(tx: Tx) -> None:
        case = lock_case(tx, case_id) if known else None
        staff.pass_over_form_codes(tx)  # an answer may have been given there and taken away
        alarms.raise_alarm(
            tx,
            "run.stranger",
            "Prefect 里有一次挂起的运行不承载任何案件,已结束",
            kind="stranger",
            matter=f"运行 {run.id}",
            done="在这样的运行里提交的答复一律不采用。请核实是谁建立了它。",
            case=case,
            run=str(run.id),
        )

    in_transaction(told)
