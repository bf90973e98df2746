"""The ``dianwu`` command: every group of commands in one list."""

from __future__ import annotations

import typer

from ops.commands import (
    audit,
    books,
    calendar,
    cases,
    clock,
    doctor,
    inbox,
    invoicing,
    keys,
    outbox,
    review,
    stack,
    staff,
)
from ops.commands.terminal import Sentences

app = typer.Typer(
    name="dianwu", cls=Sentences, no_args_is_help=True, add_completion=False, rich_markup_mode=None,
    pretty_exceptions_enable=False, help="店务:店铺关闭、保证金与案件的后台。",
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip

app.add_typer(staff.app, name="staff", help="员工:登记、停用、代班")
app.add_typer(review.app, name="review", help="审核:查看、认领、决定")
app.add_typer(cases.app, name="cases", help="案件:查看、导出、重试")
app.add_typer(books.app, name="books", help="账簿:核对与余额")
app.add_typer(audit.app, name="audit", help="审计:校验与查看")
app.add_typer(outbox.app, name="outbox", help="发件箱:查看与重发")
app.add_typer(inbox.app, name="inbox", help="收件箱:查看与重试")
app.add_typer(clock.app, name="clock", help="时钟:查看;演示环境可拨快")
app.add_typer(calendar.app, name="calendar", help="工作日历:查看与重算")
app.add_typer(keys.app, name="keys", help="加密密钥:生成与轮换")
app.add_typer(invoicing.app, name="invoicing", help="开票:账期、账单、退店发票")
app.add_typer(invoicing.importing, name="import", help="导入:开票明细")
app.add_typer(invoicing.report, name="report", help="报表:季度涉税信息")
app.add_typer(stack.app)
app.command("doctor")(doctor.doctor)


def main() -> None:
    """Entry point of the ``dianwu`` script."""
    app()
