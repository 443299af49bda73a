"""Numbered: the base of all models that devices see. Whoever changes such a row marks it as changed in the same statement.

A mark is an empty `version`: "changed, not numbered yet". Who reads a scope numbers what is marked (`changes.scopes`).
"""

from collections.abc import Callable, Collection, Iterable
from itertools import islice
from typing import Any, TypeVar

from django.db import models, transaction
from django.utils import timezone

from changes.types import Kind, kinds_of_model, marks_row, scope_name

from .bookkeeping import Shown, Tombstone

_Row = TypeVar("_Row", bound=models.Model)
_BATCH = 1000


class NumberedQuerySet(models.QuerySet[_Row]):
    """Marks what it changes, and leaves tombstones of what it deletes."""

    def update(self, **values: Any) -> int:
        """As Django's; rows whose change devices see are marked by the same statement."""
        if not marks_row(self.model, values):
            return super().update(**values)
        values.setdefault("version", None)
        moved = [kind for kind in kinds_of_model(self.model) if _names_key(kind, values)]
        if not moved:
            return super().update(**values)
        with transaction.atomic(using=self.db):
            for kind in moved:  # for devices it is another thing, or elsewhere
                _bury(kind, self)
            return super().update(**values)

    update.alters_data = True  # type: ignore[attr-defined]

    def mark(self) -> int:
        """Mark rows whose data changed in another table. Returns how many."""
        return super().update(version=None)

    mark.alters_data = True  # type: ignore[attr-defined]

    def bulk_create(
        self,
        objs: Iterable[_Row],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Collection[str] | None = None,
        unique_fields: Collection[str] | None = None,
    ) -> list[_Row]:
        """As Django's; a row that is there already is marked if `update_fields` change what devices see."""
        if update_fields and marks_row(self.model, update_fields):
            update_fields = [*update_fields, "version"]
        objs = list(objs)
        for row in objs:
            row.version = None  # type: ignore[attr-defined]
        return super().bulk_create(objs, batch_size, ignore_conflicts, update_conflicts, update_fields, unique_fields)

    def delete(self) -> tuple[int, dict[str, int]]:
        """As Django's; the rows, and those that go with them, leave tombstones in the same transaction."""
        with transaction.atomic(using=self.db):
            bury_rows(self)
            return super().delete()

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]


class Numbered(models.Model):
    """A row with a number in its home scope. Its managers are of `NumberedQuerySet`, or of a queryset built on it."""

    version = models.BigIntegerField(
        null=True,
        blank=True,
        editable=False,
        help_text="In its home scope; empty: changed since, and not numbered yet.",
    )

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """As Django's; the row is marked if something was saved that devices see."""
        fields = kwargs.get("update_fields")
        if fields is None:
            self.version = None
        elif marks_row(type(self), fields):
            self.version = None
            kwargs["update_fields"] = [*fields, "version"]
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """As Django's; the row, and those that go with it, leave tombstones in the same transaction."""
        with transaction.atomic():
            bury_rows(type(self)._base_manager.filter(pk=self.pk))
            return super().delete(*args, **kwargs)


def bury_rows(rows: models.QuerySet) -> None:
    """Leave tombstones of rows that are about to be deleted, and of those whose foreign keys delete them too.

    In every scope where they are seen. Call it in the transaction that deletes, before it does.
    """
    for kind in kinds_of_model(rows.model):
        _bury(kind, rows)
    for relation in rows.model._meta.related_objects:
        model = relation.related_model
        if relation.on_delete is models.CASCADE and isinstance(model, type) and issubclass(model, Numbered):
            bury_rows(model._base_manager.filter(**{f"{relation.field.name}__in": rows.order_by().values("pk")}))


def _names_key(kind: Kind, values: Collection[str]) -> bool:
    """True if these names of fields are of columns that say which thing a row is, or in which scope."""
    field = kind.model._meta.get_field
    said = {field(name).name for name in values}
    return any(name != "pk" and field(name).name in said for name in (kind.scope_column, *kind.key_columns))


def _bury(kind: Kind, rows: models.QuerySet) -> None:
    columns = rows.order_by("pk").values_list(kind.scope_column, *kind.key_columns)
    source = columns.iterator(chunk_size=_BATCH)
    while some := list(islice(source, _BATCH)):
        buried = [(scope_name(kind.scope, scope), kind.key(*values)) for scope, *values in some]
        add_tombstones((scope, kind.name, key) for scope, key in buried)
        if kind.shown_in:
            hide_everywhere(kind.name, [key for _, key in buried])


def add_tombstones(buried: Iterable[tuple[str, str, Any]]) -> None:
    """Write tombstones of (scope, kind, id). Call it in the transaction that deletes."""
    now = timezone.now()
    rows = [Tombstone(scope=scope, kind=kind, object_id=key, buried_at=now) for scope, kind, key in buried]
    Tombstone.objects.bulk_create(rows, batch_size=_BATCH)


def hide_everywhere(
    kind: str, keys: list[Any], condition: Callable[[models.QuerySet], models.QuerySet] | None = None
) -> int:
    """Show these things in no further scope any more (or only in those that `condition` leaves); return how many were hidden."""
    hidden = 0
    for start in range(0, len(keys), _BATCH):
        shown = Shown.objects.filter(kind=kind, object_id__in=keys[start : start + _BATCH])
        shown = condition(shown) if condition else shown
        held = list(shown.order_by("pk").select_for_update(of=("self",)).values_list("pk", "scope", "object_id"))
        add_tombstones((scope, kind, key) for _, scope, key in held)
        Shown.objects.filter(pk__in=[pk for pk, _, _ in held]).delete()
        hidden += len(held)
    return hidden
