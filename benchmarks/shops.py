"""Many shops that are open, written in one statement."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from sqlalchemy import insert

from models.shops import EntityType, Shop, ShopState
from office.base.db import Tx


def shops_of(
    tx: Tx, numbers: Iterable[int], at: datetime, auto_deduct: Callable[[int], bool] = lambda n: False
) -> None:
    tx.execute(
        insert(Shop.__table__),  # type: ignore[attr-defined]
        [
            {
                "id": f"shop-{n:07d}",
                "name": f"店铺 {n}",
                "entity_type": EntityType.ENTERPRISE,
                "owner_account_id": f"acct-{n}",
                "owner_name": "林晓",
                "licence_name": f"宁波第 {n} 号文具有限公司",
                "uscc": "91330226MA2AB1C2D8",
                "taxpayer_type": "GENERAL",
                "categories": ["服饰"],
                "state": ShopState.OPEN,
                "capabilities": [],
                "contacts_sealed": "",
                "auto_deduct": auto_deduct(n),
                "registered_at": at,
                "topup_demanded_fen": 0,
            }
            for n in numbers
        ],
    )
