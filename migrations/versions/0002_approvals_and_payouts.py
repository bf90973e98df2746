"""Bind approvals to what was seen; several instructions of one refund"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import models.base

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("review") as review:
        review.add_column(sa.Column("seen", sa.JSON(none_as_null=True), nullable=True))
    with op.batch_alter_table("payout") as payout:
        payout.add_column(sa.Column("turn", sa.Integer(), server_default="1", nullable=False))
        payout.add_column(sa.Column("source", sa.String(32), server_default="deposit", nullable=False))
    op.execute("UPDATE payout SET turn = attempt")  # so far every attempt was a turn of its own
    with op.batch_alter_table("deposit_payment") as payment:
        payment.add_column(sa.Column("payer_name_sealed", sa.String(), nullable=True))
    op.create_table(
        "bank_contradiction",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("inquiry_id", sa.String(64), nullable=False),
        sa.Column("request_no", sa.String(64), nullable=False),
        sa.Column("case_id", sa.String(64), nullable=True),
        sa.Column("shop_id", sa.String(64), nullable=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("stood", sa.String(32), nullable=True),
        sa.Column("said", sa.String(32), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("bank_at", models.base.UTCDateTime(), nullable=False),
        sa.Column("bank_reason", sa.String(), nullable=False),
        sa.Column("received_at", models.base.UTCDateTime(), nullable=False),
        sa.Column("closed_at", models.base.UTCDateTime(), nullable=True),
        sa.Column("verdict", sa.String(32), nullable=True),
        sa.Column("closed_by", sa.String(80), nullable=True),
        sa.ForeignKeyConstraint(["inquiry_id"], ["case.id"]),
        sa.ForeignKeyConstraint(["case_id"], ["case.id"]),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("inquiry_id", name="uq_bank_contradiction_inquiry"),
    )
    op.create_index("ix_bank_contradiction_open", "bank_contradiction", ["closed_at", "shop_id"])
    op.create_index(op.f("ix_bank_contradiction_request_no"), "bank_contradiction", ["request_no"])


def downgrade() -> None:
    op.drop_table("bank_contradiction")
    with op.batch_alter_table("deposit_payment") as payment:
        payment.drop_column("payer_name_sealed")
    with op.batch_alter_table("payout") as payout:
        payout.drop_column("source")
        payout.drop_column("turn")
    with op.batch_alter_table("review") as review:
        review.drop_column("seen")
