"""Change notifications in a real events process: at once, for whom they are, and no longer than one may know."""

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from queue import Empty, Queue
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from knox.models import AuthToken

from accounts.models import User
from catalog.models import Favourite, Library, Membership
from catalog.publishing import note_change
from tests.drills.scanning import descendants, kill
from tests.factories import make_library, make_photo, make_user

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture(scope="session")
def django_db_modify_db_settings(tmp_path_factory: Any, django_db_modify_db_settings_parallel_suffix: Any) -> None:
    """SQLite in a file: the events process is another one."""
    if connection.vendor == "sqlite":
        connection.settings_dict["TEST"]["NAME"] = str(tmp_path_factory.mktemp("database") / "events.sqlite3")


def database_url() -> str:
    facts = connection.settings_dict
    return f"postgresql://{facts['USER']}:{facts['PASSWORD']}@{facts['HOST']}:{facts['PORT']}/{facts['NAME']}"


@pytest.fixture
def events(tmp_path):
    """The port of a running events process over the tests' database."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "PHOTOLALA_DATA": str(tmp_path / "data"), "PHOTOLALA_SECRET_KEY": settings.SECRET_KEY}
    if connection.vendor == "sqlite":
        (tmp_path / "data").mkdir()
        os.symlink(connection.settings_dict["NAME"], tmp_path / "data" / "photolala.sqlite3")
        environment.pop("PHOTOLALA_DATABASE", None)
    else:
        environment["PHOTOLALA_DATABASE"] = database_url()
    log = (tmp_path / "events.log").open("wb")
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--workers", "1", "--log-level", "error", "photolala.asgi:application"], env=environment
    )
    try:
        for _ in range(150):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield port
    finally:
        for pid in [*descendants(process.pid), process.pid]:
            kill(pid)
        process.wait(20)
        log.close()


class Listener:
    """A connection that hears events."""

    def __init__(self, port: int, headers: dict[str, str], path: str = "/api/v1/events/") -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
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
            pass
        self.heard.put(None)

    def next(self, seconds: float = 15.0) -> Any:
        return self.heard.get(timeout=seconds)

    def silence(self, seconds: float = 3.0) -> bool:
        try:
            self.heard.get(timeout=seconds)
        except Empty:
            return True
        return False


def token_of(user: User) -> dict[str, str]:
    return {"Authorization": f"Token {AuthToken.objects.create(user)[1]}"}


@pytest.mark.promise("S4-071")
def test_who_may_know_is_told_at_once_and_nobody_else(events, tmp_path):
    alice, bob, charlie = (make_user(name) for name in ("alice", "bob", "charlie"))
    library = make_library(alice, tmp_path / "photos", members={bob: "viewer"})
    photo = make_photo(library, "1.jpg")
    assert Listener(events, {}).response.status == 401
    assert Listener(events, {"Authorization": "Token nonsense"}).response.status == 401
    hers, his, others = (Listener(events, token_of(user)) for user in (alice, bob, charlie))
    assert [one["id"] for one in hers.next()["libraries"]] == [str(library.pk)]
    assert his.next()["libraries"] and others.next()["libraries"] == []
    note_change(library)
    assert hers.next()["libraries"][0]["revision"] == Library.objects.get().revision
    assert his.next()["libraries"][0]["revision"] == Library.objects.get().revision
    Favourite.objects.create(user=bob, photo=photo)
    assert his.next()["favorites_changed"] is True
    assert hers.silence() and others.silence(0.5)
    Membership.objects.all().delete()
    note_change(library)
    assert his.next()["gone"] == [str(library.pk)]


def test_a_browser_with_a_session_hears_and_other_addresses_are_nothing(events, tmp_path):
    alice = make_user("alice")
    library = make_library(alice, tmp_path / "photos")
    client = Client()
    client.force_login(alice)
    cookie = {"Cookie": f"sessionid={client.cookies['sessionid'].value}"}
    listener = Listener(events, cookie)
    assert listener.response.headers["Content-Type"].startswith("text/event-stream")
    first = listener.next()
    again = Listener(events, {**cookie, "Last-Event-ID": first["cursor"]})
    assert again.next()["libraries"] == []  # what was heard before the connection broke is not told twice
    note_change(library)
    assert again.next()["libraries"]
    assert Listener(events, cookie, "/api/v1/libraries/").response.status == 404
    assert Listener(events, {**cookie, "Last-Event-ID": "nonsense"}).response.status == 400
