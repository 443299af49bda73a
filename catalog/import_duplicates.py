"""Tell what a library has already: the very content, what became of it here, the same picture, what lies in the trash."""

from collections.abc import Callable, Iterable
from typing import Any

from django.db.models import Q

from .aliases import current_md5
from .import_places import Read
from .models import ImportItem, Library, Photo, TrashItem

State = ImportItem.State


class Duplicates:
    """Knows the library, and what was taken on of this window; `lies_there` tells whether an item's file is in its place."""

    def __init__(self, library: Library, lies_there: Callable[[ImportItem], bool]) -> None:
        self._library, self._lies_there = library, lies_there
        self._contents: dict[str, ImportItem] = {}
        self._pictures: dict[tuple[str, Any], ImportItem] = {}
        self._leans_on: dict[int, ImportItem] = {}

    def clear(self) -> None:
        """Begin another window."""
        self._contents.clear()
        self._pictures.clear()
        self._leans_on.clear()

    def take_back(self, items: Iterable[ImportItem]) -> None:
        """Let those wait again that were called the same as one which could not be imported after all."""
        for item in items:
            other = self._leans_on.get(item.pk)
            if other is not None and item.state == State.DUPLICATE and other.state == State.REJECTED:
                item.state, item.code, item.reason = State.WAITING, "", ""

    def take_on(self, one: Read) -> None:
        """Remember a file that is going to be imported."""
        self._contents[one.item.photo_md5] = one.item
        if one.result.image_digest:
            self._pictures[one.result.image_digest, one.columns["taken_local"]] = one.item

    def of(self, one: Read) -> tuple[str, str] | None:
        """Return (code, sentence) if the file is there already; None if it is new."""
        return self._content(one.item) or self._picture(one)

    def _content(self, item: ImportItem) -> tuple[str, str] | None:
        """Return (code, sentence) if the library has the very content, or has had it and wrote stars or dates into it."""
        md5 = item.photo_md5
        other = self._contents.get(md5)
        if other is not None and other.state != State.REJECTED:
            self._leans_on[item.pk] = other
            return "same_import", f"The same as {other.path} of this import."
        now = current_md5(self._library, md5)
        photos = Photo.objects.filter(library=self._library, photo_md5__in={md5, now})
        there = photos.exclude(state=Photo.State.MISSING).order_by("directory", "filename").first()
        if there is not None:
            return "in_library", f"It is in the library already: {there.path}."
        trashed = TrashItem.objects.filter(library=self._library, photo_md5__in={md5, now}).first()
        if trashed is not None:
            return (
                "in_trash",
                f"It was deleted here and lies in the trash ({trashed.path}); restore it there if you want it.",
            )
        placed = ImportItem.objects.filter(
            import_run__library=self._library, photo_md5=md5, state__in=[State.IMPORTED, State.PLACING]
        ).exclude(pk=item.pk)
        for other in placed[:10]:
            if other.target_filename and self._lies_there(other):
                return "in_library", f"It is in the library already: {other.target}."
        return None

    def _picture(self, one: Read) -> tuple[str, str] | None:
        """Return (code, sentence) if the library has the same picture of the same second, with other words in its file."""
        digest, taken = one.result.image_digest, one.columns["taken_local"]
        if not digest:
            return None
        other = self._pictures.get((digest, taken))
        if other is not None and other.state != State.REJECTED:
            self._leans_on[one.item.pk] = other
            return (
                "same_picture",
                f"It holds the same picture as {other.path} of this import, with other words (stars, caption …).",
            )
        same = Photo.objects.filter(library=self._library, image_digest=digest).exclude(state=Photo.State.MISSING)
        if one.columns["taken_source"]:
            same = same.filter(Q(taken_local=taken) | Q(taken_source=""))
        there = same.order_by("directory", "filename").first()
        if there is None:
            return None
        return (
            "same_picture",
            f"The library has the same picture already, with other words in its file (stars, caption …): {there.path}.",
        )
