"""Releasing a month: what finance is shown before anything is issued, and who has to say yes (INV-1)."""

from __future__ import annotations

from sqlmodel import select

from models.base import Labelled
from models.cases import Case, CaseKind, CaseState
from models.dossier import Block, Code, Marked, Rows, Strong, Table, Text
from models.event_parts import TaxpayerType
from models.invoicing import AnomalyKind, BillableCategory, Period, PeriodState, Statement, StatementState
from models.money import yuan
from models.reviews import Review, Role
from office.base.db import Tx, reading
from office.cases import approvals, cases, dossier
from office.cases.cases import rules
from office.cases.effects import effects_of
from office.cases.gates import Answer, Dossier, Gate
from office.cases.markdown import drawn
from office.cases.reviews import last_decider
from office.process import Process
from policies.invoicing import sentence
from tasks import releasing
from tasks.invoicing import documents, periods, statements
from tasks.invoicing.drafts import anomalies, period_row, several_eyes
from tasks.invoicing.request import MonthAsked
from tasks.releasing import Page, SecondRelease, bars, change, read_holds

HELD_SHOWN = 20
"""How many statements held out of earlier months are listed."""


effect = effects_of("statements")
"""The name under which a month's release has been kept since the first."""


class ReleaseVerdict(Labelled):
    RELEASE = "RELEASE", "放行出账"
    REDRAFT = "REDRAFT", "重新起草"


def totals_part(period: str, totals: dict[str, object]) -> Rows:
    """The control totals, name by value."""
    t: dict[str, int] = totals  # type: ignore[assignment]
    before = f"(上期 {yuan(t['total_before_fen'])},{change(t['total_fen'], t['total_before_fen'])})"
    return Rows.of(
        {
            "账期": periods.label(period),
            "店铺数": f"{t['shops']:,}(上期 {t['shops_before']:,})",
            "需开票账单": (Strong(text=f"{t['statements']:,}"), " 份"),
            "合计金额": (Strong(text=yuan(t["total_fen"])), before),
            "无金额 / 负数结转": f"{t['nil']:,} / {t['negative']:,} 份",
            "有异常的店铺": f"{t['anomalous']:,} 家",
        }
    )


def charts_part(totals: dict[str, list[list[object]]]) -> list[Block]:
    """Amounts by category and by taxpayer type as bars."""
    categories = [
        (BillableCategory(str(row[0])).label, int(str(row[1])), int(str(row[3]))) for row in totals["by_category"]
    ]
    taxpayers = [
        (TaxpayerType(str(row[0])).label if row[0] else "未登记", int(str(row[1])), int(str(row[3])))
        for row in totals["by_taxpayer"]
    ]
    charts = [(title, rows) for title, rows in (("按类别", categories), ("按纳税人类型", taxpayers)) if rows]
    return [block for title, rows in charts for block in (Text.of(Strong(text=title)), bars(rows))]


def movers_part(totals: dict[str, list[list[object]]]) -> Table | Text:
    """The shops whose amounts changed most."""
    rows = [(str(shop), str(name), int(str(now)), int(str(last))) for shop, name, now, last in totals["movers"]]
    return releasing.movers(rows, "本期")


def _anomalies_part(tx: Tx, period: str, totals: dict[str, list[list[object]]]) -> list[Block]:
    rows = [
        (odd.kind.label, f"{one.shop_name}({one.shop_id})", sentence(odd.kind, odd.value_fen, odd.before_fen))
        for one, odd in anomalies(tx, period)
    ]
    counted = "、".join(f"{AnomalyKind(str(kind)).label} {count}" for kind, count in totals.get("anomalies", ()))
    return releasing.anomalies_part(rows, counted, f"dianwu invoicing anomalies {period} --out 异常.csv")


def _held_part(totals: dict[str, list[list[object]]]) -> list[Block]:
    """What was held out of months before and has no number yet, so that nobody forgets it."""
    held = totals.get("held_before", [])
    if not held:
        return [Text.of("(无)")]
    rows = [
        (str(period), f"{name}({shop})", yuan(int(str(fen))), str(reason), str(by))
        for period, shop, name, fen, reason, by in held[:HELD_SHOWN]
    ]
    more = f"另有 {len(held) - HELD_SHOWN} 份未列出。" if len(held) > HELD_SHOWN else ""
    return [
        Text.of(
            f"起草时共 {len(held)} 份,合计 {yuan(sum(int(str(row[3])) for row in held))}。{more}核对清楚后逐份放行:",
            Code(text="dianwu invoicing release-held 账期 店铺编号"),
        ),
        Table.of(("账期", "店铺", "金额", "暂缓理由", "暂缓人"), rows, sums=(2,)),
    ]


def _dossier(tx: Tx, case: Case, review: Review) -> Dossier:
    period = period_row(tx, MonthAsked.of(case).period)
    two = ("异常超过规定数量,放行须由", Strong(text="两人"), "完成。")
    eyes = Text.of(*two) if several_eyes(tx, case) else Text.of("一人放行即可。")
    return dossier.of(
        f"{periods.label(period.id)}账单放行 · {case.id}",
        ("控制总数", totals_part(period.id, period.totals)),
        ("图表", charts_part(period.totals)),
        ("变化最大的店铺", movers_part(period.totals)),
        ("异常", [*_anomalies_part(tx, period.id, period.totals), eyes]),
        ("以前账期暂缓、尚未出账", _held_part(period.totals)),
        facts={"draft": period.drafts, "total": period.totals.get("total_fen"), "shops": period.totals.get("shops")},
        sum_fen=period.totals.get("total_fen"),
    )


def _second_dossier(tx: Tx, case: Case, review: Review) -> Dossier:
    return releasing.with_first(tx, case, review, _dossier(tx, case, review), RELEASE.name)


def _holds_are_right(tx: Tx, case: Case, review: Review, given: Answer) -> str | None:
    period = MonthAsked.of(case).period

    def drafted(shop_id: str) -> bool:
        query = select(Statement.state).where(Statement.period == period, Statement.shop_id == shop_id)
        return tx.exec(query).first() is StatementState.DRAFT

    return releasing.wrong_hold(given, drafted, "账单")


def result_of(case_id: str) -> Page:
    """The month in one page: totals, charts, the shops that changed most."""
    with reading() as tx:
        period = MonthAsked.of(cases.get(tx, case_id)).period
        totals = statements.issued(tx, period_row(tx, period))
    title = f"{periods.label(period)}出账结果"
    parts: list[Block] = [
        Marked(markdown=f"# {title}"),
        Text.of(
            "已出账 ",
            Strong(text=f"{totals['issued']:,}"),
            f" 份({yuan(totals['issued_fen'])}),",
            "暂缓 ",
            Strong(text=f"{totals['held']:,}"),
            f" 份({yuan(totals['held_fen'])})。",
        ),
        totals_part(period, totals),
        *charts_part(totals),
        Marked(markdown="## 变化最大的店铺"),
        movers_part(totals),
    ]
    return Page(key=f"invoicing-{period}", title=title, markdown=drawn(parts))


RELEASE = Gate(
    name="invoicing-release",
    title="账单放行",
    roles=(Role.FINANCE,),
    verdicts=ReleaseVerdict,
    dossier=_dossier,
    window=lambda case: rules(case).invoicing.release_sla,
    clause="INV-1",
    reason_required=frozenset({ReleaseVerdict.REDRAFT}),
    check=_holds_are_right,
    consequences={
        "RELEASE": "给每份账单编号、出具并通知商家,次月同日前开票(异常较多时先由第二人复核)",
        "REDRAFT": "作废草稿,纳入本账期迟到的明细后重新起草",
    },
    fields=releasing.hold_field("出账", "暂缓的以后可单独放行"),
)

SECOND = Gate(
    name="invoicing-second",
    title="账单放行复核",
    roles=(Role.FINANCE, Role.SUPERVISOR),
    verdicts=SecondRelease,
    dossier=_second_dossier,
    window=lambda case: rules(case).invoicing.release_sla,
    clause="INV-1",
    reason_required=frozenset({SecondRelease.REDRAFT}),
    consequences={"CONFIRM": "按第一位放行人的意见出账", "REDRAFT": "作废草稿后重新起草"},
    excluded=lambda tx, case: last_decider(tx, case, RELEASE.name),
)


def insist(tx: Tx, case: Case, period: Period) -> list[Review]:
    """Everybody whose yes the month is issued on, as it was drafted; asked again before every chunk that is issued."""
    releasing.as_drafted(tx, case, period.totals)
    asked = (RELEASE, ReleaseVerdict.RELEASE), (SECOND, SecondRelease.CONFIRM)
    given = approvals.insist(tx, case, period.drafts, *asked)
    return releasing.enough(case, given, 2 if several_eyes(tx, case) else 1)


@effect("放行账单")
def release(tx: Tx, case: Case, round: int) -> int | None:
    """Released, but for the shops the first person held out; returns how many are held, none when it is drafted anew."""
    period = period_row(tx, MonthAsked.of(case).period)
    given = insist(tx, case, period)
    if releasing.lapsed(tx, case, given, "INV-1"):
        return None
    held = read_holds(str(given[0].answer.get("hold", "")))
    for shop_id, reason in held.items():
        statements.hold(tx, period.id, shop_id, reason, str(given[0].decided_by))
    period.state, period.cursor, period.released_at = PeriodState.ISSUING, "", tx.now
    tx.add(period)
    cases.move(
        tx, case, CaseState.ISSUING, f"{periods.label(period.id)}账单已放行,出账中", clause="INV-1", held=len(held)
    )
    return len(held)


PROCESS = Process(
    name="monthly-invoicing",
    kind=CaseKind.INVOICING,
    request=MonthAsked,
    states=(CaseState.DRAFTING, CaseState.UNDER_REVIEW, CaseState.SECOND_REVIEW, CaseState.ISSUING, CaseState.ISSUED),
    clause="INV-1",
    asks=(RELEASE, SECOND),
    every_minute={"months": lambda: len(periods.catch_up()), "documents": documents.write_due},
)
