"""Settlement: orders, after-sales, halves, what each shop is paid; who settles it and where to"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import models.base

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "settlement",
        sa.Column("id", sa.String(length=80), nullable=False),
        sa.Column("half", sa.String(length=9), nullable=False),
        sa.Column("shop_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("number", sa.String(length=40), nullable=True),
        sa.Column("shop_name", sa.String(), nullable=False),
        sa.Column("orders", sa.Integer(), nullable=False),
        sa.Column("aftersales", sa.Integer(), nullable=False),
        sa.Column("goods_fen", sa.BigInteger(), nullable=False),
        sa.Column("subsidy_fen", sa.BigInteger(), nullable=False),
        sa.Column("refund_fen", sa.BigInteger(), nullable=False),
        sa.Column("commission_fen", sa.BigInteger(), nullable=False),
        sa.Column("fee_fen", sa.BigInteger(), nullable=False),
        sa.Column("due_fen", sa.BigInteger(), nullable=False),
        sa.Column("waiting_orders", sa.Integer(), nullable=False),
        sa.Column("waiting_fen", sa.BigInteger(), nullable=False),
        sa.Column("carried_in_fen", sa.BigInteger(), nullable=False),
        sa.Column("brought_fen", sa.BigInteger(), nullable=False),
        sa.Column("set_off_fen", sa.BigInteger(), nullable=False),
        sa.Column("kept_fen", sa.BigInteger(), nullable=False),
        sa.Column("frozen_fen", sa.BigInteger(), nullable=False),
        sa.Column("paid_fen", sa.BigInteger(), nullable=False),
        sa.Column("left_fen", sa.BigInteger(), nullable=False),
        sa.Column("carried_fen", sa.BigInteger(), nullable=False),
        sa.Column("owed_fen", sa.BigInteger(), nullable=False),
        sa.Column("taken_on", sa.String(length=9), nullable=True),
        sa.Column("hold", sa.String(32), nullable=False),
        sa.Column("held_reason", sa.String(), nullable=False),
        sa.Column("held_by", sa.String(length=32), nullable=False),
        sa.Column("payee_masked", sa.String(), nullable=False),
        sa.Column("request_no", sa.String(length=64), nullable=True),
        sa.Column("issued_at", models.base.UTCDateTime(), nullable=True),
        sa.CheckConstraint(
            "brought_fen + due_fen + carried_in_fen = set_off_fen + kept_fen + paid_fen + left_fen + carried_fen + owed_fen",
            name="ck_settlement_adds_up",
        ),
        sa.CheckConstraint(
            "brought_fen >= 0 AND set_off_fen >= 0 AND kept_fen >= 0 AND paid_fen >= 0 AND left_fen >= 0 AND carried_in_fen <= 0 AND carried_fen <= 0 AND owed_fen <= 0",
            name="ck_settlement_signs",
        ),
        sa.ForeignKeyConstraint(
            ["shop_id"],
            ["shop.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("half", "shop_id", name="uq_settlement"),
    )
    op.create_index("ix_settlement_shop", "settlement", ["shop_id", "state"], unique=False)
    op.create_index("uq_settlement_number", "settlement", ["number"], unique=True)
    op.create_index("uq_settlement_payout", "settlement", ["request_no"], unique=True)
    op.create_table(
        "settlement_account",
        sa.Column("shop_id", sa.String(length=64), nullable=False),
        sa.Column("payee_sealed", sa.String(), nullable=False),
        sa.Column("payee_masked", sa.String(), nullable=False),
        sa.Column("payee_sha256", sa.String(length=64), nullable=False),
        sa.Column("as_of", models.base.UTCDateTime(), nullable=False),
        sa.Column("changed_at", models.base.UTCDateTime(), nullable=False),
        sa.Column("fits", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["shop_id"],
            ["shop.id"],
        ),
        sa.PrimaryKeyConstraint("shop_id"),
    )
    op.create_table(
        "settlement_aftersale",
        sa.Column("id", sa.String(length=80), nullable=False),
        sa.Column("order_id", sa.String(length=80), nullable=False),
        sa.Column("shop_id", sa.String(length=64), nullable=False),
        sa.Column("opened_at", models.base.UTCDateTime(), nullable=False),
        sa.Column("ended_at", models.base.UTCDateTime(), nullable=True),
        sa.Column("refund_fen", sa.BigInteger(), nullable=False),
        sa.Column("subsidy_back_fen", sa.BigInteger(), nullable=False),
        sa.Column("commission_back_fen", sa.BigInteger(), nullable=False),
        sa.Column("fee_back_fen", sa.BigInteger(), nullable=False),
        sa.Column("net_fen", sa.BigInteger(), nullable=False),
        sa.Column("half", sa.String(length=9), nullable=True),
        sa.Column("recorded_at", models.base.UTCDateTime(), nullable=False),
        sa.CheckConstraint(
            "net_fen = commission_back_fen + fee_back_fen - refund_fen - subsidy_back_fen", name="ck_aftersale_net"
        ),
        sa.ForeignKeyConstraint(
            ["shop_id"],
            ["shop.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_settlement_aftersale_half", "settlement_aftersale", ["half", "shop_id"], unique=False)
    op.create_index("ix_settlement_aftersale_order", "settlement_aftersale", ["order_id"], unique=False)
    op.create_table(
        "settlement_order",
        sa.Column("id", sa.String(length=80), nullable=False),
        sa.Column("shop_id", sa.String(length=64), nullable=False),
        sa.Column("goods_fen", sa.BigInteger(), nullable=False),
        sa.Column("subsidy_fen", sa.BigInteger(), nullable=False),
        sa.Column("refund_fen", sa.BigInteger(), nullable=False),
        sa.Column("commission_fen", sa.BigInteger(), nullable=False),
        sa.Column("fee_fen", sa.BigInteger(), nullable=False),
        sa.Column("net_fen", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_at", models.base.UTCDateTime(), nullable=False),
        sa.Column("own_half", sa.String(length=9), nullable=False),
        sa.Column("half", sa.String(length=9), nullable=True),
        sa.Column("recorded_at", models.base.UTCDateTime(), nullable=False),
        sa.CheckConstraint(
            "goods_fen >= 0 AND subsidy_fen >= 0 AND refund_fen >= 0 AND commission_fen >= 0 AND fee_fen >= 0",
            name="ck_settlement_order_parts",
        ),
        sa.CheckConstraint(
            "net_fen = goods_fen + subsidy_fen - refund_fen - commission_fen - fee_fen", name="ck_settlement_order_net"
        ),
        sa.ForeignKeyConstraint(
            ["shop_id"],
            ["shop.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_settlement_order_half", "settlement_order", ["half", "shop_id"], unique=False)
    op.create_index(
        "ix_settlement_order_waiting",
        "settlement_order",
        ["shop_id"],
        unique=False,
        sqlite_where=sa.text("half IS NULL"),
        postgresql_where=sa.text("half IS NULL"),
    )
    op.create_table(
        "settlement_switch",
        sa.Column("shop_id", sa.String(length=64), nullable=False),
        sa.Column("since", models.base.UTCDateTime(), nullable=False),
        sa.Column("settler", sa.String(32), nullable=False),
        sa.Column("platform_fen", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", models.base.UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["shop_id"],
            ["shop.id"],
        ),
        sa.PrimaryKeyConstraint("shop_id", "since"),
    )
    op.create_table(
        "settlement_anomaly",
        sa.Column("settlement_id", sa.String(length=80), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("value_fen", sa.BigInteger(), nullable=False),
        sa.Column("before_fen", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["settlement_id"],
            ["settlement.id"],
        ),
        sa.PrimaryKeyConstraint("settlement_id", "kind"),
    )
    op.create_table(
        "settlement_half",
        sa.Column("id", sa.String(length=9), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("case_id", sa.String(length=64), nullable=True),
        sa.Column("drafts", sa.Integer(), nullable=False),
        sa.Column("cursor", sa.String(length=64), nullable=False),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.Column("last_payout", sa.Integer(), nullable=False),
        sa.Column("totals", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("closed_at", models.base.UTCDateTime(), nullable=True),
        sa.Column("drafted_at", models.base.UTCDateTime(), nullable=True),
        sa.Column("released_at", models.base.UTCDateTime(), nullable=True),
        sa.Column("settled_at", models.base.UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["case_id"],
            ["case.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("case_id"),
    )


def downgrade() -> None:

    op.drop_table("settlement_half")
    op.drop_table("settlement_anomaly")
    op.drop_table("settlement_switch")
    op.drop_index(
        "ix_settlement_order_waiting",
        table_name="settlement_order",
        sqlite_where=sa.text("half IS NULL"),
        postgresql_where=sa.text("half IS NULL"),
    )
    op.drop_index("ix_settlement_order_half", table_name="settlement_order")
    op.drop_table("settlement_order")
    op.drop_index("ix_settlement_aftersale_order", table_name="settlement_aftersale")
    op.drop_index("ix_settlement_aftersale_half", table_name="settlement_aftersale")
    op.drop_table("settlement_aftersale")
    op.drop_table("settlement_account")
    op.drop_index("uq_settlement_payout", table_name="settlement")
    op.drop_index("uq_settlement_number", table_name="settlement")
    op.drop_index("ix_settlement_shop", table_name="settlement")
    op.drop_table("settlement")
