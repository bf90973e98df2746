"""An index of what was decided when and by whom: what somebody has done today is counted on every page of the desk"""

from __future__ import annotations

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_review_decided", "review", ["state", "decided_at", "decided_by"])


def downgrade() -> None:
    op.drop_index("ix_review_decided", "review")
