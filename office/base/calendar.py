"""The calendar port: China's working days, with this installation's own corrections on top.

A year's notice comes out in November or December; whoever cannot wait for a release of this program writes it into
``calendar.toml`` in the installation's home (format: ``policies/calendar/overrides.toml``) and runs ``dianwu calendar
recount``. Whatever runs already sees the file as soon as it is written.

A file that cannot be right (half saved, a slip, a year gone from it) changes nothing: what was read last counts on, kept
beside it so that a restart forgets nothing, and supervisor and doctor are told. Only ``dianwu calendar adopt`` takes a
year away again.
"""

from __future__ import annotations

import logging
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from office.base.settings import settings
from office.base.whole import whole
from policies.workdays import DEFAULT, PublishedYear, WorkCalendar, published_years

logger = logging.getLogger("dianwu.calendar")

FILE, KEPT = "calendar.toml", "calendar.last-good.toml"

Years = dict[int, PublishedYear]


class Standing(NamedTuple):
    """The calendar that counts now; ``fault`` says, for people, why it is not what the file says (empty when it is)."""

    calendar: WorkCalendar
    fault: str = ""


class Faulty(ValueError):
    """A calendar file that cannot be right; ``str`` is the Chinese sentence."""


def work_calendar() -> WorkCalendar:
    """The calendar that counts now."""
    return standing().calendar


def standing() -> Standing:
    """What counts now: the file, or while that cannot be right what was read last."""
    home = settings().home
    return _standing(_stamp(home / FILE), _stamp(home / KEPT))


Stamp = tuple[Path, int, int]
"""A file as it is now: where, when it was written (0 when it is not there) and how long it is."""


def _stamp(file: Path) -> Stamp:
    try:
        found = file.stat()
    except FileNotFoundError:
        return file, 0, 0
    return file, found.st_mtime_ns, found.st_size


@lru_cache(maxsize=4)
def _standing(file: Stamp, kept: Stamp) -> Standing:
    before = _kept_years(kept)
    try:
        content = file[0].read_bytes() if file[1] else None
        years = taken(content, before)
    except (Faulty, OSError) as fault:
        why = str(fault) if isinstance(fault, Faulty) else f"文件无法读取({type(fault).__name__})"
        counts = "、".join(f"{year} 年" for year in sorted(before)) or "程序自带的放假安排"
        return Standing(_over(before), f"{FILE} {why};目前仍按最近一次有效的内容计算({counts})")
    if content is not None:
        _keep(kept[0], content)
    return Standing(_over(years))


def _kept_years(kept: Stamp) -> Years:
    try:
        return read_years(kept[0].read_bytes()) if kept[1] else {}
    except Faulty:
        logger.exception("%s cannot be read", kept[0])  # the file itself still counts when it is right
        return {}


def _over(years: Years) -> WorkCalendar:
    return DEFAULT.with_overrides(years) if years else DEFAULT


def taken(content: bytes | None, before: Years) -> Years:
    """The years of the file. Raises :class:`Faulty` for what cannot be read and for a year that was there before."""
    if content is None and before:
        raise Faulty("不见了")
    years = read_years(content or b"")
    if gone := sorted(set(before) - set(years)):
        raise Faulty(f"里不再有{'、'.join(f' {year} 年' for year in gone)}的放假安排(可能没有保存完整)")
    return years


def read_years(content: bytes) -> Years:
    """The years in the bytes of a file, with or without a byte-order mark. Raises :class:`Faulty`."""
    try:
        tables = tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise Faulty("不是 UTF-8 编码,请另存为 UTF-8") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise Faulty(f"写法有误或没有保存完整({error})") from error
    for name, table in tables.items():
        if isinstance(table, dict) and (missing := sorted({"holidays", "makeup_days"} - set(table))):
            raise Faulty(f"的 [{name}] 缺少 {'、'.join(missing)}(没有调休就写 makeup_days = []),可能没有保存完整")
    try:
        years = published_years(tables)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        said = str(problem["msg"]).removeprefix("Value error, ")  # of a whole year: a sentence of ours
        said = "没有这一项,只有 holidays 与 makeup_days" if problem["type"] == "extra_forbidden" else said
        raise Faulty(f"内容有误:{where} {'日期须写成 2027-01-01' if '.' in where else said}".strip()) from error
    except ValueError as error:
        raise Faulty(f"内容有误:{error}") from error
    if bare := [year for year, table in years.items() if not table.holidays]:
        raise Faulty(f"的 [{bare[0]}] 一个放假日也没有,可能没有填完")
    return years


def _keep(kept: Path, content: bytes) -> None:
    """Put what was right beside the file, at one stroke. Where nothing may be written, a restart may forget it."""
    try:
        if kept.exists() and kept.read_bytes() == content:
            return
        with whole(kept) as draft:
            draft.write_bytes(content)
    except OSError:
        logger.exception("%s cannot be written", kept)


def adopt() -> Years:
    """Let the file count as it is, also without a year that was there; returns its years. Raises :class:`Faulty`."""
    home = settings().home
    content = (home / FILE).read_bytes() if (home / FILE).exists() else b""
    years = read_years(content)
    _keep(home / KEPT, content)
    return years
