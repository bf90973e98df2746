"""``dianwu keys``: a new encryption key, and bringing everything that is sealed under it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import typer
from cryptography.fernet import Fernet
from sqlalchemy import Column, Table, and_, or_, select, update
from sqlmodel import SQLModel, col

import models
from models.messages import InboxMessage
from office.base import vault
from office.base.db import Tx, in_transaction
from office.base.settings import read_file
from office.base.vault import CannotUnseal
from office.record import audit
from ops.commands.terminal import refuse, say, table

app = typer.Typer(no_args_is_help=True)

CHUNK = 500
"""Rows re-encrypted in one transaction: short enough that nobody waits long for them."""


@app.command("new")
def new() -> None:
    """生成一把新的加密密钥（请只保存在设置中）。"""
    typer.echo(Fernet.generate_key().decode())


@app.command("init")
def init() -> None:
    """为新的生产环境一次生成全部密钥，写入数据目录的 secrets.toml（仅本用户可读）。"""
    from ops.secrets import FILE, ensure

    home = home_of()
    if (home / FILE).exists():
        refuse(f"{home / FILE} 已存在，不会覆盖；轮换加密密钥请用 dianwu keys new 与 dianwu keys rotate")
    say(f"✓ 已写入 {ensure(home, subscribers=True, prefect=True)}（内容不在此显示），请另行备份", "green")
    table(
        "交给谁",
        ["设置", "用途"],
        [
            ["encryption_keys、audit_key", "不交给任何人；与数据库分开备份，丢失则敏感数据打不开"],
            ["platform_secrets、api_tokens", "交给平台：用前者对发来的事件签名，凭后者查询案件"],
            ["bank_secrets", "交给银行：payout.* 只认它的签名"],
            ["subscriber_secrets", "交给平台与银行各自的一把：核对我们发出的事件的签名"],
            ["prefect_auth", "交给使用 Prefect 界面的员工（进门口令；作决定另需工号与动态口令）"],
        ],
    )


def home_of() -> Path:
    """The home folder before there are settings that could be checked: production has no keys yet."""
    given = os.environ.get("DIANWU_HOME", "")
    config = Path(os.environ.get("DIANWU_CONFIG", "dianwu.toml"))
    if not given and config.is_file():
        given = str(read_file(config).get("home", ""))
    return Path(given or ".dianwu").expanduser().resolve()


@app.command("rotate")
def rotate() -> None:
    """用最新的密钥（encryption_keys 的第一把）重新加密全部敏感数据。"""
    models.all_tables()
    done: list[tuple[str, str, int, int]] = []
    for column in sealed_columns():
        changed, failed = rotate_column(column)
        done.append((column.table.name, column.name, changed, failed))
    done.append(("inbox", "others", *in_transaction(rotate_others)))
    table("重新加密", ["表", "列", "行数", "无法打开"], done)
    total, unreadable = sum(row[2] for row in done), sum(row[3] for row in done)
    in_transaction(
        lambda tx: audit.record(
            tx, "system", "keys.rotated", text=f"敏感数据已用新密钥重新加密：{total} 行", rows=total
        )
    )
    if unreadable:
        refuse(f"有 {unreadable} 行用现有密钥打不开：请补回缺少的密钥后再执行一次，在此之前不要移除任何旧密钥")
    say(f"✓ 共 {total} 行。所有进程换用新设置并重启后，可以移除旧密钥", "green")


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
