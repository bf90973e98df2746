"""A half, step by step: closed to orders, drafted, totalled, released (STL-1 to STL-4)."""

from __future__ import annotations

from models.cases import Case, CaseState
from models.settlement import HalfState
from office.base import bulk
from office.base.db import Tx, in_transaction
from office.cases import cases
from office.cases.cases import rules
from office.cases.effects import effects_of
from policies.invoicing import needs_second_person
from policies.settlement import cut_off, label
from tasks import releasing
from tasks.payouts import contradictions
from tasks.settlement import drafts, placing
from tasks.settlement.halves import half_row
from tasks.settlement.request import HalfAsked
from tasks.shops import states

effect = effects_of("settlement")


@effect("开始起草结算单")
def begin(tx: Tx, case: Case, round: int) -> None:
    """Close the half to new orders and begin a draft; another round throws the last draft away.

    A new draft also takes in orders of the half that came late, unless their next half is closed already, or their shop's
    half is posted already: that stays as it is.
    """
    half = half_row(tx, HalfAsked.of(case).half)
    states.insist_on_bans(tx)
    contradictions.put_right(tx)
    if round > 1:
        given = {"half": half.id}
        tx.execute(
            bulk.sql("""
            DELETE FROM settlement_anomaly WHERE settlement_id IN (
                SELECT id FROM settlement WHERE half = :half AND state = 'DRAFT')
            """),
            given,
        )
        tx.execute(bulk.sql("DELETE FROM settlement WHERE half = :half AND state = 'DRAFT'"), given)
        late = """half IN (SELECT id FROM settlement_half WHERE state = 'OPEN') AND :half || '/' || shop_id NOT IN (
            SELECT id FROM settlement WHERE half = :half AND state <> 'DRAFT')"""
        tx.execute(bulk.sql(f"""
            UPDATE settlement_order SET half = :half WHERE own_half <= :half AND {late} AND NOT EXISTS (
                SELECT 1 FROM settlement_aftersale a WHERE a.order_id = settlement_order.id
                AND (a.ended_at IS NULL OR a.ended_at >= :cut_off))
            """, cut_off=cut_off(half.id)), given)  # noqa: S608  # fmt: skip
        tx.execute(bulk.sql(f"""
            UPDATE settlement_aftersale SET half = :half WHERE ended_at < :cut_off AND {late} AND EXISTS (
                SELECT 1 FROM settlement_order o WHERE o.id = settlement_aftersale.order_id AND o.half <= :half)
            """, cut_off=cut_off(half.id)), given)  # noqa: S608  # fmt: skip
    half.state, half.cursor, half.drafts, half.totals = HalfState.DRAFTING, "", round, {}
    half.closed_at = half.closed_at or tx.now
    tx.add(half)
    cases.move(tx, case, CaseState.DRAFTING, f"{label(half.id)}结算单起草中", clause="STL-1")


def meet() -> None:
    """Before the half is closed: put right what came at the same moment and did not see each other."""
    while in_transaction(placing.meet) >= placing.MEETINGS:
        pass


@effect("汇总结算单")
def total_up(tx: Tx, case: Case, round: int) -> None:
    """Control totals of the finished draft."""
    half = half_row(tx, HalfAsked.of(case).half)
    half.totals = drafts.totals(tx, half.id)
    half.state, half.drafted_at = HalfState.DRAFTED, tx.now
    tx.add(half)
    cases.move(
        tx,
        case,
        CaseState.UNDER_REVIEW,
        f"{label(half.id)}结算单待财务放行",
        clause="STL-1",
        shops=half.totals["shops"],
        paid_fen=half.totals["paid_fen"],
        **{releasing.TOTALS: releasing.digest(half.totals)},
    )


def several_eyes(tx: Tx, case: Case) -> bool:
    """Whether two people must release the draft: many anomalies, or much money."""
    totals, numbers = half_row(tx, HalfAsked.of(case).half).totals, rules(case).settlement
    return totals["paid_fen"] > numbers.four_eyes_over_fen or needs_second_person(
        totals["anomalous"], totals["shops"], numbers
    )


@effect("提交第二人放行")
def to_second(tx: Tx, case: Case, round: int) -> bool:
    """Whether a second person must release the draft, and if so note that they are awaited."""
    needed = several_eyes(tx, case)
    if needed:
        cases.move(tx, case, CaseState.SECOND_REVIEW, "金额或异常超过规定,等待第二人放行", clause="STL-1")
    return needed


@effect("完成结算")
def finish(tx: Tx, case: Case) -> None:
    """Everything that was released is posted, and what is paid has gone to the bank."""
    half = half_row(tx, HalfAsked.of(case).half)
    half.state, half.settled_at = HalfState.SETTLED, tx.now
    tx.add(half)
    found = drafts.sums(tx, half.id)
    cases.conclude(
        tx,
        case,
        CaseState.SETTLED,
        f"{label(half.id)}已结算 {found['shops']} 家店铺,付款 {half.last_payout} 笔",
        clause="STL-1",
    )
