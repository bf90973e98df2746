"""Payouts of any case that pays: whose money it is, and amounts that nobody may read yet"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("payout") as payout:
        payout.add_column(sa.Column("shop_id", sa.String(64), nullable=True))
        payout.add_column(sa.Column("covered", sa.Boolean(), server_default=sa.false(), nullable=False))
        payout.create_foreign_key("fk_payout_shop", "shop", ["shop_id"], ["id"])
        payout.create_index("ix_payout_shop_id", ["shop_id"])
    op.execute('UPDATE payout SET shop_id = (SELECT shop_id FROM "case" WHERE "case".id = payout.case_id)')


def downgrade() -> None:
    with op.batch_alter_table("payout") as payout:
        payout.drop_index("ix_payout_shop_id")
        payout.drop_column("covered")
        payout.drop_column("shop_id")
