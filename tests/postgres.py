"""A throw-away PostgreSQL for one command: ``python -m tests.postgres COMMAND…``.

Starts a private cluster on a free port in a temporary folder, sets ``DIANWU_TEST_POSTGRES`` for the command and
removes the cluster afterwards, whatever happened. Where no PostgreSQL can be had it says so and is content, except
in CI (``CI=true``), where that is a failure.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.packages import install, may_install
from tests.ports import free_port

SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "listen_addresses": "127.0.0.1",
}
"""Nothing in it has to survive the test."""


def binaries() -> Path | None:
    """Where ``initdb`` and ``pg_ctl`` are: on the path, or where Debian and others put the newest version."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    homes = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/opt/homebrew/opt").glob("postgresql*/bin")]
    usable = [home for home in homes if (home / "initdb").exists()]
    return max(
        usable, key=lambda home: [int(part) for part in home.parent.name.split(".") if part.isdigit()], default=None
    )


def _unprivileged() -> list[str]:
    """PostgreSQL refuses to run as root; then it runs as the user its package has made."""
    return ["runuser", "-u", "postgres", "--"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []


@contextmanager
def cluster(home: Path) -> Iterator[str]:
    """The address of an empty database in a running cluster, gone when the block ends."""
    shared = Path("/dev/shm")
    place = tempfile.mkdtemp(prefix="dianwu-postgres-", dir=shared if os.access(shared, os.W_OK) else None)
    folder, port, as_user = Path(place), free_port(), _unprivileged()
    try:
        if as_user:
            shutil.chown(folder, "postgres")
        data, log = folder / "data", folder / "log"
        _run(
            [*as_user, str(home / "initdb"), "-D", str(data), "-U", "dianwu", "-A", "trust", "-E", "UTF8", "--no-sync"]
        )
        options = " ".join(f"-c {name}={value}" for name, value in (SETTINGS | {"port": str(port)}).items())
        options += f" -c unix_socket_directories={folder}"
        control = [*as_user, str(home / "pg_ctl"), "-D", str(data), "-w"]
        _run([*control, "-l", str(log), "-o", options, "start"])
        try:
            yield f"postgresql+psycopg://dianwu@127.0.0.1:{port}/postgres"
        finally:
            _run([*control, "-m", "immediate", "stop"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{Path(command[-1]).name}: {' '.join(command)}\n{done.stdout}")


def skipped(why: str) -> int:
    """Say plainly that nothing was tested on PostgreSQL; in CI that is a failure."""
    sys.stderr.write(f"PostgreSQL tests skipped: {why}\n")
    return 1 if os.environ.get("CI") == "true" else 0


def main(command: Sequence[str]) -> int:
    if not command:
        sys.stderr.write("usage: python -m tests.postgres COMMAND…\n")
        return 2
    home = binaries()
    if home is None and may_install():
        install("postgresql")
        home = binaries()
    if home is None:
        return skipped("no PostgreSQL is installed (on Debian: apt-get install postgresql)")
    if _unprivileged() and not shutil.which("runuser"):
        return skipped("PostgreSQL does not run as root and there is no runuser to become somebody else")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the cluster is removed then, too
    with cluster(home) as address:
        return subprocess.run(command, env=os.environ | {"DIANWU_TEST_POSTGRES": address}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
