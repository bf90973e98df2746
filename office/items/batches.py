"""Batches: many items in one message or file, each judged by itself; good ones stay, bad ones come back with the reason."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from sqlalchemy import ColumnElement
from sqlmodel import SQLModel, col, select

from models.base import Frozen
from models.event_parts import Rejected
from models.shops import Shop
from models.text import shortened, without_odd
from office.base.db import Tx
from office.record import audit

AHEAD = timedelta(days=1)
"""How far a time may lie ahead of our clock before it is taken for a typing error."""
AT_ONCE = 500
"""Values in one IN list."""

R = TypeVar("R", bound=SQLModel)


class Recorded(Frozen):
    """What became of some items. ``repeated`` were there before with the same content."""

    accepted: int = 0
    repeated: int = 0
    rejected: tuple[Rejected, ...] = ()
    assumed: int = 0
    """Lines of a spreadsheet whose time had no zone and was read as Beijing time."""


ID = "编号须为 1 至 64 个字母、数字或 . _ : -"
DAY = "日期须为 ISO 8601 日期,例如 2026-11-21"
TIME = "时间须为带时区的 ISO 8601 时间,例如 2026-10-08T16:00:00+08:00"
MONEY = "金额须为不小于 0 的整数分,不接受小数"
"""What most items' fields have to be."""


class Sentences(Frozen):
    """What is said about an item that does not read: by its field, or by a word of the rule over several that it broke."""

    key: str
    """The field that names an item."""
    fields: Mapping[str, str]
    rules: Mapping[str, tuple[str, str]] = {}


def rejections(position: int, raw: Any, error: ValidationError, words: Sentences) -> list[Rejected]:
    """One line for each field that is wrong, in Chinese, without repeating what was sent."""
    item_id = shortened(without_odd(str(raw.get(words.key, "") if isinstance(raw, Mapping) else ""), ""), 64)
    lines = dict[str, str]()
    for problem in error.errors(include_input=False, include_url=False):
        message = str(problem["msg"])
        named = str(problem["loc"][0]) if problem["loc"] else ""
        if not problem["loc"]:
            field, sentence = next((said for word, said in words.rules.items() if word in message), ("", "内容不正确"))
            lines[field] = sentence
        elif problem["type"] == "missing":
            lines[named] = "缺少该字段"
        elif problem["type"] == "extra_forbidden":
            lines[shortened(without_odd(named, ""), 64)] = "没有这个字段"
        else:
            lines[named] = words.fields.get(named, "内容不正确")
    return [Rejected(position=position, item_id=item_id, field=field, reason=reason) for field, reason in lines.items()]


M = TypeVar("M", bound=BaseModel)


def read(
    model: type[M], given: Iterable[tuple[int, Any]], words: Sentences
) -> tuple[list[tuple[int, M]], list[Rejected]]:
    """The items that read well, each with its position, and what is wrong with the others."""
    good: list[tuple[int, M]] = []
    bad: list[Rejected] = []
    for position, raw in given:
        try:
            good.append((position, model.model_validate(raw)))
        except ValidationError as error:
            bad += rejections(position, raw, error, words)
    return good, bad


def rows(
    tx: Tx, table: type[R], column: Any, values: Iterable[str], *also: ColumnElement[bool], lock: bool = False
) -> list[R]:
    """The rows whose column has one of these values; locked, and read anew under the lock, where they may change."""
    wanted = sorted(set(values))
    found: list[R] = []
    for start in range(0, len(wanted), AT_ONCE):
        query = select(table).where(col(column).in_(wanted[start : start + AT_ONCE]), *also).order_by(col(column))
        query = query.execution_options(populate_existing=True) if lock else query
        found += tx.exec(query.with_for_update() if lock and tx.postgres else query)
    return found


def shops(tx: Tx, ids: Iterable[str]) -> set[str]:
    """Which of these shops there are."""
    wanted, found = sorted(set(ids)), set[str]()
    for start in range(0, len(wanted), AT_ONCE):
        found.update(tx.exec(select(Shop.id).where(col(Shop.id).in_(wanted[start : start + AT_ONCE]))))
    return found


def note(
    tx: Tx, stream: str, what: str, named: str, clause: str, done: Recorded, content: Sequence[Any], actor: str
) -> None:
    """One audit line for a batch: who brought it, a digest over what it said, and what became of it."""
    digest = hashlib.sha256(json.dumps(list(content), sort_keys=True, default=str, ensure_ascii=False).encode())
    audit.record(
        tx,
        stream,
        what,
        actor=actor,
        clause=clause,
        sha256=digest.hexdigest(),
        accepted=done.accepted,
        repeated=done.repeated,
        rejected=len(done.rejected),
        text=f"{named}入账 {done.accepted} 条,重复 {done.repeated} 条,拒绝 {len(done.rejected)} 条",
    )
