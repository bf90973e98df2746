"""Seal what is asked of people

Questions asked before they were sealed: as they stand now, they are what was asked. Sessions of before end, to be opened again
by a code.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from office.record.decision_seals import question_seal

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

PLAIN = ("id", "case_id", "gate", "round", "seat")
LISTS = ("roles", "excluded", "verdicts", "appointed")
SHOWN = ("revision", "dossier_sha256", "facts_sha256")


def upgrade() -> None:
    with op.batch_alter_table("review") as batch:
        batch.add_column(sa.Column("question_seal", sa.String(64), nullable=True))
    json = sa.JSON(none_as_null=True)
    review = sa.table(
        "review",
        sa.column("question_seal"),
        *(sa.column(name) for name in (*PLAIN, *SHOWN)),
        *(sa.column(name, json) for name in (*LISTS, "seen")),
    )
    names = (*PLAIN, *LISTS, *SHOWN, "seen")
    for row in op.get_bind().execute(sa.select(*(review.c[name] for name in names))).all():
        op.get_bind().execute(sa.update(review).where(review.c.id == row[0]).values(question_seal=question_seal(*row)))


def downgrade() -> None:
    with op.batch_alter_table("review") as batch:
        batch.drop_column("question_seal")
