"""The policy: every number the rules use, from effective-dated files, typed and checked when read.

A case keeps the version under which it was opened, so ``policy(case.policy_version)`` gives the numbers it
was promised, whatever has been decided since.
"""

from __future__ import annotations

import tomllib
from datetime import date, datetime, time
from decimal import Decimal
from functools import cache, lru_cache
from importlib.resources import files
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from models.arbitration import AppealReason, EvidenceKind, Handling, MediaType, WithdrawalReason
from models.base import Frozen
from models.deposits import RefundDocument
from models.event_parts import TaxpayerType
from models.invoicing import InvoiceContent
from models.money import Fen
from models.shops import EntityType
from models.windows import Hours, Months, NaturalDays, PositiveHours, PositiveWindow, WorkingDays
from policies.binding_numbers import BindingPolicy
from policies.opening_numbers import OpeningPolicy
from policies.settlement_numbers import SettlementPolicy

SHANGHAI = ZoneInfo("Asia/Shanghai")
"""The zone every deadline is reckoned in."""


class UnknownPolicy(LookupError):
    """No file holds this version, or the moment lies before the first. A bug, never an answer."""


HoursBefore = tuple[Annotated[int, Field(gt=0)], ...]


class Meta(Frozen):
    """Which policy this is. The version is the first day it is in force, as in the file's name."""

    version: str


class ClosurePolicy(Frozen):
    """CLS and REO: how long closing may take, and from when a shop may open again."""

    ask: PositiveWindow
    review_sla: PositiveWindow
    facts_stale_after: PositiveHours
    facts_ahead_minutes: int = Field(ge=0)
    facts_answer_within: PositiveWindow = Hours(n=4)
    clearing_reminder_every: PositiveWindow
    write_off_after: PositiveWindow = NaturalDays(n=15)
    """How long clearing may drag on until people are asked whether what stands open is written off, and asked again."""
    exit_invoice: PositiveWindow
    reopen: PositiveWindow
    reopen_strict: bool


class ForcedClosurePolicy(Frozen):
    """CLS-10: how soon and by how many different people a forced closure is decided, and what it held back."""

    review_sla: PositiveWindow
    receivables_sla: PositiveWindow = NaturalDays(n=30)
    people: Literal[2]
    """Two steps ask two people; the act counts them again."""


class RefundPolicy(Frozen):
    """REF: how soon a deposit goes back, on which papers, and when a second person looks."""

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


class DepositPolicy(Frozen):
    """DEP-1: a schedule for each entity type; DEP-7: the certification fee; DEP-10: what follows from paying neither."""

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


class EvidencePolicy(Frozen):
    """What evidence may be: how many items, how large, how long a link opens one."""

    max_items: int = Field(ge=1, le=50)
    forwarded_images: int = Field(ge=1, le=4)
    image_bytes: int = Field(ge=1)
    pdf_bytes: int = Field(ge=1)
    video_bytes: int = Field(ge=1)
    link_days: int = Field(ge=1, le=60)

    def most_bytes(self, media: MediaType) -> int:
        """How large a file of this type may be."""
        if media.is_image:
            return self.image_bytes
        return self.pdf_bytes if media is MediaType.PDF else self.video_bytes


class AppealPolicy(Frozen):
    """ARB and WDR: the merchant's two windows, our own times, who judges again, what a withdrawal undoes."""

    window: PositiveWindow
    reevidence: PositiveWindow
    max_reevidence: Literal[1]
    """One round (ambiguity 10): the gates know no second, and the first one counts those asked."""
    review_sla: PositiveWindow
    service_sla: PositiveWindow
    finance_sla: PositiveWindow
    notice_within: PositiveHours
    second_reviewer: Literal["same", "other"]
    withdrawal_sla: PositiveWindow
    withdrawal_strikes_ruling: bool
    withdrawal_returns_deduction: bool
    withdrawal_handling: dict[WithdrawalReason, Handling] = Field(default_factory=dict)
    """What is proposed for a deduction whose arbitration is withdrawn, for each reason; people decide (ambiguity 35)."""
    correction_sla: PositiveWindow
    evidence: EvidencePolicy
    checklist: dict[AppealReason, tuple[EvidenceKind, ...]]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if missing := set(AppealReason) - set(self.checklist):
            raise ValueError(f"no checklist for {', '.join(sorted(missing))}")
        if self.withdrawal_returns_deduction and not self.withdrawal_strikes_ruling:
            raise ValueError("withdrawal_returns_deduction without withdrawal_strikes_ruling: money of a valid ruling")
        return self


class ReminderPolicy(Frozen):
    """When people are reminded before a deadline, in hours before it, and how often lateness is escalated."""

    merchant_hours_before: HoursBefore
    ours_hours_before: HoursBefore
    escalate_every: PositiveHours


class DeadlinePolicy(Frozen):
    """How long after its due time a merchant's window lapses. Whoever came in time stays in time: the due time is
    what counts, and this is only how long we leave what is still on its way from the door into the inbox."""

    lapse_after_seconds: int = Field(ge=1)


class VatRates(Frozen):
    """Which VAT rates an invoice may show, in force from ``since`` to ``until`` inclusive (by its issue date)."""

    taxpayer: TaxpayerType
    content: InvoiceContent
    percents: tuple[Annotated[Decimal, Field(ge=0, lt=100)], ...]
    ordinary_only: bool = False
    since: date
    until: date | None = None
    source: str


class InvoicingPolicy(Frozen):
    """INV and CLS-8: the monthly run, what an invoice must show, and what not invoicing leads to."""

    run_day: int = Field(ge=1, le=28)
    run_hour: int = Field(ge=0, le=23)
    due: PositiveWindow
    freeze_percent: Annotated[Decimal, Field(gt=0, le=100)]
    reminder_hours_before: HoursBefore
    release_sla: PositiveWindow
    review_sla: PositiveWindow
    jump_percent: int = Field(gt=100)
    drop_percent: int = Field(ge=0, lt=100)
    change_floor_fen: Fen
    four_eyes_over_anomalies: int = Field(ge=0)
    four_eyes_over_percent: Annotated[Decimal, Field(ge=0, le=100)]
    line_tolerance_fen: int = Field(ge=0)
    oldest_invoice_days: int = Field(ge=1)
    service_names: frozenset[str] = Field(min_length=1)
    oldest_item_months: int = Field(ge=1)
    rates: tuple[VatRates, ...]

    @property
    def freeze_basis_points(self) -> int:
        """The share in hundredths of a per cent: 3000 for 30 %."""
        return int(self.freeze_percent * 100)


class QuietHours(Frozen):
    """Wall-clock times in Asia/Shanghai between which merchants are not reminded; may run over midnight."""

    start: time
    end: time


class StaffPolicy(Frozen):
    """How many wrong one-time codes lock a person at one place, for how many minutes, and how soon after a right code a
    second one opens the lock."""

    max_wrong_codes: int = Field(ge=1)
    lock_minutes: int = Field(ge=1)
    session_minutes: int = Field(default=0, ge=0, le=15)
    """How long one code opens a session for routine questions at the terminal; 0: not at all."""
    second_code_minutes: int = Field(default=5, ge=1, le=60)
    desk_idle_minutes: int = Field(default=30, ge=1, le=60)
    """How long a session at the desk holds while nothing is done in it."""
    desk_hours: int = Field(default=10, ge=1, le=12)
    """How long it holds at most."""
    claim_hours: int = Field(default=0, ge=0, le=24 * 7)
    """How long a claim holds before the question is everybody's again; 0: until it is released."""
    key_rest_hours: int = Field(default=24, ge=0, le=24 * 30)
    """How long codes of a new or another secret, or of somebody taken back, prove nothing weighty; in a demonstration they
    do at once."""
    passkey_rest_hours: int = Field(default=24, ge=0, le=24 * 30)
    """How long a new passkey signs nothing weighty: whoever got one enrolled in somebody's name is found out first."""
    answer_kept_minutes: int = Field(ge=1, le=24 * 60)
    bundle_minutes: int = Field(default=15, ge=0, le=24 * 60)
    """How long letters to a role wait for each other; 0 sends each by itself."""
    code_kept_minutes: int = Field(default=5, ge=1, le=60)
    """At most so long, whatever an older file says of answers: a code that lies in Prefect must not live for an hour."""

    @property
    def kept_minutes(self) -> int:
        """How old an answer may be that is still judged by the moment it was given."""
        return min(self.answer_kept_minutes, self.code_kept_minutes)


ROUTINE = ("closure-review", "withdrawal", "compensation-service", "invoice-review")
"""The floor: no other gate's decisions may be called routine or be taken on a session alone."""


class DecisionPolicy(Frozen):
    """How much rests on the decisions of a gate, and how long whoever decided may object before a weighty one counts."""

    routine: tuple[str, ...] = ROUTINE
    """Gates whose decisions move no money, ban nobody and are nobody's second look. Every other one is weighty."""
    by_session: tuple[str, ...] = ROUTINE
    """Gates that a session at the desk is proof enough for while nothing blocks; every other one takes a code each time."""
    signed_only: tuple[str, ...] = ()
    """Gates that take a passkey's signature and nothing else."""
    papers_first: tuple[str, ...] = ()
    """Gates that nobody decides before all papers of the question were handed to them at the desk."""
    objection: PositiveWindow = Hours(n=4)

    @field_validator("by_session")
    @classmethod
    def _not_under_the_floor(cls, gates: tuple[str, ...]) -> tuple[str, ...]:
        if low := sorted(set(gates) - set(ROUTINE)):
            raise ValueError(f"money, bans and second persons are never decided on a session alone: {', '.join(low)}")
        return gates


class InboxPolicy(Frozen):
    """How many hours a message that is early (its shop or blue invoice is not known yet) waits before it is refused."""

    early_hours: int = Field(default=24, ge=0, le=24 * 7)


class Policy(Frozen):
    """All of it. Unknown or missing entries are refused when the file is read, not when a case needs them."""

    meta: Meta
    closure: ClosurePolicy
    forced_closure: ForcedClosurePolicy
    refund: RefundPolicy
    deposit: DepositPolicy
    appeal: AppealPolicy
    reminders: ReminderPolicy
    deadlines: DeadlinePolicy
    invoicing: InvoicingPolicy
    quiet_hours: QuietHours
    staff: StaffPolicy
    inbox: InboxPolicy = InboxPolicy()
    decisions: DecisionPolicy = DecisionPolicy()
    bindings: BindingPolicy = BindingPolicy()
    opening: OpeningPolicy = OpeningPolicy()
    settlement: SettlementPolicy = SettlementPolicy()

    @property
    def version(self) -> str:
        return self.meta.version


def read_policy(text: str, version: str) -> Policy:
    """A policy from the text of its file; raises ValueError when the file says it is another version."""
    found = Policy.model_validate(tomllib.loads(text))
    if found.version != version:
        raise ValueError(f"policy file {version}.toml calls itself version {found.version}")
    return found


_chosen: dict[str, Policy] = {}


def use_policies(*given: Policy) -> None:
    """Have these stand beside the published versions, or in place of those of the same name; none: the published alone."""
    _chosen.clear()
    _chosen.update({one.version: one for one in given})


def versions() -> tuple[str, ...]:
    """Every version there is, oldest first."""
    return tuple(sorted({*_published(), *_chosen}))


@cache
def _published() -> tuple[str, ...]:
    names = (entry.name for entry in files("policies").joinpath("versions").iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


def policy(version: str) -> Policy:
    """The policy of one version, such as ``2026-01-01``; raises UnknownPolicy for any other word."""
    return _chosen.get(version) or _read(version)


@cache
def _read(version: str) -> Policy:
    if version not in _published():
        raise UnknownPolicy(f"no policy version {version!r}; there are: {', '.join(versions())}")
    text = files("policies").joinpath("versions", f"{version}.toml").read_text(encoding="utf-8")
    return read_policy(text, version)


@lru_cache(maxsize=4096)
def version_on(day: date, known: tuple[str, ...]) -> str:
    """The newest of the ``known`` versions in force on ``day``; raises UnknownPolicy before the first."""
    in_force = [version for version in known if date.fromisoformat(version) <= day]
    if not in_force:
        raise UnknownPolicy(f"no policy was in force on {day}; the first is {min(known, default='missing')}")
    return max(in_force)


def policy_at(moment: datetime) -> Policy:
    """The policy in force at an aware ``moment``, by its date in Asia/Shanghai."""
    if moment.tzinfo is None:
        raise ValueError(f"naive datetime {moment!r}: say which zone it is in")
    return policy(version_on(moment.astimezone(SHANGHAI).date(), versions()))
