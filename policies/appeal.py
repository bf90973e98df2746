"""Appeals: who may appeal against what until when, what evidence is expected, what valid rulings add up to.

Clauses ARB-1 … ARB-10, WDR-1 … WDR-4, DED-5; ambiguities 9 to 12.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import assert_never

from models.arbitration import AppealReason as Reason
from models.arbitration import (
    CheckItem,
    Counters,
    EscalationChannel,
    EvidenceKind,
    Handling,
    Party,
    Ruling,
    VoidCause,
    WithdrawalReason,
)
from models.base import Frozen
from models.cases import Finding
from models.money import Money, yuan
from models.outcomes import Refusal
from models.windows import Reckoned
from policies.deadlines import in_time, reckon
from policies.policy import SHANGHAI, Policy

APPEAL_HOW = "请在商家后台「申诉中心」提交申诉并附上有效凭证,每项判责或扣款仅可申诉一次。"
SERVICE_HOW = "请联系平台客服,提供扣款编号与证明材料,申请复核;此类扣款不适用仲裁申诉。"
"""For every other deduction: the appeal centre takes rulings and advance compensations only (ARB-1, DED-8)."""


def appeal_window(effective_at: datetime, policy: Policy) -> Reckoned:
    """Until when a ruling or deduction may be appealed against (ARB-2): inclusive, to the second."""
    return reckon(effective_at, policy.appeal.window, "ARB-2")


def window_of(ruling: Ruling, policy: Policy) -> Reckoned:
    """A recorded ruling's window: from when it took effect, or its deduction did, whichever came later (ARB-2)."""
    return appeal_window(max(ruling.effective_at, ruling.deducted_at or ruling.effective_at), policy)


def reevidence_window(sent_at: datetime, policy: Policy) -> Reckoned:
    """Until when further evidence counts, from the sending of the rejection notice (ARB-5)."""
    return reckon(sent_at, policy.appeal.reevidence, "ARB-5")


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}"


def refuse_filing(
    *,
    requester: str,
    owner: str,
    ruling: Ruling | None,
    shop_id: str,
    received_at: datetime,
    earlier_appeal: str | None,
    arbitration_withdrawn: bool,
    evidence: int,
) -> Refusal | None:
    """Why an appeal is not taken up, or None when it is.

    ``received_at`` is when the filing reached the door, however late it is looked at (ARB-2). ``evidence`` counts
    the items that are the shop's own. Ownership comes first: a stranger learns nothing about a ruling.
    """
    if requester != owner:
        return Refusal(
            code="not-owner", clause="ARB-1", sentence="只有店铺的主账号可以提交申诉,请使用主账号登录后再提交。"
        )
    if ruling is None or ruling.shop_id != shop_id:
        return Refusal(
            code="unknown-ruling",
            clause="ARB-1",
            sentence="没有找到可以申诉的仲裁判责或先行赔付扣款,请核对编号。",
        )
    if arbitration_withdrawn:
        return Refusal(code="arbitration-withdrawn", clause="WDR-2", sentence="该仲裁已撤销,无需也无法再申诉。")
    if earlier_appeal is not None:
        return Refusal(
            code="second-appeal",
            clause="ARB-3",
            sentence=f"每项判责或扣款仅可申诉一次,此前已受理申诉 {earlier_appeal},其结果不可更改。",
        )
    if ruling.void_cause is not None:
        return Refusal(
            code="ruling-void", clause="ARB-7", sentence=f"该判责已因「{ruling.void_cause.label}」剔除,无需申诉。"
        )
    if not in_time(received_at, ruling.appeal_until):
        return Refusal(
            code="too-late",
            clause="ARB-2",
            sentence=f"申诉须在判责或扣款生效后的申诉期限内提交,截止时间为 {_day(ruling.appeal_until)}(北京时间),"
            f"本次申诉于 {_day(received_at)} 收到,已超过期限。",
        )
    if evidence == 0:
        return Refusal(
            code="no-evidence",
            clause="ARB-4",
            sentence="申诉须附上至少一项本店上传的有效凭证;在申诉期限内补齐凭证后可以重新提交。",
        )
    return None


def refuse_deduction(ruling: Ruling, shop_id: str) -> Refusal | None:
    """Why a deduction is not this ruling's money, or None when it is: a ruling takes money once, and none when struck."""
    if ruling.shop_id != shop_id:
        return Refusal(code="unknown-ruling", clause="ARB-1", sentence=f"判责 {ruling.id} 不属于店铺 {shop_id}")
    if ruling.void_cause is not None:
        return Refusal(
            code="ruling-void",
            clause="ARB-7",
            sentence=f"判责 {ruling.id} 已因「{ruling.void_cause.label}」剔除,不再扣款",
        )
    if ruling.deduction_fen:
        return Refusal(code="deducted", clause="DED-5", sentence=f"判责 {ruling.id} 的扣款已入账,未重复扣款")
    return None


def refuse_deduction_of_withdrawn(withdrawn: str | None) -> Refusal | None:
    """Why money is no longer taken for a buyer: the arbitration about that case was withdrawn (WDR-2, ambiguity 32)."""
    if withdrawn is None:
        return None
    return Refusal(
        code="withdrawn-before",
        clause="WDR-2",
        sentence=f"同一售后的仲裁 {withdrawn} 已撤销,不再因此扣除保证金;属于同一订单另一仲裁的,请写明其仲裁编号。",
    )


def checklist(reason: Reason, submitted: Mapping[str, EvidenceKind], policy: Policy) -> tuple[CheckItem, ...]:
    """What is expected for the reason and what of it is there; then kinds nobody expected, all satisfied.

    ``submitted`` is evidence id → kind. For ``OTHER`` any item will do (ARB-4 asks for no particular kind).
    """
    by_kind: dict[EvidenceKind, list[str]] = {}
    for evidence_id, kind in submitted.items():
        by_kind.setdefault(kind, []).append(evidence_id)
    expected = policy.appeal.checklist[reason]
    if reason is Reason.OTHER and submitted:
        expected = ()
    kinds = [*expected, *(kind for kind in EvidenceKind if kind in by_kind and kind not in expected)]
    return tuple(
        CheckItem(kind=kind, satisfied=kind in by_kind, evidence_ids=tuple(sorted(by_kind.get(kind, ()))))
        for kind in kinds
    )


def evidence_findings(
    reason: Reason,
    items: Iterable[CheckItem],
    left_out: Sequence[str],
    now: datetime,
    over: Sequence[str] = (),
    most: int = 0,
) -> list[Finding]:
    """What the reviewer and the dispute file should know about the evidence: what is missing, what was left out."""
    found = [
        Finding(
            code=f"missing-{item.kind}",
            clause="ARB-4",
            blocking=False,
            as_of=now,
            value=item.kind.label,
            sentence=f"申诉理由「{reason.label}」通常需要「{item.kind.label}」,尚未提供。",
        )
        for item in items
        if not item.satisfied
    ]
    found += [
        Finding(
            code="evidence-left-out",
            clause="ARB-4",
            blocking=False,
            as_of=now,
            value=evidence_id,
            sentence=f"凭证 {evidence_id} 不是本店上传的凭证,未予采用。",
        )
        for evidence_id in left_out
    ]
    found += [
        Finding(
            code="evidence-too-many",
            clause="ARB-4",
            blocking=False,
            as_of=now,
            value=evidence_id,
            sentence=f"凭证 {evidence_id} 超出每次最多 {most} 项,未予采用,已告知商家。",
        )
        for evidence_id in over
    ]
    return found


def counters(rulings: Iterable[Ruling]) -> Counters:
    """What a shop's valid rulings add up to; those struck do not count (ARB-7)."""
    valid = [ruling for ruling in rulings if ruling.voided_at is None]
    return Counters(
        rulings=len(valid),
        points=sum(ruling.points for ruling in valid),
        deducted_fen=sum(ruling.deduction_fen for ruling in valid),
    )


def clause_of(cause: VoidCause) -> str:
    """The clause by which a ruling is struck."""
    match cause:
        case VoidCause.APPEAL_UPHELD:
            return "ARB-7"
        case VoidCause.ARBITRATION_WITHDRAWN:
            return "WDR-1"
        case VoidCause.COURT_JUDGMENT:
            return "ARB-10"
        case VoidCause.MERCHANT_CLEARED:
            return "ARB-1"
        case VoidCause.SAME_MATTER:
            return "ARB-3"
        case unknown:
            assert_never(unknown)


class Split(Frozen):
    """Where returned money goes, in fen. The parts add up to the deduction, unless nothing is returned."""

    to_deposit: Money = Money()
    to_receivable: Money = Money()
    to_arrears: Money = Money()

    def plus(self, other: Split) -> Split:
        return Split(
            to_deposit=Money(fen=self.to_deposit.fen + other.to_deposit.fen),
            to_receivable=Money(fen=self.to_receivable.fen + other.to_receivable.fen),
            to_arrears=Money(fen=self.to_arrears.fen + other.to_arrears.fen),
        )

    def text(self) -> str:
        parts = [
            f"{label} {amount}"
            for label, amount in (
                ("冲抵欠款", self.to_arrears),
                ("退回保证金", self.to_deposit),
                ("转入待结算货款", self.to_receivable),
            )
            if amount
        ]
        return "、".join(parts) or "不动账"


def split_return(deduction: Money, arrears_part: Money, arrears_now: Money, handling: Handling) -> Split:
    """Where the money goes back to.

    What the deduction had only written down as arrears (DED-9) and is still owed was never taken from anybody:
    it is forgiven first, whatever was agreed. ``TO_ARREARS`` settles further arrears as far as they go.
    """
    forgiven = min(arrears_part.fen, arrears_now.fen)
    if handling is Handling.TO_ARREARS:
        forgiven = min(deduction.fen, arrears_now.fen)
    rest = Money(fen=deduction.fen - forgiven)
    match handling:
        case Handling.BUYER_KEEPS:
            return Split()
        case Handling.NO_MONEY:
            return Split(to_arrears=Money(fen=min(arrears_part.fen, arrears_now.fen)))
        case Handling.TO_DEPOSIT | Handling.TO_ARREARS:
            return Split(to_deposit=rest, to_arrears=Money(fen=forgiven))
        case Handling.TO_RECEIVABLE:
            return Split(to_receivable=rest, to_arrears=Money(fen=forgiven))
        case unknown:
            assert_never(unknown)


def proposed_handling(reason: WithdrawalReason, policy: Policy) -> Handling:
    """What the policy proposes for money already taken when an arbitration is withdrawn; never more (ambiguity 35)."""
    given = policy.appeal
    otherwise = Handling.TO_DEPOSIT if given.withdrawal_returns_deduction else Handling.BUYER_KEEPS
    return given.withdrawal_handling.get(reason, otherwise)


def one_matter(ruling: Ruling, *, arbitration_id: str | None, aftersale_id: str | None) -> bool:
    """Whether a recorded ruling or deduction and another report belong together where no ruling is named (ambiguity 32).

    The same arbitration decides; only where one of the two names none does the same after-sale.
    """
    if ruling.arbitration_id and arbitration_id:
        return ruling.arbitration_id == arbitration_id
    return bool(aftersale_id) and ruling.aftersale_id == aftersale_id


def refuse_withdrawal(*, known: bool, withdrawn: bool, ruling_void: bool, final_appeal: str | None) -> Refusal | None:
    """Why an arbitration cannot be withdrawn, or None when merchant service may decide (WDR-1 … WDR-4)."""
    if not known:
        return Refusal(code="unknown-arbitration", clause="WDR-1", sentence="没有找到该店铺的这件仲裁,请核对仲裁编号。")
    if withdrawn:
        return Refusal(code="withdrawn-before", clause="WDR-2", sentence="该仲裁此前已撤销,无需重复申请。")
    if final_appeal is not None:
        return Refusal(
            code="appeal-final",
            clause="ARB-3",
            sentence=f"申诉 {final_appeal} 已有最终结果,结果不可更改,仲裁不能再撤销。",
        )
    if ruling_void:
        return Refusal(code="ruling-void", clause="ARB-7", sentence="该仲裁的判责已经剔除,无需撤销。")
    return None


def consent_missing(requested_by: Party, *, on_file: bool) -> str | None:
    """A sentence when the buyer's consent is needed and no file shows it (WDR-4, ambiguities 12 and 26)."""
    if requested_by is Party.MERCHANT and not on_file:
        return (
            "商家单方申请撤销仲裁,必须有能查看的买家同意文件:请平台补充材料(proposal.documented),"
            "或由商服上传(POST /evidence)后在「买家同意文件」栏填写返回的编号(WDR-4)"
        )
    return None


def refuse_correction(*, ruling: Ruling | None, shop_id: str) -> Refusal | None:
    """Why a ruling cannot be corrected by a court's judgment, or None when two supervisors may decide."""
    if ruling is None or ruling.shop_id != shop_id:
        return Refusal(code="unknown-ruling", clause="ARB-1", sentence="没有找到该店铺的这项判责或扣款,请核对编号。")
    if ruling.void_cause is not None:
        return Refusal(
            code="ruling-void", clause="ARB-7", sentence=f"该判责已因「{ruling.void_cause.label}」剔除,无需更正。"
        )
    return None


def rearbitration_barred(*, withdrawn_before: str | None) -> Refusal | None:
    """Why the same case is not arbitrated again (WDR-2)."""
    if withdrawn_before is None:
        return None
    return Refusal(
        code="withdrawn-before",
        clause="WDR-2",
        sentence=f"同一售后的仲裁 {withdrawn_before} 已撤销,不能再次申请仲裁。",
    )


def channels_after_dismissal() -> tuple[str, ...]:
    """Where a merchant may still turn, a sentence each (ARB-10); none of them is a second appeal (ambiguity 11)."""
    return tuple(
        f"{channel.label};由您在平台申诉之外自行办理,不影响本次申诉的最终结果。" for channel in EscalationChannel
    )


def deduction_text(ruling: Ruling) -> str:
    """The deduction in a few words."""
    if not ruling.deduction_fen:
        return "无扣款"
    text = f"{yuan(ruling.deduction_fen)}(保证金 {yuan(ruling.from_deposit_fen)}"
    return text + (f",转为欠款 {yuan(ruling.arrears_fen)})" if ruling.arrears_fen else ")")
