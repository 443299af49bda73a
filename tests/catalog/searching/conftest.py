"""A library with a few photos, an album and a note to search in."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from accounts.models import User
from catalog.albums import albums, items, notes
from catalog.models import Album, Favourite, Library, Photo
from tests.factories import make_library, make_photo


@dataclass
class World:
    """Alice's library with Bob as a viewer, her album and her note; Charlie sees nothing of it."""

    alice: User
    bob: User
    charlie: User
    library: Library
    photos: dict[str, Photo]
    album: Album


def make_album(owner: User, title: str, *photos: Photo) -> Album:
    """Make an album of these photos."""
    album = albums.create(owner, uuid4(), {"title": title})
    items.add(owner, album.pk, [items.Target("photo", photo.pk) for photo in photos])
    return album


def make_note(owner: User, content: str, *photos: Photo) -> None:
    """Make a note with these photos attached."""
    attached = [{"photo": str(photo.pk)} for photo in photos]
    notes.create(owner, uuid4(), {"content": content, "attachments": attached})


@pytest.fixture
def world(db: None, tmp_path: Path) -> World:
    alice, bob, charlie = (User.objects.create(username=name) for name in ("alice", "bob", "charlie"))
    library = make_library(alice, tmp_path / "photos", members={bob: "viewer"})
    photos = {
        "beach": make_photo(
            library,
            "2015/Été à Málaga/IMG20150103_0042.JPG",
            taken=datetime(2015, 1, 3, 4, 1, 6, tzinfo=UTC),
            caption="Müller am Strand, New York no!",
            keywords=["sea side", "übung"],
            camera_make="Canon",
            camera_model="EOS R6",
            lens_model="RF 50mm F1.8",
            rating=4,
            latitude=1.0,
            longitude=2.0,
        ),
        "film": make_photo(
            library,
            "2019/a_b.mp4",
            media_type="video/mp4",
            taken=datetime(2019, 7, 1, tzinfo=UTC),
            caption="北京天安门",
        ),
        "raw": make_photo(
            library,
            "2019/york/New.CR2",
            media_type="image/x-canon-cr2",
            taken=datetime(2021, 12, 31, 23, 59, tzinfo=UTC),
            rating=2,
            caption="Straße",
        ),
        "undated": make_photo(library, "scan.png", data=b"same", media_type="image/png", taken=None),
        "copy": make_photo(library, "Sea.png", data=b"same", media_type="image/png", keywords=["side"]),
    }
    Favourite.objects.create(user=alice, photo=photos["raw"])
    Favourite.objects.create(user=bob, photo=photos["film"])
    album = make_album(alice, "Granny's birthday", photos["film"], photos["raw"])
    make_note(alice, "A parrot was there", photos["beach"])
    return World(alice, bob, charlie, library, photos, album)
