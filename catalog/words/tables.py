"""What the database does by itself for the index of words: triggers that note what changed, and the full-text index.

Triggers see every way in which a row is written, also by bulk statements. They are put in place after each `migrate`, because
SQLite drops those of a table that a migration makes anew; where one was missing, everything is noted as changed.
"""

from typing import Any

from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, transaction

WORD_COLUMNS = ("directory", "filename", "caption", "keywords", "camera_make", "camera_model", "lens_model")
PHOTO_COLUMNS = ("id", "library_id", "taken_day", "is_shown", *WORD_COLUMNS)
WATCHED = {
    "photo": ("catalog_photo", PHOTO_COLUMNS),
    "album": ("catalog_album", ("id", "title", "description")),
    "note": ("catalog_note", ("id", "content", "caption")),
}
"""By kind of object: its table, and the columns whose change changes its text, or what is kept beside it."""
TEXTS = "catalog_searchtext"
QUEUE = "catalog_searchqueue"
FULL_TEXT = f"{TEXTS}_fts"
INDEX = f"{TEXTS}_lexemes"
LEXEMES = "array_to_tsvector(string_to_array(btrim(text), ' '))"
"""Without PostgreSQL's own parser, which takes names of files and numbers apart in its own way."""
FUNCTION = "catalog_note_changed_words"


def install(using: str = DEFAULT_DB_ALIAS) -> bool:
    """Put triggers and index in place where they are missing. Returns True if some were, and everything is to be indexed."""
    connection = connections[using]
    if not {TEXTS, QUEUE, *(table for table, _ in WATCHED.values())} <= set(connection.introspection.table_names()):
        return False  # migrated to before there were any
    with transaction.atomic(using=using), connection.cursor() as cursor:
        statements = _sqlite_statements() if connection.vendor == "sqlite" else _postgresql_statements()
        there = _names_there(cursor, connection.vendor)
        missing = [statement for name, statement in statements.items() if name not in there]
        if not missing:
            return False
        for statement in missing:
            cursor.execute(statement)
        if connection.vendor == "sqlite":
            cursor.execute(f"INSERT INTO {FULL_TEXT}({FULL_TEXT}) VALUES ('rebuild')")  # noqa: S608
        enqueue_everything(cursor)
    return True


def install_after_migration(using: str = DEFAULT_DB_ALIAS, **_: Any) -> None:
    """Install them; for Django's signal after migrations."""
    install(using)


def uninstall(using: str = DEFAULT_DB_ALIAS) -> None:
    """Take triggers and index away, before a migration back to before there were any."""
    connection = connections[using]
    with connection.cursor() as cursor:
        for kind, (table, _) in WATCHED.items():
            for event in ("insert", "update", "delete"):
                on_table = "" if connection.vendor == "sqlite" else f" ON {table}"
                cursor.execute(f"DROP TRIGGER IF EXISTS {_trigger_name(kind, event)}{on_table}")
        if connection.vendor == "sqlite":
            for event in ("insert", "update", "delete"):
                cursor.execute(f"DROP TRIGGER IF EXISTS {_index_trigger_name(event)}")
            cursor.execute(f"DROP TABLE IF EXISTS {FULL_TEXT}")
        else:
            cursor.execute(f"DROP FUNCTION IF EXISTS {FUNCTION}")


def build_anew(using: str = DEFAULT_DB_ALIAS) -> None:
    """Put back what is missing, build the full-text index from the texts, and have all texts made again."""
    if install(using):
        return
    connection = connections[using]
    with transaction.atomic(using=using), connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"INSERT INTO {FULL_TEXT}({FULL_TEXT}) VALUES ('rebuild')")  # noqa: S608
        else:
            cursor.execute(f"REINDEX INDEX {INDEX}")
        enqueue_everything(cursor)


def is_whole(using: str = DEFAULT_DB_ALIAS) -> bool:
    """Return whether SQLite's full-text index agrees with the texts; others keep theirs themselves. Reads all of it."""
    connection = connections[using]
    if connection.vendor != "sqlite":
        return True
    try:
        with transaction.atomic(using=using), connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO {FULL_TEXT}({FULL_TEXT}, rank) VALUES ('integrity-check', 1)")  # noqa: S608
    except DatabaseError:
        return False
    return True


def enqueue_everything(cursor: Any) -> None:
    """Note all photos, albums and notes as changed, and all texts, so that those of what is gone are removed."""
    for kind, (table, _) in WATCHED.items():
        cursor.execute(f"INSERT INTO {QUEUE} (kind, object_id) SELECT '{kind}', id FROM {table}")  # noqa: S608
    cursor.execute(f"INSERT INTO {QUEUE} (kind, object_id) SELECT kind, object_id FROM {TEXTS}")  # noqa: S608


def are_missing(using: str = DEFAULT_DB_ALIAS) -> bool:
    """Return whether a trigger, or the index, is not there."""
    connection = connections[using]
    wanted = _sqlite_statements() if connection.vendor == "sqlite" else _postgresql_statements()
    with connection.cursor() as cursor:
        return not set(wanted) <= _names_there(cursor, connection.vendor)


def _names_there(cursor: Any, vendor: str) -> set[str]:
    if vendor == "sqlite":
        cursor.execute(
            "SELECT name FROM sqlite_master WHERE name LIKE 'catalog\\_%%words%%' ESCAPE '\\' OR name = %s", [FULL_TEXT]
        )
    else:
        cursor.execute(
            "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal UNION ALL SELECT proname FROM pg_proc "
            "UNION ALL SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()"
        )
    return {str(name) for (name,) in cursor.fetchall()}


def _trigger_name(kind: str, event: str) -> str:
    return f"catalog_{kind}_words_{event}"


def _index_trigger_name(event: str) -> str:
    return f"{TEXTS}_words_{event}"


def _sqlite_statements() -> dict[str, str]:
    statements = {
        FULL_TEXT: f"CREATE VIRTUAL TABLE {FULL_TEXT} USING fts5(text, content='{TEXTS}', content_rowid='id', "
        "tokenize='ascii', detail='none', columnsize=0)"
    }
    added = f"INSERT INTO {FULL_TEXT}(rowid, text) VALUES (new.id, new.text);"  # noqa: S608
    gone = f"INSERT INTO {FULL_TEXT}({FULL_TEXT}, rowid, text) VALUES ('delete', old.id, old.text);"  # noqa: S608
    for event, action in (("insert", added), ("delete", gone), ("update", gone + added)):
        name = _index_trigger_name(event)
        when = "WHEN old.text IS NOT new.text" if event == "update" else ""
        statements[name] = f"CREATE TRIGGER {name} AFTER {event.upper()} ON {TEXTS} {when} BEGIN {action} END"
    for kind, (table, columns) in WATCHED.items():
        noted = {row: f"INSERT INTO {QUEUE}(kind, object_id) VALUES ('{kind}', {row}.id);" for row in ("old", "new")}  # noqa: S608
        renamed = f"INSERT INTO {QUEUE}(kind, object_id) SELECT '{kind}', old.id WHERE old.id IS NOT new.id;"
        changed = " OR ".join(f"old.{column} IS NOT new.{column}" for column in columns)
        events = {
            "insert": f"AFTER INSERT ON {table} BEGIN {noted['new']} END",
            "update": f"AFTER UPDATE OF {', '.join(columns)} ON {table} WHEN {changed} BEGIN {noted['new']} {renamed} END",
            "delete": f"AFTER DELETE ON {table} BEGIN {noted['old']} END",
        }
        for event, rest in events.items():
            statements[_trigger_name(kind, event)] = f"CREATE TRIGGER {_trigger_name(kind, event)} {rest}"
    return statements


def _postgresql_statements() -> dict[str, str]:
    added = f"INSERT INTO {QUEUE}(kind, object_id) VALUES (TG_ARGV[0], {{}}.id);"  # noqa: S608
    statements = {
        FUNCTION: f"""CREATE FUNCTION {FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN
            IF TG_OP <> 'DELETE' THEN {added.format("NEW")} END IF;
            IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND OLD.id <> NEW.id) THEN {added.format("OLD")} END IF;
            RETURN NULL; END $body$""",
        INDEX: f"CREATE INDEX {INDEX} ON {TEXTS} USING gin ({LEXEMES})",
    }
    for kind, (table, columns) in WATCHED.items():
        changed = " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in columns)
        events = {
            "insert": f"AFTER INSERT ON {table}",
            "update": f"AFTER UPDATE OF {', '.join(columns)} ON {table}",
            "delete": f"AFTER DELETE ON {table}",
        }
        for event, rest in events.items():
            name = _trigger_name(kind, event)
            when = f"WHEN ({changed})" if event == "update" else ""
            statements[name] = f"CREATE TRIGGER {name} {rest} FOR EACH ROW {when} EXECUTE FUNCTION {FUNCTION}('{kind}')"
    return statements
