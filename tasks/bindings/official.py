"""The handshake of an official account: link, scan, acceptance, and the shop's word that it knows it is for ever (BND-2)."""

from __future__ import annotations

import secrets

from sqlmodel import select

from models.binding_events import (
    AccountAccepted,
    AccountAnswered,
    AccountScanned,
    OfficialAccountConfirmed,
    OfficialAccountRequested,
    ScanRecorded,
    TicketIssued,
)
from models.bindings import Binding, BindingKind
from models.cases import Case, CaseKind, CaseState, WaitState
from models.messages import InboxMessage
from notifications import bindings as words
from office.base.db import Tx
from office.base.settings import settings
from office.base.vault import keyed_hash
from office.cases import cases, deadlines, merchants
from office.cases.cases import emit, rules
from office.cases.effects import effects_of
from office.cases.locks import lock_case
from office.cases.merchants import shop_of
from office.record import audit, outbox
from office.record.inbox import Refused
from policies.bindings import FOR_EVER
from policies.deadlines import in_time
from tasks.bindings import register
from tasks.bindings.intake import CONFIRM, SCAN, open_binding
from tasks.bindings.steps import start_wait
from tasks.shops.questions import own_open_case
from tasks.shops.shops import find_shop

effect = effects_of("official-account")


def hashed(ticket: str) -> str:
    return keyed_hash(f"binding-ticket/{ticket}")


# ── what comes in ────────────────────────────────────────────────────────────


def request(tx: Tx, event: OfficialAccountRequested, message: InboxMessage) -> None:
    """A shop wants an official account; which one, whoever scans the link decides (BND-1)."""
    shop = find_shop(tx, event.shop_id)
    open_binding(tx, shop, message, event.account_id, BindingKind.OFFICIAL)


def of_ticket(tx: Tx, ticket: str) -> Binding | None:
    """The row whose link holds this, found by its keyed hash."""
    return tx.exec(select(Binding).where(Binding.ticket_hash == hashed(ticket))).first()


def _of_ticket(tx: Tx, ticket: str) -> tuple[Case, Binding]:
    """The case whose link this is, locked; refuses what is nobody's or over."""
    found = of_ticket(tx, ticket)
    if found is None:
        raise Refused("绑定链接无效,请由店铺重新发起", "BND-2")
    case = lock_case(tx, found.case_id)
    if case.concluded_at is not None:
        raise Refused("绑定已结束,请由店铺重新发起", "BND-2")
    return case, register.of_case(tx, case)


def _fix(tx: Tx, case: Case, row: Binding, account_id: str, name: str, message: InboxMessage) -> None:
    """The first account that scans in time is the one; refuses another one, and one that is bound elsewhere."""
    if row.account_id is not None and row.account_id != account_id:
        raise Refused("该链接已由另一账号扫码;请由店铺撤回后重新发起", "BND-2")
    deadline = deadlines.find(tx, case.id, SCAN)
    if deadline is None or not in_time(message.received_at, deadline.due_at):
        raise Refused("绑定链接已过期,请由店铺重新发起", "BND-2")
    first = row.account_id is None
    row.account_id, row.account_name = account_id, row.account_name or name
    if first and (refusal := register.stands_in_the_way(tx, row)) is not None:
        raise Refused(refusal.sentence, refusal.clause)
    tx.add(row)
    if first:
        audit.record(
            tx,
            case.id,
            "account.scanned",
            actor=f"account/{account_id}",
            clause="BND-2",
            public=True,
            text="账号已扫码",
        )
        emit(tx, ScanRecorded(**register.about(row), until=deadline.due_at), f"{case.id}/scanned", case)


def scanned(tx: Tx, event: AccountScanned, message: InboxMessage) -> None:
    """Who has scanned is fixed here, before anybody accepts. The same account may scan as often as it likes."""
    case, row = _of_ticket(tx, event.ticket)
    _fix(tx, case, row, event.target_account_id, event.target_name, message)


def answered(tx: Tx, event: AccountAnswered, message: InboxMessage) -> None:
    """The account's side accepts or declines, once; an acceptance that overtook its scan fixes the account, too."""
    case, row = _of_ticket(tx, event.ticket)
    _fix(tx, case, row, event.target_account_id, "", message)
    wait = cases.find_wait(tx, case.id, SCAN)
    if wait is None or wait.state is not WaitState.OPEN:
        raise Refused("账号已答复,等待店铺确认;如需更改请由店铺撤回", "BND-2")
    cases.close_wait(tx, wait, WaitState.ANSWERED if event.accepts else WaitState.CANCELLED)
    deadlines.stop(tx, case.id, SCAN)
    audit.record(
        tx,
        case.id,
        "account.answered",
        actor=f"account/{event.target_account_id}",
        clause="BND-2",
        public=True,
        text="账号已接受绑定" if event.accepts else "账号拒绝绑定",
    )
    outbox.wake(tx, case)


def confirmed(tx: Tx, event: OfficialAccountConfirmed, message: InboxMessage) -> None:
    """The shop confirms the account that has accepted, having read that it is for ever (BND-3)."""
    case = own_open_case(tx, event.case_id, event.account_id, CaseKind.ACCOUNT_BINDING, "BND-2")
    wait, deadline = cases.find_wait(tx, case.id, CONFIRM), deadlines.find(tx, case.id, CONFIRM)
    if wait is None or wait.state is not WaitState.OPEN or deadline is None:
        raise Refused("当前没有需要店铺确认的官方账号", "BND-2")
    if not in_time(message.received_at, deadline.due_at):
        raise Refused("确认期限已过,请重新发起绑定", "BND-2")
    if register.of_case(tx, case).account_id != event.target_account_id:
        raise Refused("确认的账号与已接受的账号不一致", "BND-2")
    if not event.knows_for_ever:
        raise Refused(f"{FOR_EVER}请阅读并同意后再确认。", "BND-3")
    cases.close_wait(tx, wait, WaitState.ANSWERED, {"warned": FOR_EVER})
    deadlines.stop(tx, case.id, CONFIRM)
    audit.record(
        tx,
        case.id,
        "account.confirmed",
        actor=f"merchant/{event.account_id}",
        clause="BND-3",
        public=True,
        text=f"店铺已阅读提示并确认:{FOR_EVER}",
    )
    outbox.wake(tx, case)


# ── the steps of the story ───────────────────────────────────────────────────


@effect("发出绑定链接")
def issue_link(tx: Tx, case: Case) -> str:
    """Make the link and its QR code for the shop to show; returns the key of the wait for the account's side.

    What is in the link is in no table: the platform gets it, and its keyed hash finds the case again.
    """
    import segno  # only who issues a link draws its picture

    ticket = secrets.token_urlsafe(24)
    link = f"{settings().public}/accounts/tickets/{ticket}"
    row = register.of_case(tx, case)
    row.ticket_hash = hashed(ticket)
    tx.add(row)
    cases.move(tx, case, CaseState.PENDING_SCAN, "绑定链接已发出,等待账号扫码接受", clause="BND-2")
    until = start_wait(tx, case, SCAN, rules(case).bindings.link, "BND-2")
    event = TicketIssued(
        shop_id=row.shop_id,
        case_id=case.id,
        ticket=ticket,
        link=link,
        expires_at=until,
        qr_svg=segno.make(link, error="m").svg_inline(scale=4),
    )
    emit(tx, event, f"{case.id}/ticket", case)
    told = words.OfficialLinkIssued(shop_name=shop_of(tx, case).name, case_id=case.id, until=until)
    merchants.tell(tx, told, f"{case.id}/link", case=case)
    return SCAN


@effect("请店铺确认官方账号")
def ask_shop(tx: Tx, case: Case) -> str:
    """Ask the shop for its last word, after the warning; returns the key of the wait."""
    row = register.of_case(tx, case)
    cases.move(tx, case, CaseState.ACCOUNT_ACCEPTED, "账号已接受,等待店铺确认", clause="BND-2")
    until = start_wait(tx, case, CONFIRM, rules(case).bindings.confirm, "BND-2")
    emit(tx, AccountAccepted(**register.about(row), until=until, warning=FOR_EVER), f"{case.id}/accepted", case)
    told = words.OfficialAccepted(
        shop_name=shop_of(tx, case).name, case_id=case.id, account=row.shown, until=until, warning=FOR_EVER
    )
    merchants.tell(tx, told, f"{case.id}/confirm", case=case)
    return CONFIRM
