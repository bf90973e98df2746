"""Invoicing scenes: a month released and issued, clean and odd invoices, a red letter, a freeze and its release."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import col, select

from models.books import AccountKind
from models.cases import Case
from models.invoicing import AnomalyKind, Statement, StatementState
from office.base.db import in_transaction
from ops.rehearsal import NotAsExpected, Rehearsal
from ops.scenes.papers import sheet
from ops.scenes.stage import Waiting, balance, expect, register, waiting_row
from policies.policy import SHANGHAI
from tasks.invoicing import drafts, statements
from tasks.invoicing.exit_duty import outstanding
from tasks.invoicing.request import MonthAsked

SHOPS = {
    "shop-2001": "柚子家居",
    "shop-2002": "松果文创",
    "shop-2003": "蓝鲸数码",
    "shop-2004": "青禾农品",
    "shop-2005": "晚风服饰",
}
UNKNOWN = "shop-2005"
"""The shop that registered no tax number."""
HELD = "shop-2002"
USCC = "91330226MA2AB1C2D8"


def month_of(moment: datetime, back: int = 0) -> str:
    """``2026-10``: the month in Beijing, so many months back."""
    local = moment.astimezone(SHANGHAI)
    months = local.year * 12 + local.month - 1 - back
    return f"{months // 12:04d}-{months % 12 + 1:02d}"


@dataclass
class InvoicingScene:
    """Two months: the older one issued, partly invoiced, one shop frozen; the newer one waits for its release."""

    stage: Rehearsal
    title: str = "月度开票:放行出账、清晰与存疑发票、红字发票、冻结与解冻、退店发票"
    _cases: list[str] = field(default_factory=list)
    _numbers: int = 0
    _older: str = ""
    _newer: str = ""
    _release: str = ""
    _odd: str = ""
    _ordinary: str = ""

    def set_up(self) -> None:
        stage = self.stage
        for shop_id, name in SHOPS.items():
            register(
                stage,
                shop_id,
                name,
                "ENTERPRISE",
                400_000,
                "BANK",
                "3301040160000001111",
                **({} if shop_id == UNKNOWN else {"uscc": USCC}),
            )
        stage.send(
            "receivable.settled",
            {
                "shop_id": "shop-2003",
                "settlement_id": "stl-demo-1",
                "amount_fen": 100_000,
                "settled_at": stage.now().isoformat(),
            },
        )
        self._older, self._newer = month_of(stage.now(), 1), month_of(stage.now())
        self._bill(self._older, {"shop-2001": 50_000, "shop-2002": 30_000, "shop-2003": 9_000, "shop-2004": 20_000})
        self._bill(
            self._newer,
            {
                "shop-2001": 990_000,
                "shop-2002": 31_000,
                "shop-2003": 12_000,
                "shop-2004": -5_000,
                UNKNOWN: 8_000,
            },
        )
        self._bill(self._newer, {"shop-2003": 12_000}, again="-again")  # the same once more, under another number
        stage.sweep()  # a month that is over is opened by the sweep, whatever the schedule did
        older = self._month(self._older)
        stage.decide(older, "invoicing-release", "wang-fang", "放行出账")
        stage.state(older, "ISSUED")
        self._cases.append(older)
        self._invoice("shop-2001", 50_000)
        due = self._statement("shop-2003", self._older).due_at or stage.now()
        stage.advance(due - timedelta(hours=1) - stage.now())  # what people are asked is asked just now
        self._invoice("shop-2002", 30_000, buyer_name="另一家公司")
        self._odd = stage.case_of("shop-2002", "invoice-review")
        stage.asks(self._odd, "invoice-review")
        self._invoice("shop-2004", 20_000, kind="ORDINARY", difficulty="税务系统升级,本月无法开具专用发票")
        self._ordinary = stage.case_of("shop-2004", "invoice-review")
        stage.asks(self._ordinary, "invoice-review")
        stage.advance(due - stage.now() + timedelta(minutes=1))  # nobody has invoiced the third shop's 90.00
        stage.sweep()
        stage.wait(lambda: balance(stage, "shop-2003", AccountKind.RECEIVABLE_FROZEN) == 2_700, "27.00 are frozen")
        self._release = self._month(self._newer)
        stage.asks(self._release, "invoicing-release")

    def play(self) -> None:
        stage = self.stage
        expect("冻结 30%(90.00 → 27.00)", balance(stage, "shop-2003", AccountKind.RECEIVABLE_FROZEN), 2_700)
        stage.decide(self._odd, "invoice-review", "xu-jing", "退回更正", "购买方名称不是平台名称")
        stage.state(self._odd, "RETURNED")
        stage.decide(self._ordinary, "invoice-review", "xu-jing", "采纳发票", "困难属实,已电话核实")
        stage.state(self._ordinary, "ACCEPTED")
        expect("普通发票采纳后账单状态", self._statement("shop-2004", self._older).state, StatementState.INVOICED)
        self._let_go_but_one()
        self._cases += [self._odd, self._ordinary, self._release]

        number = self._invoice("shop-2003", 9_000)
        stage.wait(lambda: balance(stage, "shop-2003", AccountKind.RECEIVABLE_FROZEN) == 0, "the freeze is released")
        stage.send(
            "invoice.red_letter",
            {
                "shop_id": "shop-2003",
                "account_id": "acct-shop-2003",
                "number": self._number(),
                "original_number": number,
                "amount_fen": 9_000,
                "issued_on": self._day(),
                "reason": "开票有误",
            },
        )
        stage.wait(lambda: not self._covered("shop-2003"), "the red letter undoes the acceptance")
        stage.sweep()
        stage.wait(lambda: balance(stage, "shop-2003", AccountKind.RECEIVABLE_FROZEN) == 2_700, "frozen again")
        self._invoice("shop-2003", 9_000)
        stage.wait(lambda: balance(stage, "shop-2003", AccountKind.RECEIVABLE_FROZEN) == 0, "released again")
        expect("货款全部解冻", balance(stage, "shop-2003", AccountKind.RECEIVABLE), 100_000)
        self._leave("shop-2001")

    def _let_go_but_one(self) -> None:
        """Finance releases the newer month with its anomalies, holds one shop back, and releases that one later."""
        stage = self.stage
        found = stage.read(lambda tx: {one.kind for _, one in drafts.anomalies(tx, self._newer)})
        expect(
            "放行前列出的异常",
            found,
            {AnomalyKind.JUMP, AnomalyKind.NEGATIVE, AnomalyKind.NO_TAX_IDENTITY, AnomalyKind.DUPLICATE},
        )
        stage.decide(
            self._release,
            "invoicing-release",
            "chen-jie",
            "放行出账",
            "异常已逐一核对",
            hold=f"{HELD}:等待商家确认金额",
        )
        stage.state(self._release, "ISSUED")
        expect("暂缓的账单", self._statement(HELD, self._newer).state, StatementState.HELD)
        expect("结转的账单", self._statement("shop-2004", self._newer).state, StatementState.CARRIED)
        code = stage.code("wang-fang")
        given = in_transaction(
            lambda tx: statements.release_held(tx, self._newer, HELD, "wang-fang", code, "商家已确认金额")
        )
        expect("放行暂缓的账单", given.accepted, True)
        expect("暂缓的账单放行后", self._statement(HELD, self._newer).state, StatementState.ISSUED)

    def _leave(self, shop_id: str) -> None:
        """A shop that leaves has to invoice this year's fees first (CLS-8): clearing waits for exactly that."""
        stage = self.stage
        self._bill(month_of(stage.now()), {shop_id: 7_000})
        stage.send(
            "closure.requested",
            {
                "shop_id": shop_id,
                "account_id": f"acct-{shop_id}",
                "reason": "STOCK_CLEARED",
                "reason_text": "",
            },
        )
        case_id = stage.case_of(shop_id, "closure")
        stage.decide(case_id, "closure-review", "li-na", "同意关店", "清仓退店")
        stage.state(case_id, "CLEARING")
        stage.snapshot(shop_id)
        open_statements = stage.read(lambda tx: self._to_invoice(tx, shop_id))
        if not open_statements:
            raise NotAsExpected("退店发票:没有需要开具的金额")
        for number, fen in open_statements:
            expect("退店发票未开具时不关店", stage.read(lambda tx: tx.get(Case, case_id)).state, "CLEARING")
            self._invoice(shop_id, fen, covers=[{"statement": number, "amount_fen": fen}])
            stage.wait(lambda: self._is_invoiced(shop_id, number), f"the invoice for {number} is accepted")  # noqa: B023
        stage.state(case_id, "CLOSED")
        self._cases.append(case_id)

    def _is_invoiced(self, shop_id: str, number: str) -> bool:
        still_open = self.stage.read(lambda tx: self._to_invoice(tx, shop_id))
        return number not in [open_number for open_number, _ in still_open]

    def _to_invoice(self, tx: Any, shop_id: str) -> list[tuple[str, int]]:
        """Numbers and open amounts of what the shop has to invoice of this year before it may leave."""
        _, numbers = outstanding(tx, shop_id)
        rows = tx.exec(select(Statement).where(Statement.shop_id == shop_id, col(Statement.number).in_(numbers)))
        return [(row.number, row.open_fen) for row in rows]

    def waiting(self) -> Iterable[Waiting]:
        yield waiting_row(self.stage, self._release, "账单放行", "wang-fang")
        yield waiting_row(self.stage, self._odd, "发票审核", "xu-jing")
        yield waiting_row(self.stage, self._ordinary, "发票审核(普通发票)", "xu-jing")

    def cases(self) -> list[str]:
        return self._cases

    # ── small things ──

    def _bill(self, period: str, amounts: dict[str, int], again: str = "") -> None:
        items = [
            {
                "item_id": f"sub-{period}-{shop_id}{again}",
                "shop_id": shop_id,
                "category": "COUPON",
                "amount_fen": fen,
                "settled_at": f"{period}-01T00:00:00+08:00",
                "description": "平台券补贴",
            }
            for shop_id, fen in amounts.items()
        ]
        self.stage.send("billables.recorded", {"batch_id": f"batch-{period}{again}", "items": items})

    def _month(self, period: str) -> str:
        def found() -> str | None:
            def look(tx: Any) -> str | None:
                months = tx.exec(select(Case).where(Case.kind == "monthly-invoicing"))
                return next((case.id for case in months if MonthAsked.of(case).period == period), None)

            case_id: str | None = self.stage.read(look)
            return case_id

        case_id: str = self.stage.wait(found, f"{period} has a case")
        return case_id

    def _statement(self, shop_id: str, period: str) -> Statement:
        def look(tx: Any) -> Statement | None:
            found: Statement | None = tx.exec(
                select(Statement).where(col(Statement.shop_id) == shop_id, col(Statement.period) == period)
            ).first()
            if found is not None:
                tx.expunge(found)
            return found

        statement: Statement = self.stage.wait(lambda: self.stage.read(look), f"{shop_id} has a statement")
        return statement

    def _covered(self, shop_id: str) -> bool:
        return self._statement(shop_id, self._older).state is StatementState.INVOICED

    def _day(self) -> str:
        return f"{self.stage.now().astimezone(SHANGHAI):%Y-%m-%d}"

    def _number(self) -> str:
        self._numbers += 1
        return f"{self.stage.now().astimezone(SHANGHAI):%y}33{self._numbers:016d}"

    def _invoice(self, shop_id: str, fen: int, **changes: Any) -> str:
        """A special invoice of 6 % over the whole amount of the older month; returns its number."""
        tax = (fen * 12 + 106) // 212
        number = self._number()
        self.stage.send(
            "invoice.submitted",
            {
                "shop_id": shop_id,
                "account_id": f"acct-{shop_id}",
                "number": number,
                "kind": "SPECIAL",
                "issued_on": self._day(),
                "buyer_name": self.stage.settings.platform_name,
                "buyer_tax_no": self.stage.settings.platform_tax_no,
                "seller_name": f"宁波{SHOPS[shop_id]}有限公司",
                "seller_tax_no": USCC,
                "net_fen": fen - tax,
                "tax_fen": tax,
                "gross_fen": fen,
                "lines": [
                    {
                        "name": "*现代服务*推广费",
                        "content": "SERVICE",
                        "net_fen": fen - tax,
                        "tax_fen": tax,
                        "rate": "6",
                    }
                ],
                "documents": [
                    self.stage.document(shop_id, "发票.pdf", sheet("发票", f"店铺 {shop_id}", f"号码 {number}"))
                ],
                "covers": [{"statement": self._statement(shop_id, self._older).number, "amount_fen": fen}],
            }
            | changes,
        )
        return number
