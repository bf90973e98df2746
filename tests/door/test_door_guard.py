"""Whoever has no signature and no token costs the door a connection for some seconds, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
import uvicorn

from webhooks.guard import HEAD_BYTES, HEAD_LINES, Guarded, guarded

Serve = Callable[..., int]
GET = b"GET /healthz HTTP/1.1\r\nhost: x\r\n"
PATIENCE = 60.0
"""Seconds after which a test gives up on what should have happened; how soon it does is nobody's concern."""


async def app(scope: dict[str, object], receive: Callable[..., object], send: Callable[..., object]) -> None:
    """Answers that it is there; what it reads of a body it throws away."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):  # type: ignore[misc]
        pass
    body = b"ok" if scope["path"] != "/long" else b"x" * 30_000_000
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]}
    )  # type: ignore[misc]
    await send({"type": "http.response.body", "body": body})  # type: ignore[misc]


@pytest.fixture
def serve() -> Iterator[Serve]:
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(**limits: object) -> int:
        listening = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(app, http=guarded(**limits), ws="none", lifespan="off", log_level="critical")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])))
        thread.start()
        running.append((server, thread))
        return int(listening.getsockname()[1])

    yield start
    for server, thread in running:
        server.should_exit = server.force_exit = True
        thread.join()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def answer(connection: socket.socket) -> tuple[int, dict[str, object]]:
    """Status and problem of what comes back, to the end of the connection."""
    said = b""
    try:
        while part := connection.recv(65_536):
            said += part
    except ConnectionResetError:
        pass
    head, _, body = said.partition(b"\r\n\r\n")
    status = int(head.split()[1]) if head else 0
    return status, json.loads(body) if b"problem+json" in head else {}


def ask(port: int) -> int:
    with closing(connect(port)) as connection:
        connection.sendall(GET + b"connection: close\r\n\r\n")
        return answer(connection)[0]


def test_headers_without_end_are_cut_off_and_take_no_memory(serve: Serve) -> None:
    port = serve()
    for piece in (b"x: " + b"y" * 1000 + b"\r\n", b"y" * 1000):  # many headers, and one that never ends
        with closing(connect(port)) as connection:
            connection.sendall(GET + b"endless: ")
            sent = 0
            try:
                while sent < 20_000_000:
                    connection.sendall(piece)
                    sent += len(piece)
            except OSError:
                pass
            assert sent < 10_000_000, "the socket's buffers, not the door, took it"
    assert ask(port) == 200


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (GET + b"a: " + b"y" * (HEAD_BYTES - 200) + b"\r\n", 200),
        (GET + b"a: " + b"y" * HEAD_BYTES + b"\r\n", 431),
        (b"GET /" + b"y" * HEAD_BYTES + b" HTTP/1.1\r\nhost: x\r\n", 431),
        (GET + b"a: b\r\n" * (HEAD_LINES - 2), 200),
        (GET + b"a: b\r\n" * HEAD_LINES, 431),
    ],
    ids=["large", "too large", "long address", "many lines", "too many lines"],
)
def test_a_head_is_as_large_as_it_may_be_and_no_larger(serve: Serve, head: bytes, status: int) -> None:
    with closing(connect(serve())) as connection:
        connection.sendall(head + b"connection: close\r\n\r\n")
        got, problem = answer(connection)
    assert got == status
    assert status == 200 or problem["type"] == "/problems/head-too-large"


def test_trailers_without_end_are_cut_off(serve: Serve) -> None:
    with closing(connect(serve())) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n")
        with pytest.raises(OSError):
            for _ in range(20_000):
                connection.sendall(b"a: " + b"y" * 1000 + b"\r\n")


@pytest.mark.parametrize("first", [b"", b"GET /", GET])
def test_headers_that_come_in_drops_are_not_waited_for(serve: Serve, first: bytes) -> None:
    with closing(connect(serve(head_seconds=0.4))) as connection:
        connection.sendall(first)
        dripping = threading.Event()

        def drip() -> None:
            while not dripping.wait(0.05):
                try:
                    connection.sendall(b"a" if first else b"G"[:0])
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        status, _ = answer(connection)  # the end of the connection, while drops still fall
        dripping.set()
        thread.join()
    assert status in {408, 0}


def test_the_next_request_on_a_connection_is_not_waited_for_either(serve: Serve) -> None:
    with closing(connect(serve(head_seconds=1.5))) as connection:
        connection.sendall(GET + b"\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
        connection.sendall(GET)
        assert answer(connection)[0] == 408


def test_when_all_connections_are_taken_whoever_has_sent_nothing_for_longest_makes_room(serve: Serve) -> None:
    seen = threading.Semaphore(0)

    def made(door: Guarded, transport: asyncio.Transport) -> None:
        Guarded.connection_made(door, transport)
        seen.release()

    port = serve(max_connections=5, connection_made=made)
    idle = [connect(port) for _ in range(5)]
    for connection in idle:
        connection.sendall(b"GET")
        assert seen.acquire(timeout=PATIENCE)
    for _ in range(5):
        assert ask(port) == 200
    for connection in idle:
        connection.close()


def test_an_answer_that_nobody_reads_is_not_kept(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webhooks.guard.STALLED_SECONDS", 0.3)
    gone = threading.Event()

    def lost(door: Guarded, why: Exception | None) -> None:
        Guarded.connection_lost(door, why)
        gone.set()

    with closing(connect(serve(connection_lost=lost))) as connection:
        connection.sendall(b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n")
        assert gone.wait(PATIENCE)
        size = 0
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(1_000_000):
                size += len(part)
        assert size < 30_000_000
