"""The cast of the albums' tests: alice owns a library and an album, bob may edit or see, charlie sees nothing."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from accounts.models import User
from catalog.albums import albums, items
from catalog.models import Album, AlbumItem, Library, Photo
from tests.factories import make_library, make_photos, make_user


@dataclass
class Cast:
    """The people, alice's library with three photos, and her album, which nobody else sees yet."""

    alice: User
    bob: User
    charlie: User
    library: Library
    photos: list[Photo]
    album: Album

    def add(self, *photos: Photo, user: User | None = None, **where: Any) -> list[AlbumItem]:
        """Put photos into the album."""
        added = items.add(user or self.alice, self.album.pk, [items.Target("photo", one.pk) for one in photos], **where)
        assert not added.errors
        return added.items


@pytest.fixture
def cast(db: None, tmp_path: Any) -> Cast:
    """alice's things."""
    alice, bob, charlie = make_user("alice"), make_user("bob"), make_user("charlie")
    library = make_library(alice, tmp_path / "photos")
    album = albums.create(alice, uuid4(), {"title": "Rome"})
    return Cast(alice, bob, charlie, library, make_photos(library, 3), album)
