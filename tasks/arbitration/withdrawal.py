"""撤销仲裁: an arbitration is taken back by agreement, its ruling struck out (WDR)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlmodel import col, select

from models.arbitration import (
    Arbitration,
    MoneyReturn,
    Party,
    Ruling,
    Stage,
    VoidCause,
)
from models.arbitration_events import (
    ArbitrationWithdrawalRequested,
    ArbitrationWithdrawn,
)
from models.base import Labelled
from models.cases import Case, CaseKind, CaseState
from models.dossier import Items, Rows, Strong, Text
from models.messages import InboxMessage
from models.outcomes import Refusal
from models.reviews import Review, Role
from models.shops import Shop
from notifications import appeal as words
from office.base.db import Tx
from office.cases import approvals, cases, dossier, merchants
from office.cases.cases import emit, rules
from office.cases.effects import effects_of
from office.cases.gates import Answer, Dossier, Gate
from office.cases.locks import lock_case
from office.cases.merchants import ground, shop_of
from office.files import papers
from office.record.inbox import Kept
from policies import appeal as rules_of_appeal
from policies.approvals import Seen
from tasks.arbitration import doudian, matter
from tasks.arbitration.intake import seen_before, still_on, withdrawn_before
from tasks.arbitration.request import WithdrawalAsked
from tasks.arbitration.rulings import appeal_of, end_appeal, final_appeal, ruling_part, rulings_of, strike
from tasks.shops import proposals
from tasks.shops.questions import shop_part

effect = effects_of("arbitration")


class WithdrawalVerdict(Labelled):
    CONFIRM = "CONFIRM", "已核实,撤销仲裁"
    REJECT = "REJECT", "不予撤销"


# ── withdrawing an arbitration ───────────────────────────────────────────────


def request_withdrawal(tx: Tx, event: ArbitrationWithdrawalRequested, shop: Shop, message: InboxMessage) -> None:
    """Somebody asks to withdraw an arbitration; merchant service decides (WDR-3).

    Douyin reports what the buyer has done already, maybe more than once, maybe before we heard of the arbitration.
    """
    if message.source == doudian.AUDIENCE:
        _cancelled(tx, event, shop, message)
    consent = event.consent.model_dump(mode="json") if event.consent else None
    cases.open_case(
        tx,
        CaseKind.WITHDRAWAL,
        origin=message.origin,
        received_at=message.received_at,
        shop=shop,
        actor="platform",
        clause="WDR-3",
        request={
            "arbitration_id": event.arbitration_id,
            "reason": event.reason,
            "requested_by": event.requested_by,
            "note": event.note,
            "consent": consent,
            "documents": [document.model_dump(mode="json") for document in event.documents],
        },
        text=f"{event.requested_by.label}申请撤销仲裁 {event.arbitration_id}:{event.reason.label}",
    )


def _cancelled(tx: Tx, event: ArbitrationWithdrawalRequested, shop: Shop, message: InboxMessage) -> None:
    """Note the arbitration as applied for, if it is new to us; a cancellation that is in hand or done is kept."""
    if still_on(tx, event.arbitration_id, shop) is None:
        if other := withdrawn_before(tx, shop.id, event.arbitration_id, event.order_id, event.aftersale_id):
            raise Kept(f"arbitration {other} about the same after-sale was withdrawn before")
        seen_before(tx, shop, event.arbitration_id, event.order_id, event.aftersale_id, Stage.APPLIED, message)
    open_ones = select(Case).where(
        Case.kind == CaseKind.WITHDRAWAL, Case.shop_id == shop.id, col(Case.concluded_at).is_(None)
    )
    if any(WithdrawalAsked.of(case).arbitration_id == event.arbitration_id for case in tx.exec(open_ones)):
        raise Kept(f"a withdrawal of arbitration {event.arbitration_id} is being checked")


def _refuse_withdrawal(tx: Tx, case: Case) -> Refusal | None:
    """Why the arbitration cannot be withdrawn as things stand now."""
    found = tx.get(Arbitration, WithdrawalAsked.of(case).arbitration_id)
    known = found is not None and found.shop_id == case.shop_id
    rulings = matter.withdrawn_with(tx, found) if found is not None and known else []
    final = next(filter(None, (final_appeal(tx, ruling.id) for ruling in rulings)), None)
    return rules_of_appeal.refuse_withdrawal(
        known=known,
        withdrawn=found is not None and found.withdrawn_at is not None,
        final_appeal=final,
        ruling_void=bool(rulings) and all(ruling.voided_at is not None for ruling in rulings),
    )


def _stays(tx: Tx, case: Case, refusal: Refusal) -> None:
    """Tell the merchant that the arbitration goes on, and why; not of one that is withdrawn already."""
    if refusal.code == "withdrawn-before":
        return
    told = words.ArbitrationStays(
        shop_name=shop_of(tx, case).name,
        case_id=case.id,
        arbitration_id=WithdrawalAsked.of(case).arbitration_id,
        grounds=(ground(refusal),),
    )
    merchants.tell(tx, told, f"{case.id}/stays", case=case)


@effect("受理撤销仲裁申请")
def admit_withdrawal(tx: Tx, case: Case) -> Refusal | None:
    """Take the request up, or refuse it with the clause (WDR-1, WDR-2)."""
    if refusal := _refuse_withdrawal(tx, case):
        _stays(tx, case, refusal)
        cases.refuse(tx, case, refusal)
        return refusal
    if WithdrawalAsked.of(case).requested_by is Party.MERCHANT and not papers.of_case(tx, case):
        proposals.ask_for_papers(tx, case, "WDR-4")
    cases.move(tx, case, CaseState.UNDER_REVIEW, "等待商服核实", clause="WDR-3")
    return None


@effect("不予撤销仲裁")
def reject_withdrawal(tx: Tx, case: Case) -> None:
    reason = approvals.insist_last(tx, case, (WITHDRAWAL, WithdrawalVerdict.REJECT)).reason
    _stays(tx, case, Refusal(code="rejected", clause="WDR-1", sentence=reason))
    cases.conclude(tx, case, CaseState.REJECTED, f"不予撤销:{reason}", clause="WDR-1")


class Withdrawn(Labelled):
    """What became of a withdrawal that merchant service confirmed."""

    TOO_LATE = "TOO_LATE", "申诉已有最终结果"
    DONE = "DONE", "已撤销"
    MONEY = "MONEY", "已撤销,待处理赔付款"
    CHANGED = "CHANGED", "与商服所见不同,须重新核实"


@effect("撤销仲裁")
def withdraw(tx: Tx, case: Case) -> Withdrawn:
    """Withdraw: bars any new arbitration of the same case, ends a running appeal as moot, strikes the ruling where
    the policy says so. An appeal whose result became final while merchant service asked around wins (ARB-3)."""
    return _withdraw(tx, case, 1)


@effect("重新核实后撤销仲裁")
def withdraw_again(tx: Tx, case: Case, round: int) -> Withdrawn:
    """The same in a later round."""
    return _withdraw(tx, case, round)


def _withdraw(tx: Tx, case: Case, round: int) -> Withdrawn:
    if refusal := _refuse_withdrawal(tx, case):
        _stays(tx, case, refusal)
        cases.refuse(tx, case, refusal)
        return Withdrawn.TOO_LATE
    given = approvals.insist(tx, case, round, (WITHDRAWAL, WithdrawalVerdict.CONFIRM))
    stands = bool(given) and approvals.stand(tx, given, _withdrawal_dossier(tx, case, given[0]).seen)  # ambiguity 23
    if not stands or _without_consent(tx, case, given[0].answer):
        cases.move(tx, case, CaseState.UNDER_REVIEW, "事实发生变化,等待商服重新核实", clause="WDR-3")
        return Withdrawn.CHANGED
    found = tx.get(Arbitration, WithdrawalAsked.of(case).arbitration_id)
    if found is None:
        raise LookupError(f"{case.id}: no arbitration")
    found.withdrawn_at, found.withdrawal_case, found.stage = tx.now, case.id, Stage.WITHDRAWN
    tx.add(found)
    cases.wake_leaving(tx, found.shop_id)
    reason = WithdrawalAsked.of(case).reason
    for ruling in matter.withdrawn_with(tx, found):
        ruling.arbitration_id = found.id
        tx.add(ruling)
    struck: list[Ruling] = []
    for ruling in rulings_of(tx, found.id):
        appeal = appeal_of(tx, ruling.id)
        running = lock_case(tx, appeal.case_id) if appeal else None
        if rules(case).appeal.withdrawal_strikes_ruling and strike(
            tx, case, ruling.id, VoidCause.ARBITRATION_WITHDRAWN
        ):
            struck.append(ruling)
        if running is not None and running.concluded_at is None:
            end_appeal(tx, running, ruling, f"仲裁 {found.id} 已撤销", clause="WDR-1")
    event = ArbitrationWithdrawn(
        shop_id=found.shop_id, arbitration_id=found.id, case_id=case.id, reason=reason, at=tx.now
    )
    emit(tx, event, f"{case.id}/withdrawn", case)
    told = words.ArbitrationWithdrawn(
        shop_name=shop_of(tx, case).name,
        case_id=case.id,
        arbitration_id=found.id,
        reason=reason.label,
        struck=bool(struck),
        money=bool(_money_taken(tx, found.id)),
    )
    merchants.tell(tx, told, f"{case.id}/withdrawn", case=case)
    if money := _money_taken(tx, found.id):  # whatever the policy proposes, people decide and the merchant is told
        case.request = {**case.request, "objects": money}
        cases.move(tx, case, CaseState.COMPENSATING, "仲裁已撤销,商服与财务处理已扣赔付款", clause="WDR-1")
        return Withdrawn.MONEY
    _conclude_withdrawal(tx, case)
    return Withdrawn.DONE


def _money_taken(tx: Tx, arbitration_id: str) -> list[str]:
    """The arbitration's rulings whose deduction nobody has decided about yet (ambiguity 35)."""
    return [
        ruling.id
        for ruling in rulings_of(tx, arbitration_id)
        if ruling.deduction_fen and tx.get(MoneyReturn, ruling.id) is None
    ]


def _conclude_withdrawal(tx: Tx, case: Case) -> None:
    text = f"仲裁 {WithdrawalAsked.of(case).arbitration_id} 已撤销,同一售后不可再次仲裁"
    cases.conclude(tx, case, CaseState.ARBITRATION_WITHDRAWN, text, clause="WDR-2")


@effect("撤销仲裁办结")
def conclude_withdrawal(tx: Tx, case: Case) -> None:
    _conclude_withdrawal(tx, case)


def _withdrawal_dossier(tx: Tx, case: Case, review: Review) -> Dossier:
    shop, found = shop_of(tx, case), tx.get(Arbitration, WithdrawalAsked.of(case).arbitration_id)
    rulings, others = (matter.withdrawn_with(tx, found), matter.others_of_order(tx, found)) if found else ([], [])
    wish = WithdrawalAsked.of(case)
    asked = Rows.of(
        {
            "仲裁编号": wish.arbitration_id,
            "申请方": wish.requested_by.label,
            "原因": wish.reason.label,
            "说明": wish.note or "(无)",
            "买家同意记录": wish.consent.record if wish.consent else "未附",
            "买家同意文件": _consent_wanted(wish),
            "收到时间": dossier.when(case.received_at),
        }
        | ({"同一订单的其他仲裁": f"{'、'.join(others)}(只写明订单的扣款不随本次撤销处理)"} if others else {})
    )
    given = rules(case).appeal
    effects = Items.of(
        (
            ("同一售后", Strong(text="不能再次申请仲裁"), "(WDR-2)。"),
            "进行中的申诉将终止(WDR-1)。",
            f"判责{'将被剔除' if given.withdrawal_strikes_ruling else '继续有效'},"
            "已扣赔付款由商服与财务决定去向,并告知商家结果和原因;规则建议:"
            f"{rules_of_appeal.proposed_handling(wish.reason, rules(case)).label}。",
        )
    )
    now = Seen.of(
        {
            "withdrawn": found is not None and found.withdrawn_at is not None,
            "rulings": [[ruling.id, ruling.voided_at is not None] for ruling in rulings],
        },
        papers.blocking(tx, case, "WDR-3", needed=wish.requested_by is Party.MERCHANT),
    )
    return dossier.of(
        f"撤销仲裁 · {shop.name} · {case.id}",
        (approvals.SINCE, approvals.changes_part(tx, case, review, now, {"rulings": "相关判责"})),
        ("撤销后的结果", effects),
        ("申请", asked),
        ("店铺", shop_part(tx, shop)),
        *papers.parts(tx, case, review, "WDR-3", needed=wish.requested_by is Party.MERCHANT),
        ("相关判责", [ruling_part(ruling) for ruling in rulings] or Text.of("尚未判责。")),
        facts=now.terms,
        blocking=now.blocking,
        links_until=papers.links_until(tx, case, review),
    )


def _consent_on_record(tx: Tx, case: Case, review: Review, given: Answer) -> str | None:
    if given.verdict != WithdrawalVerdict.CONFIRM:
        return None
    named = _named(given.extra)
    unfit = papers.unfit(tx, case.shop_id or "", named, "买家同意文件", "WDR-4") if named else None
    return unfit or _without_consent(tx, case, given.extra)


def _without_consent(tx: Tx, case: Case, answer: Mapping[str, Any]) -> str | None:
    """Why nobody can confirm: a paper cannot be read, or a merchant asks alone and no file shows that the buyer agrees."""
    besides = [named] if (named := _named(answer)) else []
    if unreadable := papers.refusal(tx, case, "WDR-3", besides=besides):
        return unreadable
    here = (*papers.of_case(tx, case), *papers.by_id(tx, case.shop_id or "", besides))
    return rules_of_appeal.consent_missing(
        WithdrawalAsked.of(case).requested_by, on_file=any(paper.readable for paper in here)
    )


def _named(answer: Mapping[str, Any]) -> str:
    return str(answer.get("consent_paper", "")).strip()


def _consent_wanted(wish: WithdrawalAsked) -> str | Strong:
    return Strong(text="商家单方申请,必须有") if wish.requested_by is Party.MERCHANT else "双方或买家申请,不要求"


WITHDRAWAL = Gate(
    name="withdrawal",
    title="撤销仲裁核实",
    roles=(Role.MERCHANT_SERVICE,),
    verdicts=WithdrawalVerdict,
    dossier=_withdrawal_dossier,
    window=lambda case: rules(case).appeal.withdrawal_sla,
    clause="WDR-3",
    reason_required=frozenset(WithdrawalVerdict),
    check=_consent_on_record,
    consequences={"CONFIRM": "撤销仲裁,同一售后不可再次仲裁,进行中的申诉终止", "REJECT": "仲裁继续有效,理由会告知商家"},
    fields={
        "consent_record": {
            "title": "买家同意记录",
            "type": "string",
            "maxLength": 300,
            "default": "",
            "description": "通话录音编号、聊天记录编号等,供查找",
        },
        "consent_paper": {
            "title": "买家同意文件",
            "type": "string",
            "maxLength": 40,
            "default": "",
            "description": "商家单方申请而材料中没有时必填:为该店铺上传文件(POST /evidence)后返回的编号 EV-…(WDR-4)",
        },
    },
)
