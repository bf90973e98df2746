"""A ruling or deduction can have become part of another, with which it is one matter"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("ruling", sa.Column("merged_into", sa.String(length=80), nullable=True))


def downgrade() -> None:
    op.drop_column("ruling", "merged_into")
