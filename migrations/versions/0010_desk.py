"""The desk: sessions, drafts, and the forms that were answered"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import models.base

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "desk_session",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("staff_id", sa.String(length=32), nullable=False),
        sa.Column("word_sha256", sa.String(length=64), nullable=False),
        sa.Column("standing_sha256", sa.String(length=64), nullable=False),
        sa.Column("agent", sa.String(length=80), nullable=False),
        sa.Column("opened_at", models.base.UTCDateTime(), nullable=False),
        sa.Column("seen_at", models.base.UTCDateTime(), nullable=False),
        sa.Column("until", models.base.UTCDateTime(), nullable=False),
        sa.Column("ended_at", models.base.UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("word_sha256"),
    )
    op.create_index("ix_desk_session_staff_id", "desk_session", ["staff_id"])
    op.create_table(
        "desk_draft",
        sa.Column("staff_id", sa.String(length=32), nullable=False),
        sa.Column("review_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body_sealed", sa.String(), nullable=False),
        sa.Column("saved_at", models.base.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"]),
        sa.ForeignKeyConstraint(["review_id"], ["review.id"]),
        sa.PrimaryKeyConstraint("staff_id", "review_id"),
    )
    op.create_table(
        "desk_answer",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("review_id", sa.String(length=64), nullable=False),
        sa.Column("accepted", sa.Boolean(), nullable=False),
        sa.Column("sentence", sa.String(), nullable=False),
        sa.Column("at", models.base.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["desk_session.id"]),
        sa.ForeignKeyConstraint(["review_id"], ["review.id"]),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("ix_desk_answer_at", "desk_answer", ["at"])


def downgrade() -> None:
    op.drop_table("desk_answer")
    op.drop_table("desk_draft")
    op.drop_table("desk_session")
