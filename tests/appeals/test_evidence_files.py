"""Evidence files: known by their bytes, stored once, harmless by name, opened only by a link that fits."""

from __future__ import annotations

import errno
import io
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import fsspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import select

from models.base import new_id
from models.evidence import EvidenceItem, MediaType
from office.base.clock import VirtualClock, use_clock
from office.base.db import reading
from office.base.settings import settings
from office.files import evidence, fetching
from office.files.evidence import EvidenceDamaged, EvidenceRefused
from office.files.fetching import Fetcher
from policies.evidence import safe_name, sniff
from policies.policy import policy
from tests.appeals.bench import PDF, PNG, Bench
from webhooks.app import create_app

TOKEN = {"authorization": "Bearer token-of-the-tests"}
LIMITS = policy("2026-01-01").appeal.evidence


@pytest.fixture
def door(bench: Bench) -> TestClient:
    return TestClient(create_app(settings()), raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("content", "media"),
    [
        (b"\xff\xd8\xff\xe0rest", MediaType.JPEG), (PNG, MediaType.PNG), (b"GIF89a..", MediaType.GIF),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", MediaType.WEBP), (PDF, MediaType.PDF),
        (b"\x00\x00\x00\x18ftypmp42....", MediaType.MP4),
        (b"MZ\x90\x00", None), (b"\x7fELF", None), (b"PK\x03\x04", None), (b"<html><script>", None), (b"#!/bin/sh\n", None),
        (b"<svg xmlns=", None), (b"\x00\x00\x00\x18ftypheic", None), (b"", None), (b"RIFF\x00\x00\x00\x00AVI ", None),
    ],
)  # fmt: skip
def test_a_file_is_what_its_bytes_say(content: bytes, media: MediaType | None) -> None:
    assert sniff(content) is media


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "passwd.jpg"),
        ("发票.pdf.exe", "发票.pdf.jpg"),
        ("C:\\temp\\run.bat", "run.jpg"),
        ("a\r\nSet-Cookie: x.png", "aSet-Cookie_ x.jpg"),
        ("nul.png", "file-nul.jpg"),
        ("", "evidence.jpg"),
        ("\u202egpj.exe", "gpj.jpg"),
        ("...", "evidence.jpg"),
        ("快递 单.png", "快递 单.jpg"),
    ],
)
def test_a_harmful_name_becomes_a_harmless_one(name: str, safe: str) -> None:
    assert safe_name(name, MediaType.JPEG) == safe


@given(st.text(max_size=300), st.sampled_from(MediaType))
def test_whatever_a_file_is_called_its_name_is_safe_and_has_its_own_extension(name: str, media: MediaType) -> None:
    safe = safe_name(name, media)
    assert safe.endswith(f".{media.extension}")
    assert not set(safe) & set('/\\\r\n\0<>:"|?*;&$`')
    assert safe == safe.strip(" ")
    assert 5 <= len(safe) <= 100


def test_the_same_bytes_are_stored_once_and_recognised_per_shop(bench: Bench) -> None:
    bench.office.open_shop("shop-2")
    first = evidence.stage("shop-1", "a.png", io.BytesIO(PNG))
    again = evidence.stage("shop-1", "另一个名字.png", io.BytesIO(PNG))
    other = evidence.stage("shop-2", "a.png", io.BytesIO(PNG))
    assert (again.id, again.duplicate, first.duplicate) == (first.id, True, False)
    assert other.id != first.id
    assert not other.duplicate
    assert other.sha256 == first.sha256
    files = [path for path in (settings().home / "evidence").rglob("*") if path.is_file()]
    assert [path.name for path in files] == [first.sha256]


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "empty"), (b"MZ evil", "wrong-type"), (PNG + bytes(LIMITS.image_bytes), "too-large")],
)
def test_a_file_that_is_not_taken_leaves_nothing_behind(bench: Bench, content: bytes, code: str) -> None:
    with pytest.raises(EvidenceRefused) as refused:
        evidence.stage("shop-1", "x.png", io.BytesIO(content))
    assert refused.value.refusal.code == code
    assert not (settings().home / "evidence").exists()


def test_the_same_bytes_again_mend_a_stored_file_that_was_damaged(bench: Bench) -> None:
    staged = evidence.stage("shop-1", "a.png", io.BytesIO(PNG))
    stored = settings().home / "evidence" / staged.sha256[:2] / staged.sha256
    stored.write_bytes(b"rotten")
    again = evidence.stage("shop-1", "a.png", io.BytesIO(PNG))
    assert (again.id, stored.read_bytes()) == (staged.id, PNG)


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_a_file_that_finds_no_room_is_to_be_sent_again_and_leaves_nothing(
    door: TestClient, monkeypatch: pytest.MonkeyPatch, fault: int
) -> None:
    keep, room = evidence._keep, [False, True]

    def kept(*given: Any) -> None:
        if not room.pop(0):
            raise OSError(fault, "no room")
        keep(*given)

    monkeypatch.setattr(evidence, "_keep", kept)
    sent: dict[str, Any] = {"data": {"shop_id": "shop-1"}, "files": {"file": ("a.png", PNG)}, "headers": TOKEN}
    answer = door.post("/evidence", **sent)
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/not-ready")
    assert "send again" in answer.json()["detail"] and int(answer.headers["retry-after"]) > 0
    again = door.post("/evidence", **sent)
    assert (again.status_code, again.json()["duplicate"]) == (201, False)


def test_evidence_lives_in_any_bucket_by_setting(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIANWU_EVIDENCE_URL", "memory://bucket/evidence")
    settings.cache_clear()
    staged = evidence.stage("shop-1", "a.png", io.BytesIO(PNG))
    with reading() as tx:
        row = tx.exec(select(EvidenceItem)).one()
    assert b"".join(evidence.content(row)) == PNG
    bucket = fsspec.filesystem("memory")
    assert bucket.find("/bucket/evidence") == [f"/bucket/evidence/{staged.sha256[:2]}/{staged.sha256}"]
    assert not (settings().home / "evidence").exists()
    bucket.rm("/bucket", recursive=True)
    with pytest.raises(EvidenceDamaged):
        evidence.content(row)


def test_a_crash_while_writing_leaves_no_draft_behind(bench: Bench) -> None:
    class Breaks(io.BytesIO):
        reads = 0

        def read(self, size: int | None = -1) -> bytes:
            self.reads += 1
            if self.reads > 3:  # the head, the whole, its end; then the writing
                raise OSError("the disk is gone")
            return super().read(size)

    with pytest.raises(OSError, match="disk"):
        evidence.stage("shop-1", "a.png", Breaks(PNG))
    assert [path for path in (settings().home / "evidence").rglob("*") if path.is_file()] == []


def test_a_file_exactly_at_its_limit_is_taken(bench: Bench) -> None:
    content = PNG + bytes(LIMITS.image_bytes - len(PNG))
    assert evidence.stage("shop-1", "x.png", io.BytesIO(content)).size == LIMITS.image_bytes


def test_an_unknown_shop_stages_nothing(bench: Bench) -> None:
    with pytest.raises(EvidenceRefused, match="尚未登记"):
        evidence.stage("shop-9", "x.png", io.BytesIO(PNG))


# ── at the door ──


def test_a_picture_is_uploaded_with_a_token_and_opened_by_its_link_in_a_tab(bench: Bench, door: TestClient) -> None:
    upload = {"data": {"shop_id": "shop-1"}, "files": {"file": ('揽收".png', PNG, "text/html")}}
    assert door.post("/evidence", **upload).status_code == 401  # type: ignore[arg-type]
    answer = door.post("/evidence", headers=TOKEN, **upload)  # type: ignore[arg-type]
    assert answer.status_code == 201
    staged = answer.json()
    assert (staged["media_type"], staged["duplicate"]) == ("image/png", False)
    path = evidence.link(staged["id"], bench.now + timedelta(days=1)).removeprefix(settings().door_url)
    opened = door.get(path)
    assert opened.content == PNG
    assert opened.headers["content-type"] == "image/png"
    assert opened.headers["content-disposition"].startswith("inline;")
    assert all(
        "sandbox" in policy or "default-src 'none'" in policy
        for policy in opened.headers.get_list("content-security-policy")
    )
    assert "sandbox" in opened.headers["content-security-policy"]
    assert "nosniff" in opened.headers["x-content-type-options"]


def test_a_link_that_is_forged_moved_to_another_item_or_over_opens_nothing(bench: Bench, door: TestClient) -> None:
    mine, other = bench.stage(), bench.stage()
    path = evidence.link(mine, bench.now + timedelta(minutes=5)).removeprefix(settings().door_url)
    parts = parse_qs(urlsplit(path).query)
    exp, sig = int(parts["exp"][0]), parts["sig"][0]
    flipped = ("0" if sig[0] != "0" else "1") + sig[1:]
    assert door.get(path).status_code == 200
    assert door.get(f"/evidence/{other}?exp={exp}&sig={sig}").status_code == 404
    assert door.get(f"/evidence/{mine}?exp={exp + 60}&sig={sig}").status_code == 404
    assert door.get(f"/evidence/{mine}?exp={exp}&sig={flipped}").status_code == 404
    assert door.get(f"/evidence/{mine}").status_code == 422
    assert door.get(f"/evidence/{mine}", headers=TOKEN).status_code == 422, "not even the platform's token opens it"
    bench.office.clock.advance(timedelta(minutes=5))
    assert door.get(path).status_code == 404


def test_a_stored_file_that_was_changed_is_not_given_out(bench: Bench, door: TestClient) -> None:
    item = bench.stage()
    file = next(path for path in (settings().home / "evidence").rglob("*") if path.is_file())
    path = evidence.link(item, bench.now + timedelta(days=1)).removeprefix(settings().door_url)
    file.write_bytes(PNG + b"another picture")
    assert door.get(path).status_code == 503
    file.unlink()
    with reading() as tx:
        row = tx.exec(select(EvidenceItem)).one()
    with pytest.raises(EvidenceDamaged):
        evidence.content(row)


@pytest.mark.parametrize(
    ("send", "status"),
    [
        ({"data": {"shop_id": "shop-1"}}, 415),
        ({"files": {"file": ("a.png", PNG)}}, 422),
        ({"data": {"shop_id": "shop-1"}, "files": {"other": ("a.png", PNG)}}, 422),
        ({"data": {"shop_id": "shop-9"}, "files": {"file": ("a.png", PNG)}}, 422),
        ({"data": {"shop_id": "shop-1"}, "files": {"file": ("a.png", b"MZ")}}, 415),
        ({"data": {"shop_id": "shop-1"}, "files": {"file": ("a.png", PNG + bytes(LIMITS.image_bytes))}}, 413),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400),
        ({"data": {"shop_id": "shop-1", "url": "https://evil.example/x.png"}, "files": {"file": ("a.png", PNG)}}, 422),
    ],
)
def test_what_is_wrong_with_an_upload_is_said(door: TestClient, send: dict[str, object], status: int) -> None:
    headers = TOKEN | send.pop("headers", {})  # type: ignore[operator]
    answer = door.post("/evidence", headers=headers, **send)  # type: ignore[arg-type]
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_endless_upload_is_cut_off_without_reading_it_to_the_end(bench: Bench, door: TestClient) -> None:
    read = []

    def endless() -> Iterator[bytes]:
        yield b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
        for _ in range(4096):
            read.append(1)
            yield bytes(1 << 16)

    headers = TOKEN | {"content-type": "multipart/form-data; boundary=x"}
    assert door.post("/evidence", headers=headers, content=endless()).status_code == 413
    assert not (settings().home / "evidence").exists()


# ── by address ──


@contextmanager
def host(answers: dict[str, tuple[int, dict[str, str], bytes]], cert: Path | None = None) -> Iterator[int]:
    """A web server on this machine that answers by path, over TLS if it has a certificate; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answers[self.path]
            self.send_response(status)
            for name, value in {"content-length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if cert is not None:
        spoken = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        spoken.load_cert_chain(cert)
        server.socket = spoken.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def certificate(name: str, file: Path) -> Path:
    """A certificate for this name under its own authority, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(secret + built.public_bytes(pem))
    return file


def fetcher(*hosts: str, permitted: bool = True) -> Fetcher:
    """As in production, but for plain HTTP to this machine."""
    public = Fetcher([]).permitted
    return Fetcher(hosts, "http", lambda _host, _port: ["127.0.0.1"], (lambda _: True) if permitted else public)


def test_a_file_is_fetched_from_an_allowed_host_and_staged(bench: Bench) -> None:
    with host({"/p/%E5%8D%95.png?x=1": (200, {}, PNG)}) as port:
        address = f"img.example.com:{port}"
        staged = fetching.stage_from("shop-1", f"http://{address}/p/%E5%8D%95.png?x=1", fetcher(address))
    assert (staged.name, staged.media_type) == ("单.png", "image/png")
    with reading() as tx:
        assert tx.exec(select(EvidenceItem.origin)).one() == "img.example.com"


def test_only_listed_hosts_are_asked_and_no_redirect_leads_elsewhere(bench: Bench) -> None:
    pages = {
        "/away": (302, {"location": "http://evil.example.com/x.png"}, b""),
        "/here": (302, {"location": "/x.png"}, b""),
        "/x.png": (200, {}, PNG),
        "/loop": (302, {"location": "/loop"}, b""),
        "/unreadable": (302, {"location": "http://[::1"}, b""),
        "/gone": (404, {}, b""),
        "/large": (200, {}, PNG + bytes(5000)),
    }
    with host(pages) as port:
        address = f"img.example.com:{port}"
        ask = fetcher(address)
        assert ask.fetch(f"http://{address}/here", 1000)[1].tell() == len(PNG)
        refused = {
            f"http://{address}/away": "host-not-allowed",
            f"http://{address}/loop": "fetch-failed",
            f"http://{address}/gone": "fetch-failed",
            f"http://{address}/large": "too-large",
            f"http://user@{address}/x.png": "host-not-allowed",
            f"ftp://{address}/x.png": "host-not-allowed",
            f"http://other.example.com:{port}/x.png": "host-not-allowed",
            f"http://img.example.com:{port + 1}/": "host-not-allowed",
            "http://[::1": "host-not-allowed",
            f"http://{address}/unreadable": "fetch-failed",
            f"http://{address}/\x01": "fetch-failed",
            "http://127.0.0.1/x.png": "host-not-allowed",
            f"http://{address}.evil.com/x.png": "host-not-allowed",
        }
        for url, code in refused.items():
            with pytest.raises(EvidenceRefused) as said:
                ask.fetch(url, 1000)
            assert said.value.refusal.code == code, url


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.8", "192.168.1.1", "169.254.169.254", "172.16.0.1", "100.64.0.1", "::1", "fe80::1", "fc00::1",
     "::ffff:10.0.0.1", "0.0.0.0", "224.0.0.1", "::127.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1",
     "2001:0:4136:e378:8000:63bf:3fff:fdd2"],
)  # fmt: skip
def test_a_name_that_leads_into_a_private_network_is_refused(address: str) -> None:
    ask = Fetcher(["img.example.com"], resolve=lambda _host, _port: ["93.184.215.14", address])
    with pytest.raises(EvidenceRefused, match="不可访问的网络"):
        ask.fetch("https://img.example.com/x.png", 1000)


def test_a_file_that_trickles_in_is_given_up_in_the_end(bench: Bench) -> None:
    class Slow(VirtualClock):
        def ticks(self) -> float:
            self.advance(timedelta(seconds=31))
            return super().ticks()

    use_clock(Slow(bench.now))
    with host({"/x.png": (200, {}, PNG + bytes(1_000_000))}) as port:
        address = f"img.example.com:{port}"
        with pytest.raises(EvidenceRefused, match="超时"):
            fetcher(address).fetch(f"http://{address}/x.png", 2_000_000)


def test_a_file_that_leads_from_one_slow_address_to_the_next_is_given_up_in_the_end(bench: Bench) -> None:
    class Slow(VirtualClock):
        def ticks(self) -> float:
            self.advance(timedelta(seconds=25))
            return super().ticks()

    use_clock(Slow(bench.now))
    onward = {f"/{n}": (302, {"location": f"/{n + 1}"}, b"") for n in range(3)}
    with host(onward | {"/3": (200, {}, PNG)}) as port:
        address = f"img.example.com:{port}"
        with pytest.raises(EvidenceRefused, match="超时"):
            fetcher(address).fetch(f"http://{address}/0", 1000)


@pytest.mark.parametrize(("name", "taken"), [("img.example.com", True), ("other.example.com", False)])
def test_over_https_the_certificate_must_be_for_the_name_although_the_address_is_pinned(
    bench: Bench, tmp_path: Path, name: str, taken: bool
) -> None:
    cert = certificate("img.example.com", tmp_path / "cert.pem")
    with host({"/x.png": (200, {}, PNG)}, cert) as port:
        trusted = ssl.create_default_context(cafile=cert)
        ask = Fetcher([f"{name}:{port}"], "https", lambda _host, _port: ["127.0.0.1"], lambda _: True, trusted)
        if taken:
            assert ask.fetch(f"https://{name}:{port}/x.png", 1000)[1].tell() == len(PNG)
            return
        with pytest.raises(EvidenceRefused) as said:
            ask.fetch(f"https://{name}:{port}/x.png", 1000)
        assert said.value.refusal.code == "fetch-failed"


def test_an_evidence_id_has_the_form_the_door_expects(bench: Bench) -> None:
    from models.arbitration_events import EvidenceRef

    EvidenceRef.model_validate({"id": new_id("EV", bench.now), "kind": "OTHER"})
