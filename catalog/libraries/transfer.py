"""Give a library another owner: their stars are the photos' ratings from then on."""

from collections import defaultdict
from uuid import UUID

from django.db import transaction

from accounts.models import User
from catalog.albums.shown import refresh_library
from catalog.edits.ratings import set_ratings
from catalog.entries.owner_stars import mirror_for_owner
from catalog.models import Favourite, Library, Membership, Photo
from catalog.roots.folders import LibraryRefused
from changes import scopes

BATCH = 1000


def transfer(library: Library, user: User) -> Library:
    """Make `user` the owner of the library and the one before an editor of it; return it as it is then.

    What the photos' files say stands and is shown as the new owner's stars; a favourite of theirs on a photo without a rating
    becomes its rating. Who may do it is the caller's to check. Raises LibraryRefused; then nothing was changed.
    """
    check_transfer(library, user)
    with transaction.atomic():
        locked = Library.objects.select_for_update().select_related("owner").get(pk=library.pk)
        before = locked.owner
        if before.pk == user.pk:
            return locked
        locked.owner = user
        locked.save(update_fields=["owner"])
        Membership.objects.filter(library=locked, user=user).delete()
        scopes.begin_for(scopes.scope_name("library", locked.pk), [user])
        Membership.objects.update_or_create(library=locked, user=before, defaults={"role": Membership.Role.EDITOR})
        refresh_library(locked, user)
        _become_ratings(locked, user)
        rated = Photo.objects.filter(library=locked, rating__gte=1).order_by("pk").values_list("pk", flat=True)
        keys = list(rated)
        for start in range(0, len(keys), BATCH):
            mirror_for_owner(locked, keys[start : start + BATCH])
    return locked


def check_transfer(library: Library, user: User) -> None:
    """Raise LibraryRefused if the library cannot be that person's."""
    if library.source == "device":
        raise LibraryRefused("What is on a phone belongs to the phone's owner. Nothing was changed.")
    if not user.is_active:
        raise LibraryRefused(f"{user.get_username()} cannot sign in. Nothing was changed.")


def _become_ratings(library: Library, user: User) -> None:
    own = Favourite.objects.filter(user=user, photo__library=library, photo__rating=None)
    by_stars: dict[int, list[UUID]] = defaultdict(list)
    for key, stars in own.order_by("photo").values_list("photo", "rating"):
        by_stars[stars].append(key)
    for stars, keys in by_stars.items():
        for start in range(0, len(keys), BATCH):
            set_ratings(user, keys[start : start + BATCH], stars)
