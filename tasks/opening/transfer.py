"""打款验证: a random amount goes to the account, and whoever has it reads it there and enters it (OPN-10, ambiguity 44).

The amount is drawn, sealed with its payout and told to the bank in one transaction; nothing else ever holds it, nor is it
returned by anything here. It is compared in constant time, under locks on the case and on every transfer whose wrong
amounts count together: those of the same merchant account and those to the same bank account.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from datetime import datetime

from sqlmodel import col, or_, select

from models.books import AccountKind
from models.cases import Case, CaseDeadline, CaseState, DeadlineState, Side, WaitState
from models.messages import InboxMessage
from models.opening import OpeningTransfer, Part, Stage, TransferState
from models.opening_events import AmountEntered
from models.opening_told import TransferRequested, TransferUpdated
from models.payouts import Order, Payee, Payout, PayoutState
from models.reviews import Role
from notifications import opening as words
from notifications.message import hours_between
from office.base.calendar import work_calendar
from office.base.db import Tx, in_transaction, reading
from office.cases import approvals, cases, deadlines, merchants, reviews
from office.cases.cases import emit, rules
from office.cases.effects import effects_of
from office.cases.locks import lock_case
from office.cases.merchants import shop_of
from office.process import Pays
from office.record import audit, outbox
from office.record.inbox import Refused
from policies import opening as policy_of_opening
from policies.deadlines import in_time, reckon, reminder_times
from tasks.opening import parts
from tasks.opening.request import OpeningAsked
from tasks.opening.review import CERTIFICATE, ENTITY, TRANSFER, OpeningVerdict, TransferVerdict
from tasks.opening.tries import AMOUNT, BANK, UNDER_WAY, find, hash_of, key_of, of_case, payee, tries_left, wrong_before
from tasks.payouts import contradictions, payouts, permits, sources
from tasks.shops.questions import own_open_case

effect = effects_of("opening_transfers")
_ONCE_MORE = (TransferVerdict.AGAIN, TransferVerdict.OTHER_ACCOUNT)
"""What finance says when the tries are used up and another transfer is to be sent."""


_chance: list[Callable[[int], int]] = [secrets.randbelow]


def use_chance(chance: Callable[[int], int] | None) -> None:
    """Draw amounts by this instead of by what nobody can foretell; ``None``: as in production."""
    _chance[:] = [chance or secrets.randbelow]


# ── the steps of the story ───────────────────────────────────────────────────


@effect("核对打款次数")
def allowed(tx: Tx, case: Case, number: int) -> bool:
    """Whether another transfer may be sent without a person's word: two at most, returned ones not counted, and tries left.

    Kept with its answer: what is no longer counted later makes no transfer out of a person's decision.
    """
    numbers = rules(case).opening
    used = sum(row.state is not TransferState.RETURNED for row in of_case(tx, case.id))
    spent = wrong_before(tx, case, hash_of(payee(tx, case))) >= numbers.tries_per_payee
    return case.withdrawn_at is not None or (used < numbers.transfers and not spent)


def free(case_id: str) -> bool:
    """Whether no answer of the bank that contradicts itself stands in the way of paying (ambiguity 38)."""
    with reading() as tx:
        case = cases.get(tx, case_id)
        return case.withdrawn_at is not None or not contradictions.open_for(tx, case.shop_id)


@effect("打入随机金额")
def send(tx: Tx, case: Case, number: int) -> None:
    """Draw an amount that was not the last one, and have the bank pay it from our own money; nobody is told how much."""
    wait = cases.open_wait(tx, case, key_of(number), AMOUNT)
    approvals.insist(tx, case, number, (TRANSFER, _ONCE_MORE))  # where finance was asked, they said so
    if case.withdrawn_at is not None:
        cases.close_wait(tx, wait, WaitState.CANCELLED)
        return
    parts.note(tx, case, stage=Stage.TRANSFER.value)
    numbers, account = rules(case).opening, payee(tx, case)
    fen = policy_of_opening.pick_amount(numbers, _last(tx, case, account), _chance[0])
    orders = [Order(payee=account, fen=fen, covered_by_fen=numbers.transfer_most_fen)]
    yes = OpeningVerdict.APPROVE
    rests_on = approvals.insist_last(tx, case, (ENTITY, yes), (CERTIFICATE, yes), (TRANSFER, _ONCE_MORE))
    permits.grant(tx, case, orders, [str(rests_on.decided_by)])
    (paid,) = payouts.instruct(
        tx, case, number, orders, AccountKind.OWN_FUNDS, says=f"已向 {account.masked} 打入一笔随机金额,等待到账"
    )
    row = OpeningTransfer(
        request_no=paid.request_no,
        case_id=case.id,
        number=number,
        account_id=OpeningAsked.of(case).account_id,
        account_hash=hash_of(account),
        sent_at=tx.now,
    )
    tx.add(row)
    tx.flush()
    due = reckon(tx.now, numbers.transfer_arrives, "OPN-10", work_calendar())
    deadlines.start(tx, case, f"{BANK}/{number}", BANK, Side.PLATFORM, due)
    told = words.OpeningTransferSent(
        shop_name=shop_of(tx, case).name, case_id=case.id, payee=account.masked, arrives_by=due.due
    )
    merchants.tell(tx, told, f"{case.id}/transfer/{number}", case=case)
    _tell(tx, case, row, account.masked)


def _last(tx: Tx, case: Case, account: Payee) -> int | None:
    """The amount drawn last for this application's account or for this bank account (never twice running)."""
    ours = or_(
        col(OpeningTransfer.account_id) == OpeningAsked.of(case).account_id,
        col(OpeningTransfer.account_hash) == hash_of(account),
    )
    query = select(OpeningTransfer.request_no).where(ours)
    query = query.order_by(col(OpeningTransfer.sent_at).desc(), col(OpeningTransfer.number).desc())
    last = tx.exec(query).first()
    paid = tx.get(Payout, last) if last else None
    return sources.amount_of(paid) if paid else None


def over(case_id: str, number: int) -> bool:
    return cases.wait_state(case_id, key_of(number)) is not WaitState.OPEN


def state_of(case_id: str, number: int) -> TransferState | None:
    """How the transfer ended; ``None`` for one that was never sent or was taken back with the application."""
    with reading() as tx:
        row, wait = find(tx, case_id, number), cases.find_wait(tx, case_id, key_of(number))
        return None if row is None or wait is None or wait.state is WaitState.CANCELLED else row.state


@effect("退回后请商家更正账户")
def ask_account(tx: Tx, case: Case, number: int) -> None:
    """The bank would not pay this account: another one is needed, and the return costs nothing (ambiguity 44)."""
    row = find(tx, case.id, number)
    paid = tx.get(Payout, row.request_no) if row else None
    why = (paid.bank_reason or paid.state.label) if paid else ""
    parts.note(tx, case, asked_again={**OpeningAsked.of(case).asked_again, Part.ACCOUNT.value: f"银行退回:{why}"})


@effect("请商家更换账户")
def ask_other_account(tx: Tx, case: Case, number: int, reason: str) -> None:
    """Finance wants another account to be verified."""
    parts.note(tx, case, asked_again={**OpeningAsked.of(case).asked_again, Part.ACCOUNT.value: reason})


@effect("逾期未填写金额,结束申请")
def lapse(tx: Tx, case: Case, number: int) -> None:
    """Nobody entered the amount in its seven days: the application ends and can be taken up again."""
    deadline = deadlines.find(tx, case.id, key_of(number))
    told = words.OpeningLapsed(
        shop_name=shop_of(tx, case).name,
        case_id=case.id,
        matter=case.kind.label,
        needed=(words.NeededLine(label="填写打款验证金额", clause="OPN-10"),),
        due=deadline.due_at if deadline else tx.now,
    )
    merchants.tell(tx, told, f"{case.id}/lapsed", case=case)
    text = "商家逾期未填写打款金额,本次申请关闭,可重新申请,已提交的资料保留"
    cases.conclude(tx, case, CaseState.LAPSED, text, clause="OPN-10")


@effect("凭银行证明通过验证")
def take_word(tx: Tx, case: Case, number: int) -> None:
    """Finance has seen the bank's proof that the account is the merchant's."""
    if not approvals.insist(tx, case, number, (TRANSFER, TransferVerdict.PROVED)):
        raise LookupError(f"{case.id}: nobody has seen a proof in round {number}")
    audit.record(tx, case.id, "opening.account_proved", clause="OPN-10", public=True, text="凭银行证明通过账户验证")
    _disclose(tx, case)


# ── the bank ─────────────────────────────────────────────────────────────────


def taken(tx: Tx, case: Case, paid: Payout, before: PayoutState) -> None:
    """The bank has answered: from now on the merchant has seven days, or is asked for another account."""
    query = select(OpeningTransfer).where(OpeningTransfer.request_no == paid.request_no)
    row = tx.exec(query).first()
    waited, settled = row is not None and row.state in UNDER_WAY, paid.state is PayoutState.SETTLED
    if row is None or not waited or case.concluded_at is not None or case.withdrawn_at is not None:
        if waited or not settled:
            payouts.nobody_waits(tx, case, paid, _late(row, paid))
        if row is not None and waited:
            row.state, row.ended_at = TransferState.ARRIVED if settled else TransferState.RETURNED, tx.now
        return
    deadlines.stop(tx, case.id, f"{BANK}/{row.number}")
    if settled:
        return _arrived(tx, case, row, paid)
    _end(tx, case, row, TransferState.RETURNED)
    told = words.OpeningTransferReturned(
        shop_name=shop_of(tx, case).name,
        case_id=case.id,
        payee=paid.payee_masked,
        bank_reason=paid.bank_reason or paid.state.label,
    )
    merchants.tell(tx, told, f"{case.id}/transfer/{row.number}/returned", case=case)
    _tell(tx, case, row, paid.payee_masked, paid.bank_reason)


def _late(row: OpeningTransfer | None, paid: Payout) -> str:
    """What becomes of a transfer that arrives or comes back when nothing waits for it, and what it says of its account."""
    if paid.state is PayoutState.SETTLED:
        return "款项已付给申请人且不收回,按实际金额记入平台自有资金;申请已结束,无需处理。"
    if row is not None and row.state is TransferState.VERIFIED:
        return "该账户此前已凭这笔打款通过验证,现在看来可能无法收款;请核实账户,必要时请商家更换。"
    return "款项已回到平台自有资金,无需再次打款。"


def _arrived(tx: Tx, case: Case, row: OpeningTransfer, paid: Payout) -> None:
    row.state, row.settled_at = TransferState.ARRIVED, tx.now
    tx.add(row)
    numbers = rules(case).opening
    due = reckon(tx.now, numbers.transfer_entry, "OPN-10", work_calendar())
    hours = list(rules(case).reminders.merchant_hours_before)
    deadlines.start(tx, case, key_of(row.number), AMOUNT, Side.MERCHANT, due, reminder_times(due.due, hours, tx.now))
    told = words.OpeningAmountAsked(
        shop_name=shop_of(tx, case).name,
        case_id=case.id,
        payee=paid.payee_masked,
        due=due.due,
        tries=tries_left(tx, case, row),
    )
    merchants.tell(tx, told, f"{case.id}/transfer/{row.number}/arrived", case=case)
    _tell(tx, case, row, paid.payee_masked, due=due.due)


def _end(tx: Tx, case: Case, row: OpeningTransfer, state: TransferState) -> None:
    row.state, row.ended_at = state, tx.now
    tx.add(row)
    if (wait := cases.find_wait(tx, case.id, key_of(row.number))) is not None:
        cases.close_wait(tx, wait, WaitState.LAPSED if state is TransferState.EXPIRED else WaitState.ANSWERED)
    deadlines.stop(tx, case.id, key_of(row.number), DeadlineState.MET)
    deadlines.stop(tx, case.id, f"{BANK}/{row.number}", DeadlineState.CANCELLED)
    outbox.wake(tx, case)


def _tell(
    tx: Tx, case: Case, row: OpeningTransfer, account: str, reason: str = "", due: datetime | None = None
) -> None:
    event = TransferUpdated(
        shop_id=case.shop_id or "",
        case_id=case.id,
        number=row.number,
        state=row.state,
        payee=account,
        tries_left=tries_left(tx, case, row),
        due_at=due,
        reason=reason,
    )
    emit(tx, event, f"{row.request_no}/{row.state}/{row.tries}", case)


# ── the merchant ─────────────────────────────────────────────────────────────


def entered(tx: Tx, event: AmountEntered, message: InboxMessage) -> None:
    """The merchant enters what arrived. What is no amount costs no try; a late entry counts by when it reached the door."""
    case = own_open_case(tx, event.case_id, event.account_id, None, "OPN-10")
    row = next((one for one in of_case(tx, case.id) if one.state in UNDER_WAY), None)
    if case.kind not in parts.KINDS or row is None:
        raise Refused("当前没有等待填写金额的打款", "OPN-10")
    deadline = deadlines.find(tx, case.id, key_of(row.number))
    if deadline is not None and not in_time(message.received_at, deadline.due_at):
        raise Refused("填写期限已过,本次申请将关闭;可重新申请,已提交的资料保留", "OPN-10")
    numbers = rules(case).opening
    fen = policy_of_opening.read_amount(event.amount)
    if fen is None or not numbers.transfer_least_fen <= fen <= numbers.transfer_most_fen:
        raise Refused("请填写收到的金额,例如 0.00 格式的数字,应在 0.01 元至 0.99 元之间;本次不计次数", "OPN-10")
    before = wrong_before(tx, case, row.account_hash, lock=True)
    paid = tx.get_one(Payout, row.request_no)
    right = hmac.compare_digest(f"{fen:04d}", f"{sources.amount_of(paid):04d}")
    if before >= numbers.tries_per_payee:
        _end(tx, case, row, TransferState.WRONG)
    elif right:
        _end(tx, case, row, TransferState.VERIFIED)
        _disclose(tx, case)
    else:
        row.tries += 1
        tx.add(row)
        tx.flush()
        if not tries_left(tx, case, row):
            _end(tx, case, row, TransferState.WRONG)
    left = tries_left(tx, case, row)
    said = row.state.label if row.state not in UNDER_WAY else f"金额不符,还可填写 {left} 次"
    audit.record(
        tx,
        case.id,
        "opening.amount",
        actor=f"merchant/{event.account_id}",
        clause="OPN-10",
        public=True,
        text=f"商家填写打款金额:{said}",
        number=row.number,
        tries=row.tries,
    )
    told = words.OpeningAmountTaken(
        shop_name=shop_of(tx, case).name,
        case_id=case.id,
        verified=row.state is TransferState.VERIFIED,
        tries_left=left,
        due=deadline.due_at if deadline else None,
    )
    merchants.tell(tx, told, f"{row.request_no}/{row.state}/{row.tries}", case=case)
    _tell(tx, case, row, paid.payee_masked, due=deadline.due_at if deadline and left else None)


def may_send(tx: Tx, case: Case) -> list[str]:
    waits = any(row.state in UNDER_WAY for row in of_case(tx, case.id))
    return [AmountEntered.type] if waits else []


# ── amounts that are no secret any more ──────────────────────────────────────


def _disclose(tx: Tx, case: Case) -> None:
    """Nothing more rests on the application's amounts: the books may have what really left."""
    for row in of_case(tx, case.id):
        sources.reveal(tx, case, tx.get_one(Payout, row.request_no))


def sweep() -> int:
    """Bring into the books what really left for applications that have ended, however they did."""

    def ended(tx: Tx) -> list[str]:
        query = select(Case.id).join(Payout, col(Payout.case_id) == Case.id)
        query = query.where(col(Payout.covered), col(Case.kind).in_(parts.KINDS), col(Case.concluded_at).is_not(None))
        return sorted(set(tx.exec(query.where(Payout.state != PayoutState.REQUESTED))))

    found = in_transaction(ended)
    for case_id in found:
        in_transaction(lambda tx, one=case_id: _disclose(tx, lock_case(tx, one)))  # type: ignore[misc]
    return len(found)


# ── when time passes ─────────────────────────────────────────────────────────


def remind(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    merchants.remind(
        tx,
        case,
        deadline,
        matter="填写打款验证收到的金额",
        silence="逾期未填写,本次申请将自动关闭;可重新申请,已提交的资料保留。",
    )


def expired(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    number = int(deadline.key.rpartition("/")[2])
    row = find(tx, case.id, number)
    if row is not None and row.state in UNDER_WAY:
        _end(tx, case, row, TransferState.EXPIRED)


def nothing(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    """The bank is not reminded; when it is late, people are told."""


def bank_silent(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    told = words.OpeningTransferSilent(
        case_id=case.id,
        subject=case.subject or case.id,
        sent_at=deadline.started_at,
        hours_waited=hours_between(deadline.started_at, tx.now),
        link=reviews.link_to(case),
    )
    reviews.notify_staff(tx, Role.FINANCE, told, f"{case.id}/{deadline.key}/{deadline.escalations}", case)


PAYS = Pays(asks_bank=TransferRequested, tells=None, clause="OPN-10", taken=taken)
