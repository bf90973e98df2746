"""Appeal scenes: upheld with money to return, dismissed, evidence asked for and sent, silence, and one day too late."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from models.books import AccountKind
from models.windows import duration
from office.base.db import Tx
from office.cases import deadlines
from office.cases.dossier import when
from ops.rehearsal import Rehearsal
from ops.scenes.stage import Waiting, balance, expect, register, waiting_row
from tasks.appeal.window import EVIDENCE

PICTURE = b"\x89PNG\r\n\x1a\n"


def rule(stage: Rehearsal, shop_id: str, number: str, *, days_ago: float = 1, deduction_fen: int = 0) -> str:
    """A ruling against the shop that took effect some days ago."""
    ruling_id = f"rul-{shop_id}-{number}"
    stage.send(
        "ruling.effective",
        {
            "shop_id": shop_id,
            "ruling_id": ruling_id,
            "arbitration_id": f"arb-{ruling_id}",
            "order_id": f"order-{number}",
            "aftersale_id": f"as-{ruling_id}",
            "effective_at": (stage.now() - timedelta(days=days_ago)).isoformat(),
            "conclusion": "MERCHANT_LIABLE",
            "decided": "商家未能证明按时发货,判定商家责任。",
            "buyer_account": "下单十天未收到货。",
            "merchant_account": "已发货,物流异常。",
            "ruled_by": "sun-lei",
            "points": 2,
            "deduction_fen": deduction_fen,
        },
    )
    return ruling_id


def file(stage: Rehearsal, shop_id: str, ruling_id: str) -> str:
    """Stage one picture and file an appeal; returns the case."""
    before = set(stage.cases_of(shop_id, "appeal"))
    evidence = stage.upload(shop_id, "揽收记录.png", PICTURE + ruling_id.encode())
    stage.send(
        "appeal.filed",
        {
            "shop_id": shop_id,
            "account_id": f"acct-{shop_id}",
            "ruling_id": ruling_id,
            "reason": "SHIPPED_IN_TIME",
            "statement": "订单已按时发出,物流显示次日揽收,请复核。",
            "evidence": [{"id": evidence, "kind": "LOGISTICS"}],
        },
    )
    case_id: str = stage.wait(
        lambda: next(iter(set(stage.cases_of(shop_id, "appeal")) - before), None),
        f"the appeal against {ruling_id} has a case",
    )
    return case_id


def send_more(stage: Rehearsal, shop_id: str, case_id: str) -> None:
    """Send further evidence within the three days."""
    evidence = stage.upload(shop_id, "签收底单.png", PICTURE + case_id.encode())
    stage.send(
        "appeal.evidence_submitted",
        {
            "shop_id": shop_id,
            "account_id": f"acct-{shop_id}",
            "case_id": case_id,
            "statement": "补充揽收底单。",
            "evidence": [{"id": evidence, "kind": "CHAT"}],
        },
    )


@dataclass
class AppealScene:
    """One appeal waits for its first review; played: upheld with money, dismissed, then insufficient and upheld."""

    stage: Rehearsal
    title: str = "仲裁申诉:成立并退回赔付款、不成立、补充举证后成立、超过七天不予受理"
    shop_id: str = "shop-1004"
    _waiting: str = ""
    _cases: list[str] = field(default_factory=list)

    def set_up(self) -> None:
        register(
            self.stage,
            self.shop_id,
            "云朵母婴",
            "ENTERPRISE",
            1_000_000,
            "BANK",
            "3301040160000004321",
            categories=["母婴"],
        )
        self._waiting = file(self.stage, self.shop_id, rule(self.stage, self.shop_id, "1", deduction_fen=20_000))
        self._cases.append(self._waiting)
        self.stage.asks(self._waiting, "appeal-review")

    def play(self) -> None:
        stage, shop_id = self.stage, self.shop_id
        expect("先行赔付后的保证金", balance(stage, shop_id), 980_000)
        stage.decide(self._waiting, "appeal-review", "zhou-yan", "申诉成立", "物流记录可证明按时发货")
        stage.decide(
            self._waiting,
            "compensation-service",
            "wu-tao",
            "已与商家达成一致",
            "已电话联系",
            contact="11 月 20 日电话联系店主",
            handling="退回保证金",
        )
        stage.decide(self._waiting, "compensation-finance", "wang-fang", "确认入账")
        expect("申诉结果", stage.state(self._waiting, "UPHELD").outcome, "UPHELD")
        expect("退回赔付款后的保证金", balance(stage, shop_id), 1_000_000)

        dismissed = file(stage, shop_id, rule(stage, shop_id, "2"))
        stage.decide(dismissed, "appeal-review", "zhou-yan", "申诉不成立", "凭证与订单不符")
        expect("不成立", stage.state(dismissed, "DISMISSED").outcome, "DISMISSED")

        asked = file(stage, shop_id, rule(stage, shop_id, "3"))
        stage.decide(asked, "appeal-review", "zhou-yan", "举证不足,驳回补充", "请补充揽收底单")
        stage.state(asked, "AWAITING_MERCHANT")
        send_more(stage, shop_id, asked)
        stage.decide(asked, "appeal-second", "qian-li", "申诉成立", "补充凭证有效")
        expect("补充后成立", stage.state(asked, "UPHELD").outcome, "UPHELD")

        late = file(stage, shop_id, rule(stage, shop_id, "4", days_ago=8))
        expect("超过七天", stage.state(late, "REFUSED").outcome_clause, "ARB-2")
        self._cases += [dismissed, asked, late]

    def waiting(self) -> Iterable[Waiting]:
        yield waiting_row(self.stage, self._waiting, "仲裁申诉审核", "zhou-yan")

    def cases(self) -> list[str]:
        return self._cases


@dataclass
class SilenceScene:
    """An appeal in its three days for more evidence, with the countdown running; played: nobody sends anything."""

    stage: Rehearsal
    title: str = "仲裁申诉:要求补充举证,三天内无人答复,申诉关闭"
    shop_id: str = "shop-1005"
    _case: str = ""

    def set_up(self) -> None:
        register(self.stage, self.shop_id, "山野户外", "INDIVIDUAL_BUSINESS", 200_000, "BANK", "3301040160000008765")
        self._case = file(self.stage, self.shop_id, rule(self.stage, self.shop_id, "1"))
        self.stage.decide(self._case, "appeal-review", "zhou-yan", "举证不足,驳回补充", "请补充揽收底单")
        self.stage.state(self._case, "AWAITING_MERCHANT")

    def play(self) -> None:
        stage = self.stage
        stage.wait(lambda: stage.rests(self._case), "the evidence window is open")
        stage.advance(timedelta(days=3, minutes=1))
        stage.sweep()
        expect("逾期未补充", stage.state(self._case, "CLOSED_TIMEOUT").outcome_clause, "ARB-6")
        expect("保证金不变", balance(stage, self.shop_id, AccountKind.DEPOSIT), 200_000)

    def waiting(self) -> Iterable[Waiting]:
        due = self.stage.wait(self._due, "the evidence window is open")
        text = f"商家补充举证,剩余 {duration(due - self.stage.now())},截止 {when(due)}"
        yield waiting_row(self.stage, self._case, text, "商家")

    def _due(self) -> datetime | None:
        def look(tx: Tx) -> datetime | None:
            found = deadlines.find(tx, self._case, EVIDENCE)
            return found.due_at if found else None

        due: datetime | None = self.stage.read(look)
        return due

    def cases(self) -> list[str]:
        return [self._case]
