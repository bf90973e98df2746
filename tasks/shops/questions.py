"""What a merchant is asked, answers and takes back, for every process that asks (CLS-5, REF-5, ARB-7)."""

from __future__ import annotations

from datetime import datetime

from models.books import AccountKind
from models.cases import (
    Case,
    CaseKind,
    CaseState,
    DeadlineState,
    Side,
    WaitState,
)
from models.closure_events import (
    MerchantAnswered,
)
from models.dossier import Block, Quote, Rows, Strong, Text
from models.messages import InboxMessage
from models.shops import Shop
from models.windows import Window
from office.base.calendar import work_calendar
from office.base.db import Tx
from office.cases import cases, deadlines, dossier
from office.cases.cases import rules
from office.cases.locks import lock_case
from office.cases.merchants import shop_of
from office.files import papers
from office.money.ledger import shop_balance
from office.process import office
from office.record import audit, outbox
from office.record.inbox import Refused
from policies.deadlines import in_time, reckon, reminder_times
from policies.masking import mask_accounts

QUESTION = "merchant-answer"


def ask(
    tx: Tx,
    case: Case,
    key: str,
    question: str,
    window: Window,
    clause: str,
    *,
    kind: str = QUESTION,
    text: str = "等待商家补充",
) -> datetime | None:
    """Have the case wait for the merchant, with reminders; until when. ``None`` when they have taken the request back in the
    moment after the decision: then nobody is asked, and the wait has ended."""
    wait = cases.open_wait(tx, case, key, kind, question)
    if case.withdrawn_at is not None:
        cases.close_wait(tx, wait, WaitState.CANCELLED)
        return None
    due = reckon(tx.now, window, clause, work_calendar())
    hours = list(rules(case).reminders.merchant_hours_before)
    deadlines.start(tx, case, key, kind, Side.MERCHANT, due, reminder_times(due.due, hours, tx.now))
    cases.move(tx, case, CaseState.AWAITING_MERCHANT, text, clause=clause)
    return due.due


def asked(tx: Tx, case: Case, key: str) -> tuple[str, datetime]:
    """What the merchant was asked under this key, and until when."""
    wait, deadline = cases.find_wait(tx, case.id, key), deadlines.find(tx, case.id, key)
    if wait is None or deadline is None:
        raise LookupError(f"{case.id} has no question {key}")
    return wait.question, deadline.due_at


def take_back(tx: Tx, case: Case, account_id: str, at: datetime, *awaited: str) -> None:
    """Note that the merchant has taken the request back; what was ``awaited`` from them no longer is."""
    if case.withdrawn_at is None:
        case.withdrawn_at = at
        tx.add(case)
        audit.record(tx, case.id, "case.withdrawal", actor=f"merchant/{account_id}", text="商家撤回申请", public=True)
        for wait in [wait for kind in awaited for wait in cases.open_waits(tx, case.id, kind)]:
            cases.close_wait(tx, wait, WaitState.CANCELLED)
            deadlines.stop(tx, case.id, wait.key, DeadlineState.CANCELLED)
    outbox.wake(tx, case)


def own_open_case(tx: Tx, case_id: str, account_id: str, kind: CaseKind | None, clause: str) -> Case:
    """The case a merchant speaks about, locked; refuses one that is not theirs or has ended."""
    found = tx.get(Case, case_id)
    if found is None or (kind is not None and found.kind is not kind):
        raise Refused(f"案件 {case_id} 不存在", clause)
    case = lock_case(tx, case_id)
    if shop_of(tx, case).owner_account_id != account_id:
        raise Refused("只有店铺的主账号可以操作该案件", clause)
    if case.concluded_at is not None:
        label = case.outcome.label if case.outcome else ""
        raise Refused(f"案件 {case_id} 已办结({label}),不再受理", clause)
    return case


def clause_of_answers(tx: Tx, case_id: str) -> str:
    """The clause of what was asked last, else of the kind of case; of nothing we know, the one of asking at all."""
    case = tx.get(Case, case_id)
    if case is None:
        return "CLS-5"
    asked = [
        found.clause
        for wait in cases.waits(tx, case.id, QUESTION)
        if (found := deadlines.find(tx, case.id, wait.key)) is not None
    ]
    return asked[-1] if asked else office().kinds[case.kind].clause


def answer(tx: Tx, event: MerchantAnswered, message: InboxMessage) -> None:
    """The merchant answers what a case asked; in time is what reached the door by the due time."""
    case = own_open_case(tx, event.case_id, event.account_id, None, clause_of_answers(tx, event.case_id))
    waits = cases.open_waits(tx, case.id, QUESTION)
    if not waits:
        raise Refused(f"案件 {case.id} 当前没有需要商家补充的事项", clause_of_answers(tx, case.id))
    wait = waits[0]
    deadline = deadlines.find(tx, case.id, wait.key)
    if deadline is not None and not in_time(message.received_at, deadline.due_at):
        raise Refused("补充期限已过,案件将按期限规则处理", deadline.clause)
    documents = [document.model_dump(mode="json") for document in event.documents]
    cases.close_wait(tx, wait, WaitState.ANSWERED, {"text": mask_accounts(event.text), "documents": documents})
    deadlines.stop(tx, case.id, wait.key)
    absent = papers.absent(tx, case.shop_id or "", documents)
    text = "商家已补充材料" + (f",其中未收到文件(请上传):{'、'.join(absent)}" if absent else "")
    audit.record(
        tx,
        case.id,
        "merchant.answered",
        actor=f"merchant/{event.account_id}",
        text=text,
        public=True,
        wait=wait.key,
        documents=len(documents),
    )
    outbox.wake(tx, case)


# ── what reviewers see ───────────────────────────────────────────────────────


def shop_part(tx: Tx, shop: Shop) -> Rows:
    """The shop, name by value."""
    return Rows.of(
        {
            "店铺": f"{shop.name}({shop.id})",
            "主体": " ".join(filter(None, (shop.entity_type.label, shop.licence_name))),
            "类目": "、".join(shop.categories),
            "状态": shop.state.label,
            "保证金余额": str(shop_balance(tx, shop.id, AccountKind.DEPOSIT)),
            "登记时间": dossier.when(shop.registered_at),
        }
    )


def answers_part(tx: Tx, case: Case, kind: str = QUESTION) -> list[Block]:
    """What the merchant was asked and answered so far."""
    found: list[Block] = []
    for wait in cases.waits(tx, case.id, kind):
        reply = (wait.answer or {}).get("text") or wait.state.label
        count = len((wait.answer or {}).get("documents", []))
        found += [Text.of(Strong(text="问:"), f" {wait.question}"), Quote.of(reply, Strong(text="答:"))]
        found += [Text.of(f"附件 {count} 份,见材料一节。")] if count else []
    return found
