"""Money: integer fen and a currency. Division names its rounding; a share gives away every fen."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Self

from pydantic import Field

from models.base import Frozen

MAX_FEN = 10**13
"""One hundred billion yuan. Anything larger is a typing error, not an amount."""

Fen = Annotated[int, Field(ge=0, le=MAX_FEN, strict=True, description="amount in fen (1/100 yuan), a whole number")]
PositiveFen = Annotated[
    int, Field(gt=0, le=MAX_FEN, strict=True, description="amount in fen (1/100 yuan), a whole number above zero")
]


class Money(Frozen):
    """An amount in fen. Never negative: what would be negative is a different account."""

    fen: Fen = 0
    currency: str = "CNY"

    @classmethod
    def yuan(cls, amount: str | int) -> Self:
        """``Money.yuan("4000.00")``; raises ValueError on a fraction of a fen."""
        fen = Decimal(amount) * 100
        if fen != fen.to_integral_value():
            raise ValueError(f"{amount} yuan is not a whole number of fen")
        return cls(fen=int(fen))

    def share(self, rate: Decimal) -> Self:
        """``rate`` of this amount, rounded half up to the fen (INV-7: 30 % of 90.00 is 27.00)."""
        return type(self)(
            fen=int((Decimal(self.fen) * rate).quantize(Decimal(1), rounding=ROUND_HALF_UP)), currency=self.currency
        )

    def __str__(self) -> str:
        return f"¥{self.fen // 100:,}.{self.fen % 100:02d}"

    def __bool__(self) -> bool:
        return self.fen > 0


def yuan(fen: int) -> str:
    """Fen as a person reads them: ``400000`` is ``¥4,000.00``; a negative amount keeps its sign in front."""
    sign = "-" if fen < 0 else ""
    return f"{sign}¥{abs(fen) // 100:,}.{abs(fen) % 100:02d}"
