"""Give a decision a weight, and hold weighty ones until they are confirmed"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import models.base

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = models.base.UTCDateTime
    op.create_table(
        "confirmation",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("review_id", sa.String(length=64), nullable=False),
        sa.Column("case_id", sa.String(length=64), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("staff_id", sa.String(length=32), nullable=False),
        sa.Column("verdict", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("answer", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("holding", sa.String(32), nullable=False),
        sa.Column("held_at", moment(), nullable=False),
        sa.Column("seal", sa.String(length=64), nullable=False),
        sa.Column("due_at", moment(), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("closed_at", moment(), nullable=True),
        sa.Column("closed_by", sa.String(length=32), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.CheckConstraint("(state = 'OPEN') = (closed_at IS NULL)", name="ck_confirmation_closed"),
        sa.ForeignKeyConstraint(["case_id"], ["case.id"]),
        sa.ForeignKeyConstraint(["review_id"], ["review.id"]),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_confirmation_case_id", "confirmation", ["case_id"])
    op.create_index("ix_confirmation_review", "confirmation", ["review_id", "state"])
    op.create_table(
        "shown_form",
        sa.Column("key", sa.String(length=120), nullable=False),
        sa.Column("review_id", sa.String(length=64), nullable=False),
        sa.Column("case_id", sa.String(length=64), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("description_sha256", sa.String(length=64), nullable=False),
        sa.Column("schema_sha256", sa.String(length=64), nullable=False),
        sa.Column("shown_at", moment(), nullable=False),
        sa.Column("judged_at", moment(), nullable=True),
        sa.Column("cleared_at", moment(), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["case.id"]),
        sa.ForeignKeyConstraint(["review_id"], ["review.id"]),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("ix_shown_form_review", "shown_form", ["review_id", "judged_at"])
    op.create_index("ix_shown_form_left", "shown_form", ["cleared_at", "judged_at"])
    op.create_table(
        "replaced_run",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("case_id", sa.String(length=64), nullable=False),
        sa.Column("replaced_at", moment(), nullable=False),
        sa.Column("ended_at", moment(), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["case.id"]),
        sa.PrimaryKeyConstraint("run_id"),
    )
    op.create_index("ix_replaced_run_open", "replaced_run", ["ended_at"])
    # Forms that are open in Prefect now: what was written there was not kept, so only how they are answered is judged.
    op.execute(
        sa.text(
            "INSERT INTO shown_form (key, review_id, case_id, run_id, description_sha256, schema_sha256, shown_at)"
            " SELECT r.pause_key, r.id, r.case_id, c.run_id, '', '', r.opened_at FROM review r JOIN \"case\" c"
            " ON c.id = r.case_id WHERE r.state IN ('PENDING', 'CLAIMED') AND r.pause_key IS NOT NULL"
            " AND c.run_id IS NOT NULL AND c.concluded_at IS NULL"
        )
    )


def downgrade() -> None:
    for table in ("replaced_run", "shown_form", "confirmation"):
        op.drop_table(table)
