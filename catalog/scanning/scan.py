"""Scan a library: walk, plan, survey, digest, finish. The photo table is the work queue, so resuming is claiming again."""

import time
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db import IntegrityError, transaction
from django.utils import timezone

from catalog.cache import tree
from catalog.entries import counts as entries_counts
from catalog.entries import known as entries_known
from catalog.entries import read_here, zone
from catalog.entries.arrivals import tell_of_arrivals
from catalog.entries.counts import count_failed, first_failures
from catalog.entries.decoders import scan_decoders
from catalog.entries.pending_writes import ended_with_leftovers, start_writing
from catalog.entries.row_locks import hold_rows_of
from catalog.history import publish
from catalog.history.adopt import adopt_if_new
from catalog.identity import moves
from catalog.media.pool import DecoderPool
from catalog.models import Library, Photo
from catalog.roots import root_check, trash_folder
from catalog.roots.library_operations import library_operation
from catalog.roots.reach import held_source
from catalog.scanning import verify
from catalog.scanning.later_columns import Filling
from catalog.scanning.opened_root import OpenedRoot
from catalog.scanning.survey import Survey
from catalog.scanning.tally import Tally
from catalog.scanning.team import Team
from catalog.scanning.walk import MOST_PROBLEMS, Walk, consume_confirmation
from catalog.sources.base import Source, SourceUnavailable
from catalog.words import indexing
from operations.durability import relaxed_durability
from operations.running import OperationFailed, Run


@library_operation("scan", label="Scan", queue="scan", when_gone="there is nothing to scan")
def run_scan(run: Run, library: Library) -> dict[str, Any]:
    """Scan the library that `run.params["library"]` names; returns the counts that `scan --json` prints."""
    with ExitStack() as stack:
        source = stack.enter_context(held_source(library))
        try:
            scan = Scan(run, library, source)
            return scan.try_failed_again() if run.params.get("only_failed") else scan.run_all()
        except SourceUnavailable as error:
            raise OperationFailed(f"{error} What was done before stays.", "root_unavailable") from None
        except (IntegrityError, ObjectDoesNotExist):
            run.raise_if_stopped()  # who forgets a library also cancels its scan
            if Library.objects.filter(pk=library.pk).exists():
                raise
            raise OperationFailed(
                "The library was forgotten meanwhile; nothing is left to scan.", "library_gone"
            ) from None


class Scan:
    """One run of a scan: the order of its steps. Whatever it has done stays done if it ends here; the next run goes on."""

    def __init__(self, run: Run, library: Library, source: Source) -> None:
        self.run = run
        self.library = library
        self.source = source
        self.started_at: datetime = run.operation.created_at  # the same however often the scan is resumed
        self.seen_at = moves.last_walk(library)
        self.changed_anything = False
        self.clock = time.monotonic()
        self._root = OpenedRoot(library, source, library.time_zone)
        self._tally = Tally(run, library)
        self._walk = Walk(run, self._root, self._tally)
        self._survey = Survey(run, self._root, self._tally, self._walk, self.seen_at)
        self._team = Team(run, self._root, self._tally)

    def run_all(self) -> dict[str, Any]:
        """Do the six steps; raise OperationFailed with a sentence if a person has to confirm the state of the root first."""
        tree.remove_abandoned_writes()
        if adopt_if_new(self.library, self.run):
            self.library.refresh_from_db()
        zone.reread_if_changed(self.library, self.run)
        read_here.mark_those_known(self.library, self.run)
        read_here.ask_for_unread(self.library, self.run, is_far=self.source.is_far)
        self.walk()
        survey_seconds = 0.0
        pending = Photo.objects.filter(library=self.library).undigested()
        has_pending = pending.exists()
        self.changed_anything = bool(self._walk.dirty or self._walk.vanished or has_pending or self.run.token > 1)
        if self.changed_anything:
            with relaxed_durability(), scan_decoders() as pool, self._root.opened:
                pool.tick = partial(self.run.checkpoint, force=False, is_lasting=False)
                self.survey(pool)
                survey_seconds = time.monotonic() - self.clock
                self.digest(pool, pending.count())
            if not self.source.is_far:
                with relaxed_durability():
                    keepalive = partial(self.run.checkpoint, force=False)
                    fence = partial(self.run.checkpoint, stop=False)
                    verify.settle_fresh(self.library, self.source, keepalive, fence)
        Filling(self.run, self._root).fill()
        return self.finish(survey_seconds)

    def try_failed_again(self) -> dict[str, Any]:
        """Read the broken and damaged files again, and nothing else; return how many there were and what they are now."""
        self.source.check()
        confirmed = bool(self.run.params.get("confirm_gone"))
        root_check.check_root_is_the_same(self.library, confirmed=confirmed)
        if confirmed:
            consume_confirmation(self.run, self.library)
        failed = Photo.objects.filter(library=self.library, state__in=[Photo.State.BROKEN, Photo.State.DAMAGED])
        retried = self.run.operation.checkpoint.get("retried")
        if retried is None:
            with transaction.atomic():
                hold_rows_of([failed])
                retried = failed.update(needs_digest=True)
                self.run.checkpoint(stop=False, retried=retried)
            self.run.raise_if_stopped()
        pending = Photo.objects.filter(library=self.library).undigested().count()
        with relaxed_durability(), scan_decoders() as pool, self._root.opened:
            pool.tick = partial(self.run.checkpoint, force=False, is_lasting=False)
            self.digest(pool, pending)
        totals = self._walk.totals
        totals.found = totals.unchanged = entries_known.count_known(self.library)
        self.changed_anything = True
        result = self.finish(0.0)
        return {**result, "retried": retried, "mended": max(0, retried - failed.count())}

    def walk(self) -> None:
        """1 and 2: compare the root with the catalog, and ask a person if too much is gone."""
        self._walk.run()

    def survey(self, pool: DecoderPool) -> None:
        """3: read the heads of new and changed files, and mark what is gone."""
        self._survey.run(pool)

    def digest(self, pool: DecoderPool, pending: int) -> None:
        """4 and 5: read each of the `pending` files that lack their digest once, and apply what was read."""
        self._team.digest(pool, pending)

    def finish(self, survey_seconds: float) -> dict[str, Any]:
        """6: follow moves, publish the snapshot, bring the library's counts up to date; return the result."""
        with relaxed_durability():  # what is lost of it, the next scan follows
            postponed = moves.follow(self.library, self.source, self.started_at, self._tally.count)
        self.run.raise_if_stopped()
        if self.changed_anything:
            self._root.require()  # nothing is ever written into the folder under a disk that was unplugged
            tell_of_arrivals(self.library)
        with relaxed_durability():  # what is lost of it, the triggers' notes of the rows are lost with
            indexing.catch_up_with_all(partial(self.run.checkpoint, force=False))
        self.run.phase("Writing the catalog snapshot", None, unit="entries")
        self.library.refresh_from_db()
        # Also what others changed: they may have been killed before they counted.
        if (
            self.changed_anything
            or self._tally.counts["moved"]
            or self.library.snapshot_revision != self.library.revision
        ):
            entries_counts.refresh_counts(self.library, run=self.run)
        snapshot_md5 = publish.publish_if_due(self.library, self.source, self.run)
        self._note_end(postponed)
        held = getattr(self.source, "held", None)
        if held is not None:
            trash_folder.remove_empty(held.descriptor)
        if ended_with_leftovers(self.library).exists():  # what was left of them can be compared with what was found
            transaction.on_commit(lambda: start_writing(self.library, self.library.owner))
        failed = count_failed(self.library)
        found = self._walk.totals.found
        counted = self._tally.of_all_runs(self._walk.totals)
        self.run.metrics.update(
            files_compared=found,
            files_read=self.run.metrics.get("files_read", 0),
            cache_hits=counted["unchanged"],
            seconds=round(time.monotonic() - self.clock, 3),
        )
        operation = self.run.operation
        operation.phase, operation.done, operation.total, operation.unit = "", found, found, "photos"
        return {
            "library": str(self.library.pk),
            "operation": str(self.run.operation.pk),
            "found": found,
            **counted,
            "failed": failed,
            "failures": first_failures(self.library, MOST_PROBLEMS),
            "snapshot_md5": snapshot_md5,
            "seconds": round(time.monotonic() - self.clock, 3),
            "survey_seconds": round(survey_seconds, 3),
            "cache_hits": counted["unchanged"],
            "cache_misses": self._tally.counts["added"] + self._tally.counts["changed"],
            zone.ZONE: self._root.zone,
            "problems": self._walk.problems,
            "problem_count": self._walk.problem_count,
        }

    def _note_end(self, postponed: int) -> None:
        """Write what this scan means for later ones, under the fencing number: a run that was overtaken says nothing."""
        now = timezone.now()
        ended: dict[str, Any] = {"scanned_at": now}
        if self._walk.verifies_heads:
            ended["verified_at"] = self.started_at
        if self._walk.saw_everything and self._survey.marked_all:
            ended["walked_at"] = self.started_at
        if postponed:
            ended["scan_wanted_at"] = now
        with transaction.atomic():
            self.run.checkpoint(stop=False)
            Library.objects.filter(pk=self.library.pk).update(**ended)
