"""The terminal: how every command prints, refuses, asks for JSON and writes times; nothing printed is ever markup."""

from __future__ import annotations

import difflib
import errno
import json
import os
import pwd
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any, NoReturn, TypeVar

import typer
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from rich.cells import cell_len
from rich.console import Console
from rich.containers import Lines
from rich.table import Table
from rich.text import Text
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from models.base import Labelled
from models.cases import Case
from models.reviews import Staff
from models.text import shortened, whole
from models.windows import duration
from notifications.text import full_width, one_line
from office.base.clock import ClockCannotMove
from office.base.db import Tx, in_transaction
from office.base.settings import Settings, SettingsError
from office.base.vault import CannotUnseal
from office.staff.staff import StaffError
from ops.chinese import broken
from policies.policy import SHANGHAI

R = TypeVar("R")
L = TypeVar("L", bound=Labelled)

WIDTH = 100
"""Columns when the output is no terminal."""
READABLE = 24
"""Columns below which a long text is no longer read but spelled."""

CODE_OPTION = typer.Option("", "--code", help="动态口令；不给则提示输入，输入时不显示")
JSON_OPTION = typer.Option(False, "--json", help="输出 JSON，供程序读取")


def console() -> Console:
    """Standard output as it is now."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)


def say(text: str = "", style: str = "") -> None:
    """Print text as it is."""
    console().print(Text(text, style=style), soft_wrap=True)


def markdown(text: str) -> None:
    """A text as it was shown to who decided; links stay addresses, so that nothing hides behind a word."""
    from rich.markdown import Markdown  # the two commands that show one pay for it, not every command

    console().print(Markdown(text, hyperlinks=False))


def first(rows: Sequence[R], limit: int) -> Sequence[R]:
    """The first ``limit`` of rows that were asked for with one more; says beside the list when there are more."""
    if len(rows) > limit:
        said = Text(f"只列出了前 {limit:,} 个，还有更多：加大 --limit 可列出", style="yellow")
        Console(stderr=True, highlight=False).print(said, soft_wrap=True)
    return rows[:limit]


def refuse(sentence: str) -> NoReturn:
    """Say why not, and end with 1."""
    Console(stderr=True, highlight=False).print(Text(f"✗ {full_width(sentence)}", style="red"), soft_wrap=True)
    raise typer.Exit(1)


def misuse(sentence: str) -> NoReturn:
    """The command was called wrongly: say how, and end with 2."""
    raise typer.BadParameter(sentence)


def print_json(value: Any) -> None:
    """JSON for machines: times in ISO 8601, no styles."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")


class Words(Text):
    """A text that is folded as Chinese is, with no id broken that fits a line."""

    def wrap(self, console: Console, width: int, *, no_wrap: bool | None = None, **how: Any) -> Lines:
        if no_wrap:
            return super().wrap(console, width, no_wrap=True, **how)
        lines = self.divide(accumulate(map(len, broken(self.plain, width))))
        lines.pop()  # what follows the last one
        for line in lines:
            line.rstrip()
        return lines


def cell(value: object, style: str = "", limit: int = 1_000) -> Text:
    """Anything in a table: on one line, without control characters, never read as markup."""
    return Words(one_line(str(value if value is not None else ""), limit), style=style)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str = "无") -> None:
    """A table, or one line that says that there is nothing.

    Only long texts are folded, never an id or a time. Where that does not fit into the width, each row becomes a
    paragraph of its own.
    """
    filled = [[value if isinstance(value, Text) else cell(value) for value in row] for row in rows]
    if not filled:
        say(f"{title}：{empty}" if title else empty)
        return
    screen = console()
    widths = [max(cell_len(column), *(row[n].cell_len for row in filled)) for n, column in enumerate(columns)]
    foldable = [any(_is_prose(row[n]) for row in filled) for n in range(len(columns))]
    least = sum(min(width, READABLE) if folds else width for width, folds in zip(widths, foldable, strict=True))
    if least + 3 * (len(columns) - 1) > screen.width:
        _paragraphs(title, columns, filled)
        return
    shown = Table(title=title or None, title_justify="left", header_style="bold", show_edge=False, pad_edge=False)
    for column, folds in zip(columns, foldable, strict=True):
        shown.add_column(column, overflow="fold", no_wrap=not folds)
    for row in filled:
        shown.add_row(*row)
    screen.print(shown)


def _is_prose(value: Text) -> bool:
    """Whether a cell may be folded: a sentence may, an id, an amount or a time may not."""
    return value.cell_len > READABLE and not re.fullmatch(r"[\x21-\x7e]+", value.plain)


def _paragraphs(title: str, columns: Sequence[str], rows: Iterable[Sequence[Text]]) -> None:
    """Each row as its first cell and below it the others by name, as wide as they are."""
    if title:
        say(title, "bold")
    for first, *others in rows:
        console().print(Text.assemble("● ", first), soft_wrap=True)
        pairs = [
            Words.assemble((f"{name} ", "dim"), value)
            for name, value in zip(columns[1:], others, strict=True)
            if value.plain.strip() not in {"", "—"}
        ]
        line: Text = Words("  ")
        for pair in pairs:
            if line.cell_len > 2 and line.cell_len + pair.cell_len + 3 > console().width:
                console().print(line, soft_wrap="http" in line.plain)  # an address is copied whole
                line = Words("  ")
            line = Words.assemble(line, " · " if line.cell_len > 2 else "", pair)
        if line.cell_len > 2:
            console().print(line, soft_wrap="http" in line.plain)


# ── times ────────────────────────────────────────────────────────────────────


def when(moment: datetime | None) -> str:
    """``2026-11-22 10:00:00``, Beijing time."""
    return f"{moment.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}" if moment else "—"


def countdown(now: datetime, due: datetime | None) -> Text:
    """``还剩 2 天 3 小时`` or ``已超时 5 小时``; red when late, yellow within a day."""
    if due is None:
        return Text("—")
    if now > due:
        return Text(f"已超时 {duration(now - due)}", style="bold red")
    return Text(f"还剩 {duration(due - now)}", style="yellow" if due - now < timedelta(days=1) else "")


_SPAN = re.compile(r"(?:(\d{1,5})(?:d|天))?(?:(\d{1,6})(?:h|小时))?(?:(\d{1,7})(?:m|分钟?))?")


def parse_span(text: str) -> timedelta:
    """``7d``, ``36h``, ``90m``, ``1d12h`` or ``1 天 12 小时``; a usage error for anything else."""
    found = _SPAN.fullmatch("".join(typed(text).lower().split()))
    if not found or not any(found.groups()):
        misuse(f"{text!r} 不是时长，请写成 7d、36h、90m、1d12h 或 1天12小时")
    days, hours, minutes = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes)


def typed(given: str) -> str:
    """A word as it was meant: of the usual width, without what was pasted around it."""
    return unicodedata.normalize("NFKC", given).strip()


def number(given: str) -> str:
    """For arguments: the id of a case or a question, which is written in capitals."""
    return typed(given).upper()


def staff_no(given: str) -> str:
    """For options: the id of a person, which is written small."""
    return typed(given).lower()


def words(kind: type[Labelled]) -> str:
    """What can be chosen, as it can be typed."""
    return "、".join(f"{member.label}（{member.value}）" for member in kind)


def word_of(kind: type[L]) -> Callable[[str], L]:
    """For options: a member by its value, in any case, or by its Chinese word; a usage error that lists both."""

    def parse(given: str) -> L:
        for member in kind:
            if typed(given).casefold() in {member.value.casefold(), member.label.casefold()}:
                return member
        misuse(f"没有「{given}」，可选：{words(kind)}")

    parse.__name__ = kind.__name__
    return parse


# ── people and their codes ───────────────────────────────────────────────────────────────────


def person(tx: Tx, staff_id: str) -> Staff:
    """The staff member, or a refusal that says where to look."""
    found = tx.get(Staff, staff_id)
    if found is None:
        refuse(f"没有工号为 {staff_id} 的员工，可用 dianwu staff list 查看")
    return found


def read(case_id: str, doing: str) -> None:
    """Note who reads a case here. Where nothing can be written it is read all the same, and said that nobody will know."""
    from office.cases import looks

    whose = " ".join(dict.fromkeys((_account(os.getuid()), *_sudo_by())))
    try:
        noted = in_transaction(lambda tx: looks.read_at_terminal(tx, tx.get_one(Case, case_id), whose, doing))
    except DBAPIError:
        noted = False
    if not noted:
        typer.echo("⚠ 此次查看未能留下记录：数据库不能写入，或审计链不是以现有密钥封印的", err=True)


def _account(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _sudo_by() -> Iterator[str]:
    """Who became somebody else for this command, as far as ``sudo`` says."""
    if (by := whole(os.environ.get("SUDO_UID", ""))) is not None:
        yield _account(by)


def ask_code(whose: str = "") -> str:
    """A one-time code, typed at the terminal without being shown, or the next line of what is piped in."""
    question = f"{whose}动态口令"
    if sys.stdin.isatty():
        return str(typer.prompt(question, hide_input=True))
    typer.echo(f"{question}: ", nl=False)
    given = sys.stdin.readline()
    typer.echo()
    if not given:
        raise typer.Abort
    return given


# ── faults that have a sentence ──────────────────────────────────────────────


def told(work: Callable[[], R]) -> R:
    """Run ``work``; settings, people, keys and the database that are not as they must be are told as a refusal."""
    try:
        return work()
    except ValidationError as error:
        if error.title != "Settings":
            raise
        refuse(settings_sentence(error))
    except SettingsError as error:
        refuse(f"设置有误：{error}")
    except (StaffError, ClockCannotMove) as error:
        refuse(str(error))
    except CannotUnseal:
        refuse("现有的加密密钥打不开已存数据：请把原来的密钥补回 DIANWU_ENCRYPTION_KEYS")
    except (OperationalError, ProgrammingError) as error:
        refuse(database_sentence(error))
    except OSError as error:
        if error.errno not in _OF_FILES:
            raise
        refuse(f"{error.filename or '文件'} {_OF_FILES[error.errno]}")


_OF_FILES = {
    errno.ENOENT: "所在的目录不存在",
    errno.EACCES: "没有读写权限",
    errno.EPERM: "没有读写权限",
    errno.EISDIR: "是目录，请给出文件",
    errno.ENOTDIR: "所在的路径不是目录",
    errno.ENOSPC: "写不下：磁盘已满",
    errno.EDQUOT: "写不下：超出磁盘配额",
    errno.EROFS: "所在的磁盘只读",
    errno.ENAMETOOLONG: "文件名过长",
}
"""What a file that was named cannot do; any other fault of the machine's is a bug's or a network's."""
_OF_DATABASES = {
    "disk is full": "磁盘已满，数据库写不进去，请先腾出空间",
    "no space left": "磁盘已满，数据库写不进去，请先腾出空间",
    "disk i/o error": "数据库文件读写出错，请检查磁盘是否已满或损坏",
    "readonly database": "数据库文件只读，请检查该文件及其目录的权限",
    "read-only transaction": "数据库只能读、不能写：可能连到了备库，请检查 DIANWU_DATABASE_URL",
    "unable to open database file": "数据库文件打不开，请检查目录与权限",
    "database is locked": "数据库正被其他进程占用，请稍后再试",
    "not a database": "数据库文件不是 SQLite 数据库，或已损坏",
    "malformed": "数据库文件已损坏，请用备份恢复",
    "authentication failed": "数据库拒绝登录，请检查 DIANWU_DATABASE_URL 中的用户与密码",
    "no password supplied": "数据库拒绝登录，请检查 DIANWU_DATABASE_URL 中的用户与密码",
    "permission denied": "数据库账号没有所需的权限（docs/operations.md）",
}
"""What SQLite and PostgreSQL say, and what is to be done."""


def unreadable_word(number: int, found: str) -> str:
    """Why a word of the command line cannot be read, and what to do; ``found`` is the character, as ``U+DCD6``."""
    if found.startswith("U+D"):  # bytes that the terminal's encoding has no character for arrive as half surrogates
        return (
            f"命令行的第 {number} 个词不是 UTF-8 编码（终端或脚本可能是 GBK 编码），请改用 UTF-8 后重试，什么都没有执行"
        )
    return f"命令行的第 {number} 个词含有控制字符或方向控制字符 {found}，请删去后重试，什么都没有执行"


_EXPECTED = {
    "missing": "缺少",
    "literal_error": "只能是 {expected}",
    "greater_than": "须大于 {gt:g}",
    "greater_than_equal": "须不小于 {ge:g}",
    "less_than": "须小于 {lt:g}",
    "less_than_equal": "须不大于 {le:g}",
    "list_type": '须为列表，例如 ["…"]',
    "dict_type": "须为表，例如 {{ 名称 = … }}",
    "model_type": "须为表，例如 {{ 名称 = … }}",
    "frozen_set_type": '须为列表，例如 ["…"]',
    "tuple_type": '须为列表，例如 ["…"]',
}
"""What a kind of fault of pydantic's says to people."""
_KINDS = {
    "int": "须为整数",
    "float": "须为数字",
    "bool": "须为 true 或 false",
    "string": "须为文字（加引号）",
    "path": "须为路径",
}


def settings_sentence(error: ValidationError) -> str:
    """Which settings cannot be used and what is expected; never their values, which may be secrets."""
    wrong = [_wrong(problem) for problem in error.errors(include_input=False, include_url=False)]
    return "设置有误：" + ";".join(wrong)


def _wrong(problem: ErrorDetails) -> str:
    kind, place = problem["type"], ".".join(str(part) for part in problem["loc"])
    if kind == "value_error":  # a sentence of our own
        said = str(problem["msg"]).removeprefix("Value error, ")
        return f"{place}（{said}）" if place else said
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(place, Settings.model_fields, 1)
        return f"没有 {shortened(place, 64)} 这一项" + (f"，是否应为 {near[0]}" if near else "")
    return f"{place}（{expected(problem)}）"


def expected(problem: ErrorDetails) -> str:
    """What should stand where something else was given."""
    kind = problem["type"]
    said = _EXPECTED.get(kind, "").format(**problem.get("ctx", {})) or _KINDS.get(kind.partition("_")[0])
    return (said or str(problem["msg"])).replace(" or ", " 或 ")


def database_sentence(error: DBAPIError) -> str:
    """What is wrong with the database, without its address (which may hold a password)."""
    reason = str(error.orig).lower()
    if "no such table" in reason or "does not exist" in reason or "undefinedtable" in type(error.orig).__name__.lower():
        return "数据库尚未建表或版本过旧，请先执行 dianwu migrate"
    if told := next((sentence for words, sentence in _OF_DATABASES.items() if words in reason), ""):
        return told
    return f"数据库无法使用（{type(error.orig).__name__}），请检查 DIANWU_DATABASE_URL 以及数据库是否在运行"
