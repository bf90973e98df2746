"""What talents sold by day, accounts proposed to shops, and the daily look"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import models.base

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "talent_day",
        sa.Column("account_id", sa.String(length=64), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("as_of", models.base.UTCDateTime(), nullable=False),
        sa.Column("recorded_at", models.base.UTCDateTime(), nullable=False),
        sa.Column("total_fen", sa.BigInteger(), nullable=False),
        sa.Column("parts_fen", sa.BigInteger(), nullable=False),
        sa.Column("whole", sa.Boolean(), nullable=False),
        sa.CheckConstraint("total_fen >= 0", name="ck_talent_day_total"),
        sa.PrimaryKeyConstraint("account_id", "day"),
    )
    op.create_index("ix_talent_day_recorded", "talent_day", ["recorded_at"])
    op.create_table(
        "talent_shop_day",
        sa.Column("account_id", sa.String(length=64), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("shop_id", sa.String(length=64), nullable=False),
        sa.Column("fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("fen >= 0", name="ck_talent_shop_day_fen"),
        sa.PrimaryKeyConstraint("account_id", "day", "shop_id"),
    )
    op.create_index("ix_talent_shop_day_shop", "talent_shop_day", ["shop_id", "day"])
    op.create_table(
        "self_operated_proposal",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("shop_id", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=64), nullable=False),
        sa.Column("proposed_at", models.base.UTCDateTime(), nullable=False),
        sa.Column("shop_fen", sa.BigInteger(), nullable=False),
        sa.Column("total_fen", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", models.base.UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    stands = sa.text("ended_at IS NULL")
    op.create_index(
        "uq_self_operated_proposal",
        "self_operated_proposal",
        ["shop_id", "account_id"],
        unique=True,
        sqlite_where=stands,
        postgresql_where=stands,
    )
    op.create_table(
        "self_operated_check",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("started_at", models.base.UTCDateTime(), nullable=False),
        sa.Column("upto", sa.String(length=64), nullable=False),
        sa.Column("shops", sa.Integer(), nullable=False),
        sa.Column("proposed", sa.Integer(), nullable=False),
        sa.Column("ended", sa.Integer(), nullable=False),
        sa.Column("done_at", models.base.UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("day"),
    )


def downgrade() -> None:
    for table in ("self_operated_check", "self_operated_proposal", "talent_shop_day", "talent_day"):
        op.drop_table(table)
