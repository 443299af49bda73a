"""An XMP file may speak for two photos, a RAW and its JPEG: what people gave to the one is not lost when the other is written."""

from collections.abc import Iterable

from django.db.models import Q

from catalog.entries.row_locks import hold_photos
from catalog.files.prepared import Prepared
from catalog.models import FileWrite, Library, Photo

_GIVEN = {
    FileWrite.Kind.RATING: ("rated_at", "rating_held"),
    FileWrite.Kind.DATE: ("dated_at", "taken_held"),
    FileWrite.Kind.CAPTION: ("captioned_at", "caption_held"),
    FileWrite.Kind.KEYWORDS: ("keyworded_at", "keywords_held"),
    FileWrite.Kind.PLACE: ("placed_at", "place_held"),
}
"""When a person gave it, and whether the catalog holds it against what files say."""


def hold_what_others_were_given(library: Library, ready: Iterable[tuple[FileWrite, Prepared]]) -> None:
    """Let the catalog hold what people gave to other photos whose XMP file is about to say something else.

    Call it in the transaction that announces the new versions, before writes are locked: a killed writer's XMP file may be in
    its place and no row tell of it. What nobody gave follows the XMP file.
    """
    places: dict[str, Q] = {}
    for write, prepared in ready:
        if prepared.sidecar is not None and prepared.sidecar.others:
            others = Q(directory=prepared.task.directory, filename__in=prepared.sidecar.others)
            places[write.kind] = places.get(write.kind, Q()) | others
    found = {
        kind: list(Photo.objects.filter(where, library=library).values_list("pk", flat=True))
        for kind, where in places.items()
    }
    hold_photos(key for keys in found.values() for key in keys)
    for kind, keys in found.items():
        moment, held = _GIVEN[FileWrite.Kind(kind)]
        given = Photo.objects.filter(pk__in=keys, **{f"{moment}__isnull": False, held: False})
        given.update(**{held: True})
