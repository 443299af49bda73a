"""Which contents a library has: in a photo, in its trash, or as an earlier version of one that is there."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from catalog.models import Alias, HashCache, Library, Photo, TrashItem

MOST_AT_ONCE = 1_000
IN_TRASH = "in_trash"


@dataclass(frozen=True)
class Known:
    """What has the content: a photo and its state, or `in_trash`; `photo` is None if the catalog has forgotten it."""

    photo: UUID | None
    state: str
    path: str

    @property
    def is_in_trash(self) -> bool:
        """True if somebody deleted it, and it can be brought back."""
        return self.state == IN_TRASH


def known_contents(library: Library, md5s: Collection[str]) -> dict[str, Known]:
    """Return which of up to MOST_AT_ONCE contents the library has; a photo that is there counts before one in the trash.

    One query. What a catalog file or a phone only tells to be of that content is not: nobody would send the file then, and
    perhaps nobody has it. An MD5 that stars or dates were written over leads to what became of it.
    """
    asked = list(dict.fromkeys(md5s))
    if not asked:
        return {}
    if len(asked) > MOST_AT_ONCE:
        raise ValueError(f"{len(asked):,} contents at once")
    key = Library._meta.pk.get_db_prep_value(library.pk, connection)
    away = [Photo.State.MISSING.value, Photo.State.REMOTE.value]
    passing = [TrashItem.State.FILING.value, TrashItem.State.DELETING.value]
    query = _QUERY.format(
        values=", ".join(["(%s)"] * len(asked)),
        alias=Alias._meta.db_table,
        photo=Photo._meta.db_table,
        trash=TrashItem._meta.db_table,
        hashes=HashCache._meta.db_table,
    )
    found: dict[str, Known] = {}
    with connection.cursor() as cursor:
        cursor.execute(query, [*asked, key, key, *away, key, *passing])
        for md5, photo, state, directory, filename in cursor.fetchall():
            known = Known(
                photo if photo is None or isinstance(photo, UUID) else UUID(photo),
                state,
                f"{directory}/{filename}" if directory else filename,
            )
            if md5 not in found or found[md5].is_in_trash:
                found[md5] = known
    return found


_QUERY = """
WITH RECURSIVE content(asked, md5) AS (
    SELECT CAST(column1 AS text), CAST(column1 AS text) FROM (VALUES {values}) AS given
    UNION
    SELECT content.asked, CAST(became.new_md5 AS text)
    FROM content JOIN {alias} became ON became.library_id = %s AND became.old_md5 = content.md5
)
SELECT content.asked, photo.id, photo.state, photo.directory, photo.filename
FROM content JOIN {photo} photo ON photo.library_id = %s AND photo.photo_md5 = content.md5
WHERE photo.state NOT IN (%s, %s) AND (photo.read_md5 = photo.photo_md5 OR EXISTS (
    SELECT 1 FROM {hashes} hash WHERE hash.library_id = photo.library_id AND hash.photo_md5 = photo.photo_md5
    AND hash.path = CASE photo.directory WHEN '' THEN photo.filename ELSE photo.directory || '/' || photo.filename END))
UNION ALL
SELECT content.asked, trash.photo_id, 'in_trash', trash.directory, trash.filename
FROM content JOIN {trash} trash ON trash.library_id = %s AND trash.photo_md5 = content.md5
LEFT JOIN {photo} deleted ON deleted.id = trash.photo_id
WHERE trash.state NOT IN (%s, %s) AND (deleted.id IS NULL OR deleted.read_md5 = trash.photo_md5 OR EXISTS (
    SELECT 1 FROM {hashes} hash WHERE hash.library_id = trash.library_id AND hash.photo_md5 = trash.photo_md5))
"""
