"""Take over what a version-1 library database knows and the photos' files may not say: their ratings.

It only ever adds: what people have said here since stays, and the second time there is nothing left to do.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from accounts.models import User
from catalog.edits.ratings import set_ratings
from catalog.models import FileWrite, Library, Photo
from catalog.version1.read import BadRow, OldPhoto, open_old_library
from operations.progress import Progress, quietly
from photolala.lib.paths import escape_path

BATCH = 300
MOST_LISTED = 200


@dataclass(slots=True)
class Imported:
    """What became of the rows. `problems` lists the first 200 of those that were left out."""

    rows: int = 0
    rated: int = 0
    already: int = 0
    without_rating: int = 0
    unknown: int = 0
    changed: int = 0
    bad: int = 0
    has_ratings: bool = True
    dry_run: bool = False
    problems: list[dict[str, str]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return what `import_library --json` prints."""
        return asdict(self)

    def note(self, path: str, reason: str) -> None:
        """List a row that was left out."""
        if len(self.problems) < MOST_LISTED:
            self.problems.append({"path": path[:500], "reason": reason})


def import_version1(
    library: Library, user: User, file: Path, *, dry_run: bool = False, progress: Progress = quietly
) -> Imported:
    """Give the photos of `library`, which `user` may change, the ratings that `file` has for them; return the counts.

    A photo is the one at the same path with the same size. Those that have stars, or that somebody rated or un-rated
    here, stay as they are. The ratings go into the files as the library's setting says. Killed in the middle, run it
    again. Raises NotALibraryDatabase or OSError.
    """
    done = Imported(dry_run=dry_run)
    with open_old_library(file) as old:
        done.has_ratings = old.has_ratings
        rows = progress(old.photos(), "Reading the old library")
        for batch in _batches(_good(rows, done)):
            with transaction.atomic():  # nobody's word comes between looking and rating
                _take_over(library, user, batch, done)
    return done


def _good(rows: Iterable[OldPhoto | BadRow], done: Imported) -> Iterator[OldPhoto]:
    for row in rows:
        done.rows += 1
        if isinstance(row, BadRow):
            done.bad += 1
            done.note(f"row {row.number}", row.reason)
        elif not row.rating:
            done.without_rating += 1
        else:
            yield row


def _batches(rows: Iterator[OldPhoto]) -> Iterator[list[OldPhoto]]:
    while batch := list(islice(rows, BATCH)):
        yield batch


def _take_over(library: Library, user: User, batch: Sequence[OldPhoto], done: Imported) -> None:
    root = library.root.rstrip("/") + "/"
    wanted: dict[tuple[str, str], OldPhoto] = {}
    for row in batch:
        path = escape_path(row.path.encode("utf-8", "surrogateescape")).removeprefix(root).lstrip("/")
        directory, _, filename = path.rpartition("/")
        wanted[directory, filename] = row
    places = Q(directory__in={place[0] for place in wanted}, filename__in={place[1] for place in wanted})
    found = {
        (photo.directory, photo.filename): photo
        for photo in Photo.objects.select_for_update()
        .filter(places, library=library)
        .exclude(state=Photo.State.MISSING)
        .order_by("pk")
    }
    words = FileWrite.objects.filter(kind=FileWrite.Kind.RATING, photo__in=[photo.pk for photo in found.values()])
    spoken = set(words.values_list("photo", flat=True))
    by_stars: dict[int, list[UUID]] = defaultdict(list)
    for place, row in wanted.items():
        photo = found.get(place)
        if photo is None:
            done.unknown += 1
            done.note(
                row.path, "This library has no photo at that path. Scan it first; a photo that was moved is not found."
            )
        elif photo.rating or photo.rating_held or photo.pk in spoken:
            done.already += 1
        elif row.size_bytes is not None and row.size_bytes != photo.size_bytes:
            done.changed += 1
            done.note(row.path, "The file has another size than the old library knew: perhaps it is another photo.")
        else:
            by_stars[row.rating or 0].append(photo.pk)
    for stars, ids in by_stars.items():
        done.rated += len(ids) if done.dry_run else len(set_ratings(user, ids, stars))
