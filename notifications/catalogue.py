"""The list of all messages, and the way back from a stored payload to a message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from notifications import appeal, closure, deadline, deposit, engine, invoicing, operations, refund, review
from notifications.message import Message

MESSAGES: Mapping[str, type[Message]] = {
    kind.name: kind
    for kind in (
        closure.ClosureReceived,
        closure.ClosureRefused,
        closure.ClosureQuestion,
        closure.ClosureQuestionLapsed,
        closure.ClosureRejected,
        closure.ClosureApprovedClearing,
        closure.ClosureClearingReminder,
        closure.ClosureWithdrawn,
        closure.ShopClosed,
        closure.ForcedClosureDecided,
        closure.ReceivablesHeld,
        closure.ReceivablesDecided,
        refund.RefundReceived,
        refund.RefundRefused,
        refund.RefundQuestion,
        refund.RefundQuestionLapsed,
        refund.RefundRejected,
        refund.RefundApproved,
        refund.RefundPayeeNeeded,
        refund.RefundSettled,
        refund.RefundLate,
        refund.RefundCorrected,
        deposit.DepositPaid,
        deposit.DepositDeducted,
        deposit.DepositTopupDemanded,
        deposit.CertificationFeePaid,
        deposit.ShopSuspended,
        appeal.RulingEffective,
        appeal.AppealReceived,
        appeal.AppealRefused,
        appeal.AppealEvidenceRequested,
        appeal.AppealEvidenceReceived,
        appeal.AppealClosedTimeout,
        appeal.AppealUpheld,
        appeal.AppealDismissed,
        appeal.AppealMoot,
        appeal.CompensationReturned,
        appeal.ArbitrationWithdrawn,
        appeal.ArbitrationStays,
        appeal.RulingCorrected,
        appeal.EvidenceNotPassedOn,
        invoicing.StatementIssued,
        invoicing.StatementReminder,
        invoicing.StatementFrozen,
        invoicing.StatementDeducted,
        invoicing.StatementReleased,
        invoicing.InvoiceAccepted,
        invoicing.InvoiceInReview,
        invoicing.InvoiceReturned,
        invoicing.InvoiceReversed,
        invoicing.ExitInvoicesOpened,
        invoicing.ExitInvoicesSettled,
        deadline.MerchantDeadlineReminder,
        review.ReviewWaiting,
        review.StaffBundle,
        review.ReviewReminder,
        review.ReviewOverdue,
        review.ReviewStranded,
        review.ReviewAppointed,
        review.StaffLocked,
        operations.RefundEarlyReminder,
        operations.RefundOverdue,
        operations.BankContradicts,
        operations.FactsMissing,
        operations.BannedShopPaid,
        operations.CaseHalted,
        operations.DeadlineStuck,
        operations.DeliveryDead,
        operations.CalendarCorrected,
        operations.CalendarFileFaulty,
        operations.InboxConflict,
        operations.InboxFailed,
        operations.InboxOdd,
        operations.IntegrityBroken,
        operations.CalendarProvisional,
        engine.EngineAlarm,
        engine.DecisionRecorded,
        engine.DecisionDropped,
        engine.DecisionDisputed,
        engine.ConfirmationLate,
    )
}


class UnknownMessage(LookupError):
    """A stored message whose kind this version does not have."""

    def __init__(self, name: str) -> None:
        super().__init__(f"没有名为 {name!r} 的消息")
        self.name = name


def restore(name: str, payload: Mapping[str, Any]) -> Message:
    """The message that ``payload = message.model_dump(mode="json")`` was made from.

    Raises ``UnknownMessage`` for a name without a class, ``ValidationError`` for fields that do not
    fit.
    """
    if name not in MESSAGES:
        raise UnknownMessage(name)
    return MESSAGES[name].model_validate(payload)
