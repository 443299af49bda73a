"""The owner's favourites mirror the ratings of a library's photos."""

from collections.abc import Sequence
from uuid import UUID

from catalog.models import Favourite, Library, Photo


def mirror_for_owner(library: Library, photo_ids: Sequence[UUID]) -> None:
    """Make the owner's favourites of these photos what their ratings say, so that lists of favourites ask one table."""
    found = Photo.objects.filter(pk__in=photo_ids, rating__gte=1).values_list("pk", "rating")
    rated: dict[UUID, int] = {key: stars for key, stars in found if stars}
    own = Favourite.objects.filter(user_id=library.owner_id)
    own.filter(photo__in=photo_ids).exclude(photo__in=list(rated)).delete()
    known = dict(own.filter(photo__in=list(rated)).values_list("photo_id", "rating"))
    Favourite.objects.bulk_create(
        [
            Favourite(user_id=library.owner_id, photo_id=key, rating=stars)
            for key, stars in rated.items()
            if known.get(key) != stars
        ],
        update_conflicts=True,
        unique_fields=["user", "photo"],
        update_fields=["rating", "changed_at"],
    )


def mirror_read_stars(library: Library, read: Sequence[tuple[UUID, int | None]]) -> None:
    """Show what files said as the owner's stars: photos and their ratings as read. Most have none and had none."""
    ids = [key for key, _ in read]
    starred = set(Favourite.objects.filter(user=library.owner_id, photo__in=ids).values_list("photo", flat=True))
    concerned = [key for key, stars in read if stars or key in starred]
    if concerned:
        mirror_for_owner(library, concerned)
