"""Playing a shop that binds accounts, the accounts' side and the talents."""

from __future__ import annotations

from typing import Any

from models.bindings import Binding
from models.cases import Case
from office.base.db import reading
from tests.play import Office


def ask(office: Office, shop_id: str = "shop-1", **changes: Any) -> Case:
    return office._open("account.official_requested", {"shop_id": shop_id, "account_id": f"acct-{shop_id}"} | changes)


def ticket(office: Office, case: Case) -> str:
    (found,) = [event["ticket"] for event in office.events("account.ticket.issued") if event["case_id"] == case.id]
    return str(found)


def scan(office: Office, case: Case, account: str = "dy-1", name: str = "晨光官方号") -> None:
    office.send("account.scanned", {
        "ticket": ticket(office, case), "target_account_id": account, "target_name": name,
    })  # fmt: skip


def answer(office: Office, case: Case, account: str = "dy-1", accepts: bool = True) -> None:
    office.send("account.answered", {
        "ticket": ticket(office, case), "target_account_id": account, "accepts": accepts,
    })  # fmt: skip


def confirm(office: Office, case: Case, account: str = "dy-1", knows: bool = True) -> None:
    office.send("account.official_confirmed", office._from_owner(case) | {
        "target_account_id": account, "knows_for_ever": knows,
    })  # fmt: skip


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
    office.send("account.unbind_requested", {
        "shop_id": shop_id, "account_id": f"acct-{shop_id}", "kind": "OFFICIAL", "target_account_id": account,
    })  # fmt: skip
