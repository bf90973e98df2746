"""Codes sent to channel accounts, sealed"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import models.base

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "binding_code",
        sa.Column("case_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("code_sealed", sa.String(), nullable=False),
        sa.Column("sent_at", models.base.UTCDateTime(), nullable=False),
        sa.Column("expires_at", models.base.UTCDateTime(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.CheckConstraint("tries >= 0", name="ck_binding_code_tries"),
        sa.ForeignKeyConstraint(["case_id"], ["binding.case_id"]),
        sa.PrimaryKeyConstraint("case_id", "number"),
    )
    op.create_index("ix_binding_code_sent", "binding_code", ["sent_at"])


def downgrade() -> None:
    op.drop_table("binding_code")
