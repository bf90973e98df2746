"""What time does to a closing."""

from __future__ import annotations

from models.cases import (
    Case,
    CaseDeadline,
    WaitState,
)
from notifications import closure as words
from notifications.message import Ground
from office.base.db import Tx
from office.cases import cases, merchants
from office.cases.merchants import shop_of
from office.record import outbox
from tasks.closure.steps import remaining
from tasks.shops import shops

# ── when time passes ─────────────────────────────────────────────────────────


def remind_question(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    merchants.remind(tx, case, deadline, matter="补充平台要求的材料", silence="逾期未补充,本次申请将自动关闭。")


def question_lapsed(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    wait = cases.find_wait(tx, case.id, deadline.key)
    if wait is not None:
        cases.close_wait(tx, wait, WaitState.LAPSED)


def remind_exit_invoice(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    merchants.remind(tx, case, deadline, matter="开具退店当年已发生费用的发票", silence="未开具前,关店清算无法完成。")


def clearing_drags(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    items = remaining(tx, case)
    outbox.wake(tx, case)  # it may be done, need newer facts, or have dragged on until somebody is asked
    if not items:
        return
    shop = shop_of(tx, case)
    _, snapshot = shops.facts_of(tx, shop.id)
    told = words.ClosureClearingReminder(
        shop_name=shop.name,
        case_id=case.id,
        approved_at=deadline.started_at,
        as_of=snapshot.as_of if snapshot else tx.now,
        open_items=tuple(Ground.of(item) for item in items),
    )
    key = f"{case.id}/{deadline.key}/remind/{deadline.escalations}"
    merchants.tell(tx, told, key, case=case, not_before=merchants.awake(tx, case))


def nothing(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    """Nothing beyond the audit line: a late exit invoice stays a gate of clearing and is no offence (INV-11)."""
