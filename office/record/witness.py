"""The witness: how the Prefect server that our stack starts signs an answer that came with a resume, and nothing else.

The key is this installation's, which Prefect's API does not give away. Light on imports: the server needs nothing else of us.
"""

from __future__ import annotations

from office.base.settings import settings
from office.base.vault import keyed_hash


def signature(run_id: str, key: str, value: str) -> str | None:
    """The signature of an answer; ``None`` where this process has no key to sign with."""
    if not settings().audit_key.get_secret_value():
        return None
    return keyed_hash(f"answer|{run_id}|{key}|{value}")
