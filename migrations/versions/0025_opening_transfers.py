"""Random transfers: how often a wrong amount was entered, per application, account and bank account"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import models.base

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "opening_transfer",
        sa.Column("request_no", sa.String(length=64), nullable=False),
        sa.Column("case_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.String(length=64), nullable=False),
        sa.Column("account_hash", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("sent_at", models.base.UTCDateTime(), nullable=False),
        sa.Column("settled_at", models.base.UTCDateTime(), nullable=True),
        sa.Column("ended_at", models.base.UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["request_no"], ["payout.request_no"]),
        sa.ForeignKeyConstraint(["case_id"], ["case.id"]),
        sa.PrimaryKeyConstraint("request_no"),
        sa.UniqueConstraint("case_id", "number", name="uq_opening_transfer"),
    )
    op.create_index("ix_opening_transfer_payee", "opening_transfer", ["account_hash"])
    op.create_index("ix_opening_transfer_account", "opening_transfer", ["account_id"])


def downgrade() -> None:
    op.drop_table("opening_transfer")
