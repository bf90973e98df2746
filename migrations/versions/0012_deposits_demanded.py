"""What a shop must have paid before it is open: looked at under which policy, certification fee"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import models.base

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("shop") as table:
        table.add_column(sa.Column("official_account", sa.Boolean(), nullable=True))
        table.add_column(sa.Column("certified_until", models.base.UTCDateTime(), nullable=True))
        table.add_column(sa.Column("deposit_policy", sa.String(length=32), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("shop") as table:
        table.drop_column("deposit_policy")
        table.drop_column("certified_until")
        table.drop_column("official_account")
