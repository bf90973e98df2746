"""A seal on every transfer: what was posted before counts as ours from here on"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

from office.base.vault import keyed_hash

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

TOLD = ("key", "debit_account", "credit_account", "amount_fen", "reason", "clause", "case_id")
CHUNK = 1_000


def upgrade() -> None:
    with op.batch_alter_table("transfer") as table:
        table.add_column(sa.Column("seal", sa.String(64), nullable=True))
    transfer = sa.table("transfer", *(sa.column(name) for name in (*TOLD, "seal")))
    put = transfer.update().where(transfer.c.key == sa.bindparam("its")).values(seal=sa.bindparam("put"))
    bind = op.get_bind()
    while rows := bind.execute(
        sa.select(*(transfer.c[name] for name in TOLD)).where(transfer.c.seal.is_(None)).limit(CHUNK)
    ).all():
        bind.execute(
            put,
            [{"its": row[0], "put": keyed_hash(f"transfer|{json.dumps([*row], ensure_ascii=False)}")} for row in rows],
        )


def downgrade() -> None:
    with op.batch_alter_table("transfer") as table:
        table.drop_column("seal")
