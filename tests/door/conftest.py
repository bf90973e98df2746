"""What the door's tests stand on: an installation of their own with an empty database, and its door."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from cryptography.fernet import Fernet
from fastapi import FastAPI

from office.base.settings import Settings, settings
from tests.door.doorkit import BANK, CURRENT, NEXT, SUBSCRIBER, TOKENS, Door, door_of
from tests.furniture import Storeroom
from tests.ports import free_port
from webhooks.app import create_app
from webhooks.guard import guarded


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, storeroom: Storeroom) -> Iterator[Settings]:
    """Settings and an empty database of this test's own."""
    values = {
        "HOME": str(tmp_path),
        "DOOR_PORT": str(free_port()),
        "ENCRYPTION_KEYS": json.dumps([Fernet.generate_key().decode()]),
        "AUDIT_KEY": "audit-key-of-a-test",
        "PLATFORM_SECRETS": json.dumps([CURRENT, NEXT]),
        "API_TOKENS": json.dumps(TOKENS),
        "SUBSCRIBER_SECRETS": json.dumps({"bank": BANK, "platform": SUBSCRIBER}),
        "RATE_LIMIT": "100000/minute",
    }
    monkeypatch.setenv("DIANWU_CONFIG", str(tmp_path / "none.toml"))
    for name, value in values.items():
        monkeypatch.setenv(f"DIANWU_{name}", value)
    settings.cache_clear()
    storeroom.empty()
    yield settings()
    settings.cache_clear()


@pytest.fixture
def door(installation: Settings) -> Door:
    return door_of(installation)


@pytest.fixture
def served(installation: Settings) -> Iterator[FastAPI]:
    """The door behind a real uvicorn on ``installation.door_url``, with the machine's own clock."""
    app = create_app(installation)
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=installation.door_port,
        log_level="warning",
        access_log=False,
        http=guarded(),
        ws="none",
    )
    server = uvicorn.Server(config)
    ready = threading.Event()
    startup = server.startup

    async def announce(*args: Any, **kwargs: Any) -> None:
        await startup(*args, **kwargs)
        ready.set()

    server.startup = announce  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert ready.wait(60), "the door did not open"
    yield app
    server.should_exit = True
    thread.join(60)
