"""The whole site behind one address, as `up` starts it, with clients that take their time."""

from __future__ import annotations

import base64
import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.api.test_events_stream import CHANGE, Site, running
from tests.drills.scanning import LIBRARY_ID

pytestmark = pytest.mark.slow
THREADS = 4


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("server")
    with running(folder, "photolala.server:application", PHOTOLALA_WEB_THREADS=str(THREADS)) as made:
        yield made


def slow_body(site: Site, path: str) -> socket.socket:
    """Open a connection that claims a body and sends three bytes of it."""
    connection = socket.create_connection(("127.0.0.1", site.port))
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\nabc"
    )
    connection.sendall(head.encode())
    return connection


def test_slow_bodies_stop_nobody_and_are_given_up(site: Site) -> None:
    with ExitStack() as stack:
        bodies = [slow_body(site, path) for path in ("/api/v1/auth/devices/", "/sign-in/") for _ in range(5 * THREADS)]
        for body in bodies:
            stack.enter_context(body)
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
        for path in ("/api/v1/health/live", "/api/v1/libraries/"):
            connection.request("GET", path, headers={"Host": "localhost", **site.of("alice")})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
        for body in bodies:
            body.settimeout(60)
            answered = b""
            while part := body.recv(4096):
                answered += part
            assert answered.startswith(b"HTTP/1.1 408") and b"application/problem+json" in answered


def test_the_probe_is_answered_as_the_application_would(site: Site) -> None:
    told = {}
    for origin in ({}, {"Origin": "https://app.example.org"}):  # the second is answered by Django
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
        connection.request("GET", "/api/v1/health/live", headers={"Host": "localhost", **origin})
        answer = connection.getresponse()
        said = {name: answer.headers[name] for name in ("Content-Type", "Cache-Control", "X-Content-Type-Options")}
        told[bool(origin)] = (answer.status, answer.read(), said)
    assert told[False] == told[True]


def test_events_come_from_the_same_address(site: Site) -> None:
    assert site.listen().response.status == 401
    listener = site.listen(site.of("alice"))
    first = listener.next()
    site.do(CHANGE)
    assert listener.next()["libraries"][0]["revision"] == first["libraries"][0]["revision"] + 1


def test_a_file_that_is_cut_goes_on_where_it_was(site: Site) -> None:
    data = b"\xff\xd8" + bytes(range(256)) * 4000
    tus = {"Tus-Resumable": "1.0.0", "Host": "localhost", **site.of("alice")}
    said = {"filename": "a.jpg", "library": LIBRARY_ID}
    metadata = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in said.items())
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
    connection.request(
        "POST", "/api/v1/uploads/", headers={**tus, "Upload-Length": str(len(data)), "Upload-Metadata": metadata}
    )
    begun = connection.getresponse()
    assert begun.status == 201, begun.read()
    begun.read()
    place = begun.headers["Location"]
    head = f"PATCH {place} HTTP/1.1\r\nContent-Type: application/offset+octet-stream\r\nContent-Length: {len(data)}\r\n"
    head += "Upload-Offset: 0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in tus.items()) + "\r\n"
    with socket.create_connection(("127.0.0.1", site.port)) as cut:
        cut.sendall(head.encode() + data[:500_000])
    piece = {**tus, "Content-Type": "application/offset+octet-stream"}
    offset = 0
    for _ in range(600):  # the server may not have seen the end of that connection yet
        connection.request("HEAD", place, headers=tus)
        answer = connection.getresponse()
        answer.read()
        offset = int(answer.headers["Upload-Offset"])
        if offset == 500_000:
            break
    assert offset == 500_000
    connection.request("PATCH", place, data[offset:], headers={**piece, "Upload-Offset": str(offset)})
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 204 and answer.headers["Upload-Offset"] == str(len(data))


def test_a_refused_body_breaks_no_later_request(site: Site) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
    for _ in range(20):
        body = json.dumps({"username": "x" * 5000})
        connection.request(
            "POST", "/api/v1/libraries/", body, {"Host": "localhost", "Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        assert answer.status == 401 and answer.read()
        connection.request("GET", "/api/v1/health/live", headers={"Host": "localhost"})
        assert connection.getresponse().read()


@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("/api/v1/photos/?q=" + "a" * 40_000, {}, 414),
        ("/api/v1/photos/", {"X-Long": "a" * 70_000}, 431),
        ("/api/v1/photos/", {"Content-Length": str(10**9), "Content-Type": "application/json"}, 413),
    ],
)
def test_what_is_too_long_is_a_problem(site: Site, address: str, headers: dict[str, str], status: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
    connection.request(
        "POST" if "Content-Length" in headers else "GET", address, headers={"Host": "localhost", **headers}
    )
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert json.loads(answer.read())["status"] == status
