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
    return _keys().encrypt(_pack(plain) if len(plain) >= PACK_FROM else plain).decode()


def _pack(plain: bytes) -> bytes:
    packer = zlib.compressobj(zdict=_WORDS)
    return packer.compress(plain) + packer.flush()


def _unpack(found: bytes) -> bytes:
    return zlib.decompressobj(zdict=_WORDS).decompress(found) if found.startswith(_PACKED) else found


def unseal(sealed: str) -> str:
    """Decrypt under whichever key fits; raises :class:`CannotUnseal`. An empty value stays empty."""
    if not sealed:
        return ""
    try:
        found = _keys().decrypt(sealed.encode())
    except InvalidToken as error:
        raise CannotUnseal("no configured key opens this value") from error
    return _unpack(found).decode()


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
