"""What the shop's side sends about any binding: a wish, its withdrawal, letting go (BND)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from models.binding_events import BindingWithdrawn, UnbindRequested
from models.bindings import AccountPlatform, Binding, BindingEnd, BindingKind
from models.cases import Case, CaseKind
from models.messages import InboxMessage
from models.outcomes import Refusal
from models.shops import Shop
from notifications import bindings as words
from office.base.db import Tx
from office.cases import cases, merchants
from office.cases.locks import lock_case
from office.cases.merchants import ground
from office.record.inbox import Refused
from policies import bindings as policy_of_bindings
from policies.bindings import ASKED_UNDER, OBJECTION
from tasks.bindings import register
from tasks.shops.questions import own_open_case, take_back
from tasks.shops.shops import find_shop

SCAN, CONFIRM, CODE = "binding-scan", "binding-confirm", "binding-code"
"""Kinds of wait and of deadline: the account's side, the shop's last word, the code that was sent to the account."""
FIGURES, CONSENT = "binding-figures", "binding-consent"
"""The same of a self-operated account: days of sales that are missing, the talent's word."""
SENDS = {CONFIRM: ("account.official_confirmed",), CODE: ("account.code_entered", "account.code_requested")}
"""What the shop's side may send while that is awaited."""


def open_binding(
    tx: Tx,
    shop: Shop,
    message: InboxMessage,
    account_id: str,
    kind: BindingKind,
    platform: AccountPlatform = AccountPlatform.DOUYIN,
    target: str = "",
    name: str = "",
    *,
    part: str = "",
) -> Case:
    """A case for one account and one shop, with its row in the register; also for what will be refused.

    ``part`` tells it from the others of one message.
    """
    case = cases.open_case(
        tx,
        CaseKind.ACCOUNT_BINDING,
        origin=f"{message.origin}{part}",
        received_at=message.received_at,
        shop=shop,
        subject=f"{shop.name} · {kind.label}",
        request={
            "account_id": account_id,
            "kind": kind,
            "platform": platform,
            "target_account_id": target,
            "target_name": name,
        },
        actor=f"merchant/{account_id}",
        clause=ASKED_UNDER[kind],
        text=f"商家申请绑定{kind.label}",
    )
    if tx.get(Binding, case.id) is None:
        tx.add(
            Binding(
                case_id=case.id,
                shop_id=shop.id,
                kind=kind,
                platform=platform,
                account_id=target or None,
                account_name=name,
            )
        )
        tx.flush()
    return case


def withdraw(tx: Tx, event: BindingWithdrawn, message: InboxMessage) -> None:
    """The shop takes its wish back, until the account is bound."""
    case = own_open_case(tx, event.case_id, event.account_id, CaseKind.ACCOUNT_BINDING, "BND-2")
    take_back(tx, case, event.account_id, message.received_at, *(wait.kind for wait in cases.open_waits(tx, case.id)))


def unbind(tx: Tx, event: UnbindRequested, message: InboxMessage) -> None:
    """The shop lets an account go, if it may; what stays is told to the merchant with the clause and the date."""
    found = register.in_force(
        tx, kind=event.kind, platform=event.platform, account_id=event.target_account_id, shop_id=event.shop_id
    )
    for one in found:
        lock_case(tx, one.case_id)  # a case is locked before its shop
    if find_shop(tx, event.shop_id).owner_account_id != event.account_id:
        raise Refused("只有店铺的主账号可以解绑账号", ASKED_UNDER[event.kind])
    if not found:
        raise Refused(f"该账号不是本店绑定的{event.kind.label}", ASKED_UNDER[event.kind])
    row = tx.get_one(Binding, found[0].case_id, populate_existing=True)
    if row.bound_at is None or row.ended_at is not None:
        raise Refused("该账号已解绑", ASKED_UNDER[event.kind])
    refusal = policy_of_bindings.refuse_unbinding(
        row.kind, row.bound_at, message.received_at, register.numbers(tx, row)
    )
    if refusal is not None:
        heard = _telling(row, refusal)
        raise Refused(refusal.sentence, refusal.clause, heard=heard)
    channel = row.kind is BindingKind.CHANNEL
    how, clause = (BindingEnd.UNBOUND, "BND-8") if channel else (BindingEnd.MARKED_SELLING, "BND-14")
    register.let_go(tx, row, how, clause, f"merchant/{event.account_id}")


def _telling(row: Binding, refusal: Refusal) -> Callable[[Tx, InboxMessage], None]:
    kept, shown, case_id, shop_id = row.kind.label, row.shown, row.case_id, row.shop_id

    def tell(tx: Tx, message: InboxMessage) -> None:
        told = words.UnbindingRefused(
            shop_name=tx.get_one(Shop, shop_id).name,
            case_id=case_id,
            kind=kept,
            account=shown,
            received_at=message.received_at,
            grounds=(ground(refusal),),
            objection=OBJECTION,
        )
        merchants.tell(tx, told, f"{case_id}/stays/{message.message_id}", case=tx.get_one(Case, case_id))

    return tell


def may_send(tx: Tx, case: Case) -> Iterable[str]:
    """What the shop's side may send about a case now, whoever is awaited."""
    if case.concluded_at is None and case.withdrawn_at is None:
        yield "account.binding_withdrawn"
        yield from (type_ for wait in cases.open_waits(tx, case.id) for type_ in SENDS.get(wait.kind, ()))
