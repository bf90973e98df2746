"""What of exit invoices the platform reports: when looked at last, and when it was waived"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("exit_obligation") as obligation:
        obligation.add_column(sa.Column("waived_reported_fen", sa.BigInteger(), nullable=True))
        obligation.add_column(sa.Column("reported_fen", sa.BigInteger(), nullable=False, server_default="0"))
    with op.batch_alter_table("exit_obligation") as obligation:
        obligation.alter_column("reported_fen", server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("exit_obligation") as obligation:
        obligation.drop_column("reported_fen")
        obligation.drop_column("waived_reported_fen")
