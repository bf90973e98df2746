"""A channel account: a code is sent to it, and whoever is logged in to it enters it (BND-5 to BND-7)."""

from __future__ import annotations

import hmac
import secrets
from datetime import datetime, timedelta

from sqlmodel import col, func, select

from models.bindings import Binding, BindingCode, BindingKind
from models.cases import Case, CaseKind, CaseState, CaseWait, WaitState
from models.channel_events import ChannelRequested, CodeChecked, CodeEntered, CodeIssued, CodeRequested
from models.messages import InboxMessage
from models.outcomes import Refusal
from notifications import bindings as words
from office.base.db import Tx
from office.base.vault import opened, place, seal
from office.cases import cases, deadlines, merchants
from office.cases.cases import emit, rules
from office.cases.effects import effects_of
from office.cases.merchants import shop_of
from office.record import audit, outbox
from office.record.inbox import Refused
from policies import bindings as policy_of_bindings
from policies.deadlines import in_time, reckon
from tasks.bindings import register
from tasks.bindings.intake import CODE, open_binding
from tasks.bindings.steps import refuse, start_wait
from tasks.shops.questions import own_open_case
from tasks.shops.shops import find_shop

effect = effects_of("channel-account")

DIGITS = 6
USED_UP = "验证码错误次数已用完,本次绑定已关闭"

# ── what comes in ────────────────────────────────────────────────────────────


def request(tx: Tx, event: ChannelRequested, message: InboxMessage) -> None:
    """A shop wants this account as a channel (BND-6)."""
    shop = find_shop(tx, event.shop_id)
    open_binding(
        tx,
        shop,
        message,
        event.account_id,
        BindingKind.CHANNEL,
        event.platform,
        event.target_account_id,
        event.target_name,
    )


def _awaited(tx: Tx, event: CodeEntered | CodeRequested, message: InboxMessage) -> tuple[Case, CaseWait, BindingCode]:
    """The case that waits for a code, locked, with its newest; refuses where none is awaited, or not any more."""
    case = own_open_case(tx, event.case_id, event.account_id, CaseKind.ACCOUNT_BINDING, "BND-7")
    wait, deadline = cases.find_wait(tx, case.id, CODE), deadlines.find(tx, case.id, CODE)
    newest = _newest(tx, case.id)
    if wait is None or wait.state is not WaitState.OPEN or deadline is None or newest is None:
        raise Refused("当前没有需要输入的验证码", "BND-7")
    if not in_time(message.received_at, deadline.due_at):
        raise Refused("绑定期限已过,请重新发起", "BND-7")
    return case, wait, newest


def entered(tx: Tx, event: CodeEntered, message: InboxMessage) -> None:
    """Compare with the newest code; a wrong one costs a try. Under the case's lock: two at once cost two."""
    case, wait, newest = _awaited(tx, event, message)
    numbers = rules(case).bindings
    if not in_time(message.received_at, newest.expires_at):
        raise Refused("验证码已过期,请重新获取", "BND-7")
    if newest.tries >= numbers.code_tries:
        raise Refused("该验证码错误次数已用完,请重新获取", "BND-7")
    right = hmac.compare_digest(opened(newest, "code_sealed"), event.code)
    if right:
        newest.code_sealed = ""
        cases.close_wait(tx, wait, WaitState.ANSWERED)
        deadlines.stop(tx, case.id, CODE)
    else:
        newest.tries += 1
    tx.add(newest)
    left, codes_left = numbers.code_tries - newest.tries, numbers.codes - newest.number
    audit.record(
        tx,
        case.id,
        "account.code_entered",
        actor=f"merchant/{event.account_id}",
        clause="BND-7",
        public=True,
        text="验证码正确" if right else f"验证码错误,该验证码还可输入 {left} 次",
        number=newest.number,
    )
    told = CodeChecked(
        **register.about(register.of_case(tx, case)),
        right=right,
        number=newest.number,
        tries_left=left,
        codes_left=codes_left,
    )
    emit(tx, told, f"{case.id}/code/{newest.number}/checked/{newest.tries}/{right}", case)
    if not right and not left and not codes_left:
        newest.code_sealed = ""
        cases.close_wait(tx, wait, WaitState.CANCELLED, {"why": USED_UP})
        deadlines.stop(tx, case.id, CODE)
    outbox.wake(tx, case)


def again(tx: Tx, event: CodeRequested, message: InboxMessage) -> None:
    """Another code, after which the one before it counts no more."""
    case, _, newest = _awaited(tx, event, message)
    row = register.of_case(tx, case)
    refusal = _no_more(tx, case, row, newest, message.received_at)
    if refusal is not None:
        raise Refused(refusal.sentence, refusal.clause)
    newest.code_sealed = ""
    tx.add(newest)
    outbox.drop(tx, f"platform:{_key(case, newest.number)}", "已有更新的验证码")
    _issue(tx, case, row, newest.number + 1)


# ── codes ────────────────────────────────────────────────────────────────────


def _newest(tx: Tx, case_id: str) -> BindingCode | None:
    query = select(BindingCode).where(BindingCode.case_id == case_id).order_by(col(BindingCode.number).desc())
    return tx.exec(query.limit(1).execution_options(populate_existing=True)).first()


def _no_more(tx: Tx, case: Case, row: Binding, newest: BindingCode | None, now: datetime) -> Refusal | None:
    """Why no code is sent now: counted for the binding, and for the account whoever asks."""
    to_account = (
        select(func.count())
        .select_from(BindingCode)
        .join(Binding, col(Binding.case_id) == col(BindingCode.case_id))
        .where(Binding.platform == row.platform, Binding.account_id == row.account_id)
        .where(col(BindingCode.sent_at) > now - timedelta(hours=24))
    )
    return policy_of_bindings.refuse_code(
        sent=newest.number if newest else 0,
        last_at=newest.sent_at if newest else None,
        to_account=tx.exec(to_account).one(),
        now=now,
        policy=rules(case).bindings,
    )


def _key(case: Case, number: int) -> str:
    return f"{case.id}/code/{number}"


def _issue(tx: Tx, case: Case, row: Binding, number: int) -> datetime:
    """Make a code, seal it, and have it sent to the account; returns until when it is good."""
    code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
    expires = reckon(tx.now, rules(case).bindings.code, "BND-7").due
    sealed = seal(code, place(BindingCode, "code_sealed", case.id, number))
    tx.add(BindingCode(case_id=case.id, number=number, code_sealed=sealed, sent_at=tx.now, expires_at=expires))
    event = CodeIssued(**register.about(row), code=code, number=number, expires_at=expires)
    emit(tx, event, _key(case, number), case)
    audit.record(
        tx,
        case.id,
        "account.code_sent",
        clause="BND-7",
        public=True,
        text=f"第 {number} 个验证码已发往账号",
        number=number,
    )
    return expires


# ── the steps of the story ───────────────────────────────────────────────────


@effect("向账号发送验证码")
def send_code(tx: Tx, case: Case) -> str | None:
    """Send the first code; returns the key of the wait, or nothing when the account has had too many and the case ended."""
    row = register.of_case(tx, case)
    if (refusal := _no_more(tx, case, row, None, tx.now)) is not None:
        refuse(tx, case, refusal)
        return None
    cases.move(tx, case, CaseState.PENDING_CODE, "验证码已发往账号,等待输入", clause="BND-7")
    until = start_wait(tx, case, CODE, rules(case).bindings.channel, "BND-7")
    told = words.ChannelCodeSent(
        shop_name=shop_of(tx, case).name,
        case_id=case.id,
        platform=row.platform.label,
        account=row.shown,
        code_until=_issue(tx, case, row, 1),
        until=until,
        tries=rules(case).bindings.code_tries,
        unbind_days=rules(case).bindings.unbind_after.n,
    )
    merchants.tell(tx, told, f"{case.id}/code", case=case)
    return CODE
