"""Write what people wanted into their files: the operation that drains a library's queue of writes."""

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack, suppress
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from catalog.entries import counts
from catalog.entries.decoders import writing_decoder
from catalog.entries.owner_stars import mirror_for_owner
from catalog.entries.pending_writes import KIND, ended_with_leftovers, is_due
from catalog.entries.taken import taken_columns
from catalog.files.claims import MOST_DEATHS, Claims
from catalog.files.leftovers import clear_other_folder
from catalog.files.recovery import Announced, Recovered, recover
from catalog.files.trash_movers import photos_under_way
from catalog.files.writer import FileWriter, Prepared, Task, Way
from catalog.identity.rekey import Rekeyed, cache_new_version, forget_readings, rekey
from catalog.media.results import DigestResult
from catalog.media.rewriting import NotWritten, reason_of
from catalog.media.tag_changes import CaptionChange, DateChange, RatingChange, TagChange, date_said
from catalog.models import FileWrite, Library, Photo
from catalog.roots import guard
from catalog.roots.library_operations import library_operation
from catalog.roots.reach import held_source
from catalog.sources.base import Source, SourceUnavailable
from operations.running import LeaseLost, OperationFailed, Run
from photolala.lib.paths import unescape_path

logger = logging.getLogger(__name__)
THREADS = 2
LANDED = 8
"""So many new versions take their places together."""
_XMP_APPEARED = "An XMP file appeared beside the photo just now; it is tried again."
_NOT_AS_KNOWN = "The file was changed by another program since it was moved. It is written after the next scan."
_REPLACED = "Another file took the photo's place. It is written when a scan has found out where the photo lies now."
_VERSIONS = ("old_md5", "new_md5", "xmp_old_md5", "xmp_new_md5")


@library_operation(KIND, label="Writing into files", queue="files", when_gone="there is nothing to write")
def run_writes(run: Run, library: Library) -> dict[str, Any]:
    """Write all that is due in the library that `run.params` names; returns `written`, `waiting`, `failed` with reasons."""
    try:
        with held_source(library) as source:
            source.check()
            guard.check_pointer_is_there(library)
            with Writing(run, library, source) as writing:
                return writing.run_all()
    except SourceUnavailable as error:
        raise OperationFailed(f"{error} What was to be written waits.", "root_unavailable") from None


class Writing:
    """One run over a library's queue; `source` holds the folder open, and all is written below it."""

    def __init__(self, run: Run, library: Library, source: Source) -> None:
        self.run = run
        self.library = library
        self._source = source
        self.claims = Claims(run, library)
        self._stack = ExitStack()
        self._local = threading.local()
        self._root = os.fsdecode(unescape_path(library.root))

    def __enter__(self) -> "Writing":
        self._threads = self._stack.enter_context(ThreadPoolExecutor(THREADS, thread_name_prefix="file-writer"))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run_all(self) -> dict[str, Any]:
        """Write until nothing is due."""
        queue = FileWrite.objects.filter(is_due(), FileWrite.queued(), library=self.library)
        self.run.phase("Writing into files", queue.count(), unit="files")
        self._clear_up()
        try:
            while claimed := self.claims.take():
                self._write(claimed)
                self.run.raise_if_stopped()
        finally:
            self._release()
        return {"library": str(self.library.pk), **self.claims.counts, "problems": self.claims.problems}

    def _release(self) -> None:
        """Give back what was claimed and not begun, when a run ends early."""
        self.claims.give_back()

    def _clear_up(self) -> None:
        """Remove what is left of writes that have ended: their writers died between telling the catalog and removing it."""
        told = FileWrite.objects.filter(library=self.library, state__in=["done", "superseded"]).exclude(claimed_for="")
        keys = {*told.values_list("pk", flat=True), *ended_with_leftovers(self.library).values_list("pk", flat=True)}
        ended = FileWrite.objects.filter(pk__in=keys)
        for write in list(ended.select_related("photo").defer("way_back").order_by("pk")):
            with transaction.atomic():
                self.claims.prove()
                write.claim_token += 1
                FileWrite.objects.filter(pk=write.pk).update(claim_token=write.claim_token)
            with suppress(NotWritten):  # what cannot be reached now is looked at by the next writer
                if not clear_other_folder(self._source, write, write.photo):
                    continue
                if write.photo.state != Photo.State.MISSING:
                    found = self._threads.submit(self._recover, self._task(write, write.photo), write).result()
                    if found.prepared:
                        found.prepared.is_told = True
                        found.prepared.close()
                cleared = FileWrite.objects.filter(pk=write.pk, claim_token=write.claim_token)
                cleared.update(claimed_for="", claimed_path="")

    # -- files --------------------------------------------------------------------------------------------------------

    def _write(self, claimed: list[FileWrite]) -> None:
        photos = Photo.objects.in_bulk([write.photo_id for write in claimed])
        futures: dict[Future[Prepared], FileWrite] = {}
        ready: list[tuple[FileWrite, Prepared]] = []
        try:
            for write in claimed:
                photo = photos.get(write.photo_id)
                if photo is not None and self._may_be_tried(write, photo):
                    futures[self._threads.submit(self._work, self._task(write, photo), write)] = write
            for future in as_completed(futures):
                write = futures[future]
                try:
                    ready.append((write, future.result()))
                except NotWritten as reason:
                    self.claims.settle(write, reason)
                if len(ready) >= LANDED:
                    self._land(ready)
                    ready = []
                    self.run.raise_if_stopped()
            self._land(ready)
            ready = []
        finally:
            for future in futures:
                future.cancel()
            for future in futures:
                if not future.cancelled() and future.exception() is None:
                    future.result().close()

    def _work(self, task: Task, write: FileWrite) -> Prepared:
        """Prepare one file, in a thread; first find out what an earlier try has done.

        What it has put into its place is told to the catalog before anything else is done with the file, also where
        something else is wanted by now.
        """
        writer, sidecars, announced = self._writer(), None, write.new_md5
        if write.claim_token > 1:
            found = self._recover(task, write)
            write.xmp_old_md5 = write.xmp_new_md5 = ""
            if found.prepared is not None:
                cache_new_version(self.library, write.old_md5, found.prepared.old)
                return found.prepared
            write.new_md5, sidecars = "", found.sidecars
        if write.deaths > MOST_DEATHS:
            raise NotWritten(
                f"The writer died {MOST_DEATHS} times at this file alone. The photo is as it was; see the log, then retry.",
                "worker_died",
                is_lasting=True,
            )
        try:
            prepared = writer.prepare(task)
        except NotWritten as reason:
            if (
                reason.code == "changed"
            ):  # the announced version may lie elsewhere, and another file here: a scan finds out
                write.new_md5 = announced
            raise
        if prepared.sidecar is None:
            prepared.sidecars = sidecars
        try:
            if prepared.rewritten is not None:
                cache_new_version(self.library, prepared.old.photo_md5, prepared.rewritten.facts)
        except BaseException:
            prepared.close()
            raise
        return prepared

    def _recover(self, task: Task, write: FileWrite) -> Recovered:
        announced = Announced(write.old_md5, write.new_md5, write.xmp_old_md5, write.xmp_new_md5)
        return recover(self._writer(), task, announced)

    def _writer(self) -> FileWriter:
        """Return the file writer of this thread."""
        writer: FileWriter | None = getattr(self._local, "writer", None)
        if writer is None:
            writer = self._local.writer = FileWriter(self._root, writing_decoder, getattr(self._source, "held", None))
            self._stack.callback(writer.close)
        return writer

    def _may_be_tried(self, write: FileWrite, photo: Photo) -> bool:
        if photo.state == Photo.State.MISSING:
            with suppress(NotWritten):  # the file is to be found first
                clear_other_folder(self._source, write, photo)
            self.claims.settle(write, reason_of(FileNotFoundError()))
            return False
        if photos_under_way(self.library).filter(photo=photo).exists():
            self.claims.settle(write, NotWritten("The file is being moved just now. It is written after that.", "busy"))
            return False
        if write.new_md5 and photo.replaced_md5 and write.new_md5 != photo.photo_md5:
            # Another photo may have come under this name after a writer died: a scan finds out first who is who.
            self.claims.settle(write, NotWritten(_REPLACED, "changed"))
            return False
        if write.claimed_path == photo.path:
            return True
        try:
            is_clear = clear_other_folder(self._source, write, photo)
        except NotWritten as reason:
            self.claims.settle(write, reason)
            return False
        if not is_clear:
            self.claims.settle(write, NotWritten(_NOT_AS_KNOWN, "changed"))
            return False
        return self.claims.note_place(write, photo.path)

    def _task(self, write: FileWrite, photo: Photo) -> Task:
        way = way_from(write, photo)
        is_kept = self.library.file_times == Library.FileTimes.KEEP or _needs_its_time(write, photo)
        return Task(
            family=f"{write.pk.hex}-",
            claim=write.claim_token,
            directory=photo.directory,
            filename=photo.filename,
            size_bytes=photo.size_bytes,
            mtime_ns=photo.mtime_ns,
            photo_md5=photo.photo_md5,
            zone=self.library.time_zone,
            change=change_of(write, photo, self.library),
            is_sidecar=write.is_sidecar,
            keep_mtime=is_kept,
            way=way,
            is_way_wanted=way is not None and way.said == write.wanted,
        )

    # -- taking places ------------------------------------------------------------------------------------------------

    def _land(self, ready: list[tuple[FileWrite, Prepared]]) -> None:
        """Let new versions take their places and tell the catalog. Killed anywhere, `recover` finds out what was done."""
        swapped: list[tuple[FileWrite, Prepared]] = []
        try:
            for write, prepared in self._announced(ready):
                if self._swap(write, prepared):
                    swapped.append((write, prepared))
            if swapped:  # what the catalog is told lies on the library's disk
                self._source.check()
                guard.check_pointer_is_there(self.library)
            self._tell(swapped)
            for _, prepared in swapped:
                prepared.is_told = True
        except BaseException as error:
            if not isinstance(error, LeaseLost) and self._is_untold(swapped):
                for _, prepared in swapped:
                    prepared.swap_back()  # where that fails the new version stays, and the next writer tells of it
            raise
        finally:
            for _, prepared in ready:
                prepared.close()
        told = [write.pk for write, _ in swapped]
        done = FileWrite.objects.filter(pk__in=told, state=FileWrite.State.DONE, claimed_for=self.claims.name)
        done.update(claimed_for="", claimed_path="")

    def _swap(self, write: FileWrite, prepared: Prepared) -> bool:
        """Let one file's new versions take their places; False if that could not be, and is noted. Raises LeaseLost."""
        try:
            prepared.swap()
        except OSError as error:
            prepared.swap_back()
            if not prepared.is_unclear:
                write.new_md5 = write.xmp_new_md5 = ""
            is_there = isinstance(error, FileExistsError)
            self.claims.settle(write, NotWritten(_XMP_APPEARED, "busy") if is_there else reason_of(error))
            return False
        return True

    def _is_untold(self, swapped: Sequence[tuple[FileWrite, Prepared]]) -> bool:
        """True if these are surely still ours and the catalog knows nothing of them; else `recover` decides later."""
        try:
            if not self.run.still_mine():
                return False
            keys = [write.pk for write, _ in swapped]
            held = FileWrite.objects.filter(pk__in=keys, state=FileWrite.State.WRITING, claimed_for=self.claims.name)
            return held.count() == len(keys)
        except Exception:  # the database is away
            logger.exception("What became of %d writes is left to the next writer", len(swapped))
            return False

    def _announced(self, ready: list[tuple[FileWrite, Prepared]]) -> Iterator[tuple[FileWrite, Prepared]]:
        """Note in the rows which versions are about to take their places; yield those that are still ours."""
        if not ready:
            return
        ours = []
        with transaction.atomic():
            self.claims.prove()
            for write, prepared in ready:
                if prepared.rewritten is not None:
                    if write.old_md5 != prepared.old.photo_md5:
                        write.base_md5 = ""  # its own way back led from another version
                    write.old_md5, write.new_md5 = prepared.old.photo_md5, prepared.rewritten.facts.photo_md5
                    write.new_key = f"{prepared.rewritten.facts.head_md5}:{prepared.rewritten.size_bytes}"
                if prepared.sidecar is not None:
                    write.xmp_old_md5, write.xmp_new_md5 = prepared.sidecar.old_md5, prepared.sidecar.new_md5
                if prepared.rewritten is not None or prepared.sidecar is not None:
                    write.previous = said_before(write, prepared)
                mine = FileWrite.objects.filter(pk=write.pk, claim_token=write.claim_token)
                values = {name: getattr(write, name) for name in (*_VERSIONS, "new_key", "previous", "base_md5")}
                if mine.update(**values):
                    ours.append((write, prepared))
        yield from ours

    def _tell(self, swapped: Sequence[tuple[FileWrite, Prepared]]) -> None:
        """Tell the catalog of all these new versions in one transaction."""
        if not swapped:
            return
        keys = [write.photo_id for write, _ in swapped]
        with transaction.atomic():
            self.claims.prove()
            # Photos are locked before writes, as by those who ask for something.
            list(Photo.objects.select_for_update().filter(pk__in=keys).order_by("pk").values_list("pk"))
            rekey(self.library, [_rekeyed(write, prepared) for write, prepared in swapped if _is_new(prepared)])
            for write, prepared in swapped:
                if prepared.sidecars is not None and not _is_new(prepared):
                    Photo.objects.filter(pk=write.photo_id).update(sidecars=prepared.sidecars)
            forget_readings(keys)
            written = self._finish(swapped)
            self.claims.counts["written"] += written
            mirror_for_owner(self.library, keys)
            counts.bump_revision(self.library)
            self.run.advance(written)
            self.claims.prove()

    def _finish(self, swapped: Sequence[tuple[FileWrite, Prepared]]) -> int:
        """Close the intents, but for those that want something else by now: they go back into the queue.

        Those keep the way back from the version that lies there to an earlier one. Returns how many are done.
        """
        now = timezone.now()
        rows = FileWrite.objects.select_for_update().filter(pk__in=[write.pk for write, _ in swapped]).order_by("pk")
        stored = {row.pk: row for row in rows.only("claim_token", "wanted")}
        done, again = [], []
        for write, prepared in swapped:
            row = stored.get(write.pk)
            if row is None or row.claim_token != write.claim_token:
                continue
            write.xmp_old_md5 = write.xmp_new_md5 = ""
            if _is_new(prepared):
                write.way_back, write.base_md5, write.base = prepared.way_back, *_base_of(write, prepared)
            elif not keeps_way(write, prepared.old.photo_md5):
                write.way_back, write.base_md5, write.base = None, "", {}
            if row.wanted != write.wanted or prepared.is_other:
                write.state, write.previous = FileWrite.State.PENDING, says_now(write, prepared)
                write.wanted, write.claimed_for = row.wanted, ""
                write.old_md5, write.new_md5 = (write.new_md5 or write.old_md5 if write.base_md5 else ""), ""
                write.attempts = write.deaths = 0
                again.append(write)
                continue
            write.state, write.finished_at, write.deaths = FileWrite.State.DONE, now, 0
            if not _is_new(prepared):
                write.old_md5 = write.base_md5
                if write.base_md5:  # an earlier try wrote it
                    write.new_md5, write.previous = prepared.old.photo_md5, write.base
            write.previous = write.previous or said_before(write, prepared)
            done.append(write)
        both = ["state", "way_back", "base_md5", "base", "previous", *_VERSIONS, "deaths"]
        FileWrite.objects.bulk_update([_without_reason(w) for w in done], [*both, "finished_at", "code", "reason"])
        FileWrite.objects.bulk_update(again, [*both, "claimed_for", "attempts"])
        self._show(done, [prepared for write, prepared in swapped if write in done])
        FileWrite.objects.filter(pk__in=[w.undoes_id for w in done if w.undoes_id]).update(state=FileWrite.State.UNDONE)
        return len(done)

    def _show(self, done: Sequence[FileWrite], prepared: Sequence[Prepared]) -> None:
        """Let the catalog say what the files say, and hold it no longer."""
        rated: dict[int, list[Any]] = {}
        for write, one in zip(done, prepared, strict=True):
            if write.kind == FileWrite.Kind.RATING:
                rated.setdefault(int(write.wanted["rating"]), []).append(write.photo_id)
                continue
            if write.kind == FileWrite.Kind.CAPTION:
                caption = write.wanted["caption"]
                Photo.objects.filter(pk=write.photo_id).update(caption=caption, caption_held=False)
                continue
            facts = _facts_now(one)
            told = taken_columns(facts.taken_local, facts.taken_at, facts.offset_minutes, facts.taken_source)
            Photo.objects.filter(pk=write.photo_id).update(**told, taken_held=False)
        for stars, keys in rated.items():  # a restore may have told the catalog something else meanwhile
            Photo.objects.filter(pk__in=keys).update(rating=stars or None, rating_held=False)


def way_from(write: FileWrite, photo: Photo) -> Way | None:
    """Return what leads from the version that the catalog knows to an earlier one: the intent's own way, or the last one's."""
    if keeps_way(write, photo.photo_md5):
        return Way(bytes(write.way_back or b""), write.base_md5, write.base)
    done = FileWrite.objects.filter(photo=photo, state=FileWrite.State.DONE, is_sidecar=False)
    last = done.exclude(new_md5="").order_by("-finished_at").first()
    if last is None or last.new_md5 != photo.photo_md5 or last.way_back is None or last.kind != write.kind:
        return None
    return Way(bytes(last.way_back), last.base_md5, last.base)


def keeps_way(write: FileWrite, photo_md5: str) -> bool:
    """True if an open intent has a way back of its own that leads from the version `photo_md5`."""
    return bool(write.base_md5) and write.old_md5 == photo_md5


def _base_of(write: FileWrite, prepared: Prepared) -> tuple[str, dict[str, Any]]:
    """Return the MD5 of the version that the way back leads to, and what that version says."""
    if prepared.way_back is None:
        return "", {}
    if prepared.way is not None:
        return prepared.way.md5, prepared.way.said
    said: dict[str, dict[str, Any]] = {
        FileWrite.Kind.RATING: {"rating": prepared.old_rating},
        FileWrite.Kind.DATE: prepared.old_date,
        FileWrite.Kind.CAPTION: {"caption": prepared.old_caption},
    }
    return prepared.old_md5, said[write.kind]


def change_of(write: FileWrite, photo: Photo, library: Library) -> TagChange:
    """Return what an intent wants to have in the file."""
    if write.kind == FileWrite.Kind.RATING:
        return RatingChange(int(write.wanted["rating"]))
    if write.kind == FileWrite.Kind.CAPTION:
        return CaptionChange(write.wanted["caption"])
    taken = write.wanted["taken"]
    local = datetime.fromisoformat(taken) if taken else None
    return DateChange(local, write.wanted["offset"], library.time_zone, is_video=photo.is_video)


def _needs_its_time(write: FileWrite, photo: Photo) -> bool:
    """True if the file's time is what tells when it was taken, or may have to tell it again."""
    if photo.taken_held:  # then the row does not say what the file says
        return not (write.previous.get("taken") and write.wanted.get("taken"))
    return photo.taken_source in ("file", "")


def said_before(write: FileWrite, prepared: Prepared) -> dict[str, Any]:
    """Return what the file, or its sidecar, said before it was written."""
    before: dict[str, dict[str, Any]] = {
        FileWrite.Kind.RATING: {"rating": prepared.rating_before},
        FileWrite.Kind.DATE: prepared.old_date,
        FileWrite.Kind.CAPTION: {"caption": prepared.caption_before},
    }
    return before[write.kind]


def says_now(write: FileWrite, prepared: Prepared) -> dict[str, Any]:
    """Return what the file, or its sidecar, says since it was written."""
    if not prepared.is_recovered:
        return write.wanted
    now: dict[str, dict[str, Any]] = {
        FileWrite.Kind.RATING: {"rating": prepared.old.embedded_rating or 0},
        FileWrite.Kind.DATE: date_said(prepared.old),
        FileWrite.Kind.CAPTION: {"caption": prepared.old.caption},
    }
    return now[write.kind]


def _facts_now(prepared: Prepared) -> DigestResult:
    return prepared.rewritten.facts if prepared.rewritten else prepared.old


def _is_new(prepared: Prepared) -> bool:
    """True if the file has other bytes than the catalog says."""
    return prepared.rewritten is not None or prepared.is_recovered


def _rekeyed(write: FileWrite, prepared: Prepared) -> Rekeyed:
    columns = {} if prepared.sidecars is None else {"sidecars": prepared.sidecars}
    new = prepared.rewritten
    facts = new.facts if new else prepared.old
    size, mtime = (new.size_bytes, new.mtime_ns) if new else (facts.size_bytes, facts.mtime_ns)
    return Rekeyed(write.photo_id, write.old_md5, size, mtime, facts, columns)


def _without_reason(write: FileWrite) -> FileWrite:
    write.code = write.reason = ""
    return write
