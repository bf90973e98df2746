"""Seal what we remember of the forms that were shown: what stands there now counts as ours from here on"""

from __future__ import annotations

import json
from datetime import UTC

import sqlalchemy as sa
from alembic import op

import models.base
from office.base.vault import keyed_hash

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

SAID = ("key", "review_id", "case_id", "run_id", "description_sha256", "schema_sha256")
MOMENTS = ("shown_at", "judged_at")
CHUNK = 1_000


def upgrade() -> None:
    with op.batch_alter_table("shown_form") as batch:
        batch.add_column(sa.Column("seal", sa.String(length=64), nullable=True))
    moments = (sa.column(name, models.base.UTCDateTime()) for name in MOMENTS)
    form = sa.table("shown_form", *(sa.column(name) for name in (*SAID, "seal")), *moments)
    put = form.update().where(form.c.key == sa.bindparam("its")).values(seal=sa.bindparam("put"))
    bind = op.get_bind()
    every = sa.select(*(form.c[name] for name in (*SAID, *MOMENTS))).where(form.c.seal.is_(None)).limit(CHUNK)
    while rows := bind.execute(every).all():
        bind.execute(put, [{"its": row[0], "put": _seal(row)} for row in rows])


def _seal(row: sa.Row[tuple[object, ...]]) -> str:
    *said, shown_at, judged_at = row
    moments = [at and at.astimezone(UTC).isoformat() for at in (shown_at, judged_at)]
    return keyed_hash(f"form|{json.dumps([*said, *moments])}")


def downgrade() -> None:
    with op.batch_alter_table("shown_form") as batch:
        batch.drop_column("seal")
