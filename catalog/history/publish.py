"""Publish a library's snapshot and pointer, in its root and in the cache."""

import logging
import shutil
from contextlib import ExitStack, suppress
from pathlib import Path

from django.db import connection, transaction
from django.utils import timezone

from catalog.cache import tree
from catalog.cache.rebuild_folders import remove_abandoned_work
from catalog.cache.working import remove_abandoned, working_folder
from catalog.history import retention
from catalog.history.rows import marks_of, rows_of
from catalog.models import Library, Snapshot
from catalog.roots.reach import hold_root
from catalog.roots.snapshot_locations import COPIES_LABEL, cache_location, copies_location, root_location
from catalog.snapshots.claimed import claimed
from catalog.snapshots.location import Location
from catalog.snapshots.pointer import Pointer
from catalog.snapshots.publish import Keep, publish, read_pointer
from catalog.snapshots.schema import SnapshotHeader, snapshot_name
from catalog.snapshots.write import WrittenSnapshot, file_md5, write_snapshot
from catalog.sources.base import Source
from catalog.sources.held_root import HeldRoot
from operations.running import LeaseLost, Run

logger = logging.getLogger(__name__)


def publish_if_due(library: Library, source: Source, run: Run, *keeps: str) -> str:
    """Write and publish a snapshot if the catalog changed since the last one, or the root lost its copy.

    Those of the MD5s `keeps` are not thinned out. Returns the MD5 of the current snapshot. Raises LeaseLost instead of
    publishing for someone else.
    """
    _clear_after_earlier(library, source.root_md5, run)
    library.refresh_from_db()
    revision = library.revision
    is_written = library.snapshot_md5 and library.snapshot_revision == revision
    remove_abandoned()
    remove_abandoned_work()
    if is_written and not _root_lags(library) and not _copies_lag(library):
        return library.snapshot_md5
    with working_folder(f"snapshot-{run.token}") as working:
        folder = str(working)
        # A folder that takes no files lags for ever: that must not cost a new snapshot of the same at each scan.
        written = _kept_snapshot(library, source.root_md5, folder) if is_written else None
        if written is None:
            header = SnapshotHeader(str(library.pk))
            with connection.wrap_database_errors:  # where SQLite copies by itself, its errors are those of the database
                written = write_snapshot(folder, header, *rows_of(library), marks=marks_of(library))
        with written:
            held: HeldRoot | None = getattr(source, "held", None)
            publish_written(library, source.root_md5, written, revision, run, *keeps, held=held)
            return written.md5


def publish_written(
    library: Library,
    root_md5: str,
    written: WrittenSnapshot,
    revision: int,
    run: Run,
    *keeps: str,
    held: HeldRoot | None = None,
) -> None:
    """Publish a snapshot that holds the catalog's `revision`: in the cache, in the root, in the copies, then in the rows.

    `held` is the root, where the caller holds it open. Raises LeaseLost instead of publishing for someone else, and
    SourceUnavailable if the root is away or becomes another folder meanwhile: the rows stay as they were then.
    """
    with ExitStack() as stack:
        if held is None and library.source == "local":
            held = stack.enter_context(hold_root(library))
        _publish(library, root_md5, written, revision, run, held, *keeps)


def _publish(
    library: Library,
    root_md5: str,
    written: WrittenSnapshot,
    revision: int,
    run: Run,
    held: HeldRoot | None,
    *keeps: str,
) -> None:
    _clear_after_earlier(library, root_md5, run)
    claim = RunClaim(run)
    root = root_location(library, held)
    with tree.writing():
        cache = claimed(cache_location(root_md5), claim)
        keep = retention.keeper(library, *keeps)
        published = publish(written, cache, claimed(root, claim) if root else None, keep=keep)
        in_cache = set(cache.names())
    published.warnings += _keep_copy(library, written, claim, keep)
    for warning in published.warnings:
        logger.warning("Library %s: %s", library.pk, warning)
    if held is not None:
        held.verify()
    facts = {"entry_count": written.entry_count, "size_bytes": written.size_bytes}
    with transaction.atomic():
        run.checkpoint(stop=False)
        Snapshot.objects.update_or_create(
            library=library,
            md5=written.md5,
            defaults=facts,
            create_defaults={**facts, "published_at": timezone.now()},  # one that is restored keeps its date
        )
        mark_present(library, in_cache, root)
        Library.objects.filter(pk=library.pk).update(
            snapshot_md5=written.md5,
            snapshot_revision=revision,
            # An earlier pointer in a root that takes no more files still tells that it is the right one.
            root_has_pointer=published.root_written or _root_pointer(library) is not None,
            warning=" ".join(published.warnings),
        )


class RunClaim:
    """The claim of a run on its operation, for places where snapshots are published."""

    def __init__(self, run: Run) -> None:
        begun = int(run.operation.created_at.timestamp() * 1_000_000)
        self.name = f"{begun:016x}-{run.token:06}"  # a library's operations follow one another, and so do their claims
        self._run = run

    def check(self) -> None:
        """Raise LeaseLost if somebody else claimed the operation."""
        if not self._run.still_mine():
            raise LeaseLost


def _clear_after_earlier(library: Library, root_md5: str, run: Run) -> None:
    """See to it that writers of earlier claims, which may only sleep, publish nothing any more. Raises LeaseLost."""
    places = [cache_location(root_md5), root_location(library)]
    with suppress(OSError):
        places.append(copies_location(library))
    for place in filter(None, places):
        with suppress(OSError):
            claimed(place, RunClaim(run)).clear()


def _keep_copy(library: Library, written: WrittenSnapshot, claim: RunClaim, keep: Keep) -> list[str]:
    """Publish the snapshot in the place for copies, too, if there is one; return sentences on what failed."""
    try:
        copies = copies_location(library)
        return publish(written, claimed(copies, claim), None, keep=keep).warnings if copies else []
    except OSError as error:
        return [
            f"The snapshot {written.md5} could not be copied to {COPIES_LABEL} ({error.strerror or error}). It is kept where the "
            "library's other ones are; the administrator can look at PHOTOLALA_CATALOG_COPIES."
        ]


def _kept_snapshot(library: Library, root_md5: str, folder: str) -> WrittenSnapshot | None:
    """Return a copy in `folder` of the current snapshot as the cache keeps it; None if it has none that is whole."""
    row = Snapshot.objects.filter(library=library, md5=library.snapshot_md5).first()
    path = Path(folder) / snapshot_name(library.snapshot_md5)
    try:
        with cache_location(root_md5).open(path.name) as kept, path.open("wb") as copy:
            shutil.copyfileobj(kept, copy, 1 << 20)
    except OSError:
        return None
    if row is None or file_md5(path) != row.md5:
        return None
    return WrittenSnapshot(str(path), row.md5, row.entry_count, path.stat().st_size)


def _copies_lag(library: Library) -> bool:
    """True if the place for copies can be read and does not name the current snapshot."""
    try:
        copies = copies_location(library)
        pointer = read_pointer(copies) if copies else None
    except OSError:
        return False
    return copies is not None and (pointer is None or pointer.md5s[:1] != (library.snapshot_md5,))


def _root_pointer(library: Library) -> Pointer | None:
    root = root_location(library)
    try:
        return read_pointer(root) if root else None
    except OSError:
        return None


def _root_lags(library: Library) -> bool:
    """True if the root should hold the current snapshot, or can again, and does not name it."""
    if root_location(library) is None:
        return False
    pointer = _root_pointer(library)
    return pointer is None or pointer.md5s[:1] != (library.snapshot_md5,)


def mark_present(library: Library, in_cache: set[str], root: Location | None) -> None:
    """Note of each snapshot where it is; `in_cache` are the names in the cache."""
    in_root: set[str] = set()
    try:
        in_root = set(root.names()) if root else set()
    except OSError:
        logger.warning("Library %s: its root cannot be listed for snapshots.", library.pk)
    for row in Snapshot.objects.filter(library=library):
        name = snapshot_name(row.md5)
        Snapshot.objects.filter(pk=row.pk).update(in_cache=name in in_cache, in_root=name in in_root)
