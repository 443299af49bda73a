"""A library's root while a scan, or a helper of one, reads photos from it."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

from catalog.entries.jobs import opened_ahead
from catalog.entries.read_failures import ReadFailures, can_read_known
from catalog.media.task import Job
from catalog.models import Library
from catalog.roots import root_check
from catalog.sources.base import Source


@dataclass(slots=True)
class OpenedRoot:
    """What every step needs to read a library's photos, and to tell a broken file from a root that is no longer there."""

    library: Library
    source: Source
    zone: str
    """The time zone of dates that name none; it stays the same for the whole run, so that all of its rows agree."""
    opened: ExitStack = field(default_factory=ExitStack)
    """Holds the files that were opened ahead; closing it closes those that nobody read because the run ended early."""
    may_be_empty: bool = False
    """True if the root held nothing when it was listed: else an empty folder is taken for an unmounted disk."""

    def require(self) -> None:
        """Raise SourceUnavailable if the root is not there any more, or is an empty mount point now."""
        root_check.require_root(self.library, self.source, may_be_empty=self.may_be_empty)

    def read_failures(self) -> ReadFailures:
        """Return a new judge of files that cannot be read: is it the file, or the whole source?"""
        return ReadFailures(self.require, partial(can_read_known, self.library, self.source))

    def opened_ahead(self, jobs: Iterator[Job], ahead: int) -> Iterator[Job]:
        """Yield the jobs; the files of a far source are opened up to `ahead` jobs before their turn."""
        return opened_ahead(self.opened, self.source, jobs, ahead)
