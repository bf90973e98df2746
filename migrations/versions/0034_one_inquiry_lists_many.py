"""One inquiry lists every answer of the bank about numbers that we never gave: a contradiction shares it with others"""

from __future__ import annotations

from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("bank_contradiction") as batch:
        batch.drop_constraint("uq_bank_contradiction_inquiry", type_="unique")
        batch.create_index("ix_bank_contradiction_inquiry", ["inquiry_id"])


def downgrade() -> None:
    with op.batch_alter_table("bank_contradiction") as batch:
        batch.drop_index("ix_bank_contradiction_inquiry")
        batch.create_unique_constraint("uq_bank_contradiction_inquiry", ["inquiry_id"])
