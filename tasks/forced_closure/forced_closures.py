"""Closing a shop by force for a violation: two people decide, the deposit is forfeited, nothing is given back."""

from __future__ import annotations

from dataclasses import replace

from sqlmodel import col, select

from models.arbitration import Appeal, Ruling
from models.base import Labelled
from models.books import AccountKind
from models.cases import Case, CaseKind, CaseState, Finding
from models.closure_events import ForcedClosureProposed, ShopForcedClosed
from models.dossier import Findings, Quote, Rows, Strong, Text
from models.messages import InboxMessage
from models.reviews import Review, Role
from models.shops import Capability, ShopState
from notifications import closure as words
from office.base.db import Tx
from office.cases import approvals, cases, dossier, merchants
from office.cases.cases import emit, rules
from office.cases.effects import effects_of
from office.cases.gates import Dossier, Gate
from office.cases.locks import lock_case
from office.cases.merchants import shop_of
from office.cases.reviews import decided, last_decider
from office.files import papers
from office.money.ledger import shop_balance
from office.process import Process
from office.record import audit, outbox
from office.record.inbox import Refused
from office.staff import people
from policies.approvals import Seen
from tasks.forced_closure.request import ForcedClosureAsked
from tasks.shops import bans, capabilities, demands, deposits, proposals, shops, states
from tasks.shops.questions import shop_part

effect = effects_of("forced_closures")


class ForcedVerdict(Labelled):
    CONFIRM = "CONFIRM", "同意强制关店"
    DROP = "DROP", "不予强制关店"


def propose(tx: Tx, event: ForcedClosureProposed, message: InboxMessage) -> None:
    """The platform proposes, also against a shop that has closed meanwhile but has money with us: closing first is no way
    past a ban. One closed by force, one with nothing left, or with a proposal pending is refused."""
    shop = shops.find_shop(tx, event.shop_id)
    if shop.state is ShopState.FORCED_CLOSED or (shop.state is ShopState.CLOSED and not _money_with_us(tx, shop.id)):
        raise Refused(f"店铺已处于「{shop.state.label}」状态,不能再强制关店", "CLS-10")
    pending = cases.open_cases(tx, shop.id, CaseKind.FORCED_CLOSURE)
    if pending:
        raise Refused(f"该店铺已有强制关店案件 {pending[0].id} 处理中", "CLS-10")
    cases.open_case(
        tx,
        CaseKind.FORCED_CLOSURE,
        origin=message.origin,
        received_at=message.received_at,
        shop=shop,
        actor=f"platform/{event.proposed_by}",
        clause="CLS-10",
        text=f"平台提议强制关店:{event.violation}",
        request={
            "proposal_id": event.proposal_id,
            "violation": event.violation,
            "clause": event.clause,
            "description": event.description,
            "proposed_by": event.proposed_by,
            "documents": [document.model_dump(mode="json") for document in event.documents],
        },
    )
    cases.wake_leaving(tx, shop.id)


def _money_with_us(tx: Tx, shop_id: str) -> bool:
    """Whether anything of the shop's could still leave."""
    kinds = (AccountKind.DEPOSIT, AccountKind.RECEIVABLE, AccountKind.RECEIVABLE_FROZEN)
    return any(shop_balance(tx, shop_id, kind) for kind in kinds) or bool(bans.on_the_way(tx, shop_id))


@effect("受理强制关店提议")
def admit(tx: Tx, case: Case) -> None:
    """Whom it is about is told before it is decided: what is held back meanwhile, and how to be heard (DED-8)."""
    asked = ForcedClosureAsked.of(case)
    told = words.ForcedClosureProposed(
        shop_name=shop_of(tx, case).name,
        case_id=case.id,
        violation=asked.violation,
        basis=asked.clause,
        proposed_at=case.received_at,
    )
    merchants.tell(tx, told, f"{case.id}/proposed", case=case)
    cases.move(tx, case, CaseState.UNDER_REVIEW, "平台违规核查中", clause="CLS-10")


@effect("提交第二人复核")
def to_second(tx: Tx, case: Case) -> None:
    cases.move(tx, case, CaseState.SECOND_REVIEW, "等待第二人复核", clause="CLS-10")


@effect("不予强制关店")
def drop(tx: Tx, case: Case, reason: str) -> None:
    """Nothing comes of it: the merchant, whose closing and refund waited for it, is told; why stays in the record."""
    approvals.insist_last(tx, case, (FIRST, ForcedVerdict.DROP), (SECOND, ForcedVerdict.DROP))
    told = words.ForcedClosureDropped(
        shop_name=shop_of(tx, case).name,
        case_id=case.id,
        violation=ForcedClosureAsked.of(case).violation,
        proposed_at=case.received_at,
        decided_at=tx.now,
    )
    merchants.tell(tx, told, f"{case.id}/dropped", case=case)
    cases.conclude(tx, case, CaseState.DROPPED, "经复核不予强制关店", clause="CLS-10")
    audit.record(tx, case.id, "forced_closure.dropped", text=f"不予强制关店:{reason}", clause="CLS-10")


class TooFewPeople(RuntimeError):
    """A forced closure that fewer different people have decided than the policy asks for (CLS-10): a bug, never carried out."""


@effect("重新审核强制关店")
def again(tx: Tx, case: Case, round: int) -> None:
    cases.move(tx, case, CaseState.UNDER_REVIEW, "事实发生变化,重新审核", clause="CLS-10")


@effect("再次提交第二人复核")
def to_second_again(tx: Tx, case: Case, round: int) -> None:
    cases.move(tx, case, CaseState.SECOND_REVIEW, "等待第二人复核", clause="CLS-10")


@effect("执行强制关店")
def execute(tx: Tx, case: Case, round: int) -> bool:
    """Close now, forfeit what is left of the deposit, freeze the receivables, end the shop's other cases about them
    (CLS-10, DED-6, DED-7). ``False`` when something blocking stands that one of the two has not seen (ambiguity 23)."""
    given = approvals.insist(tx, case, round, (FIRST, ForcedVerdict.CONFIRM), (SECOND, ForcedVerdict.CONFIRM))
    if len(deciders := {review.decided_by for review in given}) < rules(case).forced_closure.people:
        raise TooFewPeople(f"{case.id}: decided by {len(deciders)}")
    ids = sorted(one.id for one in cases.open_cases(tx, case.shop_id or "", CaseKind.CLOSURE, CaseKind.REFUND))
    locked = [lock_case(tx, other) for other in ids]
    others = [other for other in locked if other.kind is CaseKind.CLOSURE]
    shop = shops.find_shop(tx, case.shop_id or "")  # locked: what the bank returns at this moment is forfeited too
    if not approvals.stand(tx, given, _dossier(tx, case, given[-1]).seen):
        return False
    for capability in Capability:
        capabilities.disable(tx, case, shop, capability, clause="CLS-10")
    forfeited = deposits.forfeit(tx, shop, case, f"{case.id}/forfeit")
    shop.closed_at, shop.reopen_from = shop.closed_at or tx.now, None
    states.put(tx, shop, ShopState.FORCED_CLOSED)
    demands.end_for_closing(tx, shop.id, "CLS-10")
    frozen, under_way = bans.hold(tx, shop.id, tell=False), bans.on_the_way(tx, shop.id)
    for other in others:
        cases.conclude(tx, other, CaseState.SUPERSEDED, "店铺已被强制关店,本次关店申请终止", clause="CLS-10")
        outbox.wake(tx, other)  # its run ends instead of waiting in the list for ever
    bans.end_refunds(tx, [other for other in locked if other.kind is CaseKind.REFUND])
    event = ShopForcedClosed(
        shop_id=shop.id,
        case_id=case.id,
        closed_at=tx.now,
        clause="CLS-10",
        forfeited_fen=forfeited.fen,
        frozen_fen=frozen.fen,
        on_the_way_fen=under_way.fen,
    )
    emit(tx, event, f"{case.id}/forced-closed", case)
    told = words.ForcedClosureDecided(
        shop_name=shop.name,
        case_id=case.id,
        decided_at=tx.now,
        violation=f"{ForcedClosureAsked.of(case).violation}:{ForcedClosureAsked.of(case).description}",
        forfeited_fen=forfeited.fen,
        frozen_fen=frozen.fen,
        not_appealable="强制关店由两名审核人员共同核定,为最终处理,不适用仲裁申诉通道;如对事实有异议,请联系平台客服提交证明材料。",
    )
    merchants.tell(tx, told, f"{case.id}/decided", case=case)
    cases.conclude(
        tx, case, CaseState.FORCED_CLOSED, f"强制关店,罚没保证金 {forfeited},冻结货款 {frozen}", clause="CLS-10"
    )
    return True


def _contested(tx: Tx, case: Case) -> list[Finding]:
    """What has become of the shop's rulings meanwhile that speaks against closing it: each has at most one appeal."""
    shop_id = case.shop_id or ""
    running = tx.exec(
        select(Case.id)
        .join(Appeal, col(Appeal.case_id) == Case.id)
        .where(Case.shop_id == shop_id, col(Case.concluded_at).is_(None))
        .order_by(col(Case.id))
    ).all()
    struck = tx.exec(
        select(Ruling)
        .where(Ruling.shop_id == shop_id, col(Ruling.voided_at) >= case.received_at, col(Ruling.merged_into).is_(None))
        .order_by(col(Ruling.id))
    ).all()
    found = []
    if running:
        sentence = f"该店铺有 {len(running)} 件申诉正在审理:{'、'.join(running)}。请确认是否与本次违规有关。"
        found.append(Finding(code="appeals", clause="ARB-1", blocking=True, sentence=sentence, items=tuple(running)))
    if struck:
        named = tuple(ruling.called for ruling in struck)
        sentence = f"提议之后,该店铺有 {len(named)} 项判责已被剔除:{'、'.join(named)}。请确认是否与本次违规有关。"
        found.append(Finding(code="struck", clause="ARB-7", blocking=True, sentence=sentence, items=named))
    return found


def _dossier(tx: Tx, case: Case, review: Review) -> Dossier:
    shop = shop_of(tx, case)
    deposit = shop_balance(tx, shop.id, AccountKind.DEPOSIT)
    free, under_way = shop_balance(tx, shop.id, AccountKind.RECEIVABLE), bans.on_the_way(tx, shop.id)
    money = {"deposit": deposit.fen, "receivable": free.fen, "on_the_way": under_way.fen}
    asked = ForcedClosureAsked.of(case)
    proposal = Rows.of(
        {
            "违规": asked.violation,
            "依据": asked.clause,
            "提议人": asked.proposed_by,
            "提议编号": asked.proposal_id,
        }
    )
    first = decided(tx, case.id, FIRST.name, review.round) if review.gate == SECOND.name else None
    said = Quote.of(first.reason, f"{first.decided_by}:同意强制关店。理由:") if first else None
    contested = _contested(tx, case)
    now = Seen.of({"shop": shop.state}, [*contested, *papers.blocking(tx, case, "CLS-10", needed=True)])
    return dossier.of(
        f"强制关店 · {shop.name} · {case.id}",
        (approvals.SINCE, approvals.changes_part(tx, case, review, now, {"shop": "店铺状态"})),
        ("店铺", shop_part(tx, shop)),
        ("提议", proposal),
        ("判责与申诉", Findings.of(contested) if contested else None),
        ("说明", Quote.of(asked.description)),
        *papers.parts(tx, case, review, "CLS-10", needed=True),
        ("第一位审核人意见", said),
        (
            "同意后的结果",
            Text.of(
                "立即关闭店铺且",
                Strong(text="不可重新开店"),
                ",罚没保证金 ",
                Strong(text=str(deposit)),
                "(CLS-10、DED-6);待结算货款 ",
                Strong(text=str(free)),
                " 立即冻结,以后到账的也冻结,由两人另案决定解冻或罚没(DED-7)。",
                *(("另有 ", Strong(text=str(under_way)), " 正在打款途中,如被退回即罚没。") if under_way else ()),
            ),
        ),
        facts=now.terms,
        blocking=now.blocking,
        shown=money | proposals.shown(tx, case),
        links_until=papers.links_until(tx, case, review),
        sum_fen=deposit.fen,
    )


FIRST = Gate(
    name="forced-first",
    title="强制关店审核",
    roles=(Role.CLOSURE_REVIEWER,),
    verdicts=ForcedVerdict,
    dossier=_dossier,
    window=lambda case: rules(case).forced_closure.review_sla,
    clause="CLS-10",
    reason_required=frozenset(ForcedVerdict),
    consequences={
        "CONFIRM": "两人均同意后立即关店、罚没全部保证金并冻结货款,不可撤销",
        "DROP": "结束案件,店铺不受影响",
    },
    check=proposals.refusal,
    excluded=lambda tx, case: people.meant(tx, ForcedClosureAsked.of(case).proposed_by),
)

SECOND = replace(
    FIRST,
    name="forced-second",
    title="强制关店复核",
    roles=(Role.SUPERVISOR,),
    excluded=lambda tx, case: (
        people.meant(tx, ForcedClosureAsked.of(case).proposed_by) | last_decider(tx, case, FIRST.name)
    ),
    rests_on=FIRST.name,
)

PROCESS = Process(
    name="forced-closure",
    kind=CaseKind.FORCED_CLOSURE,
    request=ForcedClosureAsked,
    states=(CaseState.UNDER_REVIEW, CaseState.SECOND_REVIEW, CaseState.FORCED_CLOSED, CaseState.DROPPED),
    clause="CLS-10",
    hears={ForcedClosureProposed: propose},
    asks=(FIRST, SECOND),
)
