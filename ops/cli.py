"""The ``dianwu`` command: every command with its line of help; what a command needs is imported when it is called."""

from __future__ import annotations

import atexit
import gc
import importlib
import sys
from itertools import islice
from typing import Any

import typer
from typer._click.exceptions import ClickException, UsageError
from typer.core import TyperGroup

from models.text import odd
from ops import chinese

COMMANDS = {
    "staff": ("ops.commands.staff:app", "员工：登记、停用、代班"),
    "review": ("ops.commands.review:app", "审核：查看、认领、决定"),
    "cases": ("ops.commands.cases:app", "案件：查看、导出、重试"),
    "books": ("ops.commands.books:app", "账簿：核对与余额"),
    "audit": ("ops.commands.audit:app", "审计：校验与查看"),
    "outbox": ("ops.commands.outbox:app", "发件箱：查看与重发"),
    "inbox": ("ops.commands.inbox:app", "收件箱：查看与重试"),
    "clock": ("ops.commands.clock:app", "时钟：查看；演示环境可拨快"),
    "calendar": ("ops.commands.calendar:app", "工作日历：查看与重算"),
    "keys": ("ops.commands.keys:app", "密钥：生成与轮换"),
    "invoicing": ("ops.commands.invoicing:app", "开票：账期、账单、退店发票"),
    "import": ("ops.commands.invoicing:importing", "导入：开票明细"),
    "settlement": ("ops.commands.settlement:app", "货款结算：结算期、暂缓、结算单、订单与售后导入"),
    "report": ("ops.commands.invoicing:report", "报表：季度涉税信息"),
    "up": ("ops.commands.stack:up", "启动整套服务，直到 Ctrl-C"),
    "demo": ("ops.commands.stack:demo", "启动演示环境：示例店铺、商家和员工"),
    "desk": ("ops.commands.stack:desk", "单独启动工作台"),
    "migrate": ("ops.commands.stack:migrate", "把数据库升级到当前版本"),
    "deploy": ("ops.commands.stack:deploy", "在 Prefect 中创建工作池并部署全部流程"),
    "doctor": ("ops.commands.doctor:doctor", "体检：逐项检查并给出处理办法"),
}
"""Name → where it is, and its line in the list. A group of commands is a Typer, a single one a function."""

BRINGING_UP = {"up", "demo", "migrate", "deploy", "keys", "doctor"}
"""Commands that do not need data to be there already; the others look at it first, and make nothing by looking."""

ROWS_ONLY = {
    ("audit", "show"),
    ("books", "show"),
    ("calendar", "show"),
    ("clock", "show"),
    ("inbox", "list"),
    ("invoicing", "months"),
    ("outbox", "list"),
    ("settlement", "halves"),
    ("staff", "list"),
}
"""Commands that print rows as they are: no process has to be known, and importing all of them is most of the wait."""


INTERRUPTED = 130
"""What Typer gives back after Ctrl-C."""


class Dianwu(TyperGroup):
    """The root: lists what there is without importing any of it, and tells faults that an operator can mend."""

    context_class = chinese.Context

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, name: str) -> Any:
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name][0].partition(":")
        found = getattr(importlib.import_module(module), attribute)
        holder = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        holder.callback()(lambda: None)  # so that it is a group, also with one command in it
        holder.add_typer(found, name=name) if isinstance(found, typer.Typer) else holder.command(name)(found)
        group = typer.main.get_command(holder)
        command = group.commands[name] if isinstance(group, TyperGroup) else None
        for one in (command, *getattr(command, "commands", {}).values()):
            one.context_class = chinese.Context
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """With what was probably meant, as Typer does for the commands below; these it has not imported."""
        if args[0] not in COMMANDS:
            from difflib import get_close_matches

            if near := get_close_matches(args[0], COMMANDS):
                raise UsageError(f"No such command '{args[0]}'. Did you mean {'、'.join(near)}?", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("命令"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Words of the command line that no database and no screen can take are refused before anything is done."""
        for number, word in enumerate(args, 1):
            if found := odd(word, allowed="\n\r\t"):
                from ops.commands.terminal import refuse, unreadable_word

                refuse(unreadable_word(number, found))
        return super().parse_args(ctx, [chinese.meant(word) for word in args])

    def invoke(self, ctx: Any) -> Any:
        from ops.commands.place import missing
        from ops.commands.terminal import refuse, told

        words = [*ctx._protected_args, *ctx.args]
        looks = words and words[0] in COMMANDS and words[0] not in BRINGING_UP and not {"-h", "--help"} & {*words}
        if looks and (sentence := told(missing)):
            refuse(sentence)
        if looks and tuple(islice(words, 2)) not in ROWS_ONLY:
            from tasks.processes import open_office

            open_office()
        return told(lambda: super(Dianwu, self).invoke(ctx))

    def main(self, *args: Any, **extra: Any) -> Any:
        """As Typer does it, but for the language of what it has to say."""
        try:
            done = super().main(*args, **extra | {"standalone_mode": False})
        except ClickException as error:
            chinese.show(error)
            sys.exit(error.exit_code)
        except typer.Abort:
            typer.echo("✗ 已取消", err=True)
            sys.exit(1)
        if done == INTERRUPTED:
            typer.echo("✗ 已中断", err=True)
        sys.exit(done if isinstance(done, int) else 0)


app = typer.Typer(
    name="dianwu",
    cls=Dianwu,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="店务：店铺关闭、保证金与案件的后台。",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root() -> None:
    """店务：店铺关闭、保证金与案件的后台。"""


def main() -> None:
    """Entry point of the ``dianwu`` script."""
    atexit.register(gc.freeze)  # what a command leaves is not searched for rubbish before it goes: a fifth of its time
    app()
