"""A self-operated account: a shop marks it, its share is reckoned, and the talent is asked (BND-9 to BND-14)."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import col, select

from models.base import Labelled
from models.bindings import Binding, BindingEnd, BindingKind
from models.cases import Case, CaseKind, CaseState, WaitState
from models.event_parts import Rejected
from models.messages import InboxMessage
from models.talent_events import (
    ConsentAnswered,
    ConsentRequested,
    ConsentWithdrawn,
    FiguresRequested,
    MarkedAccount,
    MarkingCase,
    MarkingReceived,
    MarkingRequested,
)
from notifications import bindings as words
from office.base.db import Tx
from office.cases import cases, deadlines, merchants
from office.cases.cases import emit, rules
from office.cases.effects import effects_of
from office.cases.locks import lock_case
from office.cases.merchants import shop_of
from office.items import batches
from office.record import audit, outbox
from office.record.inbox import Refused
from policies.bindings import refuse_share
from policies.deadlines import in_time
from tasks.bindings import register, sales
from tasks.bindings.intake import CONSENT, FIGURES, open_binding
from tasks.bindings.steps import refuse, start_wait
from tasks.shops.shops import find_shop

effect = effects_of("self-operated-account")

_WORDS = batches.Sentences(
    key="target_account_id",
    fields={"target_account_id": batches.ID, "target_name": "名称须为一行文字"},
)

DECLINED = "达人不同意,本次标记已关闭"

# ── what comes in ────────────────────────────────────────────────────────────


def mark(tx: Tx, event: MarkingRequested, message: InboxMessage) -> None:
    """One case for each account, whatever becomes of the others (BND-13)."""
    shop = find_shop(tx, event.shop_id)
    read, rejected = batches.read(MarkedAccount, enumerate(event.accounts, 1), _WORDS)
    told = dict[str, MarkingCase]()
    for number, one in read:
        target = one.target_account_id
        if target in told:
            rejected.append(
                Rejected(position=number, item_id=target, field="target_account_id", reason="该账号在本批中重复")
            )
            continue
        case = open_binding(
            tx,
            shop,
            message,
            event.account_id,
            BindingKind.SELF_OPERATED,
            target=target,
            name=one.target_name,
            part=f"/{number}",
        )
        told[target] = MarkingCase(target_account_id=target, case_id=case.id)
    emit(
        tx,
        MarkingReceived(shop_id=shop.id, cases=tuple(told.values()), rejected=tuple(rejected)),
        f"marking/{message.origin}",
        shop_id=shop.id,
    )


def answered(tx: Tx, event: ConsentAnswered, message: InboxMessage) -> None:
    """The talent's own word about this case; in time is what reached the door by the due time (BND-10)."""
    found = tx.get(Binding, event.case_id)
    if found is None or found.kind is not BindingKind.SELF_OPERATED or found.account_id != event.target_account_id:
        raise Refused("没有需要该账号答复的自营申请", "BND-10")
    case = lock_case(tx, event.case_id)
    wait, deadline = cases.find_wait(tx, case.id, CONSENT), deadlines.find(tx, case.id, CONSENT)
    if case.concluded_at is not None or wait is None or wait.state is not WaitState.OPEN or deadline is None:
        raise Refused("该申请当前不需要答复;已同意的,可随时撤回", "BND-10")
    if not in_time(message.received_at, deadline.due_at):
        raise Refused("答复期限已过,视为不同意", "BND-10")
    if event.agrees:
        cases.close_wait(tx, wait, WaitState.ANSWERED)
    else:
        cases.close_wait(tx, wait, WaitState.CANCELLED, {"why": DECLINED})
    deadlines.stop(tx, case.id, CONSENT)
    audit.record(
        tx,
        case.id,
        "account.consent",
        actor=f"account/{event.target_account_id}",
        clause="BND-10",
        public=True,
        text="达人已同意" if event.agrees else "达人不同意",
    )
    outbox.wake(tx, case)


def taken_back(tx: Tx, event: ConsentWithdrawn, message: InboxMessage) -> None:
    """The talent does not want it any more: at once, whatever the shop says, and whatever still waits for them is a no."""
    asked = _asked(tx, event.target_account_id)
    for case in asked:
        wait = cases.find_wait(tx, case.id, CONSENT)
        if wait is not None and wait.state is not WaitState.CANCELLED:
            wait.state, wait.answer = WaitState.CANCELLED, {"why": DECLINED}  # also a yes that is not acted on yet
            wait.closed_at = wait.closed_at or tx.now
            tx.add(wait)
            deadlines.stop(tx, case.id, CONSENT)
            audit.record(
                tx,
                case.id,
                "account.consent",
                actor=f"account/{event.target_account_id}",
                clause="BND-14",
                public=True,
                text="达人撤回同意",
            )
            outbox.wake(tx, case)
    held = register.in_force(tx, kind=BindingKind.SELF_OPERATED, account_id=event.target_account_id)
    for row in held:
        lock_case(tx, row.case_id)
        fresh = tx.get_one(Binding, row.case_id, populate_existing=True)
        if fresh.in_force:
            register.let_go(tx, fresh, BindingEnd.CONSENT_WITHDRAWN, "BND-14", f"account/{event.target_account_id}")
    if not held and not asked:
        raise Refused("该账号不是任何店铺的自营账号,也没有待答复的申请", "BND-14")


def _asked(tx: Tx, account_id: str) -> list[Case]:
    """Cases, locked, that have asked this talent and have not ended."""
    query = (
        select(Binding.case_id)
        .join(Case, col(Case.id) == col(Binding.case_id))
        .where(Binding.kind == BindingKind.SELF_OPERATED, Binding.account_id == account_id)
        .where(Case.kind == CaseKind.ACCOUNT_BINDING, col(Case.concluded_at).is_(None))
        .order_by(Binding.case_id)
    )
    locked = [lock_case(tx, case_id) for case_id in list(tx.exec(query))]
    return [case for case in locked if case.concluded_at is None and cases.find_wait(tx, case.id, CONSENT)]


# ── the steps of the story ───────────────────────────────────────────────────


class Known(Labelled):
    """What the days say about the share."""

    ENOUGH = "ENOUGH", "达到标准"
    REFUSED = "REFUSED", "未达到标准"
    INCOMPLETE = "INCOMPLETE", "数据不全"


@effect("核算成交占比")
def reckon(tx: Tx, case: Case, round: int) -> Known:
    """Reckon the share over the days before the marking; what is missing the first time is asked for, then it is a no."""
    row = register.of_case(tx, case)
    first, last = sales.window(case)
    case.request = {**case.request, "first_day": first.isoformat(), "last_day": last.isoformat()}
    tx.add(case)
    found = sales.share(tx, case, row)
    cases.keep_findings(tx, case, f"share/{round}", found.findings)
    audit.record(
        tx,
        case.id,
        "account.share",
        clause="BND-9",
        public=True,
        text=f"{first:%m-%d} 至 {last:%m-%d} 成交占比:" + (f"{found.percent}%" if not found.findings else "数据不全"),
        shop_fen=found.shop_fen,
        total_fen=found.total_fen,
    )
    if found.enough:
        return Known.ENOUGH
    if found.findings and round == 1:
        return Known.INCOMPLETE
    refusal = refuse_share(found, rules(case).bindings)
    if refusal is not None:
        refuse(tx, case, refusal)
    return Known.REFUSED


@effect("请平台补报成交数据")
def ask_figures(tx: Tx, case: Case) -> str:
    """Ask the platform for the days that cannot be counted; returns the key of the wait."""
    row = register.of_case(tx, case)
    cases.move(tx, case, CaseState.AWAITING_FIGURES, "成交数据不全,已请平台补报", clause="BND-9")
    until = start_wait(tx, case, FIGURES, rules(case).bindings.figures, "BND-9")
    days = sorted({day for finding in sales.share(tx, case, row).findings for day in finding.items})
    emit(
        tx,
        FiguresRequested.model_validate({**register.about(row), "days": days, "until": until}),
        f"{case.id}/figures",
        case,
    )
    return FIGURES


@effect("请达人同意")
def ask_talent(tx: Tx, case: Case) -> str:
    """Ask the talent, as a party of the case, and tell the shop so; returns the key of the wait (BND-10)."""
    cases.move(tx, case, CaseState.AWAITING_CONSENT, "等待达人同意", clause="BND-10")
    until = start_wait(tx, case, CONSENT, rules(case).bindings.consent, "BND-10")
    ask(tx, case, until)
    row = register.of_case(tx, case)
    told = words.ConsentAsked(
        shop_name=shop_of(tx, case).name,
        case_id=case.id,
        account=row.shown,
        share_percent=sales.share(tx, case, row).percent,
        until=until,
    )
    merchants.tell(tx, told, f"{case.id}/consent", case=case)
    return CONSENT


def ask(tx: Tx, case: Case, until: datetime, reminder: int | None = None) -> None:
    """The question to the talent, or its repetition; ``reminder`` counts those still to come."""
    event = ConsentRequested(
        **register.about(register.of_case(tx, case)),
        shop_name=shop_of(tx, case).name,
        until=until,
        reminder=reminder is not None,
    )
    emit(tx, event, f"{case.id}/consent" + ("" if reminder is None else f"/again/{reminder}"), case)
