"""``dianwu staff``: who may decide, and the codes that prove it."""

from __future__ import annotations

import io
import re
from datetime import datetime, timedelta

import pyotp
import typer
from sqlmodel import col, select

from models.reviews import Role, Staff
from office.base.clock import clock
from office.base.db import Tx, in_transaction, reading
from office.base.settings import settings
from office.base.vault import opened
from office.record import standing
from office.staff import passkeys, staff, vouching
from ops.commands.terminal import (
    JSON_OPTION,
    ask_code,
    cell,
    misuse,
    person,
    print_json,
    refuse,
    say,
    staff_no,
    table,
    when,
    word_of,
    words,
)
from policies.policy import SHANGHAI

app = typer.Typer(no_args_is_help=True)

BY = typer.Option("", "--by", metavar="工号", parser=staff_no, help="由哪位主管核准")
CODE = typer.Option("", "--code", help="主管的动态口令；不给则提示输入，输入时不显示")
ALONE = typer.Option(False, "--alone", help="没有其他在岗的主管可以核准；全体员工会收到通知")


def _colleague(tx: Tx, staff_id: str) -> None:
    if staff_id:
        person(tx, staff_id)


def _word(by: str, code: str, alone: bool) -> vouching.Word:
    """A supervisor's word, with the code asked for where it was not given."""
    given = code or (ask_code("主管的") if by else "")
    return vouching.Word(by=by, code=given, alone=alone)


@app.command("enrol")
def enrol(
    staff_id: str = typer.Argument(..., metavar="工号", help="工号，例如 wang-fang"),
    name: str = typer.Option("", help="姓名"),
    role: list[Role] = typer.Option([], parser=word_of(Role), help=f"岗位，可重复：{words(Role)}", metavar="岗位"),
    rotate: bool = typer.Option(False, "--rotate", help="为已登记的员工换发验证器密钥"),
    show_uri: bool = typer.Option(False, "--show-uri", help="同时显示 otpauth 地址（含密钥，请勿截图）"),
    by: str = BY,
    code: str = CODE,
    alone: bool = ALONE,
) -> None:
    """登记员工，并在终端显示验证器二维码。须由另一位主管凭动态口令核准；第一位登记的须是主管。"""
    if not re.fullmatch(r"[a-z][a-z0-9-]{1,31}", staff_id):
        misuse("工号须为 2 至 32 位小写字母、数字或连字符，并以字母开头")

    def fit(tx: Tx) -> tuple[str, list[Role]]:
        before = tx.get(Staff, staff_id)
        if before is not None and not rotate:
            refuse(f"{staff_id} 已登记；如需换发验证器密钥或调整岗位，请加 --rotate")
        if before is None and rotate:
            refuse(f"没有工号为 {staff_id} 的员工，无法换发")
        if before is not None and not before.active:
            refuse(f"{staff_id} 已停用，请先执行 dianwu staff restore {staff_id}")
        known_as = name.strip() or (before.name if before else "")
        roles = role or [Role(held) for held in (before.roles if before else [])]
        if not known_as or not roles:
            misuse("请用 --name 和 --role 给出姓名和至少一个岗位")
        return known_as, roles

    with reading() as tx:
        known_as, roles = fit(tx)
        _colleague(tx, by)
    word = _word(by, code, alone)
    enrolled, sentence = in_transaction(lambda tx: vouching.enrol(tx, staff_id, known_as, roles, word))
    if enrolled is None:
        refuse(sentence)
    import segno

    picture = io.StringIO()
    segno.make(enrolled.uri, error="m").terminal(out=picture, compact=True)
    typer.echo(picture.getvalue())
    say(f"✓ {staff_id} 已登记。请本人立即用验证器应用扫描上方二维码，之后不会再次显示。", "green")
    if show_uri:
        typer.echo(enrolled.uri)


@app.command("list")
def list_staff(as_json: bool = JSON_OPTION) -> None:
    """列出员工、岗位与状态。"""
    with reading() as tx:
        people = list(tx.exec(select(Staff).order_by(col(Staff.id))))
        now = clock().real()
        if as_json:
            print_json(
                [
                    {
                        "id": one.id,
                        "name": one.name,
                        "roles": one.roles,
                        "active": one.active,
                        "locked_until": one.locked_until if _locked(one, now) else None,
                        "substitute": one.substitute_id,
                        "away_until": one.away_until,
                    }
                    for one in people
                ]
            )
            return
        table(
            "员工",
            ["工号", "姓名", "岗位", "状态", "代班"],
            [
                [
                    one.id,
                    one.name,
                    "、".join(Role(held).label for held in one.roles),
                    _state(one, now),
                    _away(one, tx.now),
                ]
                for one in people
            ],
            empty="尚未登记任何人，请用 dianwu staff enrol 登记",
        )


def _locked(one: Staff, now: datetime) -> bool:
    return one.locked_until is not None and one.locked_until > now


def _state(one: Staff, now: datetime) -> object:
    if not one.active:
        return cell("已停用", "dim")
    return cell(f"已锁定至 {when(one.locked_until)}", "red") if _locked(one, now) else cell("在岗", "green")


def _away(one: Staff, now: datetime) -> str:
    away = one.substitute_id and one.away_until is not None and one.away_until > now
    return f"{one.substitute_id}，至 {when(one.away_until)}" if away else ""


def _unusable(address: str) -> str:
    """Why nothing could be sent there: what is recorded in somebody's name counts only when they can hear of it."""
    from notifications import apprise_addresses, mail  # Apprise comes with it

    if "://" in address:
        return apprise_addresses.fault_of(address)
    if not mail.recipients(address):
        return "须为邮箱或 Apprise 地址"
    return "" if settings().mail_relay.get_secret_value() else "邮箱须已设 mail_relay"


@app.command("contact")
def contact(
    staff_id: str = typer.Argument(..., metavar="工号", parser=staff_no),
    addresses: list[str] = typer.Argument(
        None, metavar="地址", help="邮箱（须已设 mail_relay）或 Apprise 地址；不给则清除"
    ),
    code: str = typer.Option("", "--code", help="本人的动态口令；不给则提示输入，输入时不显示"),
) -> None:
    """登记本人的联系方式：以其名义记录的每项决定都只发往这里，不发往岗位的公共渠道。须本人凭动态口令办理。"""
    given = addresses or []
    if wrong := [why for address in given if (why := _unusable(address))]:
        misuse(f"{len(wrong)} 个地址无法使用：{';'.join(dict.fromkeys(wrong))}")
    proof = code or ask_code()

    def work(tx: Tx) -> staff.Proof:
        proved = staff.prove(tx, person(tx, staff_id).id, proof)
        if proved.ok:
            staff.set_contact(tx, staff_id, given)
            what = f"改动了本人联系方式（现有 {len(given)} 个）" if given else "清除了本人联系方式"
            vouching.tell(tx, person(tx, staff_id), what, staff_id)
        return proved

    proved = in_transaction(work)
    if not proved.ok:
        refuse(proved.sentence)
    say(f"✓ {staff_id} 登记了 {len(given)} 个本人联系方式", "green")


@app.command("dismiss")
def dismiss(
    staff_id: str = typer.Argument(..., metavar="工号", parser=staff_no),
    by: str = BY,
    code: str = CODE,
    alone: bool = ALONE,
) -> None:
    """停用员工：其口令立即失效，已认领的任务可由他人处理。停用主管须由另一位主管核准。"""
    with reading() as tx:
        _colleague(tx, by)
        if not person(tx, staff_id).active:
            refuse(f"{staff_id} 本来就已停用")
    word = _word(by, code, alone)
    if sentence := in_transaction(lambda tx: vouching.dismiss(tx, staff_id, word)):
        refuse(sentence)
    with reading() as tx:
        standing.remember(tx)  # at once, and not with the next sweep
    say(f"✓ {staff_id} 已停用", "green")


@app.command("restore")
def restore(
    staff_id: str = typer.Argument(..., metavar="工号", parser=staff_no),
    by: str = BY,
    code: str = CODE,
    alone: bool = ALONE,
) -> None:
    """恢复已停用的员工，须由另一位主管凭动态口令核准。"""
    with reading() as tx:
        _colleague(tx, by)
        if (one := person(tx, staff_id)).active:
            locked = _locked(one, clock().real())
            refuse(f"{staff_id} 本来就在岗" + (f"；口令锁定请用 dianwu staff unlock {staff_id} 解除" if locked else ""))
        if standing.refusal(tx, one) is not None or not one.totp_sealed:
            refuse(f"{staff_id} 的登记信息已作废，请用 dianwu staff enrol 重新登记")
    word = _word(by, code, alone)
    if sentence := in_transaction(lambda tx: vouching.restore(tx, staff_id, word)):
        refuse(sentence)
    say(f"✓ {staff_id} 已恢复在岗", "green")


@app.command("unlock")
def unlock(
    staff_id: str = typer.Argument(..., metavar="工号", parser=staff_no, help="被锁定的员工"),
    by: str = typer.Option(..., "--by", metavar="工号", parser=staff_no, help="由哪位主管解锁"),
    code: str = typer.Option("", "--code", help="主管的动态口令；不给则提示输入，输入时不显示"),
) -> None:
    """由主管凭动态口令解除同事的口令锁定。"""
    with reading() as tx:
        who, boss = person(tx, staff_id).id, person(tx, by).id
    given = code or ask_code()
    proof = in_transaction(lambda tx: staff.unlock(tx, who, boss, given))
    if not proof.ok:
        refuse(proof.sentence)
    say(f"✓ {proof.sentence}", "green")


@app.command("invite")
def invite(
    staff_id: str = typer.Argument(..., metavar="工号", parser=staff_no, help="邀请谁登记通行密钥"),
    by: str = typer.Option(..., "--by", metavar="工号", parser=staff_no, help="由哪位主管邀请"),
    code: str = typer.Option("", "--code", help="主管的动态口令；不给则提示输入，输入时不显示"),
) -> None:
    """由主管凭动态口令邀请同事在工作台登记通行密钥：24 小时内一次有效，邀请码请当面转交。"""
    with reading() as tx:
        who, boss = person(tx, staff_id).id, person(tx, by).id
    given = code or ask_code()
    word, sentence = in_transaction(lambda tx: passkeys.invite(tx, who, boss, given))
    if sentence:
        refuse(sentence)
    say(f"✓ {who} 可在工作台「我的」中登记通行密钥，邀请码（24 小时内一次有效）：", "green")
    typer.echo(word)


@app.command("substitute")
def substitute(
    staff_id: str = typer.Argument(..., metavar="工号", parser=staff_no, help="外出的员工"),
    by: str = typer.Option(..., "--by", metavar="工号", parser=staff_no, help="代班员工的工号"),
    until: str = typer.Option(..., "--until", help="代班到何时（北京时间），例如 2026-12-01 或 2026-12-01T18:00"),
    supervisor: str = typer.Option("", "--supervisor", metavar="工号", parser=staff_no, help="由哪位主管核准"),
    code: str = CODE,
    alone: bool = ALONE,
) -> None:
    """安排代班：外出期间，其认领的任务可由代班人处理（岗位仍须相符）。须由主管凭动态口令核准。"""
    try:
        end = datetime.fromisoformat(until)
    except ValueError:
        misuse(f"{until!r} 不是日期，请写成 2026-12-01 或 2026-12-01T18:00")
    if len(until) <= len("2026-12-01"):
        end += timedelta(days=1, seconds=-1)  # a bare day means until its end
    end = end if end.tzinfo else end.replace(tzinfo=SHANGHAI)

    with reading() as tx:
        away, other = person(tx, staff_id), person(tx, by)
        _colleague(tx, supervisor)
        if away.id == other.id:
            refuse("不能由本人给自己代班")
        if not other.active:
            refuse(f"{by} 已停用，不能代班")
        if end <= tx.now:
            refuse(f"代班截止时间 {when(end)} 已经过去")
    word = _word(supervisor, code, alone)
    if sentence := in_transaction(lambda tx: vouching.substitute(tx, staff_id, by, end, word)):
        refuse(sentence)
    say(f"✓ {staff_id} 由 {by} 代班，至 {when(end)}", "green")


@app.command("code")
def code(staff_id: str = typer.Argument(..., metavar="工号", parser=staff_no)) -> None:
    """显示示例员工当前可用的动态口令（仅限演示环境）。"""
    if settings().production:
        refuse("生产环境不提供此命令：动态口令只能由本人的验证器给出")
    with reading() as tx:
        one = person(tx, staff_id)
        totp = pyotp.TOTP(opened(one, "totp_sealed"), interval=staff.STEP)
        step = int(clock().real().timestamp()) // staff.STEP
        # The judge takes the step before and after too, so a code spent a moment ago need not be waited out.
        fresh = [at for at in (step, step + 1) if at > staff.last_spent(tx, staff_id)]
        if not fresh:
            refuse(f"{staff_id} 当前的口令都已用过，请 {staff.STEP} 秒后再试")
        typer.echo(totp.at(fresh[0] * staff.STEP))
