"""A sealed running total for every account; where the books did not add up, none, and the books say so from here on"""

from __future__ import annotations

import hmac
import json
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from models.base import UTCDateTime
from office.base.vault import keyed_hash

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

TOLD = ("key", "debit_account", "credit_account", "amount_fen", "reason", "clause", "case_id")
INDEXES = (("ix_transfer_debit", "debit_account"), ("ix_transfer_credit", "credit_account"))
CHUNK = 1_000


def upgrade() -> None:
    with op.batch_alter_table("account") as table:
        table.add_column(sa.Column("tally", sa.String(200), nullable=True))
    for index, column in INDEXES:
        op.drop_index(index, "transfer")
        op.create_index(index, "transfer", [column, "posted_at"])
    bind = op.get_bind()
    transfer = sa.table(
        "transfer", *(sa.column(name) for name in TOLD), sa.column("seal"), sa.column("posted_at", UTCDateTime())
    )
    account = sa.table("account", *(sa.column(name) for name in ("id", "debit_fen", "credit_fen", "tally")))
    moved: dict[str, list[int]] = {}
    until: dict[str, datetime] = {}
    odd: set[str] = set()
    after = ""
    page = sa.select(transfer).where(transfer.c.key > sa.bindparam("after")).order_by(transfer.c.key).limit(CHUNK)
    while rows := bind.execute(page, {"after": after}).all():
        after = rows[-1].key
        for row in rows:
            seal = keyed_hash(f"transfer|{json.dumps([*row[:7]], ensure_ascii=False)}")
            for account_id, side in ((row.debit_account, 1), (row.credit_account, 2)):
                sums = moved.setdefault(account_id, [0, 0, 0])
                sums[0] += 1
                sums[side] += row.amount_fen
                until[account_id] = max(until.get(account_id, row.posted_at), row.posted_at)
                if not hmac.compare_digest(row.seal or "", seal):
                    odd.add(account_id)
    put = account.update().where(account.c.id == sa.bindparam("its")).values(tally=sa.bindparam("put"))
    found = bind.execute(sa.select(account.c.id, account.c.debit_fen, account.c.credit_fen)).all()
    tallies = []
    for account_id, *totals in found:
        count, *sums = moved.get(account_id, [0, 0, 0])
        if account_id not in odd and totals == sums:
            at = until.get(account_id, datetime(1970, 1, 1, tzinfo=UTC)).astimezone(UTC).isoformat()
            said = f"{count}|{sums[0]}|{sums[1]}|{at}"
            tallies.append({"its": account_id, "put": f"{said}|{keyed_hash(f'tally|{account_id}|{said}')}"})
    for start in range(0, len(tallies), CHUNK):
        bind.execute(put, tallies[start : start + CHUNK])


def downgrade() -> None:
    for index, column in INDEXES:
        op.drop_index(index, "transfer")
        op.create_index(index, "transfer", [column])
    op.drop_column("account", "tally")  # a table that others refer to is not made anew
