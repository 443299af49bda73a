"""Publish a library's snapshot and pointer, and keep the counts that its pages show."""

import logging
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, F, Q, Sum
from django.utils import timezone

from catalog.snapshots.claimed import claimed
from catalog.snapshots.given import Given, Marked, given_row, marked_row
from catalog.snapshots.location import Location
from catalog.snapshots.pointer import Pointer
from catalog.snapshots.publish import Keep, publish, read_pointer
from catalog.snapshots.schema import SnapshotHeader, snapshot_name
from catalog.snapshots.write import Selection, WrittenSnapshot, file_md5, write_snapshot
from catalog.sources.base import Directory, Source, SourceUnavailable
from catalog.sources.held_root import HeldRoot
from operations.running import LeaseLost, OperationFailed, Run

from . import cache_tree, retention
from .aliases import alias_rows
from .locations import COPIES_LABEL, cache_location, copies_location, root_location
from .models import Library, Photo, PhotoMetadata, QueuedStar, Snapshot
from .rebuild_folders import remove_abandoned_work
from .source_for import hold_root
from .working import remove_abandoned, working_folder

logger = logging.getLogger(__name__)


def refresh_counts(library: Library, *, scanned_at: datetime | None = None, run: Run | None = None) -> None:
    """Bring the counts and cover pictures of a library up to date.

    With `run` under its fencing number: a run that was overtaken meanwhile raises LeaseLost and writes nothing.
    """
    counts = _counts_of(library)
    if scanned_at:
        counts["scanned_at"] = scanned_at
    with transaction.atomic():
        if run:
            run.checkpoint(stop=False)
        Library.objects.filter(pk=library.pk).update(**counts)
    library.refresh_from_db()


def _counts_of(library: Library) -> dict[str, Any]:
    photos = Photo.objects.filter(library=library)
    by_state = photos.with_problems().order_by().values_list("state").annotate(count=Count("*"))
    problems: dict[str, int] = dict(by_state)
    # One index each (every photo has a day, 0 if undated): together they would be counted row by row.
    counts: dict[str, Any] = {
        "photo_count": photos.shown().filter(taken_day__gte=0).count(),
        "problem_count": problems.get(Photo.State.BROKEN, 0) + problems.get(Photo.State.DAMAGED, 0),
        "missing_count": photos.gone().count(),
        **photos.exclude(state=Photo.State.MISSING).aggregate(size_bytes=Sum("size_bytes", default=0)),
    }
    covers = photos.filter(is_shown=True, has_thumbnail=True).order_by("-taken_local", "id")
    counts["cover_ids"] = [str(key) for key in covers.values_list("pk", flat=True)[:4]]
    return counts


def note_change(library: Library) -> None:
    """Count a change of the library's photos: pages refresh, and the next scan knows that a snapshot is due."""
    Library.objects.filter(pk=library.pk).update(revision=F("revision") + 1)


_ENTRY_COLUMNS = (
    "directory, filename, size_bytes, mtime_ns, head_md5, photo_md5, media_type, width, height, orientation, "
    "taken_local, taken_offset_minutes, taken_source, duration_ms, rating, id"
)
_ENTRY_COLUMNS_IN_SQLITE = (
    "CASE directory WHEN '' THEN filename ELSE directory || '/' || filename END, filename, size_bytes, mtime_ns, "
    "nullif(head_md5, ''), nullif(photo_md5, ''), nullif(media_type, ''), width, height, orientation, "
    "CASE taken_source WHEN '' THEN NULL ELSE replace(taken_local, ' ', 'T') || CASE WHEN taken_offset_minutes IS NULL THEN '' "
    "ELSE CASE WHEN taken_offset_minutes < 0 THEN '-' ELSE '+' END || "
    "printf('%%02d:%%02d', abs(taken_offset_minutes) / 60, abs(taken_offset_minutes) %% 60) END END, "
    "nullif(taken_source, ''), duration_ms, rating, "
    "substr(id, 1, 8) || '-' || substr(id, 9, 4) || '-' || substr(id, 13, 4) || '-' || substr(id, 17, 4) || '-' || substr(id, 21)"
)
"""What `_entry_row` makes of the columns above, made by SQLite itself, in less than half the time."""
_MOST_SORTED = 200_000
"""Metadata of more are not sorted in SQLite's temporary folder, where they take 0.6 kB each."""
_ENTRIES = (
    f"SELECT {{columns}} FROM {{source}}{Photo._meta.db_table} "  # noqa: S608
    "WHERE library_id = %s AND state <> 'missing' ORDER BY directory, filename"  # sorted rows are packed faster
)
_METADATA = (
    f"SELECT p.photo_md5, m.body FROM {{source}}{PhotoMetadata._meta.db_table} m "  # noqa: S608
    f"{{join}} {{source}}{Photo._meta.db_table} p ON p.id = m.photo_id "
    "WHERE p.library_id = %s AND p.state <> 'missing' AND p.photo_md5 <> ''"
)


def entry_rows(library: Library) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a snapshot's `entries`, in path order within folders; what is missing is left out."""
    if connection.vendor == "sqlite":
        yield from _selected(library, _ENTRY_COLUMNS_IN_SQLITE)
    else:
        yield from map(_entry_row, _selected(library, _ENTRY_COLUMNS))


def _selected(library: Library, columns: str) -> Iterator[tuple[Any, ...]]:
    sql = _ENTRIES.format(columns=columns, source="")
    yield from _stream(sql, [Photo._meta.get_field("library").get_db_prep_save(library.pk, connection)])


def _entry_row(row: tuple[Any, ...]) -> tuple[Any, ...]:
    directory, filename, size, mtime, head, md5, kind, width, height, orientation = row[:10]
    local, offset, source, duration, rating, key = row[10:]
    return (
        f"{directory}/{filename}" if directory else filename,
        filename,
        size,
        mtime,
        head or None,
        md5 or None,
        kind or None,
        width,
        height,
        orientation,
        taken_text(local, offset) if source else None,
        source or None,
        duration,
        rating,
        key if isinstance(key, str) and "-" in key else _uuid_text(key),
    )


def rows_of(library: Library) -> tuple[Any, Any, Iterator[tuple[Any, ...]], Any]:
    """Return what `write_snapshot` takes as entries, metadata, star queue and aliases of a library.

    Where the database is an SQLite file, SQLite copies the bulk by itself; that sees what is committed, so not within a
    transaction.
    """
    key = Photo._meta.get_field("library").get_db_prep_save(library.pk, connection)
    path = str(connection.settings_dict["NAME"])
    entries: Any = entry_rows(library)
    metadata: Any = metadata_rows(library)
    if connection.vendor == "sqlite" and not connection.in_atomic_block and Path(path).is_file():
        entries = Selection(
            path, _for_sqlite(_ENTRIES.format(columns=_ENTRY_COLUMNS_IN_SQLITE, source="source.")), (key,)
        )
        # Of a library that is most of the database, the metadata are read as they lie on the disk, and sorted; else by index.
        join = "CROSS JOIN" if _is_most_of_all(library) else "JOIN"
        sql = _METADATA.format(source="source.", join=join) + " ORDER BY p.photo_md5"
        metadata = Selection(path, _for_sqlite(sql), (key,))
    return entries, metadata, star_rows(library), alias_rows(library)


def _is_most_of_all(library: Library) -> bool:
    others = Library.objects.exclude(pk=library.pk).aggregate(count=Sum("photo_count", default=0))["count"]
    return others <= library.photo_count <= _MOST_SORTED


def _for_sqlite(sql: str) -> str:
    return sql.replace("%%", "%").replace("%s", "?")


def metadata_rows(library: Library) -> Iterator[tuple[str, str]]:
    """Yield (photo MD5, metadata JSON) of what the snapshot holds."""
    yield from _stream(
        _METADATA.format(source="", join="JOIN"),
        [Photo._meta.get_field("library").get_db_prep_save(library.pk, connection)],
    )


def star_rows(library: Library) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a snapshot's `star_queue`, in the order in which they were queued, numbered anew."""
    queued = QueuedStar.objects.filter(library=library).order_by("pk")
    for number, star in enumerate(queued.iterator(chunk_size=2000), start=1):
        moment = star.queued_at.strftime("%Y-%m-%dT%H:%M:%SZ")
        yield number, star.photo_md5 or None, star.fast_photo_key, star.operation, moment


def marks_of(library: Library) -> Iterator[tuple[str, str]]:
    """Yield the marks of a snapshot: what people gave to the photos in it and their files have not (yet)."""
    yield marked_row(Marked(str(library.pk), library.ratings))
    for one in given_in(library):
        yield given_row(one)


def given_in(library: Library, *, with_missing: bool = False) -> Iterator[Given]:
    """Yield what people gave to the library's photos and their files have not (yet)."""
    photos = Photo.objects.filter(Q(rating_held=True) | Q(taken_held=True), library=library).order_by()
    if not with_missing:
        photos = photos.exclude(state=Photo.State.MISSING)
    columns = ("pk", "rating_held", "rating", "taken_held")
    for key, has_rating, rating, has_date in photos.values_list(*columns).iterator(chunk_size=2000):
        yield Given(str(key), has_rating, rating if has_rating else None, has_date)


def _stream(sql: str, parameters: list[Any]) -> Iterator[tuple[Any, ...]]:
    """Yield rows without holding all of them: a server-side cursor on PostgreSQL, SQLite steps anyway."""
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute(sql, parameters)
        while rows := cursor.fetchmany(2000):
            yield from rows


def _uuid_text(key: Any) -> str:
    text = str(key).replace("-", "")
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def taken_text(local: Any, offset_minutes: int | None) -> str:
    """Return RFC 3339 from a moment or a database's text of one, with the offset if the file knew it."""
    if isinstance(local, datetime):
        text = local.replace(tzinfo=None).isoformat()
    else:
        text = str(local).replace(" ", "T")
    if offset_minutes is None:
        return text
    sign, minutes = ("-" if offset_minutes < 0 else "+"), abs(offset_minutes)
    return f"{text}{sign}{minutes // 60:02}:{minutes % 60:02}"


def check_root_is_the_same(library: Library, *, confirmed: bool) -> None:
    """Raise OperationFailed if the pointer that was written into the root is gone: another disk may be mounted there.

    Raises SourceUnavailable if that cannot be told.
    """
    if confirmed or not _has_lost_pointer(library):
        return
    raise OperationFailed(
        f"The file .photolala.md5, which Photolala left in {library.root}, is gone. Perhaps another disk is mounted there, "
        "so nothing was changed. If this is the right folder, confirm it, and the file is written anew.",
        "confirm_gone",
    )


def require_root(library: Library, source: Source, *, may_be_empty: bool = False) -> None:
    """Raise SourceUnavailable if the root went away, is an empty mount point now, or has lost its pointer."""
    source.check()
    if not may_be_empty and is_empty(source.list_directory("")):
        raise SourceUnavailable(
            f"The folder {library.root} is empty all at once. Was its disk or share unplugged? Mount it, then retry."
        )
    check_pointer_is_there(library)


def is_empty(directory: Directory) -> bool:
    """True if nothing at all lies in a folder."""
    return not (directory.files or directory.folders or directory.hidden_count or directory.link_count)


def check_pointer_is_there(library: Library) -> None:
    """Raise SourceUnavailable if the pointer in the root is gone in the middle of a scan."""
    if _has_lost_pointer(library):
        raise SourceUnavailable(
            f"The file .photolala.md5 in {library.root} is gone all at once. Was its disk or share unplugged? Mount it, "
            "then retry."
        )


def forget_pointer_if_gone(library: Library) -> None:
    """Expect no pointer in the root any more, if a person said that it is the right one without."""
    try:
        is_gone = _has_lost_pointer(library)
    except SourceUnavailable:
        return
    if is_gone:
        Library.objects.filter(pk=library.pk).update(root_has_pointer=False)
        library.root_has_pointer = False


def _has_lost_pointer(library: Library) -> bool:
    root = root_location(library)
    if root is None or not library.root_has_pointer:
        return False
    try:
        return read_pointer(root) is None
    except PermissionError:
        return False  # it is there
    except OSError as error:
        raise SourceUnavailable(
            f"The file .photolala.md5 in {library.root} cannot be read now: {error.strerror or error}. Is the disk or share "
            "well? Retry when it is."
        ) from None


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
    with cache_tree.writing():
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
    """Note of each snapshot where it lies; `in_cache` are the names in the cache."""
    in_root: set[str] = set()
    try:
        in_root = set(root.names()) if root else set()
    except OSError:
        logger.warning("Library %s: its root cannot be listed for snapshots.", library.pk)
    for row in Snapshot.objects.filter(library=library):
        name = snapshot_name(row.md5)
        Snapshot.objects.filter(pk=row.pk).update(in_cache=name in in_cache, in_root=name in in_root)
