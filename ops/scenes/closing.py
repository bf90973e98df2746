"""Closing scenes: a shop that closes, a deposit that goes back, a shop that is closed by force."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ops.rehearsal import Rehearsal
from ops.scenes.papers import sheet
from ops.scenes.stage import Waiting, ask_to_close, balance, close, expect, register, waiting_row


@dataclass
class ClosureScene:
    """A shop with three open orders asks to close: a wrong code, then two people, then clearing, then closed."""

    stage: Rehearsal
    title: str = "关店:阻断事项由主管复核,清算完成后关店"
    shop_id: str = "shop-1001"
    _case: str = ""

    def set_up(self) -> None:
        register(self.stage, self.shop_id, "晨光文具", "ENTERPRISE", 400_000, "BANK", "3301040160000121234")
        self.stage.snapshot(self.shop_id, open_orders=3)
        self._case = ask_to_close(self.stage, self.shop_id, "转做线下门店,<script>alert(1)</script> **感谢**平台")
        self.stage.asks(self._case, "closure-review")

    def play(self) -> None:
        stage, case_id = self.stage, self._case
        stage.refused(
            case_id,
            "closure-review",
            {"staff_id": "li-na", "code": "000000", "verdict": "同意关店", "reason": "订单将发完"},
            "口令",
        )
        stage.decide(case_id, "closure-review", "li-na", "同意关店", "剩余订单正在发货")
        stage.decide(case_id, "closure-override", "he-qiang", "确认放行", "同意,等待订单完结")
        stage.state(case_id, "CLEARING")
        stage.snapshot(self.shop_id, open_orders=1)
        stage.snapshot(self.shop_id)
        expect("关店结果", stage.state(case_id, "CLOSED").outcome, "CLOSED")
        expect("关店后保证金", balance(stage, self.shop_id), 400_000)

    def waiting(self) -> Iterable[Waiting]:
        yield waiting_row(self.stage, self._case, "关店审核", "li-na")

    def cases(self) -> list[str]:
        return [self._case]


@dataclass
class RefundScene:
    """A closed shop asks for its deposit back; the bank returns the first payment; the second one arrives."""

    stage: Rehearsal
    title: str = "退保证金:退票后更正账户,第二人复核,再次打款到账"
    shop_id: str = "shop-1002"
    _case: str = ""
    _closure: str = ""

    def set_up(self) -> None:
        register(self.stage, self.shop_id, "青禾服饰", "INDIVIDUAL_BUSINESS", 200_000, "ALIPAY", "owner-0003")
        self._closure = close(self.stage, self.shop_id, "li-na")
        papers = {"BUSINESS_LICENCE": "营业执照", "IDENTITY_CARD": "身份证明", "ACCOUNT_PROOF": "收款账户证明"}
        self.stage.send(
            "refund.requested",
            {
                "shop_id": self.shop_id,
                "account_id": f"acct-{self.shop_id}",
                "amount_fen": 200_000,
                "payee": {"method": "ALIPAY", "name": "林晓", "account_no": "owner-0003"},
                "documents": [
                    self.stage.document(self.shop_id, f"{name}.pdf", sheet(name, f"店铺 {self.shop_id}"), kind)
                    for kind, name in papers.items()
                ],
            },
        )
        self._case = self.stage.case_of(self.shop_id, "refund")
        self.stage.asks(self._case, "refund-review")

    def play(self) -> None:
        stage, case_id = self.stage, self._case
        stage.decide(case_id, "refund-review", "wang-fang", "同意退还")
        stage.decide(case_id, "refund-returned", "wang-fang", "请商家更正收款账户")
        expect("退票后保证金", balance(stage, self.shop_id), 200_000)
        stage.send(
            "refund.payee_corrected",
            {
                "shop_id": self.shop_id,
                "account_id": f"acct-{self.shop_id}",
                "case_id": case_id,
                "payee": {"method": "ALIPAY", "name": "林晓", "account_no": "owner-5678"},
            },
        )
        stage.decide(case_id, "refund-review", "wang-fang", "同意退还", "商家提供了新账户证明")
        stage.decide(case_id, "refund-second", "chen-jie", "复核同意", "已电话核实")
        expect("退款结果", stage.state(case_id, "REFUNDED").outcome, "REFUNDED")
        expect("退款后保证金", balance(stage, self.shop_id), 0)

    def waiting(self) -> Iterable[Waiting]:
        yield waiting_row(self.stage, self._case, "退保证金审核", "wang-fang")

    def cases(self) -> list[str]:
        return [self._closure, self._case]


@dataclass
class ForcedScene:
    """A counterfeit seller is closed by two people; the deposit is forfeited and a refund refused with the clause."""

    stage: Rehearsal
    title: str = "强制关店:两人审核,罚没保证金,退款申请按条款拒绝"
    shop_id: str = "shop-1003"
    _cases: list[str] = field(default_factory=list)

    def set_up(self) -> None:
        register(self.stage, self.shop_id, "星辉饰品", "ENTERPRISE", 500_000, "WECHAT", "wx-owner-9")

    def play(self) -> None:
        stage = self.stage
        stage.send(
            "forced_closure.proposed",
            {
                "shop_id": self.shop_id,
                "proposal_id": "prop-1",
                "violation": "售卖假冒商品",
                "clause": "DED-7",
                "description": "抽检三批次均为假冒商品。",
                "proposed_by": "risk-17",
                "documents": [stage.document(self.shop_id, "鉴定报告.pdf", sheet("鉴定报告", f"店铺 {self.shop_id}"))],
            },
        )
        case_id = stage.case_of(self.shop_id, "forced-closure")
        self._cases.append(case_id)
        stage.decide(case_id, "forced-first", "li-na", "同意强制关店", "证据充分")
        stage.decide(case_id, "forced-second", "gao-yuan", "同意强制关店", "复核一致")
        stage.state(case_id, "FORCED_CLOSED")
        expect("罚没后保证金", balance(stage, self.shop_id), 0)
        stage.send(
            "refund.requested",
            {
                "shop_id": self.shop_id,
                "account_id": f"acct-{self.shop_id}",
                "amount_fen": 500_000,
                "payee": {"method": "WECHAT", "name": "林晓", "account_no": "wx-owner-9"},
            },
        )
        refund = stage.case_of(self.shop_id, "refund")
        self._cases.append(refund)
        expect("退款被拒条款", stage.state(refund, "REFUSED").outcome_clause, "REF-10")

    def waiting(self) -> Iterable[Waiting]:
        return ()

    def cases(self) -> list[str]:
        return self._cases
