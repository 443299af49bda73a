"""Bodies as they arrive, answers as they are taken, and no thread lost to a slow client."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from photolala.web.receiver import Bounds, Receiver

UPLOAD = "/api/v1/uploads/5f0c2f8e-3d1b-4c55-9a41-0e6d3a1f7c10/"
QUICK = Bounds(
    body_bytes=100,
    in_memory_bytes=10,
    idle_seconds=0.05,
    upload_idle_seconds=0.2,
    flush_seconds=0.05,
    piece_bytes=8,
    checksum_bytes=50,
)


class Client:
    """One request: what it sends, part by part, and what came back."""

    def __init__(self, method: str, path: str, *parts: bytes | None, headers: dict[str, str] | None = None) -> None:
        said = {"host": "localhost", "transfer-encoding": "chunked", **(headers or {})}
        self.scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "scheme": "http",
            "client": ("127.0.0.1", 1),
            "server": ("localhost", 8000),
            "headers": [(name.encode(), value.encode()) for name, value in said.items()],
        }
        self.parts = list(parts)
        self.sent: list[dict[str, Any]] = []
        self.gone = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        """Give the next part; None is a client that goes away, and with no part left it is silent."""
        if not self.parts:
            await self.gone.wait()
            return {"type": "http.disconnect"}
        part = self.parts.pop(0)
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": part != b""}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])


def echo(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["wsgi.input"].read(), environ.get("HTTP_COOKIE", "").encode()]


async def no_events(*_: Any) -> None:
    raise AssertionError("nobody asked for events")


def receiver(application: Any, folder: Path, *, threads: int = 1, bounds: Bounds = QUICK) -> Receiver:
    return Receiver(application, threads, no_events, lambda path: False, folder, bounds)


def ask(server: Receiver, *clients: Client) -> None:
    async def all_of_them() -> None:
        await asyncio.gather(*(server(client.scope, client.receive, client.send) for client in clients))

    asyncio.run(all_of_them())


@pytest.mark.parametrize("parts", [(b"short", b""), (b"longer than ", b"what stays in memory", b"")])
def test_a_body_comes_whole_to_the_application(tmp_path: Path, parts: tuple[bytes, ...]) -> None:
    client = Client("POST", "/", *parts)
    ask(receiver(echo, tmp_path), client)
    assert (client.status, client.body) == (200, b"".join(parts))
    assert b"connection" not in client.headers
    assert list(tmp_path.iterdir()) == []


def test_a_request_without_a_body_does_not_wait_for_one(tmp_path: Path) -> None:
    client = Client("GET", "/", headers={"transfer-encoding": "", "cookie": "a=1"})
    ask(receiver(echo, tmp_path), client)
    assert (client.status, client.body) == (200, b"a=1")


def test_a_slow_body_is_given_up_and_holds_no_thread_meanwhile(tmp_path: Path) -> None:
    slow = [Client("POST", "/sign-in/", b"abc") for _ in range(20)]
    quick = Client("POST", "/", b"quick", b"")
    ask(receiver(echo, tmp_path, threads=1), *slow, quick)
    assert quick.status == 200
    for client in slow:
        assert client.status == 408 and client.headers[b"connection"] == b"close"
        assert json.loads(client.body)["code"] == "slow"
        assert client.headers[b"content-type"] == b"application/problem+json"


def test_a_body_that_trickles_is_given_up(tmp_path: Path) -> None:
    bounds = Bounds(grace_seconds=-1.0, least_bytes_a_second=1000)
    client = Client("POST", "/", *[b"x"] * 50)
    ask(receiver(echo, tmp_path, bounds=bounds), client)
    assert client.status == 408


def test_a_body_that_is_too_large_is_refused_before_and_while_it_comes(tmp_path: Path) -> None:
    claimed = Client("POST", "/", headers={"transfer-encoding": "", "content-length": "101"})
    endless = Client("POST", "/", *[b"x" * 30] * 10)
    ask(receiver(echo, tmp_path), claimed, endless)
    assert (claimed.status, endless.status) == (413, 413)
    assert endless.headers[b"connection"] == b"close" and endless.parts


def test_too_many_bodies_at_once_are_asked_to_come_later(tmp_path: Path) -> None:
    held = [Client("POST", "/", b"abc") for _ in range(3)]
    ask(receiver(echo, tmp_path, bounds=Bounds(bodies=2, idle_seconds=0.05)), *held)
    assert sorted(client.status for client in held) == [408, 408, 503]
    (refused,) = [client for client in held if client.status == 503]
    assert refused.headers[b"retry-after"] == b"5"


class Store:
    """Stands for the application's side of an upload: takes pieces at the right offset only."""

    def __init__(self) -> None:
        self.data = b""
        self.pieces: list[tuple[int, bytes]] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        piece = environ["wsgi.input"].read()
        offset = int(environ.get("HTTP_UPLOAD_OFFSET", "-1"))
        assert environ.get("CONTENT_LENGTH", str(len(piece))) == str(len(piece))
        self.pieces.append((offset, piece))
        if offset != len(self.data):
            start_response("409 Conflict", [("Content-Type", "application/problem+json")])
            return [b"{}"]
        self.data += piece
        start_response("204 No Content", [("Upload-Offset", str(len(self.data)))])
        return []


def patch(*parts: bytes | None, offset: int = 0, **headers: str) -> Client:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Client("PATCH", UPLOAD, *parts, headers={"upload-offset": str(offset), **named})


def test_a_file_is_handed_on_as_it_arrives(tmp_path: Path) -> None:
    store = Store()
    client = patch(*[b"0123456789"] * 3, b"")
    ask(receiver(store, tmp_path), client)
    assert client.status == 204 and client.headers[b"upload-offset"] == b"30"
    assert store.data == b"0123456789" * 3 and len(store.pieces) == 3  # the end is no piece


def test_what_came_before_the_connection_broke_stays(tmp_path: Path) -> None:
    store = Store()
    ask(receiver(store, tmp_path), patch(b"0123", b"45", b"6", None))
    assert store.data == b"0123456"


def test_what_came_before_a_silence_stays_and_a_newcomer_takes_over(tmp_path: Path) -> None:
    store = Store()
    silent, server = patch(b"0123", b"45"), receiver(store, tmp_path)
    ask(server, silent)
    assert silent.status == 408 and store.data == b"012345"
    newcomer = patch(b"6789", b"", offset=6)
    ask(server, newcomer)
    assert newcomer.status == 204 and store.data == b"0123456789"


def test_an_end_that_comes_alone_is_no_piece_of_its_own(tmp_path: Path) -> None:
    """The piece before may have made the file whole: another would be refused, and the client told that it failed."""
    store = Store()
    client = patch(b"0123", b"")
    ask(receiver(store, tmp_path), client)
    assert client.status == 204 and store.pieces == [(0, b"0123")]


def test_who_was_overtaken_is_told_and_harms_nothing(tmp_path: Path) -> None:
    store = Store()
    store.data = b"0123456789"
    client = patch(b"89", b"more", b"", offset=8)
    ask(receiver(store, tmp_path), client)
    assert client.status == 409 and client.headers[b"connection"] == b"close"
    assert store.data == b"0123456789" and len(store.pieces) == 1


def test_a_piece_with_a_checksum_comes_whole_or_not_at_all(tmp_path: Path) -> None:
    store = Store()
    ask(receiver(store, tmp_path), patch(*[b"0123456789"] * 3, None, upload_checksum="sha1 x"))
    assert store.pieces == []
    ask(receiver(store, tmp_path), patch(*[b"0123456789"] * 3, b"", upload_checksum="sha1 x"))
    assert store.pieces == [(0, b"0123456789" * 3)]


def test_a_piece_without_an_offset_is_the_applications_to_refuse(tmp_path: Path) -> None:
    store = Store()
    client = Client("PATCH", UPLOAD, b"0123", b"", headers={"upload-offset": "nonsense"})

    def refuse(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("400 Bad Request", [])
        return [b"no"]

    ask(receiver(refuse, tmp_path), client)
    assert client.status == 400 and store.pieces == []


def test_a_method_in_a_header_is_a_piece_too(tmp_path: Path) -> None:
    store = Store()
    client = Client("POST", UPLOAD, b"0123", None, headers={"upload-offset": "0", "x-http-method-override": "PATCH"})
    ask(receiver(store, tmp_path), client)
    assert store.data == b"0123"


class Long:
    """A long answer that notes when it was closed."""

    def __init__(self) -> None:
        self.is_closed = False
        self.given = 0

    def __iter__(self) -> Iterator[bytes]:
        while True:
            self.given += 1
            yield b"x" * 65536

    def close(self) -> None:
        self.is_closed = True


def test_a_reader_who_pauses_holds_no_thread_and_who_leaves_ends_the_answer(tmp_path: Path) -> None:
    long = Long()

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [])
        return long if environ["PATH_INFO"] == "/long" else [b"quick"]

    server = receiver(application, tmp_path, threads=1)
    paused = Client("GET", "/long", headers={"transfer-encoding": ""})
    quick = Client("GET", "/quick", headers={"transfer-encoding": ""})

    async def both() -> None:
        full = asyncio.Event()

        async def send(message: Any) -> None:
            paused.sent.append(message)
            if len(paused.sent) > 3:
                full.set()
                await asyncio.Event().wait()

        answer = asyncio.ensure_future(server(paused.scope, paused.receive, send))
        await full.wait()
        await server(quick.scope, quick.receive, quick.send)
        assert quick.body == b"quick" and not long.is_closed
        paused.gone.set()
        await answer

    asyncio.run(both())
    assert long.is_closed and long.given < 20


def test_headers_with_underscores_pass_for_no_others(tmp_path: Path) -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [environ.get("HTTP_X_FORWARDED_PROTO", "none").encode()]

    client = Client("GET", "/", headers={"transfer-encoding": "", "x_forwarded_proto": "https"})
    ask(receiver(application, tmp_path), client)
    assert client.body == b"none"


@pytest.mark.parametrize(("query", "name", "status"), [(b"a" * 40_000, "x", 414), (b"", "y" * 70_000, 431)])
def test_a_head_that_is_too_long_is_a_problem(tmp_path: Path, query: bytes, name: str, status: int) -> None:
    client = Client("GET", "/api/v1/photos/", b"", headers={"x-long": name})
    client.scope["query_string"] = query
    receiver = Receiver(lambda *_: [], 1, None, lambda path: False, tmp_path)  # type: ignore[arg-type]
    asyncio.run(receiver(client.scope, client.receive, client.send))  # type: ignore[arg-type]
    start, body = client.sent
    assert start["status"] == status and dict(start["headers"])[b"content-type"] == b"application/problem+json"
    assert json.loads(body["body"])["status"] == status


def test_a_probe_is_answered_while_all_threads_are_busy(tmp_path: Path) -> None:
    probed = threading.Event()

    def busy(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        assert probed.wait(60)
        start_response("200 OK", [])
        return [b"from the application"]

    server = receiver(busy, tmp_path, threads=1)
    server.live = "/live"
    unasked = {"transfer-encoding": ""}
    slow, probe = Client("GET", "/", headers=unasked), Client("GET", "/live", headers=unasked)

    async def both() -> None:
        working = asyncio.create_task(server(slow.scope, slow.receive, slow.send))
        await server(probe.scope, probe.receive, probe.send)
        probed.set()
        await working

    asyncio.run(both())
    assert (probe.status, probe.body, slow.body) == (200, b'{"status":"ok"}', b"from the application")


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [("HEAD", "/live", {}), ("GET", "/live/", {}), ("GET", "/live", {"origin": "https://app.example.org"})],
)
def test_what_is_no_plain_probe_is_for_the_application(
    tmp_path: Path, method: str, path: str, headers: dict[str, str]
) -> None:
    server = receiver(echo, tmp_path)
    server.live = "/live"
    client = Client(method, path, headers={"transfer-encoding": "", "cookie": "asked=1", **headers})
    ask(server, client)
    assert client.body == b"asked=1"
