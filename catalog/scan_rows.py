"""The scan's SQL: what is known of a folder, surveyed rows in, the digest's work queue, digested rows in.

Rows go in by `executemany`, because the ORM's bulk methods cost several times the CPU for the same rows.
"""

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction
from django.db.models import DateTimeField, F, Field, Model, Q, Value
from django.db.models.functions import Greatest
from django.utils import timezone

from operations.models import Operation

from .models import HashCache, Library, Photo, PhotoMetadata
from .models.photo import PhotoQuerySet, photo_id
from .places import free_places
from .planning import Entry
from .row_locks import hold_photos, hold_rows_of

CLAIM_LENGTH = timedelta(minutes=10)
PHOTO_TABLE = Photo._meta.db_table
_NONE_YET = object()

SURVEY_COLUMNS = [
    "size_bytes",
    "mtime_ns",
    "sidecars",
    "head_md5",
    "photo_md5",
    "state",
    "is_shown",
    "problem",
    "notes",
    "needs_digest",
    "claimed_for",
    "claimed_until",
    "media_type",
    "width",
    "height",
    "orientation",
    "duration_ms",
    "placeholder",
    "has_thumbnail",
    "taken_local",
    "taken_day",
    "taken_at",
    "taken_offset_minutes",
    "taken_source",
    "missing_since",
]
EMPTY_COLUMNS = {
    "replaced_md5": "",
    "replaced_image": "",
    "image_digest": "",
    "asset_id": "",
    "claim_token": 0,
    "camera_make": "",
    "camera_model": "",
    "lens_model": "",
    "iso": None,
    "aperture": None,
    "shutter_speed": "",
    "focal_length": None,
    "latitude": None,
    "longitude": None,
    "rating": None,
    "caption": "",
    "keywords": [],
    "content_identifier": "",
}
KEY_COLUMNS = ["id", "library_id", "directory", "filename", "added_at"]
DIGEST_COLUMNS = [
    "size_bytes",
    "mtime_ns",
    "sidecars",
    "head_md5",
    "photo_md5",
    "state",
    "is_shown",
    "problem",
    "notes",
    "media_type",
    "width",
    "height",
    "orientation",
    "duration_ms",
    "placeholder",
    "has_thumbnail",
    "taken_local",
    "taken_day",
    "taken_at",
    "taken_offset_minutes",
    "taken_source",
    "camera_make",
    "camera_model",
    "lens_model",
    "iso",
    "aperture",
    "shutter_speed",
    "focal_length",
    "latitude",
    "longitude",
    "rating",
    "caption",
    "keywords",
    "content_identifier",
    "image_digest",
    "read_md5",
]

TAKEN_COLUMNS = ("taken_local", "taken_day", "taken_at", "taken_offset_minutes", "taken_source")
_ASSIGNMENTS = {
    "rating": "rating = CASE WHEN rating_held THEN rating ELSE %s END",
    **{name: f"{name} = CASE WHEN taken_held THEN {name} ELSE %s END" for name in TAKEN_COLUMNS},
}
"""What a person gave and the file has not yet is not overwritten by what the file says."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Claimed:
    """A photo whose digest this worker may write, as long as `claim_token` is still in its row."""

    id: uuid.UUID
    claim_token: int
    directory: str
    filename: str
    size_bytes: int
    mtime_ns: int
    media_type: str
    sidecars: str

    @property
    def path(self) -> str:
        """Where it lies, relative to the root."""
        return f"{self.directory}/{self.filename}" if self.directory else self.filename


def _plain(value: Any) -> Any:
    return value


def _converter(field: Field) -> Callable[[Any], Any]:
    """Return what turns a Python value of `field` into a database parameter; the cheap kinds pass as they are.

    The very value that came before (the library, the moment of the scan) is not converted again.
    """
    if field.get_internal_type() not in {"UUIDField", "DateTimeField", "JSONField"} and not field.is_relation:
        return _plain
    database = connections[DEFAULT_DB_ALIAS]
    value_before: Any = _NONE_YET
    converted: Any = None

    def convert(value: Any) -> Any:
        nonlocal value_before, converted
        if value is not value_before:
            value_before, converted = value, field.get_db_prep_save(value, database)
        return converted

    return convert


def _converters(columns: Iterable[str]) -> list[Callable[[Any], Any]]:
    fields = {field.attname: field for field in Photo._meta.concrete_fields}
    return [_converter(fields[column]) for column in columns]


def _parameters(rows: Iterable[Row], columns: Sequence[str]) -> list[list[Any]]:
    converters = _converters(columns)
    return [[convert(row[column]) for column, convert in zip(columns, converters, strict=True)] for row in rows]


def insert_rows(model: type[Model], rows: Sequence[Row]) -> None:
    """Insert rows that all name the same columns (attnames); the others get their defaults. Raises IntegrityError.

    For very many, as `executemany` does it. Call it in a transaction.
    """
    if not rows:
        return
    given = [field for field in model._meta.concrete_fields if field.attname in rows[0]]
    absent = [field for field in model._meta.concrete_fields if field not in given and not field.has_db_default()]
    columns = [str(field.column) for field in (*given, *absent)]
    sql = (
        f"INSERT INTO {model._meta.db_table} ({', '.join(columns)}) "  # noqa: S608
        f"VALUES ({', '.join(['%s'] * len(columns))})"
    )
    defaults = [_converter(field)(field.get_default()) for field in absent]
    named = [(field.attname, _converter(field)) for field in given]
    values = [[*(convert(row[name]) for name, convert in named), *defaults] for row in rows]
    with connection.cursor() as cursor:
        cursor.executemany(sql, values)


def parameter(model_field: str, value: Any, model: Any = Photo) -> Any:
    """Return `value` as a parameter for raw SQL on the column of that name."""
    return model._meta.get_field(model_field).get_db_prep_save(value, connection)


def known_in(library: Library, directories: Sequence[str]) -> dict[str, dict[str, Entry]]:
    """Return the entries known in some folders, by folder and file name, without those that are missing."""
    known: dict[str, dict[str, Entry]] = {directory: {} for directory in directories}
    marks = ", ".join(["%s"] * len(directories))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT directory, filename, size_bytes, mtime_ns, sidecars FROM {PHOTO_TABLE} "  # noqa: S608
            f"WHERE library_id = %s AND directory IN ({marks}) AND state <> 'missing'",
            [parameter("library", library.pk), *directories],
        )
        while rows := cursor.fetchmany(2000):
            for directory, filename, size_bytes, mtime_ns, sidecars in rows:
                known[directory][filename] = (size_bytes, mtime_ns, sidecars)
    return known


def known_heads(library: Library, directory: str) -> dict[str, str]:
    """Return the MD5 of the first 4,096 bytes of each known entry of a folder, by file name."""
    here = Photo.objects.filter(library=library, directory=directory).exclude(state=Photo.State.MISSING)
    return dict(here.values_list("filename", "head_md5"))


def count_known(library: Library) -> int:
    """Return how many entries are known and not missing."""
    return Photo.objects.filter(library=library).exclude(state=Photo.State.MISSING).count()


def known_directories(library: Library) -> list[tuple[str, int]]:
    """Return every folder with known entries and their number."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT directory, count(*) FROM {PHOTO_TABLE} "  # noqa: S608
            "WHERE library_id = %s AND state <> 'missing' GROUP BY directory",
            [parameter("library", library.pk)],
        )
        return list(cursor.fetchall())


def insert_surveyed(rows: Sequence[Row]) -> None:
    """Insert or, where the path is known, update photos whose heads were read. They then wait for their digest.

    An existing row keeps its id, the day it was added and what people gave it; one that is gone and had other content
    gives up its place, so that this is a new photo. Call it in a transaction.
    """
    _hold_known(rows)
    free_places(rows)
    rows = _with_free_ids(rows)
    columns = [*KEY_COLUMNS, *SURVEY_COLUMNS, *EMPTY_COLUMNS]
    full = ({**EMPTY_COLUMNS, **row} for row in rows)
    updates = ", ".join(_survey_assignment(column) for column in SURVEY_COLUMNS)
    sql = (
        f"INSERT INTO {PHOTO_TABLE} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))}) "  # noqa: S608
        f"ON CONFLICT (library_id, directory, filename) DO UPDATE SET {updates}, "
        f"claim_token = {PHOTO_TABLE}.claim_token + 1, seen_at = NULL, replaced_md5 = CASE WHEN {PHOTO_TABLE}.photo_md5 <> '' "
        f"THEN {PHOTO_TABLE}.photo_md5 ELSE {PHOTO_TABLE}.replaced_md5 END, "
        f"replaced_image = CASE WHEN {PHOTO_TABLE}.photo_md5 <> '' "
        f"THEN {PHOTO_TABLE}.image_digest ELSE {PHOTO_TABLE}.replaced_image END"
    )
    with connection.cursor() as cursor:
        cursor.executemany(sql, _parameters(full, columns))


def _hold_known(rows: Sequence[Row]) -> None:
    """Lock the photos at the places of these rows."""
    names: dict[tuple[uuid.UUID, str], list[str]] = defaultdict(list)
    for row in rows:
        names[row["library_id"], row["directory"]].append(row["filename"])
    there = names.items()
    hold_rows_of(Photo.objects.filter(library=key, directory=path, filename__in=own) for (key, path), own in there)


def _survey_assignment(column: str) -> str:
    if column in TAKEN_COLUMNS:
        return f"{column} = CASE WHEN {PHOTO_TABLE}.taken_held THEN {PHOTO_TABLE}.{column} ELSE excluded.{column} END"
    return f"{column} = excluded.{column}"


def _with_free_ids(rows: Sequence[Row]) -> list[Row]:
    """Return the rows with ids that no photo elsewhere has: one that moved away from a path took that path's id along."""
    done: list[Row] = []
    waiting = list(rows)
    count = 1
    while waiting:
        places = Photo.objects.filter(pk__in=[row["id"] for row in waiting]).values_list("pk", "directory", "filename")
        holders = {key: (directory, filename) for key, directory, filename in places}
        count += 1
        still_waiting = []
        for row in waiting:
            place = (row["directory"], row["filename"])
            if holders.get(row["id"], place) == place:
                done.append(row)
                continue
            path = "/".join(filter(None, place))
            key = f"{row['head_md5']}:{row['size_bytes']}\n{count}"
            still_waiting.append({**row, "id": photo_id(row["library_id"], path, key)})
        waiting = still_waiting
    return done


def free_id(library_id: uuid.UUID, place: Photo) -> uuid.UUID:
    """Return the id of a photo first seen with the content, and where, `place` lies; one that no photo has."""
    key, count = photo_id(library_id, place.path, place.fast_photo_key), 1
    while Photo.objects.filter(pk=key).exists():
        count += 1
        key = photo_id(library_id, place.path, f"{place.fast_photo_key}\n{count}")
    return key


def claim_prefix(operation: Operation) -> str:
    """Return what the claims of an operation's present run begin with; those of its leader are just that."""
    return f"{operation.pk}:{operation.token}:"


def claim_digests(library: Library, claimed_for: str, limit: int, length: timedelta = CLAIM_LENGTH) -> list[Claimed]:
    """Claim up to `limit` photos that lack their digest, newest first; the same run gets none of them twice.

    `claimed_for` begins with `claim_prefix`. Rows that an earlier run held (another prefix) are free at once: a library has
    one scan at a time, and the earlier one's fencing number is old. Rows that another worker of the same run holds are
    free when its claim, of `length` unless renewed, runs out.
    """
    now = timezone.now()
    prefix = claimed_for[: claimed_for.rindex(":") + 1]
    lock = " FOR UPDATE SKIP LOCKED" if connection.features.has_select_for_update_skip_locked else ""
    sql = (
        # Chosen once, and then claimed: PostgreSQL may run a subquery again for every row, and pass what is locked by now.
        f"WITH due AS MATERIALIZED (SELECT id FROM {PHOTO_TABLE} WHERE library_id = %s AND needs_digest "  # noqa: S608
        "AND (claimed_until IS NULL OR substr(claimed_for, 1, %s) <> %s "
        "OR (claimed_for <> %s AND (claimed_until < %s OR claimed_until > %s))) "
        f"ORDER BY taken_local DESC, id LIMIT {int(limit)}{lock}) "
        f"UPDATE {PHOTO_TABLE} SET claim_token = claim_token + 1, claimed_for = %s, claimed_until = %s "
        "WHERE id IN (SELECT id FROM due) "
        "RETURNING id, claim_token, directory, filename, size_bytes, mtime_ns, media_type, sidecars"
    )
    when = Photo._meta.get_field("claimed_until")
    parameters = [
        parameter("library", library.pk),
        len(prefix),
        prefix,
        claimed_for,
        when.get_db_prep_save(now, connection),
        when.get_db_prep_save(now + 2 * max(length, CLAIM_LENGTH), connection),
        claimed_for,
        when.get_db_prep_save(now + length, connection),
    ]
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows = cursor.fetchall()
    return [Claimed(row[0] if isinstance(row[0], uuid.UUID) else uuid.UUID(row[0]), *row[1:]) for row in rows]


def apply_digests(library: Library, rows: Sequence[Row]) -> int:
    """Write digests into the rows whose `claim_token` still stands, with metadata and hash cache.

    Each row also holds `id`, `claim_token`, `directory`, `filename`, `metadata_body`. Returns how many were ours.
    Call it in a transaction.
    """
    if not rows:
        return 0
    columns = DIGEST_COLUMNS
    assignments = ", ".join(_ASSIGNMENTS.get(column, f"{column} = %s") for column in columns)
    sql = (
        f"UPDATE {PHOTO_TABLE} SET {assignments}, needs_digest = %s, claimed_for = '', claimed_until = NULL "  # noqa: S608
        "WHERE id = %s AND claim_token = %s"
    )
    finished = parameter("needs_digest", False)
    hold_photos(row["id"] for row in rows)
    values = _parameters(rows, columns)
    with connection.cursor() as cursor:
        cursor.executemany(
            sql,
            [
                [*value, finished, parameter("id", row["id"]), row["claim_token"]]
                for value, row in zip(values, rows, strict=True)
            ],
        )
        applied = cursor.rowcount
        with_body = [row for row in rows if row["metadata_body"]]
        cursor.executemany(
            f"INSERT INTO {PhotoMetadata._meta.db_table} (photo_id, body) "  # noqa: S608
            f"SELECT id, %s FROM {PHOTO_TABLE} WHERE id = %s AND claim_token = %s "
            "ON CONFLICT (photo_id) DO UPDATE SET body = excluded.body",
            [[row["metadata_body"], parameter("id", row["id"]), row["claim_token"]] for row in with_body],
        )
        remember_hashes(cursor, library, [row for row in rows if row["photo_md5"]])
    return applied


def remember_hashes(cursor: Any, library: Library, rows: Sequence[Row]) -> None:
    """Write the hash cache's rows of digested photos. Call it in a transaction."""
    now = parameter("cached_at", timezone.now(), HashCache)
    library_id = parameter("library", library.pk, HashCache)
    cursor.executemany(
        f"INSERT INTO {HashCache._meta.db_table} "  # noqa: S608
        "(library_id, path, size_bytes, mtime_ns, head_md5, photo_md5, cached_at) VALUES (%s, %s, %s, %s, %s, %s, %s) "
        "ON CONFLICT (library_id, path) DO UPDATE SET size_bytes = excluded.size_bytes, mtime_ns = excluded.mtime_ns, "
        "head_md5 = excluded.head_md5, photo_md5 = excluded.photo_md5, cached_at = excluded.cached_at",
        [
            [
                library_id,
                f"{row['directory']}/{row['filename']}" if row["directory"] else row["filename"],
                row["size_bytes"],
                row["mtime_ns"],
                row["head_md5"],
                row["photo_md5"],
                now,
            ]
            for row in rows
        ],
    )


def unclaimed(photos: PhotoQuerySet, claimed_for: str) -> PhotoQuerySet:
    """Return those of `photos` that `claim_digests` would give, `claimed_for` apart."""
    prefix = claimed_for[: claimed_for.rindex(":") + 1]
    now = timezone.now()
    # Further ahead than any claim: the clock was set back meanwhile.
    is_old = Q(claimed_until__isnull=True) | Q(claimed_until__lt=now) | Q(claimed_until__gt=now + 2 * CLAIM_LENGTH)
    return photos.filter(is_old | ~Q(claimed_for__startswith=prefix))


def renew_claims(library: Library, claimed_for: str, length: timedelta = CLAIM_LENGTH) -> None:
    """Hold for longer what is claimed and not yet written."""
    waiting = Photo.objects.filter(library=library).undigested()
    held = waiting.filter(claimed_for=claimed_for, claimed_until__isnull=False)
    with transaction.atomic():
        # Those that are being written just now are passed over, so that nobody waits for anybody.
        keys = list(held.select_for_update(skip_locked=True).order_by("pk").values_list("pk", flat=True))
        held.filter(pk__in=keys).update(claimed_until=timezone.now() + length)


def release_claims(library: Library, claimed_for: str) -> None:
    """Give back what was claimed and not written, when a run ends early."""
    waiting = Photo.objects.filter(library=library).undigested().filter(claimed_for=claimed_for)
    with transaction.atomic():
        hold_rows_of([waiting])
        waiting.update(claimed_until=None)


def mark_missing(
    library: Library, directory: str, filenames: Sequence[str], now: datetime, seen_at: datetime | None = None
) -> int:
    """Mark entries of one folder as gone from the root; nothing of them is deleted. Returns how many. For a transaction.

    `seen_at` is when the last scan began that saw them all, None if there was none.
    """
    here = Photo.objects.filter(library=library, directory=directory)
    return sum(
        _mark(here.filter(filename__in=filenames[start : start + 500]), now, seen_at)
        for start in range(0, len(filenames), 500)
    )


def mark_directory_missing(library: Library, directory: str, now: datetime, seen_at: datetime | None = None) -> int:
    """Mark everything in a folder that is no longer there as gone. Returns how many; all else as above."""
    return _mark(Photo.objects.filter(library=library, directory=directory), now, seen_at)


def _mark(photos: PhotoQuerySet, now: datetime, seen_at: datetime | None) -> int:
    # What came after that scan was seen when it came.
    seen = Greatest(F("added_at"), Value(seen_at, DateTimeField())) if seen_at else F("added_at")
    photos = photos.exclude(state=Photo.State.MISSING)
    hold_rows_of([photos])
    return photos.update(
        state=Photo.State.MISSING,
        is_shown=False,
        needs_digest=False,
        missing_since=now,
        seen_at=seen,
        claim_token=F("claim_token") + 1,  # whoever reads it just now writes nothing
    )
