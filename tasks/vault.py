"""Sealing: personal data is encrypted at rest under rotating keys and masked wherever it is shown."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import unicodedata
import zlib
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from tasks.settings import SettingsError, settings

PACK_FROM = 500
"""Bytes from which packing gains more than it costs: messages in HTML, big events."""
_PACKED = b"\x78\x9c"
"""How what zlib packed begins, and no UTF-8 does."""


class CannotUnseal(ValueError):
    """None of the configured keys opens this value: a key was taken away before ``dianwu keys rotate`` ran."""


@lru_cache(maxsize=4)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    if not keys:
        raise SettingsError("no encryption key: set DIANWU_ENCRYPTION_KEYS (`dianwu keys new` prints one)")
    return MultiFernet([Fernet(key) for key in keys])


def _keys() -> MultiFernet:
    return _fernet(tuple(key.get_secret_value() for key in settings().encryption_keys))


def seal(text: str) -> str:
    """Encrypt under the newest key; what is long is packed first."""
    plain = text.encode()
    return _keys().encrypt(zlib.compress(plain) if len(plain) >= PACK_FROM else plain).decode()


def unseal(sealed: str) -> str:
    """Decrypt under whichever key fits; raises :class:`CannotUnseal`. An empty value stays empty."""
    if not sealed:
        return ""
    try:
        found = _keys().decrypt(sealed.encode())
    except InvalidToken as error:
        raise CannotUnseal("no configured key opens this value") from error
    return (zlib.decompress(found) if found.startswith(_PACKED) else found).decode()


def seal_json(value: Any) -> str:
    return seal(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def unseal_json(sealed: str) -> Any:
    return json.loads(unseal(sealed)) if sealed else None


def rotate(sealed: str) -> str:
    """The same value under the newest key."""
    return _keys().rotate(sealed.encode()).decode() if sealed else sealed


def keyed_hash(text: str) -> str:
    """An HMAC-SHA256 under the audit key: comparable, but not guessable by who holds only the database."""
    key = settings().audit_key.get_secret_value()
    if not key:
        raise SettingsError("no audit key: set DIANWU_AUDIT_KEY")
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


_ACCOUNT_LIKE = re.compile(
    r"(?P<date>(?:19|20)\d\d[-.](?:0?[1-9]|1[0-2])[-.](?:0?[1-9]|[12]\d|3[01])(?![-.\d]))"
    r"|(?P<order>(?:订单|运单|退货单)(?:编?号)?[:\uff1a]?\s?\d+)|\d(?:[ \u3000-]?\d){7,}"
)


def mask_accounts(text: str) -> str:
    """Free text in which a run of eight digits or more, grouped or not, is only its last four.

    A date stays, and what is called the number of an order or a parcel: 订单号 6921, 运单 773.
    """
    return _ACCOUNT_LIKE.sub(
        lambda run: (
            run[0]
            if run["date"] or run["order"]
            else f"尾号 {re.sub('[^0-9]', '', unicodedata.normalize('NFKC', run[0]))[-4:]}"
        ),
        text,
    )


def mask(text: str, keep: int = 4) -> str:
    """``尾号 1234`` style: everything but the last ``keep`` characters becomes ``*``."""
    return "*" * max(len(text) - keep, 0) + text[-keep:] if len(text) > keep else "*" * len(text)
