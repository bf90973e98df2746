"""What time does to a refund."""

from __future__ import annotations

from models.cases import Case, CaseDeadline, WaitState
from models.reviews import Role
from notifications import refund as words
from notifications.message import hours_between
from office.base.db import Tx
from office.cases import cases, merchants, reviews
from office.cases.merchants import shop_of
from tasks.refund.plan import amount_of

# ── when time passes ─────────────────────────────────────────────────────────


def remind_early(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    message = words.RefundEarlyReminder(
        case_id=case.id,
        subject=case.subject,
        amount_fen=amount_of(case).fen,
        received_at=case.received_at,
        due=deadline.due_at,
        link=reviews.link_to(case),
    )
    reviews.notify_staff(tx, Role.FINANCE, message, f"{case.id}/early", case)


def late(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    message = words.RefundOverdue(
        case_id=case.id,
        subject=case.subject,
        amount_fen=amount_of(case).fen,
        due=deadline.due_at,
        hours_late=hours_between(deadline.due_at, tx.now),
        link=reviews.link_to(case),
    )
    reviews.notify_staff(tx, Role.SUPERVISOR, message, f"{case.id}/overdue/{deadline.escalations}", case)
    told = words.RefundLate(
        shop_name=shop_of(tx, case).name, case_id=case.id, amount_fen=amount_of(case).fen, due=deadline.due_at
    )
    key = f"{case.id}/{deadline.key}/remind/late"  # said once, and not at all when it is paid before the morning
    merchants.tell(tx, told, key, case=case, not_before=merchants.awake(tx, case))


def remind_payee(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    merchants.remind(
        tx, case, deadline, matter="更正退款收款账户", silence="逾期未更正,本次申请将关闭,保证金仍保留在账户中。"
    )


def payee_lapsed(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    wait = cases.find_wait(tx, case.id, deadline.key)
    if wait is not None:
        cases.close_wait(tx, wait, WaitState.LAPSED)
