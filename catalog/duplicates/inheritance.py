"""What people gave to copies that go is filled into the one that stays, where it has none; and taken back again.

Nothing is overwritten that a person gave to the kept copy, and nothing leaves the others: it comes back with them. What a
person said counts before what a file says, as equal files say the same. Whose albums, notes and favourites they are does not
matter: each stays its person's, who sees the kept copy there if they may see it at all.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction

from accounts.models import User
from catalog.albums.copies import give_places_back, take_places
from catalog.edits.captions import set_captions, undo_caption
from catalog.edits.dates import Setting, date_columns, plan, put_date_back, set_dates
from catalog.edits.favourites import give_favourites_back, take_favourites
from catalog.edits.keywords import change_keywords
from catalog.edits.places import set_places
from catalog.edits.ratings import set_ratings
from catalog.edits.undo import undo_rating
from catalog.entries.row_locks import hold_photos
from catalog.files.queue import NothingToUndo, last_done
from catalog.models import Favourite, FileWrite, Photo
from operations.database_conflicts import retried_on_conflict
from photolala.lib.captions import is_caption
from photolala.lib.keywords import is_keyword
from photolala.lib.places import are_near, is_known

NOT_YOURS = "The copy that was kept is not yours to change any more: it keeps what it took over."
_EARLIEST = datetime.min.replace(tzinfo=UTC)
Record = dict[str, Any]
"""What came from one photo, as the trash keeps it: `kept` (an id), and as far as there is something `places`, `favourites`,
`rating`, `caption`, `keywords`, `place`, `date`."""


class _Word(NamedTuple):
    """What one copy says of one matter: whether a person gave it, and when."""

    value: Any
    is_given: bool
    moment: datetime | None


@retried_on_conflict
def take_over(user: User, keep_id: UUID, gone: Sequence[UUID]) -> dict[UUID, Record]:
    """Fill what the photo `keep_id` lacks from its equals `gone`; return by photo what came from it, for `give_back`.

    The caller found that `user` may change all of them. One transaction. Raises Photo.DoesNotExist.
    """
    with transaction.atomic():
        hold_photos([keep_id, *gone])
        found = Photo.objects.select_related("library").in_bulk([keep_id, *gone])
        if keep_id not in found:
            raise Photo.DoesNotExist
        kept = found.pop(keep_id)
        others = [found[key] for key in gone if key in found]
        taken: dict[UUID, Record] = defaultdict(lambda: {"kept": str(keep_id)})
        for key, places in take_places(kept, list(found)).items():
            taken[key]["places"] = places
        for key, people in take_favourites(user, kept, list(found)).items():
            taken[key]["favourites"] = people
        for fill in (_fill_rating, _fill_caption, _fill_keywords, _fill_place, _fill_date):
            fill(user, kept, others, taken)
    return dict(taken)


def _fill_rating(user: User, kept: Photo, others: Sequence[Photo], taken: dict[UUID, Record]) -> None:
    """The stars of the library's owner at another copy count as that copy's own."""
    stars = Favourite.objects.filter(user=kept.library.owner_id, photo__in=[other.pk for other in others])
    owners = dict(stars.values_list("photo", "rating"))

    def word(photo: Photo) -> _Word:
        is_given = photo.rating_held or photo.rated_at is not None or photo.pk in owners
        return _Word(owners.get(photo.pk) or photo.rating or 0, is_given, photo.rated_at)

    own = _Word(kept.rating or 0, kept.rating_held or kept.rated_at is not None, kept.rated_at)
    source = _source(kept, own, [(other, word(other)) for other in others])
    if source is not None:
        value = word(source).value
        set_ratings(user, [kept.pk], value)
        taken[source.pk]["rating"] = {"given": value, "before": kept.rating or 0}


def _fill_caption(user: User, kept: Photo, others: Sequence[Photo], taken: dict[UUID, Record]) -> None:
    def word(photo: Photo) -> _Word:
        value = photo.caption if is_caption(photo.caption) else ""
        return _Word(value, photo.caption_held or photo.captioned_at is not None, photo.captioned_at)

    source = _source(kept, word(kept), [(other, word(other)) for other in others])
    if source is not None:
        set_captions(user, {kept.pk: source.caption})
        taken[source.pk]["caption"] = {"given": source.caption, "before": kept.caption}


def _fill_keywords(user: User, kept: Photo, others: Sequence[Photo], taken: dict[UUID, Record]) -> None:
    """Lists of several people become one; what a person took from the kept copy does not come back from a file."""

    def is_given(photo: Photo) -> bool:
        return photo.keywords_held or photo.keyworded_at is not None

    words = list(kept.keywords)
    for other in others:
        added = [word for word in other.keywords if word not in words and is_keyword(word)]
        if added and (is_given(other) or not is_given(kept)):
            done, _ = change_keywords(user, [kept.pk], added)
            if done:
                words += added
                taken[other.pk]["keywords"] = {"given": added}


def _fill_place(user: User, kept: Photo, others: Sequence[Photo], taken: dict[UUID, Record]) -> None:
    def word(photo: Photo) -> _Word:
        place = _place_of(photo)
        value = place if place is not None and is_known(*place) else None
        return _Word(value, photo.place_held or photo.placed_at is not None, photo.placed_at)

    source = _source(kept, word(kept), [(other, word(other)) for other in others])
    if source is not None:
        set_places(user, {kept.pk: _place_of(source)})
        taken[source.pk]["place"] = {"given": _place_of(source), "before": _place_of(kept)}


def _place_of(photo: Photo) -> tuple[float, float] | None:
    return None if photo.latitude is None or photo.longitude is None else (photo.latitude, photo.longitude)


def _fill_date(user: User, kept: Photo, others: Sequence[Photo], taken: dict[UUID, Record]) -> None:
    """The time of a file says nothing of when the photo was taken: it is no date."""

    def word(photo: Photo) -> _Word:
        value = (photo.taken_local, photo.taken_offset_minutes) if photo.taken_source not in ("", "file") else ()
        return _Word(value, photo.taken_held or photo.dated_at is not None, photo.dated_at)

    source = _source(kept, word(kept), [(other, word(other)) for other in others])
    if source is None:
        return
    local = source.taken_local.replace(tzinfo=None)
    (planned,) = plan([kept], Setting(local, source.taken_offset_minutes))
    if not planned.problem:
        set_dates(user, [planned])
        taken[source.pk]["date"] = {"given": local.isoformat(), "before": date_columns(kept)}


def _source(kept: Photo, own: _Word, others: Sequence[tuple[Photo, _Word]]) -> Photo | None:
    """Return whose word is to be filled in: what a person gave last, else what any has; None if that of the kept one stands.

    What the kept one's file says gives way only to what a person gave to an equal file: a similar picture is another one, of
    another moment and with words of its own. What a person took from the kept one does not come back from a file.
    """
    fitting = [
        (word.is_given, word.moment or _EARLIEST, photo)
        for photo, word in others
        if word.value
        and word.value != own.value
        and (
            (word.is_given and not own.is_given and photo.photo_md5 == kept.photo_md5)
            if own.value
            else (word.is_given or not own.is_given)
        )
    ]
    return max(fitting, key=lambda one: one[:2])[2] if fitting else None


def give_back(user: User, to: UUID, record: Record) -> list[str]:
    """Undo `take_over` for what came from the photo `to`, where it is still so; return sentences on what stays."""
    kept_id = UUID(record["kept"])
    problems = []
    with transaction.atomic():
        hold_photos([kept_id, to])
        kept = Photo.objects.filter(pk=kept_id).select_related("library").first()
        if kept is None:
            return []
        if not Photo.objects.editable_by(user).filter(pk=kept_id).exists():
            return [NOT_YOURS]
        give_places_back(kept_id, to, record.get("places", {}))
        give_favourites_back(user, kept_id, to, record.get("favourites", []))
        for put_back in (_put_rating_back, _put_caption_back, _put_keywords_back, _put_place_back, _put_date_back):
            try:
                with transaction.atomic():
                    put_back(user, kept, record)
            except NothingToUndo as stays:
                problems.append(f"{kept.filename}: {stays}")
    return problems


def _put_rating_back(user: User, kept: Photo, record: Record) -> None:
    told = record.get("rating")
    if told is None or (kept.rating or 0) != told["given"]:
        return
    if _is_written(kept, FileWrite.Kind.RATING, told["given"]):
        undo_rating(kept, user)
    else:
        set_ratings(user, [kept.pk], told["before"])


def _put_caption_back(user: User, kept: Photo, record: Record) -> None:
    told = record.get("caption")
    if told is None or kept.caption != told["given"]:
        return
    if _is_written(kept, FileWrite.Kind.CAPTION, told["given"]):
        undo_caption(kept, user)
    else:
        set_captions(user, {kept.pk: told["before"]})


def _put_keywords_back(user: User, kept: Photo, record: Record) -> None:
    if told := record.get("keywords"):
        change_keywords(user, [kept.pk], remove=told["given"])


def _put_place_back(user: User, kept: Photo, record: Record) -> None:
    told = record.get("place")
    if told is not None and are_near(_place_of(kept), told["given"]):
        set_places(user, {kept.pk: told["before"] and (told["before"][0], told["before"][1])})


def _put_date_back(user: User, kept: Photo, record: Record) -> None:
    told = record.get("date")
    if told is not None and kept.taken_local.replace(tzinfo=None).isoformat() == told["given"]:
        put_date_back(user, kept.pk, told["before"])


def _is_written(photo: Photo, kind: FileWrite.Kind, given: object) -> bool:
    write = last_done(photo, kind)
    return write is not None and write.wanted.get(kind.value) == given
