"""Read the files of an import with the decoders, together with the sidecars that speak of them."""

import os
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

from catalog.entries.columns import digest_columns
from catalog.importing.origins import Origin
from catalog.importing.parts import Parts, reopen
from catalog.importing.read_file import SPEAKING, ReadFile
from catalog.importing.reasons import reason_for_failure, reject
from catalog.importing.told import ToldByTables
from catalog.media.pool import DecoderPool
from catalog.media.task import Job
from catalog.models import Import, ImportItem
from catalog.sources.kinds import companions_in
from operations.running import Run

IN_FLIGHT = 6
"""Files that wait in each decoder while the ones before are put into the library."""
MOST_KEPT_FOLDERS = 64


class Reading:
    """Reads the files of one import; of times without an offset it believes those of `zone`."""

    def __init__(self, run: Run, wanted: Import, origin: Origin, zone: str, parts: Parts) -> None:
        self.run = run
        self.parts = parts
        self.tables = ToldByTables(wanted, origin, zone)
        self.wanted = wanted
        self.origin = origin
        self.zone = zone
        self._companions: dict[str, dict[str, dict[str, str]]] = {}

    def read(self, pool: DecoderPool, window: list[ImportItem]) -> Iterator[tuple[ImportItem, ReadFile | None]]:
        """Yield the items with what was read; None for one that could not be, which says why by then."""
        opened: dict[int, OSError] = {}
        beside_of = self._sidecar_items(window)

        def opening(item: ImportItem) -> int:
            try:
                return self.origin.open(item)
            except OSError as error:
                opened.setdefault(item.pk, error)
                raise

        jobs = [
            Job(
                key=item,
                name=item.filename,
                open=partial(opening, item),
                params={"zone": self.zone, "mtime_ns": item.mtime_ns, "size_bytes": item.size_bytes},
                sidecars={
                    kind: partial(self.origin.open, beside)
                    for kind, beside in beside_of[item.pk].items()
                    if kind in SPEAKING
                },
            )
            for item in window
        ]
        for job, result in pool.digest(iter(jobs), IN_FLIGHT):
            item = job.key
            error = opened.get(item.pk)
            self.run.checkpoint(force=False, is_lasting=False)
            if error is not None or not result.photo_md5:
                reject(item, *reason_for_failure(error, result))
                yield item, None
            else:
                one = ReadFile(item, result, digest_columns(result), beside_of[item.pk])
                self.tables.apply(one)
                yield item, one

    def _sidecar_items(self, window: list[ImportItem]) -> dict[int, dict[str, ImportItem]]:
        """Return the sidecars, by kind, of each item of the window."""
        if self.wanted.kind == Import.Kind.UPLOAD or len(self._companions) > MOST_KEPT_FOLDERS:
            self._companions.clear()  # of uploads more may have come meanwhile
        for directory in {item.directory for item in window}:
            if directory not in self._companions:
                names = self.wanted.items.filter(directory=directory).values_list("filename", flat=True)
                self._companions[directory] = companions_in(names)
        named = {item.pk: self._companions[item.directory].get(item.filename, {}) for item in window}
        names = {name for beside in named.values() for name in beside.values()}
        found = self.wanted.items.filter(directory__in={item.directory for item in window}, filename__in=names)
        there = {(item.directory, item.filename): item for item in found.filter(is_sidecar=True)} if names else {}
        for sidecar in there.values():
            reopen(sidecar)  # its photo may have been rejected at an earlier try
        beside = {
            item.pk: {
                kind: there[item.directory, name]
                for kind, name in named[item.pk].items()
                if (item.directory, name) in there
            }
            for item in window
        }
        alone = [item for item in window if "takeout" not in beside[item.pk]]
        for key, document in self.parts.documents_of(alone).items():
            with suppress(OSError):  # the archive that held it may be gone
                os.close(self.origin.open(document))
                beside[key]["takeout"] = document
        return beside
