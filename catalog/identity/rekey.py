"""Give photos whose files were rewritten their new identity: all that was derived from the old bytes, in one transaction."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.core.files.base import ContentFile
from django.db import connection
from django.db.models import F

from catalog.cache import tree
from catalog.entries.folder_comparison import UNREAD
from catalog.entries.rows import remember_hashes
from catalog.entries.sql import PHOTO_TABLE, parameter
from catalog.identity.aliases import note_aliases
from catalog.media.results import DigestResult
from catalog.models import Library, Photo, PhotoMetadata, QueuedStar


@dataclass(frozen=True, slots=True)
class Rekeyed:
    """A photo's file as it is now: size in bytes, modification time in ns, facts; and the photo MD5 that it had."""

    photo_id: UUID
    old_md5: str
    size_bytes: int
    mtime_ns: int
    facts: DigestResult
    columns: dict[str, Any] = field(default_factory=dict)
    """Further columns of the photo's row."""


def cache_new_version(library: Library, old_md5: str, facts: DigestResult) -> None:
    """Put the metadata of the new version into the cache, and the old one's pictures: they are the same.

    What cannot be copied is drawn when somebody looks. Raises OperationFailed if the cache cannot be written.
    """
    storage, shard = tree.cache(), library.source
    with tree.writing():
        tree.write_metadata(facts.photo_md5, facts.metadata_body, shard)
    if old_md5 == facts.photo_md5:
        return
    for name in (tree.thumbnail_name, tree.preview_name):
        with suppress(Exception):  # each storage has its own kinds of errors
            if storage.exists(name(old_md5, shard)) and not storage.exists(name(facts.photo_md5, shard)):
                with storage.open(name(old_md5, shard)) as file:
                    picture = file.read()
                storage.save(name(facts.photo_md5, shard), ContentFile(picture))


def rekey(library: Library, rewritten: Sequence[Rekeyed]) -> None:
    """Write sizes, times, MD5s and metadata of the new versions into the photos' rows; follow with the rest.

    Hash cache, metadata, aliases old -> new, the star queue. A photo that was given another content meanwhile is left out:
    the next scan reads it again. Call it in a transaction.
    """
    by_id = {one.photo_id: one for one in rewritten}
    photos = list(Photo.objects.select_for_update().filter(pk__in=list(by_id)).order_by("pk"))
    mine = [p for p in photos if p.photo_md5 in (by_id[p.pk].old_md5, by_id[p.pk].facts.photo_md5)]
    for photo in photos:
        if photo not in mine:
            Photo.objects.filter(pk=photo.pk).update(sidecars=UNREAD)
    rows = []
    for photo in mine:
        new = by_id[photo.pk]
        values = {
            "size_bytes": new.size_bytes,
            "mtime_ns": new.mtime_ns,
            "head_md5": new.facts.head_md5,
            "photo_md5": new.facts.photo_md5,
            "read_md5": new.facts.photo_md5,
            "sidecars": photo.sidecars,
            **new.columns,
        }
        rows.append({"id": photo.pk, "directory": photo.directory, "filename": photo.filename, **values})
    _write(library, rows, [by_id[photo.pk] for photo in mine])
    note_aliases(library, [(new.old_md5, new.facts.photo_md5) for new in (by_id[photo.pk] for photo in mine)])
    _follow_stars(library, mine, by_id)


def forget_readings(photo_ids: Sequence[UUID]) -> None:
    """Let what scans read of these photos, and have not told yet, count no more: they read it again. Call it in a transaction.

    It may be from before their files, or XMP files beside them, were written.
    """
    Photo.objects.filter(pk__in=photo_ids, needs_digest=True).update(
        claim_token=F("claim_token") + 1, claimed_for="", claimed_until=None
    )


def _write(library: Library, rows: Sequence[dict[str, Any]], rewritten: Sequence[Rekeyed]) -> None:
    if not rows:
        return
    names = [name for name in rows[0] if name not in ("id", "directory", "filename")]
    # A digest of the old version that is under way must not overwrite this.
    sql = (
        f"UPDATE {PHOTO_TABLE} SET {', '.join(f'{name} = %s' for name in names)}, version = NULL, "  # noqa: S608
        "claim_token = claim_token + 1, needs_digest = %s, claimed_for = '', claimed_until = NULL WHERE id = %s"
    )
    finished = parameter("needs_digest", False)
    values = [[*(parameter(n, row[n]) for n in names), finished, parameter("id", row["id"])] for row in rows]
    with connection.cursor() as cursor:
        cursor.executemany(sql, values)
        cursor.executemany(
            f"INSERT INTO {PhotoMetadata._meta.db_table} (photo_id, body) VALUES (%s, %s) "  # noqa: S608
            "ON CONFLICT (photo_id) DO UPDATE SET body = excluded.body",
            [[parameter("id", new.photo_id), new.facts.metadata_body] for new in rewritten],
        )
        remember_hashes(cursor, library, rows)


def _follow_stars(library: Library, photos: Sequence[Photo], by_id: dict[UUID, Rekeyed]) -> None:
    keys = {photo.fast_photo_key: by_id[photo.pk] for photo in photos}
    for star in QueuedStar.objects.filter(library=library, fast_photo_key__in=list(keys)):
        new = keys[star.fast_photo_key]
        # A copy of the same content may have got there first: the later star is the last word.
        same = QueuedStar.objects.filter(library=library, fast_photo_key=f"{new.facts.head_md5}:{new.size_bytes}")
        same.exclude(pk=star.pk).delete()
        star.photo_md5, star.fast_photo_key = new.facts.photo_md5, f"{new.facts.head_md5}:{new.size_bytes}"
        star.save(update_fields=["photo_md5", "fast_photo_key"])
