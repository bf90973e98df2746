"""What the bank is told to pay, and what it answers: the same for every process that pays."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from models.event_parts import PayeeData
from models.money import PositiveFen
from models.payouts import PayoutState
from models.wire import Event, Id, Moment, OptionalLine, Outgoing, inbound

TO_BANK = "bank"
"""The subscriber that orders to pay go to, and nothing else does."""


_ANSWER_EXAMPLE = {
    "shop_id": "shop-1001",
    "request_no": "REF-261122-7K3QM9-P1",
    "amount_fen": 1000000,
    "at": "2026-11-24T15:00:00+08:00",
}


class PayoutAnswer(Event):
    """What the bank says about one payout instruction; ``request_no`` is ours and never changes."""

    sender: ClassVar[Literal["platform", "bank"]] = "bank"

    shop_id: Id
    request_no: Id
    amount_fen: PositiveFen
    at: Moment
    reason: OptionalLine = ""


@inbound
class PayoutSettled(PayoutAnswer):
    """打款到账(REF-3、STL-1、OPN-10)

    The money has arrived.
    """

    type: ClassVar[str] = "payout.settled"
    EXAMPLE: ClassVar[dict[str, Any]] = _ANSWER_EXAMPLE


@inbound
class PayoutFailed(PayoutAnswer):
    """银行拒付(REF-3、STL-1、OPN-10)

    The bank did not take the instruction; no money moved.
    """

    type: ClassVar[str] = "payout.failed"
    EXAMPLE: ClassVar[dict[str, Any]] = _ANSWER_EXAMPLE | {"reason": "户名与账号不符"}


@inbound
class PayoutReturned(PayoutAnswer):
    """银行退票(REF-3、STL-1、OPN-10)

    The money came back; it can also follow a ``payout.settled``.
    """

    type: ClassVar[str] = "payout.returned"
    EXAMPLE: ClassVar[dict[str, Any]] = _ANSWER_EXAMPLE | {"reason": "收款账户已销户"}


class Instruction(Outgoing):
    """What every instruction to the bank says. The same ``request_no`` is the same payment, however often it is delivered.

    The bank answers with ``payout.settled``, ``payout.failed`` or ``payout.returned``. A process that pays names its
    own event of this shape (``office.process.Pays``).
    """

    subscriber: ClassVar[str] = TO_BANK

    shop_id: Id
    case_id: Id
    request_no: Id
    amount_fen: PositiveFen
    payee: PayeeData


class InstructionUpdated(Outgoing):
    """Where an instruction stands, for the platform. The payee is masked."""

    shop_id: Id
    case_id: Id
    request_no: Id
    amount_fen: PositiveFen
    payee: str
    state: PayoutState
    reason: str = ""
    at: Moment
