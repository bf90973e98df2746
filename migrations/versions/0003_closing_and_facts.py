"""Keep what a ban holds back, and whom facts were asked of"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("exit_obligation") as obligation:
        obligation.add_column(sa.Column("waived_fen", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("exit_obligation") as obligation:
        obligation.drop_column("waived_fen")
