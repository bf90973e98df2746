"""``dianwu keys``: a new encryption key, and bringing everything that is sealed under it."""

from __future__ import annotations

from typing import Any

import typer
from cryptography.fernet import Fernet
from sqlalchemy import Column, Table, and_, or_, select, update
from sqlmodel import SQLModel, col

from models.messages import InboxMessage
from ops.commands.terminal import refuse, say, table
from tasks import audit, vault
from tasks.db import Tx, in_transaction
from tasks.vault import CannotUnseal

app = typer.Typer(no_args_is_help=True)

CHUNK = 500
"""Rows re-encrypted in one transaction: short enough that nobody waits long for them."""


@app.command("new")
def new() -> None:
    """生成一把新的加密密钥(请只保存在设置中)。"""
    typer.echo(Fernet.generate_key().decode())


@app.command("rotate")
def rotate() -> None:
    """用最新的密钥(encryption_keys 的第一把)重新加密全部敏感数据。"""
    import tasks.desk  # noqa: F401  (every table is declared by then)

    done: list[tuple[str, str, int, int]] = []
    for column in sealed_columns():
        changed, failed = rotate_column(column)
        done.append((column.table.name, column.name, changed, failed))
    done.append(("inbox", "others", *in_transaction(rotate_others)))
    table("重新加密", ["表", "列", "行数", "无法打开"], done)
    total, unreadable = sum(row[2] for row in done), sum(row[3] for row in done)
    in_transaction(
        lambda tx: audit.record(tx, "system", "keys.rotated", text=f"敏感数据已用新密钥重新加密:{total} 行", rows=total)
    )
    if unreadable:
        refuse(f"有 {unreadable} 行用现有密钥打不开:请补回缺少的密钥后再执行一次,在此之前不要移除任何旧密钥")
    say(f"✓ 共 {total} 行。所有进程换用新设置并重启后,可以移除旧密钥", "green")


def sealed_columns() -> list[Column[Any]]:
    """Every column that holds sealed values: known by its name, so that a new table cannot be forgotten."""
    return [
        column
        for found in SQLModel.metadata.sorted_tables
        for column in found.columns
        if column.name.endswith("_sealed")
    ]


def rotate_column(column: Column[Any], chunk: int = CHUNK) -> tuple[int, int]:
    """Re-encrypt one column, chunk by chunk; returns how many rows were, and how many could not be opened."""
    changed = failed = 0
    after: tuple[Any, ...] | None = None
    while True:
        last, more, wrong = in_transaction(lambda tx, after=after: _chunk(tx, column, after, chunk))  # type: ignore[misc]
        changed, failed = changed + more, failed + wrong
        if last is None:
            return changed, failed
        after = last


def _chunk(
    tx: Tx, column: Column[Any], after: tuple[Any, ...] | None, size: int
) -> tuple[tuple[Any, ...] | None, int, int]:
    """The next rows in order of the primary key: the last one's key (``None`` at the end), changed, unreadable."""
    owner: Table = column.table
    keys = list(owner.primary_key.columns)
    named = [owner.columns[name] for name in vault.row_key(owner)]
    query = select(column, *keys, *named).where(column != "").order_by(*keys).limit(size)
    if after is not None:
        query = query.where(_beyond(keys, after))
    rows = tx.execute(query.with_for_update() if tx.postgres else query).all()
    changed = failed = 0
    for sealed, *found in rows:
        key, row = found[: len(keys)], found[len(keys) :]
        try:
            fresh = vault.rotate(sealed, vault.place_named(owner.name, column.name, *row))
        except CannotUnseal:
            failed += 1
            continue
        here = and_(*(part == value for part, value in zip(keys, key, strict=True)))
        tx.execute(update(owner).where(here, column == sealed).values({column.name: fresh}))
        changed += 1
    return (tuple(rows[-1][1 : len(keys) + 1]) if len(rows) == size else None), changed, failed


def rotate_others(tx: Tx) -> tuple[int, int]:
    """What came to the inbox under an id that was taken, several to a row and few: changed, unreadable."""
    changed = failed = 0
    query = select(InboxMessage).where(col(InboxMessage.conflicts) > 0)
    for row in tx.scalars(query.with_for_update() if tx.postgres else query):
        try:
            row.others = {
                digest: vault.rotate(sealed, vault.place_in(row, "others", digest))
                for digest, sealed in row.others.items()
            }
        except CannotUnseal:
            failed += 1
            continue
        changed += 1
    return changed, failed


def _beyond(keys: list[Column[Any]], after: tuple[Any, ...]) -> Any:
    """Rows whose key comes later; a key may have several parts."""
    return or_(
        *(and_(*(keys[n] == after[n] for n in range(place)), keys[place] > after[place]) for place in range(len(keys)))
    )
