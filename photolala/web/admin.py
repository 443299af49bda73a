"""What the admin's lists of large tables share: no counting of rows, no changing of facts."""

from typing import Any

from django.contrib import admin
from django.contrib.auth import get_permission_codename
from django.core.paginator import Paginator
from django.db.models import Model
from django.http import HttpRequest
from django.utils.functional import cached_property

ASSUMED_ROWS = 100_000


class NoCountPaginator(Paginator):  # type: ignore[type-arg]  # no generic at run time
    """Looks no further than needed: a list of a million rows is not counted to show a hundred.

    The number of rows is exact up to the one after ASSUMED_ROWS, and cut there: deeper pages are reached by filters.
    """

    @cached_property
    def count(self) -> int:
        """Count at most ASSUMED_ROWS rows; through an index that costs milliseconds."""
        rows: Any = self.object_list
        return rows.order_by()[:ASSUMED_ROWS].count()


class LargeTableAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # no generic at run time
    """The base for tables of any size."""

    show_full_result_count = False
    paginator = NoCountPaginator
    list_per_page = 100
    list_max_show_all = 100


def may_change(request: HttpRequest, model: type[Model]) -> bool:
    """Return whether the user was given the right to change rows of `model` (which its admin may still refuse)."""
    name = get_permission_codename("change", model._meta)
    return bool(request.user.has_perm(f"{model._meta.app_label}.{name}"))


class PathsForSuperusers:
    """For rows that say where something is on this machine: only superusers see that, search and sort by it."""

    hidden_from_others: tuple[str, ...] = ()

    def get_list_display(self, request: HttpRequest) -> Any:
        return self._shown(request, super().get_list_display(request))  # type: ignore[misc]

    def get_search_fields(self, request: HttpRequest) -> Any:
        """Leave them out: whoever may search for a path finds out which one it is."""
        return self._shown(request, super().get_search_fields(request))  # type: ignore[misc]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self._shown(request, super().get_readonly_fields(request, obj))  # type: ignore[misc]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self._shown(request, super().get_fields(request, obj))  # type: ignore[misc]

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Refuse filters by them in the address."""
        is_hidden = lookup.split("__")[0] in self.hidden_from_others and not _is_superuser(request)
        return not is_hidden and super().lookup_allowed(lookup, value, request)  # type: ignore[misc]

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> Any:
        """Leave them out of forms, too."""
        known = tuple(super().get_exclude(request, obj) or ())  # type: ignore[misc]
        return known if _is_superuser(request) else (*known, *self.hidden_from_others)

    def _shown(self, request: HttpRequest, names: Any) -> list[Any]:
        return [name for name in names if _is_superuser(request) or name not in self.hidden_from_others]


def _is_superuser(request: HttpRequest | None) -> bool:
    return bool(request is not None and getattr(request.user, "is_superuser", False))


class FactsAdmin(LargeTableAdmin):
    """For what only the server's own work writes: to be looked at, not to be changed."""

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        """Nobody adds facts by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes facts by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes facts by hand."""
        return False
