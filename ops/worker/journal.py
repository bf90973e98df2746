"""What this worker holds, written down before it claims, so that whoever starts next can take it up.

One file for each worker, locked while the worker lives: a file that can be locked belongs to a dead worker.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import UUID

from prefect.utilities.slugify import slugify


@dataclass
class Claim:
    """One segment in hand: the run, the Scheduled state it was claimed from, the Pending state we gave it."""

    flow_run_id: str
    from_state_id: str | None
    pending_state_id: str | None = None


class Journal:
    """The claims of one worker, on disk at every moment."""

    def __init__(self, folder: Path, pool: str, worker: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._prefix = folder, f"{slugify(pool)}--"
        self._claims: dict[int, Claim] = {}
        self._next = 0
        self._path, self._lock = self._open_own(slugify(worker) or "worker")

    def _open_own(self, worker: str) -> tuple[Path, int]:
        """The first free of `pool--worker.lock`, `pool--worker~2.lock`, …: two workers may bear one name."""
        for attempt in range(1, 1000):
            suffix = "" if attempt == 1 else f"~{attempt}"
            path = self._folder / f"{self._prefix}{worker}{suffix}.json"
            if (lock := _try_lock(path)) is not None:
                return path, lock
        raise RuntimeError(f"No free journal for worker {worker!r} in {self._folder}")

    def left_behind(self) -> Iterator[tuple[Path, list[Claim]]]:
        """Claims of workers of this pool on this machine that are dead, our own former self included.

        Each file is emptied by the caller's `forget` once its runs have been set back.
        """
        for path in sorted(self._folder.glob(f"{self._prefix}*.json")):
            lock = None if path == self._path else _try_lock(path)
            if path != self._path and lock is None:
                continue  # its worker lives
            try:
                claims = _read(path)
                if claims:
                    yield path, claims
            finally:
                if lock is not None:
                    os.close(lock)

    def forget(self, path: Path) -> None:
        """The claims in that file have been dealt with."""
        _write(path, [])
        if path == self._path:
            self._save()

    def open(self, flow_run_id: UUID, from_state_id: UUID | None) -> int:
        """Note that we are about to claim a run; returns the entry's number. What cannot be written is not noted."""
        self._next += 1
        self._claims[self._next] = Claim(str(flow_run_id), str(from_state_id) if from_state_id else None)
        try:
            self._save()
        except OSError:
            del self._claims[self._next]
            raise
        return self._next

    def claimed(self, entry: int, pending_state_id: UUID | None) -> None:
        """Note the Pending state that makes the run ours."""
        self._claims[entry].pending_state_id = str(pending_state_id) if pending_state_id else None
        self._save()

    def claim(self, entry: int) -> Claim:
        """What is noted about one segment in hand."""
        return self._claims[entry]

    def close(self, entry: int) -> None:
        """The segment has left us, whichever way."""
        self._claims.pop(entry, None)
        self._save()

    def release(self) -> None:
        """Give up the lock at a clean stop."""
        os.close(self._lock)

    def _save(self) -> None:
        _write(self._path, list(self._claims.values()))


def _try_lock(path: Path) -> int | None:
    """Lock `path`'s companion; None when another process holds it. The kernel frees it when that dies."""
    descriptor = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _read(path: Path) -> list[Claim]:
    try:
        return [Claim(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    except (FileNotFoundError, ValueError, TypeError):
        # Missing, or cut off by a power failure: the sweep in flows/deadlines.py finds such runs too.
        return []


def _write(path: Path, claims: list[Claim]) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps([asdict(claim) for claim in claims]), encoding="utf-8")
    draft.replace(path)  # a reader sees the old list or the new one, never half of one
