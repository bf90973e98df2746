"""Whole: a file is written beside its place and moved there at one stroke."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(target: Path) -> Iterator[Path]:
    """Where to write what is to be ``target``. Whoever opens that reads the old file or the new one, never half; when the
    writing ends with an error, what was there stays. A pipe or a device is written to as it is."""
    if target.exists() and not target.is_file():
        yield target
        return
    draft = target.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        yield draft
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
