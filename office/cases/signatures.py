"""Signatures: a decision signed by its author's key, over everything that it says and that they were shown; several like
ones by one signature, over the list of them.

What was signed stands whole in the audit chain, beside the key as it was enrolled; checking it needs nothing else.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlmodel import col, select

from models.audit import AuditEntry
from models.base import Frozen
from models.passkeys import SignChallenge
from models.reviews import Review, ReviewState
from office.base.clock import clock
from office.base.db import Tx
from office.base.vault import keyed_hash
from office.cases import looks
from office.staff import passkeys, staff
from policies.policy import policy_at

PURPOSE = "decide"
TOGETHER = "decide together"
COPIED = "该通行密钥会被同步到其他设备,此事项须用仅在本设备的通行密钥签名,或使用动态口令"
NOT_THIS = "签名的内容与提交的不一致,请核对后重新签名"


class Said(Frozen):
    """What somebody decides, as it will be kept."""

    staff_id: str
    verdict: str
    reason: str
    fields: dict[str, Any]


def only(title: str) -> str:
    """The sentence where policy takes nothing else."""
    return f"「{title}」须在工作台用通行密钥签名"


def begin(tx: Tx, review: Review, said: Said, session_id: str) -> str:
    """What the browser is to have signed, as JSON: the hash of the statement of this decision."""
    statement = {**_decision(tx, review, said), **_once(session_id)}
    return passkeys.begin(tx, PURPOSE, said.staff_id, session_id, _packed(statement))


def unproved(tx: Tx, review: Review, said: Said, credential: str, rest_hours: int) -> str | None:
    """Why this signature does not prove that they decided this; it is used up, whatever follows."""
    statement, sentence = _taken(tx, PURPOSE, said.staff_id, review.gate, credential, rest_hours)
    if not sentence and any(statement.get(name) != value for name, value in _about(review, said).items()):
        return NOT_THIS
    return sentence


def _taken(
    tx: Tx, purpose: str, staff_id: str, gate: str, credential: str, rest_hours: int
) -> tuple[dict[str, Any], str | None]:
    """The statement that this person's key signed, used up by this; or why it proves nothing."""
    key, asked, sentence = passkeys.take(tx, purpose, credential)
    if key is None or asked is None:
        return {}, sentence
    if key.staff_id != staff_id or asked.staff_id != staff_id:
        return {}, "签名不是由您的通行密钥作出的"
    if rest_hours and (until := passkeys.rested_at(key, rest_hours)) is not None:
        return {}, f"{staff.rests_until(until, '通行密钥')},此前请使用动态口令"
    if gate in policy_at(tx.now).decisions.device_bound and not key.device_bound:
        return {}, COPIED
    return json.loads(asked.statement), None


def kept(tx: Tx, review: Review, said: Said, credential: str) -> dict[str, Any]:
    """What of a signature is written into the record, under the name ``signed``: enough to check it for years."""
    given, asked = json.loads(credential), _asked(tx, credential)
    response, statement = given["response"], json.loads(asked.statement)
    signed = {
        "statement": asked.statement,
        "credential": given["id"],
        "client_data": response["clientDataJSON"],
        "authenticator_data": response["authenticatorData"],
        "signature": response["signature"],
    }
    if "decisions" in statement:
        statement = _decision(tx, review, said)
        signed["decision"] = _packed(statement)
    return {"signed": signed, "papers": statement.get("papers", [])}


def _asked(tx: Tx, credential: str) -> SignChallenge:
    """What was asked to be signed by this."""
    said = json.loads(passkeys.raw(json.loads(credential)["response"]["clientDataJSON"]))
    return tx.get_one(SignChallenge, passkeys.raw(said["challenge"]).hex())


# ── several by one signature ─────────────────────────────────────────────────


def begin_together(tx: Tx, asked: Iterable[tuple[Review, Said]], staff_id: str, session_id: str) -> str:
    """What the browser is to have signed for several decisions, as JSON: the hash of the list of their statements."""
    hashes = [_hash(_decision(tx, review, said)) for review, said in asked]
    statement = {
        "v": 1,
        "kind": "dianwu/batch",
        "installation": keyed_hash("installation")[:16],
        "staff": staff_id,
        "decisions": hashes,
        **_once(session_id),
    }
    return passkeys.begin(tx, TOGETHER, staff_id, session_id, _packed(statement))


def unproved_together(tx: Tx, staff_id: str, gate: str, credential: str, rest_hours: int) -> str | None:
    """Why this signature does not prove that they signed a list; it is used up. Whether a decision is in it, each asks."""
    return _taken(tx, TOGETHER, staff_id, gate, credential, rest_hours)[1]


def lists(tx: Tx, review: Review, said: Said, credential: str) -> bool:
    """Whether the list that was signed holds this very decision."""
    return _hash(_decision(tx, review, said)) in json.loads(_asked(tx, credential).statement)["decisions"]


def check(tx: Tx) -> Iterator[str]:
    """Signed decisions that do not fit any more, a sentence each: what was signed, by which key, and what stands now."""
    lines = select(AuditEntry).where(col(AuditEntry.action).in_(["passkey.enrolled", "review.decided"]))
    keys: dict[tuple[str, str], Mapping[str, Any]] = {}
    last: dict[str, AuditEntry] = {}
    for line in tx.exec(lines.order_by(col(AuditEntry.id)).execution_options(yield_per=1000)):
        if line.action == "passkey.enrolled":
            keys[line.actor, line.detail["credential"]] = line.detail
            continue
        last[line.detail["review"]] = line
        if "signed" in line.detail and (wrong := _wrong(line, keys)):
            yield f"{line.stream}: {line.detail['review']}: {wrong}"
    for review_id, line in last.items():
        row = tx.get(Review, review_id)
        if "signed" in line.detail and row is not None and row.state is ReviewState.DECIDED:
            said = _said_in(line.detail["signed"])
            now = {"staff": row.decided_by, "verdict": row.verdict, "reason": row.reason, "fields": row.answer}
            if differs := [name for name, value in now.items() if said.get(name) != value]:
                yield f"{line.stream}: {review_id}: the decision is not the one that was signed ({', '.join(differs)})"
            if row.dossier_sha256 != said["shown_sha256"]:
                yield f"{line.stream}: {review_id}: what is kept as shown is not what was signed"


def _wrong(line: AuditEntry, keys: Mapping[tuple[str, str], Mapping[str, Any]]) -> str:
    from webauthn import verify_authentication_response
    from webauthn.helpers.exceptions import WebAuthnException

    signed = line.detail["signed"]
    key = keys.get((line.actor, signed["credential"]))
    if key is None:
        return "signed by a key that its author had not enrolled"
    said, whole = _said_in(signed), json.loads(signed["statement"])
    if "decision" in signed and (_hash(said) not in whole["decisions"] or whole["staff"] != said["staff"]):
        return "the list that was signed does not hold this decision"
    told = {
        "review": line.detail["review"],
        "verdict": line.detail["verdict"],
        "reason": line.detail["reason"],
        "fields": line.detail["answer"],
        "shown_sha256": line.detail["shown_sha256"],
    }
    told |= {"papers": line.detail["papers"]} if "papers" in line.detail else {}
    if f"staff/{said['staff']}" != line.actor or any(said.get(name) != value for name, value in told.items()):
        return "the record is not what was signed"
    response = {
        "clientDataJSON": signed["client_data"],
        "authenticatorData": signed["authenticator_data"],
        "signature": signed["signature"],
    }
    try:
        verify_authentication_response(
            credential={
                "id": signed["credential"],
                "rawId": signed["credential"],
                "type": "public-key",
                "response": response,
            },
            expected_challenge=passkeys.digest(signed["statement"]),
            expected_rp_id=key["rp_id"],
            expected_origin=key["origin"],
            credential_public_key=passkeys.raw(key["public_key"]),
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError):
        return "the signature does not fit what was decided"
    return ""


def _said_in(signed: Mapping[str, Any]) -> dict[str, Any]:
    """The statement of this decision: what was signed, or what the list that was signed names by its hash."""
    found: dict[str, Any] = json.loads(signed.get("decision", signed["statement"]))
    return found


def _decision(tx: Tx, review: Review, said: Said) -> dict[str, Any]:
    """What a decision says and rests on."""
    seen = [[one.id, one.sha256, one.seen] for one in looks.papers_seen(tx, review, said.staff_id)]
    return {
        "v": 2,
        "kind": "dianwu/decision",
        "installation": keyed_hash("installation")[:16],
        **_about(review, said),
        "papers": seen,
    }


def _once(session_id: str) -> dict[str, str]:
    """What makes a statement one that nobody has signed before."""
    return {"session": session_id, "nonce": secrets.token_hex(32), "issued_at": clock().real().isoformat()}


def _hash(statement: Mapping[str, Any]) -> str:
    return hashlib.sha256(_packed(statement).encode()).hexdigest()


def _about(review: Review, said: Said) -> dict[str, Any]:
    return {
        "review": review.id,
        "revision": review.revision,
        "shown_sha256": review.dossier_sha256,
        "facts_sha256": review.facts_sha256,
        "verdict": said.verdict,
        "reason": said.reason,
        "fields": said.fields,
        "staff": said.staff_id,
    }


def _packed(statement: Mapping[str, Any]) -> str:
    return json.dumps(statement, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
