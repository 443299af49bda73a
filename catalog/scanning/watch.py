"""Notice changes in the folders of watched libraries, and start scans: a program of its own, `manage.py watch`.

Watching is a convenience: whatever it misses (a share's other machines, a full table of watches) the next scan finds.
"""

import logging
import os
import stat
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Event

import watchfiles
from django.db import close_old_connections

from catalog.models import FileWrite, Library, Photo
from catalog.scanning.requests import start_scan
from operations.models import Operation, State
from operations.running import AlreadyActive
from photolala.lib.paths import escape_path, unescape_path

logger = logging.getLogger(__name__)
LOOK_SECONDS = 5.0
"""How often it is looked whether other libraries are to be watched, and whether what waited can be scanned."""
MOST_TOGETHER_MS = 5_000
QUIET_MS = 500
MOST_REMEMBERED = 500
"""Of more changed files than these it is not asked whether the catalog knows them already."""
SHARE_OF_TIME = 4
"""A scan that took a second is not followed by another one for four, however much changes."""


def watched_roots() -> dict[Path, Library]:
    """Return the folders to watch, as far as they are there."""
    watched = Library.objects.filter(is_watched=True, source="local", owner__is_active=True).select_related("owner")
    roots = {Path(os.fsdecode(unescape_path(library.root))): library for library in watched}
    return {root: library for root, library in roots.items() if root.is_dir()}


def is_visible(root: Path, path: str) -> bool:
    """False of hidden files and folders below `root`: what Photolala itself writes beside the photos, among others."""
    parts = Path(path).parts[len(root.parts) :]
    return not any(part.startswith(".") for part in parts)


class Watcher:
    """Watches until `stop` is set. `clock` tells seconds."""

    def __init__(self, stop: Event, clock: Callable[[], float] = time.monotonic) -> None:
        self.stop = stop
        self.clock = clock
        self.waiting: dict[Path, float] = {}
        """Roots in which something changed, and the time before which they are not scanned."""
        self.changed: dict[Path, set[str]] = {}
        """What changed there."""

    def run(self) -> None:
        """Watch, and start over when other libraries are to be watched or a folder went away."""
        while not self.stop.is_set():
            close_old_connections()
            roots = watched_roots()
            if not roots:
                self.stop.wait(LOOK_SECONDS)
                continue
            try:
                self._watch(roots)
            except (OSError, RuntimeError) as error:
                logger.warning(
                    "Cannot watch %s: %s. Scheduled scans still find what changes. If there are too many folders, raise "
                    "fs.inotify.max_user_watches.",
                    ", ".join(str(root) for root in roots),
                    error,
                )
                self.stop.wait(60.0)

    def _watch(self, roots: dict[Path, Library]) -> None:
        changes = watchfiles.watch(
            *roots,
            watch_filter=None,
            debounce=MOST_TOGETHER_MS,
            step=QUIET_MS,
            stop_event=self.stop,
            rust_timeout=int(LOOK_SECONDS * 1000),
            yield_on_timeout=True,
            raise_interrupt=False,
            ignore_permission_denied=True,
        )
        for found in changes:
            close_old_connections()
            self.note(roots, (path for _, path in found))
            self.scan_what_waits(roots)
            now = watched_roots()
            if {root: library.pk for root, library in now.items()} != {r: library.pk for r, library in roots.items()}:
                return

    def note(self, roots: dict[Path, Library], paths: Iterable[str]) -> None:
        """Remember the roots in which `paths` changed."""
        for path in paths:
            for root in roots:
                if Path(path).is_relative_to(root) and is_visible(root, path):
                    self.waiting.setdefault(root, self.clock())
                    changed = self.changed.setdefault(root, set())
                    if len(changed) <= MOST_REMEMBERED:
                        changed.add(path)

    def scan_what_waits(self, roots: dict[Path, Library]) -> int:
        """Start scans where something changed; return how many. Who is being scanned, or was just now, goes on waiting."""
        started = 0
        for root, not_before in list(self.waiting.items()):
            if root not in roots or not self._is_news(root, roots[root]):
                self._forget(root)
            elif not_before <= self.clock() and self._start(root, roots[root]):
                started += 1
        return started

    def _start(self, root: Path, library: Library) -> bool:
        if FileWrite.objects.filter(library=library, state="writing").exists():
            return False  # the catalog is being told just now
        latest = Operation.objects.filter(active_key=library.scan_key).order_by("-created_at").first()
        if latest is not None:
            if latest.state == State.FAILED and latest.error_code == "confirm_gone":
                return False  # a person is being asked; another scan would only ask again
            if latest.finished_at and (pause := self._pause_after(latest)) > 0:
                self.waiting[root] = self.clock() + pause
                return False
        try:
            start_scan(library, library.owner)
        except AlreadyActive:
            return False  # it may have passed the place: once more when it has ended
        self._forget(root)
        return True

    def _forget(self, root: Path) -> None:
        del self.waiting[root]
        self.changed.pop(root, None)

    def _is_news(self, root: Path, library: Library) -> bool:
        """False if the catalog knows all that changed, as it does of files into which Photolala itself wrote."""
        changed = self.changed.get(root, set())
        if len(changed) > MOST_REMEMBERED or FileWrite.objects.filter(library=library, state="writing").exists():
            return True
        for path in changed:
            directory, _, filename = escape_path(os.fsencode(os.path.relpath(path, root))).rpartition("/")
            row = Photo.objects.filter(library=library, directory=directory, filename=filename)
            known = row.exclude(state=Photo.State.MISSING).values_list("size_bytes", "mtime_ns").first()
            try:
                facts = os.lstat(path)
            except OSError:
                return True
            if known != (facts.st_size, facts.st_mtime_ns) or not stat.S_ISREG(facts.st_mode):
                return True
        return not changed

    def _pause_after(self, latest: Operation) -> float:
        assert latest.finished_at is not None
        since = max(0.0, time.time() - latest.finished_at.timestamp())  # the clock may have been set back meanwhile
        return (latest.seconds or 0.0) * SHARE_OF_TIME - since
