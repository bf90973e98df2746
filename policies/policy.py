"""The policy: every number the rules use, from effective-dated files, typed and checked when read.

A case keeps the version under which it was opened, so ``policy(case.policy_version)`` gives the numbers it
was promised, whatever has been decided since. What each section holds stands beside its rule (``policies/*_numbers.py``).
"""

from __future__ import annotations

import tomllib
from datetime import date, datetime
from functools import cache, lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from models.base import Frozen
from policies.appeal_numbers import AppealPolicy
from policies.binding_numbers import BindingPolicy
from policies.closure_numbers import ClosurePolicy, ForcedClosurePolicy
from policies.deadline_numbers import DeadlinePolicy, QuietHours, ReminderPolicy
from policies.deposit_numbers import DepositPolicy
from policies.invoicing_numbers import InvoicingPolicy
from policies.office_numbers import DecisionPolicy, InboxPolicy, StaffPolicy
from policies.opening_numbers import OpeningPolicy
from policies.refund_numbers import RefundPolicy
from policies.settlement_numbers import SettlementPolicy

SHANGHAI = ZoneInfo("Asia/Shanghai")
"""The zone every deadline is reckoned in."""


class UnknownPolicy(LookupError):
    """No file holds this version, or the moment lies before the first. A bug, never an answer."""


class Meta(Frozen):
    """Which policy this is. The version is the first day it is in force, as in the file's name."""

    version: str


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
