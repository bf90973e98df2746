"""Appeals: what each step of the story does to the appeal, its evidence, the ruling and the merchant (ARB)."""

from __future__ import annotations

from datetime import timedelta

from models.arbitration_events import (
    AppealEvidenceSubmitted,
    AppealFiled,
    EscalationNoted,
)
from models.cases import CaseKind, CaseState
from office.cases import deadlines
from office.process import Process
from tasks.appeal.clock import evidence_lapsed, look_for_notice, remind_evidence
from tasks.appeal.intake import file, may_send, note_escalation, submit_evidence
from tasks.appeal.request import AppealAsked
from tasks.appeal.review import REVIEW, SECOND
from tasks.appeal.submissions import names_file
from tasks.appeal.window import EVIDENCE, NOTICE, submitted, view_extras

PROCESS = Process(
    name="appeal",
    kind=CaseKind.APPEAL,
    request=AppealAsked,
    states=(
        CaseState.UNDER_REVIEW,
        CaseState.SECOND_REVIEW,
        CaseState.AWAITING_MERCHANT,
        CaseState.COMPENSATING,
        CaseState.UPHELD,
        CaseState.DISMISSED,
        CaseState.CLOSED_TIMEOUT,
        CaseState.MOOT,
        CaseState.SUPERSEDED,
    ),
    clause="ARB-5",
    hears={AppealFiled: file, AppealEvidenceSubmitted: submit_evidence, EscalationNoted: note_escalation},
    asks=(REVIEW, SECOND),
    clocks={
        EVIDENCE: deadlines.Kind(title="商家补充举证", remind=remind_evidence, due=evidence_lapsed),
        NOTICE: deadlines.Kind(
            title="驳回通知发出",
            remind=look_for_notice,
            due=look_for_notice,
            every=lambda case: timedelta(minutes=10),
            late_text="驳回通知仍未发出,商家的举证期限尚未开始",
        ),
    },
    waits={EVIDENCE: "商家补充举证"},
    may_send=may_send,
    view=view_extras,
    names_file=names_file,
    evidence=submitted,
)
