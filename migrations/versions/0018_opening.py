"""Opening shops: what a merchant brought, contracts, and names by which shops are found"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import models.base
from policies.text import normalise_name

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

PER_STEP = 1_000


def upgrade() -> None:
    op.add_column("shop", sa.Column("name_key", sa.String(), nullable=True))
    op.create_index("ix_shop_name_key", "shop", ["name_key"])
    _name_them()
    op.create_table(
        "opening_part",
        sa.Column("case_id", sa.String(length=64), nullable=False),
        sa.Column("part", sa.String(length=32), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("fields_sealed", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("identity_hash", sa.String(length=64), nullable=False),
        sa.Column("received_at", models.base.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["case.id"]),
        sa.PrimaryKeyConstraint("case_id", "part"),
    )
    op.create_index("ix_opening_part_identity", "opening_part", ["identity_hash"])
    op.create_table(
        "shop_contract",
        sa.Column("shop_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("offered_at", models.base.UTCDateTime(), nullable=False),
        sa.Column("case_id", sa.String(length=64), nullable=True),
        sa.Column("signed_at", models.base.UTCDateTime(), nullable=True),
        sa.Column("signed_by", sa.String(), nullable=False),
        sa.Column("signed_sha256", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"]),
        sa.ForeignKeyConstraint(["case_id"], ["case.id"]),
        sa.PrimaryKeyConstraint("shop_id", "version"),
    )


def _name_them() -> None:
    """Have the shops that are there found by their names."""
    shop = sa.table(
        "shop", sa.column("id", sa.String()), sa.column("name", sa.String()), sa.column("name_key", sa.String())
    )
    bind, after = op.get_bind(), ""
    while rows := bind.execute(
        sa.select(shop.c.id, shop.c.name).where(shop.c.id > after).order_by(shop.c.id).limit(PER_STEP)
    ).all():
        after = rows[-1][0]
        named = sa.update(shop).where(shop.c.id == sa.bindparam("this")).values(name_key=sa.bindparam("key"))
        bind.execute(named, [{"this": shop_id, "key": normalise_name(name)} for shop_id, name in rows])


def downgrade() -> None:
    op.drop_table("shop_contract")
    op.drop_table("opening_part")
    op.drop_index("ix_shop_name_key", table_name="shop")
    op.drop_column("shop", "name_key")
