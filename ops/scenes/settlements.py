"""The settlement scene: half a month released and paid, with a hold, arrears set off, a bank return and its second payout."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import select

from models.books import AccountKind
from models.cases import CaseKind
from models.settlement import HoldReason, Settlement, SettlementAccount, SettlementState
from office.base.db import Tx
from ops.rehearsal import Rehearsal
from ops.scenes.openings import Application
from ops.scenes.stage import Waiting, balance, expect, register, waiting_row
from policies.policy import policy_at
from policies.settlement import begins, cut_off, over
from tasks.settlement.halves import half_row

OWES, HELD, RETURNED, UNSIGNED = "shop-3001", "shop-3002", "shop-3003", "shop-3004"
ACCOUNTS = {OWES: "3301040160000131111", HELD: "3301040160000132222", RETURNED: "3301040160000130003"}
"""Where each is paid; the bank sends back what goes to the last one, and the second belongs to somebody else."""
CORRECTED = "3301040160000133333"
NET = 100_000 - 5_000
"""What an order of the scene brings, in fen: what was paid less the commission."""
ARREARS = 20_000
FROZEN = 10_000
"""What the platform has frozen of the first shop's money."""


@dataclass
class SettlementScene:
    """Half a month waits for its release; played: one shop paid after its arrears, one held, one paid at the second go."""

    stage: Rehearsal
    title: str = "货款结算:放行半月结算单,售后顺延、抵扣欠款、冻结留存、户名不符与未签合同暂缓,退票后再次付款"
    _half: str = ""
    _case: str = ""
    _cases: list[str] = field(default_factory=list)
    _accounts: set[str] = field(default_factory=set)
    _unsigned: Application = field(init=False)

    def set_up(self) -> None:
        stage = self.stage
        self._unsigned = Application(stage, UNSIGNED, "北岸厨房", "PERSON")
        for shop_id, name in ((OWES, "木棉家纺"), (HELD, "海盐手作"), (RETURNED, "石榴小铺")):
            register(stage, shop_id, name, "ENTERPRISE", 400_000, "BANK", "3301040160000131111")
            self._account(shop_id, "别家贸易有限公司" if shop_id == HELD else f"宁波{name}有限公司", ACCOUNTS[shop_id])
        self._open_unsigned()
        self._rest()
        for shop_id in (HELD, RETURNED, UNSIGNED):  # facts as of now: on old ones nobody is paid
            stage.snapshot(shop_id)
        stage.snapshot(OWES, freezes=1, frozen_fen=FROZEN)
        stage.send(
            "deposit.deducted",
            {
                "shop_id": OWES,
                "deduction_id": "ded-demo-settlement",
                "amount_fen": 400_000 + ARREARS,
                "reason": "RULE_VIOLATION",
                "clause": "规则第一条",
                "appealable": True,
            },
        )
        now = stage.now()
        self._half = over(now, policy_at(now).settlement)
        for shop_id in (*ACCOUNTS, UNSIGNED):
            since = begins(self._half).isoformat()
            stage.send("settlement.assigned", {"shop_id": shop_id, "settler": "OFFICE", "since": since})
        self._orders(cut_off(self._half) - timedelta(hours=2))
        stage.sweep()  # a half that is over is opened by the sweep, whatever the schedule did
        self._case = stage.wait(lambda: stage.read(self._opened), f"{self._half} has a case")
        self._cases.append(self._case)
        stage.asks(self._case, "settlement-release")

    def _open_unsigned(self) -> None:
        """A shop that has paid its deposit and is open, and has not signed the contract yet (ambiguity 46)."""
        shop = self._unsigned
        shop.apply()
        shop.materials()
        self.stage.decide(shop.case, "opening-entity", "tang-yu", "审核通过")
        self.stage.state(shop.case, "AWAITING_MATERIALS")
        shop.finish(50_000, signs=False)
        self._cases.append(shop.case)

    def _account(self, shop_id: str, holder: str, number: str) -> None:
        self._accounts.add(f"{shop_id} {number[-4:]}")
        self.stage.send(
            "settlement.account_set",
            {
                "shop_id": shop_id,
                "as_of": self.stage.now().isoformat(),
                "payee": {
                    "method": "CORPORATE_ACCOUNT",
                    "name": holder,
                    "account_no": number,
                    "bank_name": "中国银行宁波市分行",
                },
            },
        )

    def _rest(self) -> None:
        """Let the hours go by that a new account rests before money goes there, once it is known."""
        self.stage.wait(lambda: self.stage.read(self._known) >= self._accounts, "every account is known")
        hours = policy_at(self.stage.now()).settlement.account_rest_hours
        self.stage.advance(timedelta(hours=hours, minutes=1))

    def _known(self, tx: Tx) -> set[str]:
        return {f"{row.shop_id} {row.payee_masked[-4:]}" for row in tx.exec(select(SettlementAccount))}

    def _orders(self, confirmed: datetime) -> None:
        """Two orders of the first shop, of which one has an after-sale that goes on, and one of each of the others."""
        orders = [
            {
                "order_id": f"order-{shop_id}-{number}",
                "shop_id": shop_id,
                "goods_fen": 100_000,
                "commission_fen": 5_000,
                "confirmed_at": confirmed.isoformat(),
            }
            for shop_id, many in ((OWES, 2), (HELD, 1), (RETURNED, 1), (UNSIGNED, 1))
            for number in range(1, many + 1)
        ]
        self.stage.send("orders.confirmed", {"batch_id": "orders-demo", "orders": orders})
        sale = {"aftersale_id": "as-demo-1", "order_id": f"order-{OWES}-2", "shop_id": OWES}
        opened = {"opened_at": (confirmed + timedelta(hours=1)).isoformat()}
        self.stage.send("orders.aftersale", {"batch_id": "aftersales-demo", "aftersales": [sale | opened]})

    def play(self) -> None:
        stage = self.stage
        stage.decide(self._case, "settlement-release", "chen-jie", "放行结算")
        expect("半月结算", stage.state(self._case, "SETTLED").outcome, "SETTLED")
        paid = self._row(OWES)
        expect("先抵扣的欠款", paid.set_off_fen, ARREARS)
        expect("平台冻结、留下不付的货款", paid.left_fen, FROZEN)
        expect("付给商家的货款", paid.paid_fen, NET - ARREARS - FROZEN)
        expect("售后未结束、顺延的订单", paid.waiting_orders, 1)
        held = self._row(HELD)
        expect("暂不打款的原因", (held.hold, held.paid_fen, held.left_fen), (HoldReason.OTHER_NAME, 0, NET))
        unsigned = self._row(UNSIGNED)
        expect("未签合同不付款", (unsigned.hold, unsigned.paid_fen, unsigned.left_fen), (HoldReason.CONTRACT, 0, NET))
        self._until(OWES, SettlementState.PAID)
        self._until(RETURNED, SettlementState.RETURNED)
        back = stage.case_of(RETURNED, CaseKind.SETTLEMENT_RETURN)
        self._cases.append(back)
        expect("退票后的货款", balance(stage, RETURNED, AccountKind.RECEIVABLE), NET)
        self._accounts.clear()
        self._account(RETURNED, "宁波石榴小铺有限公司", CORRECTED)
        self._rest()
        stage.snapshot(RETURNED)
        stage.decide(back, "settlement-returned", "wang-fang", "再次付款", "商家已更正账户,已电话核实")
        expect("第二次付款", stage.state(back, "PAID_AGAIN").outcome, "PAID_AGAIN")
        self._until(RETURNED, SettlementState.PAID)
        expect("付清后的货款", balance(stage, RETURNED, AccountKind.RECEIVABLE), 0)

    def _until(self, shop_id: str, state: SettlementState) -> None:
        self.stage.wait(lambda: self._row(shop_id).state is state, f"{shop_id}: {state.label}")

    def _opened(self, tx: Tx) -> str | None:
        return half_row(tx, self._half).case_id

    def _row(self, shop_id: str) -> Settlement:
        def look(tx: Tx) -> Any:
            row = tx.get_one(Settlement, f"{self._half}/{shop_id}")
            tx.expunge(row)
            return row

        found: Settlement = self.stage.read(look)
        return found

    def waiting(self) -> Iterable[Waiting]:
        yield waiting_row(self.stage, self._case, "半月货款放行", "chen-jie")

    def cases(self) -> list[str]:
        return self._cases
