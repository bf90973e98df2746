"""Answers of the bank that contradict what we know: kept, told to finance and supervisor at once, and in the way of money.

The first answer stands in the books (ambiguity 38). A case of its own asks for the bank's proof (``tasks.payouts.bank_inquiries``).
"""

from __future__ import annotations

from typing import Any

from sqlmodel import col, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from models.base import new_id
from models.books import OF_PLATFORM
from models.cases import Case, CaseKind, CaseState, Finding
from models.messages import InboxMessage
from models.money import yuan
from models.payout_events import PayoutAnswer
from models.payouts import BankContradiction, Contradiction, Payout, PayoutState
from models.reviews import Role
from models.shops import Shop
from notifications.operations import BankContradicts
from office.base.db import Tx, prepared
from office.cases import cases, reviews
from office.cases.locks import lock_case
from office.process import office
from office.record import alerts, audit, outbox
from tasks.payouts import sources

OPEN = col(BankContradiction.closed_at).is_(None)
CODE = "bank_contradiction"
COVERED = "金额保密"
"""What is read instead of an amount that only whoever has the account may know (OPN-10)."""
NOTED = "payout.contradiction_noted"
"""The line of the inquiry that says what contradicts what, so that nobody takes it away by taking its row away."""
RESOLVED = "payout.contradiction_resolved"
"""The line that says that two people have ended one."""


def record(tx: Tx, message: InboxMessage, event: PayoutAnswer, said: PayoutState, reason: str) -> None:
    """Keep it, open its case, tell people, and have the questions about the shop's money asked anew.

    One that says the same as one still open adds nothing. Numbers that we never gave are listed in one case, as long as
    nobody has said what they are.
    """
    payout = tx.get(Payout, event.request_no)
    fen = _as_read(payout, event.amount_fen)
    about = tx.get(Case, payout.case_id if payout else event.request_no.rpartition("-P")[0])
    known = (payout.shop_id if payout else None) or (about.shop_id if about else None)
    the_same = select(BankContradiction.id).where(
        OPEN,
        BankContradiction.request_no == event.request_no,
        BankContradiction.said == said,
        BankContradiction.amount_fen == fen,
    )
    if tx.exec(the_same).first():
        return
    kind = _kind(tx, payout, event, said)
    row_id = new_id("BC", tx.now)
    inquiry = _collecting(tx, message.source) if kind is Contradiction.UNKNOWN else None
    others = in_inquiry(tx, inquiry.id) if inquiry else []
    inquiry = inquiry or cases.open_case(
        tx,
        CaseKind.BANK_INQUIRY,
        origin=message.origin,
        received_at=message.received_at,
        subject=f"{event.request_no} {kind.label}",
        request={"contradiction": row_id},
        actor="bank",
        clause="REF-3",
        text=f"银行回执有矛盾:{kind.label}",
    )
    row = BankContradiction(
        id=row_id,
        inquiry_id=inquiry.id,
        request_no=event.request_no,
        case_id=about.id if about else None,
        shop_id=known or (event.shop_id if tx.get(Shop, event.shop_id) else None),
        kind=kind,
        stood=payout.state if payout else None,
        said=said,
        amount_fen=fen,
        bank_at=event.at,
        bank_reason=reason,
        received_at=message.received_at,
    )
    tx.add(row)
    tx.flush()
    audit.record(tx, inquiry.id, NOTED, actor="bank", clause="REF-3", text=sentence(tx, row), row=_said(row))
    if about is not None:
        audit.record(
            tx,
            about.id,
            "payout.contradicted",
            actor="bank",
            clause="REF-3",
            text=f"{sentence(tx, row)}({inquiry.id})",
            contradiction=row.id,
        )
    told = BankContradicts(
        case_id=inquiry.id,
        request_no=row.request_no,
        kind=kind.label,
        sentence=sentence(tx, row),
        about=about.id if about else "",
        received_at=row.received_at,
        listed=len(others) + 1,
        link=reviews.link_to(inquiry),
    )
    if alerts.doubled(told.listed) or row.shop_id not in {other.shop_id for other in others}:
        for role in (Role.FINANCE, Role.SUPERVISOR):
            reviews.notify_staff(tx, role, told, f"{row.id}/{role}", inquiry)
    if others:
        inquiry.subject = f"{others[0].request_no} 等 {told.listed} 条 {kind.label}"
        tx.add(inquiry)
        outbox.wake(tx, inquiry)  # whoever decides is shown it
    wake_paying(tx, row.shop_id)


def _collecting(tx: Tx, source: str) -> Case | None:
    """The inquiry about what a sender says of numbers that we never gave, locked, until finance has said what they are."""
    unanswered = col(Case.state).in_([CaseState.SUBMITTED, CaseState.UNDER_REVIEW])
    query = (
        select(Case.id)
        .join(BankContradiction, col(BankContradiction.inquiry_id) == Case.id)
        .where(
            OPEN,
            BankContradiction.kind == Contradiction.UNKNOWN,
            unanswered,
            col(Case.origin).startswith(f"{source}/"),
        )
    )
    found = tx.exec(query.order_by(col(Case.id))).first()
    case = lock_case(tx, found) if found else None
    return case if case and case.state in {CaseState.SUBMITTED, CaseState.UNDER_REVIEW} else None


def in_inquiry(tx: Tx, inquiry_id: str) -> list[BankContradiction]:
    """What an inquiry is about, first first: one answer, or several about numbers that we never gave."""
    query = select(BankContradiction).where(BankContradiction.inquiry_id == inquiry_id)
    return list(tx.exec(query.order_by(col(BankContradiction.received_at), col(BankContradiction.id))))


def _as_read(payout: Payout | None, fen: int) -> int:
    """The amount as it may be read: of one that is still covered, what covers it."""
    covered = payout is not None and payout.covered and sources.amount_of(payout) == fen
    return payout.amount_fen if payout is not None and covered else fen


def _kind(tx: Tx, payout: Payout | None, event: PayoutAnswer, said: PayoutState) -> Contradiction:
    if payout is None:
        return Contradiction.UNKNOWN
    moved = proved(tx, payout) if said is PayoutState.SETTLED else None
    if (sources.amount_of(payout) if moved is None else moved) != event.amount_fen:
        return Contradiction.AMOUNT
    return Contradiction.STATE if event.shop_id == sources.shop_told(payout) else Contradiction.SHOP


def proved(tx: Tx, payout: Payout, but: str = "") -> int | None:
    """What the bank has proved to have paid instead of what it was told, in fen, as long as that stands as paid.

    From then on whatever else it says about this number contradicts it, also what it was told at first. Of the platform's
    own money the amount is what was proved (``sources.paid_instead``).
    """
    if payout.state is not PayoutState.SETTLED or payout.source in OF_PLATFORM:
        return None
    query = select(BankContradiction.amount_fen).where(
        BankContradiction.request_no == payout.request_no,
        BankContradiction.kind == Contradiction.AMOUNT,
        BankContradiction.said == PayoutState.SETTLED,
        BankContradiction.verdict == "ANSWER",
        col(BankContradiction.closed_at) >= payout.answered_at,
        BankContradiction.id != but,
    )
    return tx.exec(query.order_by(col(BankContradiction.closed_at).desc())).first()


def wake_paying(tx: Tx, shop_id: str | None) -> None:
    """Have the shop's open cases that pay look again: what stands in their way has changed."""
    paying = [kind for kind, process in office().kinds.items() if process.pays is not None]
    for case in cases.open_cases(tx, shop_id, *paying) if shop_id else []:
        outbox.wake(tx, case)
    if shop_id:
        reviews.wake_asking(tx, shop_id)  # and whoever decides about money that is held


def said_fen(tx: Tx, row: BankContradiction) -> int | None:
    """What the bank said it moved, as it may be read: of a random amount nobody but its payee reads it meanwhile (OPN-10)."""
    payout = tx.get(Payout, row.request_no)
    return None if payout is not None and payout.covered else row.amount_fen


def said_amount(tx: Tx, row: BankContradiction) -> str:
    """The same in words."""
    fen = said_fen(tx, row)
    return COVERED if fen is None else yuan(fen)


def sentence(tx: Tx, row: BankContradiction) -> str:
    """What contradicts what, in one sentence without any account."""
    says = f"银行就 {row.request_no} 回执「{row.said.label}」{said_amount(tx, row)}"
    match row.kind:
        case Contradiction.UNKNOWN:
            return f"{says},我方没有这笔指令。"
        case Contradiction.AMOUNT:
            return f"{says},与指令金额不符,账面为「{row.stood.label if row.stood else ''}」。"
        case Contradiction.SHOP:
            return f"{says},所报店铺不是该指令的店铺,账面为「{row.stood.label if row.stood else ''}」。"
        case Contradiction.STATE:
            return f"{says},此前已回执「{row.stood.label if row.stood else ''}」。"


def standing(tx: Tx) -> list[BankContradiction]:
    """Every contradiction that nobody has ended, oldest first."""
    return list(
        tx.exec(
            select(BankContradiction)
            .where(OPEN)
            .order_by(col(BankContradiction.received_at), col(BankContradiction.id))
        )
    )


def open_for(tx: Tx, shop_id: str | None) -> list[BankContradiction]:
    """Those about this shop's money, also those that are closed by their row and by nobody's decision."""
    return [row for row in _of_shop(tx, shop_id) if not _settled(tx, row)] if shop_id else []


@prepared
def _of_shop(shop_id: str) -> SelectOfScalar[BankContradiction]:
    of_shop = select(BankContradiction).where(BankContradiction.shop_id == shop_id)
    return of_shop.order_by(col(BankContradiction.received_at), col(BankContradiction.id))


def _settled(tx: Tx, row: BankContradiction) -> bool:
    """Whether two people have ended it, by the record of the case it is about."""
    if row.closed_at is None:
        return False
    lines = audit.found_whole(tx, row.case_id or row.inquiry_id)
    return any(line.action == RESOLVED and line.detail.get("contradiction") == row.id for line in lines)


def closed_by_nobody(tx: Tx) -> list[BankContradiction]:
    """Those that are closed in the database and that the record knows no end of."""
    return [row for row in tx.exec(select(BankContradiction).where(~OPEN)) if not _settled(tx, row)]


def put_right(tx: Tx) -> None:
    """Have those be open again, and those be there that were taken away or made another's; the supervisor hears of it."""
    _put_back(tx)
    for row in closed_by_nobody(tx):
        row.closed_at = row.verdict = row.closed_by = None
        tx.add(row)
        tx.flush()
        alerts.altered(
            tx,
            f"contradiction/{row.id}/{tx.now.isoformat()}",
            where=f"银行回执矛盾 {row.inquiry_id}",
            finding=f"{sentence(tx, row)}在数据库中被写成已核清,而没有人作出过决定",
            done="已恢复为未核清,核清前不能打款",
        )


def _said(row: BankContradiction) -> dict[str, Any]:
    """What a row says of what the bank said: nothing of how it ended."""
    return row.model_dump(mode="json", exclude={"closed_at", "verdict", "closed_by"})


def _put_back(tx: Tx) -> None:
    some, still_open = select(BankContradiction.inquiry_id), select(BankContradiction.inquiry_id).where(OPEN)
    open_or_gone = or_(col(Case.id).not_in(some), col(Case.id).in_(still_open))
    for inquiry in tx.exec(select(Case).where(Case.kind == CaseKind.BANK_INQUIRY, open_or_gone).order_by(col(Case.id))):
        noted = {
            line.detail["row"]["id"]: line.detail["row"]
            for line in audit.found_whole(tx, inquiry.id)
            if line.action == NOTED
        }
        _put_back_in(tx, inquiry, noted)


def _put_back_in(tx: Tx, inquiry: Case, noted: dict[str, dict[str, Any]]) -> None:
    """Have an inquiry be about what its record says; a row of another number than any of those is one of them renamed."""
    renamed = [row for row in in_inquiry(tx, inquiry.id) if row.id not in noted]
    for said in noted.values():
        was = BankContradiction.model_validate(said)
        known = tx.get(BankContradiction, was.id) or (renamed.pop() if renamed else None)
        if known is not None and _said(known) == said:
            continue
        if known is None:
            tx.add(was)
        else:
            tx.add(known.sqlmodel_update(was.model_dump(include=set(said))))
        tx.flush()
        alerts.altered(
            tx,
            f"contradiction/{was.id}/gone/{tx.now.isoformat()}",
            where=f"银行回执矛盾 {inquiry.id}",
            finding=f"{sentence(tx, was)}这一记录在数据库中被删去或改动",
            done="已按留存记录恢复,核清前不能打款",
        )


def findings(tx: Tx, shop_id: str) -> list[Finding]:
    """As it stands in the way of paying anything out for the shop; nobody approves over it."""
    rows = open_for(tx, shop_id)
    if not rows:
        return []
    return [
        Finding(
            code=CODE,
            clause="REF-3",
            blocking=True,
            value=len(rows),
            as_of=tx.now,
            items=tuple(row.id for row in rows),
            sentence="银行回执有矛盾,核清前不能打款:"
            + "".join(f"{sentence(tx, row)}(案件 {row.inquiry_id})" for row in rows),
        )
    ]


def lines(tx: Tx) -> list[str]:
    """One line each for ``books check`` and ``doctor``."""
    return [f"{row.inquiry_id} {sentence(tx, row)}" for row in standing(tx)]
