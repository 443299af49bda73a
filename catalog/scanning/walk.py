"""The first two steps of a scan, walk and plan: compare the root with the catalog, without opening a photo."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from django.db import transaction

from catalog.entries import known as entries_known
from catalog.entries.folder_comparison import LONGEST_PATH_BYTES, Entry, FolderPlan, compare
from catalog.entries.jobs import photos_in
from catalog.identity import moves
from catalog.models import Library
from catalog.roots import root_check
from catalog.scanning import verify
from catalog.scanning.contradicted import Contradictions
from catalog.scanning.entry_cache import known_entries
from catalog.scanning.opened_root import OpenedRoot
from catalog.scanning.plan import Totals, too_many_gone, under
from catalog.scanning.tally import Tally
from catalog.sources.base import Directory, SourceUnavailable
from operations.running import OperationFailed, Run
from photolala.lib.garbage_collection import no_cycles_expected

BATCH_FILES = 4000
BATCH_FOLDERS = 300
MOST_PROBLEMS = 200


def entries_in(directory: Directory, on_too_long: Callable[[str], None] | None = None) -> dict[str, Entry]:
    """Return the photos of a folder that the catalog can hold, with what tells that they changed.

    `on_too_long` is called with each path that is left out because no database index could hold it.
    """
    found = photos_in(directory)
    # One character is at most four bytes of UTF-8, and a name at most 255 bytes: only here can a path be too long.
    if len(directory.path) * 4 + 1024 > LONGEST_PATH_BYTES:
        for name in [n for n in found if len(directory.path_of(n).encode()) > LONGEST_PATH_BYTES]:
            del found[name]
            if on_too_long:
                on_too_long(directory.path_of(name))
    return found


def consume_confirmation(run: Run, library: Library, **checkpoint: Any) -> None:
    """Forget the confirmation: it was given for what was asked then, and not for what a later run may find."""
    with transaction.atomic():
        run.forget_param("confirm_gone")
        run.checkpoint(stop=False, **checkpoint)
        root_check.forget_pointer_if_gone(library)
    run.raise_if_stopped()


class Walk:
    """One walk through a root. `run` it once; what it found is in its attributes then."""

    def __init__(self, run: Run, root: OpenedRoot, tally: Tally) -> None:
        self._run = run
        self._root = root
        self._library = root.library
        self._tally = tally
        self.verifies_heads = bool(run.params.get("verify_heads"))
        self.totals = Totals()
        self.dirty: dict[str, int] = {}
        """The folders in which something differs, each with the number of entries that are gone from it."""
        self.vanished: list[str] = []
        """The folders of the catalog that are not there any more."""
        self.altered: dict[str, list[str]] = {}
        """By folder, the names that look unchanged by size and time, and are to be read again all the same."""
        self.saw_everything = False
        """True after a walk to the end in which every folder could be listed."""
        self.problems: list[dict[str, str]] = []
        """The first MOST_PROBLEMS of them, as the result of a scan shows them."""
        self.problem_count = 0
        self._incomplete: set[str] = set()

    def run(self) -> None:
        """Compare what is in the root with what is known.

        Raises SourceUnavailable, and OperationFailed with a question if too much is gone.
        """
        self._run.phase("Looking through the folders", unit="files")
        confirmed = bool(self._run.params.get("confirm_gone"))
        try:
            self._root.source.check()
            root_check.check_root_is_the_same(self._library, confirmed=confirmed)
            with no_cycles_expected():  # tuples and dictionaries, a tenth of the time
                seen_known, seen = self._compare_all()
        except SourceUnavailable:
            if confirmed:
                consume_confirmation(self._run, self._library)
            raise
        self.saw_everything = not self._incomplete
        if seen_known < entries_known.count_known(self._library):
            self.vanished = self._vanished(seen)
        gone_before = self._tally.counts["gone"]
        confirmed_before = self._run.operation.checkpoint.get("confirmed_gone", 0) - gone_before
        if confirmed:
            consume_confirmation(self._run, self._library, confirmed_gone=gone_before + self.totals.gone)
        elif too_many_gone(self.totals.gone, self.totals.known) and self.totals.gone > confirmed_before:
            self._ask_about_gone()

    def _compare_all(self) -> tuple[int, set[str]]:
        """Compare folder by folder; return how many known entries these folders held, and the folders' paths."""
        seen: set[str] = set()
        seen_known = from_memory = 0
        revision = Library.objects.values_list("revision", flat=True).get(pk=self._library.pk)
        contradictions = Contradictions(self._library, self._root.source)
        for batch in self._batches():
            known, hits = self._known(revision, [directory.path for directory in batch])
            from_memory += hits
            contradictions.look_at(batch)
            for directory in batch:
                before = known[directory.path]
                seen.add(directory.path)
                seen_known += len(before)
                self._compare(directory, before, contradictions)
            self._run.operation.done = self.totals.found
            self._run.checkpoint(force=False, is_lasting=False)
        self._run.metrics["known_from_memory"] = from_memory
        return seen_known, seen

    def _compare(self, directory: Directory, before: dict[str, Entry], contradictions: Contradictions) -> None:
        if not directory.path:
            self._root.may_be_empty = root_check.is_empty(directory)
        found = entries_in(directory, self._note_too_long)
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
            self.dirty[directory.path] = len(plan.gone)
        if directory.problems or not directory.is_complete:
            self._note_problems(directory)

    def _batches(self) -> Iterator[list[Directory]]:
        batch: list[Directory] = []
        files = 0
        for directory in self._root.source.walk():
            batch.append(directory)
            files += len(directory.files)
            if files >= BATCH_FILES or len(batch) >= BATCH_FOLDERS:
                yield batch
                batch, files = [], 0
        if batch:
            yield batch

    def _known(self, revision: int, paths: list[str]) -> tuple[dict[str, dict[str, Entry]], int]:
        """Return the known entries of some folders, and how many of them came from memory.

        A scan that verifies every file does not rely on memory either.
        """
        if self.verifies_heads:
            return entries_known.known_in(self._library, paths), 0
        return known_entries.read(self._library, revision, paths)

    # -- what looks unchanged, and is to be read again ----------------------------------------------------------------

    def _verify_heads(
        self, directory: Directory, found: dict[str, Entry], before: dict[str, Entry], plan: FolderPlan | None
    ) -> FolderPlan | None:
        """Return the plan with those entries as changed that look unchanged but begin with other bytes."""
        same = [name for name, entry in found.items() if before.get(name) == entry]
        keepalive = partial(self._run.checkpoint, force=False, is_lasting=False)
        altered = verify.altered_names(self._library, self._root.source, directory, same, keepalive)
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

    # -- what could not be listed -------------------------------------------------------------------------------------

    def _note_too_long(self, path: str) -> None:
        self._add_problem(
            path[:300],
            f"The path is longer than {LONGEST_PATH_BYTES:,} bytes, which cannot be catalogued. The file is "
            "untouched; shorten the names of its folders to have it listed.",
        )

    def _note_problems(self, directory: Directory) -> None:
        if not directory.is_complete:
            self._incomplete.add(directory.path)
        for problem in directory.problems:
            self._add_problem(problem.path, problem.reason)

    def _add_problem(self, path: str, reason: str) -> None:
        self.problem_count += 1
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append({"path": path, "reason": reason})

    # -- what is gone -------------------------------------------------------------------------------------------------

    def _vanished(self, seen: set[str]) -> list[str]:
        vanished = []
        for directory, count in entries_known.known_directories(self._library):
            if directory in seen:
                continue
            if under(directory, self._incomplete):  # it may well be there: its parent could not be read
                self.totals.unchanged += count
            else:
                self.totals.gone += count
                vanished.append(directory)
        return vanished

    def _ask_about_gone(self) -> None:
        """Stop and ask a person, unless most of what is gone is elsewhere now (a tidied-up library)."""
        totals = self.totals
        moved = moves.count_probable(self._library, self._root.source, list(self.dirty), self.vanished, entries_in)
        if not too_many_gone(totals.gone, totals.known, moved):
            return
        verb = "is" if totals.gone == 1 else "are"
        raise OperationFailed(
            f"{totals.gone:,} of {totals.known:,} photos {verb} gone from {self._library.root}. That is more than "
            "a fifth, so nothing was changed: perhaps a disk is not mounted. If they were really taken away, confirm "
            "it, and they are marked as missing (never deleted from the catalog).",
            "confirm_gone",
            gone=totals.gone,
            known=totals.known,
        )
