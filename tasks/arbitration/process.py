"""Arbitration: rulings recorded and struck, withdrawn arbitrations, corrections by court judgment (ARB, WDR, DED-5)."""

from __future__ import annotations

from models.arbitration_events import (
    ArbitrationApplied,
    ArbitrationProgressed,
    ArbitrationWithdrawalRequested,
    RulingCorrectionProposed,
    RulingEffective,
)
from models.cases import CaseKind, CaseState
from models.shop_events import DepositDeducted
from office.process import Process
from tasks.arbitration.correction import CORRECTION, CORRECTION_SECOND, propose_correction
from tasks.arbitration.intake import apply, deduct, progress, rule
from tasks.arbitration.request import CorrectionAsked, WithdrawalAsked
from tasks.arbitration.withdrawal import WITHDRAWAL, request_withdrawal
from tasks.shops import shops

RULINGS = Process(
    name="ruling",
    hears={
        DepositDeducted: shops.about_shop(deduct),
        ArbitrationApplied: shops.about_shop(apply),
        ArbitrationProgressed: shops.about_shop(progress),
        RulingEffective: shops.about_shop(rule),
    },
)

WITHDRAWING = Process(
    name="arbitration-withdrawal",
    kind=CaseKind.WITHDRAWAL,
    request=WithdrawalAsked,
    states=(CaseState.UNDER_REVIEW, CaseState.COMPENSATING, CaseState.ARBITRATION_WITHDRAWN, CaseState.REJECTED),
    clause="WDR-3",
    hears={ArbitrationWithdrawalRequested: shops.about_shop(request_withdrawal)},
    asks=(WITHDRAWAL,),
)

CORRECTING = Process(
    name="ruling-correction",
    kind=CaseKind.CORRECTION,
    request=CorrectionAsked,
    states=(
        CaseState.UNDER_REVIEW,
        CaseState.SECOND_REVIEW,
        CaseState.COMPENSATING,
        CaseState.CORRECTED,
        CaseState.REJECTED,
        CaseState.SUPERSEDED,
    ),
    clause="ARB-10",
    hears={RulingCorrectionProposed: shops.about_shop(propose_correction)},
    asks=(CORRECTION, CORRECTION_SECOND),
)

PROCESSES = (RULINGS, WITHDRAWING, CORRECTING)
