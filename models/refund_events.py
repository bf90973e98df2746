"""Events about a refund."""

from __future__ import annotations

from typing import Any, ClassVar

from models.event_parts import DOCUMENT_EXAMPLE, PAYEE_EXAMPLE, Documents, OtherPayees, PayeeData
from models.money import PositiveFen
from models.payout_events import Instruction, InstructionUpdated
from models.wire import Event, Id, inbound, outbound


@inbound
class RefundRequested(Event):
    """申请退保证金(REF-1、REF-6)

    The amount may be at most what is refundable. Each channel gets back at most what came in through it, to the
    account that paid; what is left goes by entity type. ``other_payees`` name further accounts, where the deposit
    came in several ways. The documents are files staged before or after (``POST /evidence``); nothing is paid while none
    of them is here.
    """

    type: ClassVar[str] = "refund.requested"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "account_id": "acct-1001",
        "amount_fen": 1000000,
        "payee": PAYEE_EXAMPLE,
        "documents": [DOCUMENT_EXAMPLE],
    }

    shop_id: Id
    account_id: Id
    amount_fen: PositiveFen
    payee: PayeeData
    other_payees: OtherPayees = ()
    documents: Documents = ()


@inbound
class RefundPayeeCorrected(Event):
    """更正退款收款账户(REF-3、REF-7)

    The merchant's new payees, instead of those named before, after the bank refused or returned the money, or when
    we asked for it.
    """

    type: ClassVar[str] = "refund.payee_corrected"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "account_id": "acct-1001",
        "case_id": "REF-261122-7K3QM9",
        "payee": PAYEE_EXAMPLE,
    }

    shop_id: Id
    account_id: Id
    case_id: Id
    payee: PayeeData
    other_payees: OtherPayees = ()


@inbound
class RefundWithdrawn(Event):
    """撤回退保证金申请(REF-6)

    Possible until the money has been handed to the bank.
    """

    type: ClassVar[str] = "refund.withdrawn"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "account_id": "acct-1001",
        "case_id": "REF-261122-7K3QM9",
    }

    shop_id: Id
    account_id: Id
    case_id: Id


@outbound
class PayoutRequested(Instruction):
    """退保证金付款指令(REF-3、REF-7)

    To the bank only. The same ``request_no`` is the same payment, however often it is delivered. The bank
    answers with ``payout.settled``, ``payout.failed`` or ``payout.returned``.
    """

    type: ClassVar[str] = "deposit.payout.requested"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "case_id": "REF-261122-7K3QM9",
        "request_no": "REF-261122-7K3QM9-P1",
        "amount_fen": 1000000,
        "payee": PAYEE_EXAMPLE,
    }


@outbound
class PayoutUpdated(InstructionUpdated):
    """退保证金付款进度(REF-3)

    Where a payout stands. The payee is masked.
    """

    type: ClassVar[str] = "deposit.payout.updated"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "case_id": "REF-261122-7K3QM9",
        "request_no": "REF-261122-7K3QM9-P1",
        "amount_fen": 1000000,
        "payee": "对公账户 尾号 3456",
        "state": "RETURNED",
        "reason": "收款账户已销户",
        "at": "2026-11-24T07:00:00Z",
    }
