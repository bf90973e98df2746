"""The accounts' scene: an official one for ever, five channels and no sixth, a talent who agrees and takes it back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlmodel import func, select

from models.messages import OutboxMessage
from models.talents import TalentDay
from office.base.db import Tx
from office.record import outbox
from ops.rehearsal import Rehearsal
from ops.scenes.stage import Waiting, expect, register, waiting_row
from policies.policy import SHANGHAI, policy_at
from tasks.sight.accounts import shop_accounts

TALENT, ANOTHER = "dy-demo-talent", "dy-demo-talent-2"
SHOP, OTHER = "shop-1006", "shop-1005"
"""Whose accounts they are, and who would have one of them, too."""


def sales(stage: Rehearsal, talent: str, shop_id: str) -> None:
    """A month in which a talent sold 65 % for the shop."""
    today = stage.now().astimezone(SHANGHAI).date()
    stage.send(
        "talent.sales",
        {
            "as_of": stage.now().isoformat(),
            "days": [
                {
                    "target_account_id": talent,
                    "day": (today - timedelta(days=n)).isoformat(),
                    "total_fen": 100_000,
                    "shops": [{"shop_id": shop_id, "fen": 65_000}],
                }
                for n in range(1, 32)
            ],
        },
    )


def let_go(stage: Rehearsal, shop_id: str) -> None:
    """The shop wants to let its first channel go."""
    stage.send(
        "account.unbind_requested",
        {
            "shop_id": shop_id,
            "account_id": f"acct-{shop_id}",
            "kind": "CHANNEL",
            "platform": "DOUYIN",
            "target_account_id": "dy-demo-channel-1",
        },
    )


@dataclass
class AccountsScene:
    """A shop binds its accounts; until somebody plays on, a talent is asked for consent."""

    stage: Rehearsal
    title: str = "账号绑定:官方账号不能解绑,第六个渠道号不予绑定,达人同意后又撤回"
    shop_id: str = SHOP
    _cases: list[str] = field(default_factory=list)
    _channels: list[str] = field(default_factory=list)
    _consent: str = ""

    def set_up(self) -> None:
        register(self.stage, self.shop_id, "星河手账", "ENTERPRISE", 400_000, "BANK", "3301040160000121234")
        sales(self.stage, TALENT, self.shop_id)
        self.stage.send(
            "accounts.marking_requested",
            self._owner()
            | {
                "accounts": [{"target_account_id": TALENT, "target_name": "小晨爱手账"}],
            },
        )
        self._consent = self._newest()
        self.stage.state(self._consent, "AWAITING_CONSENT")

    def play(self) -> None:
        self._official()
        for number in range(1, 6):
            self._channel(number)
        sixth = self._ask_channel(6)
        expect("第六个渠道号的条款", self.stage.state(sixth, "REFUSED").outcome_clause, "BND-5")
        let_go(self.stage, self.shop_id)
        first = self._channels[0]
        told = self.stage.wait(
            lambda: self.stage.read(lambda tx: _row(tx, "unbinding_refused", first)), "解绑渠道号被拒"
        )
        expect("未满 180 天的渠道号不予解绑的条款", [ground["clause"] for ground in told["grounds"]], ["BND-8"])
        answer = {"case_id": self._consent, "target_account_id": TALENT, "agrees": True}
        self.stage.send("account.consent_answered", answer)
        self.stage.state(self._consent, "BOUND")
        expect("在用账号", self._in_force(), ["CHANNEL"] * 5 + ["OFFICIAL", "SELF_OPERATED"])
        self.stage.send(
            "accounts.marking_requested",
            {
                "shop_id": OTHER,
                "account_id": f"acct-{OTHER}",
                "accounts": [{"target_account_id": TALENT, "target_name": "小晨"}],
            },
        )
        second = self.stage.case_of(OTHER, "account-binding")
        expect("另一家店铺标记同一达人的条款", self.stage.state(second, "REFUSED").outcome_clause, "BND-12")
        self._cases.append(second)
        self.stage.send("account.consent_withdrawn", {"target_account_id": TALENT})
        self._written("account.unbound", self._consent)
        expect("撤回同意后在用账号", self._in_force(), ["CHANNEL"] * 5 + ["OFFICIAL"])

    def _official(self) -> None:
        self.stage.send("account.official_requested", self._owner())
        case_id = self._newest()
        self.stage.state(case_id, "PENDING_SCAN")
        ticket = self._written("account.ticket.issued", case_id)["ticket"]
        official = {"target_account_id": "dy-demo-official"}
        self.stage.send("account.scanned", {"ticket": ticket, "target_name": "星河手账官方号"} | official)
        self.stage.send("account.answered", {"ticket": ticket, "accepts": True} | official)
        self.stage.state(case_id, "ACCOUNT_ACCEPTED")
        self.stage.send(
            "account.official_confirmed", self._owner() | official | {"case_id": case_id, "knows_for_ever": True}
        )
        self.stage.state(case_id, "BOUND")
        expect("绑定官方账号,免认证审核费", self._written("account.bound", case_id)["fee_waived"], True)
        self.stage.send("account.unbind_requested", self._owner() | official | {"kind": "OFFICIAL"})
        self.stage.wait(lambda: self.stage.read(lambda tx: _row(tx, "unbinding_refused", case_id)), "解绑官方账号被拒")

    def _ask_channel(self, number: int) -> str:
        self.stage.send(
            "account.channel_requested",
            self._owner()
            | {
                "platform": "DOUYIN",
                "target_account_id": f"dy-demo-channel-{number}",
            },
        )
        return self._newest()

    def _channel(self, number: int) -> None:
        case_id = self._ask_channel(number)
        self.stage.state(case_id, "PENDING_CODE")
        code = self._written("account.code.issued", case_id)["code"]
        self.stage.send("account.code_entered", self._owner() | {"case_id": case_id, "code": code})
        self.stage.state(case_id, "BOUND")
        self._channels.append(case_id)

    def _owner(self) -> dict[str, Any]:
        return {"shop_id": self.shop_id, "account_id": f"acct-{self.shop_id}"}

    def _newest(self) -> str:
        """The case that the last wish has opened, once it is there."""

        def found() -> str | None:
            new = [one for one in self.stage.cases_of(self.shop_id, "account-binding") if one not in self._cases]
            return new[-1] if new else None

        case_id: str = self.stage.wait(found, f"{self.shop_id} has another binding")
        self._cases.append(case_id)
        return case_id

    def _written(self, topic: str, case_id: str) -> dict[str, Any]:
        """What an event of the case says, once it is written; the demonstration holds the keys."""
        data: dict[str, Any] = self.stage.wait(
            lambda: self.stage.read(lambda tx: _row(tx, topic, case_id)), f"{case_id} tells {topic}"
        )["data"]
        return data

    def _in_force(self) -> list[str]:
        return in_force(self.shop_id)

    def waiting(self) -> Iterable[Waiting]:
        yield waiting_row(self.stage, self._consent, "达人同意成为自营账号", "达人")

    def cases(self) -> list[str]:
        return self._cases


@dataclass
class AccountsLaterScene:
    """Half a year after: a channel is let go, and the daily look proposes a talent who sells mostly for the shop."""

    stage: Rehearsal
    title: str = "账号绑定(半年后):渠道号满 180 天解绑,每日核查建议自营账号"

    def set_up(self) -> None:
        pass

    def play(self) -> None:
        stage = self.stage
        let_go(stage, SHOP)
        stage.wait(lambda: in_force(SHOP) == ["CHANNEL"] * 4 + ["OFFICIAL"], "满 180 天的渠道号解绑")
        local, hour = stage.now().astimezone(SHANGHAI), policy_at(stage.now()).bindings.watch_hour
        morning = local.replace(hour=hour, minute=0) + timedelta(days=1)
        stage.advance(morning - timedelta(hours=1) - stage.now())  # before it looks, what it looks at is there
        sales(stage, ANOTHER, SHOP)
        stage.wait(lambda: stage.read(_days) == 31, "the month of the talent is known")
        stage.advance(morning + timedelta(minutes=1) - stage.now())
        stage.sweep()
        stage.wait(lambda: ANOTHER in stage.read(_proposed), "每日核查建议自营账号")

    def waiting(self) -> Iterable[Waiting]:
        return ()

    def cases(self) -> list[str]:
        return []


def in_force(shop_id: str) -> list[str]:
    """The kinds of the shop's accounts as they are bound now."""
    return sorted(one.kind for one in shop_accounts(shop_id).accounts)


def _days(tx: Tx) -> int:
    return tx.exec(select(func.count()).where(TalentDay.account_id == ANOTHER)).one()


def _proposed(tx: Tx) -> list[str]:
    """Every account that the daily look has proposed to the shop."""
    query = select(OutboxMessage).where(OutboxMessage.topic == "self_operated.proposed", OutboxMessage.shop_id == SHOP)
    told = [outbox.body(row)["data"]["accounts"] for row in tx.exec(query)]
    return [one["target_account_id"] for accounts in told for one in accounts]


def _row(tx: Tx, topic: str, case_id: str) -> dict[str, Any] | None:
    query = select(OutboxMessage).where(OutboxMessage.topic == topic, OutboxMessage.case_id == case_id)
    row = tx.exec(query).first()
    found: dict[str, Any] | None = outbox.body(row) if row else None
    return found
