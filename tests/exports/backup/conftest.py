"""What alice and bob made: the world that is backed up."""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from catalog.albums import albums, drafts, items, media, members, notes
from catalog.edits.captions import set_caption
from catalog.edits.favourites import set_favourite
from catalog.edits.ratings import set_rating
from catalog.models import Library, Media, Photo
from exports.backup.requests import start_backup
from exports.models import Backup
from operations.models import Operation, State
from operations.running import execute
from tests.exports.conftest import Cast
from tests.factories import make_jpeg, make_library, make_photo

PICTURE = make_jpeg(seed=7)
FILM = b"a film, as far as a media store knows"


@dataclass
class World:
    """The cast, alice's photos, and what she and bob made."""

    cast: Cast
    photos: list[Photo]
    album: UUID
    picture: Media
    film: Media
    secret: Photo
    """A photo in a library of bob's that alice does not see."""


@pytest.fixture
def world(cast: Cast, tmp_path: Path) -> World:
    """Make it, through the verbs that people use."""
    alice, bob = cast.alice, cast.bob
    Library.objects.filter(pk=cast.library.pk).update(ratings=Library.Ratings.DATABASE)
    cast.library.refresh_from_db()
    photos = [make_photo(cast.library, f"2024/IMG_{number}.JPG") for number in range(4)]
    own = make_library(bob, tmp_path / "allowed" / "bobs", name="Bob's")
    secret = make_photo(own, "secret place/nobody.JPG")
    set_rating(alice, photos[0], 4)
    set_caption(alice, photos[1], "Rome, “from above”\nwith a line break")
    set_favourite(bob, photos[2], 3)
    set_favourite(bob, secret, 5)
    picture = media.keep(alice, io.BytesIO(PICTURE).read, "image/jpeg")
    film = media.keep(alice, io.BytesIO(FILM).read, "video/mp4")
    media.keep(bob, io.BytesIO(PICTURE).read, "image/jpeg")
    held = {"media_md5": picture.md5, "name": "rome.jpg"}
    album = albums.create(alice, uuid4(), {"title": "Rome", "description": "ünï"})
    members.set_member(alice, album.pk, bob, "editor")
    said = {
        "content": "Hello",
        "attachments": [held, {"photo": str(photos[0].pk)}],
        "notedAt": "2024-05-17T12:30:00+02:00",
    }
    note = notes.create(alice, uuid4(), said)
    notes.create(bob, uuid4(), {"content": "bob's own", "attachments": [held], "notedAt": "2023-01-01T00:00:00Z"})
    thrown = notes.create(alice, uuid4(), {"content": "thrown away"})
    notes.delete(alice, thrown.pk)
    items.add(alice, album.pk, [items.Target("photo", photos[0].pk), items.Target("note", note.pk)])
    items.add(bob, album.pk, [items.Target("photo", secret.pk)])
    drafts.create(
        alice,
        uuid4(),
        {
            "blocks": [
                {"id": str(uuid4()), "type": "text", "text": "first line"},
                {"id": str(uuid4()), "type": "image", "attachment": held, "caption": "the same picture"},
                {"id": str(uuid4()), "type": "video", "attachment": {"media_md5": film.md5, "name": "rome.mp4"}},
                {"id": str(uuid4()), "type": "audio", "attachment": {"photo": str(photos[3].pk)}},
                {"id": str(uuid4()), "type": "camera", "place": {"latitude": 41.9, "longitude": 12.5, "name": "Rome"}},
            ],
            "albums": [str(album.pk), str(uuid4())],
        },
    )
    return World(cast, photos, album.pk, picture, film, secret)


def run(backup: Backup) -> Operation:
    """Run the backup's operation to an end."""
    operation = execute(backup.operation_id)
    assert operation is not None
    backup.refresh_from_db()
    return operation


def backed_up(user: Any, scope: str = "person", **more: Any) -> Backup:
    """Make a backup that succeeds."""
    backup = start_backup(user, scope, **more)
    operation = run(backup)
    assert operation.state == State.COMPLETED, (operation.error, operation.error_detail)
    return backup


def read(backup: Backup, name: str) -> list[dict[str, Any]]:
    """Return the entries of a list file of a backup in a folder."""
    (entries,) = json.loads((backup.path / name).read_bytes()).values()
    return list(entries)
