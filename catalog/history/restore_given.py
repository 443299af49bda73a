"""What people gave, kind by kind, in the plan of a restore: what the snapshot says of it, and what stays."""

import sqlite3

from catalog.entries.last_read import rating_in
from catalog.entries.taken import goes_into_file
from catalog.models import FileWrite, Library
from catalog.snapshots.read import Snapshot


def take_marks(connection: sqlite3.Connection, snapshot: Snapshot, library: Library) -> None:
    """Mark what people gave as the snapshot says; of one without marks, what cannot be a file's is taken for given."""
    connection.execute(
        "CREATE TEMP TABLE mark(photo_id TEXT PRIMARY KEY, has_rating, rating, has_date, has_caption, caption, keywords, place)"
    )
    connection.executemany("INSERT OR IGNORE INTO mark VALUES (?, ?, ?, ?, ?, ?, ?, ?)", snapshot.given())
    connection.execute(
        "UPDATE wanted SET rating = m.rating, rating_held = 1 FROM mark m WHERE m.photo_id = told_id AND m.has_rating"
    )
    connection.execute("UPDATE wanted SET taken_held = 1 FROM mark m WHERE m.photo_id = told_id AND m.has_date")
    connection.execute(
        "UPDATE wanted SET caption = m.caption, caption_held = 1 FROM mark m WHERE m.photo_id = told_id AND m.has_caption"
    )
    for name in ("keywords", "place"):
        connection.execute(
            f"UPDATE wanted SET {name} = m.{name}, {name}_held = 1 FROM mark m "  # noqa: S608
            f"WHERE m.photo_id = told_id AND m.{name} IS NOT NULL"
        )
    connection.execute("UPDATE wanted SET taken_held = 1 WHERE taken_at_source = 'person'")
    if snapshot.marked() is not None or library.writes_ratings:
        return
    connection.execute("CREATE TEMP TABLE told(photo_md5 TEXT PRIMARY KEY, rating)")
    told = ((md5, rating) for md5, body in snapshot.metadata() if (rating := rating_in(body)) is not None)
    connection.executemany("INSERT OR IGNORE INTO told VALUES (?, ?)", told)
    connection.execute(
        "UPDATE wanted SET rating_held = 1 "
        "WHERE rating IS NOT (SELECT t.rating FROM told t WHERE t.photo_md5 = wanted.photo_md5)"
    )


def keep_given(connection: sqlite3.Connection, library: Library, *, keeps_given: bool) -> bool:
    """Let known photos keep what people gave them where the snapshot has no say in that; return whether any does."""
    kept = 0
    for kind, flag, columns, in_files in (
        (FileWrite.Kind.RATING, "rating_held", ("rating",), library.writes_ratings),
        (FileWrite.Kind.DATE, "taken_held", ("taken_at", "taken_at_source"), goes_into_file(library)),
        (FileWrite.Kind.CAPTION, "caption_held", ("caption",), library.writes_ratings),
        (FileWrite.Kind.KEYWORDS, "keywords_held", ("keywords",), library.writes_ratings),
        (FileWrite.Kind.PLACE, "place_held", ("place",), library.writes_ratings),
    ):
        taken = ", ".join(f"{name} = n.{name}" for name in columns)
        stays = "TRUE"
        if keeps_given or in_files:  # what was given then and is not by now stands in the file, or was taken back
            kept += connection.execute(
                f"UPDATE wanted SET {taken}, {flag} = 0 FROM now n "  # noqa: S608
                f"WHERE n.photo_id = wanted.photo_id AND wanted.{flag} AND NOT n.{flag}"
            ).rowcount
        else:
            waiting = FileWrite.objects.filter(library=library, kind=kind, state__in=[s.value for s in FileWrite.OPEN])
            connection.execute("CREATE TEMP TABLE IF NOT EXISTS waiting(photo_id TEXT PRIMARY KEY)")
            connection.execute("DELETE FROM waiting")
            keys = waiting.order_by().values_list("photo_id", flat=True)
            connection.executemany("INSERT OR IGNORE INTO waiting VALUES (?)", ((str(key),) for key in keys.iterator()))
            stays = "n.photo_id IN (SELECT photo_id FROM waiting)"
        kept += connection.execute(
            f"UPDATE wanted SET {taken}, {flag} = 1 FROM now n WHERE n.photo_id = wanted.photo_id AND n.{flag} AND {stays}"  # noqa: S608
        ).rowcount
    return bool(kept)
