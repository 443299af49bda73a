"""What people were told is done, or will be, and still waits for a worker: to be named before a library or a person goes."""

from dataclasses import dataclass, fields
from typing import Any, Self

from django.db.models import Count, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from accounts.models import User
from catalog.models import FileWrite, Import, ImportItem, Library, TrashItem
from operations.models import ACTIVE, Operation

_SENT = Q(upload__isnull=False) | Q(import_run__archive__isnull=False)


@dataclass(frozen=True)
class WaitingWork:
    """How much of each kind waits."""

    writes: int = 0
    """Ratings, dates, captions, keywords and places that are to be written into files."""
    files: int = 0
    """Files (and archives) that were sent whole and are to be imported."""
    imports: int = 0
    """Imports from folders of the server that are not done."""
    trash: int = 0
    """Photos on their way into the trash or out of it."""
    operations: int = 0
    """Other work that waits or runs, but for scans, which lose nothing."""

    @property
    def count(self) -> int:
        """Sum of everything that waits."""
        return sum(getattr(self, one.name) for one in fields(self))

    @property
    def sentence(self) -> str:
        """It in words, with numbers; "" if nothing waits."""
        words = [
            (self.writes, "rating, date, caption (or keywords, or a place) that is not written into the file yet",
             "ratings, dates, captions, keywords and places that are not written into their files yet"),
            (self.files, "file that was sent and is not imported yet", "files that were sent and are not imported yet"),
            (self.imports, "import from a folder that is not done", "imports from folders that are not done"),
            (self.trash, "photo on its way into or out of the trash", "photos on their way into or out of the trash"),
            (self.operations, "other operation that is not done", "other operations that are not done"),
        ]  # fmt: skip
        parts = [f"{count:,} {one if count == 1 else many}" for count, one, many in words if count]
        return ", ".join(parts)

    def __add__(self, other: Self) -> "WaitingWork":
        return WaitingWork(**{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)})


def waiting_in(library: Library) -> WaitingWork:
    """Return what waits in a library, whoever wanted it."""
    return _of(
        library,
        FileWrite.objects.filter(library=library),
        Import.objects.filter(library=library),
        TrashItem.objects.filter(library=library),
        Operation.objects.filter(params__library=str(library.pk)),
    )


def waiting_of(user: User, library: Library) -> WaitingWork:
    """Return what waits in a library because `user`, a member, wanted it."""
    return _of(
        library,
        FileWrite.objects.filter(library=library, user=user),
        Import.objects.filter(library=library, user=user),
        TrashItem.objects.filter(library=library, user=user),
        Operation.objects.filter(params__library=str(library.pk), owner=user),
    )


def sent_and_waiting(imports: QuerySet[Import]) -> QuerySet[Import]:
    """Return those of `imports` that hold files, or are archives, which arrived whole and are not imported yet."""
    items = ImportItem.objects.filter(_SENT, state__in=ImportItem.OPEN)
    unlisted = Q(archive__isnull=False, listed_at=None, error="")
    return imports.filter(Q(pk__in=items.values("import_run")) | unlisted)


def _of(
    library: Library,
    writes: QuerySet[FileWrite],
    imports: QuerySet[Import],
    trash: QuerySet[TrashItem],
    operations: QuerySet[Operation],
) -> WaitingWork:
    items = ImportItem.objects.filter(import_run__in=imports, state__in=ImportItem.OPEN)
    unlisted = imports.filter(listed_at=None, error="").exclude(kind=Import.Kind.UPLOAD)
    from_folders = Q(kind=Import.Kind.FOLDER) | Q(kind=Import.Kind.ARCHIVE, archive=None)
    here = items.exclude(_SENT).values("import_run")
    of_kinds = operations.filter(state__in=ACTIVE).exclude(kind__in=["scan", "write", "import"])
    counted = {
        "writes": writes.filter(state__in=FileWrite.OPEN),
        "files": items.filter(_SENT, is_sidecar=False),
        "archives": unlisted.filter(archive__isnull=False),
        "imports": imports.filter(from_folders).filter(Q(pk__in=unlisted.values("pk")) | Q(pk__in=here)),
        "trash": trash.filter(state__in=[TrashItem.State.MOVING, TrashItem.State.RESTORING]),
        "operations": of_kinds,
    }
    counts = _count_all(library, counted)
    counts["files"] += counts.pop("archives")
    return WaitingWork(**counts)


def _count_all(library: Library, counted: dict[str, Any]) -> dict[str, int]:
    """Return how many rows each query has, by one query."""
    subqueries = {
        f"{name}_count": Coalesce(
            Subquery(rows.order_by().annotate(all=Value(1)).values("all").annotate(n=Count("*")).values("n")), 0
        )
        for name, rows in counted.items()
    }
    row = Library.objects.filter(pk=library.pk).annotate(**subqueries).values_list(*subqueries).first()
    return dict(zip(counted, row or [0] * len(counted), strict=True))
