"""Payments of a half: permits and orders to the bank in batches, and what its answers mean (STL-1, ambiguity 38)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from sqlmodel import col, select

from models.books import AccountKind
from models.cases import Case, CaseKind, CaseState
from models.money import Money
from models.payouts import Payee, Payout, PayoutState
from models.reviews import Review, ReviewState
from models.settlement import Half, HoldReason, Settlement, SettlementAccount, SettlementState
from models.settlement_events import (
    PayItem,
    SettlementPayoutRequested,
    SettlementPayoutsRequested,
    SettlementPayoutUpdated,
)
from models.shops import Shop
from notifications.settlement import SettlementReturned
from office.base import bulk
from office.base.db import Tx
from office.base.vault import place, seal_json, unseal_json
from office.cases import cases, merchants
from office.money import ledger
from office.money.ledger import Posting, platform_account, shop_account, shop_balance
from office.process import Pays
from office.record import outbox
from policies.payees import Holder
from tasks.payouts import payouts
from tasks.payouts.payouts import as_told
from tasks.settlement.request import ReturnAsked
from tasks.shops import bans, shops
from tasks.shops.payees import fits as account_fits
from tasks.shops.payees import read, resting

BACK = frozenset({PayoutState.FAILED, PayoutState.RETURNED})


class Payable(Protocol):
    """What of a shop's half paying it reads and writes."""

    shop_id: str
    paid_fen: int
    left_fen: int
    hold: HoldReason
    request_no: str | None
    payee_masked: str


def pay(tx: Tx, case: Case, half: Half, rows: Sequence[Payable], by: Sequence[str]) -> None:
    """Order the bank to pay these rows, each once: permit, posting and order in the caller's transaction, one batch.

    The account is opened and compared with the shop once more; whose account does not fit is held instead.
    """
    if not rows:
        return
    payees = _payees(tx, [row.shop_id for row in rows])
    permits, ordered, postings, items = [], [], [], []
    case_id, before, granted = case.id, half.last_payout, {"granted_by": ",".join(by), "granted_at": half.released_at}
    clearing, attempt = platform_account(AccountKind.CLEARING), before
    for row in rows:
        shop_id, fen = row.shop_id, row.paid_fen
        payee, hashed, hold = payees.get(shop_id, (None, "", HoldReason.NO_ACCOUNT))
        if payee is None or hold is not HoldReason.NONE:
            row.hold = hold
            row.left_fen, row.paid_fen = row.left_fen + fen, 0
            continue
        attempt += 1
        number = f"{case_id}-P{attempt}"
        permit = f"PM-{number}"
        row.request_no, row.payee_masked = number, payee.masked
        permits.append(
            {
                "id": permit,
                "case_id": case_id,
                "attempt": attempt,
                "amount_fen": fen,
                "payee_sha256": hashed,
                "used_at": tx.now,
                **granted,
            }
        )
        ordered.append(
            {
                "request_no": number,
                "case_id": case_id,
                "shop_id": shop_id,
                "attempt": attempt,
                "turn": 1,
                "permit_id": permit,
                "amount_fen": fen,
                "covered": False,
                "payee_masked": row.payee_masked,
                "payee_sealed": seal_json(payee.model_dump(mode="json"), place(Payout, "payee_sealed", number)),
                "source": AccountKind.RECEIVABLE,
                "state": PayoutState.REQUESTED,
                "requested_at": tx.now,
                "bank_reason": "",
            }
        )
        postings.append(
            Posting(
                key=f"{case_id}/payout/{attempt}",
                debit=shop_account(shop_id, AccountKind.RECEIVABLE),
                credit=clearing,
                fen=fen,
                reason="payout.requested",
                clause="STL-1",
                case_id=case_id,
            )
        )
        items.append(PayItem.model_construct(request_no=number, shop_id=shop_id, amount_fen=fen, payee=as_told(payee)))
    if not items:
        return
    half.last_payout = attempt
    ledger.post_many(tx, postings, leaving=True)
    bulk.insert(tx, "permit", _PERMIT, permits)
    bulk.insert(tx, "payout", _PAYOUT, ordered)
    batch = SettlementPayoutsRequested.model_construct(
        case_id=case_id,
        batch_no=f"{case_id}-B{before + 1}-{attempt}",
        count=len(items),
        total_fen=sum(item.amount_fen for item in items),
        payments=tuple(items),
    )
    cases.emit(tx, batch, batch.batch_no, case)


def _payees(tx: Tx, shop_ids: Sequence[str]) -> dict[str, tuple[Payee, str, HoldReason]]:
    """By shop: the account as it was sealed, opened, its hash, and what is in the way: it is not in the shop's name, or came
    too lately."""
    query = (
        select(col(SettlementAccount.shop_id), col(SettlementAccount.payee_sealed), col(SettlementAccount.payee_sha256))
        .add_columns(col(Shop.entity_type), col(Shop.licence_name), col(Shop.owner_name))
        .join(Shop, col(Shop.id) == SettlementAccount.shop_id)
        .where(col(SettlementAccount.shop_id).in_(shop_ids))
    )
    found = {}
    for shop_id, sealed, hashed, entity, licence, owner in tx.execute(query):
        payee, since = read(unseal_json(sealed, place(SettlementAccount, "payee_sealed", shop_id)))
        fits = account_fits(payee, Holder(entity=entity, licence_name=licence, owner_name=owner))
        hold = HoldReason.NEW_ACCOUNT if resting(tx, since) else HoldReason.NONE
        found[shop_id] = payee, hashed, hold if fits else HoldReason.OTHER_NAME
    return found


def payable_now(tx: Tx, row: Settlement) -> tuple[Money, Money]:
    """Of what is left of a row: what arrears take first, and what can be paid by itself at this moment (ambiguity 49)."""
    if row.taken_on is not None:
        return Money(), Money()
    known, _ = shops.facts_of(tx, row.shop_id)
    free = shop_balance(tx, row.shop_id, AccountKind.RECEIVABLE).fen
    left, frozen = min(row.left_fen, free), known.frozen_fen if known else 0
    set_off = min(left, shop_balance(tx, row.shop_id, AccountKind.ARREARS).fen)
    return Money(fen=set_off), Money(fen=max(0, min(left - set_off, free - set_off - frozen)))


def set_off_first(tx: Tx, case: Case, row: Settlement, fen: int) -> None:
    """Arrears that came up since the row was posted leave before it is paid; each time has a key of its own."""
    done = row.set_off_fen
    ledger.post(
        tx,
        f"settlement/{row.id}/set-off/{done}",
        debit=shop_account(row.shop_id, AccountKind.RECEIVABLE),
        credit=shop_account(row.shop_id, AccountKind.ARREARS),
        amount=Money(fen=fen),
        reason="settlement.set-off",
        clause="REF-8",
        case_id=case.id,
    )
    row.set_off_fen, row.left_fen = done + fen, row.left_fen - fen


_PERMIT = {
    "id": str,
    "case_id": str,
    "attempt": int,
    "amount_fen": int,
    "payee_sha256": str,
    "granted_by": str,
    "granted_at": datetime,
    "used_at": datetime,
}
_PAYOUT = {
    "request_no": str, "case_id": str, "shop_id": str, "attempt": int, "turn": int, "permit_id": str, "amount_fen": int,
    "covered": bool, "payee_masked": str, "payee_sealed": str, "source": str, "state": str, "requested_at": datetime,
    "bank_reason": str,
}  # fmt: skip


def released_by(tx: Tx, case: Case) -> list[str]:
    """Who released the half: one person, or two."""
    query = select(Review.round, Review.decided_by).where(
        Review.case_id == case.id, Review.state == ReviewState.DECIDED
    )
    decided = list(tx.exec(query.order_by(col(Review.opened_at))))
    last = max((number for number, _ in decided), default=0)
    return [str(by) for number, by in decided if number == last]


# ── what the bank answers ────────────────────────────────────────────────────


def taken(tx: Tx, case: Case, payout: Payout, before: PayoutState) -> None:
    """The money has arrived; or it is back among the shop's receivables, and finance looks at it in a case of its own."""
    row = tx.exec(select(Settlement).where(Settlement.request_no == payout.request_no)).one_or_none()
    if row is None and before in BACK:  # what a later order was to pay once more has been paid by this one
        row = _row_of(tx, case, payout)
    if row is None:  # a later order pays what this one was for
        if payout.state in BACK:
            payouts.nobody_waits(tx, case, payout, "款项已回到店铺的货款,并入下期结算。")
            bans.hold(tx, payout.shop_id or "")
        return
    row.state = SettlementState.RETURNED if payout.state in BACK else SettlementState.PAID
    shop = tx.get_one(Shop, row.shop_id)
    if payout.state in BACK:
        row.paid_fen, row.left_fen = row.paid_fen - payout.amount_fen, row.left_fen + payout.amount_fen
    elif before in BACK:  # it was back, and has left once more
        row.request_no, row.payee_masked = payout.request_no, payout.payee_masked
        row.paid_fen, row.left_fen = row.paid_fen + payout.amount_fen, row.left_fen - payout.amount_fen
        _paid_after_all(tx, case, payout)
    tx.add(row)
    tx.flush()
    if payout.state in BACK:
        if case.kind is CaseKind.SETTLEMENT:
            _return_case(tx, shop, row, payout)
        elif case.concluded_at is not None:
            cases.reopen(tx, case, CaseState.UNDER_REVIEW, "退票:货款被退回,重新处理", clause="STL-1", actor="bank")
        told = SettlementReturned(
            shop_name=shop.name,
            number=str(row.number),
            amount_fen=payout.amount_fen,
            payee=payout.payee_masked,
            bank_reason=payout.bank_reason or payout.state.label,
        )
        merchants.tell(tx, told, f"{payout.request_no}/returned", shop_id=shop.id)
        bans.hold(tx, shop.id)
    cases.wake_leaving(tx, shop.id)


def _row_of(tx: Tx, case: Case, payout: Payout) -> Settlement | None:
    """The shop's half that an order was about, where whatever was ordered since came back, too."""
    own_half = case.kind is CaseKind.SETTLEMENT
    about = Half.case_id == case.id if own_half else Settlement.id == ReturnAsked.of(case).settlement
    query = select(Settlement).join(Half, col(Half.id) == Settlement.half)
    row = tx.exec(query.where(about, Settlement.shop_id == payout.shop_id)).first()
    return row if row is not None and row.state is SettlementState.RETURNED and row.taken_on is None else None


def _paid_after_all(tx: Tx, case: Case, payout: Payout) -> None:
    """The bank has proved that it was paid: whoever decides about paying it once more has nothing to decide."""
    query = select(Case).where(Case.origin == _origin(payout))
    returned = case if case.kind is CaseKind.SETTLEMENT_RETURN else tx.exec(query).first()
    if returned is not None and returned.concluded_at is None:
        text = f"银行证明 {Money(fen=payout.amount_fen)} 已到账,无需再次付款"
        cases.conclude(tx, returned, CaseState.PAID_AGAIN, text, clause="STL-1")
        outbox.wake(tx, returned)  # its run ends instead of waiting in the list for ever


def _origin(payout: Payout) -> str:
    return f"return/{payout.request_no}"


def _return_case(tx: Tx, shop: Shop, row: Settlement, payout: Payout) -> Case:
    return cases.open_case(
        tx,
        CaseKind.SETTLEMENT_RETURN,
        origin=_origin(payout),
        received_at=tx.now,
        shop=shop,
        request={
            "settlement": row.id,
            "number": row.number,
            "amount_fen": payout.amount_fen,
            "request_no": payout.request_no,
        },
        actor="bank",
        clause="STL-1",
        text=f"货款被银行退回:{payout.bank_reason or payout.state.label}",
    )


PAYS = Pays(asks_bank=SettlementPayoutRequested, tells=SettlementPayoutUpdated, clause="STL-1", taken=taken)
