"""Demands: a shop is open when what it must have paid is fully paid; who is short is asked, reminded, decided about.

Whatever moves a shop's deposit, arrears or standing calls :func:`look`, in its own transaction; the sweep looks at shops
nobody has looked at under the policy in force (DEP-10, DEP-11, ambiguity 36). A demand ends by itself when nothing is
missing any more, and when the shop is being closed. Nothing here moves money.
"""

from __future__ import annotations

import logging

from sqlalchemy import and_, or_
from sqlmodel import col, select

from models.base import Labelled
from models.cases import Case, CaseDeadline, CaseKind, CaseState, Side, WaitState
from models.shop_events import ShopOpened, TopUpDemanded
from models.shops import Capability, Shop, ShopState
from models.windows import Reckoned
from notifications import deposit as words
from office.base.calendar import work_calendar
from office.base.db import Tx, in_transaction, is_contention
from office.cases import approvals, cases, deadlines, merchants, reviews
from office.cases.cases import emit, rules
from office.cases.effects import effects_of
from office.cases.locks import lock_case
from office.cases.merchants import shop_of
from office.process import Process
from office.record import audit, outbox
from policies.appeal import SERVICE_HOW
from policies.deadlines import in_time, reckon, reminder_times
from policies.deposit import Missing
from policies.policy import policy_at
from tasks.shops import applications, capabilities, states
from tasks.shops.demand_review import OVERDUE, WINDOW, OverdueVerdict, overdue_dossier, windows
from tasks.shops.owed import missing
from tasks.shops.request import DepositDemanded

logger = logging.getLogger("dianwu.demands")
effect = effects_of("demands")

ASKED = (ShopState.AWAITING_DEPOSIT, ShopState.OPEN)
"""Shops that must have paid. One that is being closed, or is closed, is asked for nothing."""
PER_SWEEP = 1_000
"""Shops looked at in one sweep."""
ASKED_PER_SWEEP = 60
"""Cases begun by one sweep: an office full of shops without deposit is asked a shop a second, not all at once."""


class Carried(Labelled):
    """What has become of the decision about somebody who did not pay in time."""

    LONGER = "LONGER", "已延长期限"
    SUSPENDED = "SUSPENDED", "已暂停营业"
    CHANGED = "CHANGED", "欠缴情况已变化,须重新决定"
    OVER = "OVER", "已缴足或已开始关店"


# ── looking ──────────────────────────────────────────────────────────────────


def look(tx: Tx, shop: Shop) -> bool:
    """Compare what the shop has paid with what it must have paid, and do what follows; whoever reads a question about it is
    shown it as it is now. Returns whether something is missing."""
    reviews.wake_asking(tx, shop.id)
    if shop.state not in ASKED:
        return False
    shop.deposit_policy, shop.deposit_looked_at = policy_at(tx.now).version, tx.now.replace(microsecond=0)
    tx.add(shop)
    lacks = missing(tx, shop)
    if lacks.total:
        _demand(tx, shop, lacks)
    else:
        _fully_paid(tx, shop)
    return bool(lacks.total)


def sweep(limit: int = PER_SWEEP, most_asked: int = ASKED_PER_SWEEP) -> int:
    """Look at every shop that nobody has looked at under the policy in force, or whose paid year of certification is over.

    So those are asked, once, that an older version left open without a deposit, that registered and did not pay, and of
    whom a new policy wants more. After ``most_asked`` of them the next sweep goes on. Returns how many were looked at.
    """

    def due(tx: Tx) -> list[str]:
        expired = and_(
            col(Shop.certified_until) <= tx.now,
            col(Shop.official_account).is_(False),
            or_(col(Shop.deposit_looked_at).is_(None), col(Shop.deposit_looked_at) <= col(Shop.certified_until)),
        )
        query = select(Shop.id).where(
            col(Shop.state).in_(ASKED),
            or_(col(Shop.deposit_policy).is_distinct_from(policy_at(tx.now).version), expired),
        )
        return list(tx.exec(query.order_by(Shop.id).limit(limit)))

    looked, asked, faults = 0, 0, []
    for shop_id in in_transaction(due):
        if asked == most_asked:
            break
        looked += 1
        try:
            asked += in_transaction(lambda tx, s=shop_id: look(tx, _locked(tx, s)))  # type: ignore[misc]
        except Exception as fault:  # one shop that cannot be looked at takes nobody else's turn; raised below
            if not is_contention(fault):
                logger.exception("the deposit of shop %s could not be looked at", shop_id)
                faults.append(fault)
    if faults:
        raise ExceptionGroup("deposits that could not be looked at", faults)
    return looked


def _locked(tx: Tx, shop_id: str) -> Shop:
    query = select(Shop).where(Shop.id == shop_id).execution_options(populate_existing=True)
    return tx.exec(query.with_for_update() if tx.postgres else query).one()


# ── what follows ─────────────────────────────────────────────────────────────


def _running(tx: Tx, shop_id: str) -> Case | None:
    """The shop's demand that has not ended, locked; there is one at most."""
    found = cases.open_cases(tx, shop_id, CaseKind.DEPOSIT_DEMAND)
    return lock_case(tx, found[0].id) if found else None


def _fully_paid(tx: Tx, shop: Shop) -> None:
    shop.topup_demanded_fen = 0
    _end(tx, shop.id, CaseState.PAID, "已缴足,催缴结束", "DEP-11")
    if shop.state is ShopState.AWAITING_DEPOSIT and not applications.held(tx, shop):
        _open_for_business(tx, shop)


def _open_for_business(tx: Tx, shop: Shop) -> None:
    """Fully paid: the shop gets its capabilities, or gets them back from the case that suspended it (DEP-10, OPN-13)."""
    suspended = cases.last_concluded(tx, shop.id, CaseKind.DEPOSIT_DEMAND, CaseState.SUSPENDED)
    shop.state = ShopState.OPEN
    shop.closed_at = shop.reopen_from = None
    line = audit.record(
        tx,
        f"shop/{shop.id}",
        "shop.opened",
        clause="DEP-10",
        public=True,
        text="已缴足,店铺可以营业",
        **states.said(shop),
    )
    if suspended is not None and DepositDemanded.of(suspended).suspended:
        capabilities.restore(tx, suspended, shop, "DEP-10")
        return
    applications.opens(tx, shop)
    event = ShopOpened(shop_id=shop.id, opened_at=tx.now, capabilities=tuple(Capability), clause="DEP-10")
    emit(tx, event, f"opened/{shop.id}/{line.number}", shop_id=shop.id)


def end_for_closing(tx: Tx, shop_id: str, clause: str) -> None:
    """Clearing or a ban has begun: nobody is asked any more. When the closing is taken back, the same window goes on."""
    applications.end(tx, shop_id, clause)
    _end(tx, shop_id, CaseState.SUPERSEDED, "店铺进入关店流程,催缴终止", clause)


def _end(tx: Tx, shop_id: str, outcome: CaseState, text: str, clause: str) -> None:
    case = _running(tx, shop_id)
    if case is not None:
        cases.conclude(tx, case, outcome, text, clause=clause)
        outbox.wake(tx, case)  # its run ends instead of waiting in the list for ever


def _demand(tx: Tx, shop: Shop, lacks: Missing) -> None:
    """Ask for what is missing, and tell anew when the amount has changed. The window stays as it was given.

    A shop that is suspended, or about whose opening somebody decided, has no window any more and reads the amount only.
    """
    case, told = _running(tx, shop.id), shop.topup_demanded_fen
    has_window = case is not None or (told > 0 and shop.state is ShopState.AWAITING_DEPOSIT)
    if told == lacks.total.fen and has_window:
        return
    line = audit.record(
        tx,
        f"shop/{shop.id}",
        "deposit.topup_demanded",
        clause=lacks.clause(shop.state),
        public=True,
        text=f"需补缴 {lacks.text()}",
    )
    if case is not None:
        audit.record(
            tx,
            case.id,
            "deposit.topup_changed",
            clause=lacks.clause(shop.state),
            public=True,
            text=f"应补缴变为 {lacks.text()},期限不变",
        )
        outbox.wake(tx, case)  # whoever is deciding is shown it
    elif not has_window:
        case = _ask(tx, shop, lacks, line.number)
    shop.topup_demanded_fen = lacks.total.fen
    tx.add(shop)
    _tell(tx, shop, lacks, case, f"topup/{shop.id}/{line.number}")


def _ask(tx: Tx, shop: Shop, lacks: Missing, number: str) -> Case:
    """A case with its first window: the policy's, or what a closing that was taken back has left of an earlier one."""
    before = cases.last_concluded(tx, shop.id, CaseKind.DEPOSIT_DEMAND, CaseState.SUPERSEDED)
    before = before if shop.topup_demanded_fen else None  # paid in full since then: that one is over for good
    case = cases.open_case(
        tx,
        CaseKind.DEPOSIT_DEMAND,
        origin=f"deposit/{shop.id}/{number}",
        state=CaseState.AWAITING_PAYMENT,
        received_at=tx.now,
        shop=shop,
        request={"longer": DepositDemanded.of(before).longer if before else 0},
        clause=lacks.clause(shop.state),
        text=f"保证金催缴:{lacks.text()}",
    )
    last = windows(tx, before)[-1] if before else None
    due = Reckoned.model_validate(last.reckoned) if last else _reckon(tx, case, lacks, longer=False)
    _start(tx, case, 1, due)
    return case


def _reckon(tx: Tx, case: Case, lacks: Missing, *, longer: bool) -> Reckoned:
    numbers = rules(case).deposit
    clause = lacks.clause(shop_of(tx, case).state)
    return reckon(tx.now, numbers.longer if longer else numbers.demand, clause, work_calendar())


def _start(tx: Tx, case: Case, number: int, due: Reckoned) -> None:
    cases.open_wait(tx, case, window(number), WINDOW)
    hours = list(rules(case).reminders.merchant_hours_before)
    deadlines.start(tx, case, window(number), WINDOW, Side.MERCHANT, due, reminder_times(due.due, hours, tx.now))


def _tell(tx: Tx, shop: Shop, lacks: Missing, case: Case | None, key: str) -> None:
    """The amount, until when, and what follows, to the merchant and to the platform."""
    last = windows(tx, case)[-1] if case else None
    due = last.due_at if last and in_time(tx.now, last.due_at) else None
    clause = lacks.clause(shop.state)
    told = words.DepositTopupDemanded(
        shop_name=shop.name,
        required_fen=lacks.required.fen,
        balance_fen=lacks.balance.fen,
        shortfall_fen=lacks.shortfall.fen,
        fee_fen=lacks.fee.fen,
        as_of=tx.now,
        due=due,
        rule=clause,
        closed=shop.state is ShopState.AWAITING_DEPOSIT,
    )
    merchants.tell(tx, told, key, case=case, shop_id=shop.id)
    event = TopUpDemanded(
        shop_id=shop.id,
        required_fen=lacks.required.fen,
        balance_fen=lacks.balance.fen,
        shortfall_fen=lacks.shortfall.fen,
        certification_fee_fen=lacks.fee.fen,
        clause=clause,
        case_id=case.id if case and due else None,
        due_at=due,
    )
    emit(tx, event, key, case, shop_id=shop.id)


# ── the steps of the story ───────────────────────────────────────────────────


def window(number: int) -> str:
    """The key of a case's n-th window; the first is opened with the case, each further one by :func:`carry_out`."""
    return f"{WINDOW}/{number}"


@effect("处理逾期未缴")
def carry_out(tx: Tx, case: Case, round: int) -> Carried:
    """Grant the longer window or suspend the shop, if what is missing is what the decision was about (ambiguity 23)."""
    if case.concluded_at is not None:
        return Carried.OVER
    shop, decided = _locked(tx, case.shop_id or ""), approvals.insist(tx, case, round, (OVERDUE, OverdueVerdict))
    if not decided or not approvals.stand(tx, decided, overdue_dossier(tx, case, decided[0]).seen):
        return Carried.CHANGED
    given = decided[0]
    lacks = missing(tx, shop)
    if given.verdict == OverdueVerdict.LONGER:
        case.request = {**case.request, "longer": DepositDemanded.of(case).longer + 1}
        cases.move(
            tx, case, CaseState.AWAITING_PAYMENT, f"延长缴纳期限:{given.reason}", clause=lacks.clause(shop.state)
        )
        _start(tx, case, round + 1, _reckon(tx, case, lacks, longer=True))
        _tell(tx, shop, lacks, case, f"{case.id}/longer/{round}")
        return Carried.LONGER
    _suspend(tx, case, shop, lacks, given.reason)
    return Carried.SUSPENDED


def _suspend(tx: Tx, case: Case, shop: Shop, lacks: Missing, reason: str) -> None:
    """Shut off what the shop can do, until it has paid (DEP-10). One that never opened stays as it is."""
    held = [capability for capability in Capability if capability.value in shop.capabilities]
    case.request = {**case.request, "suspended": [capability.value for capability in held]}
    for capability in held:
        capabilities.disable(tx, case, shop, capability, clause="DEP-10")
    states.put(tx, shop, ShopState.AWAITING_DEPOSIT)
    applications.goes_unpaid(tx, shop)
    told = words.ShopSuspended(
        shop_name=shop.name,
        case_id=case.id,
        decided_at=tx.now,
        missing_fen=lacks.total.fen,
        shut_off=tuple(capability.label for capability in held),
        reason=reason,
        appeal_how=SERVICE_HOW,
    )
    merchants.tell(tx, told, f"{case.id}/suspended", case=case)
    text = "逾期未缴足,店铺暂停营业,缴足后自动恢复" if held else "逾期未缴足,店铺未开通,缴足后自动开通"
    cases.conclude(tx, case, CaseState.SUSPENDED, text, clause="DEP-10")


# ── when time passes ─────────────────────────────────────────────────────────


def _remind(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    lacks = missing(tx, shop_of(tx, case))
    merchants.remind(
        tx,
        case,
        deadline,
        matter=f"补缴{lacks.text()}({deadline.clause})",
        silence="逾期未缴足,平台将决定是否暂停店铺营业;缴足后自动恢复。",
    )


def _lapsed(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    wait = cases.find_wait(tx, case.id, deadline.key)
    if wait is not None:
        cases.close_wait(tx, wait, WaitState.LAPSED)
    cases.move(tx, case, CaseState.UNDER_REVIEW, "期限届满未缴足,等待平台决定", clause=deadline.clause)


PROCESS = Process(
    name="deposit-demand",
    kind=CaseKind.DEPOSIT_DEMAND,
    request=DepositDemanded,
    clause="DEP-11",
    asks=(OVERDUE,),
    states=(
        CaseState.AWAITING_PAYMENT,
        CaseState.UNDER_REVIEW,
        CaseState.PAID,
        CaseState.SUSPENDED,
        CaseState.SUPERSEDED,
    ),
    clocks={WINDOW: deadlines.Kind(title="缴足保证金", remind=_remind, due=_lapsed)},
    waits={WINDOW: "商家缴足保证金"},
    every_minute={"deposits": sweep},
)
