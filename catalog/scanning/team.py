"""The fourth and fifth step of a scan, digest and apply, as its leader does them: its own share, and the progress of all."""

import time
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Sum

from catalog.cache import tree
from catalog.entries import rows as entries_rows
from catalog.entries.jobs import BATCH
from catalog.entries.owner_stars import mirror_read_stars
from catalog.entries.rows import Claimed
from catalog.entries.sql import Row
from catalog.media.pool import DecoderPool
from catalog.models import Photo
from catalog.models.photo import PhotoQuerySet
from catalog.scanning import helpers, queue
from catalog.scanning.digest import Digesting
from catalog.scanning.opened_root import OpenedRoot
from catalog.scanning.tally import Tally
from operations.running import Run

COUNT_SECONDS = 2.0


class Team:
    """The workers that read a scan's photos. The leader, whose object this is, reads as the helpers do (`helpers`)."""

    def __init__(self, run: Run, root: OpenedRoot, tally: Tally) -> None:
        self._run = run
        self._root = root
        self._library = root.library
        self._tally = tally
        self._claimed_for = queue.claim_prefix(run.operation)
        self._helpers = self._pending = self._read_here = 0
        self._counted = time.monotonic()

    def digest(self, pool: DecoderPool, pending: int) -> None:
        """Read each of the `pending` files that lack their digest once: MD5, metadata, thumbnail; apply in batches."""
        self._run.phase("Reading photos and drawing thumbnails", pending, unit="photos")
        digesting = Digesting(self._root, self)
        self._pending, self._read_here = pending, 0
        waiting_bytes = self._undigested_bytes() if settings.SCAN_WORKERS > 1 else 0
        waiting_bytes += self._run.metrics.get("bytes_read", 0)
        self._helpers = helpers.request_helpers(self._run.operation, pending, self._root.zone)
        try:
            digesting.run(pool)
            while self._helpers and helpers.wait_for_others(self._library, self._claimed_for, self._keepalive):
                digesting.run(pool)  # what one of them gave back, or died over
        finally:
            queue.release_claims(self._library, self._claimed_for)
        if self._helpers:
            self._count_what_helpers_read()
            self._run.metrics["bytes_read"] = waiting_bytes - self._undigested_bytes()
            tree.remove_abandoned_writes()  # of those that died over a thumbnail

    # -- the leader's share (`digest.Share`) --------------------------------------------------------------------------

    def claim(self) -> list[Claimed]:
        """Claim a batch of photos, under the fencing number."""
        with transaction.atomic():
            self._run.checkpoint(stop=False)  # who was overtaken takes nothing out of its successor's hands
            return queue.claim_digests(self._library, self._claimed_for, BATCH)

    def apply(self, rows: list[Row]) -> None:
        """Write what was read, with the progress, in one transaction. Raises to stop, after it."""
        if rows:
            metrics: dict[str, Any] = self._run.metrics
            metrics["files_read"] = metrics.get("files_read", 0) + len(rows)
            metrics["bytes_read"] = metrics.get("bytes_read", 0) + sum(row["size_bytes"] for row in rows)
            self._read_here += len(rows)
            with transaction.atomic():
                entries_rows.apply_digests(self._library, rows)
                mirror_read_stars(self._library, [(row["id"], row["rating"]) for row in rows])
                self._tally.count(len(rows))
        self._run.raise_if_stopped()
        if self._helpers:
            self._keepalive()

    def is_over(self) -> bool:
        """False: a leader ends when nothing is left, or by an exception."""
        return False

    # -- the progress of all ------------------------------------------------------------------------------------------

    def _keepalive(self) -> None:
        """Now and then renew the claims, and show how far all workers are. Raises to stop."""
        if time.monotonic() - self._counted > COUNT_SECONDS:
            queue.renew_claims(self._library, self._claimed_for)
            self._count_what_helpers_read()
        self._run.checkpoint(force=False)

    def _count_what_helpers_read(self) -> None:
        """Let the progress be that of all workers; only the leader writes it, so it counts what is left."""
        self._run.operation.done = max(self._read_here, self._pending - self._undigested().count())
        self._run.metrics["files_read_by_assistants"] = self._run.operation.done - self._read_here
        self._counted = time.monotonic()

    def _undigested(self) -> PhotoQuerySet:
        return Photo.objects.filter(library=self._library).undigested()

    def _undigested_bytes(self) -> int:
        return int(self._undigested().aggregate(size=Sum("size_bytes", default=0))["size"])
