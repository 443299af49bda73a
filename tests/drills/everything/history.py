"""What became of the rows that a loss may be about: the database notes each change itself, so that nothing is missed.

Triggers write into a table of the drill's own, in the transaction of the change; what was rolled back is not in it.
"""

import json
import time
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

TABLE = "drill_history"
MOST_LINES = 150
_NOTED = {
    "catalog_photo": (
        "id",
        "directory filename state size_bytes photo_md5 replaced_md5 sidecars needs_digest claim_token "
        "rating rating_held rated_at taken_local taken_held dated_at",
    ),
    "catalog_filewrite": (
        "photo_id",
        "id kind state wanted previous code claim_token claimed_for claimed_path old_md5 new_md5 base_md5 "
        "xmp_old_md5 xmp_new_md5",
    ),
    "catalog_trashitem": ("photo_id", "id state"),
    "catalog_alias": ("old_md5", "old_md5 new_md5"),
    "operations_operation": ("kind", "kind state token worker error_code"),
}
"""For each table the column by which a change is found again, and the columns that are noted when any of them changes."""


def install() -> None:
    """Let the database note changes from now on."""
    from django.db import connection

    with connection.cursor() as cursor:
        for statement in _statements(connection.vendor):
            cursor.execute(statement)


def _statements(vendor: str) -> Iterator[str]:
    is_postgres = vendor == "postgresql"
    key = "bigserial" if is_postgres else "integer"
    yield f"CREATE TABLE {TABLE}(number {key} PRIMARY KEY, at double precision, kind text, about text, said text)"
    for table, (about, columns) in _NOTED.items():
        names = columns.split()
        if is_postgres:
            pairs = ", ".join(f"'{name}', NEW.{name}" for name in names)
            yield (
                f"CREATE FUNCTION note_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO "
                f"{TABLE}(at, kind, about, said) VALUES (extract(epoch FROM clock_timestamp()), '{table}', "
                f"replace(NEW.{about}::text, '-', ''), jsonb_build_object({pairs})::text); RETURN NULL; END $$"
            )
            yield (
                f"CREATE TRIGGER note_{table} AFTER INSERT OR UPDATE ON {table} "
                f"FOR EACH ROW EXECUTE FUNCTION note_{table}()"
            )
            continue
        pairs = ", ".join(f"'{name}', NEW.{name}" for name in names)
        for event in ("INSERT", "UPDATE"):
            yield (
                f"CREATE TRIGGER note_{table}_{event} AFTER {event} ON {table} BEGIN INSERT INTO "
                f"{TABLE}(at, kind, about, said) VALUES ((julianday('now') - 2440587.5) * 86400, '{table}', "
                f"replace(NEW.{about}, '-', ''), json_object({pairs})); END"
            )


def told(notes: Iterable[dict[str, Any]], photos: Collection[str], names: Collection[str]) -> list[str]:
    """Return in order what happened to these photos, which may have had other ids under these names of files meanwhile.

    `notes` are the journal's.
    """
    from django.db import connection

    ids = {photo.replace("-", "") for photo in photos}
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT at, kind, about, said FROM {TABLE} ORDER BY number")
        rows = [(at, kind.partition("_")[2], about, json.loads(said)) for at, kind, about, said in cursor.fetchall()]
    ids |= {about for _, kind, about, said in rows if kind == "photo" and said["filename"].partition("/")[0] in names}
    md5s = {said["photo_md5"] for _, kind, about, said in rows if kind == "photo" and about in ids}
    lines: list[tuple[float, str]] = []
    before: dict[tuple[str, ...], dict[str, Any]] = {}
    for at, kind, about, said in rows:
        if kind == "operation" or about in (md5s if kind == "alias" else ids):
            key = (kind, about, str(said.get("id", "")))
            changed = {name: value for name, value in said.items() if before.get(key, {}).get(name, ...) != value}
            before[key] = said
            if changed and (kind != "operation" or "state" in changed or "token" in changed):
                shown = said if kind == "operation" else changed
                lines.append((at, f"{kind} {about[:8]} {json.dumps(shown)}"))
    offset = time.clock_gettime(time.CLOCK_REALTIME) - time.monotonic()
    keys: set[str] = set()
    for note in notes:
        photo = str(note.get("photo", note.get("edited", ""))).replace("-", "")
        if photo in ids or (note.get("name") or "-") in names or note.get("key") in keys or "killed" in note:
            keys.add(note.get("key", ""))
            facts = {name: value for name, value in note.items() if name != "at"}
            lines.append((note["at"] + offset, f"journal {json.dumps(facts)}"))
        elif "moved" in note and note["moved"].rpartition("/")[2] in names:
            lines.append((note["at"] + offset, f"moved {note['moved']} -> {note['to']}"))
    lines.sort(key=lambda line: line[0])
    return [f"{datetime.fromtimestamp(at, UTC):%H:%M:%S.%f} {text}" for at, text in lines[-MOST_LINES:]]
