"""Files that travel with photos into a destination: XMP sidecars, Apple's edits (AAE), Takeout's JSON."""

import errno
import hashlib
import logging
import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from catalog.sources.base import Source
from catalog.sources.kinds import companions_in
from exports.ledger.placement import recorded_name
from exports.ledger.records import ExportRecord, RecordStatus
from exports.reading.originals import Problems
from operations.running import OperationFailed
from photolala.lib.digests import md5_of_descriptor
from photolala.lib.paths import join_path

from .names import OpenFolder, file_name
from .plan import PhotoRow, Target

COMPANIONS_KEY, SIGNATURE_KEY = "companions", "companionsSignature"
"""Keys of ours in the records: the files that went along, and what they were when they did."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
_FOLDERS_KEPT = 256

logger = logging.getLogger(__name__)


class Companion(NamedTuple):
    """A file beside a photo; its name is in escaped form, its path that in the library."""

    kind: str
    name: str
    path: str
    size_bytes: int
    mtime_ns: int


class CompanionFinder:
    """Knows what is beside photos, folder by folder; the folders looked at last are kept."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._folders: OrderedDict[str, dict[str, list[Companion]]] = OrderedDict()

    def of(self, directory: str, filename: str) -> list[Companion]:
        """Return what travels with a photo, by kind. Raises OSError if its folder cannot be listed, SourceUnavailable."""
        if directory not in self._folders:
            self._folders[directory] = self._look(directory)
            if len(self._folders) > _FOLDERS_KEPT:
                self._folders.popitem(last=False)
        self._folders.move_to_end(directory)
        return self._folders[directory].get(filename, [])

    def _look(self, directory: str) -> dict[str, list[Companion]]:
        listed = self._source.list_directory(directory)
        if not (listed.is_complete or listed.files):  # it could not be read, which is not the same as empty
            raise OSError(errno.EIO, " ".join(problem.reason for problem in listed.problems).removesuffix("."))
        facts = {name: (size, mtime) for name, size, mtime in listed.files}
        return {
            photo: [
                Companion(kind, name, join_path(directory, name), *facts[name]) for kind, name in sorted(beside.items())
            ]
            for photo, beside in companions_in(facts).items()
        }


class CompanionExport:
    """Copies what travels with photos that are in the destination; what was copied once, and is as it was, is not again."""

    def __init__(
        self, source: Source, target: Target, problems: Problems, before_publishing: Callable[[], None]
    ) -> None:
        self._source, self._target, self._problems = source, target, problems
        self._before_publishing = before_publishing
        self._finder = CompanionFinder(source)
        self.count = 0

    def export(self, rows: list[PhotoRow]) -> None:
        """Copy the files beside these photos, and record them with the photos. Raises OperationFailed, SourceUnavailable."""
        changed = []
        for row in rows:
            record = self._target.ledger.export_info(str(row.id))
            if record is None or record.status is not RecordStatus.DONE or not record.filename:
                continue
            try:
                companions = self._finder.of(row.directory, row.filename)
            except OSError as error:
                self._note(row.path, f"What is beside this photo was not exported: {error.strerror or error}.")
                continue
            signature = _signature(companions)
            if record.extra.get(SIGNATURE_KEY, "") == signature:
                continue
            copied = self._copy_all(companions, row, record)
            if copied is not None:
                extra = {**record.extra, COMPANIONS_KEY: copied, SIGNATURE_KEY: signature}
                changed.append(replace(record, extra=extra))
            self._target.folders.trim()
        if changed:
            self._before_publishing()
            self._target.ledger.put_all(changed)

    def _copy_all(
        self, companions: list[Companion], row: PhotoRow, record: ExportRecord
    ) -> list[dict[str, Any]] | None:
        """Return what the record is to say of them; None if one could not be copied, which is tried again another time."""
        copied = []
        for companion in companions:
            try:
                folder = self._target.folders.get(record.rel_path)
                wanted = companion_name(
                    file_name(companion.name), file_name(row.filename), file_name(record.filename or "")
                )
                copied.append(self._copy(companion, folder, self._target.folders.transport.fit_name(wanted)))
            except OSError as error:
                if error.errno in FULL:
                    raise OperationFailed(
                        f"{error} What was exported before is kept and recorded.", "destination"
                    ) from error
                self._target.guard.require()
                self._note(companion.path, f"This file beside a photo was not exported: {error.strerror or error}.")
                return None
        return copied

    def _note(self, path: str, reason: str) -> None:
        logger.warning("%s: %s", path, reason)
        self._problems.add(path, reason)

    def _copy(self, companion: Companion, folder: OpenFolder, name: str) -> dict[str, Any]:
        descriptor = self._source.open(companion.path, expected=(companion.size_bytes, companion.mtime_ns))
        try:
            md5 = md5_of_descriptor(descriptor)
            name, is_new = folder.put(  # that of a RAW and its JPEG is one file, too
                descriptor,
                name,
                size_bytes=companion.size_bytes,
                mtime_ns=companion.mtime_ns,
                md5=md5,
                before_publishing=self._before_publishing,
            )
            self.count += is_new
        finally:
            os.close(descriptor)
        return {"filename": recorded_name(name), "sizeBytes": companion.size_bytes, "photoMD5": md5}


def companion_name(name: str, photo: str, exported_photo: str) -> str:
    """Return what the file `name` beside `photo` is called beside `exported_photo`, so that programs still find it."""
    for begins, becomes in ((photo, exported_photo), (os.path.splitext(photo)[0], os.path.splitext(exported_photo)[0])):
        if name.lower().startswith(f"{begins}.".lower()):
            return becomes + name[len(begins) :]
    return exported_photo + os.path.splitext(name)[1]


def _signature(companions: list[Companion]) -> str:
    """Return a text that changes when one of them comes, goes or is written; "" without any."""
    if not companions:
        return ""
    text = "\n".join(f"{one.kind}:{one.name}:{one.size_bytes}:{one.mtime_ns}" for one in companions)
    return hashlib.md5(text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()
