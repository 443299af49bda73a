"""Write what people wanted into their files: the operation that drains a library's queue of writes."""

import logging
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack, closing, suppress
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from catalog.media.rewriting import NotWritten, reason_of
from catalog.media.tag_changes import DateChange, RatingChange, TagChange
from catalog.sources.base import SourceUnavailable
from operations.running import LeaseLost, OperationFailed, Run, operation_kind
from photolala.lib.paths import unescape_path

from . import publishing
from .answers import taken_columns
from .decoders import writing_decoder
from .file_writer import FileWriter, Prepared, Task
from .models import FileWrite, Library, Photo
from .ratings import mirror_for_owner
from .rekeying import Rekeyed, cache_new_version, rekey
from .source_for import source_for
from .writes import KIND, is_due, wait_before

logger = logging.getLogger(__name__)
THREADS = 2
CLAIMED = 64
LANDED = 8
"""So many new versions take their places together."""
MOST_DEATHS = 3
_MOST_LISTED = 200


@operation_kind(KIND, label="Writing into files", queue="files")
def run_writes(run: Run) -> dict[str, Any]:
    """Write all that is due in the library that `run.params` names; returns `written`, `waiting`, `failed` with reasons."""
    library = Library.objects.select_related("owner").filter(pk=run.params["library"]).first()
    if library is None:
        raise OperationFailed("The library was forgotten meanwhile; there is nothing to write.", "library_gone")
    try:
        with closing(source_for(library)) as source:
            source.check()
        publishing.check_pointer_is_there(library)
        with Writing(run, library) as writing:
            return writing.run_all()
    except SourceUnavailable as error:
        raise OperationFailed(f"{error} What was to be written waits.", "root_unavailable") from None


class Writing:
    """One run over a library's queue."""

    def __init__(self, run: Run, library: Library) -> None:
        self.run = run
        self.library = library
        self.claimed_for = f"{run.operation.pk}:{run.token}"
        self.counts = {"written": 0, "waiting": 0, "failed": 0, **run.operation.checkpoint.get("counts", {})}
        self.problems: list[dict[str, str]] = []
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
            while claimed := self._claim():
                self._write(claimed)
                self.run.raise_if_stopped()
        finally:
            self._release()
        return {"library": str(self.library.pk), **self.counts, "problems": self.problems}

    def _clear_up(self) -> None:
        """Remove old versions whose writers died between telling the catalog and removing them."""
        died = FileWrite.objects.filter(library=self.library, state=FileWrite.State.DONE).exclude(claimed_for="")
        for write in list(died.select_related("photo").defer("way_back").order_by("pk")):
            with suppress(NotWritten):  # what cannot be reached now is looked at by the next writer
                self._threads.submit(self._writer_recovers, self._task(write, write.photo), write).result()
                FileWrite.objects.filter(pk=write.pk).update(claimed_for="")
            self.run.checkpoint(force=False)

    # -- the queue ----------------------------------------------------------------------------------------------------

    def _claim(self) -> list[FileWrite]:
        """Take the next writes that are due, and those that a dead writer held."""
        with transaction.atomic():
            due = FileWrite.objects.select_for_update(skip_locked=True, of=("self",)) if _locks() else FileWrite.objects
            rows = due.filter(is_due(), FileWrite.queued(), library=self.library)
            rows = (
                rows.exclude(state="writing", claimed_for=self.claimed_for).order_by("try_at", "pk").defer("way_back")
            )
            claimed = _one_for_each_photo(rows.filter(deaths__lt=MOST_DEATHS)[:CLAIMED])
            # Whom writers died at again and again is tried alone, so that nobody else is blamed for it.
            claimed = claimed or list(rows[:1])
            for write in claimed:
                write.attempts += 1
                write.deaths += 1  # until it is said how this try ended
                write.claim_token += 1
                write.state, write.claimed_for = FileWrite.State.WRITING, self.claimed_for
            FileWrite.objects.bulk_update(claimed, ["attempts", "deaths", "claim_token", "state", "claimed_for"])
        return claimed

    def _release(self) -> None:
        """Give back what was claimed and not begun, when a run ends early."""
        held = FileWrite.objects.filter(library=self.library, state="writing", claimed_for=self.claimed_for)
        held.update(deaths=F("deaths") - 1, attempts=F("attempts") - 1)  # this writer lives: it is no death of theirs
        held.filter(new_md5="").update(state=FileWrite.State.PENDING)

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
                    self._settle(write, reason)
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
        """Prepare one file, in a thread; first clear up after an earlier try."""
        writer = self._writer()
        if write.claim_token > 1:
            recovered = writer.recover(task, write.old_md5, write.new_md5)
            if recovered is not None:
                cache_new_version(self.library, write.old_md5, recovered.old)
                return recovered
        if write.deaths > 2 * MOST_DEATHS:
            raise NotWritten(
                f"The writer died {MOST_DEATHS} times at this file alone. The photo is as it was; see the log, then retry.",
                "worker_died",
                is_lasting=True,
            )
        prepared = writer.prepare(task)
        try:
            if prepared.rewritten is not None:
                cache_new_version(self.library, prepared.old.photo_md5, prepared.rewritten.facts)
        except BaseException:
            prepared.close()
            raise
        return prepared

    def _writer(self) -> FileWriter:
        """Return the file writer of this thread."""
        writer: FileWriter | None = getattr(self._local, "writer", None)
        if writer is None:
            writer = self._local.writer = FileWriter(self._root, writing_decoder)
            self._stack.callback(writer.close)
        return writer

    def _writer_recovers(self, task: Task, write: FileWrite) -> None:
        self._writer().recover(task, write.old_md5, write.new_md5)

    def _may_be_tried(self, write: FileWrite, photo: Photo) -> bool:
        if photo.state == Photo.State.MISSING:
            self._settle(write, reason_of(FileNotFoundError()))
            return False
        return True

    def _task(self, write: FileWrite, photo: Photo) -> Task:
        back, base = self._ways_back(write, photo)
        is_kept = self.library.file_times == Library.FileTimes.KEEP or _needs_its_time(write, photo)
        return Task(
            family=f"{write.pk.hex}-",
            token=f"{write.pk.hex}-{write.claim_token}",
            directory=photo.directory,
            filename=photo.filename,
            size_bytes=photo.size_bytes,
            mtime_ns=photo.mtime_ns,
            photo_md5=photo.photo_md5,
            zone=self.library.time_zone,
            change=change_of(write, photo, self.library),
            is_sidecar=write.is_sidecar,
            keep_mtime=is_kept,
            back=back,
            base=base,
        )

    def _ways_back(self, write: FileWrite, photo: Photo) -> tuple[bytes | None, bytes | None]:
        """Return what leads to the wanted version if that is an earlier one, and what a later way back starts from."""
        done = FileWrite.objects.filter(photo=photo, state=FileWrite.State.DONE, is_sidecar=False)
        last = done.exclude(new_md5="").order_by("-finished_at").first()
        if last is None or last.new_md5 != photo.photo_md5 or last.way_back is None or last.kind != write.kind:
            return None, None
        way = bytes(last.way_back)
        return (way, None) if last.base == write.wanted else (None, way)

    # -- taking places ------------------------------------------------------------------------------------------------

    def _land(self, ready: list[tuple[FileWrite, Prepared]]) -> None:
        """Let new versions take their places and tell the catalog. Killed anywhere, `recover` finds out what was done."""
        swapped: list[tuple[FileWrite, Prepared]] = []
        try:
            for write, prepared in self._announced(ready):
                if prepared.replacement is not None and not prepared.is_swapped:
                    try:
                        prepared.replacement.swap()
                        prepared.is_swapped = True
                    except OSError as error:
                        self._settle(write, reason_of(error))
                        continue
                swapped.append((write, prepared))
            self._tell(swapped)
        except BaseException:
            for write, prepared in swapped:
                if prepared.replacement is not None and self._is_untold(write):
                    try:
                        prepared.replacement.swap_back()
                    except OSError:  # then the new version stays, and the next writer tells of it
                        logger.exception("The old version of %s could not be put back", write.photo_id)
            raise
        finally:
            for _, prepared in ready:
                prepared.close()
        told = [write.pk for write, _ in swapped]
        FileWrite.objects.filter(pk__in=told, state=FileWrite.State.DONE, claimed_for=self.claimed_for).update(
            claimed_for=""
        )

    def _is_untold(self, write: FileWrite) -> bool:
        """True if the catalog surely knows nothing of the new version; if it cannot be asked, `recover` decides later."""
        try:
            told = FileWrite.objects.filter(pk=write.pk, state=FileWrite.State.DONE, new_md5=write.new_md5)
            return not told.exists()
        except Exception:  # the database is away
            logger.exception("What became of the write %s is left to the next writer", write.pk)
            return False

    def _announced(self, ready: list[tuple[FileWrite, Prepared]]) -> Iterator[tuple[FileWrite, Prepared]]:
        """Note in the rows which versions are about to take their places; yield those that are still ours."""
        if ready and not self.run.still_mine():
            raise LeaseLost
        ours = []
        with transaction.atomic():
            for write, prepared in ready:
                if prepared.rewritten is not None:
                    write.old_md5, write.new_md5 = prepared.old.photo_md5, prepared.rewritten.facts.photo_md5
                mine = FileWrite.objects.filter(pk=write.pk, claim_token=write.claim_token)
                if mine.update(old_md5=write.old_md5, new_md5=write.new_md5):
                    ours.append((write, prepared))
        yield from ours

    def _tell(self, swapped: Sequence[tuple[FileWrite, Prepared]]) -> None:
        """Tell the catalog of all these new versions in one transaction."""
        if not swapped:
            return
        with transaction.atomic():
            rekey(self.library, [_rekeyed(write, prepared) for write, prepared in swapped if _is_new(prepared)])
            for write, prepared in swapped:
                if prepared.sidecars is not None and not _is_new(prepared):
                    Photo.objects.filter(pk=write.photo_id).update(sidecars=prepared.sidecars)
            self._finish(swapped)
            self.counts["written"] += len(swapped)
            mirror_for_owner(self.library, [write.photo_id for write, _ in swapped])
            publishing.note_change(self.library)
            self.run.advance(len(swapped))
            self.run.checkpoint(stop=False, counts=self.counts)

    def _finish(self, swapped: Sequence[tuple[FileWrite, Prepared]]) -> None:
        """Close the intents, but for those that want something else by now: they go back into the queue."""
        now = timezone.now()
        rows = FileWrite.objects.select_for_update().filter(pk__in=[write.pk for write, _ in swapped])
        stored = {row.pk: row for row in rows.only("claim_token", "wanted")}
        bases = self._bases(swapped)
        done, again = [], []
        for write, prepared in swapped:
            row = stored.get(write.pk)
            if row is None or row.claim_token != write.claim_token:
                continue
            if row.wanted != write.wanted:
                write.state, write.previous, write.wanted = FileWrite.State.PENDING, write.wanted, row.wanted
                write.old_md5 = write.new_md5 = write.claimed_for = ""
                write.attempts = write.deaths = 0
                again.append(write)
                continue
            write.state, write.finished_at, write.way_back = FileWrite.State.DONE, now, prepared.way_back
            write.base_md5, write.base = bases[write.pk]
            write.previous = write.previous or said_before(write, prepared)
            done.append(write)
        names = ["state", "finished_at", "way_back", "base_md5", "base", "previous", "code", "reason"]
        FileWrite.objects.bulk_update([_without_reason(write) for write in done], names)
        FileWrite.objects.bulk_update(
            again, ["state", "previous", "old_md5", "new_md5", "claimed_for", "attempts", "deaths"]
        )
        rated: dict[int, list[Any]] = {}
        dated = {write.photo_id for write in done if write.kind == FileWrite.Kind.DATE}
        for write in done:
            if write.kind == FileWrite.Kind.RATING:
                rated.setdefault(int(write.wanted["rating"]), []).append(write.photo_id)
        for write, prepared in swapped:
            if write.photo_id in dated:
                facts = prepared.rewritten.facts if prepared.rewritten else prepared.old
                told = taken_columns(facts.taken_local, facts.taken_at, facts.offset_minutes, facts.taken_source)
                Photo.objects.filter(pk=write.photo_id).update(**told, taken_held=False)
        for stars, keys in rated.items():  # a restore may have told the catalog something else meanwhile
            Photo.objects.filter(pk__in=keys).update(rating=stars or None, rating_held=False)
        FileWrite.objects.filter(pk__in=[w.undoes_id for w in done if w.undoes_id]).update(state=FileWrite.State.UNDONE)

    def _bases(self, swapped: Sequence[tuple[FileWrite, Prepared]]) -> dict[Any, tuple[str, dict[str, Any]]]:
        """Return for each write the MD5 of the version that its way back leads to, and what that version says."""
        older = [prepared.old_md5 for _, prepared in swapped if prepared.way_back and prepared.task.base]
        last = {}
        if older:
            rows = FileWrite.objects.filter(library=self.library, new_md5__in=older, state=FileWrite.State.DONE)
            last = {row.new_md5: (row.base_md5, row.base) for row in rows.only("new_md5", "base_md5", "base")}
        bases: dict[Any, tuple[str, dict[str, Any]]] = {}
        for write, prepared in swapped:
            if prepared.way_back is None:
                bases[write.pk] = ("", {})
            elif prepared.task.base is None:
                said = prepared.old_date if write.kind == FileWrite.Kind.DATE else {"rating": prepared.old_rating}
                bases[write.pk] = (prepared.old_md5, said)
            else:
                bases[write.pk] = last.get(prepared.old_md5, ("", {}))
        return bases

    def _settle(self, write: FileWrite, reason: NotWritten) -> None:
        """Note why a file was not written, and when it is tried again; a lasting reason waits for a person."""
        mine = FileWrite.objects.filter(pk=write.pk, claim_token=write.claim_token)
        state = FileWrite.State.FAILED if reason.is_lasting else FileWrite.State.PENDING
        mine.update(
            state=state,
            code=reason.code,
            reason=str(reason),
            deaths=0,
            try_at=timezone.now() + wait_before(write.attempts),
            old_md5="",
            new_md5="",
            claimed_for="",
        )
        self.counts["failed" if reason.is_lasting else "waiting"] += 1
        if len(self.problems) < _MOST_LISTED:
            path = Photo.objects.filter(pk=write.photo_id).values_list("directory", "filename").first() or ("", "")
            self.problems.append({"path": "/".join(filter(None, path)), "reason": str(reason), "code": reason.code})
        self.run.advance(1)
        self.run.checkpoint(force=False, stop=False, counts=self.counts)


def change_of(write: FileWrite, photo: Photo, library: Library) -> TagChange:
    """Return what an intent wants to have in the file."""
    if write.kind == FileWrite.Kind.RATING:
        return RatingChange(int(write.wanted["rating"]))
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
    return prepared.old_date if write.kind == FileWrite.Kind.DATE else {"rating": prepared.rating_before}


def _one_for_each_photo(writes: Iterable[FileWrite]) -> list[FileWrite]:
    """Return the first write of each photo: two at once would be in each other's way."""
    first: dict[Any, FileWrite] = {}
    for write in writes:
        first.setdefault(write.photo_id, write)
    return list(first.values())


def _is_new(prepared: Prepared) -> bool:
    """True if the file has other bytes than the catalog says."""
    return prepared.rewritten is not None or prepared.is_swapped


def _rekeyed(write: FileWrite, prepared: Prepared) -> Rekeyed:
    columns = {} if prepared.sidecars is None else {"sidecars": prepared.sidecars}
    new = prepared.rewritten
    facts = new.facts if new else prepared.old
    size, mtime = (new.size_bytes, new.mtime_ns) if new else (facts.size_bytes, facts.mtime_ns)
    return Rekeyed(write.photo_id, write.old_md5, size, mtime, facts, columns)


def _without_reason(write: FileWrite) -> FileWrite:
    write.code = write.reason = ""
    return write


def _locks() -> bool:
    return connection.features.has_select_for_update_skip_locked
