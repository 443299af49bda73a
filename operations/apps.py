"""The operations app."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class OperationsConfig(AppConfig):
    """The one way in which long work runs."""

    name = "operations"

    def ready(self) -> None:
        """Note the time whenever the tables are made."""
        post_migrate.connect(_look_at_the_clock, sender=self)


def _look_at_the_clock(plan: Any = (), **_: Any) -> None:
    """Note the time with the tables, so that no later reading of the clock is the first and only one."""
    from .clock import look
    from .models import ClockReading

    if not any(backwards for _, backwards in plan or ()) and _is_there(ClockReading):
        look()


def _is_there(model: Any) -> bool:
    """True if the model has its table: not while only some migrations were made."""
    from django.db import connection

    return model._meta.db_table in connection.introspection.table_names()
