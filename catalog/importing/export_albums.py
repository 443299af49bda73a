"""Albums of an export: a folder that a document describes becomes an album of the person who imports it."""

import logging
from collections.abc import Sequence
from itertools import islice
from typing import Any
from uuid import UUID, uuid5

from django.db import transaction

from catalog.albums import albums, items
from catalog.albums.refusals import Refused
from catalog.importing.parts import Parts
from catalog.importing.takeout import Document
from catalog.models import Album, AlbumItem, Import, Photo
from catalog.models.album import album_item_id
from operations.running import Run

logger = logging.getLogger(__name__)
PHOTO = AlbumItem.TargetType.PHOTO


class ExportAlbums:
    """Makes albums of folders of an export, and adds to them what other parts bring."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def bring(self, wanted: Import, parts: Parts) -> None:
        """Make the albums of the folders of this part, or add to them what came with it. Safe to repeat.

        An album keeps the title that somebody gave it here; one that was deleted here stays deleted, what was removed
        from one stays out, and one that is somebody else's by now gets nothing: they decide who sees it.
        """
        for folder, document in parts.albums_of(wanted).items():
            album_id = album_id_of(wanted, folder)
            if Album.objects.filter(pk=album_id).exclude(owner=wanted.user_id).exists():
                continue
            photos = self._photos(wanted, parts, folder, document)
            try:
                with transaction.atomic():
                    self._run.checkpoint(stop=False)
                    if photos and not Album.objects.filter(pk=album_id).exists():
                        albums.create(wanted.user, album_id, _fields(document))
                new = iter(_not_there(album_id, photos))
                while some := list(islice(new, items.MOST_AT_ONCE)):
                    with transaction.atomic():
                        self._run.checkpoint(stop=False)
                        items.add(wanted.user, album_id, [items.Target(PHOTO, key) for key in some])
            except Refused as refused:  # it was deleted, or is full
                logger.info("Nothing more came into the album %s of an import: %s", album_id, refused.reason)
            self._run.raise_if_stopped()

    def _photos(self, wanted: Import, parts: Parts, folder: str, document: Document) -> list[UUID]:
        """Return the photos of an album that are in the library: as it lists them, else oldest first."""
        rows = Photo.objects.filter(library=wanted.library_id, is_shown=True)
        keys = parts.photos_named(document.names) if document.names else list(parts.photos_in(folder))
        found: dict[UUID, Any] = {}
        for start in range(0, len(keys), 500):
            found.update(rows.filter(pk__in=keys[start : start + 500]).values_list("pk", "taken_local"))
        if document.names:
            return [key for key in keys if key in found]
        return sorted(found, key=lambda key: (found[key], key))


def album_id_of(wanted: Import, folder: str) -> UUID:
    """Return the id of the album of a folder: the same whenever this person imports that export, or a later one, there."""
    return uuid5(wanted.library_id, f"takeout:{wanted.user_id}:{folder}")


def _fields(document: Document) -> dict[str, str]:
    return {
        "title": document.title[: albums.LONGEST_TITLE].strip(),
        "description": document.description[: albums.LONGEST_DESCRIPTION],
        "order": (Album.Order.MANUAL if document.names else Album.Order.TAKEN_ASC).value,
    }


def _not_there(album_id: UUID, photos: Sequence[UUID]) -> list[UUID]:
    """Return those that the album never had."""
    had = set(AlbumItem.objects.filter(album=album_id).values_list("pk", flat=True))
    return [key for key in photos if album_item_id(album_id, PHOTO, key) not in had]
