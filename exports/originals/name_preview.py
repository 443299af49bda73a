"""What photos of a library would be called in a destination, before anything is copied."""

from collections import defaultdict
from typing import NamedTuple

from accounts.models import User
from catalog.models import Library, Photo
from exports.destinations.naming import Naming
from exports.ledger.errors import InvalidRecord
from exports.ledger.names import TakenNames
from exports.refusals import ExportRefused
from photolala.lib.paths import escape_path

from .names import file_name
from .plan import photo_rows

SHOWN = 10


class PreviewedName(NamedTuple):
    """A photo, by its path in the library, and where it would go; both in escaped form."""

    path: str
    exported_as: str


def preview_names(user: User, library: Library, template: str, shown: int = SHOWN) -> list[PreviewedName]:
    """Return how the newest photos of `library` would be called by `template`. Raises ExportRefused.

    Names that two of them would have get numbers, as in an export; what is in a destination already is not looked at.
    """
    newest = Photo.objects.filter(library=library).exclude(state=Photo.State.MISSING).order_by("-taken_at", "id")
    photos = Photo.objects.filter(pk__in=list(newest.values_list("pk", flat=True)[:shown]))
    taken: defaultdict[str, TakenNames] = defaultdict(TakenNames)
    names = []
    try:
        naming = Naming(template, library.name, user)
        for row in photo_rows(photos, naming):
            place, filename = naming.name(row, file_name(row.filename))
            claimed = taken[place.rel_path].claim(filename)
            names.append(PreviewedName(row.path, place.rel_path + escape_path(claimed)))
    except InvalidRecord as error:
        raise ExportRefused(f"{error} Nothing was changed.", "bad_template") from None
    return names
