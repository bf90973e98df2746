"""``dianwu inbox``: what reached the door, what became of it, sending it round again, giving it up."""

from __future__ import annotations

import typer
from sqlmodel import col, select

from models.messages import InboxMessage, InboxState
from office.base.db import in_transaction, reading
from office.record import inbox
from ops.commands.terminal import (
    CODE_OPTION,
    JSON_OPTION,
    ask_code,
    first,
    print_json,
    refuse,
    say,
    staff_no,
    table,
    when,
    word_of,
    words,
)

app = typer.Typer(no_args_is_help=True)


@app.command("list")
def list_inbox(
    state: InboxState | None = typer.Option(None, parser=word_of(InboxState), help=words(InboxState), metavar="状态"),
    limit: int = typer.Option(50, min=1, max=10_000, help="最多列出多少条，新的在前"),
    as_json: bool = JSON_OPTION,
) -> None:
    """列出收到的消息及处理结果（不显示正文）。"""
    query = select(InboxMessage).order_by(col(InboxMessage.id).desc()).limit(limit + 1)
    with reading() as tx:
        rows = first(list(tx.exec(query.where(InboxMessage.state == state) if state else query)), limit)
    if as_json:
        print_json([row.model_dump(mode="json", exclude={"body_sealed", "others"}) for row in rows])
        return
    table(
        "收件箱",
        ["编号", "来源", "消息编号", "类型", "店铺", "状态", "收到", "次数", "说明"],
        [
            [
                row.id,
                row.source,
                row.message_id,
                row.type,
                row.shop_id or "",
                row.state.label,
                when(row.received_at),
                row.attempts,
                row.note + (f"（同号异文 {row.conflicts} 次）" if row.conflicts else ""),
            ]
            for row in rows
        ],
        empty="没有符合条件的消息",
    )


@app.command("retry")
def retry(number: int = typer.Argument(..., metavar="编号", help="见 dianwu inbox list")) -> None:
    """重新处理失败的消息；计时仍以当初收到的时间为准。"""
    if sentence := in_transaction(lambda tx: inbox.retry(tx, number)):
        refuse(sentence)
    say(f"✓ 消息 {number} 已排队重新处理", "green")


@app.command("dismiss")
def dismiss(
    number: int = typer.Argument(..., metavar="编号", help="见 dianwu inbox list"),
    reason: str = typer.Option(..., help="为什么无法处理"),
    staff_id: str = typer.Option(..., "--staff", help="您的工号", metavar="工号", parser=staff_no),
    code: str = CODE_OPTION,
) -> None:
    """放弃一条无法修复的失败消息（主管）；此后它不再暂停店铺的期限。"""
    from office.cases import routing

    proof = code or ask_code()
    outcome = in_transaction(lambda tx: routing.dismiss(tx, number, staff_id, proof, reason))
    if not outcome.accepted:
        refuse(outcome.sentence)
    say(f"✓ {outcome.sentence}", "green")
