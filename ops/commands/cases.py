"""``dianwu cases``: find a case, see the whole of it, hand it on as one file, let it go on."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from sqlmodel import col, select

from models.cases import Case, CaseKind, CaseState
from models.money import yuan
from models.wire import INBOUND
from notifications.text import full_width
from office.base.db import in_transaction, reading
from ops.commands.terminal import (
    JSON_OPTION,
    ask_code,
    cell,
    countdown,
    first,
    markdown,
    number,
    person,
    print_json,
    read,
    refuse,
    say,
    staff_no,
    table,
    when,
    word_of,
    words,
)

if TYPE_CHECKING:
    from tasks.sight.shown import CaseDossier

app = typer.Typer(no_args_is_help=True)

ID = typer.Argument(..., metavar="案件编号", parser=number, help="案件编号，例如 REF-261122-7K3QM9")


@app.command("list")
def list_cases(
    *,
    kind: CaseKind | None = typer.Option(
        None, parser=word_of(CaseKind), help=f"只看某类：{words(CaseKind)}", metavar="类别"
    ),
    state: CaseState | None = typer.Option(
        None, parser=word_of(CaseState), help="只看某状态，例如 审核中", metavar="状态"
    ),
    shop: str = typer.Option("", help="只看某店铺"),
    open_only: bool = typer.Option(False, "--open", help="只看未办结"),
    limit: int = typer.Option(100, min=1, max=10_000, help="最多列出多少个，新的在前"),
    as_json: bool = JSON_OPTION,
) -> None:
    """列出案件，新的在前。"""
    from tasks.sight.merchant import next_deadline, waits_for

    query = select(Case).order_by(col(Case.opened_at).desc(), col(Case.id)).limit(limit + 1)
    if kind:
        query = query.where(Case.kind == kind)
    if state:
        query = query.where(Case.state == state)
    if shop:
        query = query.where(Case.shop_id == shop)
    if open_only:
        query = query.where(col(Case.concluded_at).is_(None))
    with reading() as tx:
        rows = [
            (case, waits_for(tx, case, inside=True), due.due_at if (due := next_deadline(tx, case)) else None)
            for case in first(list(tx.exec(query)), limit)
        ]
        if as_json:
            print_json(
                [
                    {
                        "id": case.id,
                        "kind": case.kind,
                        "state": case.state,
                        "shop_id": case.shop_id,
                        "subject": case.subject,
                        "received_at": case.received_at,
                        "waits_for": waits,
                        "due_at": due,
                        "halted": case.halted,
                        "outcome": case.outcome,
                        "concluded_at": case.concluded_at,
                    }
                    for case, waits, due in rows
                ]
            )
            return
        table(
            "案件",
            ["案件", "类别", "店铺", "状态", "等待", "到期", "倒计时", "收到"],
            [
                [
                    case.id,
                    case.kind.label,
                    cell(case.subject, limit=40),
                    _state(case),
                    waits,
                    when(due),
                    countdown(tx.now, due),
                    when(case.received_at),
                ]
                for case, waits, due in rows
            ],
            empty="没有符合条件的案件",
        )


def _state(case: Case) -> object:
    if case.halted:
        return cell(f"{case.state.label}（已停止）", "bold red")
    return cell(case.state.label, "dim" if case.concluded_at else "")


def _dossier(case_id: str, doing: str) -> CaseDossier:
    from office.cases.locks import UnknownCase
    from tasks.sight.views import case_dossier

    try:
        found = case_dossier(case_id)
    except UnknownCase:
        refuse(f"没有编号为 {case_id} 的案件")
    read(found.id, doing)
    return found


@app.command("show")
def show(
    case_id: str = ID,
    dossiers: bool = typer.Option(False, "--dossiers", help="连同每次审核所展示的全文"),
    as_json: bool = JSON_OPTION,
) -> None:
    """显示案件全貌：等待什么、期限、检查结果、决定、资金、消息与时间线。"""
    case = _dossier(case_id, "查看")
    if as_json:
        print_json(case.model_dump(mode="json"))
        return
    _head(case)
    _clocks(case)
    _people(case, dossiers)
    _money(case)
    _words(case)
    table(
        "时间线",
        ["时间", "谁", "内容", "条款"],
        [[when(line.at), line.who, line.text, line.clause] for line in case.chain.lines],
    )
    for problem in case.chain.problems:
        say(f"✗ 审计链：{problem}", "red")


def _head(case: CaseDossier) -> None:
    say(f"{case.kind.label} · {case.subject or case.shop_id or ''} · {case.id}", "bold")
    ended = f"（{case.outcome_clause} {full_width(case.outcome_text)}）" if case.outcome else ""
    say(f"状态：{case.state.label}{ended}")
    if case.waits_for:
        say(f"等待：{case.waits_for}", "cyan")
    if case.halted:
        say(f"⚠ 已停止自动处理，排除原因后执行 dianwu cases retry {case.id} --by 工号", "bold red")
    say(f"收到 {when(case.received_at)} · 立案 {when(case.opened_at)}")
    say(f"来源 {case.origin} · 规则版本 {case.policy_version}")
    if case.run_id:
        say(f"Prefect 运行 {case.run_id}（第 {case.run_attempt} 次）", "dim")
    table("申请内容", ["项目", "内容"], case.request)
    if case.allowed_actions:
        say(f"商家现在可以发送：{'、'.join(INBOUND[one].title() for one in case.allowed_actions)}")


def _clocks(case: CaseDossier) -> None:
    table(
        "期限",
        ["期限", "对象", "状态", "截止", "倒计时", "如何计算"],
        [
            [
                due.title,
                due.side,
                due.state,
                when(due.due_at),
                _left(case.seen_at, due.due_at, due.running),
                full_width(due.reckoned),
            ]
            for due in case.deadlines
        ],
    )


def _round(check: str) -> str:
    """Which time it was looked: ``closure/2`` → 第 2 次."""
    number = check.rpartition("/")[2]
    return f"第 {number} 次" if number.isdecimal() else "第 1 次"


def _left(now: datetime, due: datetime, running: bool) -> object:
    return countdown(now, due) if running else ""


def _people(case: CaseDossier, dossiers: bool) -> None:
    table(
        "检查结果",
        ["检查", "性质", "条款", "结果", "数据截至"],
        [
            [
                _round(kept.check),
                cell("阻断", "red") if kept.finding.blocking else "参考",
                kept.finding.clause,
                full_width(kept.finding.sentence),
                when(kept.finding.as_of),
            ]
            for kept in case.findings
        ],
    )
    table(
        "审核与决定",
        ["任务", "事项", "状态", "谁", "何时", "结论", "理由", "所见内容哈希"],
        [
            [
                one.id,
                f"{one.title}（第 {one.round} 轮）",
                one.state,
                one.decided_by or one.claimed_by or one.roles,
                when(one.decided_at),
                "、".join([one.verdict or one.held, *(f"{name}:{value}" for name, value in one.answer)]),
                one.reason,
                one.shown_sha256[:12] + ("" if one.shown_intact else " ✗ 与决定时不符"),
            ]
            for one in case.reviews
        ],
    )
    for one in case.reviews if dossiers else ():
        say(f"—— {one.title} {one.id} 所展示的内容 ——", "dim")
        markdown(one.shown)
    table(
        "往来等待",
        ["事项", "问题", "状态", "开始", "结束", "答复"],
        [
            [one.what, one.question, one.state, when(one.opened_at), when(one.closed_at), one.answer]
            for one in case.waits
        ],
    )
    table(
        "证据材料",
        ["名称", "类型", "内容哈希", "提交", "说明"],
        [[one.name, one.kind, one.sha256[:16] or one.url, when(one.submitted_at), one.where] for one in case.evidence],
    )


def _money(case: CaseDossier) -> None:
    table(
        "打款",
        ["请求号", "金额", "收款账户", "状态", "批准人", "提交", "回执", "银行说明"],
        [
            [
                one.request_no,
                yuan(one.amount_fen),
                one.payee,
                one.state,
                one.permitted_by,
                when(one.requested_at),
                when(one.answered_at),
                one.bank_reason,
            ]
            for one in case.payouts
        ],
    )
    table(
        "分录",
        ["时间", "借", "贷", "金额", "事由", "条款"],
        [
            [when(one.posted_at), one.debit, one.credit, yuan(one.amount_fen), full_width(one.why), one.clause]
            for one in case.postings
        ],
    )


def _words(case: CaseDossier) -> None:
    for what, count in case.left_off:
        say(f"另有 {count:,} 条{what}未列出", "yellow")
    table(
        "消息",
        ["时间", "渠道", "对象", "主题", "状态", "说明"],
        [[when(one.created_at), one.channel, one.to, one.subject, one.state, one.note] for one in case.messages],
    )


@app.command("export")
def export(
    case_id: str = ID,
    out: Path = typer.Option(..., "--out", "-o", metavar="文件", help="写入哪个 HTML 文件"),
    force: bool = typer.Option(False, "--force", help="文件已存在时覆盖"),
) -> None:
    """导出争议卷宗：一个可离线查看、可打印的 HTML 文件。"""
    from tasks.sight.disputes import dispute_file

    if out.exists() and not force:
        refuse(f"{out} 已存在；如要覆盖请加 --force")
    case = _dossier(case_id, "导出")
    page = dispute_file(case).encode()
    handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)  # names people: for its owner's eyes
    with os.fdopen(handle, "wb") as file:
        file.write(page)
    say(f"✓ 已导出 {case.id}：{len(case.chain.lines)} 行审计记录，{len(page) // 1024 + 1} KB，{out}", "green")
    if case.chain.problems:
        refuse(f"该案审计链有 {len(case.chain.problems)} 处不完整，已写入卷宗")


@app.command("retry")
def retry(
    case_id: str = ID,
    by: str = typer.Option(..., "--by", metavar="工号", parser=staff_no, help="谁排除了故障"),
    code: str = typer.Option("", help="本人的动态口令；不给则提示输入，输入时不显示"),
) -> None:
    """排除故障后，凭本人的动态口令让已停止的案件继续；因异议或与留存的决定不符而停止的，由未参与本案的主管核实后继续。"""
    from office.cases import retrying

    with reading() as tx:
        if (found := tx.get(Case, case_id)) is None:
            refuse(f"没有编号为 {case_id} 的案件")
        who = person(tx, by).id
        if found.concluded_at is not None:
            refuse(retrying.ended(found))
    proof = code or ask_code()
    outcome = in_transaction(lambda tx: retrying.retry(tx, case_id, who, proof))
    if not outcome.accepted:
        refuse(outcome.sentence)
    say(f"✓ {case_id} {outcome.sentence}", "green")
