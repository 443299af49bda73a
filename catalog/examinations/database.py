"""Examine the database: that it answers, that its file is whole, and that its tables are those of this version."""

from collections.abc import Iterator

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from .findings import Finding, error

MOST_DAMAGES = 3
_SQLITE_DAMAGE = ("disk image is malformed", "not a database")


def examine_database() -> Iterator[Finding]:
    """Yield what is wrong with the database; on SQLite this reads the whole file once."""
    try:
        connection.ensure_connection()
        version = ".".join(str(part) for part in connection.get_database_version())
    except DatabaseError as failure:
        if any(words in str(failure) for words in _SQLITE_DAMAGE):
            yield _damaged(_one_line(failure))
            return
        yield error(
            "database.unreachable",
            f"The database does not answer: {_one_line(failure)}",
            "Start it, or fix PHOTOLALA_DATABASE. Nothing else that needs the database was examined.",
        )
        return
    wanted = connection.features.minimum_database_version
    if wanted and connection.get_database_version() < wanted:
        least = ".".join(str(part) for part in wanted)
        yield error("database.old", f"The database is of version {version}.", f"Update it to {least} or later.")
    if connection.vendor == "sqlite":
        yield from _damages()
    yield from _migrations()


def _damages() -> Iterator[Finding]:
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA quick_check({MOST_DAMAGES})")
            answers = [str(row[0]) for row in cursor.fetchall()]
    except DatabaseError as failure:
        answers = [_one_line(failure)]
    if answers != ["ok"]:
        yield _damaged("; ".join(answers)[:300])


def _damaged(what: str) -> Finding:
    return error(
        "database.damaged",
        f"The database file {connection.settings_dict['NAME']} is damaged: {what}",
        "Stop Photolala and copy the file away. Then restore a backup; or remove it, start again and add the "
        "libraries anew: photos, their stars in files and the snapshots in their folders are not in this file.",
    )


def _migrations() -> Iterator[Finding]:
    try:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as failure:
        yield error("database.migrations", f"The tables cannot be examined: {_one_line(failure)}", "Restore a backup.")
        return
    if plan:
        names = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in plan[:5])
        yield error(
            "database.migrations",
            f"{len(plan)} changes of the tables are still to be made ({names}{', …' if len(plan) > 5 else ''}).",
            "Stop the workers and run `manage.py migrate`, or start with `make run`, which does it.",
        )


def _one_line(failure: Exception) -> str:
    return " ".join(str(failure).split())[:300]
