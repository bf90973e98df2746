"""Opening a shop, and opening it again: one set of steps, two kinds of case (OPN, REO)."""

from __future__ import annotations

from models.cases import CaseKind, CaseState
from models.opening_events import (
    AmountEntered,
    OpeningAccount,
    OpeningBasics,
    OpeningEntity,
    OpeningLinks,
    OpeningPapers,
    OpeningRequested,
    OpeningTraining,
    OpeningWithdrawn,
    ReopeningRequested,
)
from office.cases import deadlines
from office.process import Process
from tasks.opening import admission, intake, transfer, tries
from tasks.opening.clock import lapsed, remind
from tasks.opening.parts import TASKS
from tasks.opening.request import OpeningAsked
from tasks.opening.review import CERTIFICATE, ENTITY, SHOP, TRANSFER
from tasks.shops import applications

STATES = (
    CaseState.AWAITING_MATERIALS,
    CaseState.UNDER_REVIEW,
    CaseState.PAYING,
    CaseState.AWAITING_PAYMENT,
    CaseState.OPENED,
    CaseState.REJECTED,
    CaseState.LAPSED,
    CaseState.WITHDRAWN,
    CaseState.SUPERSEDED,
)

OPENING = Process(
    name="opening",
    kind=CaseKind.OPENING,
    request=OpeningAsked,
    states=STATES,
    clause="OPN-6",
    hears={
        OpeningRequested: intake.request,
        OpeningBasics: intake.basics,
        OpeningEntity: intake.entity,
        OpeningPapers: intake.paper,
        OpeningTraining: intake.training,
        OpeningAccount: intake.account,
        AmountEntered: transfer.entered,
        OpeningLinks: intake.links,
        OpeningWithdrawn: intake.withdraw_request,
    },
    asks=(ENTITY, CERTIFICATE, TRANSFER, SHOP),
    clocks={
        TASKS: deadlines.Kind(title="提交入驻资料", remind=remind, due=lapsed),
        tries.AMOUNT: deadlines.Kind(title="填写打款金额", remind=transfer.remind, due=transfer.expired),
        tries.BANK: deadlines.Kind(
            title="银行回执", remind=transfer.nothing, due=transfer.bank_silent, late_text="银行未按时回执,已通知财务"
        ),
    },
    waits={
        TASKS: "商家提交入驻资料",
        tries.AMOUNT: "打款到账、商家填写金额",
        applications.DEPOSIT: "商家缴足保证金",
    },
    pays=transfer.PAYS,
    hinders=admission.hinders,
    every_minute={"transfers": transfer.sweep, "openings": admission.look_again},
    may_send=intake.may_send,
    view=intake.view,
)

REOPENING = Process(
    name="reopening",
    kind=CaseKind.REOPENING,
    leaves=True,
    request=OpeningAsked,
    states=STATES,
    clause="REO-3",
    hears={ReopeningRequested: intake.request_again},
    pays=transfer.PAYS,
    hinders=admission.hinders,
    may_send=intake.may_send,
    view=intake.view,
)

PROCESSES = (OPENING, REOPENING)
