"""The parts of an application: kept as they come, found missing, compared with those of an earlier one (OPN-3 … OPN-11)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from models.cases import Case, WaitState
from models.event_parts import DocumentKind
from models.opening import Need, OpeningPart, Part, Stage
from models.shops import EntityType, Shop, ShopState
from office.base.db import Tx, prepared
from office.base.vault import keyed_hash, opened_json, place, seal_json
from office.cases import cases, deadlines
from office.cases.cases import rules
from office.files import papers
from office.record import audit, outbox
from policies import opening as policy_of_opening
from policies.text import normalise_name, same_name
from tasks.opening.request import OpeningAsked
from tasks.shops.applications import KINDS

TASKS = "opening-tasks"
"""The kind of wait, and of deadline, that a stage of the merchant's has."""
LIVING = (ShopState.OPEN, ShopState.AWAITING_DEPOSIT, ShopState.CLEARING)
"""Shops whose name is theirs."""


def note(tx: Tx, case: Case, **changes: Any) -> None:
    """Write down with the request what has become of it."""
    case.request = {**case.request, **changes}
    tx.add(case)


# ── keeping ──────────────────────────────────────────────────────────────────


def find(tx: Tx, case_id: str, part: Part) -> OpeningPart | None:
    return tx.get(OpeningPart, (case_id, part))


def of_case(tx: Tx, case_id: str) -> dict[Part, OpeningPart]:
    return {row.part: row for row in sorted(_sent(tx, case_id), key=lambda row: list(Part).index(row.part))}


@prepared
def _sent(case_id: str) -> SelectOfScalar[OpeningPart]:
    return select(OpeningPart).where(OpeningPart.case_id == case_id)


def put(
    tx: Tx,
    case: Case,
    part: Part,
    fields: Mapping[str, Any],
    sealed: Mapping[str, Any],
    at: datetime,
    *,
    identity: str = "",
) -> None:
    """Keep a part in place of what was sent of it before, and see what is still missing."""
    whole = json.dumps([fields, sealed], ensure_ascii=False, sort_keys=True)
    _write(tx, case, part, dict(fields), dict(sealed), keyed_hash(whole), identity, at)
    audit.record(
        tx,
        case.id,
        "opening.part",
        actor=f"merchant/{OpeningAsked.of(case).account_id}",
        clause=policy_of_opening.clause_of(part),
        text=f"商家已提交:{part.label}",
        public=True,
        part=part,
        sha256=keyed_hash(whole),
    )
    came(tx, case, part.value)


def _write(
    tx: Tx,
    case: Case,
    part: Part,
    fields: dict[str, Any],
    sealed: dict[str, Any],
    digest: str,
    identity: str,
    at: datetime,
) -> None:
    row = find(tx, case.id, part) or OpeningPart(case_id=case.id, part=part, fields={}, sha256="", received_at=at)
    row.fields, row.sha256, row.identity_hash, row.received_at = fields, digest, identity, at
    row.fields_sealed = seal_json(sealed, place(OpeningPart, "fields_sealed", case.id, part)) if sealed else ""
    tx.add(row)
    tx.flush()


def copy(tx: Tx, before: Case, case: Case, *wanted: Part) -> None:
    """Take over what an earlier application had of these parts."""
    for part, row in of_case(tx, before.id).items():
        if part in wanted:
            sealed = opened_json(row, "fields_sealed") or {}
            _write(tx, case, part, row.fields, sealed, row.sha256, row.identity_hash, row.received_at)


def came(tx: Tx, case: Case, *what: str) -> None:
    """Something was brought: it is no longer asked for again, and the stage may be over."""
    left = {name: why for name, why in OpeningAsked.of(case).asked_again.items() if name not in what}
    note(tx, case, asked_again=left)
    look(tx, case)
    outbox.wake(tx, case)  # whoever is deciding is shown it


# ── what is missing ──────────────────────────────────────────────────────────


def wanted(tx: Tx, case: Case) -> tuple[Part | DocumentKind, ...]:
    asked = OpeningAsked.of(case)
    return policy_of_opening.asked_in(
        asked.stage, asked.entity_type, asked.categories, asked.own_trademark, rules(case).opening
    )


def missing(tx: Tx, case: Case) -> tuple[Need, ...]:
    """What the case's stage still lacks at this moment."""
    given, readable = of_case(tx, case.id), papers.readable_kinds(papers.of_case(tx, case))
    return policy_of_opening.missing(wanted(tx, case), given, readable, OpeningAsked.of(case).asked_again)


def look(tx: Tx, case: Case) -> bool:
    """End the merchant's stage if nothing is missing any more; whether it is over, however."""
    open_now = cases.open_waits(tx, case.id, TASKS)
    if open_now and not missing(tx, case):
        for wait in open_now:
            cases.close_wait(tx, wait, WaitState.ANSWERED)
            deadlines.stop(tx, case.id, wait.key)
        return True
    return not open_now


def licence_until(given: Mapping[Part, OpeningPart]) -> date | None:
    """Until when the licence is good, as the merchant has declared it; none for one without an end, or for a person."""
    until = given[Part.ENTITY].fields.get("licence_until") if Part.ENTITY in given else ""
    return date.fromisoformat(until) if until else None


# ── other shops ──────────────────────────────────────────────────────────────


def name_taken(tx: Tx, shop_id: str, name: str) -> bool:
    """Whether another shop has this name, or another application that is under way (OPN-3)."""
    running = select(Case.shop_id).where(col(Case.kind).in_(KINDS), col(Case.concluded_at).is_(None))
    query = select(Shop.id).where(
        Shop.name_key == normalise_name(name),
        Shop.id != shop_id,
        col(Shop.state).in_(LIVING) | ((col(Shop.state) == ShopState.APPLYING) & col(Shop.id).in_(running)),
    )
    return tx.exec(query.limit(1)).first() is not None


def banned(tx: Tx, account_id: str, uscc: str = "", identity: str = "") -> bool:
    """Whether the account, the business or the person had a shop that was closed by force (REO-5)."""
    owned = col(Shop.owner_account_id) == account_id
    if uscc:
        owned = owned | (col(Shop.uscc) == uscc)
    if identity:
        same = select(Case.shop_id).join(OpeningPart, col(OpeningPart.case_id) == Case.id)
        owned = owned | col(Shop.id).in_(same.where(OpeningPart.identity_hash == identity))
    return tx.exec(select(Shop.id).where(Shop.state == ShopState.FORCED_CLOSED, owned).limit(1)).first() is not None


def same_business(tx: Tx, shop_id: str, uscc: str) -> int:
    """How many other shops that are not closed the same business has."""
    if not uscc:
        return 0
    return len(tx.exec(select(Shop.id).where(Shop.uscc == uscc, Shop.id != shop_id, col(Shop.state).in_(LIVING))).all())


def own_account(tx: Tx, case: Case, holder: str) -> bool:
    """Whether an account in this name is the business's own: by its licence, or by its operator where that is a person.

    Before anybody has said who the business is nothing is known against it: the review looks again.
    """
    row = find(tx, case.id, Part.ENTITY)
    operator = ("legal_person",) if OpeningAsked.of(case).entity_type is EntityType.INDIVIDUAL_BUSINESS else ()
    return row is None or any(same_name(holder, str(row.fields[name])) for name in ("licence_name", *operator))


def transfers(tx: Tx, case: Case) -> bool:
    """Whether the account is verified by a random transfer: an individual business where it gave one (ambiguity 44)."""
    entity = OpeningAsked.of(case).entity_type
    given = entity is EntityType.INDIVIDUAL_BUSINESS and find(tx, case.id, Part.ACCOUNT) is not None
    return entity in rules(case).opening.transfer_of or given


def stage_papers(stage: Stage) -> frozenset[DocumentKind]:
    """Which kinds of paper may be sent in a stage: what was reviewed before stays as it was reviewed."""
    match stage:
        case Stage.MATERIALS:
            return frozenset(DocumentKind) - {DocumentKind.CERTIFICATE_FORM, DocumentKind.LOGO}
        case Stage.CERTIFICATE:
            return frozenset({DocumentKind.CERTIFICATE_FORM, DocumentKind.ACCOUNT_PERMIT})
        case Stage.FINISHING:
            identity = {DocumentKind.BUSINESS_LICENCE, DocumentKind.IDENTITY_CARD, DocumentKind.CERTIFICATE_FORM}
            return frozenset(DocumentKind) - identity
        case Stage.TRANSFER | Stage.DEPOSIT:
            return frozenset()


def stage_parts(stage: Stage, entity: EntityType) -> frozenset[Part]:
    """Which parts may be sent in a stage."""
    match stage:
        case Stage.MATERIALS:
            account = {Part.ACCOUNT} if entity is EntityType.INDIVIDUAL_BUSINESS else set()
            return frozenset({Part.BASICS, Part.ENTITY, Part.TRAINING} | account)
        case Stage.CERTIFICATE:
            return frozenset({Part.ACCOUNT})
        case Stage.FINISHING:
            return frozenset({Part.LINKS})
        case Stage.TRANSFER | Stage.DEPOSIT:
            return frozenset()
