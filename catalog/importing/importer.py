"""Import files into a library: read, find what is there already, put into their folders, catalog, one window after the other.

The items are the work queue, so resuming is asking for those that are open. What is about to be put into the library is in
its item's row before, and a new file gets its name in one step, when it is whole: a kill leaves a file or none. The library's
folder is held open for the whole run, and is proved to be the same before rows say that something lies in it.
"""

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from catalog.cache import tree
from catalog.edits.favourites import FULL
from catalog.edits.ratings import set_ratings
from catalog.entries import counts
from catalog.entries import rows as entries_rows
from catalog.entries.columns import digested_row, surveyed_row
from catalog.entries.decoders import scan_decoders
from catalog.entries.listing import Entry, doubted, is_racy, sidecar_signature
from catalog.entries.owner_stars import mirror_for_owner
from catalog.entries.rows import Claimed
from catalog.entries.sql import Row
from catalog.importing import finished_uploads
from catalog.importing.claims import HiddenNames
from catalog.importing.known import Duplicates
from catalog.importing.listing import list_files
from catalog.importing.memory import Memory
from catalog.importing.origins import Origin, origin_of
from catalog.importing.places import Placer, Planner, Read
from catalog.importing.reading import Reading
from catalog.importing.reasons import reject, what_is_wrong
from catalog.importing.requests import KIND
from catalog.importing.reservations import holding, room_of, without_room
from catalog.importing.rows import ENDS, write_items
from catalog.importing.staging import forget_uploads, remove_staged
from catalog.importing.turns import ImportTurns, OthersWait
from catalog.importing.windows import shot_key, windows
from catalog.media.pool import DecoderPool
from catalog.models import Import, ImportItem, Library, Photo, Upload
from catalog.roots import guard
from catalog.roots.library_operations import library_operation
from catalog.roots.reach import hold_root, source_for
from catalog.scanning.requests import request_scan
from catalog.sources.base import Source, SourceUnavailable
from catalog.sources.held_root import HeldRoot
from catalog.sources.kinds import companions_in, sidecar_target
from operations.running import OperationFailed, Run

logger = logging.getLogger(__name__)
BRING_AT_ONCE = 10
WRITE_AT_ONCE = 100
EMPTY = ("corrupted", "The file is empty: it holds not a single byte.")
NO_ROOM = "The owner of the library has no room left in their quota."
NOT_READ_AGAIN = "Not read again: an earlier import of this folder read it, and its size and time are the same."

State = ImportItem.State


@library_operation(KIND, label="Import", queue="files", when_gone="nothing more is imported")
def run_import(run: Run, library: Library) -> dict[str, Any]:
    """Import what waits for the library that `run.params["library"]` names; returns how many files came to what end."""
    try:
        with hold_root(library) as held, closing(source_for(library, held)) as source:
            return Importer(run, library, source, held).run_all()
    except SourceUnavailable as error:
        raise _unavailable(error) from None


def _unavailable(error: SourceUnavailable) -> OperationFailed:
    return OperationFailed(f"{error} What was imported stays.", "root_unavailable")


class Importer:
    """One run over everything that waits for a library."""

    def __init__(self, run: Run, library: Library, source: Source, held: HeldRoot) -> None:
        self.run = run
        self.library = library
        self.source = source
        self.counts: Counter[str] = Counter(run.operation.checkpoint.get("counts", {}))
        self.planner = Planner(library, held.descriptor)
        hidden = HiddenNames(library.pk, run.operation.pk, run.token)
        self.placer = Placer(held, hidden, self._confirm, self._require_target)
        self.duplicates = Duplicates(library, self.placer.lies_there)
        self.room: int | None = None
        self.turns = ImportTurns(library)

    def run_all(self) -> dict[str, Any]:
        """Import until nothing waits; then ask for a scan, which follows moves and publishes the catalog."""
        self._require_target()
        under_way = ImportItem.objects.filter(import_run__library=self.library, state=State.PLACING).order_by()
        self.placer.remove_earlier(under_way.values_list("target_directory", flat=True).distinct())
        with scan_decoders() as pool, closing(self.placer):
            pool.tick = partial(self.run.checkpoint, force=False, is_lasting=False)
            while (wanted := self.turns.next()) is not None:
                try:
                    self._import(wanted, pool)
                except OthersWait:
                    continue
                except SourceUnavailable as error:
                    self._require_target()  # whose fault is it?
                    self._give_up(wanted, str(error))
        if self.counts[State.IMPORTED]:
            counts.refresh_counts(self.library)
            request_scan(self.library, self.run.owner)
        ends = {str(state): self.counts[state] for state in (State.IMPORTED, State.DUPLICATE, State.REJECTED)}
        if self.counts["known"]:
            logger.info("%d files were known from earlier imports and not read again (cached).", self.counts["known"])
        known = {"known": self.counts["known"]}
        return {"library": str(self.library.pk), **ends, **known, "failed": self.counts[State.REJECTED]}

    def _require_target(self) -> None:
        """Raise unless the library's folder is the right one and can be written: nothing is put under an unplugged disk."""
        guard.require_root(self.library, self.source, may_be_empty=True)
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
        self.planner.begin(wanted)
        self.memory = Memory(wanted)
        self.room = room_of(self.library)
        origin = origin_of(wanted, partial(self.run.checkpoint, force=False, is_lasting=False))
        try:
            if wanted.listed_at is None:
                list_files(self.run, wanted, origin)
            reading = Reading(self.run, wanted, origin, self.library.time_zone)
            media = wanted.items.filter(state__in=ImportItem.OPEN, is_sidecar=False)
            self.run.phase("Importing", media.count(), unit="files")
            for window in windows(media):
                unknown = self._told_before(origin, self._worth_reading(wanted, window))
                if unknown:
                    self._take(reading, pool, unknown)
                self.run.raise_if_stopped()
            self._finish(wanted, origin)
        finally:
            origin.close()

    def _give_up(self, wanted: Import, sentence: str) -> None:
        with transaction.atomic():
            Import.objects.filter(pk=wanted.pk).update(error=sentence, finished_at=timezone.now())
            self.run.checkpoint(stop=False)

    # -- one window ---------------------------------------------------------------------------------------------------

    def _take(self, reading: Reading, pool: DecoderPool, window: list[ImportItem]) -> None:
        """Bring in the files of a window, in their order, while the decoders read on."""
        self.planner.taken.clear()
        self.duplicates.clear()
        shots: dict[tuple[str, str], list[ImportItem]] = defaultdict(list)
        for item in window:
            shots[shot_key(item)].append(item)
        waiting_shots = list(shots.values())[::-1]
        read: dict[int, Read | None] = {}
        ready: list[ImportItem] = []
        good: set[int] = set()
        for item, one in reading.read(pool, window):
            read[item.pk] = one
            if one is not None and what_is_wrong(item, one.result) is None:
                good.add(item.pk)
            while waiting_shots and all(member.pk in read for member in waiting_shots[-1]):
                ready += waiting_shots.pop()
            # What is no photo costs nothing but its row: a hundred of these are written together.
            if sum(member.pk in good for member in ready) >= BRING_AT_ONCE or len(ready) >= WRITE_AT_ONCE:
                self._bring(reading.wanted, reading.origin, ready, read)
                ready = []
        if ready:
            self._bring(reading.wanted, reading.origin, ready, read)

    def _told_before(self, origin: Origin, window: list[ImportItem]) -> list[ImportItem]:
        """Close those files of a window that an earlier import read and the library still has; return the others."""
        md5s = self.memory.md5s([item for item in window if item.state == State.WAITING], origin.head_md5)
        told = []
        for item, there in self.duplicates.of_contents([item for item in window if item.pk in md5s], md5s):
            item.state, (item.code, item.reason, item.photo) = State.DUPLICATE, there
            item.detail = NOT_READ_AGAIN
            told.append(item)
        if told:
            with transaction.atomic():
                self.counts["known"] += len(told)
                self._write_ends(told, [])
            self.run.raise_if_stopped()
        return [item for item in window if item.state in ImportItem.OPEN]

    def _bring(self, wanted: Import, origin: Origin, items: list[ImportItem], read: dict[int, "Read | None"]) -> None:
        """Decide what becomes of files that were read, put them into the library, write the rows."""
        kept = self._decide([one for item in items if (one := read[item.pk]) is not None])
        if not kept:
            self._close(wanted, origin, items, read)
            return
        self.planner.plan(wanted, kept)
        self._write_plan(wanted, kept)
        try:
            self.placer.reserve(kept)
            self._confirm()
            self.placer.place(kept, origin)
            placed = [one for one in kept if one.facts is not None]
            self.duplicates.take_back(items)
            self._cache(placed)
            self._settle()
            with transaction.atomic():
                self._catalog(wanted, placed)
                self.duplicates.name_photos(items)
                self._write_ends(items, placed)
                done_with = self._forget_uploads(wanted, items)
        finally:
            self.placer.leave()
        self._discard(wanted, done_with)
        self._forget(origin, items, read)
        self.run.raise_if_stopped()
        self.turns.raise_if_over()

    def _close(self, wanted: Import, origin: Origin, items: list[ImportItem], read: dict[int, "Read | None"]) -> None:
        """Write what became of files none of which comes into the library."""
        with transaction.atomic():
            self._write_ends(items, [])
            done_with = self._forget_uploads(wanted, items)
        self._discard(wanted, done_with)
        self._forget(origin, items, read)
        self.run.raise_if_stopped()
        self.turns.raise_if_over()

    def _forget(self, origin: Origin, items: list[ImportItem], read: dict[int, "Read | None"]) -> None:
        """Keep nothing of files longer than needed: no thumbnails, no copies unpacked of them and their sidecars."""
        for item in items:
            one = read[item.pk]
            for beside in one.sidecars.values() if one else ():
                origin.forget(beside)
            origin.forget(item)
            read[item.pk] = None

    def _worth_reading(self, wanted: Import, window: list[ImportItem]) -> list[ImportItem]:
        """Close those files of a window of which size and origin tell enough; return the others."""
        closed = []
        for item in window:
            if item.state != State.WAITING:
                continue
            if not item.size_bytes:
                reject(item, *EMPTY)
            elif wanted.kind == Import.Kind.ARCHIVE and self.room is not None and item.size_bytes > self.room:
                reject(item, "quota", f"{NO_ROOM} It was not unpacked. Nothing was changed.")
            else:
                continue
            closed.append(item)
        if closed:
            with transaction.atomic():
                self._write_ends(closed, [])
        return [item for item in window if item.state in ImportItem.OPEN]

    def _decide(self, read: list[Read]) -> list[Read]:
        """Return what is to be imported; the rest is rejected, or there already."""
        kept: list[Read] = []
        for one in read:
            one.item.photo_md5, one.item.head_md5 = one.result.photo_md5, one.result.head_md5
        self.duplicates.look_up(read)
        for one in read:
            item, result = one.item, one.result
            one.was_placed = item.state == State.PLACING and bool(item.target_filename) and self.placer.lies_there(item)
            if one.was_placed:
                kept.append(one)  # a killed import had put it there
            elif (there := self.duplicates.of(one)) is not None:
                item.state, (item.code, item.reason, item.photo) = State.DUPLICATE, there
            elif (wrong := what_is_wrong(item, result)) is not None:
                reject(item, *wrong)
            elif self.room is not None and item.size_bytes > self.room:
                reject(item, "quota", f"{NO_ROOM} Nothing was changed.")
            else:
                self.room = self.room - item.size_bytes if self.room is not None else None
                kept.append(one)
            if item.state in ImportItem.OPEN:
                self.duplicates.take_on(one)
        return kept

    def _write_plan(self, wanted: Import, kept: list[Read]) -> None:
        """Say what is about to be done before any file is put into the library, under the fencing number."""
        items = [one.item for one in kept]
        with holding(self.library.owner):
            new = [one.item for one in kept if one.item.state == State.PLACING and not one.was_placed]
            for item in without_room(wanted, new):  # another import may have taken it since it was decided
                item.target_directory = item.target_filename = ""
                reject(item, "quota", f"{NO_ROOM} Nothing was changed.")
            fields = ["state", "photo_md5", "target_directory", "target_filename"]
            write_items([i for i in items if i.state == State.PLACING], fields)
            self.run.checkpoint(stop=False)
        self.run.raise_if_stopped()

    def _confirm(self, items: Sequence[ImportItem] = ()) -> None:
        """Raise LeaseLost if this is somebody else's work by now; else write the new names of these items."""
        with transaction.atomic():
            write_items(items, ["target_filename"])
            self.run.checkpoint(stop=False)

    def _settle(self) -> None:
        """Raise OperationFailed unless what was put into the library's folder lies on its disk; nothing says so before."""
        try:
            self.placer.settle()
        except SourceUnavailable as error:
            raise _unavailable(error) from None

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
        entries_rows.insert_surveyed([row for _, row, _ in rows])
        here = Photo.objects.filter(library=self.library, directory__in={row["directory"] for _, row, _ in rows})
        here = here.filter(filename__in=[row["filename"] for _, row, _ in rows])
        by_place = {(photo.directory, photo.filename): photo for photo in here}
        for one, row, _ in rows:
            one.item.photo = by_place[row["directory"], row["filename"]].pk
        digested = [self._digested(by_place[row["directory"], row["filename"]], one, entry) for one, row, entry in rows]
        entries_rows.apply_digests(self.library, digested)
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
        counts.bump_revision(self.library)

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
        with tree.writing():
            for one in placed:
                if one.result.thumbnail:
                    write = tree.write_makeshift if one.result.is_makeshift else tree.write_thumbnail
                    write(one.result.photo_md5, one.result.thumbnail, self.library.source)
                if one.result.metadata_body:
                    tree.write_metadata(one.result.photo_md5, one.result.metadata_body, self.library.source)

    def _write_ends(self, items: list[ImportItem], placed: list[Read]) -> None:
        """Write what became of the files, and count it, under the fencing number. Call it in a transaction."""
        for one in placed:
            one.item.state = State.IMPORTED
            self.planner.note(one.item)
        beside = {one.pk: one for read in placed for one in read.sidecars.values() if one.state != State.WAITING}
        ended = [item for item in items if item.state not in ImportItem.OPEN]
        _note_end([*ended, *beside.values()])
        write_items([*ended, *beside.values()], ENDS)
        self._count([*ended, *beside.values()], len(ended))

    def _count(self, items: Iterable[ImportItem], done: int = 0) -> None:
        self.counts.update(str(item.state) for item in items)
        self.run.advance(done)
        self.run.checkpoint(stop=False, counts=dict(self.counts))

    def _forget_uploads(self, wanted: Import, items: Iterable[ImportItem]) -> list[UUID]:
        """Forget, in the transaction that says that they are in the library, the uploads of files; return which.

        What was rejected is kept a while, to be tried again.
        """
        if wanted.kind != Import.Kind.UPLOAD:
            return []
        ends = [item.upload for item in items if item.state in (State.IMPORTED, State.DUPLICATE) and item.upload]
        finished_uploads.remember(ends)
        forget_uploads(ends)
        return ends

    def _discard(self, wanted: Import, uploads: list[UUID]) -> None:
        """Remove the bytes of uploads that nobody knows any more, once that is committed under the fencing number."""
        remove_staged(wanted.user_id, uploads)

    # -- end ----------------------------------------------------------------------------------------------------------

    def _finish(self, wanted: Import, origin: Origin) -> None:
        """Bring late sidecars to their photos, say of the rest that nobody wanted them, and close the import."""
        if wanted.kind == Import.Kind.UPLOAD and Upload.objects.filter(import_run=wanted, completed_at=None).exists():
            return  # more is on its way
        open_sidecars = list(wanted.items.filter(state__in=ImportItem.OPEN, is_sidecar=True))
        for directory in {item.directory for item in open_sidecars}:
            self._bring_late(wanted, origin, directory, [i for i in open_sidecars if i.directory == directory])
        with transaction.atomic():
            done_with = self._forget_uploads(
                wanted, wanted.items.filter(state__in=[State.IMPORTED, State.DUPLICATE], is_sidecar=True)
            )
            if wanted.kind == Import.Kind.ARCHIVE and wanted.archive and not self._may_be_tried_again(wanted):
                done_with = [wanted.archive]
                finished_uploads.remember(done_with)
                forget_uploads(done_with)
            Import.objects.filter(pk=wanted.pk).update(finished_at=timezone.now())
            self.run.checkpoint(stop=False)
        self._discard(wanted, done_with)

    def _may_be_tried_again(self, wanted: Import) -> bool:
        rejected = wanted.items.filter(state=State.REJECTED).exclude(code__in=["unsupported", "no_photo"])
        return rejected.exists() or wanted.items.filter(state__in=ImportItem.OPEN).exists()

    def _bring_late(self, wanted: Import, origin: Origin, directory: str, sidecars: list[ImportItem]) -> None:
        """Put the sidecars of a folder beside photos that came before them, or reject them; write what became of them."""
        late = list(self._late(wanted, directory, sidecars))
        with transaction.atomic():
            for photo, item, name in late:
                place = {"target_directory": photo.target_directory, "target_filename": name}
                ImportItem.objects.filter(pk=item.pk).update(state=State.PLACING, **place)
            self.run.checkpoint(stop=False)
        try:
            for photo, item, _ in late:
                with suppress(OSError, ValueError):
                    self.placer.reserve_sidecar(item, photo)
            self._confirm()
            for photo, item, name in late:
                with suppress(OSError, ValueError):
                    folder = self.placer.folder_for(photo.target_directory)
                    self.placer.copy_sidecar(item, name, photo, origin, folder)
            self._settle()
            for item in sidecars:
                if item.state in ImportItem.OPEN:
                    reject(item, "no_photo", "No photo that it speaks about was imported.")
            _note_end(sidecars)
            with transaction.atomic():
                write_items(sidecars, ENDS)
                self._count(sidecars)
        finally:
            self.placer.leave()

    def _late(
        self, wanted: Import, directory: str, sidecars: list[ImportItem]
    ) -> Iterator[tuple[ImportItem, ImportItem, str]]:
        """Yield (photo, sidecar, its name in the library) of those whose photo was imported."""
        names = list(wanted.items.filter(directory=directory).values_list("filename", flat=True))
        by_name = {item.filename: item for item in sidecars}
        photos = {item.filename: item for item in wanted.items.filter(directory=directory, is_sidecar=False)}
        for photo_name, beside in companions_in(names).items():
            photo = photos.get(photo_name)
            if photo is None or photo.state != State.IMPORTED:
                continue
            for kind, name in beside.items():
                if name in by_name:
                    yield photo, by_name[name], sidecar_target(kind, name, photo.filename, photo.target_filename)


def _note_end(items: Iterable[ImportItem]) -> None:
    """Say when these items ended, where they did."""
    now = timezone.now()
    for item in items:
        item.finished_at = None if item.state in ImportItem.OPEN else now
