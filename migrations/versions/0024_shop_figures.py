"""What shops did by day, as the platform counts it"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import models.base

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shop_day",
        sa.Column("shop_id", sa.String(length=64), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("as_of", models.base.UTCDateTime(), nullable=False),
        sa.Column("recorded_at", models.base.UTCDateTime(), nullable=False),
        sa.Column("whole", sa.Boolean(), nullable=False),
        sa.Column("score_hundredths", sa.Integer(), nullable=True),
        sa.Column("score_scale", sa.Integer(), nullable=True),
        sa.Column("dsr_hundredths", sa.Integer(), nullable=True),
        sa.Column("dsr_scale", sa.Integer(), nullable=True),
        sa.Column("ratings", sa.Integer(), nullable=True),
        sa.Column("positive", sa.Integer(), nullable=True),
        sa.Column("gmv_fen", sa.BigInteger(), nullable=True),
        sa.Column("spot_orders", sa.Integer(), nullable=True),
        sa.Column("presale_orders", sa.Integer(), nullable=True),
        sa.Column("ladder_orders", sa.Integer(), nullable=True),
        sa.CheckConstraint("positive IS NULL OR ratings IS NOT NULL", name="ck_shop_day_positive_of_ratings"),
        sa.CheckConstraint("(score_hundredths IS NULL) = (score_scale IS NULL)", name="ck_shop_day_score_scale"),
        sa.CheckConstraint("(dsr_hundredths IS NULL) = (dsr_scale IS NULL)", name="ck_shop_day_dsr_scale"),
        sa.PrimaryKeyConstraint("shop_id", "day"),
    )
    op.create_index("ix_shop_day_day", "shop_day", ["day"])


def downgrade() -> None:
    op.drop_table("shop_day")
