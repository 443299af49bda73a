"""Write many items of an import, by `executemany`: the ORM's bulk methods cost several times the CPU for the same rows."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection
from django.db.models.expressions import DatabaseDefault

from catalog.models import ImportItem

ENDS = (
    *("state", "photo", "photo_md5", "head_md5", "target_directory", "target_filename"),
    *("code", "reason", "detail", "finished_at"),
)
"""What is written of an item that came to its end."""


def insert_items(items: Iterable[ImportItem]) -> None:
    """Insert new items; one of a path that its import has already is left out. Call it in a transaction."""
    fields = _fields(field.name for field in ImportItem._meta.concrete_fields if not field.primary_key)
    columns = ", ".join(field.column for field in fields)
    _execute(
        f"INSERT INTO {ImportItem._meta.db_table} ({columns}) "  # noqa: S608
        f"VALUES ({', '.join(['%s'] * len(fields))}) ON CONFLICT DO NOTHING",
        [_values(item, fields) for item in items],
    )


def write_items(items: Iterable[ImportItem], columns: Sequence[str]) -> None:
    """Write some columns of items that exist. Call it in a transaction."""
    fields = _fields(columns)
    assignments = ", ".join(f"{field.column} = %s" for field in fields)
    _execute(
        f"UPDATE {ImportItem._meta.db_table} SET {assignments} WHERE id = %s",  # noqa: S608
        [[*_values(item, fields), item.pk] for item in items],
    )


def _fields(names: Iterable[str]) -> list[Any]:
    return [ImportItem._meta.get_field(name) for name in names]


def _values(item: ImportItem, fields: Sequence[Any]) -> list[Any]:
    return [field.get_db_prep_save(_value(item, field), connection) for field in fields]


def _value(item: ImportItem, field: Any) -> Any:
    """Return what is to be written; a default that the database would fill in is given, for all rows name all columns."""
    value = getattr(item, field.attname)
    return field.db_default if isinstance(value, DatabaseDefault) else value


def _execute(sql: str, values: list[list[Any]]) -> None:
    if values:
        with connection.cursor() as cursor:
            cursor.executemany(sql, values)
