"""What all runs of one scan did: counted in the transactions that did it, so that an interruption counts nothing twice."""

from catalog.entries import counts as entries_counts
from catalog.models import Library
from catalog.scanning.plan import Totals
from operations.running import Run

NAMES = ("added", "changed", "gone", "moved", "moved_added", "moved_changed", "moved_gone")


class Tally:
    """The counts of one scan, kept in its operation's checkpoint."""

    def __init__(self, run: Run, library: Library) -> None:
        self._run = run
        self._library = library
        self.counts: dict[str, int] = {**dict.fromkeys(NAMES, 0), **run.operation.checkpoint.get("counts", {})}

    def count(self, done: int = 0, **counts: int) -> None:
        """Count what was done, under the fencing number, in the caller's transaction. Raises LeaseLost."""
        for name, count in counts.items():
            self.counts[name] += count
        self._run.advance(done)
        self._run.checkpoint(stop=False, counts=self.counts)
        entries_counts.bump_revision(self._library)

    def of_all_runs(self, totals: Totals) -> dict[str, int]:
        """Return the counts as if the scan had not been interrupted: what an earlier run did looks unchanged by now."""
        counts = self.counts
        read = counts["added"] + counts["changed"]
        # Those that a scan which was given up had added look unchanged to this one.
        moved_before = counts["moved"] - counts["moved_added"] - counts["moved_changed"]
        return {
            "added": counts["added"] - counts["moved_added"],
            "changed": max(0, counts["changed"] - counts["moved_changed"]),
            "moved": counts["moved"],
            "unchanged": max(0, totals.unchanged + totals.added + totals.changed - read - moved_before),
            "gone": counts["gone"] - counts["moved_gone"],
        }
