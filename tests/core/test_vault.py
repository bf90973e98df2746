"""Sealing: what was sealed can always be read again, by this version and by every later one."""

from __future__ import annotations

import zlib

import pytest
from cryptography.fernet import Fernet

from office.base import settings, vault

HERE = vault.place_named("shop", "contacts_sealed", "shop-1")

TEXTS = [
    "",
    "短",
    "{}",
    '{"case_id":"CLS-261119-KSCWDE","kind_label":"关店"}' * 3,
    "很长的一段话。" * 5_000,
    "x\x00y" * 40,
]


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_sealed_is_read_again_as_it_was(text: str) -> None:
    assert vault.unseal(vault.seal(text, HERE), HERE) == text


@pytest.mark.parametrize("text", TEXTS[1:])
@pytest.mark.parametrize("packed", [False, True])
def test_what_earlier_versions_sealed_plain_or_packed_without_words_is_read_once_it_is_bound(
    text: str, packed: bool
) -> None:
    key = settings.settings().encryption_keys[0].get_secret_value()
    plain = text.encode()
    before = Fernet(key).encrypt(zlib.compress(plain) if packed else plain).decode()
    assert vault.unseal(vault.bind(before, HERE), HERE) == text
    with pytest.raises(vault.CannotUnseal, match="not bound to a place"):
        vault.unseal(before, HERE)


def test_the_words_with_which_values_are_packed_never_change() -> None:
    assert zlib.adler32(vault._WORDS) == 0xFBB338B6, "what was sealed with other words is lost"


def test_a_short_event_takes_less_room_sealed_than_bare() -> None:
    event = (
        '{"type":"case.opened","timestamp":"2026-11-19T02:00:01+00:00","data":{"case_id":"CLS-261119-KSCWDE",'
        '"kind":"closure","kind_label":"关店","shop_id":"shop-1","at":"2026-11-19T02:00:01Z","origin":"platform/m-5"}}'
    )
    assert len(vault.seal(event, HERE)) < len(event.encode())


@pytest.mark.parametrize("written", ["封", "", "x", None, b"\x00", 7])
def test_no_seal_that_sql_has_written_is_a_fault_of_ours(written: object) -> None:
    assert not vault.same(written, vault.keyed_hash("what was sealed"))
