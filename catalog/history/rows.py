"""A library's rows as a snapshot holds them, streamed from the database."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from django.db.models import Q, Sum

from catalog.entries.taken import taken_text
from catalog.identity.aliases import alias_rows
from catalog.models import Library, Photo, PhotoMetadata, QueuedStar
from catalog.snapshots.given import Given, Marked, given_row, marked_row, value_text
from catalog.snapshots.write import Selection
from photolala.lib.paths import join_path

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
_HELD = Q(rating_held=True) | Q(taken_held=True) | Q(caption_held=True) | Q(keywords_held=True) | Q(place_held=True)
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
        join_path(directory, filename),
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
        # Of a library that is most of the database, the metadata are read as they are on the disk, and sorted; else by index.
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
    photos = Photo.objects.filter(_HELD, library=library).order_by()
    if not with_missing:
        photos = photos.exclude(state=Photo.State.MISSING)
    columns = ("pk", "rating_held", "rating", "taken_held", "caption_held", "caption", "keywords_held", "keywords")
    columns += ("place_held", "latitude", "longitude")
    for row in photos.values_list(*columns).iterator(chunk_size=2000):
        key, has_rating, rating, has_date, has_caption, caption, has_keywords, keywords, *place = row
        yield Given(
            str(key),
            has_rating,
            rating if has_rating else None,
            has_date,
            has_caption,
            caption if has_caption else None,
            value_text(keywords) if has_keywords else None,
            place_text(place[1], place[2]) if place[0] else None,
        )


def place_text(latitude: float | None, longitude: float | None) -> str:
    """Return a row's place as marks have it."""
    return value_text(None if latitude is None or longitude is None else [latitude, longitude])


def _stream(sql: str, parameters: list[Any]) -> Iterator[tuple[Any, ...]]:
    """Yield rows without holding all of them: a server-side cursor on PostgreSQL, SQLite steps anyway."""
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute(sql, parameters)
        while rows := cursor.fetchmany(2000):
            yield from rows


def _uuid_text(key: Any) -> str:
    text = str(key).replace("-", "")
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
