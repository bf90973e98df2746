"""Bind approvals to what was seen; several instructions of one refund"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

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


def downgrade() -> None:
    with op.batch_alter_table("deposit_payment") as payment:
        payment.drop_column("payer_name_sealed")
    with op.batch_alter_table("payout") as payout:
        payout.drop_column("source")
        payout.drop_column("turn")
    with op.batch_alter_table("review") as review:
        review.drop_column("seen")
