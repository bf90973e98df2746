"""When what a shop must have paid was looked at: a paid year that ends while a demand runs is new"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import models.base

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("shop", sa.Column("deposit_looked_at", models.base.UTCDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("shop", "deposit_looked_at")
