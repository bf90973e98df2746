"""The accounts' scene: an official one for ever, five channels and no sixth, a talent who agrees and takes it back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlmodel import select

from models.messages import OutboxMessage
from office.base.db import Tx
from office.record import outbox
from ops.rehearsal import Rehearsal
from ops.scenes.stage import Waiting, expect, register, waiting_row
from policies.policy import SHANGHAI
from tasks.sight.accounts import shop_accounts

TALENT = "dy-demo-talent"


@dataclass
class AccountsScene:
    """A shop binds its accounts; until somebody plays on, a talent is asked for consent."""

    stage: Rehearsal
    title: str = "账号绑定:官方账号不能解绑,第六个渠道号不予绑定,达人同意后又撤回"
    shop_id: str = "shop-1006"
    _cases: list[str] = field(default_factory=list)
    _consent: str = ""

    def set_up(self) -> None:
        register(self.stage, self.shop_id, "星河手账", "ENTERPRISE", 400_000, "BANK", "3301040160000121234")
        today = self.stage.now().astimezone(SHANGHAI).date()
        self.stage.send("talent.sales", {"as_of": self.stage.now().isoformat(), "days": [
            {"target_account_id": TALENT, "day": (today - timedelta(days=n)).isoformat(), "total_fen": 100_000,
             "shops": [{"shop_id": self.shop_id, "fen": 65_000}]} for n in range(1, 32)
        ]})  # fmt: skip
        self.stage.send("accounts.marking_requested", self._owner() | {
            "accounts": [{"target_account_id": TALENT, "target_name": "小晨爱手账"}],
        })  # fmt: skip
        self._consent = self._newest()
        self.stage.state(self._consent, "AWAITING_CONSENT")

    def play(self) -> None:
        self._official()
        for number in range(1, 6):
            self._channel(number)
        sixth = self._ask_channel(6)
        expect("第六个渠道号的条款", self.stage.state(sixth, "REFUSED").outcome_clause, "BND-5")
        answer = {"case_id": self._consent, "target_account_id": TALENT, "agrees": True}
        self.stage.send("account.consent_answered", answer)
        self.stage.state(self._consent, "BOUND")
        expect("在用账号", self._in_force(), ["CHANNEL"] * 5 + ["OFFICIAL", "SELF_OPERATED"])
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
        self.stage.send("account.unbind_requested", self._owner() | official | {"kind": "OFFICIAL"})
        self.stage.wait(lambda: self.stage.read(lambda tx: _row(tx, "unbinding_refused", case_id)), "解绑官方账号被拒")

    def _ask_channel(self, number: int) -> str:
        self.stage.send("account.channel_requested", self._owner() | {
            "platform": "DOUYIN", "target_account_id": f"dy-demo-channel-{number}",
        })  # fmt: skip
        return self._newest()

    def _channel(self, number: int) -> None:
        case_id = self._ask_channel(number)
        self.stage.state(case_id, "PENDING_CODE")
        code = self._written("account.code.issued", case_id)["code"]
        self.stage.send("account.code_entered", self._owner() | {"case_id": case_id, "code": code})
        self.stage.state(case_id, "BOUND")

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
        return sorted(one.kind for one in shop_accounts(self.shop_id).accounts)

    def waiting(self) -> Iterable[Waiting]:
        yield waiting_row(self.stage, self._consent, "达人同意成为自营账号", "达人(account.consent_answered)")

    def cases(self) -> list[str]:
        return self._cases


def _row(tx: Tx, topic: str, case_id: str) -> dict[str, Any] | None:
    query = select(OutboxMessage).where(OutboxMessage.topic == topic, OutboxMessage.case_id == case_id)
    row = tx.exec(query).first()
    found: dict[str, Any] | None = outbox.body(row) if row else None
    return found
