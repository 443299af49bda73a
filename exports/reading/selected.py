"""What an export selects of each photo: the database makes the texts, so that no UUID or datetime is built for a row."""

from typing import Any

from django.db.models import Case, F, Func, TextField, Value, When
from django.db.models.functions import Cast

from exports.formats.columns import NAMES


class _Text(Func):
    """A column as text, made by the database; `sqlite` and `postgresql` are its templates."""

    output_field = TextField()
    sqlite = postgresql = "%(expressions)s"

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Write it for SQLite, which keeps ids as 32 hex digits and instants as naive text."""
        return self.as_sql(compiler, connection, template=self.sqlite, **context)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template=self.postgresql, **context)


class _Id(_Text):
    _x = "%(expressions)s"
    sqlite = f"(substr({_x},1,8)||'-'||substr({_x},9,4)||'-'||substr({_x},13,4)||'-'||substr({_x},17,4)||'-'||substr({_x},21))"
    postgresql = f"{_x}::text"


class _Clock(_Text):
    """A UTC time to the second: 2024-05-17T12:00:00."""

    _x = "%(expressions)s"
    sqlite = f"(substr({_x},1,10)||'T'||substr({_x},12,8))"
    postgresql = f"to_char({_x} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS')"


class _Offset(_Text):
    """Minutes east of UTC: +02:00."""

    _x = "%(expressions)s"
    sqlite = (
        f"(CASE WHEN {_x}<0 THEN '-' ELSE '+' END||substr('0'||(abs({_x})/60),-2)"
        f"||':'||substr('0'||(abs({_x})-abs({_x})/60*60),-2))"
    )
    postgresql = (
        f"(CASE WHEN {_x}<0 THEN '-' ELSE '+' END||to_char(abs({_x})/60,'FM00')"
        f"||':'||to_char(abs({_x})-abs({_x})/60*60,'FM00'))"
    )


class _Joined(_Text):
    """Texts one after another; none of them may be NULL."""

    arg_joiner = "||"
    sqlite = postgresql = "(%(expressions)s)"


class _Instant(_Text):
    """A UTC time with all its digits."""

    _x = "%(expressions)s"
    sqlite = f"({_x}||'')"
    postgresql = f"to_char({_x} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"


def _text(value: str) -> Value:
    return Value(value, TextField())


_PATH = Case(
    When(directory="", then=F("filename")),
    default=_Joined(F("directory"), _text("/"), F("filename")),
    output_field=TextField(),
)
_TAKEN_AT = Case(
    When(taken_source="", then=_text("")),
    When(taken_offset_minutes=None, then=_Clock("taken_local")),
    default=_Joined(_Clock("taken_local"), _Offset("taken_offset_minutes")),
    output_field=TextField(),
)
SELECTED: dict[str, Any] = {
    "id": _Id("id"),
    "photo_md5": "photo_md5",
    "path": _PATH,
    "filename": "filename",
    "caption": "caption",
    "taken_at": _TAKEN_AT,
    "taken_at_source": "taken_source",
    "added_at": _Joined(_Clock("added_at"), _text("Z")),
    **{name: name for name in NAMES[NAMES.index("size_bytes") : NAMES.index("rating") + 1]},
    "state": "state",
    "keywords": Cast("keywords", TextField()),
    "metadata": "metadata__body",
    "mtime_ns": "mtime_ns",
    "instant": _Instant("taken_at"),
}
"""What is selected of each photo, by name: columns of an export, and what else is asked of it. Django converts none of it."""
