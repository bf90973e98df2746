"""Papers fetched from an address a merchant named: public hosts only, within limits of size and time."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import unquote, urljoin, urlsplit

import httpx

from office.base.clock import clock
from office.base.db import reading
from office.base.settings import settings
from office.files.evidence import CHUNK, Staged, refused, stage
from policies import evidence as rules_of_evidence
from policies.policy import policy_at

# ── by address ───────────────────────────────────────────────────────────────


def _addresses(host: str, port: int) -> list[str]:
    return sorted({str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})


_TUNNELS = [
    ipaddress.ip_network(text) for text in ("::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
]
"""IPv6 that carries an IPv4 address to somewhere we cannot judge: v4-compatible, NAT64, 6to4, Teredo."""


def _public(address: str) -> bool:
    found = ipaddress.ip_address(address)
    if found.version == 6 and any(found in tunnel for tunnel in _TUNNELS):
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_global and not found.is_multicast


@dataclass(frozen=True)
class Fetcher:
    """Fetches a file from an allow-listed host, and from nowhere else.

    The name is resolved once, every address it has must be public, and the connection goes to that very address:
    a name that changes its mind in between reaches nothing of ours.
    """

    hosts: Sequence[str]
    """``img.example.com``, or ``img.example.com:8443`` for another port; compared exactly."""
    scheme: str = "https"
    resolve: Callable[[str, int], list[str]] = _addresses
    permitted: Callable[[str], bool] = _public
    verify: ssl.SSLContext | bool = True
    timeout: float = 20
    """Seconds for each step: to connect, and to wait for more."""
    total: float = 60
    """Seconds for one file, however steadily it trickles, and for all the addresses it leads through."""
    redirects: int = 3

    def fetch(self, url: str, most: int) -> tuple[str, BinaryIO]:
        """The file's name and content, at most ``most`` bytes. Raises :class:`EvidenceRefused`."""
        ends = clock().ticks() + self.total
        for _ in range(self.redirects + 1):
            content, onward = self._get(url, most, ends)
            if content is not None:
                return unquote(urlsplit(url).path.rpartition("/")[2]) or "evidence", content
            try:
                url = urljoin(url, onward)
            except ValueError as error:
                raise refused("host-not-allowed", "凭证地址无法识别。") from error
        raise refused("fetch-failed", "凭证地址跳转次数过多,请提供直接地址。")

    def _get(self, url: str, most: int, ends: float) -> tuple[BinaryIO | None, str]:
        try:
            parts = urlsplit(url)
            port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
        except ValueError as error:
            raise refused("host-not-allowed", "凭证地址无法识别。") from error
        host = (parts.hostname or "").lower()
        plain = port == (443 if self.scheme == "https" else 80)
        listed = (host if plain else f"{host}:{port}") in {entry.lower() for entry in self.hosts}
        if parts.scheme != self.scheme or parts.username is not None or not host or not listed:
            raise refused("host-not-allowed", "凭证地址不在平台允许的域名范围内。")
        try:
            addresses = self.resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise refused("fetch-failed", "凭证地址无法解析,请稍后再试。") from error
        if not addresses or not all(self.permitted(address) for address in addresses):
            raise refused("host-not-allowed", "凭证地址指向不可访问的网络。")
        address = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
        target = parts._replace(netloc=f"{address}:{port}", fragment="").geturl()
        named = host if plain else f"{host}:{port}"
        wait = min(self.timeout, _left(ends))
        try:
            with (
                httpx.Client(verify=self.verify, trust_env=False, timeout=wait, follow_redirects=False) as client,
                client.stream(
                    "GET",
                    target,
                    headers={"host": named, "accept-encoding": "identity"},
                    extensions={"sni_hostname": host},
                ) as answer,
            ):
                if answer.has_redirect_location:
                    return None, answer.headers["location"]
                if answer.status_code != httpx.codes.OK:
                    raise refused("fetch-failed", f"凭证地址返回 HTTP {answer.status_code}。")
                return _read(_in_time(answer.iter_raw(CHUNK), ends), most), ""
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise refused("fetch-failed", "凭证下载失败,请稍后再试。") from error


def _left(ends: float) -> float:
    """Seconds left until then. Raises :class:`EvidenceRefused` when there are none."""
    left = ends - clock().ticks()
    if left <= 0:
        raise refused("fetch-failed", "凭证下载超时,请提供更快的地址或直接上传。")
    return left


def _in_time(chunks: Iterable[bytes], ends: float) -> Iterator[bytes]:
    for chunk in chunks:
        _left(ends)
        yield chunk


def _read(chunks: Iterable[bytes], most: int) -> BinaryIO:
    file: BinaryIO = tempfile.SpooledTemporaryFile(max_size=1 << 20)  # type: ignore[assignment]  # noqa: SIM115
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > most:
            file.close()
            raise refused("too-large", f"文件不能超过 {most // 1_048_576} MiB。")
        file.write(chunk)
    return file


def stage_from(shop_id: str, url: str, fetcher: Fetcher | None = None) -> Staged:
    """Fetch a file from an allow-listed host and stage it."""
    with reading() as tx:
        most = rules_of_evidence.most_bytes_of_all(policy_at(tx.now).appeal.evidence)
    name, content = (fetcher or Fetcher(settings().evidence_fetch_hosts)).fetch(url, most)
    with content:
        return stage(shop_id, name, content, origin=urlsplit(url).hostname or "")
