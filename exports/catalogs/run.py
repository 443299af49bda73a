"""The operation `export`: writes the catalog of a library as JSON or CSV, with the originals if asked for."""

import errno
import logging
import shutil
import time
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone

from catalog.models import Library
from catalog.roots.reach import source_for
from catalog.roots.told import told
from catalog.sources.base import Source, SourceUnavailable
from catalog.words import indexing
from exports.formats.batches import iterate_batches
from exports.formats.manifest import MANIFEST_NAME, Manifest, ManifestFile, decode_manifest
from exports.formats.sink import ExportSink, give_up_partial
from exports.ledger.errors import advice_for
from exports.models import Export
from exports.reading.albums import ALBUMS_NAME, album_file
from exports.reading.moment import one_moment
from exports.reading.originals import (
    Original,
    OriginalsList,
    OriginalUnreadable,
    Problems,
    SourceGuard,
    as_it_is_now,
    read_list,
    read_original,
)
from exports.reading.rows import PhotoRows
from operations.database_conflicts import is_transient
from operations.kinds import operation_kind
from operations.models import Operation, State
from operations.running import Interrupted, LeaseLost, OperationFailed, Run
from photolala.web.refusals import BadRequest

from .finished import ORIGINALS_NAME, SCRATCH_NAMES, FinishedFiles, FinishedRows, ListedFiles, sha256_of
from .partials import partial_name, remove_partials, take_over_partial

logger = logging.getLogger(__name__)
ROW_BYTES = 2_000  # what a row needs at most, as a rule; for the check of the free space only
RESERVE_BYTES = 16 << 20


@operation_kind("export", label="Export", queue="export")
def run_export(run: Run) -> dict[str, Any]:
    """Write the export that names this operation; safe to run again after any end, also of the process."""
    export = Export.objects.select_related("library", "user").filter(pk=run.params["export"]).first()
    if export is None:
        raise OperationFailed("This export was deleted; there is nothing to go on with.", "deleted")
    library = export.library
    if library is None or not Library.objects.visible_to(export.user).filter(pk=library.pk).exists():
        raise OperationFailed("The library is not there, or not yours to see any more. Nothing was exported.", "gone")
    try:
        return CatalogExport(run, export, library).run_all()
    except SourceUnavailable as error:
        reason = told(library, run.owner, str(error))
        raise OperationFailed(
            f"{reason} Nothing was exported; resume it when the originals can be read.", "root_unavailable"
        ) from None
    except OSError as error:
        raise _explained(error, export) from error


class CatalogExport:
    """One run of an export: everything goes to a folder of its own, which is renamed at the very end.

    The rows are one file of one moment. Once that is finished, a run that is killed, shut down or gives way leaves its folder,
    and the next one continues with the originals; one that fails, is cancelled or ended by Ctrl-C leaves nothing.
    """

    def __init__(self, run: Run, export: Export, library: Library) -> None:
        self.run, self.export, self.library = run, export, library
        self.problems = Problems()
        self.clock = time.monotonic()
        self.has_rows = False
        self.stop_if_asked = partial(run.checkpoint, force=False, is_lasting=False)

    def run_all(self) -> dict[str, Any]:
        """Write rows and originals, or continue with what an earlier run left; publish; return the counts."""
        parent = self.export.parent_folder
        parent.mkdir(parents=True, exist_ok=True)
        listed = take_over_partial(self.export, self.run.token)
        remove_partials(self.export, before=self.run.token)
        if self.export.folder.exists():  # the process ended between the last rename and telling so
            if listed is not None:
                give_up_partial(listed.folder)
            return self._finish()
        manifest = Manifest(
            self.export.format,
            self.export.created_at,
            0,
            date_range=self.export.date_range,
            filter={"library": str(self.library.pk), **self.export.filter},
        )
        name = partial_name(self.export, self.run.token)
        continues = listed is not None
        sink = ExportSink(
            parent, self.export.folder_name, name, manifest, continues=continues, keeps=self._is_to_continue
        )
        sink.scratch_names = SCRATCH_NAMES
        try:
            with sink:
                self._write(sink, listed)
                self._require_library()
                if not self.run.still_mine():
                    raise LeaseLost
        except OSError as error:
            if not self.run.still_mine():  # another run took the folder, or has published it
                raise LeaseLost from error
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY) or not self.export.folder.exists():
                raise
            logger.warning("Export %s was published by another worker meanwhile.", self.export.pk)
        return self._finish()

    def _is_to_continue(self, error: BaseException) -> bool:
        """Tell whether what is finished is kept, as the work ends with `error` only for now."""
        return self.has_rows and (isinstance(error, Interrupted | SystemExit) or is_transient(error))

    def _hold(self) -> None:
        """Keep the operation this run's until the transaction ends. Raises LeaseLost if it is somebody else's."""
        mine = Operation.objects.select_for_update().filter(pk=self.run.operation.pk, token=self.run.token)
        if mine.filter(state=State.RUNNING).values_list("pk").first() is None:
            raise LeaseLost

    def _require_library(self) -> None:
        """Raise OperationFailed if the library was forgotten, or the right to see it ended, while its rows were read."""
        if not Library.objects.visible_to(self.export.user).filter(pk=self.library.pk).exists():
            raise OperationFailed(
                "The library is not there any more, or not yours to see. Nothing was exported.", "gone"
            )

    def _write(self, sink: ExportSink, listed: ListedFiles | None) -> None:
        with ExitStack() as stack:
            source: Source | None = None
            if self.export.include_media:
                source = source_for(self.library)
                stack.callback(source.close)
                self.guard = SourceGuard(self.library, source)
                self.guard.require()
            finished = self._continue(sink, listed) if listed is not None else None
            if finished is None:
                finished = self._write_rows(sink, source)
            stack.callback(finished.close)
            self.has_rows = True
            if source is not None:
                self._copy(sink, source, finished)
                self.guard.settle()
        if self.problems.count:
            sink.manifest = replace(sink.manifest, missing_media=self.problems.count)

    def _continue(self, sink: ExportSink, listed: ListedFiles) -> FinishedFiles | None:
        """Add what an earlier run finished, if it is proven; None if all begins anew."""
        self.has_rows = True
        self.run.phase("Checking what is there", total=len(listed.media), unit="files")
        finished = listed.prove(self.stop_if_asked, self.run.advance)
        if finished is None:
            logger.warning("Export %s begins anew: its files are not as they were finished.", self.export.pk)
            self.has_rows = False
            sink.empty()
            return None
        rows = finished.rows
        self.run.metrics.update(photos_processed=rows.photo_count, photos_total=rows.photo_count)
        self.problems = Problems(rows.problem_count, list(rows.problems))
        sink.take([*rows.files, *finished.media.values()], rows.photo_count)
        return finished

    def _write_rows(self, sink: ExportSink, source: Source | None) -> FinishedFiles:
        """Write the rows of one moment, and the list of the originals to copy."""
        originals: OriginalsList | None = None
        spool_path = sink.folder / ORIGINALS_NAME
        with ExitStack() as stack:
            if source is not None:
                spool = stack.enter_context(spool_path.open("x", encoding="utf-8"))
                originals = OriginalsList(source, spool, self.problems, self.guard)
            if self.export.filter.get("q"):  # the moment shows no word that is indexed after its beginning
                indexing.catch_up_with_all(lambda: self.run.checkpoint(is_lasting=False))
            with one_moment(sink.folder) as using:
                self._write_batches(sink, self._rows(using, originals))
                albums = sink.add_file(ALBUMS_NAME, album_file(self.export, using))
        file = sink.finish_data()
        assert file is not None
        rows = FinishedRows(
            file,
            sink.row_count,
            original_count=originals.count if originals is not None else 0,
            originals_sha256=sha256_of(spool_path) if originals is not None else "",
            problem_count=self.problems.count,
            problems=tuple(self.problems.listed),
            albums=albums,
        )
        return FinishedFiles(sink.folder, rows)

    def _rows(self, using: str, originals: OriginalsList | None) -> PhotoRows:
        try:
            rows = PhotoRows(self.export, using)
        except BadRequest as error:
            raise OperationFailed(f"{error.detail} Nothing was exported.", "bad_filter") from None
        if originals is not None:
            rows.with_media(originals)
        return rows

    def _write_batches(self, sink: ExportSink, rows: PhotoRows) -> None:
        """Count, check the space, write batch after batch; each is on its way to the disk before the next is fetched."""
        count, media_bytes = rows.count_and_size()
        self._check_space(sink.parent, count, media_bytes if self.export.include_media else 0)
        self.run.metrics.update(photos_processed=0, photos_total=count)
        self.run.phase("Writing the catalog", total=count, unit="photos")
        sink.begin_data()
        for batch in iterate_batches(rows.fetch, lambda _: rows.last_key):
            self.run.advance(sink.write_batch(batch))
            self.run.metrics["photos_processed"] = self.run.operation.done
            self.run.checkpoint(is_lasting=False)  # a later claim reads another moment, all of it
            del batch  # only one batch is in memory while the next is fetched

    def _copy(self, sink: ExportSink, source: Source, finished: FinishedFiles) -> None:
        """Copy the originals that are not there yet; each is listed when it is whole."""
        kept = len(finished.media)
        self.run.metrics.update(media_copied=kept, media_total=finished.rows.original_count)
        self.run.phase("Copying originals", total=finished.rows.original_count, unit="files")
        self.run.advance(kept)
        for original in read_list(sink.folder / ORIGINALS_NAME):
            if f"media/{original.target}" in finished.media:
                continue
            try:
                finished.add(self._copy_one(sink, source, original))
                self.run.metrics["media_copied"] += 1
                self.guard.worked()
            except OriginalUnreadable as reason:
                self.guard.failed(reason)
                self._note(original, str(reason))
            self.run.advance()
            self.run.checkpoint(force=False, is_lasting=len(finished.media) > kept)
        self.run.checkpoint(is_lasting=len(finished.media) > kept)

    def _copy_one(self, sink: ExportSink, source: Source, original: Original) -> ManifestFile:
        """Copy an original, from where it is by now if it is not where it was."""
        try:
            return sink.add_media(original.target, read_original(source, original, self.stop_if_asked))
        except OriginalUnreadable:
            now = as_it_is_now(original, self.library)
            if now is None:
                raise
        return sink.add_media(now.target, read_original(source, now, self.stop_if_asked))

    def _note(self, original: Original, reason: str) -> None:
        logger.warning("Export %s continues without %s: %s", self.export.pk, original.path, reason)
        self.problems.add(original.path, reason)

    def _check_space(self, parent: Path, count: int, media_bytes: int) -> None:
        needed = count * ROW_BYTES + media_bytes + RESERVE_BYTES
        free = shutil.disk_usage(parent).free
        if free < needed:
            raise OperationFailed(
                f"The export needs about {_megabytes(needed)}, but only {_megabytes(free)} are free where exports are "
                "kept. Nothing was written. Free some space, or export fewer photos or no originals; then try again.",
                "disk_space",
            )

    def _finish(self) -> dict[str, Any]:
        """Take the counts from the manifest, keep them with the export, and return them."""
        export = self.export
        manifest_path = export.folder / MANIFEST_NAME
        manifest = decode_manifest(manifest_path.read_bytes())
        size_bytes = sum(file.size_bytes for file in manifest.files) + manifest_path.stat().st_size
        counts = {
            "photo_count": manifest.photo_count,
            "media_count": manifest.media_count,
            "missing_count": manifest.missing_media,
            "size_bytes": size_bytes,
        }
        with transaction.atomic():  # who lost the operation meanwhile says nothing of it
            self._hold()
            now = timezone.now()
            expires_at = export.expiry_from(now)
            Export.objects.filter(pk=export.pk).update(**counts, completed_at=now, expires_at=expires_at)
        return {
            "export": str(export.pk),
            "library": str(self.library.pk),
            "operation": str(self.run.operation.pk),
            "format": export.format,
            "folder": str(export.folder),
            "photos": manifest.photo_count,
            "media": manifest.media_count,
            "failed": manifest.missing_media,
            "size_bytes": size_bytes,
            "seconds": round(time.monotonic() - self.clock, 3),
            "problem_count": manifest.missing_media,
            "problems": self.problems.listed,
        }


def _explained(error: OSError, export: Export) -> OperationFailed:
    code = "disk_space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "disk"
    return OperationFailed(
        f"The export could not be written to {export.parent_folder} ({error.strerror or error}). Nothing of it was "
        f"left there. {advice_for(error)}",
        code,
    )


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.0f} MB"
