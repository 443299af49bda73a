"""Write what people wanted into their files: the operation that drains a library's queue of writes."""

import logging
import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack, suppress
from typing import Any

from django.db import transaction

from catalog.entries.decoders import writing_decoder
from catalog.entries.pending_writes import KIND, ended_with_leftovers, is_due
from catalog.files.claims import MOST_CRASHES, Claims
from catalog.files.intents import change_of, needs_its_time, way_from, written_before
from catalog.files.landing import Landing
from catalog.files.leftovers import clear_other_folder
from catalog.files.prepared import Prepared, Task
from catalog.files.recovery import Announced, Recovered, recover
from catalog.files.trash_leases import photos_under_way
from catalog.files.writer import FileWriter
from catalog.identity.rekey import cache_new_version
from catalog.media.not_written import NotWritten, reason_of
from catalog.models import FileWrite, Library, Photo
from catalog.roots import root_check
from catalog.roots.library_operations import library_operation
from catalog.roots.reach import held_source
from catalog.sources.base import Source, SourceUnavailable
from operations.running import OperationFailed, Run
from photolala.lib.paths import unescape_path

logger = logging.getLogger(__name__)
THREADS = 2
LANDED = 8
"""So many new versions take their places together."""
_NOT_AS_KNOWN = "The file was changed by another program since it was moved. It is written after the next scan."
_REPLACED = "Another file took the photo's place. It is written when a scan has found out where the photo lies now."


@library_operation(KIND, label="Writing into files", queue="files", when_gone="there is nothing to write")
def run_writes(run: Run, library: Library) -> dict[str, Any]:
    """Write all that is due in the library that `run.params` names; returns `written`, `waiting`, `failed` with reasons."""
    try:
        with held_source(library) as source:
            source.check()
            root_check.check_pointer_is_there(library)
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
        self.landing = Landing(run, library, source, self.claims)
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
        for write in list(ended.select_related("photo").defer("undo_delta").order_by("pk")):
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
        moving = {row["photo"] for row in photos_under_way(self.library).filter(photo__in=photos)}
        earlier = written_before(photos)
        futures: dict[Future[Prepared], FileWrite] = {}
        ready: list[tuple[FileWrite, Prepared]] = []
        try:
            for write in claimed:
                photo = photos.get(write.photo_id)
                if photo is not None and self._may_be_tried(write, photo, is_moving=photo.pk in moving):
                    task = self._task(write, photo, was_written=photo.pk in earlier)
                    futures[self._threads.submit(self._work, task, write)] = write
            for future in as_completed(futures):
                write = futures[future]
                try:
                    ready.append((write, future.result()))
                except NotWritten as reason:
                    self.claims.settle(write, reason)
                if len(ready) >= LANDED:
                    self.landing.land(ready)
                    ready = []
                    self.run.raise_if_stopped()
            self.landing.land(ready)
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
        if write.crash_count > MOST_CRASHES:
            raise NotWritten(
                f"The writer died {MOST_CRASHES} times at this file alone. The photo is as it was; see the log, then retry.",
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

    def _may_be_tried(self, write: FileWrite, photo: Photo, *, is_moving: bool) -> bool:
        if photo.state == Photo.State.MISSING:
            with suppress(NotWritten):  # the file is to be found first
                clear_other_folder(self._source, write, photo)
            self.claims.settle(write, reason_of(FileNotFoundError()))
            return False
        if is_moving:
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

    def _task(self, write: FileWrite, photo: Photo, *, was_written: bool = True) -> Task:
        way = way_from(write, photo, was_written=was_written)
        is_kept = self.library.file_times == Library.FileTimes.KEEP or needs_its_time(write, photo)
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
