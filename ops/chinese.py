"""What Typer says by itself, in Chinese: usage, headings, and why a command line cannot be read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from unicodedata import east_asian_width, normalize

import typer
from typer._click import exceptions as wrong  # Typer translates none of these, and has no other name for them
from typer._click.formatting import HelpFormatter

from notifications.text import full_width

MOST = 100
"""Columns of a line."""
HELP = {
    r"^Options$": "选项", r"^Arguments$": "参数", r"^Commands$": "命令", r"\[OPTIONS\]": "[选项]",
    r"COMMAND \[ARGS\]\.\.\.": "命令 …", r"^Show this message and exit\.$": "显示本说明",
    r"\brequired\]$": "必填]", r"\[default: ": "[默认：", r"^(-.*) <int(?: range)?>$": r"\1 整数",
    r"^(-.*) <(?:list\[)?str\]?>$": r"\1 文字", r"^(-.*) <(?:path|file)>$": r"\1 文件", r" <[a-z \[\]]+>$": "",
    r"(\d+)<=x<=(\d+)": r"\1 至 \2", r"x>=(\d+)": r"不小于 \1",
}  # fmt: skip
"""What help is made of, and what stands there instead."""
FAULTS = {
    r"No such command '(.+)'\. Did you mean (.+)\?": r"没有命令 \1，是否应为 \2",
    r"No such command '(.+)'\.": r"没有命令 \1",
    r"Missing command\.": "缺少命令",
    r"Got unexpected extra argument\(s\) \((.*)\)": r"多出了「\1」",
    r"Option '(.+)' requires an argument\.": r"\1 后面缺少它的值",
    r"Option '(.+)' does not take a value\.": r"\1 后面不带值",
}
"""All that is said of a line that cannot be read, and what is said instead."""


def meant(word: str) -> str:
    """A word of the command line: digits of the usual width, and hyphens that a chat or a keyboard made a dash of."""
    if word.isdecimal():
        return normalize("NFKC", word)
    return re.sub(r"^[-－–—―]*[－–—―][-－–—―]*(?=[a-z][a-z-]+$)", "--", word)


def in_chinese(text: str) -> str:
    for pattern, chinese in HELP.items():
        text = re.sub(pattern, chinese, text)
    return text


def wide(text: str) -> int:
    """Columns on a screen; one of our characters takes two."""
    return sum(2 if east_asian_width(sign) in "WF" else 1 for sign in text)


_PIECE = re.compile(r"^\s+|[（「《【]*(?:[!-~]+|[^!-~\s])[,:;)，。、：；！？）」》】…]*\s*")
"""What stays together: a word or an id, and a stop with what it follows."""


def broken(text: str, width: int) -> list[str]:
    """A text in lines of so many columns, each with its blanks: broken between our characters and at blanks, in no id that fits."""
    lines = [""]
    for piece in _PIECE.findall(text):
        if lines[-1] and wide(lines[-1] + piece.rstrip()) > width:
            lines.append("")
        for sign in piece:  # one longer than a line goes on in the next
            if wide(lines[-1] + sign) > max(width, 2) and not sign.isspace():
                lines.append("")
            lines[-1] += sign
    return lines


class Formatter(HelpFormatter):
    """Help as Typer lays it out, by columns instead of characters."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, in_chinese(args), prefix or "用法：")

    def write_heading(self, heading: str) -> None:
        self.write(f"{'':{self.current_indent}}{in_chinese(heading)}：\n")

    def write_text(self, text: str) -> None:
        for line in broken(text, self.width - self.current_indent):
            self.write(f"{'':{self.current_indent}}{line.rstrip()}\n")

    def write_dl(self, rows: Sequence[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        said = [(in_chinese(name), in_chinese(text)) for name, text in rows]
        edge = self.current_indent + min(max(wide(name) for name, _ in said), col_max) + col_spacing
        for name, text in said:
            start = f"{'':{self.current_indent}}{name}"
            if wide(start) > edge - col_spacing:
                self.write(f"{start}\n")
                start = ""
            for line in broken(text, self.width - edge):
                self.write(f"{start}{'':{edge - wide(start)}}{line.rstrip()}\n")
                start = ""


class Context(typer.Context):
    formatter_class = Formatter


def show(error: wrong.ClickException) -> None:
    """Say how the command is used, and why this line cannot be read."""
    if isinstance(error, wrong.NoArgsIsHelpError):
        error.show()
        return
    if isinstance(error, wrong.UsageError) and error.ctx is not None:
        typer.echo(f"{error.ctx.get_usage()}（详见 {error.ctx.command_path} -h）", err=True)
    for line in broken(f"✗ {full_width(sentence(error))}", MOST):
        typer.echo(line.rstrip(), err=True)


def sentence(error: wrong.ClickException) -> str:
    """Why the line cannot be read."""
    name = (
        error.param.get_error_hint().replace("'", "") if isinstance(error, wrong.BadParameter) and error.param else ""
    )
    match error:
        case wrong.MissingParameter():
            return f"缺少 {name}"
        case wrong.BadParameter():
            return f"{name}：{_expected(error)}" if name else error.message
        case wrong.NoSuchOption(possibilities=near):
            return f"没有选项 {error.option_name}" + (f"，是否应为 {'、'.join(sorted(near))}" if near else "")
    for said, chinese in FAULTS.items():
        if found := re.fullmatch(said, error.message):
            return found.expand(chinese).replace("'", "")
    return error.message


def _expected(error: wrong.BadParameter) -> str:
    """What should stand there, where it was a value's kind or size; otherwise a sentence of our own."""
    from pydantic import ValidationError

    from ops.commands.terminal import expected

    cause = error.__cause__
    return expected(cause.errors()[0]) if isinstance(cause, ValidationError) else error.message
