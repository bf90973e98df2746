"""The figures of deposits, and what follows from paying too little (DEP)."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, model_validator

from models.base import Frozen
from models.money import Fen
from models.shops import EntityType
from models.windows import Months, NaturalDays, PositiveWindow, WorkingDays
from policies.sections import Section


class DepositSchedule(Frozen):
    """One entity type's deposits by level-1 category, in fen (DEP-2 … DEP-4)."""

    least_fen: Fen
    most_fen: Fen
    default_fen: Fen
    """Owed for a category the table does not name, unless ``only_listed``."""
    only_listed: bool
    """True when categories outside the table are not being recruited (DEP-4)."""
    categories: dict[str, Fen]

    @model_validator(mode="after")
    def _figures_lie_in_the_range(self) -> Self:
        for name, fen in {"default": self.default_fen, **self.categories}.items():
            if not self.least_fen <= fen <= self.most_fen:
                raise ValueError(f"{name}: {fen} fen lies outside {self.least_fen} to {self.most_fen}")
        return self


class DepositPolicy(Section):
    """DEP-1: a schedule for each entity type; DEP-7: the certification fee; DEP-10: what follows from paying neither."""

    since: ClassVar[str] = "2026-01-01"

    demand: PositiveWindow = NaturalDays(n=15)
    """How long whoever is short has to pay (ambiguity 36)."""
    longer: PositiveWindow = NaturalDays(n=15)
    """The longer window that a person may grant, at most ``most_longer`` times, each time another person."""
    most_longer: int = Field(default=2, ge=0, le=12)
    overdue_sla: PositiveWindow = WorkingDays(n=3)
    order_types: tuple[str, ...] = ("普通订单",)
    """The types of orders that the figures are for (DEP-1); of another nobody has said what is to be paid."""
    same_category: tuple[tuple[str, ...], ...] = (("服饰", "服饰内衣"),)
    """Names of one level-1 category (ambiguity 45)."""
    certification_fee_fen: Fen = 600_00
    certification_fee_every: PositiveWindow = Months(n=12)
    certification_fee_of: tuple[EntityType, ...] = (EntityType.ENTERPRISE, EntityType.INDIVIDUAL_BUSINESS)
    ENTERPRISE: DepositSchedule
    INDIVIDUAL_BUSINESS: DepositSchedule
    PERSON: DepositSchedule

    def of(self, entity: EntityType) -> DepositSchedule:
        """The schedule of one entity type."""
        schedule: DepositSchedule = getattr(self, entity.name)
        return schedule
