"""An index from which the queue reads who has what and until when, without the long rows behind it"""

from __future__ import annotations

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_review_open", "review")
    op.create_index("ix_review_open", "review", ["state", "due_at", "opened_at", "id", "claimed_by"])


def downgrade() -> None:
    op.drop_index("ix_review_open", "review")
    op.create_index("ix_review_open", "review", ["state", "due_at"])
