"""Names that were exchanged, or given to another file: the photo keeps its identity, the name gets another one.

A scan sees `a.jpg` and `b.jpg` change when somebody swapped them, or when a camera began to count anew after its photos
were filed elsewhere. Each row remembers the photo MD5 that was replaced in it until the digests are known; then it is
followed to where that content is now.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F

from catalog.entries.folder_comparison import UNREAD
from catalog.entries.last_read import rating_in
from catalog.entries.owner_stars import mirror_for_owner
from catalog.entries.rows import TAKEN_COLUMNS, free_id
from catalog.entries.taken import taken_columns
from catalog.identity.aliases import current_md5, note_aliases
from catalog.identity.wishes import Wishes, try_waiting_again
from catalog.models import Alias, FileWrite, HashCache, Library, Photo, PhotoMetadata
from catalog.models.conditions import is_given
from catalog.models.photo import PhotoQuerySet

CONTENT_FIELDS = [
    field.attname
    for field in Photo._meta.concrete_fields
    if field.attname
    not in {
        "id",
        "library_id",
        "added_at",
        "claim_token",
        "claimed_for",
        "claimed_until",
        "replaced_md5",
        "replaced_image",
        "rating_held",
        "rated_at",
        "taken_held",
        "dated_at",
        "caption_held",
        "captioned_at",
        "keywords_held",
        "keyworded_at",
        "place_held",
        "placed_at",
    }
]
_PLACE = ("directory", "filename")
MOST_NAMED = 500


def content_for(photo: Photo, place: Photo, body: str = "") -> dict[str, Any]:
    """Return the columns of the content at `place` for the row of `photo`, but for what its file has not yet.

    `body` is the metadata of that content: what people gave to the row at `place` is no word of the file there.
    """
    values = {name: getattr(place, name) for name in CONTENT_FIELDS}
    if photo.rating_held:
        del values["rating"]
    elif place.rating_held:
        values["rating"] = rating_in(body)
        if place.sidecars:  # it may have a word to say, too
            values["sidecars"] = UNREAD
    if photo.taken_held or place.taken_held:
        for name in TAKEN_COLUMNS:
            del values[name]
    if photo.caption_held or place.caption_held:
        del values["caption"]
    if photo.keywords_held or place.keywords_held:
        del values["keywords"]
    if photo.place_held or place.place_held:
        del values["latitude"], values["longitude"]
    helds = ("taken_held", "caption_held", "keywords_held", "place_held")
    is_unknown = any(getattr(place, held) and not getattr(photo, held) for held in helds)
    if is_unknown and (photo.replaced_md5 or photo.photo_md5 != place.photo_md5):
        values["sidecars"] = UNREAD  # nobody knows what the file says: the next scan reads it again
    return values


def _new_in(place: Photo) -> dict[str, Any]:
    """Return the columns of a photo to which nobody gave anything, in the place of one to which somebody may have."""
    values: dict[str, Any] = {"rating_held": False, "rated_at": None, "taken_held": False, "dated_at": None}
    values |= {"caption_held": False, "captioned_at": None, "keywords_held": False, "keyworded_at": None}
    values |= {"place_held": False, "placed_at": None}
    if place.taken_held:
        values |= taken_columns(None, None, None, "")
    if place.caption_held:
        values["caption"] = ""
    if place.keywords_held:
        values["keywords"] = []
    if place.place_held:
        values |= {"latitude": None, "longitude": None}
    return values


def follow_replaced(
    library: Library, missing: PhotoQuerySet, added: PhotoQuerySet, started_at: datetime, count: Callable[..., None]
) -> int:
    """Lead photos whose content was replaced, and missing ones, to where their content is now.

    `count` is called in the transaction of each chain of moves, with what it did. Returns how many chains were left to the
    next scan, because a writer has one of their files in hand.
    """
    here = _marked(library)
    if here is None:
        return 0
    _keep_edited(library, here, count)
    replaced = here.exclude(state=Photo.State.MISSING).exclude(replaced_md5=F("photo_md5"))
    postponed: list[list[UUID]] = []
    if replaced.exists():
        own = {
            key: (old, new)
            for key, old, new in replaced.order_by(*_PLACE).values_list("pk", "replaced_md5", "photo_md5")
        }
        own = _as_it_is_now(library, own)
        holders, places = defaultdict(list), defaultdict(list)
        for key, (old, new) in own.items():
            holders[old].append(key)
            places[new].append(key)
        for groups, others, wanted in ((holders, missing, list(places)), (places, added, list(holders))):
            for start in range(0, len(wanted), MOST_NAMED):
                found = others.filter(photo_md5__in=wanted[start : start + MOST_NAMED]).order_by()
                # Sorted here: for the order of the paths SQLite would go through the whole library.
                for _, _, key, md5 in sorted(found.values_list(*_PLACE, "pk", "photo_md5")):
                    if key not in own:
                        groups[md5].append(key)
        for chain, is_cycle in chains(holders, places, set(own)):
            with transaction.atomic():
                done = _shift(library, chain, is_cycle, started_at)
                if done is None:
                    postponed.append(chain)
                else:
                    count(**done)
    with transaction.atomic():
        left = here.exclude(pk__in=[key for chain in postponed for key in chain]) if postponed else here
        if left.update(replaced_md5="", replaced_image=""):
            count()
    return len(postponed)


def _as_it_is_now(library: Library, own: dict[UUID, tuple[str, str]]) -> dict[UUID, tuple[str, str]]:
    """Return the replaced content of each photo as it is since something was written into it, after it was found elsewhere.

    Also if the writer died before it told so, and the file was moved then.
    """
    became: dict[str, str] = {}
    announced = FileWrite.objects.filter(photo__in=list(own)).exclude(new_md5="")
    announced = announced.exclude(state__in=[FileWrite.State.DONE, FileWrite.State.UNDONE])
    for key, new_md5 in announced.order_by("created_at").values_list("photo", "new_md5"):
        if own[key][1] != new_md5:
            became[own[key][0]] = current_md5(library, new_md5)
    olds = sorted({old for old, _ in own.values()})
    for start in range(0, len(olds), MOST_NAMED):
        known = Alias.objects.filter(library=library, old_md5__in=olds[start : start + MOST_NAMED])
        became |= {old: current_md5(library, old) for old in known.values_list("old_md5", flat=True)}
    there = Photo.objects.filter(library=library, photo_md5__in=became).exclude(state=Photo.State.MISSING)
    for old in set(there.values_list("photo_md5", flat=True)):
        del became[old]  # content that another photo still has
    return {key: (became.get(old, old), new) for key, (old, new) in own.items()}


def _marked(library: Library) -> PhotoQuerySet | None:
    """Return the photos whose content was replaced by other content; None if there are none at all.

    They are few, so they are named: SQLite reads the whole library where it is told that, too.
    """
    marked = Photo.objects.filter(is_given("replaced_md5")).order_by().values_list("pk", "library_id")
    some = list(marked[: MOST_NAMED + 1])
    if len(some) > MOST_NAMED:
        here = Photo.objects.filter(library=library)
    else:
        keys = [key for key, library_id in some if library_id == library.pk]
        if not keys:
            return None
        here = Photo.objects.filter(pk__in=keys)
    return here.exclude(replaced_md5="").exclude(photo_md5="")


def _keep_edited(library: Library, here: PhotoQuerySet, count: Callable[..., None]) -> None:
    """Let photos whose files got other words, but hold the same picture, be what they were; note what their content became."""
    edited = (
        here.exclude(replaced_image="").filter(replaced_image=F("image_digest")).exclude(replaced_md5=F("photo_md5"))
    )
    became = list(edited.values_list("pk", "replaced_md5", "photo_md5"))
    for start in range(0, len(became), 500):
        part = became[start : start + 500]
        with transaction.atomic():
            note_edits(library, [(old, new) for _, old, new in part])
            Photo.objects.filter(pk__in=[key for key, _, _ in part]).update(replaced_md5="", replaced_image="")
            count()


def note_edits(library: Library, changes: Sequence[tuple[str, str]]) -> None:
    """Note aliases from old to new photo MD5, but for content that another photo still has."""
    still_there = Photo.objects.filter(library=library, photo_md5__in=[old for old, _ in changes])
    kept = set(still_there.exclude(state=Photo.State.MISSING).values_list("photo_md5", flat=True))
    note_aliases(library, [(old, new) for old, new in changes if old not in kept])


def chains(
    holders: dict[str, list[UUID]], places: dict[str, list[UUID]], replaced: set[UUID]
) -> Iterable[tuple[list[UUID], bool]]:
    """Return lists of photos, each of which takes the place of the next; the last of a cycle that of the first. Pure.

    `holders` and `places` give the photos that had, and the places that now have, the content of an MD5. A photo of
    `replaced` gives up its place only if it finds another.
    """
    next_of = {
        holder: place
        for md5 in sorted(holders)
        for holder, place in zip(holders[md5], places.get(md5, []), strict=False)
    }
    homeless = True
    while homeless:
        homeless = [holder for holder, place in next_of.items() if place in replaced and place not in next_of]
        for holder in homeless:
            del next_of[holder]
    taken = set(next_of.values())
    for first in [holder for holder in next_of if holder not in taken]:
        yield _walk(next_of, first), False
    while next_of:
        yield _walk(next_of, next(iter(next_of))), True


def _walk(next_of: dict[UUID, UUID], first: UUID) -> list[UUID]:
    chain = [first]
    while (place := next_of.pop(chain[-1], None)) is not None and place != first:
        chain.append(place)
    return chain


def _shift(library: Library, keys: list[UUID], is_cycle: bool, started_at: datetime) -> dict[str, int] | None:
    """Let each photo of a chain take the place of the next; return what to count, None if a writer has one in hand.

    What people gave to a photo that was found, and is new, they gave to the one that takes its place.
    """
    held = Photo.objects.select_for_update(of=("self",)).filter(pk__in=keys).order_by("pk")
    photos = {photo.pk: photo for photo in held}
    wishes = Wishes.of(keys)
    if len(photos) < len(keys) or any(wishes.is_being_written(photo) for photo in photos.values()):
        return None
    stars = {key: photo.rating for key, photo in photos.items()}
    rated: list[UUID] = []
    bodies = dict(PhotoMetadata.objects.filter(photo_id__in=keys).values_list("photo_id", "body"))
    first, last = photos[keys[0]], photos[keys[-1]]
    place_of = dict(pairwise(keys))
    own: dict[UUID, dict[str, Any]] = {}
    counts = {"moved": len(keys) - 1, "moved_changed": sum(bool(photo.replaced_md5) for photo in photos.values())}
    if is_cycle:
        counts["moved"] = len(keys)
        place_of[last.pk] = first.pk
    else:
        own[keys[-2]] = wishes.lead(library, last, photos[keys[-2]])
        if first.state == Photo.State.MISSING:
            counts["moved_gone"] = int(first.missing_since == started_at)
            counts["moved_added"] = int(last.added_at == started_at)
            last.delete()
            HashCache.objects.filter(library_id=first.library_id, path=first.path).delete()
        else:  # new here, and so is what is in the first one's place now
            last.rating_held = last.taken_held = last.caption_held = last.keywords_held = last.place_held = False
            own[last.pk] = _new_in(first)
            if last.added_at == started_at:
                place_of[last.pk] = first.pk
            else:  # but people may know it since an earlier scan: its id is not given to another photo
                newcomer = Photo(id=free_id(library.pk, first), library=library, added_at=started_at)
                own[newcomer.pk] = own.pop(last.pk)
                Photo.objects.filter(pk=last.pk).delete()
                photos[newcomer.pk], stars[newcomer.pk] = newcomer, None
                place_of[newcomer.pk] = first.pk
    known = [key for key in place_of if photos[key].filename]
    for key in known:
        Photo.objects.filter(pk=key).update(filename=f"{photos[key].filename}/{key}")  # no file can be called that
    PhotoMetadata.objects.filter(photo_id__in=keys).delete()
    for key, place in place_of.items():
        values = {**content_for(photos[key], photos[place], bodies.get(place, "")), **own.get(key, {})}
        if values.get("rating", stars[key]) != stars[key]:
            rated.append(key)
        if key in known:
            Photo.objects.filter(pk=key).update(**values, replaced_md5="", replaced_image="")
        else:
            Photo.objects.create(id=key, library=library, added_at=started_at, **values)
        if place in bodies:
            PhotoMetadata.objects.create(photo_id=key, body=bodies[place])
    try_waiting_again(library, list(place_of))
    mirror_for_owner(library, rated)
    return counts
