"""What a photo's file said when it was last read, as its metadata keep it, whatever people gave to the photo since."""

import json
from contextlib import suppress

from catalog.models import Photo, PhotoMetadata


def rating_in(body: str) -> int | None:
    """Return the stars that metadata JSON tells; None for none, and for what is no such JSON."""
    with suppress(ValueError, RecursionError):
        told = json.loads(body) if body else None
        rating = told.get("rating") if isinstance(told, dict) else None
        return rating if type(rating) is int and 0 <= rating <= 5 else None
    return None


def stars_last_read(photo: Photo) -> int | None:
    """Return the stars that the photo's file said when it was last read, 0 for none; None if that is not known."""
    body = PhotoMetadata.objects.filter(photo=photo).values_list("body", flat=True).first()
    return (rating_in(body) or 0) if body else None
