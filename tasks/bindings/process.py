"""Binding accounts: what the process hears, waits for and runs by the clock (BND)."""

from __future__ import annotations

from models.binding_events import (
    AccountAnswered,
    AccountScanned,
    BindingWithdrawn,
    OfficialAccountConfirmed,
    OfficialAccountRequested,
    UnbindRequested,
)
from models.cases import CaseKind, CaseState
from office.cases import deadlines
from office.process import Process
from tasks.bindings import clock, intake, official
from tasks.bindings.official import CONFIRM, SCAN
from tasks.bindings.request import BindingAsked

PROCESS = Process(
    name="account-binding",
    kind=CaseKind.ACCOUNT_BINDING,
    request=BindingAsked,
    states=(
        CaseState.PENDING_SCAN,
        CaseState.ACCOUNT_ACCEPTED,
        CaseState.PENDING_CODE,
        CaseState.AWAITING_FIGURES,
        CaseState.AWAITING_CONSENT,
        CaseState.BOUND,
        CaseState.DECLINED,
        CaseState.LAPSED,
        CaseState.WITHDRAWN,
    ),
    clause="BND-2",
    hears={
        OfficialAccountRequested: official.request,
        AccountScanned: official.scanned,
        AccountAnswered: official.answered,
        OfficialAccountConfirmed: official.confirmed,
        BindingWithdrawn: intake.withdraw,
        UnbindRequested: intake.unbind,
    },
    clocks={
        SCAN: deadlines.Kind(remind=clock.no_reminder, due=clock.lapsed),
        CONFIRM: deadlines.Kind(remind=clock.remind_confirm, due=clock.lapsed),
    },
    waits={SCAN: "账号扫码接受", CONFIRM: "店铺确认官方账号"},
    may_send=intake.may_send,
)
