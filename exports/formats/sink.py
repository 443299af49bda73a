"""The folder of one export: complete under its final name, or not there at all."""

import hashlib
import os
import shutil
import zlib
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from exports.formats.columns import Batch
from exports.formats.csv_writer import CsvWriter
from exports.formats.json_writer import JsonWriter
from exports.formats.manifest import (
    MANIFEST_NAME,
    InvalidManifest,
    Manifest,
    ManifestFile,
    check_export_path,
    encode_manifest,
)
from photolala.lib.files import atomic_write, fsync_directory

PARTIAL_PREFIX = ".partial-"
FORMATS = ("json", "csv")


class MeasuredFile:
    """A new file that knows size, SHA-256 and CRC-32 of what was written to it."""

    def __init__(self, path: Path) -> None:
        """Create the file `path`; FileExistsError if there is one."""
        self._file: BinaryIO = path.open("xb", buffering=1 << 18)
        self._sha256 = hashlib.sha256()
        self._crc32 = 0
        self._size_bytes = 0

    def write(self, data: bytes, /) -> None:
        """Write all of `data`."""
        self._file.write(data)
        self._sha256.update(data)
        self._crc32 = zlib.crc32(data, self._crc32)
        self._size_bytes += len(data)

    def finish(self, path: str) -> ManifestFile:
        """Wait for the disk, close, and return the manifest's entry for the file under `path`."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return ManifestFile(path, self._size_bytes, self._sha256.hexdigest(), f"{self._crc32:08x}")

    def close(self) -> None:
        """Close without waiting, as the file is given up; safe to call twice."""
        self._file.close()


class ExportSink:
    """Takes the rows and media of one export; leaving the `with` block cleanly publishes it, an exception removes it.

    All is written to `.partial-<export id>` in `parent` and renamed to `name` at the end, after the manifest. With no
    rows there is no data file, only a manifest that says so, unless `begin_data` was called.
    """

    scratch_names: Collection[str] = ()
    """Files of the partial folder that are no part of the export: removed right before it is published."""

    def __init__(
        self,
        parent: Path,
        name: str,
        export_id: str,
        manifest: Manifest,
        *,
        continues: bool = False,
        keeps: Callable[[BaseException], bool] = lambda error: False,
    ) -> None:
        """Prepare an export to `parent/name`. `manifest` gives format, dates and filter; the rest is filled in.

        With `continues` the partial folder is there, and what it has is added by `take`. An exception for which `keeps`
        answers True leaves the folder for a later run.
        """
        if manifest.format not in FORMATS:
            raise ValueError(f"{manifest.format!r} is no export format; choose json or csv.")
        self.parent, self.name = parent, _one_component(name)
        self.folder = parent / f"{PARTIAL_PREFIX}{_one_component(export_id)}"
        self.manifest = manifest
        self.row_count = 0
        self._files: list[ManifestFile] = []
        self._folders: set[Path] = {self.folder}
        self._data: MeasuredFile | None = None
        self._writer: JsonWriter | CsvWriter | None = None
        self._continues, self._keeps = continues, keeps

    @property
    def published_folder(self) -> Path:
        """Where the export is once the block has ended."""
        return self.parent / self.name

    def __enter__(self) -> Self:
        """Make the partial folder, in place of one that a killed run of the same export left."""
        if self.published_folder.exists():
            raise FileExistsError(f"The export {self.published_folder} exists already; nothing was changed.")
        if not self._continues:
            remove_partial(self.folder)
            self.folder.mkdir(parents=True)
        return self

    def empty(self) -> None:
        """Begin anew, as what the folder has cannot be continued."""
        remove_partial(self.folder)
        self.folder.mkdir()

    def write_batch(self, batch: Batch) -> int:
        """Write the rows of `batch` to the data file and return how many they were."""
        if not batch:
            return 0
        self.row_count += self.begin_data().write_batch(batch)
        return len(batch)

    def begin_data(self) -> JsonWriter | CsvWriter:
        """Make the data file if there is none yet, so that an export has one even without rows; return its writer."""
        if self._writer is None:
            self._data = MeasuredFile(self.folder / f"photos.{self.manifest.format}")
            self._writer = JsonWriter(self._data) if self.manifest.format == "json" else CsvWriter(self._data)
        return self._writer

    def add_media(self, path: str, chunks: Iterable[bytes]) -> ManifestFile:
        """Write the media file `media/<path>`; FileExistsError if the export has one of that name.

        An error while it is read or written removes that one file, so that the caller may note it as missing and continue.
        """
        target = self.folder / "media" / check_export_path(path)
        (self.folder / "media").mkdir(exist_ok=True)  # FileNotFoundError if another run has taken the folder
        target.parent.mkdir(parents=True, exist_ok=True)
        self._note_folders(target)
        file = MeasuredFile(target)
        try:
            for chunk in chunks:
                file.write(chunk)
            entry = file.finish(f"media/{path}")
        except BaseException:
            file.close()
            target.unlink(missing_ok=True)
            raise
        self._files.append(entry)
        return entry

    def add_file(self, name: str, chunks: Iterable[bytes]) -> ManifestFile | None:
        """Write the file `name` beside the rows and return its entry; without a single byte in `chunks` there is no file."""
        parts = iter(chunks)
        first = next(parts, b"")
        if not first:
            return None
        file = MeasuredFile(self.folder / _one_component(name))
        try:
            for chunk in chain([first], parts):
                file.write(chunk)
            entry = file.finish(name)
        finally:
            file.close()
        self._files.append(entry)
        return entry

    def finish_data(self) -> ManifestFile | None:
        """Finish the data file, wait for the disk, and return its entry; None if there is none, or it is finished."""
        if self._writer is None or self._data is None:
            return None
        self._writer.finish()
        entry = self._data.finish(f"photos.{self.manifest.format}")
        self._files.append(entry)
        self._writer = self._data = None
        return entry

    def take(self, files: Iterable[ManifestFile], row_count: int) -> None:
        """Add files that an earlier run has finished in the folder, its data file with `row_count` rows among them."""
        self.row_count = row_count
        for file in files:
            self._files.append(file)
            if "/" in file.path:
                self._note_folders(self.folder / file.path)

    def _note_folders(self, file: Path) -> None:
        """Remember the folders down to a file, for each has a name that must be on the disk in the end."""
        self._folders.update(parent for parent in file.parents if parent.is_relative_to(self.folder))

    def note_missing_media(self) -> None:
        """Count one photo whose file could not be exported; the manifest tells how many there were."""
        self.manifest = replace(self.manifest, missing_media=self.manifest.missing_media + 1)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Publish, or after an exception (or one while publishing) remove everything, unless it is kept for later."""
        if error is not None:
            self._abort(error)
            return
        try:
            self._publish()
        except BaseException as reason:
            self._abort(reason)
            raise

    def _publish(self) -> None:
        self.finish_data()
        self.manifest = replace(
            self.manifest,
            photo_count=self.row_count,
            media_count=sum(file.path.startswith("media/") for file in self._files),
            message=self.manifest.message if self.row_count else "No photos match: there is nothing to export.",
            files=tuple(self._files),
        )
        atomic_write(self.folder / MANIFEST_NAME, encode_manifest(self.manifest))
        for folder in sorted(self._folders - {self.folder}, reverse=True):  # the deepest first
            fsync_directory(folder)
        for name in self.scratch_names:
            (self.folder / name).unlink(missing_ok=True)
        fsync_directory(self.folder)
        os.rename(self.folder, self.published_folder)  # refuses to replace a folder that has something in it
        fsync_directory(self.parent)

    def _abort(self, error: BaseException) -> None:
        if self._data:
            self._data.close()
        if not self._keeps(error):
            give_up_partial(self.folder)


def give_up_partial(folder: Path) -> None:
    """Delete a partial export folder, which loses its name first: so either this or a run that takes it over has it."""
    aside = folder.with_name(f"{folder.name}-given-up")
    remove_partial(aside)
    with suppress(FileNotFoundError):
        folder.rename(aside)
    remove_partial(aside)


def remove_partial(folder: Path) -> bool:
    """Delete a partial export folder; return whether there was one. ValueError for a folder of another name.

    Another run may be deleting it at the same time, such as one that was frozen and wakes.
    """
    if not folder.name.startswith(PARTIAL_PREFIX):
        raise ValueError(f"{folder} is not a partial export; nothing was deleted.")
    if not folder.exists():
        return False
    shutil.rmtree(folder, onerror=_pass_over_what_is_gone)
    return True


def _pass_over_what_is_gone(
    function: Callable[..., object], path: str, raised: tuple[type[BaseException], BaseException, TracebackType]
) -> None:
    if not isinstance(raised[1], FileNotFoundError):
        raise raised[1]


def _one_component(name: str) -> str:
    if "/" in check_export_path(name):
        raise InvalidManifest(f"{name!r} is not one folder name.")
    return name
