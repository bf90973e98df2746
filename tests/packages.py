"""What tests need of the system, installed from Debian's packages where that is possible without asking anybody."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

LOCK = Path(__file__).resolve().parents[1] / ".pytest_cache" / "packages.lock"


def may_install() -> bool:
    """Whether this is a Debian, and we are root there."""
    return hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(*packages: str) -> None:
    """Install them, one process of tests after the other: apt gives up where another is at it. What fails is seen by its absence."""
    LOCK.parent.mkdir(exist_ok=True)
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for arguments in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *packages]):
            subprocess.run(["apt-get", *arguments], check=False, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})
