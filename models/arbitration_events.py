"""Events of arbitration and appeal: what the platform, the merchant portal and Douyin's push bring, what we send."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, StringConstraints, model_validator

from models.arbitration import (
    AppealReason,
    Conclusion,
    EscalationChannel,
    EvidenceKind,
    Party,
    RulingKind,
    Stage,
    VoidCause,
    WithdrawalReason,
)
from models.base import Frozen
from models.event_parts import Documents
from models.money import Fen
from models.wire import Event, Id, Line, Moment, OptionalLine, Outgoing, Prose, inbound, outbound

Points = Annotated[int, Field(strict=True, ge=0, le=1000)]
EvidenceId = Annotated[str, StringConstraints(strict=True, pattern=r"^EV-[0-9]{6}-[0-9A-Z]{6}$")]


class EvidenceRef(Frozen):
    """One staged item (``POST /evidence`` gave its id) and what it is meant to show."""

    id: EvidenceId
    kind: EvidenceKind


Evidence = Annotated[tuple[EvidenceRef, ...], Field(max_length=50)]


class AboutRuling(Event):
    """Names what can be appealed against: a ruling or a deduction, exactly one of the two (ARB-1)."""

    shop_id: Id
    ruling_id: Id | None = None
    deduction_id: Id | None = None

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Self:
        if (self.ruling_id is None) == (self.deduction_id is None):
            raise ValueError("either a ruling_id or a deduction_id (ARB-1)")
        return self

    @property
    def object_id(self) -> str:
        """The key of the ruling's row."""
        return self.ruling_id or deduction_key(str(self.deduction_id))


def deduction_key(deduction_id: str) -> str:
    """How a deduction is named among the rulings; no ruling's own number holds a slash."""
    return f"deduction/{deduction_id}"


@inbound
class ArbitrationApplied(Event):
    """买家发起仲裁(ARB-9、WDR-2)

    A buyer asks for arbitration. Refused when one about the same after-sale has been withdrawn.
    """

    type: ClassVar[str] = "arbitration.applied"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "arbitration_id": "arb-9001",
        "order_id": "order-88",
        "aftersale_id": "as-7001",
    }

    shop_id: Id
    arbitration_id: Id
    order_id: Id | None = None
    aftersale_id: Id | None = None


@inbound
class ArbitrationProgressed(Event):
    """仲裁进度(ARB-9)

    How far an arbitration is; recorded with it. Until the next ``shop.snapshot`` it stands in the way of closing and of a
    refund like those the facts count.
    """

    type: ClassVar[str] = "arbitration.progressed"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "arbitration_id": "arb-9001",
        "aftersale_id": "as-7001",
        "stage": "SERVICE_INTERVENED",
    }

    shop_id: Id
    arbitration_id: Id
    order_id: Id | None = None
    aftersale_id: Id | None = None
    stage: Stage

    @model_validator(mode="after")
    def _has_an_event_of_its_own(self) -> Self:
        if self.stage in {Stage.APPLIED, Stage.RULED, Stage.WITHDRAWN}:
            raise ValueError("a stage between the application and the ruling; those have events of their own")
        return self


@inbound
class RulingEffective(Event):
    """仲裁判责生效(ARB-1、ARB-2)

    ``effective_at`` starts the seven days in which the merchant may appeal, once; without it the moment the
    event reached us does. A deduction is posted from the deposit to the buyer's compensation (DED-5).
    ``ruled_by`` is the arbitrator's staff id here: never asked to judge the appeal. ``NOT_MERCHANT`` counts nothing, and
    what was taken for the matter before goes back.
    """

    type: ClassVar[str] = "ruling.effective"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "ruling_id": "rul-6001",
        "arbitration_id": "arb-9001",
        "order_id": "order-88",
        "aftersale_id": "as-7001",
        "effective_at": "2026-11-20T10:00:00+08:00",
        "conclusion": "MERCHANT_LIABLE",
        "decided": "商家未能证明按时发货,判定商家责任,先行赔付买家 200.00 元。",
        "buyer_account": "下单十天未收到货,商家不回复。",
        "merchant_account": "已发货,物流异常。",
        "ruled_by": "sun-lei",
        "points": 2,
        "deduction_fen": 20000,
    }

    shop_id: Id
    ruling_id: Id
    arbitration_id: Id
    order_id: Id | None = None
    aftersale_id: Id | None = None
    effective_at: Moment | None = None
    conclusion: Conclusion
    decided: Prose
    buyer_account: Prose = ""
    merchant_account: Prose = ""
    ruled_by: Id | None = None
    points: Points = 0
    deduction_fen: Fen = 0

    @model_validator(mode="after")
    def _takes_nothing_from_who_is_not_liable(self) -> Self:
        if self.conclusion is Conclusion.NOT_MERCHANT and (self.points or self.deduction_fen):
            raise ValueError("NOT_MERCHANT takes no points and no money")
        return self


_FILED_EXAMPLE: dict[str, Any] = {
    "shop_id": "shop-1001",
    "account_id": "acct-1001",
    "ruling_id": "rul-6001",
    "reason": "SHIPPED_IN_TIME",
    "statement": "订单已于约定时间内发出,物流显示次日揽收,请复核。",
    "evidence": [{"id": "EV-261121-7K3QM9", "kind": "LOGISTICS"}],
}


@inbound
class AppealFiled(AboutRuling):
    """提交申诉(ARB-1 至 ARB-4)

    Within seven days of the ruling, once, with evidence staged before. What cannot be taken up becomes a case
    that is refused with its clause. Evidence of another shop is left out.
    """

    type: ClassVar[str] = "appeal.filed"
    EXAMPLE: ClassVar[dict[str, Any]] = _FILED_EXAMPLE

    account_id: Id
    reason: AppealReason
    statement: Prose
    evidence: Evidence = ()


@inbound
class AppealEvidenceSubmitted(Event):
    """重新举证(ARB-5、ARB-6)

    Further evidence after the rejection notice, within three days of its sending, once.
    """

    type: ClassVar[str] = "appeal.evidence_submitted"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "account_id": "acct-1001",
        "case_id": "ARB-261122-7K3QM9",
        "statement": "补充快递公司出具的揽收证明。",
        "evidence": [{"id": "EV-261123-2B4CD6", "kind": "LOGISTICS"}],
    }

    shop_id: Id
    account_id: Id
    case_id: Id
    statement: Prose = ""
    evidence: Annotated[Evidence, Field(min_length=1)]


class Consent(Frozen):
    """How it is known that the buyer agrees."""

    record: Line
    obtained_at: Moment


@inbound
class ArbitrationWithdrawalRequested(Event):
    """申请撤销仲裁(WDR-1 至 WDR-4)

    Always decided by merchant service. A merchant's request needs a file that shows the buyer's consent: with the
    ``documents``, later (``proposal.documented``), or staged by merchant service when they ask the buyer. Order and
    after-sale are what Douyin's push brings: from there the arbitration counts as applied for, if it was not reported before.
    """

    type: ClassVar[str] = "arbitration.withdrawal_requested"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "arbitration_id": "arb-9001",
        "reason": "SETTLED_WITH_MERCHANT",
        "requested_by": "BOTH",
        "note": "双方已协商退款 100 元。",
        "consent": {"record": "客服通话录音 20261122-0031", "obtained_at": "2026-11-22T09:30:00+08:00"},
    }

    shop_id: Id
    arbitration_id: Id
    order_id: Id | None = None
    aftersale_id: Id | None = None
    reason: WithdrawalReason
    requested_by: Party
    note: OptionalLine = ""
    consent: Consent | None = None
    documents: Documents = ()


@inbound
class RulingCorrectionProposed(AboutRuling):
    """提议更正判责(ARB-10、ambiguity 11)

    A court's judgment against a ruling. Two supervisors decide; there is no other way past a final result.
    """

    type: ClassVar[str] = "ruling.correction_proposed"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "ruling_id": "rul-6001",
        "court": "杭州互联网法院",
        "judgment_no": "(2026)浙0192民初1234号",
        "judged_on": "2026-12-20T00:00:00+08:00",
        "summary": "判决认定商家已按时发货,平台判责依据不足。",
        "proposed_by": "legal-3",
        "documents": [{"name": "民事判决书.pdf", "kind": "OTHER", "sha256": "ab" * 32}],
    }

    court: Line
    judgment_no: Line
    judged_on: Moment
    summary: Prose
    proposed_by: Id
    documents: Documents = ()


@inbound
class EscalationNoted(Event):
    """外部维权记录(ARB-10)

    The merchant has turned elsewhere after losing. A note with the case; its result stays.
    """

    type: ClassVar[str] = "escalation.noted"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "case_id": "ARB-261122-7K3QM9",
        "channel": "LAWSUIT",
        "note": "商家已向杭州互联网法院立案。",
    }

    shop_id: Id
    case_id: Id
    channel: EscalationChannel
    note: Line


@outbound
class RulingRecorded(Outgoing):
    """判责已登记(ARB-2)

    Until when the merchant may appeal, once.
    """

    type: ClassVar[str] = "ruling.recorded"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "ruling_id": "rul-6001",
        "kind": "RULING",
        "effective_at": "2026-11-20T02:00:00Z",
        "appeal_until": "2026-11-27T02:00:00Z",
        "deduction_fen": 20000,
    }

    shop_id: Id
    ruling_id: str
    kind: RulingKind
    effective_at: Moment
    appeal_until: Moment
    deduction_fen: Fen = 0


@outbound
class RulingVoided(Outgoing):
    """判责已剔除(ARB-7、WDR-1)

    The ruling counts no more; the shop's counters as they are without it. Without a case it was the platform's own report
    that struck it: the arbitration cleared the merchant (ARB-1), or the two are one matter (ARB-3).
    """

    type: ClassVar[str] = "ruling.voided"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "ruling_id": "rul-6001",
        "case_id": "ARB-261122-7K3QM9",
        "cause": "APPEAL_UPHELD",
        "clause": "ARB-7",
        "rulings": 0,
        "points": 0,
        "deducted_fen": 0,
        "at": "2026-11-24T02:00:00Z",
    }

    shop_id: Id
    ruling_id: str
    case_id: Id | None = None
    cause: VoidCause
    clause: str
    rulings: int
    points: int
    deducted_fen: Fen
    at: Moment


@outbound
class EvidenceWindowOpened(Outgoing):
    """重新举证期限(ARB-5)

    The rejection notice has been sent; evidence received until ``due_at`` counts.
    """

    type: ClassVar[str] = "appeal.evidence_window"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "case_id": "ARB-261122-7K3QM9",
        "sent_at": "2026-11-24T02:00:00Z",
        "due_at": "2026-11-27T02:00:00Z",
    }

    shop_id: Id
    case_id: Id
    sent_at: Moment
    due_at: Moment


@outbound
class ArbitrationWithdrawn(Outgoing):
    """仲裁已撤销(WDR-2)

    The same after-sale can never be arbitrated again.
    """

    type: ClassVar[str] = "arbitration.withdrawn"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "arbitration_id": "arb-9001",
        "case_id": "WDR-261122-7K3QM9",
        "reason": "BUYER_GIVES_UP",
        "at": "2026-11-23T02:00:00Z",
    }

    shop_id: Id
    arbitration_id: Id
    case_id: Id
    reason: WithdrawalReason
    at: Moment
