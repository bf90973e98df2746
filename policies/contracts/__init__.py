"""The online contract: each version's text as it was published, by its hash. A published file is never edited (OPN-12)."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files


class UnknownContract(LookupError):
    """No file holds this version. A bug, never an answer."""


@cache
def text_of(version: str) -> str:
    """The text of a version, such as ``2026-12-01``; raises UnknownContract."""
    if version not in versions():
        raise UnknownContract(f"no contract version {version!r}; there are: {', '.join(versions())}")
    return files("policies.contracts").joinpath(f"{version}.txt").read_text(encoding="utf-8")


@cache
def versions() -> tuple[str, ...]:
    """Every version there is, oldest first: earlier ones are kept, since people have signed them."""
    names = (entry.name for entry in files("policies.contracts").iterdir())
    return tuple(sorted(name.removesuffix(".txt") for name in names if name.endswith(".txt")))


def sha256_of(version: str) -> str:
    """What a signature is compared with: the SHA-256 of the text."""
    return hashlib.sha256(text_of(version).encode()).hexdigest()
