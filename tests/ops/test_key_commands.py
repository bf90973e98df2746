"""New keys: everything that is sealed comes under the newest, so that the old one can be thrown away."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select

from office.base import settings as settings_module
from office.base.db import in_transaction, reading
from office.base.vault import CannotUnseal, place_named, row_key, unseal
from office.staff import staff
from ops.commands import keys
from tests.play import Office

Done = Callable[..., str]

FILLED = {
    "shop.contacts_sealed",
    "staff.totp_sealed",
    "payout.payee_sealed",
    "case.request_sealed",
    "outbox.payload_sealed",
    "inbox.body_sealed",
    "deposit_payment.payer_sealed",
}
"""What a refund under way seals."""


def use(monkeypatch: pytest.MonkeyPatch, *values: str) -> None:
    monkeypatch.setenv("DIANWU_ENCRYPTION_KEYS", json.dumps(values))
    settings_module.settings.cache_clear()


def current() -> str:
    return settings_module.settings().encryption_keys[0].get_secret_value()


def sealed_values() -> dict[str, list[str]]:
    with reading() as tx:
        return {
            f"{column.table.name}.{column.name}": [
                value for (value,) in tx.execute(select(column).order_by(*column.table.primary_key)) if value
            ]
            for column in keys.sealed_columns()
        }


def opened_values() -> dict[str, list[str]]:
    """What lies in them, each opened in its place."""
    found: dict[str, list[str]] = {}
    with reading() as tx:
        for column in keys.sealed_columns():
            key = [column.table.columns[name] for name in row_key(column.table)]
            rows = tx.execute(select(column, *key).where(column != "").order_by(*column.table.primary_key))
            found[f"{column.table.name}.{column.name}"] = [
                unseal(value, place_named(column.table.name, column.name, *row)) for value, *row in rows
            ]
    return found


def busy(office: Office) -> None:
    """An office with something sealed in every column that can hold it."""
    office.closed_shop()
    case = office.request_refund()
    office.decide(case, "wang-fang", "APPROVE")


def test_a_new_key_is_a_usable_key(database: None, done: Done) -> None:
    Fernet(done("keys", "new").strip())


def test_after_rotating_everything_is_readable_under_the_new_key_alone(
    office: Office, done: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy(office)
    before = opened_values()
    assert all(before[name] for name in FILLED), "a column nobody filled proves nothing"
    old, new = current(), done("keys", "new").strip()

    use(monkeypatch, new, old)
    assert "共" in done("keys", "rotate")
    use(monkeypatch, new)
    after = opened_values()
    assert after == before
    use(monkeypatch, old)
    with pytest.raises(CannotUnseal):
        opened_values()


@pytest.mark.parametrize("chunk", [1, 3, 10, 500])
def test_every_row_is_taken_once_whatever_the_size_of_a_chunk(office: Office, chunk: int) -> None:
    before = sealed_values()
    columns = {f"{column.table.name}.{column.name}": column for column in keys.sealed_columns()}
    rotated = {name: keys.rotate_column(column, chunk) for name, column in columns.items()}
    assert rotated == {name: (len(values), 0) for name, values in before.items()}
    after = sealed_values()
    assert rotated["staff.totp_sealed"] == (11, 0)
    assert not set(before["staff.totp_sealed"]) & set(after["staff.totp_sealed"])


def test_work_goes_on_after_rotating(office: Office, done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    busy(office)
    case = office.latest()
    new = done("keys", "new").strip()
    use(monkeypatch, new, current())
    done("keys", "rotate")
    use(monkeypatch, new)
    office.bank(f"{case.id}-P1", "failed", reason="账户已冻结")
    office.decide(case, "chen-jie", "AGAIN")
    assert office.chains() == []


def test_values_that_no_key_opens_are_counted_and_nothing_is_lost(
    office: Office, refused: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy(office)
    old = current()
    use(monkeypatch, Fernet.generate_key().decode())
    assert "不要移除任何旧密钥" in refused("keys", "rotate")
    use(monkeypatch, old)
    assert all(value for values in opened_values().values() for value in values)


def test_a_missing_key_is_told_in_a_sentence(office: Office, refused: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Fernet.generate_key().decode())
    assert "DIANWU_ENCRYPTION_KEYS" in refused("staff", "code", "wang-fang")
    assert in_transaction(lambda tx: staff.find(tx, "wang-fang").active)


def test_no_sealed_column_is_forgotten(database: None) -> None:
    names: set[Any] = {f"{column.table.name}.{column.name}" for column in keys.sealed_columns()}
    assert names >= FILLED
