"""Accounts bound to shops: the register, unique by index"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import models.base

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

IN_FORCE = "bound_at IS NOT NULL AND ended_at IS NULL"
ONCE = (
    ("uq_binding_official_shop", ["shop_id"], "OFFICIAL"),
    ("uq_binding_official_account", ["account_id"], "OFFICIAL"),
    ("uq_binding_channel_place", ["shop_id", "place"], "CHANNEL"),
    ("uq_binding_channel", ["platform", "account_id"], "CHANNEL"),
    ("uq_binding_self_operated", ["account_id"], "SELF_OPERATED"),
)


def upgrade() -> None:
    op.create_table(
        "binding",
        sa.Column("case_id", sa.String(length=64), nullable=False),
        sa.Column("shop_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("platform", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=64), nullable=True),
        sa.Column("account_name", sa.String(), nullable=False),
        sa.Column("ticket_hash", sa.String(length=64), nullable=True),
        sa.Column("place", sa.Integer(), nullable=True),
        sa.Column("bound_at", models.base.UTCDateTime(), nullable=True),
        sa.Column("ended_at", models.base.UTCDateTime(), nullable=True),
        sa.Column("ended_how", sa.String(length=32), nullable=True),
        sa.CheckConstraint("kind <> 'OFFICIAL' OR ended_at IS NULL", name="ck_binding_official_for_ever"),
        sa.CheckConstraint("ended_at IS NULL OR bound_at IS NOT NULL", name="ck_binding_bound_before_it_ends"),
        sa.CheckConstraint("bound_at IS NULL OR account_id IS NOT NULL", name="ck_binding_of_an_account"),
        sa.CheckConstraint("kind <> 'CHANNEL' OR bound_at IS NULL OR place > 0", name="ck_binding_channel_has_a_place"),
        sa.ForeignKeyConstraint(["case_id"], ["case.id"]),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"]),
        sa.PrimaryKeyConstraint("case_id"),
        sa.UniqueConstraint("ticket_hash"),
    )
    op.create_index("ix_binding_shop", "binding", ["shop_id", "kind"])
    op.create_index("ix_binding_account", "binding", ["account_id"])
    for name, columns, kind in ONCE:
        condition = sa.text(f"kind = '{kind}' AND {IN_FORCE}")
        op.create_index(name, "binding", columns, unique=True, sqlite_where=condition, postgresql_where=condition)


def downgrade() -> None:
    op.drop_table("binding")
