"""Rows and parameters for statements that the ORM would make slow."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.models import Field, Model

from catalog.models import Photo
from changes.types import marks_row

PHOTO_TABLE = Photo._meta.db_table
_NONE_YET = object()
Row = dict[str, Any]


def _plain(value: Any) -> Any:
    return value


def _converter(field: "Field[Any, Any]") -> Callable[[Any], Any]:
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


def parameters_of(rows: Iterable[Row], columns: Sequence[str]) -> list[list[Any]]:
    """Return for each row of photos the database parameters of these columns, in their order."""
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


def update_rows(model: type[Model], columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Give each of these rows, by its `id`, its own values of these columns (attnames), by one prepared statement.

    What devices see is marked as changed. Call it in a transaction that holds the rows (`row_locks`).
    """
    names = [str(_field(model, column).column) for column in columns]
    marks = ", version = NULL" if marks_row(model, columns) else ""
    sql = (
        f"UPDATE {model._meta.db_table} SET {', '.join(f'{name} = %s' for name in names)}{marks} "  # noqa: S608
        f"WHERE {_field(model, 'id').column} = %s"
    )
    converters = [(column, _converter(_field(model, column))) for column in (*columns, "id")]
    values = [[convert(row[column]) for column, convert in converters] for row in rows]
    if values:
        with connection.cursor() as cursor:
            cursor.executemany(sql, values)


def _field(model: type[Model], column: str) -> "Field[Any, Any]":
    return next(field for field in model._meta.concrete_fields if field.attname == column)


def parameter(model_field: str, value: Any, model: Any = Photo) -> Any:
    """Return `value` as a parameter for raw SQL on the column of that name."""
    return model._meta.get_field(model_field).get_db_prep_save(value, connection)
