"""Import files into a library: read, find what is there already, put into their folders, catalog, one window after the other.

The items are the work queue, so resuming is asking for those that are open. What is about to be put into the library is in
its item's row before, and a new file gets its name in one step, when it is whole: a kill leaves a file or none.
"""

import errno
import hashlib
import logging
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from catalog.media.kinds import (
    MEDIA_EXTENSIONS,
    RAW_EXTENSIONS,
    companions_in,
    extension_of,
    is_media_name,
    sidecar_target,
)
from catalog.media.pool import DecoderPool, Job
from catalog.media.results import DigestResult
from catalog.sources.base import Source, SourceUnavailable
from catalog.sources.placing import BytesDiffer, content_of, copy_into, numbered, open_folder, sync_folder
from operations.running import Cancelled, Interrupted, OperationFailed, Run, operation_kind
from photolala.lib.paths import escape_path, unescape_path

from . import cache_tree, publishing, scan_rows
from .aliases import current_md5
from .answers import digest_columns, digested_row, surveyed_row
from .decoders import scan_decoders
from .favourites import FULL
from .import_origins import Origin, discard_uploads, origin_of
from .imports import KIND, is_sidecar_name, room_of, waiting
from .layouts import folder_of
from .libraries import want_scan
from .models import Import, ImportItem, Library, Photo, TrashItem, Upload
from .planning import LONGEST_PATH_BYTES, Entry, doubted, is_racy, sidecar_signature
from .ratings import mirror_for_owner, set_ratings
from .scan_rows import Claimed, Row
from .source_for import source_for

logger = logging.getLogger(__name__)
WINDOW = 100
WINDOW_BYTES = 2 * 10**9
LIST_BATCH = 500
BRING_AT_ONCE = 10
SPEAKING = ("xmp", "takeout")
"""The kinds of sidecars that a scan reads."""
TOGETHER = timedelta(hours=26)
"""Files of one name are one shot if their times differ by no more: some know their offset from UTC, some do not."""
LISTED_ONLY = frozenset({"jxl", "svg", "psd", "jp2"}) | RAW_EXTENSIONS
"""Kinds of which not every file can be drawn here; that is no reason to leave one out."""
MOST_NUMBERS = 10_000

State = ImportItem.State
Facts = tuple[int, int]


@operation_kind(KIND, label="Import", queue="files")
def run_import(run: Run) -> dict[str, Any]:
    """Import what waits for the library that `run.params["library"]` names; returns how many files came to what end."""
    library = Library.objects.filter(pk=run.params["library"]).select_related("owner").first()
    if library is None:
        raise OperationFailed("The library was forgotten meanwhile; nothing more is imported.", "library_gone")
    with closing(source_for(library)) as source:
        try:
            return Importer(run, library, source).run_all()
        except SourceUnavailable as error:
            raise OperationFailed(f"{error} What was imported stays.", "root_unavailable") from None


@dataclass(slots=True)
class Read:
    """One file of a window, what was read of it, and where it is to go."""

    item: ImportItem
    result: DigestResult
    columns: Row = field(default_factory=dict)
    sidecars: dict[str, ImportItem] = field(default_factory=dict)
    """The sidecars that travel with it, by kind."""
    names: dict[str, str] = field(default_factory=dict)
    """What they are called in the library, by kind."""
    was_placed: bool = False
    """A killed import had put it into the library already."""
    facts: Facts | None = None
    """Size and time of the file in the library, once it is there."""
    beside: dict[str, tuple[str, Facts]] = field(default_factory=dict)
    """Name, size and time of its sidecars in the library, by kind."""

    @property
    def is_film(self) -> bool:
        """True for moving pictures."""
        return self.result.media_type.startswith("video/")


class Importer:
    """One run over everything that waits for a library."""

    def __init__(self, run: Run, library: Library, source: Source) -> None:
        self.run = run
        self.library = library
        self.source = source
        self.counts: Counter[str] = Counter(run.operation.checkpoint.get("counts", {}))
        self.root = os.path.realpath(unescape_path(library.root))
        self.names: dict[tuple[Any, str], list[str]] = {}
        self.taken: dict[str, set[str]] = {}
        """The lower-case names in folders of the library, as of this window; a name that is taken meanwhile is no harm."""
        self.in_window: dict[str, ImportItem] = {}
        self.pictures: dict[tuple[str, Any], ImportItem] = {}
        self.room: int | None = None

    def run_all(self) -> dict[str, Any]:
        """Import until nothing waits; then ask for a scan, which follows moves and publishes the catalog."""
        self._require_target()
        with scan_decoders() as pool:
            while (wanted := waiting().filter(library=self.library).select_related("user").first()) is not None:
                try:
                    self._import(wanted, pool)
                except SourceUnavailable as error:
                    self._require_target()  # whose fault is it?
                    self._give_up(wanted, str(error))
        if self.counts[State.IMPORTED]:
            publishing.refresh_counts(self.library)
            want_scan(self.library, self.run.operation.owner)
        ends = {str(state): self.counts[state] for state in (State.IMPORTED, State.DUPLICATE, State.REJECTED)}
        return {"library": str(self.library.pk), **ends, "failed": self.counts[State.REJECTED]}

    def _require_target(self) -> None:
        """Raise unless the library's folder is the right one and can be written: nothing is put under an unplugged disk."""
        self.source.check()
        publishing.check_pointer_is_there(self.library)
        if not self.source.root_is_writable():
            raise OperationFailed(
                f"The folder {self.library.root} cannot be written to, so nothing can be imported. Give Photolala's user the "
                "right to, then retry. Nothing was changed.",
                "read_only",
            )

    def _import(self, wanted: Import, pool: DecoderPool) -> None:
        """List one import if that was not done, then take in its files."""
        if not Library.objects.editable_by(wanted.user).filter(pk=self.library.pk).exists():
            self._give_up(wanted, "Who began this import may not change the library any more. What was imported stays.")
            return
        self.names.clear()
        self.room = room_of(self.library)
        origin = origin_of(wanted)
        try:
            if wanted.listed_at is None:
                self._list(wanted, origin)
            media = wanted.items.filter(state__in=ImportItem.OPEN, is_sidecar=False)
            self.run.phase("Importing", media.count(), unit="files")
            while window := _window(media):
                self._take(wanted, origin, pool, window)
                self.run.raise_if_stopped()
            self._finish(wanted, origin)
        finally:
            origin.close()

    def _give_up(self, wanted: Import, sentence: str) -> None:
        with transaction.atomic():
            Import.objects.filter(pk=wanted.pk).update(error=sentence, finished_at=timezone.now())
            self.run.checkpoint(stop=False)

    # -- listing ------------------------------------------------------------------------------------------------------

    def _list(self, wanted: Import, origin: Origin) -> None:
        """Make an item of every file. Begun anew if it was interrupted; an archive in a folder is an import of its own."""
        self.run.phase("Looking through the files", unit="files")
        with transaction.atomic():
            wanted.items.all().delete()
            self.run.checkpoint(stop=False)
        batch: list[ImportItem] = []
        archives: list[str] = []
        for directory in origin.walk():
            batch += [self._refused(wanted, problem.path, problem.reason) for problem in directory.problems]
            beside = _sidecar_names(name for name, _, _ in directory.files)
            for name, size, mtime in directory.files:
                item = ImportItem(
                    import_run=wanted, directory=directory.path, filename=name, size_bytes=size, mtime_ns=mtime
                )
                if wanted.kind == Import.Kind.FOLDER and extension_of(name) == "zip":
                    archives.append(directory.path_of(name))
                    continue
                item.is_sidecar = name in beside
                if not item.is_sidecar and not is_media_name(name):
                    _reject(item, "unsupported", "It is neither a photo nor a film.")
                batch.append(item)
            if len(batch) >= LIST_BATCH:
                self._write_list(batch)
                batch = []
        self._write_list(batch)
        with transaction.atomic():
            for path in archives:
                Import.objects.create(
                    library=wanted.library, user=wanted.user, kind=Import.Kind.ARCHIVE,
                    source=f"{wanted.source}/{path}", layout=wanted.layout,
                )  # fmt: skip
            Import.objects.filter(pk=wanted.pk).update(listed_at=timezone.now())
            self.run.checkpoint(stop=False)
        self.run.raise_if_stopped()

    def _refused(self, wanted: Import, path: str, reason: str) -> ImportItem:
        directory, _, name = path.rpartition("/")
        item = ImportItem(
            import_run=wanted, directory=directory, filename=name or "(top folder)", size_bytes=0, mtime_ns=0
        )
        _reject(item, "unreadable", reason)
        return item

    def _write_list(self, batch: list[ImportItem]) -> None:
        with transaction.atomic():
            ImportItem.objects.bulk_create(batch, ignore_conflicts=True)
            self.run.advance(len(batch))
            self.run.checkpoint(stop=False)
        self.run.raise_if_stopped()

    # -- one window ---------------------------------------------------------------------------------------------------

    def _take(self, wanted: Import, origin: Origin, pool: DecoderPool, window: list[ImportItem]) -> None:
        """Bring in the files of a window, in their order, while the decoders read on."""
        self.taken.clear()
        self.in_window.clear()
        self.pictures.clear()
        shots: dict[tuple[str, str], list[ImportItem]] = defaultdict(list)
        for item in window:
            shots[_shot_key(item)].append(item)
        waiting_shots = list(shots.values())[::-1]
        read: dict[int, Read | None] = {}
        ready: list[ImportItem] = []
        for item, one in self._read(wanted, origin, pool, window):
            read[item.pk] = one
            while waiting_shots and all(member.pk in read for member in waiting_shots[-1]):
                ready += waiting_shots.pop()
            if len(ready) >= BRING_AT_ONCE:
                self._bring(wanted, origin, ready, read)
                ready = []
        if ready:
            self._bring(wanted, origin, ready, read)

    def _bring(self, wanted: Import, origin: Origin, items: list[ImportItem], read: dict[int, "Read | None"]) -> None:
        """Decide what becomes of files that were read, put them into the library, write the rows."""
        kept = self._decide([one for item in items if (one := read[item.pk]) is not None])
        self._plan(wanted, kept)
        self._write_plan([one.item for one in kept])
        for one in kept:
            self._place(one, origin)
            try:
                self.run.checkpoint(force=False)
            except (Cancelled, Interrupted):
                break  # what is there by now is catalogued first
        placed = [one for one in kept if one.facts is not None]
        for directory in {one.item.target_directory for one in placed}:
            sync_folder(self.root, directory)
        self._cache(placed)
        with transaction.atomic():
            self._catalog(wanted, placed)
            self._write_ends(items, placed)
        self.run.raise_if_stopped()
        for item in items:
            origin.forget(item)
            read[item.pk] = None  # thumbnails are not kept longer than needed
        self._discard(wanted, items)

    def _read(
        self, wanted: Import, origin: Origin, pool: DecoderPool, window: list[ImportItem]
    ) -> Iterator[tuple[ImportItem, "Read | None"]]:
        """Yield the items with what was read; None for one that could not be, which says why by then."""
        opened: dict[int, OSError] = {}
        beside_of = self._sidecar_items(wanted, window)

        def opening(item: ImportItem) -> int:
            try:
                return origin.open(item)
            except OSError as error:
                opened.setdefault(item.pk, error)
                raise

        jobs = [
            Job(
                key=item,
                name=item.filename,
                open=partial(opening, item),
                params={"zone": self.library.time_zone, "mtime_ns": item.mtime_ns, "size_bytes": item.size_bytes},
                sidecars={
                    kind: partial(origin.open, beside)
                    for kind, beside in beside_of[item.pk].items()
                    if kind in SPEAKING
                },
            )
            for item in window
        ]
        for job, result in pool.digest(iter(jobs)):
            item = job.key
            error = opened.get(item.pk)
            self.run.checkpoint(force=False, is_lasting=False)
            if error is not None or not result.photo_md5:
                _reject(item, *_reason(error, result))
                yield item, None
            else:
                yield item, Read(item, result, digest_columns(result), beside_of[item.pk])

    def _sidecar_items(self, wanted: Import, window: list[ImportItem]) -> dict[int, dict[str, ImportItem]]:
        """Return the sidecars, by kind, of each item of the window."""
        found: dict[int, dict[str, ImportItem]] = {}
        places = {item.directory for item in window}
        if wanted.kind == Import.Kind.UPLOAD or len(self.names) > 64:
            self.names.clear()  # more may have come meanwhile
        beside: dict[str, dict[str, ImportItem]] = defaultdict(dict)
        for item in wanted.items.filter(directory__in=places, is_sidecar=True):
            beside[item.directory][item.filename] = item
        for directory in places:
            names = self.names.get((wanted.pk, directory))
            if names is None:
                names = list(wanted.items.filter(directory=directory).values_list("filename", flat=True))
                self.names[wanted.pk, directory] = names
        by_photo = {directory: companions_in(self.names[wanted.pk, directory]) for directory in places}
        for item in window:
            named = by_photo[item.directory].get(item.filename, {})
            own = beside[item.directory]
            found[item.pk] = {kind: own[name] for kind, name in named.items() if name in own}
        return found

    def _decide(self, read: list[Read]) -> list[Read]:
        """Return what is to be imported; the rest is rejected, or there already."""
        kept: list[Read] = []
        for one in read:
            item, result = one.item, one.result
            item.photo_md5 = result.photo_md5
            one.was_placed = item.state == State.PLACING and bool(item.target_filename) and self._lies_there(item)
            if one.was_placed:
                kept.append(one)  # a killed import had put it there
            elif (there := self._known(item) or self._known_picture(one)) is not None:
                item.state, item.code, item.reason = State.DUPLICATE, there[0], there[1]
            elif (wrong := _wrong(item, result)) is not None:
                _reject(item, *wrong)
            elif self.room is not None and item.size_bytes > self.room:
                _reject(item, "quota", "The owner of the library has no room left in their quota. Nothing was changed.")
            else:
                self.room = self.room - item.size_bytes if self.room is not None else None
                kept.append(one)
            if item.state in ImportItem.OPEN:
                self.in_window[item.photo_md5] = item
                if result.image_digest:
                    self.pictures[result.image_digest, one.columns["taken_local"]] = item
        return kept

    def _lies_there(self, item: ImportItem) -> bool:
        with suppress(OSError, ValueError):
            folder = open_folder(self.root, item.target_directory)
            try:
                found = content_of(folder, unescape_path(item.target_filename))
            finally:
                os.close(folder)
            return found is not None and found[1] == item.photo_md5
        return False

    def _known(self, item: ImportItem) -> tuple[str, str] | None:
        """Return (code, sentence) if the library has the very content, or has had it and wrote stars or dates into it."""
        md5 = item.photo_md5
        if md5 in self.in_window:
            return "same_import", f"The same as {self.in_window[md5].path} of this import."
        now = current_md5(self.library, md5)
        photos = Photo.objects.filter(library=self.library, photo_md5__in={md5, now})
        there = photos.exclude(state=Photo.State.MISSING).order_by("directory", "filename").first()
        if there is not None:
            return "in_library", f"It is in the library already: {there.path}."
        trashed = TrashItem.objects.filter(library=self.library, photo_md5__in={md5, now}).first()
        if trashed is not None:
            return (
                "in_trash",
                f"It was deleted here and lies in the trash ({trashed.path}); restore it there if you want it.",
            )
        placed = ImportItem.objects.filter(
            import_run__library=self.library, photo_md5=md5, state__in=[State.IMPORTED, State.PLACING]
        ).exclude(pk=item.pk)
        for other in placed[:10]:
            if other.target_filename and self._lies_there(other):
                return "in_library", f"It is in the library already: {other.target}."
        return None

    def _known_picture(self, one: Read) -> tuple[str, str] | None:
        """Return (code, sentence) if the library has the same picture of the same second, with other words in its file."""
        digest, taken = one.result.image_digest, one.columns["taken_local"]
        if not digest:
            return None
        if (digest, taken) in self.pictures:
            other = self.pictures[digest, taken].path
            return (
                "same_picture",
                f"It holds the same picture as {other} of this import, with other words (stars, caption …).",
            )
        same = Photo.objects.filter(library=self.library, image_digest=digest).exclude(state=Photo.State.MISSING)
        if one.columns["taken_source"]:
            same = same.filter(Q(taken_local=taken) | Q(taken_source=""))
        there = same.order_by("directory", "filename").first()
        if there is None:
            return None
        return (
            "same_picture",
            f"The library has the same picture already, with other words in its file (stars, caption …): {there.path}.",
        )

    # -- where to -----------------------------------------------------------------------------------------------------

    def _plan(self, wanted: Import, kept: list[Read]) -> None:
        """Choose folder and names, for all files of one shot together, and note them in the items."""
        groups: dict[tuple[str, str], list[Read]] = defaultdict(list)
        for one in kept:
            groups[one.item.directory, _stem(one.item.filename).lower()].append(one)
        for (directory, _), group in groups.items():
            for shot in _shots(group):
                self._plan_shot(wanted, directory, shot)

    def _plan_shot(self, wanted: Import, directory: str, shot: list[Read]) -> None:
        placed = [one for one in shot if one.item.target_filename]
        fresh = [one for one in shot if not one.item.target_filename]
        sibling = placed[0].item if placed else self._sibling(wanted, directory, shot[0])
        target = sibling.target_directory if sibling else _folder_for(wanted, directory, shot)
        names = self.taken.get(target)
        if names is None:
            names = self.taken[target] = self._names_in(target)
        start = _number_of(sibling) if sibling else 1
        for number in range(start, start + MOST_NUMBERS):
            chosen = [_names(one, number) for one in fresh]
            every = [name for photo, beside in chosen for name in (photo, *beside.values())]
            if not any(name.lower() in names for name in every):
                break
        for one, (photo, beside) in zip(fresh, chosen, strict=True):
            one.item.target_directory, one.item.target_filename, one.names = target, photo, beside
            if len(one.item.target.encode()) > LONGEST_PATH_BYTES:
                _reject(one.item, "unsupported", "Its path in the library would be longer than can be catalogued.")
                continue
            one.item.state = State.PLACING
            names.update(name.lower() for name in (photo, *beside.values()))
        for one in placed:
            one.names = _names_beside(one, one.item.target_filename)

    def _sibling(self, wanted: Import, directory: str, one: Read) -> ImportItem | None:
        """Return what was imported before of the same shot (the picture of a Live Photo, the RAW of a JPEG), if anything."""
        start = f"{_stem(one.item.filename)}."
        same = wanted.items.filter(directory=directory, state=State.IMPORTED, is_sidecar=False)
        found = same.filter(filename__istartswith=start).exclude(pk=one.item.pk).first()
        if found is None or "." in found.filename[len(start) :]:
            return None
        photo = Photo.objects.filter(
            library=self.library, directory=found.target_directory, filename=found.target_filename
        ).first()
        if photo is None or abs(photo.taken_local - one.columns["taken_local"]) > TOGETHER:
            return None
        return found

    def _names_in(self, directory: str) -> set[str]:
        """Return the lower-case names in a folder of the library; none if it is not there yet."""
        with suppress(OSError, ValueError):
            folder = open_folder(self.root, directory)
            try:
                return {escape_path(os.fsencode(name)).lower() for name in os.listdir(folder)}
            finally:
                os.close(folder)
        return set()

    def _write_plan(self, items: list[ImportItem]) -> None:
        """Say what is about to be done before any file is put into the library, under the fencing number."""
        with transaction.atomic():
            fields = ["state", "photo_md5", "target_directory", "target_filename"]
            ImportItem.objects.bulk_update([i for i in items if i.state == State.PLACING], fields, batch_size=50)
            self.run.checkpoint(stop=False)
        self.run.raise_if_stopped()

    # -- there --------------------------------------------------------------------------------------------------------

    def _place(self, one: Read, origin: Origin) -> None:
        """Put a file and its sidecars into the library. What goes wrong is in the item then, and nothing is left."""
        item = one.item
        if item.state != State.PLACING:
            return
        try:
            folder = open_folder(self.root, item.target_directory, create=True)
            try:
                facts = None if one.was_placed else self._copy(item, origin, folder)
                for kind, beside in one.sidecars.items():
                    self._copy_sidecar(beside, one.names[kind], item, origin, folder)
                    if kind in SPEAKING:
                        with suppress(FileNotFoundError):
                            one.beside[kind] = (one.names[kind], _facts_of(folder, one.names[kind]))
                one.facts = (facts.st_size, facts.st_mtime_ns) if facts else _facts_of(folder, item.target_filename)
            finally:
                os.close(folder)
        except (OSError, ValueError) as error:
            item.target_directory = item.target_filename = ""
            _reject(item, *_reason(error if isinstance(error, OSError) else None, one.result, is_writing=True))
            if isinstance(error, OSError) and error.errno in (errno.EIO, errno.ENOENT, errno.ESTALE, errno.ENOTCONN):
                self._require_target()

    def _copy(self, item: ImportItem, origin: Origin, folder: int) -> os.stat_result:
        descriptor = origin.open(item)
        try:
            number = 1
            wanted = item.target_filename
            while True:
                try:
                    return copy_into(
                        folder,
                        unescape_path(item.target_filename),
                        f"import-{item.pk}",
                        descriptor,
                        mtime_ns=item.mtime_ns,
                        md5=item.photo_md5,
                    )
                except FileExistsError:  # somebody else put one there meanwhile
                    number += 1
                    if number > MOST_NUMBERS:
                        raise
                    item.target_filename = numbered(wanted, number)
                    item.save(update_fields=["target_filename"])
        finally:
            os.close(descriptor)

    def _copy_sidecar(self, beside: ImportItem, name: str, photo: ImportItem, origin: Origin, folder: int) -> None:
        """Put a sidecar beside its photo; one that is there already stays, and its item says what became of it."""
        if (beside.target_directory, beside.target_filename) == (photo.target_directory, name):
            return  # it speaks about two photos, and came with the first
        try:
            descriptor = origin.open(beside)
        except OSError as error:
            _reject(beside, *_reason(error, None))
            return
        try:
            copy_into(
                folder, unescape_path(name), f"import-{photo.pk}-{beside.pk}", descriptor, mtime_ns=beside.mtime_ns
            )
        except FileExistsError:
            if not _is_same(folder, unescape_path(name), descriptor):  # else a killed import had put it there
                beside.state, beside.code = State.DUPLICATE, "in_library"
                beside.reason = "There is a file of that name beside the photo already."
        except OSError as error:
            _reject(beside, *_reason(error, None, is_writing=True))
            return
        finally:
            os.close(descriptor)
        if beside.state in ImportItem.OPEN:
            beside.state = State.IMPORTED
        beside.target_directory, beside.target_filename = photo.target_directory, name

    # -- catalog ------------------------------------------------------------------------------------------------------

    def _catalog(self, wanted: Import, placed: list[Read]) -> None:
        """Write the rows of what is in the library now: they were read whole already, so that no scan has to."""
        now = timezone.now()
        rows: list[tuple[Read, Row, Entry]] = []
        for one in placed:
            if one.facts is None:
                continue
            place = (one.item.target_directory, one.item.target_filename)
            names = {kind: name for kind, (name, _) in one.beside.items()}
            entry = (*one.facts, sidecar_signature(names, dict(one.beside.values())))
            one.result.size_bytes, one.result.mtime_ns = one.facts
            rows.append((one, surveyed_row(self.library, place, entry, one.result, added_at=now), entry))
        if not rows:
            return
        scan_rows.insert_surveyed([row for _, row, _ in rows])
        digested: list[Row] = []
        for one, _, entry in rows:
            photo = Photo.objects.get(
                library=self.library, directory=one.item.target_directory, filename=one.item.target_filename
            )
            digested.append(self._digested(photo, one, entry))
        scan_rows.apply_digests(self.library, digested)
        ids = [row["id"] for row in digested if row["rating"]]
        if ids:
            mirror_for_owner(self.library, ids)
        liked = [
            row["id"]
            for row, (one, _, _) in zip(digested, rows, strict=True)
            if one.result.is_favourite and not row["rating"]
        ]
        if liked:
            set_ratings(wanted.user, liked, FULL)
        publishing.note_change(self.library)

    def _digested(self, photo: Photo, one: Read, entry: Entry) -> Row:
        claimed = Claimed(
            photo.pk,
            photo.claim_token,
            photo.directory,
            photo.filename,
            entry[0],
            entry[1],
            photo.media_type,
            entry[2],
        )
        row = digested_row(claimed, one.result)
        if any(is_racy(mtime_ns, time.time_ns()) for mtime_ns in (entry[1], *(f[1] for _, f in one.beside.values()))):
            row["sidecars"] = doubted(row["sidecars"])
        return row

    def _cache(self, placed: list[Read]) -> None:
        """Write thumbnails and metadata before the rows that name them."""
        with cache_tree.writing():
            for one in placed:
                if one.result.thumbnail:
                    cache_tree.write_thumbnail(one.result.photo_md5, one.result.thumbnail, self.library.source)
                if one.result.metadata_body:
                    cache_tree.write_metadata(one.result.photo_md5, one.result.metadata_body, self.library.source)

    def _write_ends(self, items: list[ImportItem], placed: list[Read]) -> None:
        """Write what became of the files, and count it, under the fencing number. Call it in a transaction."""
        for one in placed:
            one.item.state = State.IMPORTED
        beside = {one.pk: one for read in placed for one in read.sidecars.values() if one.state != State.WAITING}
        ended = [item for item in items if item.state not in ImportItem.OPEN]
        fields = ["state", "photo_md5", "target_directory", "target_filename", "code", "reason", "detail"]
        ImportItem.objects.bulk_update([*ended, *beside.values()], fields, batch_size=50)
        self._count([*ended, *beside.values()], len(ended))

    def _count(self, items: Iterable[ImportItem], done: int = 0) -> None:
        self.counts.update(str(item.state) for item in items)
        self.run.advance(done)
        self.run.checkpoint(stop=False, counts=dict(self.counts))

    def _discard(self, wanted: Import, items: Iterable[ImportItem]) -> None:
        """Remove what was sent and is in the library by now; what was rejected is kept a while, to be tried again."""
        if wanted.kind != Import.Kind.UPLOAD:
            return
        ends = [item for item in items if item.state in (State.IMPORTED, State.DUPLICATE) and item.upload]
        if ends:
            discard_uploads(wanted.user_id, [item.upload for item in ends if item.upload])

    # -- end ----------------------------------------------------------------------------------------------------------

    def _finish(self, wanted: Import, origin: Origin) -> None:
        """Bring late sidecars to their photos, say of the rest that nobody wanted them, and close the import."""
        if wanted.kind == Import.Kind.UPLOAD and Upload.objects.filter(import_run=wanted, completed_at=None).exists():
            return  # more is on its way
        open_sidecars = list(wanted.items.filter(state__in=ImportItem.OPEN, is_sidecar=True))
        for directory in {item.directory for item in open_sidecars}:
            self._bring_late(wanted, origin, directory, [i for i in open_sidecars if i.directory == directory])
        for start in range(0, len(open_sidecars), LIST_BATCH):
            batch = open_sidecars[start : start + LIST_BATCH]
            with transaction.atomic():
                fields = ["state", "target_directory", "target_filename", "code", "reason", "detail"]
                ImportItem.objects.bulk_update(batch, fields, batch_size=50)
                self._count(batch)
        self._discard(wanted, wanted.items.filter(state__in=[State.IMPORTED, State.DUPLICATE], is_sidecar=True))
        with transaction.atomic():
            Import.objects.filter(pk=wanted.pk).update(finished_at=timezone.now())
            self.run.checkpoint(stop=False)
        if wanted.kind == Import.Kind.ARCHIVE and wanted.archive:
            rejected = wanted.items.filter(state=State.REJECTED).exclude(code__in=["unsupported", "no_photo"])
            if not rejected.exists():
                discard_uploads(wanted.user_id, [wanted.archive])

    def _bring_late(self, wanted: Import, origin: Origin, directory: str, sidecars: list[ImportItem]) -> None:
        names = list(wanted.items.filter(directory=directory).values_list("filename", flat=True))
        by_name = {item.filename: item for item in sidecars}
        ends = wanted.items.filter(directory=directory, is_sidecar=False)
        photos = {item.filename: item for item in ends}
        for photo_name, beside in companions_in(names).items():
            photo = photos.get(photo_name)
            for kind, name in beside.items():
                item = by_name.get(name)
                if photo is None or item is None or item.state not in ImportItem.OPEN:
                    continue
                if photo.state != State.IMPORTED:
                    continue
                with suppress(OSError, ValueError):
                    folder = open_folder(self.root, photo.target_directory)
                    try:
                        target = sidecar_target(kind, name, photo.filename, photo.target_filename)
                        self._copy_sidecar(item, target, photo, origin, folder)
                    finally:
                        os.close(folder)
        for item in sidecars:
            if item.state in ImportItem.OPEN:
                _reject(item, "no_photo", "No photo that it speaks about was imported.")


def _facts_of(folder: int, name: str) -> Facts:
    """Return size in bytes and mtime in ns of a file in the open folder. Raises OSError."""
    facts = os.stat(unescape_path(name), dir_fd=folder, follow_symlinks=False)
    return facts.st_size, facts.st_mtime_ns


def _is_same(folder: int, name: bytes, descriptor: int) -> bool:
    found = content_of(folder, name)
    with open(os.dup(descriptor), "rb", buffering=0) as file:
        file.seek(0)
        return found is not None and found[1] == hashlib.file_digest(file, "md5").hexdigest()


def _window(media: Any) -> list[ImportItem]:
    """Return the next open files, so that files of one shot are in one window, as far as that can be told by their names."""
    window = list(media.order_by("directory", "filename", "id")[: WINDOW * 2])
    end = total = 0
    while end < min(len(window), WINDOW) and (end == 0 or total < WINDOW_BYTES):
        total += window[end].size_bytes
        end += 1
    while end < len(window) and _shot_key(window[end]) == _shot_key(window[end - 1]):
        end += 1
    return window[:end]


def _shot_key(item: ImportItem) -> tuple[str, str]:
    return item.directory, _stem(item.filename).lower()


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]


def _sidecar_names(names: Iterable[str]) -> set[str]:
    """Return those names of a folder that are sidecars by their kind, or by what they stand beside."""
    names = list(names)
    beside = {name for companions in companions_in(names).values() for name in companions.values()}
    return beside | {name for name in names if is_sidecar_name(name) and extension_of(name) != "json"}


def _names(one: Read, number: int) -> tuple[str, dict[str, str]]:
    photo = one.item.filename if number == 1 else numbered(one.item.filename, number)
    return photo, _names_beside(one, photo)


def _names_beside(one: Read, photo: str) -> dict[str, str]:
    return {
        kind: sidecar_target(kind, beside.filename, one.item.filename, photo) for kind, beside in one.sidecars.items()
    }


def _number_of(sibling: ImportItem) -> int:
    """Return which number the sibling got."""
    for number in range(2, 100):
        if sibling.target_filename == numbered(sibling.filename, number):
            return number
    return 1


def _shots(group: list[Read]) -> Iterator[list[Read]]:
    """Split files of one name into shots: what was taken more than a day apart only shares its name."""
    rest = sorted(group, key=lambda one: (one.is_film, one.columns["taken_source"] in ("", "file")))
    while rest:
        first = rest[0].columns
        shot = [
            one
            for one in rest
            if one is rest[0] or not first["taken_source"] or not one.columns["taken_source"]
            or abs(one.columns["taken_local"] - first["taken_local"]) <= TOGETHER
        ]  # fmt: skip
        yield shot
        rest = [one for one in rest if one not in shot]


def _folder_for(wanted: Import, directory: str, shot: list[Read]) -> str:
    """Return the folder of the library for a shot, by its first dated file."""
    if wanted.layout == Import.Layout.KEEP:
        return directory
    dated = next((one.columns for one in shot if one.columns["taken_source"]), None)
    return folder_of(wanted.layout, dated["taken_local"] if dated else None)


def _reject(item: ImportItem, code: str, reason: str, detail: str = "") -> None:
    item.state, item.code, item.reason, item.detail = State.REJECTED, code, reason, detail[:2000]


def _wrong(item: ImportItem, result: DigestResult) -> tuple[str, str, str] | None:
    """Return why a file that was read is no photo to import; None if it is one, damaged in part or not."""
    if not result.problem or (result.damaged and result.thumbnail) or result.too_large:
        return None
    if "time limit" in result.problem:
        return "timeout", "Reading it took too long.", result.problem
    if extension_of(item.filename) in LISTED_ONLY and result.media_type:
        return None
    if not result.media_type and extension_of(item.filename) in MEDIA_EXTENSIONS:
        return "corrupted", "It is no picture or film that can be read, whatever its name says.", result.problem
    return "corrupted", "It is damaged, and nothing of it can be shown.", result.problem


def _reason(error: OSError | None, result: DigestResult | None, *, is_writing: bool = False) -> tuple[str, str, str]:
    """Return (code, sentence, technical part) for a file that could not be read, or put into the library."""
    where = "The folder of the library" if is_writing else "The file"
    detail = str(error or (result.problem if result else ""))
    code = error.errno if error is not None else None
    if code in (errno.ENOSPC, errno.EDQUOT):
        return (
            "no_space",
            "There is no room for it on the disk. Free some, then try again. Nothing was left behind.",
            detail,
        )
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "permission", f"{where} does not let Photolala's user do this.", detail
    if isinstance(error, BytesDiffer) or code in (errno.ENOENT, errno.ESTALE):
        return "changed", "It was changed or taken away while it was being imported.", detail
    if code == errno.EBADMSG:
        return "corrupted", "The archive is damaged at this file.", detail
    if code in (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL):
        return "unsupported", "The disk of the library cannot hold a file of this name.", detail
    if error is None and result is not None and "time limit" in result.problem:
        return "timeout", "Reading it took too long.", detail
    if error is None and result is not None and result.problem and not result.photo_md5:
        return "corrupted", "It could not be read to its end.", detail
    return "unreadable", f"{where} could not be {'written' if is_writing else 'read'}.", detail
