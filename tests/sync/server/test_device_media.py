"""Devices send and fetch files of notes over HTTP with the real server: in pieces, after a break, and only for whom they are."""

import hashlib
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from knox.models import AuthToken

from accounts.models import Device, User
from catalog.albums import members
from catalog.models import Media
from sync.device import media
from sync.device.client import Client
from sync.device.http import HttpTransport
from sync.device.transport import NotThere, Unreachable
from sync.protocol.ids import album_item_id
from sync.protocol.messages import PushReply, PushRequest

SOUND = bytes(range(251)) * 50
MD5 = hashlib.md5(SOUND).hexdigest()


class Line(HttpTransport):
    """Goes dead after so many pieces."""

    pieces = 1_000

    def __init__(self, url: str, token: str) -> None:
        super().__init__(url, token)
        self.pushed: list[str] = []

    def push(self, request: PushRequest) -> PushReply:
        self.pushed.append(request.to_json())
        return super().push(request)

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


@pytest.mark.promise("S1-043", "S1-076", "S1-U22")
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
    album = phone.create("album", {"title": "Rome"})
    item = {"albumId": album, "targetType": "note", "targetId": note, "position": "V"}
    phone.create("albumItem", item, album_item_id(album, "note", note))
    draft = phone.create(
        "draft", {"blocks": [{"id": "b", "type": "audio", "attachment": attachment}], "albums": [album]}
    )
    line.pieces = 1
    assert not phone.sync().success
    assert not Media.objects.exists() and line.pushed == []  # nothing names a file that is not there
    line.pieces = 2
    result = phone.sync()
    assert result.success and (result.uploaded_media, result.uploaded_items) == (1, 4), result
    assert Media.objects.get().size_bytes == len(SOUND)
    assert str(tmp_path) not in "".join(line.pushed)

    tablet, _ = opened(alice, "tablet")
    assert tablet.sync().downloaded_media == 1
    assert tablet.media(MD5).read_bytes() == SOUND
    (block,) = tablet.get("draft", draft)["blocks"]
    assert block["attachment"]["media_md5"] == tablet.get("note", note)["attachments"][0]["media_md5"] == MD5
    assert (tablet.get("album", album)["title"], len(list(tablet.items("albumItem")))) == ("Rome", 1)

    members.set_member(alice, UUID(album), bob, "viewer")
    his, _ = opened(bob, "his")
    assert his.sync().downloaded_media == 1 and his.media(MD5).read_bytes() == SOUND
    _, strange = opened(charlie, "strange")
    for address in (note, ""):
        with pytest.raises(NotThere):
            list(strange.fetch_media(address, MD5, 0))
