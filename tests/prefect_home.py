"""Prefect's empty database, made once and copied: its ninety migrations are half of a server's start."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import prefect

KEPT = Path(__file__).resolve().parents[1] / ".pytest_cache"


def furnish(home: Path) -> Path:
    """Put the database of this version of Prefect there, under ``prefect``; the same folder."""
    kept = KEPT / f"prefect-{prefect.__version__}.db"
    kept.parent.mkdir(exist_ok=True)
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several processes of xdist come at once
        if not kept.exists():
            with tempfile.TemporaryDirectory() as folder:
                command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"]
                subprocess.run(command, env={**os.environ, "PREFECT_HOME": folder}, check=True, capture_output=True)
                shutil.copyfile(Path(folder, "prefect.db"), kept.with_suffix(".new"))
            kept.with_suffix(".new").rename(kept)
    (home / "prefect").mkdir(parents=True)
    shutil.copyfile(kept, home / "prefect" / "prefect.db")
    return home
