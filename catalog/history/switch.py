"""Switch a library's rows to a snapshot: one transaction, then the pointer. Restore, rebuild and adoption end here."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection, transaction
from django.db.models import Value
from django.db.models.functions import Concat
from django.utils import timezone

from catalog.cache import tree
from catalog.entries import counts as entries_counts
from catalog.entries import read_here
from catalog.entries import zone as entries_zone
from catalog.entries.folder_comparison import doubted
from catalog.entries.owner_stars import mirror_read_stars
from catalog.entries.sql import PHOTO_TABLE, Row, insert_rows
from catalog.history import publish
from catalog.history.copies import root_md5
from catalog.history.entry_columns import content_columns, found_again_columns, told_columns
from catalog.history.given_since import RESTORE
from catalog.history.restore_plan import Plan, Wanted, planned
from catalog.identity.aliases import restore_aliases
from catalog.models import Library, Photo, PhotoMetadata
from catalog.roots import root_check
from catalog.roots.reach import source_for
from catalog.snapshots.read import Snapshot
from catalog.snapshots.schema import snapshot_name
from catalog.snapshots.write import WrittenSnapshot
from operations.models import Operation, State
from operations.running import Run

_BATCH = 500
Item = TypeVar("Item")


def require_root(library: Library) -> None:
    """Raise SourceUnavailable unless the root is there: nothing is written into the folder under an unplugged disk."""
    with closing(source_for(library)) as source:
        source.check()
    root_check.check_pointer_is_there(library)


def switch_to(
    library: Library, snapshot: Snapshot, folder: Path, run: Run, *, is_fresh: bool = False
) -> dict[str, Any]:
    """Make `snapshot` the catalog: one transaction applies the difference, then it becomes the latest everywhere.

    What was changed meanwhile stays as it is, and so does what people gave since the operation was asked for,
    also before it began or between two of its runs. With `is_fresh` the snapshot says what the files say now: then what
    people gave stays with the photos, and nothing is read again.

    Killed before the transaction ends, the rows are the old ones; after it, the next claim (or the next scan) finds
    nothing to change and publishes. The snapshot that was the latest stays the second.
    """
    revision = library.revision
    with planned(library, snapshot, folder, run.operation.created_at, keeps_given=is_fresh) as plan:
        run.raise_if_stopped()
        switch = Switch(library, run, plan, snapshot.aliases(), is_fresh=is_fresh)
        switch.look_for_thumbnails()
        run.phase("Switching to the snapshot", snapshot.entry_count, unit="entries")
        counts = switch.apply(revision)
        is_exact = plan.is_exact
    path = folder / snapshot_name(snapshot.md5)
    written = WrittenSnapshot(str(path), snapshot.md5, snapshot.entry_count, path.stat().st_size)
    require_root(library)
    # Where the rows say something else it is not this catalog's, so the next scan writes one that is.
    publish.publish_written(library, root_md5(library), written, library.revision if is_exact else 0, run)
    run.operation.done = run.operation.total = snapshot.entry_count
    return {
        "library": str(library.pk),
        "snapshot_md5": snapshot.md5,
        "entries": snapshot.entry_count,
        **counts,
        entries_zone.ZONE: _zone_of_dates(library),
    }


def _zone_of_dates(library: Library) -> str:
    """Return the zone that the last scan told its dates in: the next one compares with it, restored or not."""
    done = Operation.objects.filter(active_key=library.scan_key, state=State.COMPLETED).order_by("-created_at")
    return (done.values_list("result", flat=True).first() or {}).get(entries_zone.ZONE) or library.time_zone


class Switch:
    """One switch of a library's rows to what a plan says."""

    def __init__(
        self, library: Library, run: Run, plan: Plan, aliases: Iterable[tuple[str, str]], *, is_fresh: bool
    ) -> None:
        self.library = library
        self.is_fresh = is_fresh
        self.aliases = aliases
        self.run = run
        self.plan = plan
        self.zone = ZoneInfo(library.time_zone)
        self.started_at: datetime = run.operation.created_at

    def look_for_thumbnails(self) -> None:
        """Find out what is known of new content: its thumbnail in the cache, its picture's digest. Slow, so it comes first.

        Of content that this library never read nothing is known, whatever the cache has of it: that is of others' photos.
        """
        storage, shard = tree.cache(), self.library.source
        for batch in _batches(self.plan.new_content()):
            read = sorted(read_here.contents_read(self.library, batch))
            self.plan.note_read(read)
            with tree.writing():
                self.plan.note_thumbnails([m for m in read if storage.exists(tree.thumbnail_name(m, shard))])
            of_it = Photo.objects.filter(library=self.library, photo_md5__in=batch).exclude(image_digest="").order_by()
            self.plan.note_pictures(of_it.values_list("image_digest", "photo_md5"))
            self.run.advance(len(batch))
            self.run.checkpoint(force=False, is_lasting=False)

    def apply(self, revision: int) -> dict[str, int]:
        """Change all rows in one transaction, under the fencing number; return what was changed.

        `revision` is the library's of before the plan was made. What was changed since is left as it is.
        """
        counts = {"added": 0, "changed": 0, "gone": 0}
        with transaction.atomic():
            self.run.checkpoint(stop=False, switched=True)
            if connection.features.has_select_for_update:
                for ids in _batches(self.plan.known_to_change()):  # first photos, then their library, as all do
                    list(Photo.objects.select_for_update().filter(pk__in=ids).order_by("pk").values_list("pk"))
            locked = Library.objects.select_for_update().filter(pk=self.library.pk)
            if locked.values_list("revision", flat=True).first() != revision:
                self.plan.merge(self.library)
            for ids in _batches(self.plan.displaced()):
                _leave_places(ids)
            for ids in _batches(self.plan.gone()):
                counts["gone"] += Photo.objects.filter(pk__in=ids).mark_missing(self.started_at)
            for batch in _batches(self.plan.changed()):
                added = self._write(batch)
                counts["added"] += added
                counts["changed"] += len(batch) - added
            if restore_aliases(self.library, self.aliases) or any(counts.values()):
                entries_counts.bump_revision(self.library)
            if self.run.operation.kind == RESTORE:
                locked.update(scan_wanted_at=timezone.now())  # the files tell what became of them
            entries_counts.refresh_counts(self.library)
        return counts

    def _write(self, batch: Sequence[Wanted]) -> int:
        """Write the rows of a batch; return how many are new."""
        new: list[Row] = []
        bodies: dict[str, str] = {}
        known_bodies: list[str] = []
        same = [wanted.entry.photo_id for wanted in batch if wanted.has_same_content]
        known = Photo.objects.in_bulk(same)
        by_columns: dict[tuple[str, ...], list[Row]] = {}
        for wanted in batch:
            row = told_columns(wanted, self.zone)
            if not wanted.has_same_content:
                content = self.plan.content(wanted.entry.photo_md5)
                row.update(content_columns(wanted.entry, content))
                row["caption"] = wanted.caption or ""
                row["keywords"] = json.loads(wanted.keywords or "[]")
                row.update(_place(wanted.place) if wanted.place is not None else {})
                bodies[row["id"]] = content.body
                known_bodies += [row["id"]] if wanted.is_known else []
            else:
                photo = known[UUID(row["id"])]
                if wanted.is_missing:
                    row.update(found_again_columns(photo))
                if wanted.caption is not None:
                    row["caption"] = wanted.caption
                if wanted.keywords is not None:
                    row["keywords"] = json.loads(wanted.keywords)
                if wanted.place is not None:
                    row.update(_place(wanted.place))
                if not self.is_fresh or photo.rating != row["rating"]:
                    # What differs may stand in its file, or in an XMP file beside it that was written meanwhile.
                    row["sidecars"] = doubted(photo.sidecars.removeprefix("?"))
                if not self.is_fresh:
                    row.update(self._said_now(photo, row))
                    if photo.caption_held and wanted.caption is None:
                        row["caption"] = ""  # until its file is read again
                    if photo.keywords_held and wanted.keywords is None:
                        row["keywords"] = []
                    if photo.place_held and wanted.place is None:
                        row.update(_place("null"))
            if wanted.is_known:
                by_columns.setdefault(tuple(row), []).append(row)
            else:
                new.append({"library_id": self.library.pk, "added_at": self.started_at, **row})
        for columns, rows in by_columns.items():
            _update(rows, columns)
        insert_rows(Photo, new)
        if known_bodies:
            PhotoMetadata.objects.filter(photo_id__in=known_bodies).delete()
        insert_rows(PhotoMetadata, [{"photo_id": key, "body": body} for key, body in bodies.items() if body])
        stars = [(UUID(wanted.entry.photo_id), wanted.entry.rating) for wanted in batch]
        mirror_read_stars(self.library, stars)
        return len(new)

    def _said_now(self, photo: Photo, row: Row) -> Row:
        """Return the moments of wishes: who restores says anew what differs, and the later wish counts."""
        rates, dates = photo.rating != row["rating"], photo.taken_local != row["taken_local"]
        captions = photo.caption_held != row["caption_held"] or photo.caption != row.get("caption", photo.caption)
        tags = photo.keywords_held != row["keywords_held"] or photo.keywords != row.get("keywords", photo.keywords)
        there = (row.get("latitude", photo.latitude), row.get("longitude", photo.longitude))
        places = photo.place_held != row["place_held"] or (photo.latitude, photo.longitude) != there
        return {
            "rated_at": self.started_at if rates else photo.rated_at,
            "dated_at": self.started_at if dates else photo.dated_at,
            "captioned_at": self.started_at if captions else photo.captioned_at,
            "keyworded_at": self.started_at if tags else photo.keyworded_at,
            "placed_at": self.started_at if places else photo.placed_at,
        }


def _place(text: str) -> Row:
    latitude, longitude = json.loads(text) or (None, None)
    return {"latitude": latitude, "longitude": longitude}


def _leave_places(ids: Sequence[str]) -> None:
    """Give photos names that no file can have, so that others can take their places."""
    for key in ids:
        Photo.objects.filter(pk=key).update(filename=Concat("filename", Value(f"/{key}")))


def _update(rows: Sequence[Row], columns: Sequence[str]) -> None:
    """Update rows by their ids with one prepared statement."""
    names = [name for name in columns if name != "id"]
    fields: list[Any] = [Photo._meta.get_field(name) for name in (*names, "id")]
    sql = f"UPDATE {PHOTO_TABLE} SET {', '.join(f'{name} = %s' for name in names)}, version = NULL WHERE id = %s"  # noqa: S608
    values = ([field.get_db_prep_save(row[field.attname], connection) for field in fields] for row in rows)
    with connection.cursor() as cursor:
        cursor.executemany(sql, list(values))


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    source = iter(items)
    while batch := list(islice(source, _BATCH)):
        yield batch
