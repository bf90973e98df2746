"""The printable statement of a shop's half, written when somebody asks for it."""

from __future__ import annotations

from pathlib import Path

from sqlmodel import select

from models.settlement import Settlement
from notifications.document import render_document
from office.base.db import Tx
from office.base.settings import settings
from office.base.whole import whole
from policies.invoicing import capitals
from policies.settlement import label
from tasks.settlement.releases import PARTLY


def find(tx: Tx, number: str) -> Settlement | None:
    """A statement by its number."""
    return tx.exec(select(Settlement).where(Settlement.number == number)).first()


def page(row: Settlement) -> str:
    """The statement as one self-contained HTML page that prints on A4."""
    if row.number is None or row.issued_at is None:
        raise ValueError(f"{row.id} was never posted")
    parts = (
        ("买家实付(货款与运费)", row.goods_fen),
        ("平台补贴", row.subsidy_fen),
        ("退款", -row.refund_fen),
        ("佣金", -row.commission_fen),
        ("服务费", -row.fee_fen),
    )
    uses = (
        ("抵扣欠款(REF-8)", row.set_off_fen),
        ("未开票冻结(INV-7)", row.kept_fen),
        ("本期付款", row.paid_fen),
        ("暂不打款", row.left_fen),
        ("负数结转下期", row.carried_fen),
        ("转为欠款(DED-9)", row.owed_fen),
    )
    return render_document(
        "settlement",
        {
            "number": row.number,
            "period": label(row.half),
            "issued_at": row.issued_at,
            "shop_name": row.shop_name,
            "shop_id": row.shop_id,
            "orders": row.orders,
            "aftersales": row.aftersales,
            "parts": parts,
            "due_fen": row.due_fen,
            "brought_fen": row.brought_fen,
            "carried_in_fen": row.carried_in_fen,
            "uses": uses,
            "capitals": capitals(row.paid_fen),
            "payee": row.payee_masked,
            "state": row.state.label,
            "hold": row.hold.label or (PARTLY if row.frozen_fen else ""),
            "waiting_orders": row.waiting_orders,
            "waiting_fen": row.waiting_fen,
            "platform": settings().platform_name,
            "service_contact": settings().service_contact,
        },
    )


def write(tx: Tx, row: Settlement) -> Path:
    """Write the page; written again it says how the payment stands by then."""
    target = settings().home / "settlements" / row.half / f"{row.number}.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole(target) as draft:
        draft.write_bytes(page(row).encode())
    return target
