"""Change notifications from a real events process, over an installation of its own: at once, and for whom they are."""

import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import pytest

from tests.drills.scanning import LIBRARY_ID, Installation, descendants, kill

pytestmark = pytest.mark.slow
PEOPLE = (
    "import json; from accounts.models import User; from catalog.models import Library, Membership; "
    "from django.test import Client; from knox.models import AuthToken; "
    "people = {name: User.objects.get_or_create(username=name)[0] for name in ('alice', 'bob', 'charlie')}; "
    "Membership.objects.create(library=Library.objects.get(), user=people['bob'], role='viewer'); "
    "client = Client(); client.force_login(people['alice']); "
    "print(json.dumps({'tokens': {name: AuthToken.objects.create(user)[1] for name, user in people.items()}, "
    "'session': client.cookies['sessionid'].value}))"
)
CHANGE = (
    "from catalog.models import Library; from catalog.entries.counts import bump_revision; "
    "bump_revision(Library.objects.get()); "
)
STAR = (
    "from accounts.models import User; from catalog.models import Favourite, Library, Photo; from django.utils import timezone; "
    "photo = Photo.objects.create(library=Library.objects.get(), filename='1.jpg', size_bytes=1, mtime_ns=1, "
    "head_md5='0' * 32, added_at=timezone.now()); "
    "Favourite.objects.create(user=User.objects.get(username='bob'), photo=photo)"
)
EXPORT = (
    "from accounts.models import User; from operations.models import Operation; from django.utils import timezone; "
    "Operation.objects.create(owner=User.objects.get(username='alice'), kind='export', state='running', done=1000, total=2500, "
    "started_at=timezone.now())"
)


@dataclass
class Site:
    """The installation, the events process's port, and who may sign in how."""

    installation: Installation
    port: int
    tokens: dict[str, str]
    session: str

    def do(self, code: str) -> str:
        """Run a line of Python in the installation."""
        command = self.installation.manage("shell", "-v0", "-c", code)
        return subprocess.run(
            command, env=self.installation.environment, check=True, capture_output=True, text=True
        ).stdout

    def listen(self, headers: dict[str, str] | None = None, path: str = "/api/v1/events/") -> "Listener":
        """Open a connection."""
        return Listener(self.port, headers or {}, path)

    def of(self, name: str) -> dict[str, str]:
        """The headers of a device of that person."""
        return {"Authorization": f"Token {self.tokens[name]}"}


class Listener:
    """A connection that hears events."""

    def __init__(self, port: int, headers: dict[str, str], path: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.connection.request("GET", path, headers={"Host": "localhost", **headers})
        self.response = self.connection.getresponse()
        self.heard: Queue[Any] = Queue()
        if self.response.status == 200:
            threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        try:
            for line in self.response:
                if line.startswith(b"data: "):
                    self.heard.put(json.loads(line[6:]))
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            return  # the process was ended

    def next(self, seconds: float = 20.0) -> Any:
        """Return what is heard next."""
        return self.heard.get(timeout=seconds)

    def is_silent(self, seconds: float) -> bool:
        """True if nothing is heard for so long."""
        try:
            self.heard.get(timeout=seconds)
        except Empty:
            return True
        return False


@contextmanager
def running(
    folder: Path, application: str, *, interface: str = "asgi", server: str = "", **settings: str
) -> Iterator[Site]:
    """An installation in `folder`, on the PostgreSQL `server` if one is named, and a web server for `application`."""
    (folder / "photos").mkdir()
    installation = Installation(folder / "data", folder / "photos", extra=settings)
    installation.prepare(server)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "granian", "--interface", interface, "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--log-level", "error", "--backpressure", "4096", application]
    project = Path(__file__).resolve().parents[2]
    environment = {**installation.environment, "PYTHONPATH": str(project)}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=project, stdout=log, stderr=log)
        try:
            made = Site(installation, port, {}, "")
            known = json.loads(made.do(PEOPLE))
            made.tokens, made.session = known["tokens"], known["session"]
            for _ in range(200):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            yield made
        finally:
            for pid in [*descendants(process.pid), process.pid]:
                kill(pid)
            process.wait(20)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One events process for all tests here."""
    with running(tmp_path_factory.mktemp("events"), "photolala.asgi:application") as made:
        yield made


@pytest.mark.promise("S4-071", "S3-040")
def test_who_may_know_is_told_at_once_and_nobody_else(site: Site) -> None:
    assert site.listen().response.status == 401
    assert site.listen({"Authorization": "Token nonsense"}).response.status == 401
    hers, his, others = (site.listen(site.of(name)) for name in ("alice", "bob", "charlie"))
    first = hers.next()
    assert [one["id"] for one in first["libraries"]] == [LIBRARY_ID]
    assert his.next()["libraries"] and others.next()["libraries"] == []
    site.do(CHANGE)
    assert hers.next()["libraries"][0]["revision"] == first["libraries"][0]["revision"] + 1
    assert his.next()["libraries"][0]["revision"] == first["libraries"][0]["revision"] + 1
    site.do(STAR)
    assert his.next()["favorites_changed"] is True
    assert hers.is_silent(3) and others.is_silent(0.5)
    site.do(EXPORT)
    [export] = hers.next()["operations"]
    assert (export["kind"], export["done"], export["total"]) == ("export", 1000, 2500)
    assert his.is_silent(0.5) and others.is_silent(0.5)
    site.do(f"from catalog.models import Membership; Membership.objects.all().delete(); {CHANGE}")
    assert his.next()["gone"] == [LIBRARY_ID]


def test_a_browser_with_a_session_hears_and_other_addresses_are_nothing(site: Site) -> None:
    cookie = {"Cookie": f"sessionid={site.session}"}
    listener = site.listen(cookie)
    assert listener.response.headers["Content-Type"].startswith("text/event-stream")
    first = listener.next()
    again = site.listen({**cookie, "Last-Event-ID": first["cursor"]})
    assert again.next()["libraries"] == []  # what was heard before the connection broke is not told twice
    site.do(CHANGE)
    assert again.next()["libraries"]
    assert site.listen(cookie, "/api/v1/libraries/").response.status == 404
    assert site.listen({**cookie, "Last-Event-ID": "nonsense"}).response.status == 400
