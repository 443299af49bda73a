"""What the records of a destination say."""

import threading
from pathlib import Path
from typing import Any

from exports.ledger.errors import LedgerFailed
from exports.ledger.load import LOG_NAME, SNAPSHOT_NAME, LoadedLedger, view_ledger
from exports.models import ExportDestination

from .guard import is_behind_link


class _LastView:
    """The ledger looked at last, kept while its files stay as they are: the pages of one destination ask for it often."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._known: tuple[Any, LoadedLedger] | None = None

    def of(self, directory: Path) -> LoadedLedger:
        signature = (directory, *(_facts(directory / name) for name in (SNAPSHOT_NAME, LOG_NAME)))
        with self._guard:
            if self._known is not None and self._known[0] == signature:
                return self._known[1]
        loaded = view_ledger(directory)
        with self._guard:
            self._known = (signature, loaded)
        return loaded


_last_view = _LastView()


def ledger_of(destination: ExportDestination) -> LoadedLedger:
    """Return the destination's records as they are now; none if nothing was exported yet. Raises LedgerFailed."""
    if is_behind_link(destination):
        raise LedgerFailed(
            f"A link is in place of the destination {destination.folder}. Put the folder back; nothing was read or changed."
        )
    return _last_view.of(destination.records_folder)


def _facts(path: Path) -> tuple[int, int, int] | None:
    try:
        facts = path.stat()
    except FileNotFoundError:
        return None
    except OSError:
        return (0, 0, 0)
    return facts.st_ino, facts.st_mtime_ns, facts.st_size
