"""Tell what a library has already: the very content, what became of it here, the same picture, what lies in the trash."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from catalog.entries.read_here import contents_read, rows_read
from catalog.identity.aliases import current_md5
from catalog.importing.read_file import ReadFile
from catalog.media.results import DigestResult
from catalog.models import Alias, ImportItem, Library, Photo, TrashItem
from catalog.models.conditions import state_in

State = ImportItem.State


class Existing(NamedTuple):
    """Why a file is not new to the library: a code for programs, a sentence for people, the photo if it is known."""

    code: str
    sentence: str
    photo: UUID | None = None


class Duplicates:
    """Knows the library, and which files of this window are to be imported.

    `is_in_place` tells whether an item's file is where the item says.
    """

    def __init__(self, library: Library, is_in_place: Callable[[ImportItem], bool]) -> None:
        self._library, self._is_in_place = library, is_in_place
        self._contents: dict[str, ImportItem] = {}
        self._pictures: dict[tuple[str, Any], ImportItem] = {}
        self._same_as: dict[int, ImportItem] = {}
        self._rewritten_to: dict[str, str] = {}
        self._there: dict[str, Photo] = {}
        self._trashed: dict[str, TrashItem] = {}
        self._placed: dict[str, list[ImportItem]] = {}
        self._same_pictures: dict[str, list[Photo]] = {}

    def clear(self) -> None:
        """Begin another window."""
        self._contents.clear()
        self._pictures.clear()
        self._same_as.clear()

    def release(self, items: Iterable[ImportItem]) -> None:
        """Let those wait again that were called the same as one which could not be imported after all."""
        for item in items:
            other = self._same_as.get(item.pk)
            if other is not None and item.state == State.DUPLICATE and other.state == State.REJECTED:
                item.state, item.code, item.reason = State.WAITING, "", ""

    def name_photos(self, items: Iterable[ImportItem]) -> None:
        """Let those that are the same as one of this import name the photo that this one became."""
        for item in items:
            other = self._same_as.get(item.pk)
            if other is not None and item.state == State.DUPLICATE:
                item.photo = other.photo

    def reserve(self, one: ReadFile) -> None:
        """Remember a file that is going to be imported."""
        self._contents[one.item.photo_md5] = one.item
        if one.result.image_digest:
            self._pictures[one.result.image_digest, one.columns["taken_local"]] = one.item

    def prefetch(self, read: Sequence[ReadFile]) -> None:
        """Ask the database about some files at once: some six queries, however many they are."""
        md5s = [one.item.photo_md5 for one in read]
        mine = Alias.objects.filter(library=self._library, old_md5__in=md5s)
        self._rewritten_to = {old: current_md5(self._library, old) for old in mine.values_list("old_md5", flat=True)}
        every = {*md5s, *self._rewritten_to.values()}
        here = Photo.objects.filter(library=self._library).exclude(state=Photo.State.MISSING)
        here = here.order_by("directory", "filename")
        self._there = {}
        same = here.filter(photo_md5__in=every).only("directory", "filename", "photo_md5", "read_md5")
        for photo in rows_read(self._library, same):  # of what a snapshot only tells nobody knows whether it is there
            self._there.setdefault(photo.photo_md5, photo)
        trashed = list(TrashItem.objects.deleted().filter(library=self._library, photo_md5__in=every))
        sure = contents_read(self._library, {item.photo_md5 for item in trashed}) if trashed else set()
        # What is no photo's was found in the trash folder, and read there.
        self._trashed = {item.photo_md5: item for item in trashed if item.photo_id is None or item.photo_md5 in sure}
        self._placed = defaultdict(list)
        placed = ImportItem.objects.filter(state_in(State.PLACING, State.IMPORTED), photo_md5__in=md5s)
        for item in placed.filter(import_run__library=self._library):
            self._placed[item.photo_md5].append(item)
        self._same_pictures = defaultdict(list)
        digests = {one.result.image_digest for one in read} - {""}
        columns = ("directory", "filename", "image_digest", "taken_local", "taken_source")
        for photo in here.with_pictures(digests).only(*columns) if digests else ():
            self._same_pictures[photo.image_digest].append(photo)

    def match_contents(
        self, items: Sequence[ImportItem], md5s: dict[int, str]
    ) -> Iterator[tuple[ImportItem, Existing]]:
        """Yield those items, whose MD5s are known without reading them, that are there already."""
        self.clear()
        for item in items:
            item.photo_md5 = md5s[item.pk]
        self.prefetch([ReadFile(item, DigestResult()) for item in items])
        for item in items:
            there = self._content(item)
            if there is not None:
                yield item, there
            else:
                item.photo_md5 = ""

    def match(self, one: ReadFile) -> Existing | None:
        """Return what is there if the library has the file, which was prefetched, already; None if it is new."""
        return self._content(one.item) or self._picture(one)

    def _content(self, item: ImportItem) -> Existing | None:
        """Return what is there if the library has the very content, or has had it and wrote stars or dates into it."""
        md5 = item.photo_md5
        other = self._contents.get(md5)
        if other is not None and other.state != State.REJECTED:
            self._same_as[item.pk] = other
            return Existing("same_import", f"The same as {other.path} of this import.", other.photo)
        for known in (md5, self._rewritten_to.get(md5, md5)):
            if known in self._there:
                photo = self._there[known]
                return Existing("in_library", f"It is in the library already: {photo.path}.", photo.pk)
            if known in self._trashed:
                trashed = self._trashed[known]
                return Existing(
                    "in_trash",
                    f"It was deleted here and is in the trash ({trashed.path}); restore it there if you want it.",
                    trashed.photo_id,
                )
        for placed in self._placed.get(md5, ())[:10]:
            if placed.pk != item.pk and placed.target_filename and self._is_in_place(placed):
                return Existing("in_library", f"It is in the library already: {placed.target}.", placed.photo)
        return None

    def _picture(self, one: ReadFile) -> Existing | None:
        """Return what is there if the library has the same picture of the same second, with other words in its file."""
        digest, taken = one.result.image_digest, one.columns["taken_local"]
        if not digest:
            return None
        other = self._pictures.get((digest, taken))
        if other is not None and other.state != State.REJECTED:
            self._same_as[one.item.pk] = other
            return Existing(
                "same_picture",
                f"It holds the same picture as {other.path} of this import, with other words (stars, caption …).",
                other.photo,
            )
        is_dated = bool(one.columns["taken_source"])
        same = (
            photo
            for photo in self._same_pictures.get(digest, ())
            if not is_dated or not photo.taken_source or photo.taken_local == taken
        )
        there = next(same, None)
        if there is None:
            return None
        return Existing(
            "same_picture",
            f"The library has the same picture already, with other words in its file (stars, caption …): {there.path}.",
            there.pk,
        )
