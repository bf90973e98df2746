"""Shops: registered and updated by the platform's events; facts kept as of their time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlmodel import col, func, select

from models.arbitration import Arbitration, Stage
from models.bindings import Binding, BindingKind
from models.books import AccountKind
from models.deposits import BookFacts
from models.messages import InboxMessage
from models.shop_events import ShopRegistered, ShopUpdated
from models.shops import Shop, ShopFacts, ShopSnapshot, ShopState
from office.base.db import Tx
from office.base.vault import place, place_in, seal_json
from office.cases import cases, dossier
from office.money.ledger import shop_balances
from office.process import Process
from office.record import audit
from office.record.inbox import Early, Refused, look_again, said_at
from policies.deposit import NotRecruiting, required_deposit
from policies.policy import policy_at
from policies.text import normalise_name
from tasks.shops import demands, payees, settling, states

FACTS = "facts"
"""The kind of wait that ends when the platform reports new facts (``tasks.shops.facts``)."""


def find_shop(tx: Tx, shop_id: str) -> Shop:
    """The shop, locked; refuses an unknown one in a sentence."""
    query = select(Shop).where(Shop.id == shop_id)
    shop = tx.exec(query.with_for_update() if tx.postgres else query).first()
    if shop is None:
        raise Early(f"店铺 {shop_id} 尚未登记,请先发送 shop.registered 事件")
    return shop


def register(tx: Tx, event: ShopRegistered, message: InboxMessage) -> None:
    """A shop we look after from now on, which opens when its deposit is paid (DEP-10). Registered again, it is refused.

    The payment often follows at once: who has not paid by the next sweep is asked then (``tasks.shops.demands``).
    """
    before = tx.get(Shop, event.shop_id)
    if before is not None:
        raise Refused(f"店铺 {event.shop_id} 已登记,如需修改请发送 shop.updated 事件")
    _has_figures(tx, event.order_type)
    try:
        required_deposit(event.entity_type, event.categories, policy_at(tx.now))
    except NotRecruiting as refusal:
        raise Refused(refusal.sentence, refusal.clause) from refusal
    shop = Shop(
        id=event.shop_id,
        name=event.name,
        name_key=normalise_name(event.name),
        entity_type=event.entity_type,
        owner_account_id=event.owner_account_id,
        owner_name=event.owner_name,
        licence_name=event.licence_name,
        uscc=event.uscc,
        taxpayer_type=event.taxpayer_type or "",
        categories=list(event.categories),
        auto_deduct=event.auto_deduct,
        registered_at=message.received_at,
        state=ShopState.AWAITING_DEPOSIT,
        official_account=event.official_account,
        contacts_sealed=seal_json(list(event.contacts), place(Shop, "contacts_sealed", event.shop_id))
        if event.contacts
        else "",
    )
    tx.add(shop)
    tx.flush()
    look_again(tx, event.shop_id)
    audit.record(
        tx,
        f"shop/{event.shop_id}",
        "shop.registered",
        actor="platform",
        text=f"店铺登记:{event.name}",
        said_at=said_at(message).isoformat(),
        **states.said(shop),
    )


def _has_figures(tx: Tx, order_type: str) -> None:
    """Refuse a type of orders of which the policy does not say what deposit it takes: less than is due is never asked (DEP-1)."""
    known = policy_at(tx.now).deposit.order_types
    if order_type not in known:
        raise Refused(f"没有「{order_type}」的保证金标准,目前只受理{'、'.join(known)}的店铺", "DEP-1")


def update(tx: Tx, event: ShopUpdated, message: InboxMessage) -> None:
    """Change what the platform says has changed; other categories may mean a higher deposit (DEP-11)."""
    shop = find_shop(tx, event.shop_id)
    changes, said = event.changes(), said_at(message)
    if overtaken := sorted({*changes} & _said_after(tx, shop, said)):
        raise Refused(
            f"{dossier.when(said)} 的店铺变更晚到,其中 {'、'.join(overtaken)} 已有更新的变更,整条未采纳;"
            "如仍须变更,请以新的编号和发生时间重新发送"
        )
    if order_type := changes.pop("order_type", None):
        _has_figures(tx, order_type)
    if changes.get("official_account") is False and _has_official(tx, shop):
        raise Refused("店铺已绑定官方账号,官方账号不能解绑", "BND-3")
    contacts = changes.pop("contacts", None)
    if contacts is not None:
        shop.contacts_sealed = seal_json(list(contacts), place_in(shop, "contacts_sealed")) if contacts else ""
    if "name" in changes:
        call(shop, changes.pop("name"))
    for name, value in changes.items():
        setattr(shop, name, list(value) if isinstance(value, tuple) else value)
    if {
        "categories",
        "entity_type",
    } & changes.keys():  # what was recruited when it came stays, whatever else changes (DEP-4)
        try:
            required_deposit(shop.entity_type, shop.categories, policy_at(tx.now))
        except NotRecruiting as refusal:
            raise Refused(refusal.sentence, refusal.clause) from refusal
    tx.add(shop)
    audit.record(
        tx,
        f"shop/{shop.id}",
        "shop.updated",
        actor="platform",
        text="店铺信息变更",
        fields=sorted(event.changes()),
        said_at=said.isoformat(),
    )
    payees.look(tx, shop)
    demands.look(tx, shop)
    if {"entity_type", "licence_name", "owner_name"} & changes.keys():  # to whom a deposit goes back (REF-5)
        cases.wake_leaving(tx, shop.id)


def _said_after(tx: Tx, shop: Shop, moment: datetime) -> set[str]:
    """The fields about which something was said after that moment and has been taken: what is older does not undo it."""
    later: set[str] = set()
    for line in audit.timeline(tx, f"shop/{shop.id}", "shop.registered", "shop.updated"):
        if "said_at" in line.detail and datetime.fromisoformat(line.detail["said_at"]) > moment:
            later |= {*line.detail.get("fields", ShopUpdated.model_fields)}  # whoever registers a shop says all of it
    return later


def _has_official(tx: Tx, shop: Shop) -> bool:
    """Whether an account is bound for ever; whatever anybody sends later, it stays (BND-3)."""
    query = select(Binding.case_id).where(Binding.shop_id == shop.id, Binding.kind == BindingKind.OFFICIAL)
    return tx.exec(query.where(col(Binding.bound_at).is_not(None))).first() is not None


def call(shop: Shop, name: str) -> None:
    """Give the shop this name, and have it found by it."""
    shop.name, shop.name_key = name, normalise_name(name)


def facts_of(tx: Tx, shop_id: str) -> tuple[ShopFacts | None, ShopSnapshot | None]:
    """The newest facts and the snapshot they came in; ``(None, None)`` when the platform never sent any."""
    snapshot = tx.get(ShopSnapshot, shop_id)
    return (ShopFacts.model_validate(snapshot.facts), snapshot) if snapshot else (None, None)


def book_facts(tx: Tx, shop_id: str) -> BookFacts:
    """What our ledger says about the shop, and how many arbitrations were reported since its newest facts (ARB-9)."""
    running = (
        select(func.count())
        .select_from(Arbitration)
        .where(Arbitration.shop_id == shop_id, col(Arbitration.stage).not_in([Stage.RULED, Stage.WITHDRAWN]))
    )
    if snapshot := tx.get(ShopSnapshot, shop_id):
        running = running.where(col(Arbitration.seen_at) > snapshot.as_of)
    held = shop_balances(tx, shop_id)
    return BookFacts(
        arbitrations=tx.exec(running).one(),
        deposit_fen=held[AccountKind.DEPOSIT].fen,
        receivable_fen=held[AccountKind.RECEIVABLE].fen,
        arrears_fen=held[AccountKind.ARREARS].fen,
        receivable_frozen_fen=held[AccountKind.RECEIVABLE_FROZEN].fen,
        **settling.unsettled(tx, shop_id),
    )


def about_shop(act: Callable[[Tx, Any, Shop, InboxMessage], None]) -> Callable[[Tx, Any, InboxMessage], None]:
    """For handlers that need the shop itself, locked; an unknown shop is refused before they are asked."""
    return lambda tx, event, message: act(tx, event, find_shop(tx, event.shop_id), message)


PROCESS = Process(
    name="shop",
    hears={
        ShopRegistered: register,
        ShopUpdated: update,
    },
)
