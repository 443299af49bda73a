"""Examine the whole installation, one thing after the other, and heal what can be healed without a loss."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from operations.progress import Progress, quietly

from .examinations.cache import examine_cache
from .examinations.clock import examine_clock
from .examinations.database import examine_database
from .examinations.findings import Finding, Severity, error
from .examinations.later_columns import examine_later_columns, examine_looks, examine_unread
from .examinations.leftovers import examine_leftovers
from .examinations.libraries import examine_libraries
from .examinations.search import examine_search
from .examinations.server import (
    examine_broker,
    examine_disks,
    examine_operations,
    examine_sandbox,
    examine_settings,
    examine_tools,
)
from .examinations.taken_folders import examine_taken_folders
from .examinations.trash import examine_trash

logger = logging.getLogger(__name__)
Examination = Callable[[], Iterable[Finding]]


@dataclass(slots=True)
class Report:
    """What was examined, and what was found."""

    examined: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_fine(self) -> bool:
        """True if nobody has to do anything."""
        return not any(finding.needs_somebody for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Return what `doctor --json` prints."""
        return {
            "fine": self.is_fine,
            "examined": self.examined,
            "findings": [asdict(finding) for finding in self.findings],
        }


def examine(*, full: bool = False, heal: bool = False, progress: Progress = quietly) -> Report:
    """Examine settings, tools, disks, database, broker, clock, operations, folders, libraries, search, trash, leftovers and
    the cache.

    `full` looks at all thumbnails and all earlier snapshots instead of a sample and the latest. `heal` removes what is
    of no photo, draws lost thumbnails again, has lost snapshots published again by the next scan, gives files in the trash
    rows again, builds a damaged index of words anew and removes what is left of work that broke off; nothing else is
    changed, and no photo ever. An examination
    that itself fails is a finding. Without the database, only the others run.
    """
    report = Report()
    for name, examination in (
        ("settings", examine_settings),
        ("tools", examine_tools),
        ("sandbox", examine_sandbox),
        ("disks", examine_disks),
        ("broker", examine_broker),
        ("database", examine_database),
    ):
        _add(report, name, examination)
    if any(finding.severity == Severity.ERROR and finding.code.startswith("database.") for finding in report.findings):
        return report
    _add(report, "clock", examine_clock)
    _add(report, "operations", examine_operations)
    _add(report, "folders", examine_taken_folders)
    _add(report, "libraries", partial(examine_libraries, full=full, heal=heal, progress=progress))
    _add(report, "later columns", examine_later_columns)
    _add(report, "photos that were not read here", examine_unread)
    _add(report, "photos that are not compared yet", examine_looks)
    _add(report, "search", partial(examine_search, full=full, heal=heal))
    _add(report, "trash", partial(examine_trash, heal=heal, progress=progress))
    _add(report, "leftovers", partial(examine_leftovers, full=full, heal=heal, progress=progress))
    _add(report, "cache", partial(examine_cache, full=full, heal=heal, progress=progress))
    return report


def _add(report: Report, name: str, examination: Examination) -> None:
    report.examined.append(name)
    report.findings += _guarded(name, examination)


def _guarded(name: str, examination: Examination) -> Iterator[Finding]:
    try:
        yield from examination()
    except Exception as failure:  # a patient whose one examination fails still needs the others
        logger.exception("The examination of the %s failed", name)
        yield error(
            f"{name}.examination",
            f"The examination of the {name} itself failed: {type(failure).__name__}: {failure}",
            "See the log; the other examinations went on.",
        )
