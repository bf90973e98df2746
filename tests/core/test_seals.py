"""A sealed value opens in its own place only, whoever can write to the database copies it wherever they like."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from alembic import command
from cryptography.fernet import Fernet
from sqlmodel import col, select

from models.messages import InboxMessage, InboxState
from models.shops import Shop
from office.base import db, vault
from office.base.db import in_transaction, reading
from office.base.settings import settings
from office.base.vault import CannotUnseal, opened, opened_json
from ops import migrate
from ops.commands import keys
from tests.core.sql import read, write
from tests.play import Office


def test_every_sealed_value_opens_in_its_row_and_in_no_other(office: Office) -> None:
    office.closed_shop()
    office.closed_shop("shop-2")
    for shop_id in ("shop-1", "shop-2"):
        office.decide(office.request_refund(shop_id), "wang-fang", "APPROVE")
    checked = 0
    for column in keys.sealed_columns():
        table = column.table.name
        named = [column.table.columns[name] for name in vault.row_key(column.table)]
        with reading() as tx:
            rows = [tuple(row) for row in tx.execute(select(column, *named).where(column != "").limit(2))]
        if len(rows) < 2:
            continue
        (mine, *here), (_, *there) = rows
        assert vault.unseal(mine, vault.place_named(table, column.name, *here)) is not None
        with pytest.raises(CannotUnseal):
            vault.unseal(mine, vault.place_named(table, column.name, *there))
        with pytest.raises(CannotUnseal):
            vault.unseal(mine, vault.place_named(table, "contact_sealed", *here))
        checked += 1
    assert checked >= 6


def test_contacts_copied_to_another_shop_reach_nobody(office: Office) -> None:
    office.open_shop("shop-1")
    office.open_shop("shop-2", contacts=["mailto://thief@example.com"])
    write(
        "UPDATE shop SET contacts_sealed = (SELECT contacts_sealed FROM shop WHERE id = :b) WHERE id = :a",
        a="shop-1",
        b="shop-2",
    )
    with reading() as tx, pytest.raises(CannotUnseal):
        shop = tx.get(Shop, "shop-1")
        assert shop is not None
        opened_json(shop, "contacts_sealed")


def test_what_lies_under_a_taken_id_in_the_inbox_is_bound_and_rotated_too(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.receive("shop.registered", {"shop_id": "shop-1"}, "m-1")
    office.receive("shop.registered", {"shop_id": "shop-2"}, "m-1")
    old, new = settings().encryption_keys[0].get_secret_value(), Fernet.generate_key().decode()
    monkeypatch.setenv("DIANWU_ENCRYPTION_KEYS", json.dumps([new, old]))
    settings.cache_clear()
    assert in_transaction(keys.rotate_others) == (1, 0)
    monkeypatch.setenv("DIANWU_ENCRYPTION_KEYS", json.dumps([new]))
    settings.cache_clear()
    with reading() as tx:
        row = tx.exec(select(InboxMessage)).one()
        [(digest, sealed)] = row.others.items()
        assert "shop-2" in vault.unseal(sealed, vault.place_in(row, "others", digest))


# ── what earlier versions sealed ─────────────────────────────────────────────


@pytest.fixture
def earlier(empty: None) -> Iterator[Fernet]:
    """A database of the version before, and its key."""
    with db.engine().connect() as connection:
        made = migrate.config()
        made.attributes["connection"] = connection
        command.upgrade(made, "0006")
        connection.commit()
    yield Fernet(settings().encryption_keys[0].get_secret_value())


def message(message_id: str, body: str, others: str = "{}") -> None:
    write(
        "INSERT INTO inbox (source, message_id, type, body_sealed, body_sha256, received_at, state, attempts, next_at, note,"
        " conflicts, others) VALUES ('platform', :id, 'x', :body, '', '2026-11-19 02:00:00', 'DONE', 0,"
        " '2026-11-19 02:00:00', '', :n, :others)",
        id=message_id,
        body=body,
        n=len(json.loads(others)),
        others=others,
    )


def test_what_an_earlier_version_sealed_is_bound_when_the_database_is_brought_up_to_date(earlier: Fernet) -> None:
    for number in range(3):
        others = json.dumps({"digest": earlier.encrypt(b"other").decode()})
        message(f"m-{number}", earlier.encrypt(f"body {number}".encode()).decode(), others)
    migrate.upgrade()
    with reading() as tx:
        rows = list(tx.exec(select(InboxMessage).order_by(col(InboxMessage.message_id))))
        assert [opened(row, "body_sealed") for row in rows] == ["body 0", "body 1", "body 2"]
        assert {vault.unseal(row.others["digest"], vault.place_in(row, "others", "digest")) for row in rows} == {
            "other"
        }
        assert {row.state for row in rows} == {InboxState.DONE}
    write("UPDATE inbox SET body_sealed = (SELECT body_sealed FROM inbox WHERE message_id = 'm-1')")
    with reading() as tx, pytest.raises(CannotUnseal):
        opened(tx.exec(select(InboxMessage).where(InboxMessage.message_id == "m-2")).one(), "body_sealed")


def test_a_value_of_an_earlier_version_that_turns_up_after_that_is_not_taken(earlier: Fernet) -> None:
    kept = earlier.encrypt(b"from an old backup").decode()
    migrate.upgrade()
    message("m-1", kept)
    with reading() as tx, pytest.raises(CannotUnseal, match="not bound"):
        opened(tx.exec(select(InboxMessage)).one(), "body_sealed")
    migrate.upgrade()
    assert read("SELECT body_sealed FROM inbox") == [kept]


def test_what_no_key_opens_stays_as_it_is_and_holds_up_nothing(earlier: Fernet) -> None:
    strange = Fernet(Fernet.generate_key()).encrypt(b"?").decode()
    message("m-1", strange)
    message("m-2", earlier.encrypt(b"body").decode())
    migrate.upgrade()
    with reading() as tx:
        assert (
            opened(tx.exec(select(InboxMessage).where(InboxMessage.message_id == "m-2")).one(), "body_sealed") == "body"
        )
    assert strange in read("SELECT body_sealed FROM inbox")


def test_a_bulk_message_of_an_earlier_version_is_still_made_when_it_leaves_and_the_way_back_is_open(
    earlier: Fernet,
) -> None:
    write(
        "INSERT INTO outbox (key, channel, topic, audience, payload_sealed, created_at, state, attempts, next_at, note,"
        " reached) VALUES ('merchant:statement/ST-1/issued', 'MERCHANT', 'x', '', :sealed, '2026-11-19 02:00:00', 'NEW', 0,"
        " '2026-11-19 02:00:00', '', '[]')",
        sealed=earlier.encrypt(b'"made-when-sent"').decode(),
    )
    message("m-1", earlier.encrypt(b"body").decode())
    migrate.upgrade()
    assert read("SELECT payload_sealed FROM outbox") == [""]
    with db.engine().connect() as connection:
        made = migrate.config()
        made.attributes["connection"] = connection
        command.downgrade(made, "0006")
        connection.commit()
    [sealed], [body] = read("SELECT payload_sealed FROM outbox"), read("SELECT body_sealed FROM inbox")
    assert (earlier.decrypt(sealed.encode()), earlier.decrypt(body.encode())) == (b'"made-when-sent"', b"body")
