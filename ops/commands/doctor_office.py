"""The doctor looks into the database: people, keys, what waits too long."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlmodel import col, func, select

from models.audit import AuditEntry, ClockOffset
from models.cases import Case, CaseDeadline, DeadlineState
from models.messages import InboxMessage, InboxState, OutboxMessage, OutboxState
from models.passkeys import Passkey
from models.reviews import Role, Staff
from models.windows import duration
from office.base.calendar import standing
from office.base.db import Tx
from office.base.settings import Settings
from office.base.vault import CannotUnseal, opened
from office.cases import deadlines
from ops.commands.health import Check, bad, good, warn
from policies.policy import SHANGHAI
from tasks.payouts import contradictions, unanswered
from tasks.shops import settling
from tasks.sight import anchors

STALE = timedelta(minutes=10)
"""A message that should have left so long ago says that nobody delivers."""
SKEW = timedelta(seconds=30)
"""Machines further apart than a one-time code lasts refuse each other's codes and signatures."""


def content(tx: Tx, given: Settings) -> Iterator[Check]:
    """What the rows say: keys that fit, people, halted cases, messages that did not leave, time."""
    yield from _keys_fit(tx)
    yield from _people(tx)
    yield from _reached(tx, given)
    yield from _passkeys(tx, given)
    yield from _halted(tx)
    yield from _contradictions(tx)
    yield from _freed(tx)
    yield from _unanswered(tx)
    yield from _undelivered(tx)
    yield from _calendar(tx)
    yield from _clock(tx, given)
    if late := anchors.overdue(tx):
        yield bad(
            "审计锚点",
            f"逾期没有新的锚点：{'、'.join(late)}",
            "检查 audit_anchors 指向的位置，再执行 dianwu audit anchor",
        )


def _keys_fit(tx: Tx) -> Iterator[Check]:
    someone = tx.exec(select(Staff).limit(1)).first()
    if someone is None:
        return
    try:
        opened(someone, "totp_sealed")
    except (CannotUnseal, ValueError):  # no key, no proper key, or another one
        yield bad("加密数据", "现有密钥打不开已存数据", "把原来的密钥补回 encryption_keys")


def _people(tx: Tx) -> Iterator[Check]:
    active = list(tx.exec(select(Staff).where(col(Staff.active).is_(True))))
    vacant = [role.label for role in Role if not any(role in one.roles for one in active)]
    if vacant:
        yield warn("员工", f"没有在岗的{'、'.join(vacant)}", "dianwu staff enrol 工号 --name 姓名 --role 岗位")
    else:
        yield good("员工", f"{len(active)} 人在岗，每个岗位都有人")
    if active and sum(Role.SUPERVISOR in one.roles for one in active) < 2:
        yield warn(
            "主管",
            "在岗主管不足两人：主管的密钥须由另一位主管核准换发",
            "dianwu staff enrol 工号 --name 姓名 --role supervisor --by 主管",
        )


def _reached(tx: Tx, given: Settings) -> Iterator[Check]:
    """In production, who decides weighty things must hear what is recorded in their name, and our own worker must run them."""
    if not given.production:
        return
    mute = [one.id for one in tx.exec(select(Staff).where(col(Staff.active).is_(True))) if not one.contact_sealed]
    if mute:
        sentence = f"{len(mute)} 名在岗员工没有本人联系方式：{'、'.join(mute[:5])}{' 等' if len(mute) > 5 else ''}；其重要决定不会因异议期届满而生效"
        yield warn("本人通知", sentence, "由本人执行 dianwu staff contact 工号 地址")
    else:
        yield good("本人通知", "在岗员工都登记了本人联系方式")


def _passkeys(tx: Tx, given: Settings) -> Iterator[Check]:
    """A passkey signs on the one host name it was made for: another one, or a number, and nobody signs any more."""
    name = urlsplit(given.desk).hostname or ""
    live = {one.credential_id: one.staff_id for one in tx.exec(select(Passkey).where(col(Passkey.ended_at).is_(None)))}
    lines = select(AuditEntry).where(
        AuditEntry.action == "passkey.enrolled", col(AuditEntry.stream).in_({f"staff/{one}" for one in live.values()})
    )
    elsewhere = {line.detail["credential"] for line in tx.exec(lines) if line.detail["rp_id"] != name} & live.keys()
    if elsewhere:
        sentence = f"{len(elsewhere)} 个通行密钥登记在另一个域名下，在工作台现在的地址 {name} 上无法使用"
        yield bad("通行密钥", sentence, "把 desk_url 改回登记时的域名，或由主管重新邀请登记")
    elif name.replace(".", "").isdigit() or ":" in name:
        sentence = f"工作台的地址 {name} 是 IP 地址，浏览器不在其上使用通行密钥"
        yield warn("通行密钥", sentence, "把 desk_url 设为域名（通行密钥绑定该域名，之后不宜更换）")


def worker_of(given: Settings) -> Iterator[Check]:
    if given.worker_type != "dianwu":
        sentence = "Prefect 自带的执行器会执行接口里写的任何步骤：能使用 Prefect 接口的人就能读到本机的全部密钥"
        yield (bad if given.production else warn)(
            "执行器", sentence, "worker_type 改为 dianwu(docs/engine-authority.md)"
        )


def _count(tx: Tx, table_: Any, *where: Any) -> int:
    return tx.exec(select(func.count()).select_from(table_).where(*where)).one()


def _contradictions(tx: Tx) -> Iterator[Check]:
    """What the bank said that cannot be, and nobody has ended yet (ambiguity 38)."""
    for line in contradictions.lines(tx):
        yield bad("银行回执", f"有矛盾，尚未核清：{line}", "向银行取得证明后，在该案件中核对并由主管复核")


def _freed(tx: Tx) -> Iterator[Check]:
    """What is the platform's to pay of the time when we settled (STL-1)."""
    for one in settling.freed(tx):
        yield warn("解冻货款", one.line, "与平台核对，由平台支付并报告 receivable.paid_out")


def _unanswered(tx: Tx) -> Iterator[Check]:
    """What the bank was told to pay and says nothing about."""
    for line in unanswered.lines(tx):
        yield warn("银行回执", line, "向银行查询；收到回执后自动入账")


def _halted(tx: Tx) -> Iterator[Check]:
    halted = list(tx.exec(select(Case.id).where(col(Case.halted).is_not(None), col(Case.concluded_at).is_(None))))
    if halted:
        shown = "、".join(halted[:5]) + (" 等" if len(halted) > 5 else "")
        yield bad(
            "案件", f"{len(halted)} 个案件已停止：{shown}", "dianwu cases show 查看原因，排除后 dianwu cases retry"
        )
    else:
        yield good("案件", f"{_count(tx, Case, col(Case.concluded_at).is_(None))} 个未办结，没有停止的案件")


def _undelivered(tx: Tx) -> Iterator[Check]:
    dead = _count(tx, OutboxMessage, OutboxMessage.state == OutboxState.DEAD)
    failed = _count(tx, InboxMessage, InboxMessage.state == InboxState.FAILED)
    waiting = _count(
        tx, OutboxMessage, OutboxMessage.state == OutboxState.NEW, col(OutboxMessage.next_at) < tx.now - STALE
    ) + _count(tx, InboxMessage, InboxMessage.state == InboxState.NEW, col(InboxMessage.next_at) < tx.now - STALE)
    twice = tx.exec(select(func.sum(OutboxMessage.twice))).one() or 0
    if twice:
        sentence = f"{twice} 次投递的结果没有记下（进程被杀，或一次发送超过一分钟），已重发，对方可能收到两次"
        yield warn("重复投递", sentence, "检查邮件服务器的快慢和各进程是否被强行结束")
    if dead:
        yield warn("发件箱", f"{dead} 条消息投递失败", "dianwu outbox list --state DEAD，再 dianwu outbox resend")
    if failed:
        yield warn("收件箱", f"{failed} 条消息处理失败", "dianwu inbox list --state FAILED，再 dianwu inbox retry")
    if waiting:
        yield bad("投递", f"{waiting} 条消息到点 10 分钟仍未处理", "确认 dianwu up 在运行，Prefect 中 delivery 未暂停")
    if not dead and not failed and not waiting:
        yield good("收发消息", "没有积压和失败")


def _calendar(tx: Tx) -> Iterator[Check]:
    today, covered = tx.now.astimezone(SHANGHAI).date(), standing().calendar.coverage()
    remedy = "国务院公布后写入数据目录的 calendar.toml，再执行 dianwu calendar recount"
    if fault := standing().fault:
        yield bad("工作日历文件", fault, "改正 calendar.toml 后保存；确要去掉某一年，请执行 dianwu calendar adopt")
    if moved := deadlines.corrected(tx):
        yield warn(
            "更正的放假安排", f"{len(moved)} 个已确定的期限会变动", "dianwu calendar recount 查看，确认后加 --corrected"
        )
    november = 11
    if covered < today.year:
        yield warn("工作日历", f"只到 {covered} 年，今年的期限都是暂定", remedy)
    elif today.month >= november and covered == today.year:
        yield warn("工作日历", f"{today.year + 1} 年放假安排尚未录入，跨年的期限是暂定", remedy)
    else:
        yield good("工作日历", f"已覆盖到 {covered} 年")
    rows = tx.exec(
        select(CaseDeadline.due_at).where(
            CaseDeadline.state == DeadlineState.OPEN, col(CaseDeadline.provisional).is_(True)
        )
    )
    ready = sum(due.astimezone(SHANGHAI).year <= covered for due in rows)
    if ready:
        yield warn("暂定期限", f"{ready} 个暂定期限所需的年份已录入", "dianwu calendar recount")


def _clock(tx: Tx, given: Settings) -> Iterator[Check]:
    row = tx.get(ClockOffset, 1)
    ahead = timedelta(seconds=row.seconds if row else 0)
    if not ahead:
        yield good("时钟", "与实际时间一致")
    elif given.production:
        yield warn("时钟", f"库中留有演示时钟（快 {duration(ahead)}），生产环境不采用", "确认没有误用演示数据库")
    else:
        yield warn("时钟", f"演示时钟比实际快 {duration(ahead)}", "演示结束后换用新的数据目录即可复原")
