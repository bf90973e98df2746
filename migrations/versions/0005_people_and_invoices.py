"""Let a supervisor appoint and unlock; what an invoice's document says"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

import models.base

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


NEVER = ("duplicate", "cover", "buyer_name", "buyer_tax_no", "seller_name", "goods_quantity")
"""Findings about an invoice that nobody can set aside, by their code; of the rest the sentence tells."""
NEVER_BY_SENTENCE = {"seller": "不一致", "kind": "须说明原因", "xml": "不一致"}


def upgrade() -> None:
    op.create_table(
        "code_guard",
        sa.Column("staff_id", sa.String(length=32), nullable=False),
        sa.Column("place", sa.String(length=32), nullable=False),
        sa.Column("wrong", sa.Integer(), nullable=False),
        sa.Column("locked_until", models.base.UTCDateTime(), nullable=True),
        sa.Column("first_step", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"]),
        sa.PrimaryKeyConstraint("staff_id", "place"),
    )
    op.drop_column("staff", "failed_codes")
    op.add_column("review", sa.Column("appointed", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("review", sa.Column("stranded_at", models.base.UTCDateTime(), nullable=True))
    _mark_what_nobody_can_set_aside()


def _mark_what_nobody_can_set_aside() -> None:
    """Invoices that wait for a clerk were checked before findings said whether they are final."""
    found = sa.table(
        "case_finding", sa.column("id", sa.Integer), sa.column("check", sa.String), sa.column("finding", sa.JSON)
    )
    link = op.get_bind()
    for row in link.execute(sa.select(found.c.id, found.c.finding).where(found.c.check == "invoice")).all():
        finding = json.loads(row.finding) if isinstance(row.finding, str) else row.finding
        code, sentence = finding["code"], finding["sentence"]
        told = NEVER_BY_SENTENCE.get(code)
        if code in NEVER or (told is not None and (told in sentence or "红字" in sentence)):
            link.execute(found.update().where(found.c.id == row.id).values(finding={**finding, "final": True}))


def downgrade() -> None:
    op.drop_column("review", "stranded_at")
    op.drop_column("review", "appointed")
    op.add_column("staff", sa.Column("failed_codes", sa.Integer(), nullable=False, server_default="0"))
    op.drop_table("code_guard")
