"""Fills an office of the previous version with every kind of case, waiting in every state it can wait in and ended.

It is played by the previous version's own code: in a checkout of commit d007e80, with that checkout first on the path,

    git worktree add /tmp/previous d007e80
    cd /tmp/previous && PYTHONPATH=/tmp/previous python CHECKOUT/tests/previous/fill.py CHECKOUT/tests/previous/office.json.xz

and what it leaves is kept as data: every row of every table, and the files of the evidence. Nothing of this is run by
the tests, which read the data (``tests/core/test_previous_version.py``).
"""

from __future__ import annotations

import base64
import json
import lzma
import os
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

FERNET_KEY = "rJ2MGNOHbPmPq2ZC1gvDkXrH2vQGBEb3bkiYo5GRrNI="
AUDIT_KEY = "audit-key-of-the-previous-version"
BEGAN = datetime(2026, 10, 9, 2, 0, tzinfo=UTC)
"""Friday, 9 October 2026, 10:00 in Beijing: September is billed."""
ENDED = datetime(2026, 11, 2, 2, 0, tzinfo=UTC)
"""When those cases begin that are to be over."""
LEFT = datetime(2026, 11, 25, 2, 0, tzinfo=UTC)
"""When those cases begin that are left waiting: Wednesday, 25 November 2026, 10:00 in Beijing."""


def main(target: Path) -> None:
    home = Path(tempfile.mkdtemp())
    os.environ |= {
        "DIANWU_HOME": str(home),
        "DIANWU_CONFIG": str(home / "none.toml"),
        "DIANWU_ENCRYPTION_KEYS": json.dumps([FERNET_KEY]),
        "DIANWU_AUDIT_KEY": AUDIT_KEY,
        "DIANWU_PLATFORM_SECRETS": '["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]',
        "DIANWU_API_TOKENS": '["token-of-the-tests"]',
    }
    from notifications.scripted import ScriptedNotifier
    from office.base import clock
    from ops import migrate
    from tasks import delivery
    from tests.play import Office

    migrate.upgrade()
    delivery.use_notifier(ScriptedNotifier())
    virtual = clock.VirtualClock(BEGAN)
    clock.use_clock(virtual)
    office = Office(virtual)
    office.hire("qian-li", "arbitrator")
    Previous(office).fill()
    assert office.books() == [] == office.chains()
    kept = {"at": virtual.at.isoformat(), "secrets": office.secrets, "tables": rows(), "files": files(home)}
    packed = json.dumps(kept, ensure_ascii=False, sort_keys=True).encode()
    target.write_bytes(lzma.compress(packed, preset=9 | lzma.PRESET_EXTREME))


class Previous:
    """The office, and what happens in it. Each story has a shop named after it."""

    def __init__(self, office: Any) -> None:
        self.office = office

    def fill(self) -> None:
        self.months_are_billed()
        self.office.clock.at = ENDED
        self.sweep()
        self.october_waits()
        for story in (self.closures_end, self.refunds_end, self.force_ends, self.appeals_end):
            story()
        self.office.clock.at = LEFT
        self.sweep()
        for story in (self.closures_wait, self.refunds_wait, self.force_waits, self.appeals_wait, self.bills_wait):
            story()
        self.the_post_waits()

    def sweep(self) -> None:
        from tests.invoicing import kit

        kit.sweep(self.office)

    # ── ended ──

    def closures_end(self) -> None:
        office = self.office
        office.closed_shop("shop-closed")
        for name, verdict in (("rejected", "REJECT"), ("lapsed", "ASK")):
            case = office.request_closure(office.open_shop(f"shop-closure-{name}"))
            office.decide(case, "li-na", verdict, "请补充")
        case = office.request_closure(office.open_shop("shop-closure-withdrawn"))
        office.withdraw(case)

    def refunds_end(self) -> None:
        office = self.office
        refunded = self.granted("refund-refunded")
        office.bank(f"{refunded.id}-P1", shop_id=refunded.shop_id)
        rejected = office.request_refund(office.closed_shop("shop-refund-rejected"))
        office.decide(rejected, "wang-fang", "REJECT", "资料不符")
        office.request_refund(office.open_shop("shop-refund-refused"), fen=900_000)
        office.withdraw(office.request_refund(office.closed_shop("shop-refund-withdrawn")))
        lapsed = office.request_refund(office.closed_shop("shop-refund-lapsed"))
        office.decide(lapsed, "wang-fang", "ASK", "请补充")
        abandoned = self.returned("refund-abandoned")
        office.decide(abandoned, "wang-fang", "ABANDON", "商家要求改日再退")

    def granted(self, name: str) -> Any:
        """A refund whose payment is with the bank."""
        case = self.office.request_refund(self.office.closed_shop(f"shop-{name}"))
        self.office.decide(case, "wang-fang", "APPROVE")
        return case

    def returned(self, name: str) -> Any:
        """A refund whose payment has come back."""
        case = self.granted(name)
        self.office.bank(f"{case.id}-P1", "returned", shop_id=case.shop_id, reason="户名不符")
        return case

    def force_ends(self) -> None:
        office = self.office
        for name, verdict in (("closed", "CONFIRM"), ("dropped", "DROP")):
            case = office.propose_forced_closure(office.open_shop(f"shop-force-{name}"), proposal_id=f"prop-{name}")
            office.decide(case, "li-na", "CONFIRM")
            office.decide(case, "he-qiang", verdict, "已核对")

    def bench(self, name: str) -> Any:
        from tests.appeals.bench import Bench

        return Bench(self.office, f"shop-{name}")

    def appeal(self, name: str, **changes: Any) -> tuple[Any, Any]:
        bench = self.bench(name)
        bench.rule(f"rul-{name}", **changes)
        return bench, bench.file(f"rul-{name}")

    def appeals_end(self) -> None:
        office = self.office
        _, upheld = self.appeal("appeal-upheld")
        office.decide(upheld, "zhou-yan", "UPHOLD")
        self.agreed(upheld)
        office.decide(upheld, "wang-fang", "CONFIRM")
        _, dismissed = self.appeal("appeal-dismissed")
        office.decide(dismissed, "zhou-yan", "DISMISS")
        _, silent = self.appeal("appeal-silent")
        office.decide(silent, "zhou-yan", "INSUFFICIENT", "请补充")
        self.appeal("appeal-moot")
        office.decide(self.withdrawal("appeal-moot"), "wu-tao", "CONFIRM")
        self.appeal("appeal-stays")
        office.decide(self.withdrawal("appeal-stays"), "wu-tao", "REJECT", "买家未同意")
        _, wrong = self.appeal("appeal-corrected")
        office.decide(wrong, "zhou-yan", "DISMISS")
        correction = self.correction("appeal-corrected")
        office.decide(correction, "he-qiang", "CONFIRM")
        office.decide(correction, "gao-yuan", "CONFIRM")
        self.agreed(correction)
        office.decide(correction, "wang-fang", "CONFIRM")
        _, right = self.appeal("appeal-confirmed")
        office.decide(right, "zhou-yan", "DISMISS")
        office.decide(self.correction("appeal-confirmed"), "he-qiang", "REJECT", "判决未生效")
        self.appeal("appeal-superseded")
        correction = self.correction("appeal-superseded")
        office.decide(correction, "he-qiang", "CONFIRM")
        office.decide(correction, "gao-yuan", "CONFIRM")
        late = self.bench("appeal-late")
        late.rule("rul-appeal-late", effective_at=office.clock.at - timedelta(days=8))
        late.file("rul-appeal-late")

    def agreed(self, case: Any) -> None:
        self.office.decide(case, "wu-tao", "AGREED", contact="电话联系店主", handling="TO_DEPOSIT")

    def withdrawal(self, name: str) -> Any:
        return self.opened(
            "arbitration.withdrawal_requested",
            {
                "shop_id": f"shop-{name}",
                "arbitration_id": f"arb-rul-{name}",
                "reason": "SETTLED_WITH_MERCHANT",
                "requested_by": "BOTH",
                "note": "双方已协商。",
            },
        )

    def correction(self, name: str) -> Any:
        return self.opened(
            "ruling.correction_proposed",
            {
                "shop_id": f"shop-{name}",
                "ruling_id": f"rul-{name}",
                "court": "杭州互联网法院",
                "judgment_no": "(2026)浙0192民初1号",
                "judged_on": self.office.clock.at.isoformat(),
                "summary": "判决认定商家已按时发货。",
                "proposed_by": "legal-3",
            },
        )

    def opened(self, type_: str, data: dict[str, Any]) -> Any:
        before = {case.id for case in self.office.cases()}
        self.office.send(type_, data)
        (case,) = [case for case in self.office.cases() if case.id not in before]
        return case

    # ── invoicing ──

    def months_are_billed(self) -> None:
        """August waits for its release, September is issued with invoices in every state, October waits for the second."""
        from tests.invoicing import kit

        office = self.office
        names = ("invoiced", "odd", "returned", "held", "silent", "red", "exit", "partly", "frozen")
        for name in names:
            office.open_shop(f"shop-bill-{name}")
            kit.record(office, kit.item(f"shop-bill-{name}", settled_at="2026-09-10T10:00:00+08:00"))
        for n in range(21):
            office.open_shop(f"shop-minus-{n}")
            kit.record(office, kit.item(f"shop-minus-{n}", fen=-1, settled_at="2026-10-08T10:00:00+08:00"))
        office.open_shop("shop-bill-august")
        kit.record(office, kit.item("shop-bill-august", settled_at="2026-08-10T10:00:00+08:00"))
        kit.open_month(office, "2026-08")
        month = kit.open_month(office, "2026-09")
        office.decide(month, "wang-fang", "RELEASE", hold="shop-bill-held:金额待与商家核对")
        kit.sweep(office)
        kit.send_invoice(office, shop_id="shop-bill-invoiced", issued_on="2026-10-09")
        kit.send_invoice(office, 4_000, shop_id="shop-bill-partly", issued_on="2026-10-09")
        red = kit.send_invoice(office, shop_id="shop-bill-red", issued_on="2026-10-09")
        office.send("invoice.red_letter", self.red_letter(red))
        kit.send_invoice(
            office, shop_id="shop-bill-returned", issued_on="2026-10-09", buyer_tax_no="91110108551385082Q"
        )
        office.decide(kit.review_of(office), "xu-jing", "RETURN", "购买方税号有误")
        kit.settle_receivable(office, 20_000, "shop-bill-frozen")

    def october_waits(self) -> None:
        from tests.invoicing import kit

        office = self.office
        october = kit.open_month(office, "2026-10")
        office.decide(october, "wang-fang", "RELEASE")
        assert office.case(october.id).state == "SECOND_REVIEW"

    def red_letter(self, of: Any) -> dict[str, Any]:
        return {
            "shop_id": of.shop_id,
            "account_id": f"acct-{of.shop_id}",
            "number": "26990000000000000077",
            "original_number": of.number,
            "amount_fen": 4_000,
            "issued_on": "2026-10-09",
            "reason": "开票有误",
        }

    # ── waiting ──

    def closures_wait(self) -> None:
        office = self.office
        ask = lambda name: office.request_closure(office.open_shop(f"shop-closure-{name}"))  # noqa: E731
        ask("asks")
        assert office.request_closure("shop-closure-asks").outcome == "REFUSED"
        office.answer(office.question(ask("asks-again")), "li-na", "APPROVE", "理由充分", code="000000")
        office.decide(ask("merchant"), "li-na", "ASK", "请补充授权书")
        answered = ask("answered")
        office.decide(answered, "li-na", "ASK", "请补充授权书")
        office.merchant_answers(answered)
        shop = office.open_shop("shop-closure-second")
        office.snapshot(shop, open_orders=2)
        second = office.request_closure(shop)
        office.decide(second, "li-na", "APPROVE")
        assert office.question(second).gate == "closure-override"
        shop = office.open_shop("shop-closure-clearing")
        office.snapshot(shop, open_orders=1)
        clearing = office.request_closure(shop)
        office.decide(clearing, "li-na", "APPROVE")
        office.decide(clearing, "he-qiang", "CONFIRM")
        office.request_closure("shop-bill-exit")
        exits = office.latest("shop-bill-exit")
        office.decide(exits, "li-na", "APPROVE")
        office.snapshot("shop-bill-exit")

    def refunds_wait(self) -> None:
        office = self.office
        ask = lambda name, **more: office.request_refund(office.closed_shop(f"shop-refund-{name}"), **more)  # noqa: E731
        ask("asks")
        office.decide(ask("merchant"), "wang-fang", "ASK", "请补充")
        second = office.request_refund(office.closed_shop("shop-refund-second", deposit_fen=1_200_000), fen=1_200_000)
        office.decide(second, "wang-fang", "APPROVE", "已核实账户")
        assert office.question(second).gate == "refund-second"
        self.granted("refund-bank")
        self.returned("refund-returned")
        payee = self.returned("refund-payee")
        office.decide(payee, "wang-fang", "ASK_PAYEE", "请更正")
        corrected = self.returned("refund-corrected")
        office.decide(corrected, "wang-fang", "ASK_PAYEE", "请更正")
        office.correct_payee(corrected, account_no="3301040160000888888")
        again = self.returned("refund-again")
        office.decide(again, "wang-fang", "AGAIN", "账户无误")

    def force_waits(self) -> None:
        office = self.office
        office.propose_forced_closure(office.open_shop("shop-force-first"), proposal_id="prop-first")
        case = office.propose_forced_closure(office.open_shop("shop-force-second"), proposal_id="prop-second")
        office.decide(case, "li-na", "CONFIRM")

    def appeals_wait(self) -> None:
        office = self.office
        self.appeal("appeal-asks")
        _, window = self.appeal("appeal-window")
        office.decide(window, "zhou-yan", "INSUFFICIENT", "请补充揽收底单")
        bench, second = self.appeal("appeal-second")
        office.decide(second, "zhou-yan", "INSUFFICIENT", "请补充揽收底单")
        bench.send_more(second)
        _, service = self.appeal("appeal-service")
        office.decide(service, "zhou-yan", "UPHOLD")
        _, finance = self.appeal("appeal-finance")
        office.decide(finance, "zhou-yan", "UPHOLD")
        self.agreed(finance)
        self.appeal("withdrawal-asks")
        self.withdrawal("withdrawal-asks")
        for name in ("correction-first", "correction-second", "correction-service", "correction-finance"):
            _, case = self.appeal(name)
            office.decide(case, "zhou-yan", "DISMISS")
            correction = self.correction(name)
            if name != "correction-first":
                office.decide(correction, "he-qiang", "CONFIRM")
            if name in ("correction-service", "correction-finance"):
                office.decide(correction, "gao-yuan", "CONFIRM")
            if name == "correction-finance":
                self.agreed(correction)

    def bills_wait(self) -> None:
        from tests.invoicing import kit

        office = self.office
        kit.send_invoice(
            office, shop_id="shop-bill-odd", issued_on="2026-11-20", kind="ORDINARY", difficulty="税务机关系统升级"
        )

    def the_post_waits(self) -> None:
        """An event that nobody has read, and messages that nobody has delivered."""
        office = self.office
        office.open_shop("shop-unread")
        office.receive(
            "closure.requested",
            {
                "shop_id": "shop-unread",
                "account_id": "acct-shop-unread",
                "reason": "STRATEGY_CHANGE",
                "reason_text": "转线下",
            },
        )


def rows() -> dict[str, list[dict[str, Any]]]:
    """Every row as SQLite keeps it."""
    from sqlalchemy import text

    from office.base import db

    with db.engine().connect() as connection:
        names = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")).scalars()
        kept = {}
        for name in [name for name in names if not name.startswith("sqlite_")]:
            found = connection.execute(text(f'SELECT * FROM "{name}" ORDER BY rowid')).mappings()
            kept[name] = [{column: plain(value) for column, value in row.items()} for row in found]
        return kept


def plain(value: Any) -> Any:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def files(home: Path) -> dict[str, str]:
    """The files of the evidence."""
    return {
        str(file.relative_to(home)): base64.b64encode(file.read_bytes()).decode()
        for file in sorted((home / "evidence").rglob("*"))
        if file.is_file()
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
