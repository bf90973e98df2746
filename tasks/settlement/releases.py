"""Releasing a half: what finance is shown before anything is paid, who has to say yes, and holds that end (STL-1, STL-5)."""

from __future__ import annotations

from typing import Any

from sqlmodel import select

from models.base import Labelled
from models.cases import Case, CaseKind, CaseState
from models.dossier import Block, Code, Items, Marked, Rows, Strong, Table, Text
from models.money import Money, yuan
from models.reviews import Review, Role
from models.settlement import (
    Half,
    HalfState,
    HoldReason,
    Settlement,
    SettlementAnomalyKind,
    SettlementState,
)
from models.shops import ShopSnapshot
from models.text import shortened
from office.base.db import Tx, reading
from office.cases import approvals, cases, dossier, judge
from office.cases.cases import rules
from office.cases.effects import effects_of, insisting
from office.cases.gates import Answer, Dossier, Gate, Outcome
from office.cases.locks import lock_case
from office.cases.markdown import drawn
from office.cases.reviews import decided, last_decider
from office.process import Process
from office.record import audit
from office.staff import people, staff
from policies.obstacles import too_old
from policies.settlement import label, sentence
from tasks import releasing
from tasks.releasing import Page, SecondRelease, bars, change, read_holds
from tasks.settlement import ages, drafts, halves, payments, proof
from tasks.settlement.halves import half_row
from tasks.settlement.request import HalfAsked
from tasks.settlement.steps import several_eyes
from tasks.shops import facts

effect = effects_of("settlement")

SHOWN = 20
"""How many shops that are paid nothing are listed."""
PARTLY = "平台冻结部分货款(STL-6)"


class ReleaseVerdict(Labelled):
    RELEASE = "RELEASE", "放行结算"
    REDRAFT = "REDRAFT", "重新起草"


def totals_part(half: str, t: dict[str, Any]) -> Rows:
    """The control totals, with the sum that must come out."""
    last = t["last"]
    posted, fen = t.get("posted", (0, 0))

    def beside(key: str) -> str:
        return f"(上期 {yuan(last[key])},{change(t[key], last[key])})"

    return Rows.of(
        {
            "结算期": f"{label(half)}({half})",
            "店铺数": f"{t['shops']:,}(上期 {last['shops']:,})",
            "到期订单": f"{t['orders']:,} 笔,售后 {t['aftersales']:,} 笔(上期 {last['orders']:,} 笔)",
            "应结合计": (Strong(text=yuan(t["due_fen"])), beside("due_fen")),
            "上期结余 / 负数结转": f"{yuan(t['brought_fen'])} / {yuan(t['carried_in_fen'])}",
            "抵扣欠款": yuan(t["set_off_fen"]),
            "未开票冻结(INV-7)": yuan(t["kept_fen"]),
            "本期付款": (Strong(text=yuan(t["paid_fen"])), f",{t['payments']:,} 笔{beside('paid_fen')}"),
            "暂不打款": f"{yuan(t['left_fen'])},其中平台冻结 {yuan(t['frozen_fen'])}",
            "负数结转下期 / 转为欠款": f"{yuan(t['carried_fen'])} / {yuan(t['owed_fen'])}",
            "售后未结束、顺延的订单": f"{t['waiting_orders']:,} 笔,{yuan(t['waiting_fen'])}",
            "有异常的店铺": f"{t['anomalous']:,} 家",
            **({"其中此前已入账(不再付款)": f"{posted:,} 家,{yuan(fen)}"} if posted else {}),
            **({"找不到订单的售后": f"{t['strays']:,} 笔(订单报送后自动归入)"} if t["strays"] else {}),
        }
    )


def charts_part(t: dict[str, Any]) -> Table:
    """The parts of the amount as bars, against the half before."""
    parts = (
        ("买家实付", "goods_fen", 1),
        ("平台补贴", "subsidy_fen", 1),
        ("退款", "refund_fen", -1),
        ("佣金", "commission_fen", -1),
        ("服务费", "fee_fen", -1),
    )
    return bars([(name, sign * t[key], sign * t["last"][key]) for name, key, sign in parts])


def movers_part(t: dict[str, Any]) -> Table | Text:
    """The shops whose amounts changed most."""
    return releasing.movers(t["movers"], "本期应结")


def _anomalies_part(tx: Tx, half: str, t: dict[str, Any]) -> list[Block]:
    rows = [
        (odd.kind.label, f"{row.shop_name}({row.shop_id})", sentence(odd.kind, odd.value_fen, odd.before_fen))
        for row, odd in drafts.anomalies(tx, half)
    ]
    counted = "、".join(f"{SettlementAnomalyKind(str(kind)).label} {count}" for kind, count in t.get("anomalies", ()))
    return releasing.anomalies_part(rows, counted, f"dianwu settlement anomalies {half} --out 异常.csv")


def _held_part(tx: Tx, half: str, t: dict[str, Any]) -> list[Block]:
    """Who is paid nothing, and why; those with most money by name."""
    if not t["holds"]:
        return [Text.of("(无)")]
    rows = [
        (f"{row.shop_name}({row.shop_id})", yuan(row.left_fen), row.hold.label or PARTLY)
        for row in drafts.held(tx, half, SHOWN)
    ]
    return [
        Items.of(f"{HoldReason(str(hold)).label}:{count:,} 家,{yuan(fen)}" for hold, count, fen in t["holds"]),
        Text.of(f"金额最大的 {len(rows)} 家(完整清单:", Code(text=f"dianwu settlement held {half}"), ")"),
        Table.of(("店铺", "留存", "原因"), rows, sums=(1,)),
    ]


def _dossier(tx: Tx, case: Case, review: Review) -> Dossier:
    half = half_row(tx, HalfAsked.of(case).half)
    over = f"付款合计超过 {yuan(rules(case).settlement.four_eyes_over_fen)} 或异常超过规定数量,放行须由"
    eyes = Text.of(over, Strong(text="两人"), "完成。") if several_eyes(tx, case) else Text.of("一人放行即可。")
    return dossier.of(
        f"{label(half.id)}货款结算放行 · {case.id}",
        ("控制总数", totals_part(half.id, half.totals)),
        ("金额构成", charts_part(half.totals)),
        ("变化最大的店铺", movers_part(half.totals)),
        ("异常", [*_anomalies_part(tx, half.id, half.totals), eyes]),
        ("暂不打款", _held_part(tx, half.id, half.totals)),
        facts={"draft": half.drafts, "paid": half.totals.get("paid_fen"), "shops": half.totals.get("shops")},
        sum_fen=half.totals.get("paid_fen"),
    )


def _second_dossier(tx: Tx, case: Case, review: Review) -> Dossier:
    return releasing.with_first(tx, case, review, _dossier(tx, case, review), RELEASE.name)


def _holds_are_right(tx: Tx, case: Case, review: Review, given: Answer) -> str | None:
    half = HalfAsked.of(case).half

    def drafted(shop_id: str) -> bool:
        query = select(Settlement.state).where(Settlement.half == half, Settlement.shop_id == shop_id)
        return tx.exec(query).first() is SettlementState.DRAFT

    return releasing.wrong_hold(given, drafted, "结算单")


def release_held(tx: Tx, half_id: str, shop_id: str, staff_id: str, code: str, reason: str) -> Outcome:
    """Pay one shop that finance held out, proved by another person's own code.

    Only that hold is ended so; every other one ends by what it is about. A refusal is returned, not raised: the code
    is spent and counted whatever follows.
    """
    if words := staff.unauthorised(tx, staff_id, code, Role.FINANCE, "放行暂缓的结算单", reason):
        return Outcome(accepted=False, sentence=words)
    row = tx.exec(select(Settlement).where(Settlement.half == half_id, Settlement.shop_id == shop_id)).first()
    if row is None or row.hold is not HoldReason.FINANCE or row.state is not SettlementState.HELD or row.taken_on:
        return Outcome(accepted=False, sentence=f"店铺 {shortened(shop_id, 64)} 本期没有财务暂缓、仍未付款的结算单")
    if row.held_by == staff_id:  # what one person held out of what two had released, that person does not pay alone
        return Outcome(accepted=False, sentence="由您暂缓的结算单,须由另一位财务放行")
    case = lock_case(tx, str(half_row(tx, half_id).case_id))
    half = half_row(tx, half_id)
    tx.refresh(row)
    if sentence_ := _stands_in_the_way(tx, case, row):
        return Outcome(accepted=False, sentence=sentence_)
    set_off, amount = payments.payable_now(tx, row)
    # What has become free since comes with the next half.
    amount = Money(fen=max(0, min(amount.fen, row.left_fen - row.frozen_fen)))
    if not amount:
        return Outcome(accepted=False, sentence="没有可付款的金额:已被冻结、抵扣欠款或扣回")
    tx.expunge(row)
    payments.set_off_first(tx, case, row, set_off.fen)
    row.paid_fen, row.left_fen, row.hold = amount.fen, row.left_fen - amount.fen, HoldReason.NONE
    payments.pay(tx, case, half, [row], [row.held_by, staff_id])
    row.state = SettlementState.PAYING if row.paid_fen else SettlementState.HELD
    tx.merge(row)
    tx.flush()
    audit.record(
        tx,
        f"shop/{shop_id}",
        "settlement.released",
        actor=f"staff/{staff_id}",
        clause="STL-1",
        text=f"{label(half_id)}货款解除暂缓:{reason}",
    )
    return Outcome(accepted=True, sentence=f"已提交银行付款 {yuan(row.paid_fen)}({row.request_no})")


def _stands_in_the_way(tx: Tx, case: Case, row: Settlement) -> str | None:
    """Why a shop can be paid nothing at this moment, whatever finance says; facts that are too old are asked for (27)."""
    if case.halted or judge.disputed(tx, case):
        return "本期结算已停止,主管核实之前不付款"
    if (hold := drafts.hold_now(tx, row.shop_id)) is not HoldReason.NONE:
        return f"现在不能付款:{hold.label}"
    snapshot = tx.get(ShopSnapshot, row.shop_id)
    if snapshot is not None and not too_old(snapshot.as_of, tx.now, rules(case)):
        return None
    since = snapshot.as_of if snapshot else None
    ages.request(tx, case, row.shop_id, since, facts.answer_by(tx, case).due)
    return f"现在不能付款:经营数据截至 {dossier.when(since)},已过期,已请平台报送;收到后请再次放行"


def result_of(case_id: str) -> Page:
    """The half in one page: totals, charts, the shops that changed most."""
    with reading() as tx:
        half = HalfAsked.of(cases.get(tx, case_id)).half
        row = half_row(tx, half)
        totals = row.totals | drafts.sums(tx, half) | {"posted": (0, 0)}
    title = f"{label(half)}结算结果"
    parts: list[Block] = [
        Marked(markdown=f"# {title}"),
        Text.of(
            "已结算 ",
            Strong(text=f"{totals['shops']:,}"),
            " 家店铺,付款 ",
            Strong(text=f"{row.last_payout:,}"),
            f" 笔({yuan(totals['paid_fen'])})。",
        ),
        totals_part(half, totals),
        charts_part(totals),
        Marked(markdown="## 变化最大的店铺"),
        movers_part(totals),
    ]
    return Page(key=f"settlement-{half}", title=title, markdown=drawn(parts))


RELEASE = Gate(
    name="settlement-release",
    title="货款结算放行",
    roles=(Role.FINANCE,),
    verdicts=ReleaseVerdict,
    dossier=_dossier,
    window=lambda case: rules(case).settlement.release_sla,
    clause="STL-1",
    reason_required=frozenset({ReleaseVerdict.REDRAFT}),
    check=_holds_are_right,
    consequences={
        "RELEASE": "入账、抵扣欠款、冻结应冻部分,其余提交银行付款并通知商家(金额或异常超过规定时先由第二人复核);"
        "经营数据过期的店铺先请平台报送,未按时报送的本期暂不打款",
        "REDRAFT": "作废草稿,纳入本期迟到的订单和售后后重新起草",
    },
    fields=releasing.hold_field("付款", "暂缓的可单独放行或并入下期"),
)

SECOND = Gate(
    name="settlement-second",
    title="货款结算复核",
    roles=(Role.FINANCE, Role.SUPERVISOR),
    verdicts=SecondRelease,
    dossier=_second_dossier,
    window=lambda case: rules(case).settlement.release_sla,
    clause="STL-1",
    reason_required=frozenset({SecondRelease.REDRAFT}),
    consequences={"CONFIRM": "按第一位放行人的意见结算付款", "REDRAFT": "作废草稿后重新起草"},
    excluded=lambda tx, case: last_decider(tx, case, RELEASE.name),
)


def insist(tx: Tx, case: Case, half: Half) -> list[Review]:
    """Everybody whose yes the half is paid on, as it was drafted; asked again before every chunk that is paid."""
    releasing.as_drafted(tx, case, half.totals)
    asked = (RELEASE, ReleaseVerdict.RELEASE), (SECOND, SecondRelease.CONFIRM)
    given = approvals.insist(tx, case, half.drafts, *asked)
    return releasing.enough(case, given, 2 if several_eyes(tx, case) else 1)


def lost(case_id: str) -> bool:
    """Whether somebody who released the half may not release any more: nothing is worth waiting for, then."""

    def look() -> bool:
        with reading() as tx:
            half = tx.get_one(Half, HalfAsked.of(cases.get(tx, case_id)).half)
            asked = [decided(tx, case_id, gate.name, half.drafts) for gate in (RELEASE, SECOND)]
            given = [review for review in asked if review is not None]
            return half.state is HalfState.SETTLING and bool(people.lost(tx, given))

    return insisting(case_id, "核对放行", look)


@effect("放行结算单")
def release(tx: Tx, case: Case, round: int) -> int | None:
    """Released, but for the shops the first person held out; returns how many are held, none when it is drafted anew."""
    half = half_row(tx, HalfAsked.of(case).half)
    given = insist(tx, case, half)
    if releasing.lapsed(tx, case, given, "STL-1"):
        return None
    asked, by = read_holds(str(given[0].answer.get("hold", ""))), str(given[0].decided_by)
    held = sum(drafts.hold(tx, half.id, shop_id, reason, by) for shop_id, reason in asked.items())  # if drafted still
    half.state, half.cursor, half.released_at = HalfState.SETTLING, "", tx.now
    tx.add(half)
    cases.move(tx, case, CaseState.SETTLING, f"{label(half.id)}结算单已放行,结算中", clause="STL-1", held=held)
    return held


PROCESS = Process(
    name="settlement",
    kind=CaseKind.SETTLEMENT,
    request=HalfAsked,
    states=(CaseState.DRAFTING, CaseState.UNDER_REVIEW, CaseState.SECOND_REVIEW, CaseState.SETTLING, CaseState.SETTLED),
    clause="STL-1",
    asks=(RELEASE, SECOND),
    pays=payments.PAYS,
    clocks=ages.CLOCKS,
    every_minute={"halves": lambda: len(halves.catch_up())},
    proves=proof.check,
)
