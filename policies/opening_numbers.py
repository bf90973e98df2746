"""The numbers of opening a shop, apart from the rules that use them, since the policy is made of them (OPN, REO)."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar

from pydantic import Field

from models.event_parts import DocumentKind
from models.opening import ThirdPartyPlatform
from models.shops import EntityType
from models.windows import NaturalDays, PositiveWindow, WorkingDays
from policies.sections import Section

_BUSINESS = (DocumentKind.BUSINESS_LICENCE, DocumentKind.IDENTITY_CARD, DocumentKind.PRODUCT_INFO)


class OpeningPolicy(Section):
    """OPN: what a merchant brings, how long each side has, and how an account is verified.

    A file that says nothing of it was written before shops were opened here, and takes these.
    """

    since: ClassVar[str] = "2026-12-01"

    bring: PositiveWindow = NaturalDays(n=30)
    """How long the merchant has for each stage; silence ends the application, which can be taken up again."""
    entity_sla: PositiveWindow = WorkingDays(n=3)
    certificate_sla: PositiveWindow = WorkingDays(n=2)
    shop_sla: PositiveWindow = WorkingDays(n=3)
    """OPN-11: one to three working days; past it the supervisor is told."""
    least_fans: int = Field(default=0, ge=0)
    blue_v_of: tuple[EntityType, ...] = (EntityType.ENTERPRISE, EntityType.INDIVIDUAL_BUSINESS)
    """Who has to be certified as a business; everybody else gives a real name (OPN-1, ambiguity 1)."""
    papers: dict[EntityType, tuple[DocumentKind, ...]] = Field(
        default_factory=lambda: {
            EntityType.ENTERPRISE: _BUSINESS,
            EntityType.INDIVIDUAL_BUSINESS: _BUSINESS,
            EntityType.PERSON: (DocumentKind.IDENTITY_CARD, DocumentKind.PRODUCT_INFO),
        }
    )
    """What everybody of an entity type brings; conditional papers come beside it (OPN-7)."""
    licensed_categories: tuple[str, ...] = ("食品", "酒类", "医疗器械", "保健食品", "图书音像", "化妆品")
    """Level-1 categories that need an industry licence (OPN-7)."""

    certificate_of: tuple[EntityType, ...] = (EntityType.ENTERPRISE,)
    transfer_of: tuple[EntityType, ...] = (EntityType.ENTERPRISE,)
    """Who is always verified by a random transfer; an individual business where it gave a corporate account (ambiguity 44)."""
    transfer_least_fen: int = Field(default=1, ge=1)
    transfer_most_fen: int = Field(default=99, le=99)
    transfer_tries: int = Field(default=3, ge=1, le=5)
    transfers: int = Field(default=2, ge=1, le=3)
    transfer_entry: PositiveWindow = NaturalDays(n=7)
    """How long the amount can be entered, from the day the bank reports it settled (ambiguity 44)."""
    transfer_arrives: PositiveWindow = WorkingDays(n=3)
    """How soon the bank says what has become of a transfer; then finance is told."""
    transfer_sla: PositiveWindow = WorkingDays(n=2)
    """How soon a person decides about an account that could not be verified."""
    tries_per_payee: int = Field(default=6, ge=1)
    """Wrong amounts of one account or one payee in ``tries_within``, over all applications; then a person decides."""
    tries_within: PositiveWindow = NaturalDays(n=365)

    legacy_third_party_shop: bool = False
    """Whether the old route is open (OPN-14, ambiguity 1)."""
    legacy_fans: int = Field(default=300_000, ge=0)
    legacy_rating: Annotated[Decimal, Field(ge=0, le=5)] = Decimal("4.7")
    legacy_diamonds: int = Field(default=1, ge=0)
    legacy_platforms: tuple[ThirdPartyPlatform, ...] = tuple(ThirdPartyPlatform)
    import_from: tuple[ThirdPartyPlatform, ...] = (ThirdPartyPlatform.TAOBAO, ThirdPartyPlatform.TMALL)
    """Whose merchants are offered the one-click import (OPN-15)."""

    contract: str = "2026-12-01"
    """The version of the online contract that is offered: a file in ``policies/contracts/``."""
    contract_reminders: tuple[Annotated[int, Field(gt=0)], ...] = (3, 7, 15, 30)
    """So many days after the offer an open shop that has not signed is reminded (OPN-12)."""
