"""Devices send and fetch files of notes over HTTP with the real server: in pieces, after a break, and only for whom they are."""

import hashlib
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from knox.models import AuthToken

from accounts.models import Device, User
from catalog.albums import albums, items, members
from catalog.models import Media
from sync.device import media
from sync.device.client import Client
from sync.device.http import HttpTransport
from sync.device.transport import NotThere, Unreachable

SOUND = bytes(range(251)) * 50
MD5 = hashlib.md5(SOUND).hexdigest()


class Line(HttpTransport):
    """Goes dead after so many pieces."""

    pieces = 1_000

    def send_piece(self, md5: str, offset: int, piece: bytes) -> int:
        if self.pieces == 0:
            raise Unreachable("broken")
        self.pieces -= 1
        return super().send_piece(md5, offset, piece)


@pytest.fixture
def opened(live_server: Any, tmp_path: Path) -> Any:
    """Open a client of somebody, with a device of its own."""
    clients: list[Client] = []

    def open_one(user: User, name: str) -> tuple[Client, Line]:
        token, secret = AuthToken.objects.create(user)
        Device.objects.create(user=user, name=name, token=token)
        line = Line(live_server.url, secret)
        clients.append(Client(tmp_path / name / "store.sqlite", line, is_durable=False, media=line))
        return clients[-1], line

    yield open_one
    for client in clients:
        client.close()


def test_a_file_goes_from_one_device_to_another_and_to_the_members_of_an_album(
    opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media, "PIECE_BYTES", 5_000)
    alice, bob, charlie = (User.objects.create_user(name) for name in ("alice", "bob", "charlie"))
    phone, line = opened(alice, "phone")
    assert phone.sync().success
    (tmp_path / "song.mp3").write_bytes(SOUND)
    attachment = phone.attach(tmp_path / "song.mp3", "audio/mpeg")
    note = phone.create("note", {"content": "listen", "attachments": [attachment]})
    line.pieces = 1
    assert not phone.sync().success
    assert not Media.objects.exists()
    line.pieces = 2
    result = phone.sync()
    assert result.success and (result.uploaded_media, result.uploaded_items) == (1, 1), result
    assert Media.objects.get().size_bytes == len(SOUND)

    tablet, _ = opened(alice, "tablet")
    assert tablet.sync().downloaded_media == 1
    assert tablet.media(MD5).read_bytes() == SOUND

    album = uuid4()
    albums.create(alice, album, {"title": "Rome"})
    items.add(alice, album, [items.Target(items.NOTE, UUID(note))])
    members.set_member(alice, album, bob, "viewer")
    his, _ = opened(bob, "his")
    assert his.sync().downloaded_media == 1 and his.media(MD5).read_bytes() == SOUND
    _, strange = opened(charlie, "strange")
    for address in (note, ""):
        with pytest.raises(NotThere):
            list(strange.fetch_media(address, MD5, 0))
