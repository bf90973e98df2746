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
    op.add_column("shop", sa.Column("official_account", sa.Boolean(), nullable=True))
    op.add_column("shop", sa.Column("certified_until", models.base.UTCDateTime(), nullable=True))
    op.add_column("shop", sa.Column("deposit_policy", sa.String(length=32), nullable=True))


def downgrade() -> None:
    for column in ("deposit_policy", "certified_until", "official_account"):  # in place: much refers to a shop
        op.drop_column("shop", column)
