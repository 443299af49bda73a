"""A reference server, and devices of its one user."""

import pytest

from sync.device.client import Client
from sync.protocol.ids import album_item_id
from tests.sync.faults import FaultyTransport
from tests.sync.reference_server import ReferenceServer, Session, fresh_ids


class Phone:
    """A client with a faulty line, a clock that can be set, and short names for what the tests do."""

    def __init__(self, server, path, number, **options):
        self.path = path
        self.server = server
        self.line = FaultyTransport(Session(server, f"00000000-0000-0000-0000-{0xD00 + number:012x}"))
        self.skew_ms = 0
        self.options = options
        self.open()

    def open(self):
        clock = lambda: self.server.now + self.skew_ms  # noqa: E731
        self.client = Client(self.path, self.line, wall_ms=clock, chance=lambda: 0.5, is_durable=False, **self.options)

    def restart(self):
        self.client.close()
        self.open()

    def sync(self, *faults):
        self.line.faults = list(faults)
        self.server.calls.clear()
        result = self.client.sync()
        self.line.faults = []
        return result

    def note(self, content="hello", **fields):
        return self.client.create("note", {"content": content, "caption": "", **fields})

    def write(self, id, **fields):
        self.client.patch("note", id, fields)

    def text(self, id):
        return (self.client.get("note", id) or {}).get("content")

    def notes(self):
        return {id: data["content"] for id, data in self.client.items("note")}

    def put(self, album, note):
        id = album_item_id(album, "note", note)
        fields = {"albumId": album, "targetType": "note", "targetId": note, "position": "a"}
        return self.client.create("albumItem", fields, id)

    def pending(self):
        return self.client.status().pending_uploads


@pytest.fixture
def server():
    return ReferenceServer()


@pytest.fixture
def phones(server, tmp_path):
    """Makes phones: `phones()` the first, `phones()` the second …"""
    made = []

    def make(**options):
        phone = Phone(server, tmp_path / f"{len(made)}.sqlite", len(made), **options)
        made.append(phone)
        phone.sync()
        return phone

    yield make
    for phone in made:
        phone.client.close()


@pytest.fixture
def phone(phones):
    return phones()


@pytest.fixture
def tablet(phone, phones):
    return phones()


@pytest.fixture
def ids():
    return fresh_ids()
