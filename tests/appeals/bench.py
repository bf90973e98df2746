"""What the tests about appeals say: a ruling takes effect, evidence is staged, the merchant files and sends more."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sqlmodel import col, select

from models.arbitration import MerchantCounter, Ruling
from models.books import AccountKind
from models.cases import Case, CaseKind
from models.messages import Channel, InboxMessage, InboxState
from office.base.db import Tx, reading, transaction
from office.cases import routing
from office.cases.gates import Outcome
from office.record import inbox
from office.record.inbox import Arrival, Receipt
from tests.play import NUMBERS, Office

PNG = b"\x89PNG\r\n\x1a\n" + b"picture"
PDF = b"%PDF-1.7 proof"


class Bench:
    """The office, and the few things an appeal needs."""

    def __init__(self, office: Office, shop_id: str = "shop-1", deposit_fen: int = 400_000) -> None:
        self.office = office
        self.shop_id = office.open_shop(shop_id, deposit_fen=deposit_fen)

    @property
    def now(self) -> datetime:
        return self.office.clock.at

    def rule(self, ruling_id: str = "rul-1", *, effective_at: datetime | None = None, **changes: Any) -> None:
        """A ruling takes effect, at this moment unless said otherwise."""
        self.office.send("ruling.effective", self.ruled(ruling_id, effective_at=effective_at, **changes))

    def ruled(
        self, ruling_id: str = "rul-1", *, effective_at: datetime | None = None, **changes: Any
    ) -> dict[str, Any]:
        """What the platform sends when it does."""
        return {
            "shop_id": self.shop_id, "ruling_id": ruling_id, "arbitration_id": f"arb-{ruling_id}", "order_id": "order-88",
            "aftersale_id": f"as-{ruling_id}", "effective_at": (effective_at or self.now).isoformat(),
            "conclusion": "MERCHANT_LIABLE", "decided": "商家未能证明按时发货。", "buyer_account": "十天未收到货。",
            "merchant_account": "已发货。", "ruled_by": "sun-lei", "points": 2, "deduction_fen": 20_000,
        } | changes  # fmt: skip

    def stage(self, content: bytes = b"", shop_id: str = "", name: str = "揽收记录.png") -> str:
        """Stage a file; each call another picture unless its content is given. Returns its id."""
        content = content or PNG + str(next(NUMBERS)).encode()
        return self.office.upload(shop_id or self.shop_id, name, content)

    def filing(self, ruling_id: str = "rul-1", items: list[str] | None = None, **changes: Any) -> dict[str, Any]:
        """What a merchant files, with one fresh picture unless items are given."""
        ids = [self.stage()] if items is None else items
        about = {} if "deduction_id" in changes else {"ruling_id": ruling_id}
        return (
            {
                "shop_id": self.shop_id,
                "account_id": f"acct-{self.shop_id}",
                "reason": "SHIPPED_IN_TIME",
                "statement": "已按时发货,请复核。",
                "evidence": [{"id": item, "kind": "LOGISTICS"} for item in ids],
            }
            | about
            | changes
        )

    def file(self, ruling_id: str = "rul-1", items: list[str] | None = None, **changes: Any) -> Case:
        self.office.send("appeal.filed", self.filing(ruling_id, items, **changes))
        return self.latest()

    def latest(self) -> Case:
        """The case opened last that is not about deposit that a ruling took."""
        found = [case for case in self.office.cases() if case.kind is not CaseKind.DEPOSIT_DEMAND]
        return max(found, key=lambda case: (case.opened_at, case.received_at, case.origin))

    def more(self, case: Case, items: list[str] | None = None, **changes: Any) -> dict[str, Any]:
        """Further evidence."""
        ids = [self.stage()] if items is None else items
        return {
            "shop_id": self.shop_id,
            "account_id": f"acct-{self.shop_id}",
            "case_id": case.id,
            "statement": "补充揽收证明。",
            "evidence": [{"id": item, "kind": "CHAT"} for item in ids],
        } | changes

    def send_more(self, case: Case, items: list[str] | None = None, **changes: Any) -> None:
        self.office.send("appeal.evidence_submitted", self.more(case, items, **changes))

    def arrival(self, type_: str, data: dict[str, Any]) -> Arrival:
        """A signed message as it can arrive any number of times: the same id and the same bytes."""
        body = {"type": type_, "timestamp": self.now.isoformat(), "data": data}
        return Arrival(
            source="platform",
            message_id=f"same-{next(NUMBERS)}",
            type=type_,
            shop_id=data.get("shop_id"),
            case_id=data.get("case_id"),
            body=json.dumps(body, ensure_ascii=False).encode(),
        )

    def arrive(self, arrival: Arrival) -> Receipt:
        """It reaches the door, and everything that follows is done."""
        receipt = inbox.receive(arrival, routing.on_conflict)
        self.office.settle()
        return receipt

    def fail(self, type_: str) -> int:
        """The last message of this type is tried to the end, in vain, through a fault of ours. Returns its number."""
        with transaction() as tx:
            query = select(InboxMessage).where(InboxMessage.type == type_, InboxMessage.state == InboxState.NEW)
            row = tx.exec(query.order_by(col(InboxMessage.id).desc())).first()
            assert row is not None and row.id is not None
            row.attempts, row.next_at = len(inbox.BACKOFF), self.now
            tx.add(row)
            number = row.id

        def broken(tx: Tx, message: InboxMessage, body: dict[str, Any]) -> None:
            raise KeyError("our fault")

        routing.route_due(handle=broken)
        return number

    def look_again(self, case: Case, staff_id: str, verdict: str, **extra: Any) -> Outcome:
        """Answer what is shown now; where nothing had shown the change yet, be told so first."""
        stale = self.office.answer(self.office.question(case), staff_id, verdict, "理由充分", **extra)
        if stale.accepted:
            return stale
        assert "事实已发生变化" in stale.sentence
        return self.office.answer(self.office.question(case), staff_id, verdict, "理由充分", **extra)

    def outcome(self, case: Case) -> str | None:
        return self.office.case(case.id).outcome

    def ended_run(self, case: Case) -> bool:
        """Whether the case's run was woken once more after its end, so that it does not wait for ever."""
        ended = self.office.case(case.id).concluded_at
        woken = (at for case_id, at in self.office.carrier.woken if case_id == case.id)
        return ended is not None and any(at >= ended for at in woken)

    def ruling(self, ruling_id: str = "rul-1") -> Ruling:
        with reading() as tx:
            found = tx.get(Ruling, ruling_id)
            assert found is not None
            tx.expunge(found)
            return found

    def counters(self) -> tuple[int, int, int]:
        with reading() as tx:
            row = tx.get(MerchantCounter, self.shop_id)
            return (row.rulings, row.points, row.deducted_fen) if row else (0, 0, 0)

    def money(self) -> dict[str, int]:
        """Deposit, arrears and receivable of the shop, and the compensation account."""
        kinds = (AccountKind.DEPOSIT, AccountKind.ARREARS, AccountKind.RECEIVABLE)
        held = {kind.value: self.office.balance(kind, self.shop_id) for kind in kinds}
        return held | {"compensation": self.office.platform_balance(AccountKind.COMPENSATION)}

    def refusals(self) -> list[str]:
        """Clauses of the messages that were refused, in order."""
        return [event["clause"] for event in self.office.events("message.refused")]

    def picture(self) -> dict[str, Any]:
        """Everything that running something again must not change."""
        return {
            "money": self.money(),
            "counters": self.counters(),
            "told": self.office.told(),
            "cases": [(case.id, case.state, case.outcome) for case in self.office.cases()],
            "events": [row.key for row in self.office.outbox(Channel.EVENT)],
        }
