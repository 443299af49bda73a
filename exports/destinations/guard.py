"""Tell whether a destination is there, and is still the same: nothing is written below an unplugged disk."""

import errno
import os
from typing import NamedTuple, Protocol

from catalog.sources.base import SourceUnavailable
from exports.models import ExportDestination
from operations.running import OperationFailed
from photolala.lib.files import is_real_folder, open_real_folder

from .identity import known_identity
from .transports.opening import bucket_transport


class Guard(Protocol):
    """Looks after one destination while something is done there."""

    def require_same(self) -> None:
        """Raise OperationFailed if the place is another one by now; cheap enough for each folder that is opened."""

    def require(self) -> None:
        """Raise OperationFailed if the destination, with its records, is not there: after something has failed."""


def guard_of(destination: ExportDestination) -> Guard:
    """Return the guard of a destination, which is there now. OperationFailed if it is not."""
    return BucketGuard(destination) if destination.is_bucket else DestinationGuard(destination)


class BucketGuard:
    """Asks the server whether the prefix can be listed."""

    def __init__(self, destination: ExportDestination) -> None:
        """Raises OperationFailed if it cannot."""
        self._transport = bucket_transport(destination)
        self.require()

    def require_same(self) -> None:
        """Do nothing: a bucket's name always means the same bucket."""

    def require(self) -> None:
        """Raise OperationFailed if the prefix cannot be listed."""
        try:
            self._transport.require()
        except SourceUnavailable as error:
            raise OperationFailed(
                f"{error} What was exported before is kept and recorded; try again, and the export continues where it "
                "stopped.",
                "destination",
            ) from None


class _FolderId(NamedTuple):
    """What tells a folder from all others of this machine."""

    device: int
    inode: int


class DestinationGuard:
    """Remembers which folder a destination was when its export began."""

    def __init__(self, destination: ExportDestination, *, needs_records: bool = True) -> None:
        """Raises OperationFailed if the folder is not there, or has no records though it had (unless none are needed)."""
        self._destination = destination
        self._began = _folder_id(destination)
        if self._began is None:
            raise self._unplugged()
        self._require_own_records()
        if needs_records and destination.has_records and not is_real_folder(destination.records_folder):
            raise OperationFailed(
                f"The records of earlier exports are not in {destination.folder}. If its disk is not mounted, mount it and "
                "try again; nothing was changed. If they are lost, rebuild them from the copies; if they were removed on "
                "purpose, remove the destination and add it again.",
                "destination",
            )

    def require_same(self) -> None:
        """Raise OperationFailed if the path leads to another folder by now, in which there are no records."""
        if _folder_id(self._destination) != self._began:
            raise self._unplugged()

    def require(self) -> None:
        """Raise OperationFailed if the folder is not the one any more that it was at the start, with its records."""
        self.require_same()
        if not is_real_folder(self._destination.records_folder):
            raise self._unplugged()

    def _require_own_records(self) -> None:
        found = known_identity(self._destination.path)
        if found is not None and found.id != self._destination.pk:
            raise OperationFailed(
                f"In {self._destination.folder} are the records of another destination (“{found.name}”), not those of "
                f"“{self._destination.name}”: perhaps another disk is mounted there. Mount the right one and try again; if it is "
                "somewhere else now, say so on the destination's page. To export to the disk that is there, forget this "
                "destination and add the folder again. Nothing was changed.",
                "destination",
            )

    def _unplugged(self) -> OperationFailed:
        return OperationFailed(
            f"The destination {self._destination.folder} cannot be reached any more, or a link is in its place. Is its disk "
            "mounted? What was exported is recorded there; connect it and try again: the export continues where it stopped. If "
            "it is mounted somewhere else now, say so on the destination's page, or by `records move`.",
            "destination",
        )


def is_behind_link(destination: ExportDestination) -> bool:
    """Tell whether a link is in place of the destination's folder, or on the way to it: it may lead to somebody else's."""
    if destination.is_bucket:
        return False
    try:
        os.close(open_real_folder(os.fsencode(destination.path)))
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


def _folder_id(destination: ExportDestination) -> _FolderId | None:
    """Return what tells the destination's folder from all others; None if it is not there, or behind a link by now."""
    try:
        folder = open_real_folder(os.fsencode(destination.path))
    except OSError:
        return None
    try:
        facts = os.fstat(folder)
    finally:
        os.close(folder)
    return _FolderId(facts.st_dev, facts.st_ino)
