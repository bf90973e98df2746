"""Name the staged file of a paper; one matter of an arbitration"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("ruling") as table:
        table.add_column(sa.Column("number", sa.String(80), nullable=True))
        table.create_index("ix_ruling_number", ["number"])


def downgrade() -> None:
    with op.batch_alter_table("ruling") as table:
        table.drop_index("ix_ruling_number")
        table.drop_column("number")
