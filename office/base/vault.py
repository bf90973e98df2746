"""Sealing: personal data is encrypted at rest under rotating keys and masked wherever it is shown.

What is sealed opens in its own place only: each value's key is made from the installation's key and the table, column
and row where it lies, so that whoever can write to the database gains nothing by copying one value over another.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import zlib
from functools import lru_cache
from typing import Any, NewType

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import SecretStr
from sqlalchemy import Table
from sqlmodel import SQLModel

from office.base.secret_forms import fernet_key
from office.base.settings import SettingsError, settings

PACK_FROM = 60
"""Bytes from which packing gains more than it costs."""
_PACKED = (b"\x78\x9c", b"\x78\xbb")
"""How what zlib packed begins, without and with our words, and no UTF-8 does."""
_WORDS = "".join((
    '"payee":{"method":"CORPORATE_ACCOUNT","name":"","account_no":"","bank_name":""}', '"applicant":{"role":"OWNER"',
    '"merchant_id":"', '"account":"', '"message_id":"', '"topic":"', '"amount_fen":', '"balance_fen":', '"clause":"',
    '"outcome":"', '"statement":"', '"period":"', '"ruling_id":"', '"order_id":"', '"aftersale_id":"', '"reason_text":"',
    '"documents":[{"name":"', '"kind":"', '"media_type":"', '"sha256":"', '"url":"', '"received_at":"', '"paid_at":"',
    '"exit_invoice.opened"', '"exit_invoice_due":"', '"review_due":"', '"year":20', '"due":"', '"opened_at":"',
    '{"case_id":"', '"case_kind":"', '"subject":"', '"gate":"', '关店审核', '退保证金', '申诉', '"role":"', '审核员',
    '"link":"http://127.0.0.1:4200/v2/runs/flow-run/', '{"shop_name":"', '{"type":"merchant.message.created"',
    '{"type":"case.opened","timestamp":"', '{"type":"case.state_changed","timestamp":"2026-', ':00+00:00","data":{"case_id":"',
    '"kind":"closure","kind_label":"关店","shop_id":"shop-', '"at":"2026-', '"origin":"platform/',
    '"state":"UNDER_REVIEW","state_label":"审核中","due_at":null}}',
)).encode()  # fmt: skip
"""What short messages of ours are made of. What was sealed with it cannot be read without it: never change it."""


_BOUND = "1:"
"""How a value begins that opens in its own place only. Those without it were sealed by earlier versions."""

Place = NewType("Place", str)
"""Where a sealed value lies: table, column and row."""


class CannotUnseal(ValueError):
    """No configured key opens this value here: a key was taken away before ``dianwu keys rotate`` ran, or the value was
    written for another place."""


def row_key(table: Table) -> tuple[str, ...]:
    """The columns that name a row for good: what the table says, or its primary key."""
    named: tuple[str, ...] = table.info.get("row", ())
    return named or tuple(column.name for column in table.primary_key)


def place(table: type[SQLModel], column: str, *row: object) -> Place:
    """The place of a column of the row with these values in ``row_key``'s columns."""
    return place_named(str(table.__tablename__), column, *row)


def place_named(table: str, column: str, *row: object) -> Place:
    return Place(f"{table}.{column}:{json.dumps([str(part) for part in row], ensure_ascii=False)}")


def place_in(row: SQLModel, column: str, *more: str) -> Place:
    """The place of a column of this row."""
    table = row.metadata.tables[str(row.__tablename__)]
    return place_named(table.name, column, *(getattr(row, name) for name in row_key(table)), *more)


@lru_cache(maxsize=4)
def _checked(keys: tuple[str, ...]) -> tuple[bytes, ...]:
    """The keys as bytes, each a proper one."""
    if not keys:
        raise SettingsError("没有 encryption_keys,请设置 DIANWU_ENCRYPTION_KEYS(dianwu keys new 可生成一把)")
    return tuple(base64.urlsafe_b64decode(fernet_key(SecretStr(key))) for key in keys)


def _master() -> tuple[bytes, ...]:
    return _checked(tuple(key.get_secret_value() for key in settings().encryption_keys))


def _key_of(master: bytes, where: Place) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(hmac.digest(master, where.encode(), hashlib.sha256)))


def _encrypt(plain: bytes, where: Place) -> str:
    return _BOUND + _key_of(_master()[0], where).encrypt(plain).decode()


def seal(text: str, where: Place) -> str:
    """Encrypt for this place under the newest key; what is long is packed first."""
    plain = text.encode()
    return _encrypt(_pack(plain) if len(plain) >= PACK_FROM else plain, where)


def _pack(plain: bytes) -> bytes:
    packer = zlib.compressobj(zdict=_WORDS)
    return packer.compress(plain) + packer.flush()


def _unpack(found: bytes) -> bytes:
    return zlib.decompressobj(zdict=_WORDS).decompress(found) if found.startswith(_PACKED) else found


def unseal(sealed: str, where: Place) -> str:
    """Decrypt under whichever key fits; raises :class:`CannotUnseal`. An empty value stays empty."""
    return _unpack(_decrypt(sealed, where)).decode() if sealed else ""


def _decrypt(sealed: str, where: Place) -> bytes:
    if not sealed.startswith(_BOUND):
        raise CannotUnseal("this value is not bound to a place: `dianwu migrate` binds what earlier versions sealed")
    token = sealed.removeprefix(_BOUND).encode()
    for master in _master():
        with contextlib.suppress(InvalidToken):
            return _key_of(master, where).decrypt(token)
    raise CannotUnseal("no configured key opens this value in this place")


def seal_json(value: Any, where: Place) -> str:
    return seal(json.dumps(value, ensure_ascii=False, separators=(",", ":")), where)


def unseal_json(sealed: str, where: Place) -> Any:
    return json.loads(unseal(sealed, where)) if sealed else None


def opened(row: SQLModel, column: str) -> str:
    """What lies sealed in a column of this row."""
    return unseal(getattr(row, column), place_in(row, column))


def opened_json(row: SQLModel, column: str) -> Any:
    return unseal_json(getattr(row, column), place_in(row, column))


def rotate(sealed: str, where: Place) -> str:
    """The same value under the newest key; raises :class:`CannotUnseal`."""
    return _encrypt(_decrypt(sealed, where), where) if sealed else sealed


def bind(sealed: str, where: Place) -> str:
    """What an earlier version sealed for no place in particular, sealed for this one; raises :class:`CannotUnseal`.

    For the migration alone: a value whose place is not proved must never be taken for one whose place is.
    """
    if not sealed or sealed.startswith(_BOUND):
        return sealed
    return _encrypt(_decrypt_unbound(sealed), where)


def unbind(sealed: str, where: Place) -> str:
    """What the version before this one can read; for the way back alone."""
    if not sealed.startswith(_BOUND):
        return sealed
    plain = _decrypt(sealed, where)
    return Fernet(base64.urlsafe_b64encode(_master()[0])).encrypt(plain).decode()


def _decrypt_unbound(sealed: str) -> bytes:
    try:
        return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in _master()]).decrypt(sealed.encode())
    except InvalidToken as error:
        raise CannotUnseal("no configured key opens this value") from error


def audit_key() -> bytes:
    """What seals, hashes and links are made with. Raises :class:`SettingsError` where there is none."""
    key = settings().audit_key.get_secret_value()
    if not key:
        raise SettingsError("没有 audit_key,请设置 DIANWU_AUDIT_KEY")
    return key.encode()


def keyed_hash(text: str) -> str:
    """An HMAC-SHA256 under the audit key: comparable, but not guessable by who holds only the database."""
    return hmac.digest(audit_key(), text.encode(), hashlib.sha256).hex()


def same(found: object, expected: str) -> bool:
    """Whether a seal found in the database, whatever somebody has written there, is the one that it must be."""
    return isinstance(found, str) and hmac.compare_digest(found.encode(errors="replace"), expected.encode())


def mask(text: str, keep: int = 4) -> str:
    """``尾号 1234`` style: everything but the last ``keep`` characters becomes ``*``."""
    return "*" * max(len(text) - keep, 0) + text[-keep:] if len(text) > keep else "*" * len(text)
