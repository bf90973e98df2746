"""``dianwu audit``: prove that nothing in the record was changed or cut off, and read it."""

from __future__ import annotations

import typer
from sqlmodel import func, select

from models.audit import AuditEntry
from ops.commands.terminal import JSON_OPTION, print_json, refuse, say, table, when
from tasks import audit
from tasks.db import reading

app = typer.Typer(no_args_is_help=True)


@app.command("verify")
def verify(
    stream: str = typer.Option("", help="只校验一条链:案件编号、shop/<店铺>、staff/<工号> 或 system"),
    as_json: bool = JSON_OPTION,
) -> None:
    """校验审计链是否完整,有改动、缺失或截断即报错。"""
    with reading() as tx:
        problems = list(audit.verify(tx, stream or None))
        counted = select(func.count(), func.count(func.distinct(AuditEntry.stream))).select_from(AuditEntry)
        lines, streams = tx.exec(counted.where(AuditEntry.stream == stream) if stream else counted).one()
    if as_json:
        print_json({"lines": lines, "streams": streams, "problems": problems})
        raise typer.Exit(1 if problems else 0)
    for problem in problems:
        say(f"✗ {problem}", "red")
    if problems:
        refuse(f"审计链有 {len(problems)} 处不完整")
    if stream and not lines:
        refuse(f"没有名为 {stream} 的审计链")
    say(f"✓ 审计链完整:{streams} 条链,共 {lines} 行", "green")


@app.command("show")
def show(
    stream: str = typer.Argument(..., help="案件编号、shop/<店铺>、staff/<工号> 或 system"),
    as_json: bool = JSON_OPTION,
) -> None:
    """按时间先后显示一条审计链。"""
    from tasks.views import audit_lines

    with reading() as tx:
        lines = audit_lines(tx, stream)
    if not lines:
        refuse(f"没有名为 {stream} 的审计链")
    if as_json:
        print_json([line.model_dump(mode="json") for line in lines])
        return
    table(
        f"审计链 {stream}", ["行", "时间", "谁", "动作", "条款", "内容", "哈希"],
        [[line.seq, when(line.at), line.who, line.action, line.clause, line.text, line.hash[:12]] for line in lines],
    )  # fmt: skip
