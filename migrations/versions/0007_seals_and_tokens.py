"""Bind sealed values to their row; anchors; tokens with a scope

What earlier versions sealed opened wherever it was copied to. It is sealed anew here, for its table, column and row, in
the migration's own transaction, so that no running process ever has to take a value whose place is not proved. A value
that no configured key opens stays as it is, unreadable as before.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import sqlalchemy as sa
from alembic import op

from office.base.vault import CannotUnseal, Place, bind, place_named, seal_json, unbind, unseal_json
from office.record.decision_seals import seal

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

logger = logging.getLogger("alembic.runtime.migration")

SEALED = {
    ("inbox", "body_sealed"): ("source", "message_id"),
    ("outbox", "payload_sealed"): ("key",),
    ("shop", "contacts_sealed"): ("id",),
    ("staff", "totp_sealed"): ("id",),
    ("staff", "contact_sealed"): ("id",),
    ("case", "request_sealed"): ("id",),
    ("deposit_payment", "payer_sealed"): ("id",),
    ("payout", "payee_sealed"): ("request_no",),
}
LATER = "made-when-sent"
CHUNK = 1000

Change = Callable[[str, Place], str]


def upgrade() -> None:
    with op.batch_alter_table("outbox") as batch:
        batch.add_column(sa.Column("wakes", sa.String(64), nullable=True))
        batch.add_column(sa.Column("twice", sa.Integer(), nullable=True))
    with op.batch_alter_table("review") as batch:
        batch.add_column(sa.Column("decision_seal", sa.String(64), nullable=True))
    _seal_decisions()
    for (table, column), row in SEALED.items():
        _each(table, column, row, _bound)
    _others(bind)


def downgrade() -> None:
    for (table, column), row in SEALED.items():
        _each(table, column, row, unbind)
    _others(unbind)
    _each("outbox", "payload_sealed", ("key",), _later, sealed=False)
    with op.batch_alter_table("outbox") as batch:
        batch.drop_column("twice")
        batch.drop_column("wakes")
    with op.batch_alter_table("review") as batch:
        batch.drop_column("decision_seal")


def _bound(sealed: str, where: Place) -> str:
    """Bulk messages hold nothing from now on, instead of a word that says so."""
    fresh = bind(sealed, where)
    return "" if where.startswith("outbox.") and "statement/" in where and unseal_json(fresh, where) == LATER else fresh


def _later(empty: str, where: Place) -> str:
    return unbind(seal_json(LATER, where), where)


def _each(table: str, column: str, row: tuple[str, ...], change: Change, *, sealed: bool = True) -> None:
    """Change one column of every row, in order of what names the rows."""
    here = sa.table(table, *(sa.column(name) for name in (*row, column)))
    keys, value = [here.c[name] for name in row], here.c[column]
    after: tuple[str, ...] | None = None
    while True:
        query = sa.select(*keys, value).where(value != "" if sealed else value == "").order_by(*keys).limit(CHUNK)
        if after is not None:
            query = query.where(sa.tuple_(*keys) > sa.tuple_(*(sa.literal(part) for part in after)))
        rows = op.get_bind().execute(query).all()
        for *key, before in rows:
            fresh = _changed(before, place_named(table, column, *key), change)
            matches = sa.and_(*(part == given for part, given in zip(keys, key, strict=True)))
            op.get_bind().execute(sa.update(here).where(matches).values({column: fresh}))
        if len(rows) < CHUNK:
            return
        after = tuple(rows[-1][:-1])


def _changed(sealed: str, where: Place, change: Change) -> str:
    try:
        return change(sealed, where)
    except CannotUnseal:
        logger.warning("no configured key opens %s: left as it is", where)
        return sealed


def _others(change: Change) -> None:
    """What came to the inbox under an id that was taken: several sealed values in one JSON column."""
    inbox = sa.table(
        "inbox", sa.column("source"), sa.column("message_id"), sa.column("conflicts"), sa.column("others", sa.JSON())
    )
    query = sa.select(inbox.c.source, inbox.c.message_id, inbox.c.others).where(inbox.c.conflicts > 0)
    for source, message_id, others in op.get_bind().execute(query).all():
        fresh = {
            digest: _changed(sealed, place_named("inbox", "others", source, message_id, digest), change)
            for digest, sealed in others.items()
        }
        this = sa.and_(inbox.c.source == source, inbox.c.message_id == message_id)
        op.get_bind().execute(sa.update(inbox).where(this).values(others=fresh))


def _seal_decisions() -> None:
    """Decisions made before they were sealed: as they stand now, they are what was decided."""
    names = ("id", "decided_by", "verdict", "reason", "revision", "state", "decision_seal")
    review = sa.table("review", *(sa.column(name) for name in names), sa.column("answer", sa.JSON()))
    made = sa.select(
        review.c.id, review.c.decided_by, review.c.verdict, review.c.reason, review.c.answer, review.c.revision
    ).where(review.c.state == "DECIDED")
    for row in op.get_bind().execute(made).all():
        op.get_bind().execute(sa.update(review).where(review.c.id == row[0]).values(decision_seal=seal(*row)))
