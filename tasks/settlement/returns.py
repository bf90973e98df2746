"""A payment of receivables that the bank did not make or sent back: finance pays once more, or leaves it to the next half."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlmodel import col, select

from models.base import Labelled
from models.books import AccountKind
from models.cases import Case, CaseKind, CaseState, Finding
from models.dossier import Findings, Quote, Rows, Strong, Table
from models.money import Money, yuan
from models.payouts import Order, Payout, PayoutState
from models.reviews import Review, Role
from models.settlement import HoldReason, Settlement, SettlementAccount, SettlementState
from office.base.db import Tx, in_transaction, reading
from office.cases import approvals, cases, dossier
from office.cases.cases import rules
from office.cases.effects import effects_of
from office.cases.gates import OPEN, Answer, Dossier, Gate
from office.cases.merchants import shop_of
from office.cases.reviews import decided, last_decider
from office.process import Process
from office.record import outbox
from policies.approvals import Seen
from policies.obstacles import facts_stale
from tasks.payouts import payouts, permits
from tasks.settlement import drafts, payments
from tasks.settlement.payments import BACK
from tasks.settlement.request import ReturnAsked
from tasks.shops import facts, payees, shops

effect = effects_of("settlement_returns")


class ReturnVerdict(Labelled):
    AGAIN = "AGAIN", "再次付款"
    DEFER = "DEFER", "并入下期结算"


class ReturnSecond(Labelled):
    CONFIRM = "CONFIRM", "复核付款"
    BACK = "BACK", "退回重新处理"


def settlement_of(tx: Tx, case: Case) -> Settlement:
    return tx.get_one(Settlement, ReturnAsked.of(case).settlement)


def amount_of(tx: Tx, case: Case) -> Money:
    """What can be paid once more: what came back, as far as it is still free, after what the shop owes by now."""
    return payments.payable_now(tx, settlement_of(tx, case))[1]


@effect("受理货款退票")
def admit(tx: Tx, case: Case, round: int) -> None:
    cases.move(tx, case, CaseState.UNDER_REVIEW, "货款被银行退回,等待财务处理", clause="STL-1")
    facts.want(tx, case)  # asked for early, they may be there before anybody has decided


@effect("提交第二人复核", kept_as="needs_second")
def to_second(tx: Tx, case: Case, round: int) -> bool:
    """Whether the amount takes two people."""
    if amount_of(tx, case).fen <= rules(case).settlement.second_payout_over_fen:
        return False
    cases.move(tx, case, CaseState.SECOND_REVIEW, "金额较大,等待第二人复核", clause="STL-1")
    return True


@effect("再次付款")
def pay(tx: Tx, case: Case, round: int) -> bool:
    """Order the bank once more; ``False`` if what people saw is no longer so."""
    given = approvals.insist(tx, case, round, (RETURNED, ReturnVerdict.AGAIN), (SECOND, ReturnSecond.CONFIRM))
    row, amount = settlement_of(tx, case), amount_of(tx, case)
    account = tx.get(SettlementAccount, row.shop_id)
    enough = len(given) > 1 or amount.fen <= rules(case).settlement.second_payout_over_fen
    stand = bool(given) and approvals.stand(tx, given, _dossier(tx, case, given[-1]).seen)
    if not (stand and enough and amount and account) or _in_the_way(tx, case):
        return False
    facts.insist(tx, case)
    set_off, _ = payments.payable_now(tx, row)
    payments.set_off_first(tx, case, row, set_off.fen)
    order = Order(payee=payees.payee_of(account), fen=amount.fen)
    permits.grant(tx, case, [order], [str(review.decided_by) for review in given])
    (payout,) = payouts.instruct(tx, case, round, [order], AccountKind.RECEIVABLE)
    row.state, row.request_no, row.payee_masked = SettlementState.PAYING, payout.request_no, payout.payee_masked
    row.paid_fen, row.left_fen = row.paid_fen + amount.fen, row.left_fen - amount.fen
    tx.add(row)
    return True


def answered(case_id: str) -> bool:
    """Whether the bank has answered the last order."""
    with reading() as tx:
        return _last(tx, case_id).state is not PayoutState.REQUESTED


def arrived(case_id: str) -> bool:
    with reading() as tx:
        return _last(tx, case_id).state not in BACK


def _last(tx: Tx, case_id: str) -> Payout:
    return payouts.of_case(tx, case_id)[-1]


@effect("货款到账并结案")
def settle(tx: Tx, case: Case, round: int) -> None:
    last = _last(tx, case.id)
    cases.conclude(
        tx, case, CaseState.PAID_AGAIN, f"{yuan(last.amount_fen)} 已付至 {last.payee_masked}", clause="STL-1"
    )


@effect("并入下期结算")
def defer(tx: Tx, case: Case) -> None:
    """The money stays among the shop's receivables, and the next half brings it on."""
    cases.conclude(tx, case, CaseState.DEFERRED, "退回的货款留存,并入下期结算", clause="STL-1")


# ── what finance sees ────────────────────────────────────────────────────────


def _in_the_way(tx: Tx, case: Case) -> HoldReason | None:
    hold = drafts.hold_now(tx, case.shop_id or "", but=case.id)
    return hold if hold is not HoldReason.NONE else None


def _blocking(tx: Tx, case: Case) -> list[Finding]:
    hold = _in_the_way(tx, case)
    if hold is None:
        return []
    return [
        Finding(code="hold", clause="STL-1", blocking=True, sentence=f"{hold.label}。", value=hold.value, as_of=tx.now)
    ]


def _age(tx: Tx, case: Case) -> list[Finding]:
    """That the facts are too old to pay on: new ones are asked for when it comes to that (ambiguity 27)."""
    _, snapshot = shops.facts_of(tx, case.shop_id or "")
    return list(facts_stale(snapshot.as_of if snapshot else None, tx.now, rules(case)))


def look_again() -> int:
    """Have finance's questions asked anew where what stands in the way has come or gone by itself, as an account's rest does.

    Nothing else says so: time has passed, or something was signed or cleared.
    """

    def work(tx: Tx) -> int:
        query = (
            select(Case, Review.seen)
            .join(Review, col(Review.case_id) == Case.id)
            .where(
                Case.kind == CaseKind.SETTLEMENT_RETURN, col(Case.concluded_at).is_(None), col(Review.state).in_(OPEN)
            )
        )
        moved = [case for case, seen in tx.exec(query) if _shown(seen) != {one.value for one in _blocking(tx, case)}]
        for case in moved:
            outbox.wake(tx, case)
        return len(moved)

    return in_transaction(work)


def _shown(seen: Mapping[str, Any] | None) -> set[Any]:
    return {one["value"] for one in (seen or {}).get("blocking", ())}


_TERMS = {"amount": "可再次付款金额", "account": "收款账户", "state": "结算单状态"}


def _dossier(tx: Tx, case: Case, review: Review) -> Dossier:
    asked, row, shop = ReturnAsked.of(case), settlement_of(tx, case), shop_of(tx, case)
    account = tx.get(SettlementAccount, shop.id)
    query = select(Payout).where(Payout.shop_id == shop.id, Payout.source == AccountKind.RECEIVABLE)
    tried = [
        (one.request_no, yuan(one.amount_fen), one.payee_masked, one.state.label, one.bank_reason or "—")
        for one in tx.exec(query.order_by(col(Payout.requested_at).desc()).limit(TRIED))
    ]
    since = ""
    if account is not None:
        changed = "已更换" if row.payee_masked != account.payee_masked else "与退回时相同"
        since = f"{account.payee_masked}({changed},{dossier.when(account.changed_at)} 起)"
    about = Rows.of(
        {
            "店铺": f"{shop.name}({shop.id})",
            "结算单": f"{asked.number}({row.half})",
            "可再次付款": (Strong(text=str(amount_of(tx, case))), f",先抵扣欠款 {payments.payable_now(tx, row)[0]}"),
            "现在的收款账户": since or "没有",
        }
    )
    now = Seen.of(
        {"amount": amount_of(tx, case).fen, "account": account.payee_sha256 if account else "", "state": row.state},
        _blocking(tx, case),
    )
    first = decided(tx, case.id, RETURNED.name, review.round) if review.gate == SECOND.name else None
    return dossier.of(
        f"货款退票处理 · {shop.name} · {case.id}",
        (approvals.SINCE, approvals.changes_part(tx, case, review, now, _TERMS)),
        ("退回的货款", about),
        ("检查", Findings.of(found) if (found := [*now.blocking, *_age(tx, case)]) else None),
        (f"该店铺最近 {TRIED} 笔货款付款", Table.of(("请求号", "金额", "账户", "状态", "银行说明"), tried, sums=(1,))),
        ("第一人意见", Quote.of(first.reason, f"{first.decided_by}:再次付款") if first else None),
        facts=now.terms,
        blocking=now.blocking,
        sum_fen=amount_of(tx, case).fen,
    )


TRIED = 10
"""How many of a shop's last payments are shown."""


def _can_be_paid(tx: Tx, case: Case, review: Review, given: Answer) -> str | None:
    if given.verdict != ReturnVerdict.AGAIN:
        return None
    if hold := _in_the_way(tx, case):
        return f"现在不能付款:{hold.label};可选择并入下期结算,或等原因消除后再决定"
    return None if amount_of(tx, case) else "没有可再次付款的货款(已被抵扣、冻结或并入下期),请选择并入下期结算"


RETURNED = Gate(
    name="settlement-returned",
    title="货款退票处理",
    roles=(Role.FINANCE,),
    verdicts=ReturnVerdict,
    dossier=_dossier,
    window=lambda case: rules(case).settlement.return_sla,
    clause="STL-1",
    check=_can_be_paid,
    reason_required=frozenset(ReturnVerdict),
    consequences={
        "AGAIN": "以新的请求号向现在的收款账户付款一次(金额较大时先由第二人复核)",
        "DEFER": "货款留存,下一次结算时一并付款",
    },
)

SECOND = Gate(
    name="settlement-returned-second",
    title="货款退票复核",
    roles=(Role.FINANCE, Role.SUPERVISOR),
    verdicts=ReturnSecond,
    dossier=_dossier,
    window=lambda case: rules(case).settlement.return_sla,
    clause="STL-1",
    reason_required=frozenset({ReturnSecond.BACK}),
    rests_on=RETURNED.name,
    consequences={"CONFIRM": "按第一人的意见再次付款", "BACK": "退回财务重新处理"},
    excluded=lambda tx, case: last_decider(tx, case, RETURNED.name),
)

PROCESS = Process(
    name="settlement-return",
    kind=CaseKind.SETTLEMENT_RETURN,
    leaves=True,
    request=ReturnAsked,
    clause="STL-1",
    states=(
        CaseState.UNDER_REVIEW,
        CaseState.SECOND_REVIEW,
        CaseState.PAYING,
        CaseState.PAID_AGAIN,
        CaseState.DEFERRED,
    ),
    asks=(RETURNED, SECOND),
    pays=payments.PAYS,
    every_minute={"returns": look_again},
)
