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
from models.channel_events import ChannelRequested, CodeEntered, CodeRequested
from models.talent_events import ConsentAnswered, ConsentWithdrawn, MarkingRequested, TalentSales
from office.cases import deadlines
from office.process import Process
from tasks.bindings import channel, clock, intake, official, sales, self_operated, watch
from tasks.bindings.intake import CODE, CONFIRM, CONSENT, FIGURES, SCAN
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
        ChannelRequested: channel.request,
        CodeEntered: channel.entered,
        CodeRequested: channel.again,
        MarkingRequested: self_operated.mark,
        ConsentAnswered: self_operated.answered,
        ConsentWithdrawn: self_operated.taken_back,
        TalentSales: sales.record,
        BindingWithdrawn: intake.withdraw,
        UnbindRequested: intake.unbind,
    },
    clocks={
        SCAN: deadlines.Kind(title="账号扫码", remind=clock.no_reminder, due=clock.lapsed),
        CODE: deadlines.Kind(title="填写验证码", remind=clock.no_reminder, due=clock.lapsed),
        FIGURES: deadlines.Kind(title="补报成交数据", remind=clock.no_reminder, due=clock.lapsed),
        CONSENT: deadlines.Kind(title="达人同意", remind=clock.remind_talent, due=clock.lapsed),
        CONFIRM: deadlines.Kind(title="店铺确认", remind=clock.remind_confirm, due=clock.lapsed),
    },
    waits={
        FIGURES: "平台补报达人成交数据",
        CONSENT: "达人同意",
        SCAN: "账号扫码接受",
        CODE: "商家输入验证码",
        CONFIRM: "店铺确认官方账号",
    },
    every_minute={"self-operated": watch.sweep},
    may_send=intake.may_send,
)
