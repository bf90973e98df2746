"""Commands as a newcomer types them: started in a place of their own, and ended with Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.ports import free_port

DIANWU = Path(sys.executable).with_name("dianwu")
PORTS = ("DIANWU_PREFECT_PORT", "DIANWU_DOOR_PORT", "DIANWU_DESK_PORT")


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DIANWU_")}
    own = {"DIANWU_HOME": str(home), "DIANWU_CONFIG": str(home / "none.toml"), "COLUMNS": "200"}
    return kept | {name: str(free_port()) for name in PORTS} | own | more


@contextmanager
def until_interrupted(command: str, env: dict[str, str], when: str) -> Iterator[list[str]]:
    """What it says, from when it says that; then Ctrl-C is pressed, and nothing of it may be left."""
    running = subprocess.Popen(
        [DIANWU, command], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    assert running.stdout is not None
    said = []
    for line in running.stdout:
        said.append(line)
        if when in line:
            break
    try:
        yield said
    finally:
        running.send_signal(signal.SIGINT)
        said.append(running.stdout.read())
        code = running.wait(120)
    assert code == 0, "".join(said)
    for port in PORTS:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", int(env[port]))) != 0, f"somebody still listens on {port}"
