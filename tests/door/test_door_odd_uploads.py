"""Forms with odd charsets, names and bytes are refused as what they are; a door that could keep nothing says so."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from office.base.settings import Settings
from tests.door.doorkit import TOKENS, Door, door_of

AUTH = {"authorization": f"Bearer {TOKENS[0]}"}
PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 20


def part(name: bytes, content: bytes, more: bytes = b"") -> bytes:
    return b'--b\r\nContent-Disposition: form-data; name="' + name + b'"' + more + b"\r\n\r\n" + content + b"\r\n"


def form(shop: bytes = b"shop-1", *parts: bytes) -> bytes:
    return part(b"shop_id", shop) + b"".join(parts) + b"--b--\r\n"


FILE = part(b"file", PNG, b'; filename="a.png"')

ODD = {
    "a charset nobody knows": ("multipart/form-data; boundary=b; charset=klingon", form(b"shop-1", FILE)),
    "a charset of bytes": ("multipart/form-data; boundary=b; charset=hex", form(b"shop-1", FILE)),
    "an escape as charset": ("multipart/form-data; boundary=b; charset=unicode_escape", form(rb"\ud800", FILE)),
    "idna": ("multipart/form-data; boundary=b; charset=idna", form(b"xn--\xff", FILE)),
    "utf-16": ("multipart/form-data; boundary=b; charset=utf-16", form(b"s\0h\0", FILE)),
    "a charset that is not ASCII": ("multipart/form-data; boundary=b; charset=ü".encode(), form(b"shop-1", FILE)),
    "nul in the shop": ("multipart/form-data; boundary=b", form(b"shop\x00-1", FILE)),
    "no UTF-8 in the shop": ("multipart/form-data; boundary=b", form(b"\xff\xfe", FILE)),
    "nul in the address": ("multipart/form-data; boundary=b", form(b"shop-1", part(b"url", b"https://x/\x00"))),
    "nul in the file's name": (
        "multipart/form-data; boundary=b",
        form(b"shop-1", part(b"file", PNG, b'; filename="a\x00.png"')),
    ),
    "nul in a field's name": ("multipart/form-data; boundary=b", part(b"shop\x00_id", b"shop-1") + b"--b--\r\n"),
    "no boundary": ("multipart/form-data", form(b"shop-1", FILE)),
    "a boundary with nul": (b"multipart/form-data; boundary=\x01", form(b"shop-1", FILE)),
    "bytes that are no form": ("multipart/form-data; boundary=b", b"\x00\xff" * 100),
    "a part without an end": ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="x"'),
    "a part without a name": (
        "multipart/form-data; boundary=b",
        b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--\r\n",
    ),
    "a header of a part that is none": ("multipart/form-data; boundary=b", b"--b\r\n: : :\r\n\r\nx\r\n--b--\r\n"),
    "nothing": ("multipart/form-data; boundary=b", b""),
}


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_form_is_refused_and_never_a_fault_of_ours(installation: Settings, odd: str) -> None:
    door = door_of(installation)
    media_type, body = ODD[odd]
    answer = door.client.post("/evidence", content=body, headers={**AUTH, "content-type": media_type})  # type: ignore[dict-item]
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


# ── nothing could be kept ────────────────────────────────────────────────────


def detail(door: Door) -> str:
    answer = door.client.get("/readyz")
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/not-ready")
    return str(answer.json()["detail"])


def test_a_door_on_a_disk_that_is_almost_full_is_not_ready(installation: Settings) -> None:
    free = shutil.disk_usage(installation.home).free // 1024 // 1024
    assert door_of(installation.model_copy(update={"min_free_mb": free // 2})).client.get("/readyz").status_code == 200
    assert "almost full" in detail(door_of(installation.model_copy(update={"min_free_mb": free * 2})))


def test_a_door_whose_home_cannot_be_written_is_not_ready(installation: Settings, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    assert "home" in detail(door_of(installation.model_copy(update={"home": gone})))
    gone.write_text("no folder")
    assert "home" in detail(door_of(installation.model_copy(update={"home": gone})))


def test_a_door_whose_database_takes_nothing_is_not_ready(installation: Settings) -> None:
    from sqlalchemy import event

    from office.base import db

    door = door_of(installation)

    def full(connection: object, cursor: object, statement: str, *_: object) -> None:
        if statement.startswith(("INSERT", "UPDATE")):
            raise db.OperationalError(statement, {}, Exception("database or disk is full"))

    event.listen(db.engine(), "before_cursor_execute", full)
    try:
        assert "disk of the database is full" in detail(door)
    finally:
        event.remove(db.engine(), "before_cursor_execute", full)
    assert door.client.get("/readyz").status_code == 200
