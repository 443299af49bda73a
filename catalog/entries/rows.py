"""The scan's SQL: what is known of a folder, surveyed rows in, the digest's work queue, digested rows in.

Rows go in by `executemany`, because the ORM's bulk methods cost several times the CPU for the same rows.
"""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.utils import timezone

from catalog.entries.path_owners import free_places
from catalog.entries.row_locks import hold_photos, hold_rows_of
from catalog.entries.sql import PHOTO_TABLE, Row, parameter, parameters_of
from catalog.models import HashCache, Library, Photo, PhotoMetadata
from catalog.models.photo import photo_id
from photolala.lib.paths import join_path

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
    "motion_bytes": None,
    "look": None,
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
    "motion_bytes",
    "image_digest",
    "look",
    "read_md5",
]

TAKEN_COLUMNS = ("taken_local", "taken_day", "taken_at", "taken_offset_minutes", "taken_source")
_ASSIGNMENTS = {
    "rating": "rating = CASE WHEN rating_held THEN rating ELSE %s END",
    "caption": "caption = CASE WHEN caption_held THEN caption ELSE %s END",
    "keywords": "keywords = CASE WHEN keywords_held THEN keywords ELSE %s END",
    **{name: f"{name} = CASE WHEN place_held THEN {name} ELSE %s END" for name in ("latitude", "longitude")},
    **{name: f"{name} = CASE WHEN taken_held THEN {name} ELSE %s END" for name in TAKEN_COLUMNS},
}
"""What a person gave and the file has not yet is not overwritten by what the file says."""
_IS_MISSING = f"{PHOTO_TABLE}.state = '{Photo.State.MISSING.value}'"


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
        """Where it is, relative to the root."""
        return join_path(self.directory, self.filename)


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
        f"version = NULL, claim_token = {PHOTO_TABLE}.claim_token + 1, "
        f"seen_at = CASE WHEN {_IS_MISSING} THEN COALESCE({PHOTO_TABLE}.seen_at, {PHOTO_TABLE}.missing_since) "
        f"ELSE {PHOTO_TABLE}.seen_at END, "
        f"returned_at = CASE WHEN {_IS_MISSING} THEN excluded.added_at ELSE {PHOTO_TABLE}.returned_at END, "
        f"replaced_md5 = CASE WHEN {PHOTO_TABLE}.photo_md5 <> '' "
        f"THEN {PHOTO_TABLE}.photo_md5 ELSE {PHOTO_TABLE}.replaced_md5 END, "
        f"replaced_image = CASE WHEN {PHOTO_TABLE}.photo_md5 <> '' "
        f"THEN {PHOTO_TABLE}.image_digest ELSE {PHOTO_TABLE}.replaced_image END"
    )
    with connection.cursor() as cursor:
        cursor.executemany(sql, parameters_of(full, columns))


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
            path = join_path(*place)
            key = f"{row['head_md5']}:{row['size_bytes']}\n{count}"
            still_waiting.append({**row, "id": photo_id(row["library_id"], path, key)})
        waiting = still_waiting
    return done


def free_id(library_id: uuid.UUID, place: Photo) -> uuid.UUID:
    """Return the id of a photo first seen with the content, and where, `place` is; one that no photo has."""
    key, count = photo_id(library_id, place.path, place.fast_photo_key), 1
    while Photo.objects.filter(pk=key).exists():
        count += 1
        key = photo_id(library_id, place.path, f"{place.fast_photo_key}\n{count}")
    return key


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
        f"UPDATE {PHOTO_TABLE} SET {assignments}, version = NULL, needs_digest = %s, claimed_for = '', claimed_until = NULL "  # noqa: S608
        "WHERE id = %s AND claim_token = %s"
    )
    finished = parameter("needs_digest", False)
    hold_photos(row["id"] for row in rows)
    values = parameters_of(rows, columns)
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
