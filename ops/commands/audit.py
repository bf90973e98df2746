"""``dianwu audit``: prove that nothing in the record was changed or cut off, and read it."""

from __future__ import annotations

from datetime import timedelta

import typer
from sqlmodel import func, select

from models.audit import AuditEntry
from office.base.db import reading
from office.record import chain_proof
from ops.commands.terminal import JSON_OPTION, first, print_json, refuse, say, table, when
from tasks import agreement
from tasks.sight import anchors

app = typer.Typer(no_args_is_help=True)


@app.command("verify")
def verify(
    stream: str = typer.Option("", help="只校验一条链：案件编号、shop/<店铺>、staff/<工号> 或 system"),
    against: list[str] = typer.Option(
        [], help="同时与此处的锚点核对：目录、桶或单个锚点文件；默认是设置 audit_anchors 中可读的"
    ),
    as_json: bool = JSON_OPTION,
) -> None:
    """校验审计链是否完整，有改动、缺失或截断即报错；有外部锚点时一并核对。"""
    places = against or (
        [] if stream else [target for target in anchors.targets() if not target.startswith(anchors.MAIL)]
    )
    try:
        kept = {place: anchors.look(place) for place in places}
    except anchors.AnchorError as error:
        refuse(f"锚点无法读取：{error}")
    if empty := [place for place in against if not kept[place].anchors]:
        refuse(f"其中没有锚点：{'、'.join(anchors.shown(place) for place in empty)}")
    with reading() as tx:
        problems = [*chain_proof.verify(tx, stream or None), *(() if stream else agreement.check(tx))]
        counted = select(func.count(), func.count(func.distinct(AuditEntry.stream))).select_from(AuditEntry)
        lines, streams = tx.exec(counted.where(AuditEntry.stream == stream) if stream else counted).one()
    problems += [sentence for place, found in kept.items() for sentence in anchors.against(place, found)]
    if as_json:
        print_json({"lines": lines, "streams": streams, "problems": problems})
        raise typer.Exit(1 if problems else 0)
    for problem in problems:
        say(f"✗ {problem}", "red")
    if problems:
        refuse(f"审计链有 {len(problems)} 处不完整")
    if stream and not lines:
        refuse(f"没有名为 {stream} 的审计链")
    compared = sum(len(found.anchors) for found in kept.values())
    beside = f"，与 {len(places)} 处共 {compared} 份外部锚点一致" if compared else ""
    say(f"✓ 审计链完整：{streams} 条链，共 {lines} 行{beside}", "green")


@app.command("anchor")
def anchor(
    to: list[str] = typer.Option(
        [], help="写到此处：目录、fsspec 地址（s3://…）或邮件地址（mailto://…）；默认是设置 audit_anchors"
    ),
) -> None:
    """把各条审计链的末端写到外部，日后连持有密钥的人也无法改写此前的记录。"""
    places = to or anchors.targets()
    if not places:
        refuse("没有指定位置：用 --to 给出目录、桶或邮件地址，或设置 audit_anchors")
    for place in places:
        try:
            made = anchors.write(place)
        except anchors.AnchorError as error:
            refuse(f"锚点未能写出：{error}")
        say(
            f"✓ 第 {made.number} 份锚点（{len(made.heads)} 条链）→ {anchors.shown(place)}，SHA-256 {made.sha256}",
            "green",
        )


@app.command("show")
def show(
    stream: str = typer.Argument(..., help="案件编号、shop/<店铺>、staff/<工号> 或 system"),
    as_json: bool = JSON_OPTION,
) -> None:
    """按时间先后显示一条审计链。"""
    from tasks.sight.lines import audit_lines

    with reading() as tx:
        lines = audit_lines(tx, stream)
    if not lines:
        refuse(f"没有名为 {stream} 的审计链")
    if as_json:
        print_json([line.model_dump(mode="json") for line in lines])
        return
    table(
        f"审计链 {stream}",
        ["行", "时间", "谁", "动作", "条款", "内容", "哈希"],
        [[line.seq, when(line.at), line.who, line.action, line.clause, line.text, line.hash[:12]] for line in lines],
    )


@app.command("reads")
def reads(
    by: str = typer.Option("", metavar="工号", help="只看某人；也可以是终端所用的系统账号"),
    shop: str = typer.Option("", help="只看某店铺"),
    days: int = typer.Option(30, min=1, max=3_660, help="最近多少天"),
    limit: int = typer.Option(200, min=1, max=10_000, help="最多列出多少条，新的在前"),
    as_json: bool = JSON_OPTION,
) -> None:
    """列出谁在何时查看过谁的材料：工作台上的案卷、店铺与材料，终端上的案件。"""
    from office.cases import looks
    from tasks.sight.lines import shown_line

    with reading() as tx:
        found = looks.readings(tx, who=by, shop_id=shop, since=tx.now - timedelta(days=days), limit=limit + 1)
        lines = [(line.stream, shown_line(tx, line)) for line in first(found, limit)]
    if as_json:
        print_json([{"stream": stream, **line.model_dump(mode="json")} for stream, line in lines])
        return
    table(
        "查看记录",
        ["时间", "谁", "内容", "审计链"],
        [[when(line.at), line.who, line.text, f"{stream} 第 {line.seq} 行"] for stream, line in lines],
        empty="没有查看记录",
    )
