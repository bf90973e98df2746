"""Passkeys: enrolled by invitation and code, and asked for a signature over a challenge of ours, once.

The library for the signatures is loaded at first use: most of the office does without.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlmodel import col, delete, select

from models.passkeys import Passkey, PasskeyInvitation, SignChallenge
from models.reviews import Role, Staff
from models.text import shortened
from office.base.clock import clock
from office.base.db import Tx
from office.base.settings import settings
from office.base.vault import keyed_hash, same
from office.record import alerts, audit, standing
from office.staff import staff, vouching
from office.staff.guard import Place
from policies.policy import policy_at

INVITED = timedelta(hours=24)
ASKED = timedelta(minutes=3)
"""How long a challenge may be answered."""
NOT_KNOWN = "通行密钥未登记或已停用,请使用动态口令"
NOT_SIGNED = "通行密钥的签名无法核验,请重试或使用动态口令"
NOT_INVITED = "邀请码不正确、已使用或已过期,请向主管重新索取"
ENROL = "enrol"
TOO_LATE = "签名请求已过期或已使用,请重新签名"


def place() -> tuple[str, str]:
    """The name that keys are bound to, and the one origin they sign on."""
    origin = settings().desk
    return urlsplit(origin).hostname or "", origin


# ── enrolling ────────────────────────────────────────────────────────────────


def invite(tx: Tx, staff_id: str, by: str, code: str) -> tuple[str, str]:
    """A supervisor, by their own code, lets somebody enrol one key within a day: the word to hand over, or why not."""
    proof = staff.prove(tx, by, code)
    if not proof.ok:
        return "", proof.sentence
    if Role.SUPERVISOR not in staff.find(tx, by).roles:
        return "", "只有主管可以邀请登记通行密钥"
    if staff_id == by:
        return "", "不能由本人邀请自己,请由另一位主管邀请"
    person, word = staff.find(tx, staff_id), secrets.token_hex(8)
    until = clock().real() + INVITED
    tx.add(PasskeyInvitation(word_hash=_hash(word), staff_id=person.id, invited_by=by, until=until))
    audit.record(
        tx,
        f"staff/{person.id}",
        "passkey.invited",
        actor=f"staff/{by}",
        text="邀请登记通行密钥(24 小时内一次有效)",
        invitation=_invitation(person.id, _hash(word), until),
    )
    return word, ""


def begin_enrolment(tx: Tx, staff_id: str, session_id: str, word: str, code: str) -> tuple[str, str]:
    """What the browser is to be asked, as JSON, for who holds an invitation and proves by a code who they are."""
    invitation = tx.get(PasskeyInvitation, _hash(word.strip().lower()))
    if invitation is None or invitation.staff_id != staff_id or invitation.used_at or clock().real() > invitation.until:
        return "", NOT_INVITED
    invited = _invitation(staff_id, invitation.word_hash, invitation.until)
    if not standing.holds(tx, staff_id, invited):
        standing.tell_revived(tx, staff_id, invited, "通行密钥邀请")
        return "", NOT_INVITED
    proof = staff.prove(tx, staff_id, code, place=Place.DESK, weighty=False)
    if not proof.ok:
        return "", proof.sentence
    invitation.used_at = clock().real()
    tx.add(invitation)
    audit.record(
        tx,
        f"staff/{staff_id}",
        "passkey.enrolling",
        actor=f"staff/{staff_id}",
        text="凭邀请登记通行密钥",
        invitation=invited,
    )
    from webauthn import generate_registration_options, options_to_json
    from webauthn.helpers.cose import COSEAlgorithmIdentifier as Algorithm
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    name, _ = place()
    statement = json.dumps({"invitation": invited, "by": invitation.invited_by, "nonce": secrets.token_hex(32)})
    challenge = digest(statement)
    _ask(tx, challenge, ENROL, staff_id, session_id, statement)
    options = generate_registration_options(
        rp_id=name,
        rp_name=staff.ISSUER,
        user_name=staff_id,
        user_display_name=staff.find(tx, staff_id).name,
        user_id=hashlib.sha256(f"staff/{staff_id}".encode()).digest(),
        challenge=challenge,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        supported_pub_key_algs=[
            Algorithm.ECDSA_SHA_256,
            Algorithm.EDDSA,
            Algorithm.RSASSA_PKCS1_v1_5_SHA_256,
        ],
        exclude_credentials=[PublicKeyCredentialDescriptor(id=raw(one.credential_id)) for one in of(tx, staff_id)],
    )
    return options_to_json(options), ""


def finish_enrolment(tx: Tx, staff_id: str, session_id: str, credential: str, name: str) -> str:
    """Keep the key that the browser made; a sentence if it cannot be taken."""
    from webauthn import verify_registration_response
    from webauthn.helpers import bytes_to_base64url
    from webauthn.helpers.exceptions import WebAuthnException

    host, origin = place()
    asked = _answered(tx, credential, ENROL)
    if asked is None or asked.staff_id != staff_id or asked.session_id != session_id:
        return TOO_LATE
    try:
        made = verify_registration_response(
            credential=credential,
            expected_challenge=bytes.fromhex(asked.id),
            expected_rp_id=host,
            expected_origin=origin,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError):
        return NOT_SIGNED
    credential_id = bytes_to_base64url(made.credential_id)
    if tx.get(Passkey, _id(credential_id)) is not None:
        return "该通行密钥已登记过"
    row = Passkey(
        id=_id(credential_id),
        staff_id=staff_id,
        credential_id=credential_id,
        public_key=bytes_to_base64url(made.credential_public_key),
        name=shortened(name.strip(), 60) or "通行密钥",
        device_bound=made.credential_device_type.value == "single_device",
        sign_count=made.sign_count,
        enrolled_at=clock().real(),
        seal="",
    )
    row.seal = _seal(row)
    tx.add(row)
    audit.record(
        tx,
        f"staff/{staff_id}",
        "passkey.enrolled",
        actor=f"staff/{staff_id}",
        text=f"登记通行密钥「{row.name}」",
        credential=credential_id,
        public_key=row.public_key,
        device_bound=row.device_bound,
        rp_id=host,
        origin=origin,
    )
    hours, by = policy_at(tx.now).staff.passkey_rest_hours, json.loads(asked.statement).get("by", "")
    vouching.tell(
        tx, staff.find(tx, staff_id), f"登记了通行密钥「{row.name}」", by, rested_at(row, hours), key="该通行密钥"
    )
    return ""


def of(tx: Tx, staff_id: str) -> list[Passkey]:
    """The keys this person may sign with, the newest first."""
    query = select(Passkey).where(Passkey.staff_id == staff_id, col(Passkey.ended_at).is_(None))
    return [one for one in tx.exec(query.order_by(col(Passkey.enrolled_at).desc())) if _ours(tx, one)]


def end(tx: Tx, passkey_id: str, staff_id: str) -> bool:
    """Stop taking one of this person's keys; whether there was one."""
    row = tx.get(Passkey, passkey_id)
    if row is None or row.staff_id != staff_id or row.ended_at is not None:
        return False
    row.ended_at = clock().real()
    tx.add(row)
    audit.record(
        tx,
        f"staff/{staff_id}",
        "passkey.ended",
        actor=f"staff/{staff_id}",
        text=f"停用通行密钥「{row.name}」",
        credential=row.credential_id,
    )
    return True


# ── signing ──────────────────────────────────────────────────────────────────


def begin(tx: Tx, purpose: str, staff_id: str | None, session_id: str | None, statement: str = "") -> str:
    """What the browser is to have signed, as JSON: the hash of a statement, or chance where there is none."""
    from webauthn import generate_authentication_options, options_to_json
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor, UserVerificationRequirement

    challenge = digest(statement) if statement else secrets.token_bytes(32)
    _ask(tx, challenge, purpose, staff_id, session_id, statement)
    keys = of(tx, staff_id) if staff_id else []
    return options_to_json(
        generate_authentication_options(
            rp_id=place()[0],
            challenge=challenge,
            user_verification=UserVerificationRequirement.REQUIRED,
            allow_credentials=[PublicKeyCredentialDescriptor(id=raw(one.credential_id)) for one in keys],
        )
    )


def take(tx: Tx, purpose: str, credential: str) -> tuple[Passkey | None, SignChallenge | None, str]:
    """The key that signed a challenge of ours and what it signed, both used up by this; or a sentence why not."""
    from webauthn import verify_authentication_response
    from webauthn.helpers.exceptions import WebAuthnException

    asked = _answered(tx, credential, purpose)
    if asked is None:
        return None, None, TOO_LATE
    row = tx.get(Passkey, _id(str(_parsed(credential).get("id", ""))))
    person = tx.get(Staff, row.staff_id) if row is not None else None
    if row is None or person is None or not person.active or row.ended_at is not None:
        return None, None, NOT_KNOWN
    if not _ours(tx, row):
        standing.tell_revived(tx, row.staff_id, row.credential_id, f"通行密钥「{row.name}」")
        return None, None, NOT_KNOWN
    host, origin = place()
    try:
        signed = verify_authentication_response(
            credential=credential,
            expected_challenge=bytes.fromhex(asked.id),
            expected_rp_id=host,
            expected_origin=origin,
            credential_public_key=raw(row.public_key),
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError):
        return None, None, NOT_SIGNED
    if 0 < signed.new_sign_count <= row.sign_count:  # two windows, or a copy of the key: a signal, no proof
        audit.record(
            tx,
            f"staff/{row.staff_id}",
            "passkey.count",
            text=f"通行密钥「{row.name}」的计数没有增长,可能被复制",
            credential=row.credential_id,
            said=signed.new_sign_count,
            known=row.sign_count,
        )
    row.sign_count, row.used_at = max(row.sign_count, signed.new_sign_count), clock().real()
    tx.add(row)
    return row, asked, ""


def digest(statement: str) -> bytes:
    """The challenge that a statement is signed under."""
    return hashlib.sha256(statement.encode()).digest()


def rested_at(row: Passkey, hours: int) -> datetime | None:
    """From when it signs what is weighty, so many hours after it was enrolled, if that is still ahead."""
    until = row.enrolled_at + timedelta(hours=hours)
    return until if clock().real() < until else None


def forget_old(tx: Tx) -> None:
    """Drop what nobody can answer any more; what was signed stands with the decision."""
    tx.exec(delete(SignChallenge).where(col(SignChallenge.until) < clock().real() - timedelta(days=1)))


def _ask(
    tx: Tx, challenge: bytes, purpose: str, staff_id: str | None, session_id: str | None, statement: str = ""
) -> None:
    row = SignChallenge(
        id=challenge.hex(),
        purpose=purpose,
        staff_id=staff_id,
        session_id=session_id,
        statement=statement,
        until=clock().real() + ASKED,
    )
    row.seal = _seal_of(row)
    tx.add(row)
    tx.flush()


def _answered(tx: Tx, credential: str, purpose: str) -> SignChallenge | None:
    """The challenge this answers, now used up; ``None`` when there is none that may still be answered."""
    try:
        said = json.loads(raw(_parsed(credential)["response"]["clientDataJSON"]))
        row = tx.get(SignChallenge, raw(said["challenge"]).hex())
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if row is None or row.purpose != purpose or row.used_at is not None or clock().real() > row.until:
        return None
    if not same(row.seal, _seal_of(row)):
        alerts.tell(
            tx,
            f"challenge/{row.id}/{row.seal}",
            where="通行密钥签名",
            finding=f"一份签名请求({row.purpose},{row.staff_id or '登录'})不是本系统所写:有人绕过系统改动了数据库。",
            consequence="签名未予采信;请核实署名人的会话与通行密钥,并立即排查谁改动了数据库。",
        )
        return None
    row.used_at = clock().real()
    tx.add(row)
    tx.flush()
    return row


def _parsed(credential: str) -> Mapping[str, Any]:
    found = json.loads(credential)
    return found if isinstance(found, dict) else {}


def raw(text: str) -> bytes:
    """The bytes of base64url."""
    from webauthn.helpers import base64url_to_bytes

    return base64url_to_bytes(text)


def _ours(tx: Tx, row: Passkey) -> bool:
    """Whether we enrolled this key, and the record knows of no end of it."""
    return same(row.seal, _seal(row)) and standing.holds(tx, row.staff_id, row.credential_id)


def _seal(row: Passkey) -> str:
    moment: datetime = row.enrolled_at
    return keyed_hash(f"passkey|{row.id}|{row.staff_id}|{row.public_key}|{row.device_bound}|{moment.isoformat()}")


def _seal_of(row: SignChallenge) -> str:
    parts = [row.id, row.purpose, row.staff_id, row.session_id, row.statement, row.until.isoformat()]
    return keyed_hash(f"challenge|{json.dumps(parts, ensure_ascii=False)}")


def _invitation(staff_id: str, word_hash: str, until: datetime) -> str:
    """How an invitation stands in the record: whose, until when, and not by which word."""
    return keyed_hash(f"invited|{staff_id}|{word_hash}|{until.isoformat()}")[:32]


def _id(credential_id: str) -> str:
    return hashlib.sha256(credential_id.encode()).hexdigest()


def _hash(word: str) -> str:
    return keyed_hash(f"passkey invitation|{word}")
