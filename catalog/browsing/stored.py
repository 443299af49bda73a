"""A photo's row as far as its files are served: who may see it, where it is, what it is called."""

import os
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404

from accounts.models import User
from catalog.albums import access
from catalog.models import Library, Photo
from photolala.lib.paths import join_path, unescape_path

_COLUMNS = (
    "pk",
    "photo_md5",
    "read_md5",
    "directory",
    "filename",
    "size_bytes",
    "mtime_ns",
    "media_type",
    "state",
    "is_shown",
    "has_thumbnail",
    "problem",
    "asset_id",
    "head_md5",
    "motion_bytes",
    "library_id",
    "library__root",
    "library__source",
    "library__time_zone",
)


@dataclass(frozen=True)
class Stored:
    """A photo's row, as far as serving needs it."""

    pk: UUID
    photo_md5: str
    read_md5: str
    directory: str
    filename: str
    size_bytes: int
    mtime_ns: int
    media_type: str
    state: str
    is_shown: bool
    has_thumbnail: bool
    problem: str
    asset_id: str
    head_md5: str
    motion_bytes: int | None
    library: Library
    is_in_album: bool = False
    """It is seen through an album: where it is kept, and its name, are not told."""

    @property
    def told_path(self) -> str:
        """What errors call it."""
        return "of this photo" if self.is_in_album else self.path

    @property
    def path(self) -> str:
        """Relative to the root, in escaped form."""
        return join_path(self.directory, self.filename)


def find(user: User, photo_id: UUID) -> Stored:
    """Return the photo if `user` may see it; Http404 otherwise. The one query that authorises."""
    return _stored(Photo.objects.visible_to(user), photo_id)


def find_in_album(user: Any, album_id: UUID, photo_id: UUID) -> Stored:
    """Return the photo if the album shows it to `user`; Http404 otherwise. The one query that authorises."""
    return _stored(access.photos_in(user, album_id), photo_id, is_in_album=True)


def _stored(photos: QuerySet[Photo], photo_id: UUID, *, is_in_album: bool = False) -> Stored:
    row = photos.filter(pk=photo_id).values_list(*_COLUMNS).first()
    if row is None:
        raise Http404
    library_id, root, source, zone = row[-4:]
    library = Library(pk=library_id, root=root, source=source, time_zone=zone)
    return Stored(**dict(zip(_COLUMNS[:-4], row, strict=False)), library=library, is_in_album=is_in_album)


def path_here(photo: Stored) -> bytes | None:
    """Return where the original is on this machine, for a web server in front; None if it is in a bucket."""
    if photo.library.source != "local":
        return None
    return os.path.join(unescape_path(photo.library.root), unescape_path(photo.path))  # noqa: PTH118 - bytes


def file_name(photo: Stored) -> str:
    """Return the name under which the original is downloaded."""
    if photo.is_in_album:
        extension = os.path.splitext(photo.filename)[1]
        return f"{photo.pk}{extension if extension.isascii() else ''}"
    return unescape_path(photo.filename).decode("utf-8", "replace")


def name_with(photo: Stored, extension: str) -> str:
    """Return that name with the extension of what was made of the original."""
    return f"{os.path.splitext(file_name(photo))[0]}.{extension}"
