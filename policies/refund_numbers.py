"""The numbers of returning a deposit (REF)."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from models.deposits import RefundDocument
from models.money import Fen
from models.shops import EntityType
from models.windows import PositiveWindow
from policies.sections import Section


class RefundPolicy(Section):
    """REF: how soon a deposit goes back, on which papers, and when a second person looks."""

    since: ClassVar[str] = "2026-01-01"

    sla: PositiveWindow
    early_reminder: PositiveWindow
    review_sla: PositiveWindow
    documents: PositiveWindow
    second_person_over_fen: Fen
    penalty_policy: Literal["any", "unsettled"]
    required_documents: dict[EntityType, tuple[RefundDocument, ...]]

    @model_validator(mode="after")
    def _every_entity_is_told_what_to_bring(self) -> Self:
        if missing := set(EntityType) - set(self.required_documents):
            raise ValueError(f"no required documents for {', '.join(sorted(missing))}")
        return self
