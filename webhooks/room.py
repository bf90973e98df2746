"""Room: whether what comes in can be kept, tried by keeping something."""

from __future__ import annotations

import os
import shutil
import tempfile
from datetime import UTC, datetime

from models.audit import Installation
from office.base.clock import clock
from office.base.db import Tx, in_transaction
from office.base.settings import Settings
from webhooks.problems import Problem

TRUSTED_SECONDS = 5.0
"""How long a trial that went well is believed, so that asking often costs nothing."""


class Room:
    """Writes a row and a file, and looks how much room is left."""

    def __init__(self, settings: Settings) -> None:
        self._home, self._min_free = settings.home, settings.min_free_mb * 1024 * 1024
        self._good_since: float | None = None

    def check(self) -> None:
        """Raises :class:`Problem` 503 when nothing could be kept; the database's own refusal is raised as it is."""
        now = clock().ticks()
        if self._good_since is not None and now - self._good_since < TRUSTED_SECONDS:
            return
        self._good_since = None
        self._disk()
        in_transaction(_write)
        self._good_since = now

    def _disk(self) -> None:
        try:
            free = shutil.disk_usage(self._home).free
            with tempfile.TemporaryFile(dir=self._home) as probe:
                probe.write(b"x" * 4096)
                probe.flush()
                os.fsync(probe.fileno())
        except OSError as error:
            raise Problem(
                503, "not-ready", f"Nothing can be written to home: {os.strerror(error.errno or 0)}."
            ) from None
        if free < self._min_free:
            raise Problem(503, "not-ready", f"The disk of home is almost full: {free // 1024 // 1024} MB left.")


def _write(tx: Tx) -> None:
    row = tx.get(Installation, "door.ready") or Installation(key="door.ready", value="")
    row.value = datetime.now(UTC).isoformat()
    tx.add(row)
