"""``dianwu clock``: what time it is for cases, and moving a demonstration forward."""

from __future__ import annotations

from datetime import timedelta

import typer

from models.audit import ClockOffset
from models.windows import duration
from office.base import clock
from office.base.db import Tx, in_transaction, reading
from office.record import audit
from ops.commands.terminal import JSON_OPTION, parse_span, print_json, say, when

app = typer.Typer(no_args_is_help=True)


@app.command("show")
def show(as_json: bool = JSON_OPTION) -> None:
    """显示案件所依据的时间，以及演示环境拨快了多少。"""
    with reading() as tx:
        now = tx.now
        ahead = timedelta(seconds=round((now - clock.clock().real()).total_seconds()))
    if as_json:
        print_json({"now": now, "ahead_seconds": int(ahead.total_seconds())})
        return
    moved = f"，比实际时间快 {duration(ahead)}" if ahead else ""
    say(f"案件时间 {when(now)}（北京时间）{moved}")


@app.command("advance")
def advance(by: str = typer.Argument(..., metavar="时长", help="7d、36h、90m 或 1d12h")) -> None:
    """把演示环境的时钟拨快（生产环境拒绝；动态口令仍按实际时间）。"""
    span = parse_span(by)

    def work(tx: Tx) -> str:
        row = tx.get(ClockOffset, 1)
        before = row.seconds if row else 0
        now = clock.advance(tx, span)
        audit.record(
            tx,
            "system",
            "clock.advanced",
            text=f"演示时钟拨快 {duration(span)}",
            before_seconds=before,
            by_seconds=int(span.total_seconds()),
            at=now,
        )
        return when(now)

    say(f"✓ 案件时间现在是 {in_transaction(work)}（北京时间）；到期事项会在一分钟内处理", "green")
