"""The albums of a catalog export: the exporting person's own, with those of their photos that the export holds."""

import json
from collections.abc import Iterator
from itertools import groupby
from uuid import UUID

from catalog.models import Album, AlbumItem
from exports.models import Export

from .rows import photos_of

ALBUMS_NAME = "albums.json"
_AT_ONCE = 2_000
_Item = tuple[UUID, UUID, str]


def album_file(export: Export, using: str) -> Iterator[bytes]:
    """Yield the bytes of `albums.json` (formats.md §5) as `using` sees the database; nothing if there is no such album."""
    albums = Album.objects.using(using).filter(owner=export.user_id, trashed_at=None)
    items = (
        AlbumItem.objects.using(using)
        .live()
        .filter(album__in=albums.values("pk"), photo__in=photos_of(export).using(using).order_by().values("pk"))
        .order_by("album__title", "album_id", "position", "pk")
        .values_list("album_id", "photo_id", "photo__photo_md5")
    )
    opening = b"[\n"
    for album_id, of_album in groupby(items.iterator(chunk_size=_AT_ONCE), key=lambda item: item[0]):
        yield opening + _head(*albums.values_list("pk", "title", "description").get(pk=album_id))
        yield from _photos(of_album)
        yield b"\n    ]\n  }"
        opening = b",\n"
    if opening != b"[\n":
        yield b"\n]\n"


def _head(album_id: UUID, title: str, description: str) -> bytes:
    values = {"id": str(album_id), "title": title, "description": description}
    fields = [
        f"    {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items() if value
    ]
    return ("  {\n" + ",\n".join(fields) + ',\n    "photos": [').encode()


def _photos(items: Iterator[_Item]) -> Iterator[bytes]:
    separator = "\n"
    for _, photo_id, photo_md5 in items:
        photo = json.dumps({"id": str(photo_id), "photo_md5": photo_md5 or ""})
        yield f"{separator}      {photo}".encode()
        separator = ",\n"
