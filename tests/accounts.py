"""Playing a shop that binds accounts, the accounts' side and the talents."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from models.bindings import Binding
from models.cases import Case, WaitState
from office.base.db import Tx, in_transaction, reading
from office.cases import cases
from office.cases.locks import lock_case
from tests.play import Office


def ask(office: Office, shop_id: str = "shop-1", **changes: Any) -> Case:
    return office._open("account.official_requested", {"shop_id": shop_id, "account_id": f"acct-{shop_id}"} | changes)


def ticket(office: Office, case: Case) -> str:
    (found,) = [event["ticket"] for event in office.events("account.ticket.issued") if event["case_id"] == case.id]
    return str(found)


def scan(office: Office, case: Case, account: str = "dy-1", name: str = "晨光官方号") -> None:
    office.send(
        "account.scanned",
        {
            "ticket": ticket(office, case),
            "target_account_id": account,
            "target_name": name,
        },
    )


def answer(office: Office, case: Case, account: str = "dy-1", accepts: bool = True) -> None:
    office.send(
        "account.answered",
        {
            "ticket": ticket(office, case),
            "target_account_id": account,
            "accepts": accepts,
        },
    )


def answered(case: Case, wait_key: str) -> None:
    """What the case waits for has come, and nobody has acted on it yet."""

    def work(tx: Tx) -> None:
        lock_case(tx, case.id)
        wait = cases.find_wait(tx, case.id, wait_key)
        assert wait is not None
        cases.close_wait(tx, wait, WaitState.ANSWERED)

    in_transaction(work)


def confirm(office: Office, case: Case, account: str = "dy-1", knows: bool = True) -> None:
    office.send(
        "account.official_confirmed",
        office._from_owner(case)
        | {
            "target_account_id": account,
            "knows_for_ever": knows,
        },
    )


def bound(office: Office, shop_id: str = "shop-1", account: str = "dy-1") -> Case:
    case = ask(office, shop_id)
    scan(office, case, account)
    answer(office, case, account)
    confirm(office, case, account)
    return office.case(case.id)


def row(case: Case) -> Binding:
    with reading() as tx:
        found = tx.get_one(Binding, case.id)
        tx.expunge(found)
        return found


def unbind(office: Office, shop_id: str = "shop-1", account: str = "dy-1") -> None:
    office.send(
        "account.unbind_requested",
        {
            "shop_id": shop_id,
            "account_id": f"acct-{shop_id}",
            "kind": "OFFICIAL",
            "target_account_id": account,
        },
    )


# ── channels ─────────────────────────────────────────────────────────────────


def ask_channel(
    office: Office, account: str = "tt-1", shop_id: str = "shop-1", platform: str = "DOUYIN", **changes: Any
) -> Case:
    return office._open(
        "account.channel_requested",
        {
            "shop_id": shop_id,
            "account_id": f"acct-{shop_id}",
            "platform": platform,
            "target_account_id": account,
            "target_name": "晨光好物",
        }
        | changes,
    )


def codes(office: Office, case: Case) -> list[str]:
    """The codes that were sent to the account, oldest first."""
    return [event["code"] for event in office.events("account.code.issued") if event["case_id"] == case.id]


def wrong(office: Office, case: Case) -> str:
    """A code that is none of those."""
    return next(code for code in ("000000", "111111", "222222", "333333", "444444") if code not in codes(office, case))


def enter(office: Office, case: Case, code: str = "", message_id: str = "") -> None:
    data = office._from_owner(case) | {"code": code or codes(office, case)[-1]}
    office.send("account.code_entered", data, message_id)


def ask_code(office: Office, case: Case) -> None:
    office.send("account.code_requested", office._from_owner(case))


def channel(office: Office, account: str = "tt-1", shop_id: str = "shop-1", platform: str = "DOUYIN") -> Case:
    """A bound channel."""
    case = ask_channel(office, account, shop_id, platform)
    enter(office, case)
    return office.case(case.id)


def unbind_channel(office: Office, account: str = "tt-1", platform: str = "DOUYIN", **changes: Any) -> None:
    office.send(
        "account.unbind_requested",
        {
            "shop_id": "shop-1",
            "account_id": "acct-shop-1",
            "kind": "CHANNEL",
            "platform": platform,
            "target_account_id": account,
        }
        | changes,
    )


# ── self-operated ────────────────────────────────────────────────────────────

SHANGHAI = ZoneInfo("Asia/Shanghai")


def today(office: Office) -> date:
    return office.clock.at.astimezone(SHANGHAI).date()


def sales_of(
    day: date, ours: int, total: int = 100_000, account: str = "dy-8", shop_id: str = "shop-1", **others: int
) -> dict[str, Any]:
    """One day of a talent, as an event names it."""
    shops = {shop_id: ours} | others
    return {
        "target_account_id": account,
        "day": day.isoformat(),
        "total_fen": total,
        "shops": [{"shop_id": name, "fen": fen} for name, fen in shops.items() if fen],
    }


def report(office: Office, *days: dict[str, Any], as_of: datetime | None = None) -> None:
    office.send("talent.sales", {"as_of": (as_of or office.clock.at).isoformat(), "days": list(days)})


def month(
    office: Office,
    ours: int = 60_000,
    total: int = 100_000,
    account: str = "dy-8",
    but: tuple[int, ...] = (),
    **more: Any,
) -> None:
    """Thirty whole days before today, except those so many days ago."""
    days = [
        sales_of(today(office) - timedelta(days=n), ours, total, account, **more) for n in range(1, 31) if n not in but
    ]
    report(office, *days)


def mark(office: Office, *accounts: str, shop_id: str = "shop-1", **changes: Any) -> list[Case]:
    """Mark accounts as self-operated; a case for each, in their order."""
    office.send(
        "accounts.marking_requested",
        {
            "shop_id": shop_id,
            "account_id": f"acct-{shop_id}",
            "accounts": [{"target_account_id": one, "target_name": "小晨"} for one in accounts or ("dy-8",)],
        }
        | changes,
    )
    return [office.case(one["case_id"]) for one in office.events("accounts.marking.received")[-1]["cases"]]


def consent(office: Office, case: Case, agrees: bool = True, account: str = "dy-8") -> None:
    office.send("account.consent_answered", {"case_id": case.id, "target_account_id": account, "agrees": agrees})


def self_operated(office: Office, account: str = "dy-8", shop_id: str = "shop-1") -> Case:
    """A marked account whose talent has agreed."""
    month(office, account=account, shop_id=shop_id)
    (case,) = mark(office, account, shop_id=shop_id)
    consent(office, case, account=account)
    return office.case(case.id)


def mark_back(office: Office, account: str = "dy-8", shop_id: str = "shop-1") -> None:
    office.send(
        "account.unbind_requested",
        {
            "shop_id": shop_id,
            "account_id": f"acct-{shop_id}",
            "kind": "SELF_OPERATED",
            "target_account_id": account,
        },
    )


def withdraw_consent(office: Office, account: str = "dy-8") -> None:
    office.send("account.consent_withdrawn", {"target_account_id": account})
