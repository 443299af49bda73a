"""Rate photos: the one way in which a photo's own stars, which belong into its file, are changed.

The stars of a library's owner are the photo's rating; other people's favourites are their own and never touch a file
(`favourites`). Members who may edit can change the photo's rating, too.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from catalog.edits.favourites import FULL, FavouriteAnswer, check_stars, note_favourites
from catalog.entries import counts
from catalog.entries.folder_comparison import is_doubted
from catalog.entries.last_read import stars_last_read
from catalog.entries.owner_stars import mirror_for_owner
from catalog.entries.pending_writes import start_writing
from catalog.files.queue import retarget, want_in_catalog_only
from catalog.history.given_since import moment_of_a_wish
from catalog.models import Favourite, FileWrite, Library, Photo, QueuedStar
from changes.fields import touched_in
from changes.types import scope_name
from operations.database_conflicts import retried_on_conflict

_OPEN = [state.value for state in FileWrite.OPEN]


def set_rating(user: User, photo: Photo | UUID, stars: int) -> FavouriteAnswer:
    """Give the photo, which the caller found changeable for `user`, `stars` from 0 to 5; 0 takes the rating away.

    The catalog says so at once; the file follows as the library's setting wants it. Raises ValueError for other numbers,
    Photo.DoesNotExist if it is gone.
    """
    check_stars(stars)
    photo_id = photo.pk if isinstance(photo, Photo) else photo
    if not set_ratings(user, [photo_id], stars):
        raise Photo.DoesNotExist
    return FavouriteAnswer(photo_id, stars)


@retried_on_conflict
def toggle_rating(user: User, photo_id: UUID) -> FavouriteAnswer:
    """Turn any stars of the photo into none, and none into five; two at once end as two in a row would.

    What counts is what its owner sees: a click on a hollow star always gives five.
    """
    with transaction.atomic():
        photo = Photo.objects.select_for_update().get(pk=photo_id)
        is_seen = Favourite.objects.filter(photo=photo, user__libraries=photo.library_id).exists()
        return set_rating(user, photo, 0 if is_seen else FULL)


@retried_on_conflict
def set_ratings(user: User, photo_ids: Sequence[UUID], stars: int) -> list[UUID]:
    """Give all these photos, which the caller found changeable for `user`, `stars`; return which there are.

    A row that is gone by now, because a scan found it to be another photo's, got nothing. One transaction: all or none of
    them are rated, and what is to be written into files is in the queue by then.
    """
    check_stars(stars)
    with transaction.atomic():
        rows = Photo.objects.select_for_update(of=("self",)).filter(pk__in=photo_ids).select_related("library")
        photos = list(rows.order_by("pk"))
        by_library: dict[Library, list[Photo]] = defaultdict(list)
        for photo in photos:
            by_library[photo.library].append(photo)
        for library, own in sorted(by_library.items(), key=lambda one: one[0].pk):
            _rate(library, own, user, stars)
    return [photo.pk for photo in photos]


def _rate(library: Library, photos: list[Photo], user: User, stars: int) -> None:
    into_files = library.writes_ratings
    open_writes = {
        write.photo_id: write
        for write in FileWrite.objects.select_for_update()
        .filter(photo__in=photos, kind=FileWrite.Kind.RATING, state__in=_OPEN)
        .order_by("pk")
        .defer("undo_delta")
    }
    held: list[UUID] = []
    free: list[UUID] = []
    new: list[FileWrite] = []
    for photo in photos:
        write = open_writes.get(photo.pk)
        if not into_files:
            if write is not None:
                want_in_catalog_only(write, {"rating": stars}, user)
            held.append(photo.pk)
        elif write is not None:
            (free if _retarget(write, photo, stars, user) else held).append(photo.pk)
        elif not _is_said_by_file(photo) or (photo.rating or 0) != stars:
            new.append(_intent(library, photo, user, stars))
            held.append(photo.pk)
        else:
            free.append(photo.pk)
    queue_stars(library, user, photos, stars)
    of_these = Photo.objects.filter(library=library)
    now = moment_of_a_wish(library)
    of_these.filter(pk__in=held).update(rating=stars or None, rating_held=True, rated_at=now)
    of_these.filter(pk__in=free).update(rating=stars or None, rating_held=False, rated_at=now)
    mirror_for_owner(library, [photo.pk for photo in photos])
    note_stars(library, [photo.pk for photo in photos], user)
    counts.bump_revision(library)
    FileWrite.objects.bulk_create(new)
    if into_files:
        transaction.on_commit(lambda: start_writing(library, user))


def note_stars(library: Library, photo_ids: Sequence[UUID], user: User) -> None:
    """Note who gave the photos' stars last, which are their owner's favourites, too. Call it in the transaction."""
    touched_in("photo", scope_name("library", library.pk), photo_ids, ["rating"], user=user.pk)
    note_favourites(library.owner_id, photo_ids, user)


def _intent(library: Library, photo: Photo, user: User, stars: int) -> FileWrite:
    return FileWrite(
        library=library,
        photo=photo,
        user=user,
        kind=FileWrite.Kind.RATING,
        wanted={"rating": stars},
        previous={"rating": photo.rating or 0} if _is_said_by_file(photo) else {},
        is_sidecar=library.ratings == Library.Ratings.SIDECAR,
        try_at=timezone.now(),
    )


def _is_said_by_file(photo: Photo) -> bool:
    """True if the row's stars are those of the file: nobody gave others, and it needs not be read (again) to know them.

    After a restore the rows say what a snapshot said. Who takes stars away that the row has not may take them from the file.
    """
    return not photo.rating_held and not photo.needs_digest and not is_doubted(photo.sidecars)


def _retarget(write: FileWrite, photo: Photo, stars: int, user: User) -> bool:
    """Let an open write want other stars; return True if the file has them already, so that nothing is to be written.

    Only what no worker ever had in hand is known to be in no file: the last one may have got further than it could tell.
    And another program may have given the file other stars since: the metadata tell what was read last.
    """
    is_known = write.claim_token == 0 and not photo.needs_digest and not is_doubted(photo.sidecars)
    if is_known and write.previous.get("rating") == stars == stars_last_read(photo):
        write.state, write.finished_at = FileWrite.State.SUPERSEDED, timezone.now()
        write.save(update_fields=["state", "finished_at"])
        return True
    retarget(write, {"rating": stars}, user)
    return False


def queue_stars(library: Library, user: User, photos: Iterable[Photo], stars: int) -> None:
    """Record in the star queue which photos get their first star or lose their last; `photos` say what was before."""
    rows = [
        QueuedStar(
            library=library,
            user=user,
            photo_md5=photo.photo_md5,
            fast_photo_key=photo.fast_photo_key,
            operation=QueuedStar.Operation.STAR if stars else QueuedStar.Operation.UNSTAR,
        )
        for photo in photos
        if bool(photo.rating) != bool(stars)
    ]
    unique = {row.fast_photo_key: row for row in sorted(rows, key=lambda row: row.fast_photo_key)}
    earlier = QueuedStar.objects.filter(library=library, fast_photo_key__in=list(unique))
    held = earlier.select_for_update().order_by("fast_photo_key").values_list("pk", flat=True)
    QueuedStar.objects.filter(pk__in=list(held)).delete()  # the last action wins
    QueuedStar.objects.bulk_create(
        unique.values(),  # copies of one content share a row, also where two people star two of them at once
        update_conflicts=True,
        unique_fields=["library", "fast_photo_key"],
        update_fields=["user", "photo_md5", "operation", "queued_at"],
    )


__all__ = [
    "queue_stars",
    "set_rating",
    "set_ratings",
    "toggle_rating",
]
