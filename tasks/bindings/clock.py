"""What time does to a binding that is not finished: remind, and take silence for a no."""

from __future__ import annotations

from models.cases import Case, CaseDeadline, WaitState
from office.base.db import Tx
from office.cases import cases, merchants
from tasks.bindings.self_operated import ask


def remind_confirm(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    merchants.remind(tx, case, deadline, matter="确认官方账号(BND-2)", silence="逾期未确认,本次绑定将自动关闭。")


def remind_talent(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    """The talent is reminded through the platform; quiet hours are the platform's own."""
    ask(tx, case, deadline.due_at, reminder=len(deadline.reminders))


def no_reminder(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    """The window is short, or the platform is asked by an event that stands: nobody is reminded."""


def lapsed(tx: Tx, case: Case, deadline: CaseDeadline) -> None:
    wait = cases.find_wait(tx, case.id, deadline.key)
    if wait is not None:
        cases.close_wait(tx, wait, WaitState.LAPSED)
