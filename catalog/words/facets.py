"""Values that are offered while somebody types: cameras, lenses, keywords and folders of each library."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from catalog.models import SearchFacet

from .folding import fold

LONGEST_VALUE = 200
Row = Sequence[Any]
Value = tuple[UUID, str, str]
_KINDS = SearchFacet.Kind


def add(photos: Iterable[tuple[UUID, Row]]) -> None:
    """Keep the values of photos: (library, the columns that `photo_text` takes). What no photo has any more stays.

    At most two queries for any number of photos. Call it in a transaction.
    """
    values: dict[Value, None] = {}
    for library, (directory, _, _, keywords, make, model, lens) in photos:
        values[library, _KINDS.CAMERA, camera_name(make, model)] = None
        values[library, _KINDS.LENS, lens] = None
        values[library, _KINDS.FOLDER, directory] = None
        if isinstance(keywords, list):
            for keyword in keywords:
                if isinstance(keyword, str):
                    values[library, _KINDS.KEYWORD, keyword] = None
    rows = []
    for library, kind, value in values:
        words = fold(value) if len(value) <= LONGEST_VALUE else []
        if words:
            rows.append(SearchFacet(library_id=library, kind=kind, value=value, text=f" {' '.join(words)} "))
    SearchFacet.objects.bulk_create(rows, ignore_conflicts=True)


def camera_name(make: str, model: str) -> str:
    """Return how a camera is called: its model, after its make unless the model says that itself."""
    return model if not make or model.lower().startswith(make.split()[0].lower()) else f"{make} {model}".strip()


def beginning(libraries: Iterable[UUID], kind: str, words: list[str], most: int) -> list[str]:
    """Return values of `kind` in these libraries with `words` in a row, the last of which may go on; the shortest first."""
    pattern = " " + " ".join(words)
    found = SearchFacet.objects.filter(library__in=list(libraries), kind=kind, text__contains=pattern)
    return sorted(set(found.values_list("value", flat=True)[: most * 20]), key=lambda value: (len(value), value))[:most]
