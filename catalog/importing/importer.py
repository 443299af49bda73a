"""Import files into a library: read, find what is there already, put into their folders, catalog, one window after the other.

The items are the work queue, so resuming is asking for those that are open. What is about to be put into the library is in
its item's row before, and a new file gets its name in one step, when it is whole: a kill leaves a file or none. The library's
folder is held open for the whole run, and is proved to be the same before rows say that something lies in it.
"""

import logging
from collections import defaultdict
from contextlib import closing
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from catalog.entries import counts
from catalog.entries.arrivals import tell_of_arrivals
from catalog.entries.decoders import scan_decoders
from catalog.entries.quota import holding
from catalog.importing import cataloguing
from catalog.importing.claims import HiddenNames
from catalog.importing.earlier_imports import EarlierImports
from catalog.importing.finishing import Finishing
from catalog.importing.known import Duplicates
from catalog.importing.listing import list_files, list_parts, take_archives_again
from catalog.importing.origins import Origin, origin_of
from catalog.importing.outcomes import Outcomes
from catalog.importing.part_origin import PartOrigin
from catalog.importing.parts import Parts
from catalog.importing.placer import Placer
from catalog.importing.planner import Planner
from catalog.importing.read_file import ReadFile
from catalog.importing.reading import Reading
from catalog.importing.reasons import Reason, reject, root_unavailable, what_is_wrong
from catalog.importing.requests import KIND
from catalog.importing.reservations import room_of, without_room
from catalog.importing.rows import write_items
from catalog.importing.told_keywords import give_read
from catalog.importing.turns import ImportTurns, OthersWait
from catalog.importing.windows import shot_key, windows
from catalog.media.pool import DecoderPool
from catalog.models import Import, ImportItem, Library
from catalog.roots import root_check
from catalog.roots.library_operations import library_operation
from catalog.roots.reach import hold_root, source_for
from catalog.scanning.requests import request_scan
from catalog.sources.base import Source, SourceUnavailable
from catalog.sources.held_root import HeldRoot
from operations.running import OperationFailed, Run

logger = logging.getLogger(__name__)
BRING_AT_ONCE = 10
WRITE_AT_ONCE = 100
EMPTY = Reason("corrupted", "The file is empty: it holds not a single byte.")
TRASHED = Reason(
    "trashed", "It was in the trash where it comes from, and stays out. Restore it there if you want it here."
)
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
        raise root_unavailable(error) from None


class Importer:
    """One run over everything that waits for a library."""

    def __init__(self, run: Run, library: Library, source: Source, held: HeldRoot) -> None:
        self.run = run
        self.library = library
        self.source = source
        self.planner = Planner(library, held.descriptor)
        self.outcomes = Outcomes(run, self.planner)
        hidden = HiddenNames(library.pk, run.operation.pk, run.token)
        self.placer = Placer(held, hidden, self.outcomes.confirm, self._require_target)
        self.duplicates = Duplicates(library, self.placer.is_in_place)
        self.finishing = Finishing(run, self.placer, self.outcomes)
        self.room: int | None = None
        """How many bytes the owner of the library has left; None without a quota."""
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
        if self.outcomes.counts[State.IMPORTED] or self.outcomes.counts["sidecars"]:
            counts.refresh_counts(self.library)
            tell_of_arrivals(self.library)
            request_scan(self.library, self.run.owner)
        ends = {str(state): self.outcomes.counts[state] for state in (State.IMPORTED, State.DUPLICATE, State.REJECTED)}
        if self.outcomes.counts["known"]:
            logger.info(
                "%d files were known from earlier imports and not read again (cached).", self.outcomes.counts["known"]
            )
        known = {"known": self.outcomes.counts["known"]}
        return {"library": str(self.library.pk), **ends, **known, "failed": self.outcomes.counts[State.REJECTED]}

    def _require_target(self) -> None:
        """Raise unless the library's folder is the right one and can be written: nothing is put under an unplugged disk."""
        root_check.require_root(self.library, self.source, may_be_empty=True)
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
        self.earlier = EarlierImports(wanted)
        self.room = room_of(self.library)
        keepalive = partial(self.run.checkpoint, force=False, is_lasting=False)
        self.parts = parts = Parts(wanted)
        origin = PartOrigin(wanted, origin_of(wanted, keepalive), parts)
        try:
            if wanted.listed_at is None:
                list_files(self.run, wanted, origin)
            else:
                take_archives_again(self.run, wanted, origin)
            list_parts(self.run, parts.unlisted(), keepalive)
            reading = Reading(self.run, wanted, origin, self.library.time_zone, parts)
            media = wanted.items.filter(state__in=ImportItem.OPEN, is_sidecar=False)
            self.run.phase("Importing", media.count(), unit="files")
            for window in windows(media):
                unknown = self._told_before(origin, self._worth_reading(wanted, window))
                if unknown:
                    self._take(reading, pool, unknown)
                self.run.raise_if_stopped()
            parts.forget()  # of what was sent more may have come meanwhile
            self.finishing.finish(wanted, origin, parts)
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
        read: dict[int, ReadFile | None] = {}
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
        waiting = [one for one in window if one.state == State.WAITING and not self.parts.are_to_be_read(one.directory)]
        md5s = self.earlier.md5s(waiting, origin.head_md5)
        told = []
        for item, there in self.duplicates.match_contents([item for item in window if item.pk in md5s], md5s):
            item.state, (item.code, item.reason, item.photo) = State.DUPLICATE, there
            item.detail = NOT_READ_AGAIN
            told.append(item)
        if told:
            with transaction.atomic():
                self.outcomes.counts["known"] += len(told)
                self.outcomes.write(told)
            self.run.raise_if_stopped()
        return [item for item in window if item.state in ImportItem.OPEN]

    def _bring(self, wanted: Import, origin: Origin, items: list[ImportItem], read: dict[int, ReadFile | None]) -> None:
        """Decide what becomes of files that were read, put them into the library, write the rows."""
        kept = self._decide([one for item in items if (one := read[item.pk]) is not None])
        if not kept:
            self._close(wanted, origin, items, read)
            return
        self.planner.plan(wanted, kept)
        self._write_plan(wanted, kept)
        try:
            self.placer.reserve(kept)
            self.outcomes.confirm()
            self.placer.place(kept, origin)
            placed = [one for one in kept if one.facts is not None]
            self.duplicates.release(items)
            cataloguing.write_derived(self.library, placed)
            self.placer.settle()
            with transaction.atomic():
                cataloguing.catalog_files(self.library, wanted, placed)
                self.duplicates.name_photos(items)
                give_read(wanted, self.parts, [read[item.pk] for item in items])
                self.outcomes.write(items, placed)
                done_with = self.outcomes.forget_uploads(wanted, items)
        finally:
            self.placer.leave()
        self.outcomes.discard(wanted, done_with)
        self._forget(origin, items, read)
        self.run.raise_if_stopped()
        self.turns.raise_if_over()

    def _close(self, wanted: Import, origin: Origin, items: list[ImportItem], read: dict[int, ReadFile | None]) -> None:
        """Write what became of files none of which comes into the library."""
        with transaction.atomic():
            give_read(wanted, self.parts, [read[item.pk] for item in items])
            self.outcomes.write(items)
            done_with = self.outcomes.forget_uploads(wanted, items)
        self.outcomes.discard(wanted, done_with)
        self._forget(origin, items, read)
        self.run.raise_if_stopped()
        self.turns.raise_if_over()

    def _forget(self, origin: Origin, items: list[ImportItem], read: dict[int, ReadFile | None]) -> None:
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
                self.outcomes.write(closed)
        return [item for item in window if item.state in ImportItem.OPEN]

    def _decide(self, read: list[ReadFile]) -> list[ReadFile]:
        """Return what is to be imported; the rest is rejected, or there already."""
        kept: list[ReadFile] = []
        for one in read:
            one.item.photo_md5, one.item.head_md5 = one.result.photo_md5, one.result.head_md5
        self.duplicates.prefetch(read)
        for one in read:
            item, result = one.item, one.result
            one.was_placed = (
                item.state == State.PLACING and bool(item.target_filename) and self.placer.is_in_place(item)
            )
            if one.was_placed:
                kept.append(one)  # a killed import had put it there
            elif (there := self.duplicates.match(one)) is not None:
                item.state, (item.code, item.reason, item.photo) = State.DUPLICATE, there
            elif result.is_trashed:
                reject(item, *TRASHED)
            elif (wrong := what_is_wrong(item, result)) is not None:
                reject(item, *wrong)
            elif self.room is not None and item.size_bytes > self.room:
                reject(item, "quota", f"{NO_ROOM} Nothing was changed.")
            else:
                self.room = self.room - item.size_bytes if self.room is not None else None
                kept.append(one)
            if item.state in ImportItem.OPEN:
                self.duplicates.reserve(one)
        return kept

    def _write_plan(self, wanted: Import, kept: list[ReadFile]) -> None:
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
