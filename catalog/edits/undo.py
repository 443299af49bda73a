"""Take back the last that was written into a photo's file, whatever it was."""

from typing import Any

from django.db import transaction

from accounts.models import User
from catalog.edits.captions import undo_caption
from catalog.edits.dates import undo_date
from catalog.edits.keywords import undo_keywords
from catalog.edits.places import undo_place
from catalog.edits.ratings import set_rating
from catalog.entries.row_locks import hold_photos
from catalog.files.queue import NothingToUndo, last_done
from catalog.models import FileWrite, Photo
from operations.database_conflicts import retried_on_conflict


def undo_last(photo: Photo, user: User) -> dict[str, Any]:
    """Take it back; return its `kind`, and what the photo says then: `rating`, `caption`, `keywords`, `place`, or
    `taken` and `offset`.

    Raises NothingToUndo, also if the file was changed since.
    """
    done = FileWrite.objects.filter(photo=photo, state=FileWrite.State.DONE).order_by("-finished_at")
    kind = done.values_list("kind", flat=True).first()
    if kind == FileWrite.Kind.DATE:
        return {"kind": kind, **undo_date(photo, user)}
    if kind == FileWrite.Kind.CAPTION:
        return {"kind": kind, "caption": undo_caption(photo, user)}
    if kind == FileWrite.Kind.KEYWORDS:
        return {"kind": kind, "keywords": undo_keywords(photo, user)}
    if kind == FileWrite.Kind.PLACE:
        place = undo_place(photo, user)
        return {"kind": kind, "place": place and {"latitude": place[0], "longitude": place[1]}}
    return {"kind": FileWrite.Kind.RATING, "rating": undo_rating(photo, user)}


@retried_on_conflict
def undo_rating(photo: Photo, user: User) -> int:
    """Take the last written rating back; return the stars that the photo has then. Raises NothingToUndo.

    If the file had no rating before, it gets back the very bytes that it had.
    """
    with transaction.atomic():
        hold_photos([photo.pk])
        write = last_done(photo)
        if write is None:
            raise NothingToUndo(
                "There is no rating of this photo that could be taken back: none was written, or the file was changed since."
            )
        stars = int(write.previous.get("rating") or 0)
        set_rating(user, photo.pk, stars)
        FileWrite.objects.filter(photo=photo, kind=write.kind, state__in=["pending"]).update(undoes=write)
    return stars
