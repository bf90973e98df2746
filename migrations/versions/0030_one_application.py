"""One application of an account at a time; how often a shop was reminded of its contract"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("case", sa.Column("sole", sa.String(length=120), nullable=True))
    still_open = sa.text("concluded_at IS NULL")
    op.create_index("uq_case_sole", "case", ["sole"], unique=True, sqlite_where=still_open, postgresql_where=still_open)
    with op.batch_alter_table("shop_contract") as batch:
        batch.add_column(sa.Column("reminded", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("shop_contract") as batch:
        batch.alter_column("reminded", server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("shop_contract") as batch:
        batch.drop_column("reminded")
    op.drop_index("uq_case_sole", "case")
    op.drop_column("case", "sole")  # a table that others refer to is not made anew
