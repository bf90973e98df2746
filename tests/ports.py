"""Ports that nobody else takes meanwhile: below those that the kernel hands out by itself."""

from __future__ import annotations

import random
import socket
from pathlib import Path

FIRST = 20_000
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_chance = random.SystemRandom()
"""Its own: what pytest-randomly sets anew before each test is the same in every process of xdist."""


def free_port() -> int:
    """A port on which nobody listens. Who is to listen there comes seconds later, and may die and come back; of two who choose
    at the same time one in ten thousand meets the other, and none whom the kernel gives any port that is free."""
    end = int(_RANGE.read_text(encoding="ascii").split()[0]) if _RANGE.exists() else 32_768
    for _ in range(1_000):
        port = _chance.randrange(FIRST, max(end, FIRST + 10_000))
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    raise RuntimeError(f"no free port from {FIRST} on")
