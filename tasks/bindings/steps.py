"""账号绑定, step by step: taken up, bound, or ended before it was (BND)."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import col, select

from models.bindings import Binding, BindingKind
from models.cases import Case, CaseState, Side, WaitState
from models.outcomes import Refusal
from models.windows import Window
from notifications import bindings as words
from office.base.calendar import work_calendar
from office.base.db import Tx
from office.cases import cases, deadlines, merchants
from office.cases.cases import rules
from office.cases.effects import effects_of
from office.cases.merchants import ground, shop_of
from policies import bindings as policy_of_bindings
from policies.bindings import ASKED_UNDER, BOUND_UNDER, OBJECTION
from policies.deadlines import reckon, reminder_times
from tasks.bindings import register, sales
from tasks.bindings.intake import CODE, CONSENT, FIGURES
from tasks.bindings.request import BindingAsked
from tasks.shops.shops import find_shop

effect = effects_of("bindings")

SILENCE = {
    FIGURES: "达人成交数据逾期未补齐,无法核算占比,本次标记已关闭",
    CONSENT: "达人逾期未答复,视为不同意,本次标记已关闭",
}
"""What the merchant reads when nothing came."""


def start_wait(tx: Tx, case: Case, kind: str, window: Window, clause: str) -> datetime:
    """Have the case wait for somebody outside; returns until when. One wait of a kind, whose key is the kind."""
    due = reckon(tx.now, window, clause, work_calendar())
    cases.open_wait(tx, case, kind, kind)
    hours = list(rules(case).reminders.merchant_hours_before)
    deadlines.start(tx, case, kind, kind, Side.MERCHANT, due, reminder_times(due.due, hours, tx.now))
    return due.due


@effect("受理绑定申请")
def admit(tx: Tx, case: Case) -> BindingKind | None:
    """Take the wish up and say which kind it is, or refuse it with the clause and say nothing."""
    asked, shop = BindingAsked.of(case), shop_of(tx, case)
    row = register.of_case(tx, case)
    refusal = policy_of_bindings.refuse_request(
        asked.kind,
        requester=asked.account_id,
        owner=shop.owner_account_id,
        shop_state=shop.state,
        other_case=_under_way(tx, case, row),
    ) or register.stands_in_the_way(tx, row)
    if refusal is None and row.kind is BindingKind.SELF_OPERATED:
        said_no_at = register.said_no_at(tx, row)
        refusal = policy_of_bindings.refuse_asking_again(said_no_at, case.received_at, rules(case).bindings)
    if refusal is not None:
        refuse(tx, case, refusal)
        return None
    return asked.kind


def _under_way(tx: Tx, case: Case, row: Binding) -> str | None:
    """An earlier case about the same: the shop's official account, or this very account."""
    query = (
        select(Case)
        .join(Binding, col(Binding.case_id) == col(Case.id))
        .where(Binding.shop_id == row.shop_id, Binding.kind == row.kind, Binding.platform == row.platform)
        .where(Case.id != case.id, col(Case.concluded_at).is_(None))
    )
    if row.kind is not BindingKind.OFFICIAL:
        query = query.where(Binding.account_id == row.account_id)
    return min((other.id for other in tx.exec(query) if cases.comes_before(other, case)), default=None)


def refuse(tx: Tx, case: Case, refusal: Refusal) -> None:
    """End the case as refused, and tell the merchant why and how to object."""
    register.forget_codes(tx, case)
    cases.refuse(tx, case, refusal)
    told = words.BindingRefused(
        shop_name=shop_of(tx, case).name,
        case_id=case.id,
        kind=BindingAsked.of(case).kind.label,
        received_at=case.received_at,
        grounds=(ground(refusal),),
        objection=OBJECTION,
    )
    merchants.tell(tx, told, f"{case.id}/refused", case=case)


@effect("完成绑定")
def bind(tx: Tx, case: Case) -> None:
    """Bind what everybody has agreed to, if nothing has come in between, and end the case either way."""
    if case.withdrawn_at is not None:
        return _end(tx, case, CaseState.WITHDRAWN, "店铺已撤回绑定申请")
    consent = cases.find_wait(tx, case.id, CONSENT)
    if consent is not None and consent.state is not WaitState.ANSWERED:  # taken back while this was on its way
        return _end(tx, case, CaseState.DECLINED, (consent.answer or {}).get("why", ""))
    shop = find_shop(tx, case.shop_id or "")
    row = register.of_case(tx, case)
    refusal = sales.refuse(tx, case, row) if row.kind is BindingKind.SELF_OPERATED else None
    if (refusal := refusal or register.bind(tx, case, row, shop)) is not None:
        return refuse(tx, case, refusal)
    clause = BOUND_UNDER[row.kind]
    cases.conclude(tx, case, CaseState.BOUND, f"{row.kind.label}已绑定", clause=clause)


@effect("结束未完成的绑定")
def end(tx: Tx, case: Case, key: str) -> None:
    """What was waited for did not come, or was a no: nothing is bound, and the merchant reads why."""
    wait = cases.find_wait(tx, case.id, key)
    if case.withdrawn_at is not None:
        return _end(tx, case, CaseState.WITHDRAWN, "店铺已撤回绑定申请")
    if wait is not None and wait.state is WaitState.LAPSED:
        return _end(tx, case, CaseState.LAPSED, SILENCE.get(key, "逾期未完成,本次绑定已关闭"))
    said = (wait.answer or {}).get("why") if wait is not None else None
    outcome = CaseState.REFUSED if key == CODE else CaseState.DECLINED
    _end(tx, case, outcome, said or "账号未同意,本次绑定已关闭")


def _end(tx: Tx, case: Case, outcome: CaseState, text: str) -> None:
    asked = BindingAsked.of(case)
    register.forget_codes(tx, case)
    told = words.BindingEnded(
        shop_name=shop_of(tx, case).name,
        case_id=case.id,
        kind=asked.kind.label,
        ended_at=tx.now,
        why=text,
        rule=ASKED_UNDER[asked.kind],
        objection=OBJECTION,
    )
    merchants.tell(tx, told, f"{case.id}/ended", case=case)
    cases.conclude(tx, case, outcome, text, clause=ASKED_UNDER[asked.kind])
