"""The third step of a scan: read the heads of new and changed files, so that they can be browsed; mark what is gone."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import NamedTuple

from django.db import transaction

from catalog.entries import counts as entries_counts
from catalog.entries import known as entries_known
from catalog.entries import rows as entries_rows
from catalog.entries.columns import surveyed_row
from catalog.entries.folder_comparison import Entry, FolderPlan, compare
from catalog.entries.jobs import BATCH, FLUSH_SECONDS, job_for
from catalog.entries.sql import Row
from catalog.media.pool import DecoderPool
from catalog.media.task import Job
from catalog.scanning.opened_root import OpenedRoot
from catalog.scanning.tally import Tally
from catalog.scanning.walk import Walk, entries_in
from operations.running import Run

AHEAD = 16
"""Heads of a far source that are opened ahead: each is small, and a round trip."""


class _Head(NamedTuple):
    """A file whose head is read; `head_before` is the known MD5 of its head if it was read too soon after it was written."""

    place: tuple[str, str]
    entry: Entry
    is_known: bool
    head_before: str | None


class Survey:
    """Goes through the folders that differ, once; each is listed again, for it may have changed since the walk.

    `seen_at` is when the last scan that saw everything began, None if there was none.
    """

    def __init__(self, run: Run, root: OpenedRoot, tally: Tally, walk: Walk, seen_at: datetime | None) -> None:
        self._run = run
        self._root = root
        self._library = root.library
        self._tally = tally
        self._walk = walk
        self._started_at: datetime = run.operation.created_at
        self._seen_at = seen_at
        self.marked_all = True
        """False if something that is gone was left to the next scan: this one has not seen it, nor marked it."""

    def run(self, pool: DecoderPool) -> None:
        """Read the heads and write their rows, in batches. Raises SourceUnavailable if the source fails, not the files."""
        if self._walk.vanished:
            self._root.require()
        for directory in self._walk.vanished:
            mark = entries_known.mark_directory_missing
            self._mark_gone(partial(mark, self._library, directory, self._started_at, self._seen_at))
        totals = self._walk.totals
        self._run.phase("Reading the heads of new files", totals.added + totals.changed, unit="photos")
        read_failures = self._root.read_failures()
        rows: list[Row] = []
        flushed = time.monotonic()
        for job, result in pool.survey(self._root.opened_ahead(self._jobs(), AHEAD)):
            head: _Head = job.key
            row = surveyed_row(self._library, head.place, head.entry, result, added_at=self._started_at)
            row["is_known"] = head.is_known
            row["is_changed"] = head.is_known and result.head_md5 != head.head_before
            rows += read_failures.admit(job.open, result.problem, row, was_read=bool(result.head_md5))
            if len(rows) >= BATCH or time.monotonic() - flushed > FLUSH_SECONDS:
                self._write(rows)
                rows, flushed = [], time.monotonic()
        self._write([*rows, *read_failures.flush()])
        entries_counts.refresh_counts(self._library, run=self._run)

    def _mark_gone(self, mark: Callable[[], int]) -> None:
        """Mark entries as missing, and count them, under the fencing number."""
        with transaction.atomic():
            self._tally.count(gone=mark())
        self._run.raise_if_stopped()

    def _jobs(self) -> Iterator[Job]:
        for path, gone_in_walk in self._walk.dirty.items():
            directory = self._root.source.list_directory(path)
            found = entries_in(directory)
            known = entries_known.known_in(self._library, [path])[path]
            plan = compare(found, known, is_complete=directory.is_complete) or FolderPlan()
            plan.changed += [n for n in self._walk.altered.get(path, ()) if n in found and known.get(n) == found[n]]
            heads = entries_known.known_heads(self._library, path) if plan.doubted else {}
            if plan.gone or not found or not directory.is_complete:
                self._root.require()
            # More than the root guard agreed to is left to the next scan, which asks again.
            if 0 < len(plan.gone) <= gone_in_walk:
                mark = entries_known.mark_missing
                self._mark_gone(partial(mark, self._library, path, plan.gone, self._started_at, self._seen_at))
            if len(plan.gone) > gone_in_walk or not directory.is_complete:
                self.marked_all = False
            for names, is_known in ((plan.added, False), (plan.changed, True)):
                for name in names:
                    head_before = heads.get(name) if name in plan.doubted else None
                    yield job_for(
                        self._root.source,
                        self._root.zone,
                        directory.path_of(name),
                        _Head((path, name), found[name], is_known, head_before),
                        found[name][:2],
                        head_only=self._root.source.is_far,
                    )

    def _write(self, rows: list[Row]) -> None:
        if rows:
            with transaction.atomic():
                entries_rows.insert_surveyed(rows)
                added = sum(not row["is_known"] for row in rows)
                self._tally.count(len(rows), changed=sum(row["is_changed"] for row in rows), added=added)
        self._run.raise_if_stopped()
