"""What staff read when a case, a delivery or the calendar needs a person's hand."""

from __future__ import annotations

from typing import ClassVar

from models.money import Fen, PositiveFen
from notifications.message import Count, Line, Link, Moment, Prose, StaffMessage


class WaiverOutgrown(StaffMessage):
    """More is not invoiced of a closing shop than a supervisor has waived; clearing waits for them or the merchant (CLS-8)."""

    name: ClassVar[str] = "waiver_outgrown"
    clause: ClassVar[str] = "CLS-8"

    case_id: Line
    subject: Line
    own_fen: Fen
    reported_fen: Fen
    waived_at: Moment
    link: Link


class BankContradicts(StaffMessage):
    """The bank says about a payment what cannot be; nothing more is paid until its proof is in hand (ambiguity 38)."""

    name: ClassVar[str] = "bank_contradicts"
    clause: ClassVar[str] = "REF-3"

    case_id: Line
    request_no: Line
    kind: Line
    sentence: Line
    about: Line = ""
    """The case whose money it is about."""
    listed: Count = 1
    """How many answers its case lists by now."""
    received_at: Moment
    link: Link


class PaymentCameBack(StaffMessage):
    """The bank did not pay, or sent back, what no case waits for any more: it is over, or has gone on without it. Or it
    paid what was sent before the case was over."""

    name: ClassVar[str] = "payment_came_back"
    clause: ClassVar[str] = "REF-3"

    case_id: Line
    subject: Line
    state: Line
    request_no: Line
    amount: Line
    payee: Line
    bank_reason: Line
    arrived: bool = False
    then: Prose
    link: Link


class PaymentsUnanswered(StaffMessage):
    """The bank has said nothing about payments for too long, and no case waits for its answer."""

    name: ClassVar[str] = "payments_unanswered"
    bundled: ClassVar[str] = "银行未回执"
    clause: ClassVar[str] = "REF-3"

    case_id: Line
    subject: Line
    count: Count
    amount_fen: PositiveFen
    sent_at: Moment
    hours_waited: Count
    link: Link


class FactsMissing(StaffMessage):
    """A case waits for newer facts of its shop, and the platform has not sent any (ambiguity 27)."""

    name: ClassVar[str] = "facts_missing"
    clause: ClassVar[str] = "CLS-7"
    bundled: ClassVar[str] = "平台未报送最新数据"
    first_at_once: ClassVar[bool] = True

    case_id: Line
    case_kind: Line
    subject: Line
    since: Moment | None = None
    """As of when the facts in hand are."""
    asked_at: Moment
    hours_waited: Count
    then: Line = "数据一到，案件自动继续，无需重新审核"
    """What becomes of it."""
    link: Link


class BannedShopPaid(StaffMessage):
    """The platform reports a payment to a shop closed by force whose receivables are frozen (ambiguity 24)."""

    name: ClassVar[str] = "banned_shop_paid"
    clause: ClassVar[str] = "DED-7"

    shop: Line
    payment_id: Line
    amount_fen: PositiveFen
    free_fen: Fen
    """What of its receivables may be paid out: what two people have freed."""
    at: Moment


class PlatformOverpaid(StaffMessage):
    """The platform reports a payment of receivables beyond what is its to pay: frozen, or ours to settle (STL-1, STL-6)."""

    name: ClassVar[str] = "platform_overpaid"
    bundled: ClassVar[str] = "平台打款超出可打款货款"
    clause: ClassVar[str] = "STL-6"

    shop: Line
    payment_id: Line
    amount_fen: PositiveFen
    free_fen: Fen
    """What of its receivables the platform may pay."""
    at: Moment


class CaseHalted(StaffMessage):
    """A case cannot go on by itself, and why."""

    name: ClassVar[str] = "case_halted"
    clause: ClassVar[str] = "NOT"

    case_id: Line
    case_kind: Line
    subject: Line
    halted_at: Moment
    reason: Prose
    link: Link


class DeadlineStuck(StaffMessage):
    """A deadline could not be acted on because of a fault; it is tried again until it can."""

    name: ClassVar[str] = "deadline_stuck"
    clause: ClassVar[str] = "NOT"

    case_id: Line
    case_kind: Line
    subject: Line
    deadline: Line
    due: Moment
    reason: Prose
    link: Link


class DeliveryDead(StaffMessage):
    """A delivery was given up after its last retry."""

    name: ClassVar[str] = "delivery_dead"
    clause: ClassVar[str] = "NOT"
    bundled: ClassVar[str] = "未能送达、已不再重试的消息"
    first_at_once: ClassVar[bool] = True

    key: Line
    channel: Line
    topic: Line
    case_id: Line = ""
    created_at: Moment
    attempts: Count
    reason: Prose
    """The last error; never an address."""


class InboxConflict(StaffMessage):
    """The same message id came again with other bytes; the first one stands."""

    name: ClassVar[str] = "inbox_conflict"
    clause: ClassVar[str] = "NOT"

    source: Line
    message_id: Line
    message_type: Line
    first_received_at: Moment
    seen_at: Moment
    conflicts: Count
    counted: Count = 0
    """How many of them are only counted any more."""


class InboxFailed(StaffMessage):
    """A message that reached the door could not be acted on, through a fault of ours, and is not tried again by itself."""

    name: ClassVar[str] = "inbox_failed"
    clause: ClassVar[str] = "NOT"

    number: Count
    source: Line
    message_id: Line
    message_type: Line
    received_at: Moment
    error: Line


class IntegrityBroken(StaffMessage):
    """Something in the record, the books or the settings is not as it must be; what was found, and what follows."""

    name: ClassVar[str] = "integrity_broken"
    clause: ClassVar[str] = "NOT"

    where: Line
    finding: Prose
    consequence: Prose
    found_at: Moment


class InboxOdd(StaffMessage):
    """A message was kept, or refused after a while, without anybody having decided so; somebody's time may be running."""

    name: ClassVar[str] = "inbox_odd"
    clause: ClassVar[str] = "NOT"

    number: Count
    source: Line
    message_id: Line
    message_type: Line
    shop_id: Line = ""
    received_at: Moment
    why: Prose


class CalendarProvisional(StaffMessage):
    """A due time was reckoned with a year whose holidays are not published yet."""

    name: ClassVar[str] = "calendar_provisional"
    bundled: ClassVar[str] = "工作日历"
    clause: ClassVar[str] = "REF-3"

    year: Count
    case_id: Line = ""
    matter: Line
    due: Moment


class CalendarFileFaulty(StaffMessage):
    """The file of working days cannot be right; what was read last counts on."""

    name: ClassVar[str] = "calendar_file_faulty"
    clause: ClassVar[str] = "NOT"

    fault: Prose
    seen_at: Moment


class CalendarCorrected(StaffMessage):
    """A published year was corrected, and would move deadlines that were settled."""

    name: ClassVar[str] = "calendar_corrected"
    bundled: ClassVar[str] = "工作日历"
    clause: ClassVar[str] = "NOT"

    count: Count
    cases: Prose
    """At most ten ids of cases."""
    seen_at: Moment
