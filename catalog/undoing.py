"""Take back the last that was written into a photo's file, whatever it was."""

from typing import Any

from .dates import undo_date
from .models import FileWrite, Photo
from .writes import undo_rating


def undo_last(photo: Photo, user: Any) -> dict[str, Any]:
    """Take it back; return its `kind`, and what the photo says then: `rating`, or `taken` and `offset`.

    Raises NothingToUndo, also if the file was changed since.
    """
    done = FileWrite.objects.filter(photo=photo, state=FileWrite.State.DONE).order_by("-finished_at")
    if done.values_list("kind", flat=True).first() == FileWrite.Kind.DATE:
        return {"kind": FileWrite.Kind.DATE, **undo_date(photo, user)}
    return {"kind": FileWrite.Kind.RATING, "rating": undo_rating(photo, user)}
