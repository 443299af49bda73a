"""Scan a library: walk, plan, survey, digest, finish. The photo table is the work queue, so resuming is claiming again."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from typing import Any

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist
from django.db import IntegrityError, transaction
from django.db.models import Sum
from django.utils import timezone

from catalog.cache import tree
from catalog.entries import counts as entries_counts
from catalog.entries import known as entries_known
from catalog.entries import read_here, zone
from catalog.entries import rows as entries_rows
from catalog.entries.columns import surveyed_row
from catalog.entries.counts import count_failed, first_failures
from catalog.entries.decoders import scan_decoders
from catalog.entries.jobs import BATCH, FLUSH_SECONDS, job_for, opened_ahead, photos_in
from catalog.entries.listing import LONGEST_PATH_BYTES, Entry, FolderPlan, compare
from catalog.entries.owner_stars import mirror_read_stars
from catalog.entries.pending_writes import ended_with_leftovers, start_writing
from catalog.entries.read_failures import ReadFailures, can_read_known
from catalog.entries.row_locks import hold_rows_of
from catalog.entries.rows import Claimed
from catalog.entries.sql import Row
from catalog.history import publish
from catalog.history.adopt import adopt_if_new
from catalog.identity import moves
from catalog.media.pool import DecoderPool
from catalog.media.task import Job
from catalog.models import Library, Photo
from catalog.roots import guard, trash_folder
from catalog.roots.library_operations import library_operation
from catalog.roots.reach import held_source
from catalog.scanning import assist, queue, verify
from catalog.scanning.contradicted import Contradictions
from catalog.scanning.digest import Digesting
from catalog.scanning.later_columns import Filling
from catalog.scanning.memory import known_entries
from catalog.scanning.plan import Totals, too_many_gone, under
from catalog.sources.base import Directory, Source, SourceUnavailable
from operations.durability import relaxed_durability
from operations.running import OperationFailed, Run
from photolala.lib.collecting import no_cycles_expected

logger = logging.getLogger(__name__)
WALK_BATCH_FILES = 4000
WALK_BATCH_FOLDERS = 300
MOST_PROBLEMS = 200
COUNT_SECONDS = 2.0


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
    """One run of a scan. Whatever it has done stays done if it ends here; the next run goes on."""

    def __init__(self, run: Run, library: Library, source: Source) -> None:
        self.run = run
        self.library = library
        self.source = source
        self.started_at: datetime = run.operation.created_at  # the same however often the scan is resumed
        self.seen_at = moves.last_walk(library)
        self.zone = library.time_zone
        self.totals = Totals()
        self.problems: list[dict[str, str]] = []
        self.problem_count = 0
        self.incomplete: set[str] = set()
        self.altered: dict[str, list[str]] = {}
        self.verifies_heads = bool(run.params.get("verify_heads"))
        self.is_walking = True
        self.saw_everything = False
        self.opened = ExitStack()  # what was opened ahead, and for nothing if the run ends early
        self.root_was_empty = False
        self.changed_anything = False
        # What all runs of this scan did, counted in the transactions that did it.
        nothing = dict.fromkeys(("added", "changed", "gone", "moved", "moved_added", "moved_changed", "moved_gone"), 0)
        self.counts: dict[str, int] = {**nothing, **run.operation.checkpoint.get("counts", {})}
        self.claimed_for = queue.claim_prefix(run.operation)
        self.clock = self.counted = time.monotonic()
        self.assistants = self.pending = self.read_here = 0

    def run_all(self) -> dict[str, Any]:
        """Do the six steps; raise OperationFailed with a sentence if the root needs a person's word first."""
        tree.remove_abandoned_writes()
        if adopt_if_new(self.library, self.run):
            self.library.refresh_from_db()
        zone.reread_if_changed(self.library, self.run)
        read_here.mark_those_known(self.library, self.run)
        read_here.ask_for_unread(self.library, self.run, is_far=self.source.is_far)
        dirty, vanished = self.walk()
        survey_seconds = 0.0
        pending = Photo.objects.filter(library=self.library).undigested()
        has_pending = pending.exists()
        self.changed_anything = bool(dirty or vanished or has_pending or self.run.token > 1)
        if self.changed_anything:
            with relaxed_durability(), scan_decoders() as pool, self.opened:
                pool.tick = partial(self.run.checkpoint, force=False, is_lasting=False)
                self.survey(pool, dirty, vanished)
                survey_seconds = time.monotonic() - self.clock
                self.digest(pool, pending.count())
            if not self.source.is_far:
                with relaxed_durability():
                    keepalive, fence = (
                        partial(self.run.checkpoint, force=False),
                        partial(self.run.checkpoint, stop=False),
                    )
                    verify.settle_fresh(self.library, self.source, keepalive, fence)
        Filling(self.run, self.library, self.source, self.zone, self.require_source).fill()
        return self.finish(survey_seconds)

    def try_failed_again(self) -> dict[str, Any]:
        """Read the broken and damaged files again, and nothing else; return how many there were and what they are now."""
        self.source.check()
        confirmed = bool(self.run.params.get("confirm_gone"))
        guard.check_root_is_the_same(self.library, confirmed=confirmed)
        if confirmed:
            self._consume_confirmation()
        failed = Photo.objects.filter(library=self.library, state__in=[Photo.State.BROKEN, Photo.State.DAMAGED])
        retried = self.run.operation.checkpoint.get("retried")
        if retried is None:
            with transaction.atomic():
                hold_rows_of([failed])
                retried = failed.update(needs_digest=True)
                self.run.checkpoint(stop=False, retried=retried)
            self.run.raise_if_stopped()
        pending = Photo.objects.filter(library=self.library).undigested().count()
        with relaxed_durability(), scan_decoders() as pool, self.opened:
            pool.tick = partial(self.run.checkpoint, force=False, is_lasting=False)
            self.digest(pool, pending)
        self.totals.found = self.totals.unchanged = entries_known.count_known(self.library)
        self.changed_anything = True
        result = self.finish(0.0)
        return {**result, "retried": retried, "mended": max(0, retried - failed.count())}

    # -- 1 and 2: walk and plan ---------------------------------------------------------------------------------------

    def walk(self) -> tuple[dict[str, int], list[str]]:
        """Compare what lies in the root with what is known; return the folders that differ, each with how many entries
        are gone from it, and the folders that vanished."""
        self.run.phase("Looking through the folders", unit="files")
        confirmed = bool(self.run.params.get("confirm_gone"))
        try:
            self.source.check()
            guard.check_root_is_the_same(self.library, confirmed=confirmed)
            with no_cycles_expected():  # tuples and dictionaries, a tenth of the time
                dirty, seen_known, seen = self._compare_all()
        except SourceUnavailable:
            if confirmed:
                self._consume_confirmation()
            raise
        self.is_walking = False
        self.saw_everything = True
        vanished = self._vanished(seen) if seen_known < entries_known.count_known(self.library) else []
        confirmed_before = self.run.operation.checkpoint.get("confirmed_gone", 0) - self.counts["gone"]
        if confirmed:
            self._consume_confirmation(confirmed_gone=self.counts["gone"] + self.totals.gone)
        elif too_many_gone(self.totals.gone, self.totals.known) and self.totals.gone > confirmed_before:
            self._ask_about_gone(list(dirty), vanished)
        return dirty, vanished

    def _consume_confirmation(self, **checkpoint: Any) -> None:
        """Forget the person's word: it was given for what was asked then, and not for what a later run may find."""
        with transaction.atomic():
            self.run.forget_param("confirm_gone")
            self.run.checkpoint(stop=False, **checkpoint)
            guard.forget_pointer_if_gone(self.library)
        self.run.raise_if_stopped()

    def require_source(self) -> None:
        """Raise SourceUnavailable if the root went away since the walk, or is an empty mount point now."""
        guard.require_root(self.library, self.source, may_be_empty=self.root_was_empty)

    def _compare_all(self) -> tuple[dict[str, int], int, set[str]]:
        dirty: dict[str, int] = {}
        seen: set[str] = set()
        seen_known = from_memory = 0
        revision = Library.objects.values_list("revision", flat=True).get(pk=self.library.pk)
        contradictions = Contradictions(self.library, self.source)
        for batch in self._walk_batches():
            known, hits = self._known(revision, [directory.path for directory in batch])
            from_memory += hits
            contradictions.look_at(batch)
            for directory in batch:
                seen.add(directory.path)
                if not directory.path:
                    self.root_was_empty = guard.is_empty(directory)
                before = known[directory.path]
                seen_known += len(before)
                found = self.entries(directory)
                plan = compare(found, before, is_complete=directory.is_complete)
                if self.verifies_heads:
                    plan = self._verify_heads(directory, found, before, plan)
                same = (name for name, entry in found.items() if before.get(name) == entry)
                plan = self._with_altered(directory, found, plan, contradictions.names_in(directory, same))
                if plan is None:
                    self.totals.unchanged += len(found)
                    self.totals.found += len(found)
                else:
                    self.totals.add(plan)
                    dirty[directory.path] = len(plan.gone)
                if directory.problems or not directory.is_complete:
                    self._note_problems(directory)
            self.run.operation.done = self.totals.found
            self.run.checkpoint(force=False, is_lasting=False)
        self.run.metrics["known_from_memory"] = from_memory
        return dirty, seen_known, seen

    def _known(self, revision: int, paths: list[str]) -> tuple[dict[str, dict[str, Entry]], int]:
        """Return what is known in some folders; a scan that looks at each file trusts no memory either."""
        if self.verifies_heads:
            return entries_known.known_in(self.library, paths), 0
        return known_entries.read(self.library, revision, paths)

    def _verify_heads(
        self, directory: Directory, found: dict[str, Entry], before: dict[str, Entry], plan: FolderPlan | None
    ) -> FolderPlan | None:
        """Return the plan with those entries as changed that look unchanged but begin with other bytes."""
        same = [name for name, entry in found.items() if before.get(name) == entry]
        keepalive = partial(self.run.checkpoint, force=False, is_lasting=False)
        altered = verify.altered_names(self.library, self.source, directory, same, keepalive)
        return self._with_altered(directory, found, plan, altered)

    def _with_altered(
        self, directory: Directory, found: dict[str, Entry], plan: FolderPlan | None, altered: list[str]
    ) -> FolderPlan | None:
        """Return the plan with those entries as changed, too, that look unchanged but are to be read again."""
        before = self.altered.get(directory.path, [])
        altered = [name for name in altered if name not in before]
        if not altered:
            return plan
        self.altered[directory.path] = [*before, *altered]
        plan = plan or FolderPlan(unchanged=len(found))
        plan.changed += altered
        plan.unchanged -= len(altered)
        return plan

    def _walk_batches(self) -> Iterator[list[Directory]]:
        batch: list[Directory] = []
        files = 0
        for directory in self.source.walk():
            batch.append(directory)
            files += len(directory.files)
            if files >= WALK_BATCH_FILES or len(batch) >= WALK_BATCH_FOLDERS:
                yield batch
                batch, files = [], 0
        if batch:
            yield batch

    def entries(self, directory: Directory) -> dict[str, Entry]:
        """Return the photos of a folder with what tells that they changed."""
        found = photos_in(directory)
        if len(directory.path) * 4 + 1024 > LONGEST_PATH_BYTES:
            for name in [n for n in found if len(directory.path_of(n).encode()) > LONGEST_PATH_BYTES]:
                del found[name]
                if self.is_walking:
                    self._add_problem(
                        directory.path_of(name)[:300],
                        f"The path is longer than {LONGEST_PATH_BYTES:,} bytes, which cannot be catalogued. The file is "
                        "untouched; shorten the names of its folders to have it listed.",
                    )
        return found

    def _note_problems(self, directory: Directory) -> None:
        if not directory.is_complete:
            self.incomplete.add(directory.path)
        for problem in directory.problems:
            self._add_problem(problem.path, problem.reason)

    def _add_problem(self, path: str, reason: str) -> None:
        self.problem_count += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append({"path": path, "reason": reason})

    def _vanished(self, seen: set[str]) -> list[str]:
        vanished = []
        for directory, count in entries_known.known_directories(self.library):
            if directory in seen:
                continue
            if under(directory, self.incomplete):  # it may well be there: its parent could not be read
                self.totals.unchanged += count
            else:
                self.totals.gone += count
                vanished.append(directory)
        return vanished

    def _ask_about_gone(self, dirty: list[str], vanished: list[str]) -> None:
        """Stop and ask a person, unless most of what is gone lies elsewhere now (a tidied-up library)."""
        moved = moves.count_probable(self.library, self.source, dirty, vanished, self.entries)
        if not too_many_gone(self.totals.gone, self.totals.known, moved):
            return
        raise OperationFailed(
            f"{self.totals.gone:,} of {self.totals.known:,} photos are gone from {self.library.root}. That is more than "
            "a fifth, so nothing was changed: perhaps a disk is not mounted. If they were really taken away, confirm "
            "it, and they are marked as missing (never deleted from the catalog).",
            "confirm_gone",
            gone=self.totals.gone,
            known=self.totals.known,
        )

    # -- 3: survey ----------------------------------------------------------------------------------------------------

    def survey(self, pool: DecoderPool, dirty: dict[str, int], vanished: list[str]) -> None:
        """Read the heads of new and changed files, so that they can be browsed; mark what is gone."""
        if vanished:
            self.require_source()
        for directory in vanished:
            self._mark_gone(
                partial(entries_known.mark_directory_missing, self.library, directory, self.started_at, self.seen_at)
            )
        self.run.phase("Reading the heads of new files", self.totals.added + self.totals.changed, unit="photos")
        read_failures = ReadFailures(self.require_source, partial(can_read_known, self.library, self.source))
        rows: list[Row] = []
        flushed = time.monotonic()
        for job, result in pool.survey(opened_ahead(self.opened, self.source, self._survey_jobs(dirty), 16)):
            place, entry, is_known, head_before = job.key
            row = surveyed_row(self.library, place, entry, result, added_at=self.started_at)
            row["is_known"] = is_known
            row["is_changed"] = is_known and result.head_md5 != head_before
            rows += read_failures.admit(job.open, result.problem, row, was_read=bool(result.head_md5))
            if len(rows) >= BATCH or time.monotonic() - flushed > FLUSH_SECONDS:
                self._write_surveyed(rows)
                rows, flushed = [], time.monotonic()
        self._write_surveyed([*rows, *read_failures.flush()])
        entries_counts.refresh_counts(self.library, run=self.run)

    def _mark_gone(self, mark: Callable[[], int]) -> None:
        """Mark entries as missing, and count them, under the fencing number."""
        with transaction.atomic():
            self._count(gone=mark())
        self.run.raise_if_stopped()

    def _survey_jobs(self, dirty: dict[str, int]) -> Iterator[Job]:
        for path, gone_in_walk in dirty.items():
            directory = self.source.list_directory(path)
            found = self.entries(directory)
            known = entries_known.known_in(self.library, [path])[path]
            plan = compare(found, known, is_complete=directory.is_complete) or FolderPlan()
            plan.changed += [n for n in self.altered.get(path, ()) if n in found and known.get(n) == found[n]]
            heads = entries_known.known_heads(self.library, path) if plan.doubted else {}
            if plan.gone or not found or not directory.is_complete:
                self.require_source()
            # More than the root guard agreed to is left to the next scan, which asks again.
            if 0 < len(plan.gone) <= gone_in_walk:
                mark = partial(entries_known.mark_missing, self.library, path, plan.gone, self.started_at, self.seen_at)
                self._mark_gone(mark)
            for names, is_known in ((plan.added, False), (plan.changed, True)):
                for name in names:
                    head_before = heads.get(name) if name in plan.doubted else None
                    yield job_for(
                        self.source,
                        self.zone,
                        directory.path_of(name),
                        ((path, name), found[name], is_known, head_before),
                        found[name][:2],
                        head_only=self.source.is_far,
                    )

    def _write_surveyed(self, rows: list[Row]) -> None:
        if rows:
            with transaction.atomic():
                entries_rows.insert_surveyed(rows)
                added = sum(not row["is_known"] for row in rows)
                self._count(len(rows), changed=sum(row["is_changed"] for row in rows), added=added)
        self.run.raise_if_stopped()

    def _count(self, done: int = 0, **counts: int) -> None:
        """Count what was done, under the fencing number, in the transaction that did it."""
        for name, count in counts.items():
            self.counts[name] += count
        self.run.advance(done)
        self.run.checkpoint(stop=False, counts=self.counts)
        entries_counts.bump_revision(self.library)

    # -- 4 and 5: digest and apply ------------------------------------------------------------------------------------

    def digest(self, pool: DecoderPool, pending: int) -> None:
        """Read each file that lacks its digest once: MD5, metadata, thumbnail; apply in batches."""
        self.run.phase("Reading photos and drawing thumbnails", pending, unit="photos")
        digesting = Digesting(
            self.library,
            self.source,
            zone=self.zone,
            opened=self.opened,
            claim=self._claim,
            apply=self._apply,
            require_source=self.require_source,
        )
        self.pending, self.read_here = pending, 0
        waiting_bytes = self._undigested_bytes() if settings.SCAN_WORKERS > 1 else 0
        waiting_bytes += self.run.metrics.get("bytes_read", 0)
        self.assistants = assist.call(self.run.operation, pending, self.zone)
        try:
            digesting.run(pool)
            while self.assistants and assist.wait_for_others(self.library, self.claimed_for, self._keepalive):
                digesting.run(pool)  # what one of them gave back, or died over
        finally:
            queue.release_claims(self.library, self.claimed_for)
        if self.assistants:
            self._count_what_assistants_read()
            self.run.metrics["bytes_read"] = waiting_bytes - self._undigested_bytes()
            tree.remove_abandoned_writes()  # of those that died over a thumbnail

    def _claim(self) -> list[Claimed]:
        with transaction.atomic():
            self.run.checkpoint(stop=False)  # who was overtaken takes nothing out of its successor's hands
            return queue.claim_digests(self.library, self.claimed_for, BATCH)

    def _undigested_bytes(self) -> int:
        waiting = Photo.objects.filter(library=self.library).undigested()
        return int(waiting.aggregate(size=Sum("size_bytes", default=0))["size"])

    def _apply(self, rows: list[Row]) -> None:
        if rows:
            metrics = self.run.metrics
            metrics["files_read"] = metrics.get("files_read", 0) + len(rows)
            metrics["bytes_read"] = metrics.get("bytes_read", 0) + sum(row["size_bytes"] for row in rows)
            self.read_here += len(rows)
            with transaction.atomic():
                entries_rows.apply_digests(self.library, rows)
                mirror_read_stars(self.library, [(row["id"], row["rating"]) for row in rows])
                self._count(len(rows))
        self.run.raise_if_stopped()
        if self.assistants:
            self._keepalive()

    def _keepalive(self) -> None:
        """Now and then hold what is claimed for longer, and show how far all workers are. Raises to stop."""
        if time.monotonic() - self.counted > COUNT_SECONDS:
            queue.renew_claims(self.library, self.claimed_for)
            self._count_what_assistants_read()
        self.run.checkpoint(force=False)

    def _count_what_assistants_read(self) -> None:
        """Let the progress be that of all workers; only the leader writes it, so it counts what is left."""
        left = Photo.objects.filter(library=self.library).undigested().count()
        self.run.operation.done = max(self.read_here, self.pending - left)
        self.run.metrics["files_read_by_assistants"] = self.run.operation.done - self.read_here
        self.counted = time.monotonic()

    # -- 6: finish ----------------------------------------------------------------------------------------------------

    def finish(self, survey_seconds: float) -> dict[str, Any]:
        """Follow moves, publish the snapshot, bring the library's counts up to date; return the result."""
        with relaxed_durability():  # what is lost of it, the next scan follows
            postponed = moves.follow(self.library, self.source, self.started_at, self._count)
        self.run.raise_if_stopped()
        if self.changed_anything:
            self.require_source()  # nothing is ever written into the folder under a disk that was unplugged
        self.run.phase("Writing the catalog snapshot", None, unit="entries")
        self.library.refresh_from_db()
        # Also what others changed: they may have been killed before they counted.
        if self.changed_anything or self.counts["moved"] or self.library.snapshot_revision != self.library.revision:
            entries_counts.refresh_counts(self.library, run=self.run)
        snapshot_md5 = publish.publish_if_due(self.library, self.source, self.run)
        self._note_end(postponed)
        held = getattr(self.source, "held", None)
        if held is not None:
            trash_folder.remove_empty(held.descriptor)
        if ended_with_leftovers(self.library).exists():  # what was left of them can be compared with what was found
            transaction.on_commit(lambda: start_writing(self.library, self.library.owner))
        failed = count_failed(self.library)
        found = self.totals.found
        counted = self._counts_of_all_runs()
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
            "cache_misses": self.counts["added"] + self.counts["changed"],
            zone.ZONE: self.zone,
            "problems": self.problems,
            "problem_count": self.problem_count,
        }

    def _note_end(self, postponed: int) -> None:
        """Write what this scan means for later ones, under the fencing number: a run that was overtaken says nothing."""
        now = timezone.now()
        ended: dict[str, Any] = {"scanned_at": now}
        if self.verifies_heads:
            ended["verified_at"] = self.started_at
        if self.saw_everything and not self.incomplete:
            ended["walked_at"] = self.started_at
        if postponed:
            ended["scan_wanted_at"] = now
        with transaction.atomic():
            self.run.checkpoint(stop=False)
            Library.objects.filter(pk=self.library.pk).update(**ended)

    def _counts_of_all_runs(self) -> dict[str, int]:
        """Return the counts as if the scan had not been interrupted: what an earlier run did looks unchanged by now."""
        now, all_runs = self.totals, self.counts
        read = all_runs["added"] + all_runs["changed"]
        # Those that a scan which was given up had added look unchanged to this one.
        moved_before = all_runs["moved"] - all_runs["moved_added"] - all_runs["moved_changed"]
        return {
            "added": all_runs["added"] - all_runs["moved_added"],
            "changed": max(0, all_runs["changed"] - all_runs["moved_changed"]),
            "moved": all_runs["moved"],
            "unchanged": max(0, now.unchanged + now.added + now.changed - read - moved_before),
            "gone": all_runs["gone"] - all_runs["moved_gone"],
        }
