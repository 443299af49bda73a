"""Hints from real web processes, on the database and broker of the run: by long poll in WSGI, by Server-Sent Events in ASGI."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any

import pytest

from tests.api.test_events_stream import Site, running
from tests.installations import DATABASE, drop_database, server_of_the_run

pytestmark = [pytest.mark.slow, pytest.mark.repeated]
EVENTS = "/api/v1/sync/events/"
NOTE = (
    "import uuid; from accounts.models import User; from catalog.albums import notes; "
    "notes.create(User.objects.get(username='alice'), uuid.uuid4(), {'content': 'written by another process'})"
)
KINDS = {
    "wsgi": "photolala.wsgi:application",
    "asgi": "photolala.asgi:application",
    "up": "photolala.server:application",
}


@pytest.fixture(scope="module", params=list(KINDS))
def site(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A web process: under WSGI, the one for events alone, and the one that `up` runs."""
    kind, server = request.param, server_of_the_run()
    broker = os.environ.get("PHOTOLALA_BROKER", "")
    settings = {"PHOTOLALA_BROKER": broker} if server and broker else {}
    interface = "wsgi" if kind == "wsgi" else "asgi"
    with running(tmp_path_factory.mktemp(kind), KINDS[kind], interface=interface, server=server, **settings) as made:
        made.streams = kind != "wsgi"  # type: ignore[attr-defined]
        yield made
    if server:
        drop_database(made.installation.extra[DATABASE])


def poll(site: Site, name: str, after: str = "", wait: int = 0) -> tuple[int, Any]:
    """Ask for hints; return status and body."""
    connection = HTTPConnection("127.0.0.1", site.port, timeout=60)
    connection.request("GET", f"{EVENTS}?after={after}&wait={wait}", headers={"Host": "localhost", **site.of(name)})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, json.loads(body) if body else None


def versions(hints: Any) -> dict[str, int]:
    return {scope["scope"]: int(scope["version"]) for scope in hints["scopes"]}


def test_who_waits_is_told_of_what_another_process_wrote_and_nobody_else(site: Site) -> None:
    _, hers = poll(site, "alice")
    _, others = poll(site, "charlie")
    (mine,) = [scope for scope in versions(hers) if scope.startswith("user:")]
    assert mine not in versions(others)
    stream = site.listen({**site.of("alice"), "Accept": "text/event-stream"}, EVENTS) if site.streams else None  # type: ignore[attr-defined]
    if stream is not None:
        assert stream.next()["cursor"] == hers["cursor"]
    with ThreadPoolExecutor(2) as pool:
        asking = pool.submit(poll, site, "alice", hers["cursor"], 25)
        site.do(NOTE)
        status, told = asking.result(60)
    if status == 204:  # a busy machine took longer to write than one may wait
        status, told = poll(site, "alice", hers["cursor"], 25)
    assert status == 200 and versions(told)[mine] > versions(hers)[mine]
    if stream is not None:
        assert versions(stream.next(60))[mine] == versions(told)[mine]
    assert poll(site, "charlie", others["cursor"], 0) == (204, None)
