"""``dianwu outbox``: what is to be delivered or could not be, and sending it again."""

from __future__ import annotations

import typer
from sqlmodel import col, select

from models.messages import Channel, OutboxMessage, OutboxState
from office.base.db import in_transaction, reading
from office.cases import bundles
from office.record import outbox
from ops.commands.terminal import JSON_OPTION, first, number, print_json, refuse, say, table, when, word_of, words

app = typer.Typer(no_args_is_help=True)


@app.command("list")
def list_outbox(
    state: OutboxState | None = typer.Option(
        None, parser=word_of(OutboxState), help=words(OutboxState), metavar="状态"
    ),
    channel: Channel | None = typer.Option(None, parser=word_of(Channel), help=words(Channel), metavar="渠道"),
    case: str = typer.Option("", parser=number, metavar="案件", help="只看某案件"),
    limit: int = typer.Option(50, min=1, max=10_000, help="最多列出多少条，新的在前"),
    as_json: bool = JSON_OPTION,
) -> None:
    """列出待投递、已投递和投递失败的消息（不显示正文）。"""
    query = select(OutboxMessage).order_by(col(OutboxMessage.id).desc()).limit(limit + 1)
    if state:
        query = query.where(OutboxMessage.state == state)
    if channel:
        query = query.where(OutboxMessage.channel == channel)
    if case:
        query = query.where(OutboxMessage.case_id == case)
    with reading() as tx:
        rows = first(list(tx.exec(query)), limit)
    if as_json:
        print_json([row.model_dump(mode="json", exclude={"payload_sealed", "reached", "leased_until"}) for row in rows])
        return
    table(
        "发件箱",
        ["键", "渠道", "主题", "案件", "状态", "次数", "写入", "下次", "说明"],
        [
            [
                row.key,
                row.channel.label,
                row.topic,
                row.case_id or row.shop_id or "",
                row.state.label,
                row.attempts,
                when(row.created_at),
                when(row.next_at) if row.state is OutboxState.NEW else "",
                bundles.shown(row.note),
            ]
            for row in rows
        ],
        empty="没有符合条件的消息",
    )


@app.command("resend")
def resend(key: str = typer.Argument(..., metavar="键", help="消息的键，见 dianwu outbox list")) -> None:
    """重新投递失败或已跳过的消息；键不变，对方可据此去重。已停止的案件的消息不予重发。"""
    if sentence := in_transaction(lambda tx: outbox.resend(tx, key)):
        refuse(sentence)
    say(f"✓ {key} 已排队重新投递", "green")
