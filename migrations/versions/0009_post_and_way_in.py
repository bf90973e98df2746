"""What was refused, on the question; sessions at the terminal"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import models.base

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("review") as table:
        table.add_column(sa.Column("unaccepted", sa.JSON(none_as_null=True), nullable=True))
    op.create_table(
        "terminal_session",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("staff_id", sa.String(length=32), nullable=False),
        sa.Column("word_sha256", sa.String(length=64), nullable=False),
        sa.Column("standing_sha256", sa.String(length=64), nullable=False),
        sa.Column("opened_at", models.base.UTCDateTime(), nullable=False),
        sa.Column("until", models.base.UTCDateTime(), nullable=False),
        sa.Column("closed_at", models.base.UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("word_sha256"),
    )
    op.create_index("ix_terminal_session_staff_id", "terminal_session", ["staff_id"])


def downgrade() -> None:
    op.drop_table("terminal_session")
    with op.batch_alter_table("review") as table:
        table.drop_column("unaccepted")
