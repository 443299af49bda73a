"""Keep one of several files with the same bytes, or some of similar pictures: the others go into the trash, once it is proven
that what is kept is there."""

import os
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from accounts.models import User
from catalog.duplicates.inheritance import Record, give_back, take_over
from catalog.files import trash
from catalog.models import FileWrite, Library, Photo, TrashItem
from catalog.models.photo import IS_SURE
from catalog.roots.reach import source_for
from photolala.lib.digests import md5_of_descriptor

LARGEST_READ_BYTES = 256 * 1024 * 1024
"""What is larger, a file or several together, is believed by size and time: a request is not to last for minutes."""
PATIENCE_SECONDS = 10.0
"""So long it is waited for what is written into the kept file."""
NOT_THERE = "The copy that was to be kept is not there as it was scanned. Scan its library, then try again."


@dataclass
class Kept:
    """What became of copies: how many went into the trash, those items, and sentences on what did not."""

    count: int = 0
    items: list[dict[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def keep_one(user: User, keep_id: UUID, photo_md5: str, *, most: int = trash.MOST_AT_ONCE) -> Kept:
    """Move all copies of `keep_id` that `user` may change into the trash, at most `most`; that one stays.

    What the others were given goes over to it before (`inheritance`). Nothing happens if it is not theirs to change, is not a
    file of that content, or cannot be read now. What is on a phone, or known from a catalog only, is no copy. Should the kept
    file turn out to be gone afterwards (somebody deleted it meanwhile, or both are one file by two ways), the others are
    brought back.
    """
    copies = Photo.objects.editable_by(user).filter(IS_SURE, photo_md5=photo_md5).exclude(state=Photo.State.REMOTE)
    keep = copies.filter(pk=keep_id).select_related("library").first() if photo_md5 else None
    if keep is None:
        return Kept(problems=["There is no such copy that you may change. Nothing was changed."])
    if not _is_there(keep, is_read=keep.size_bytes <= LARGEST_READ_BYTES):
        return Kept(problems=[f"{keep.filename}: {NOT_THERE} Nothing was changed."])
    others = list(copies.exclude(pk=keep_id).order_by("pk").values_list("pk", flat=True)[:most])
    if not others:
        return Kept(problems=[f"{keep.filename} has no other copy that you may change."])
    return _trash_others(user, [keep], others)


def keep_some(user: User, keep_ids: Sequence[UUID], gone_ids: Sequence[UUID]) -> Kept:
    """Keep these of several similar pictures, and move the others, `gone_ids`, into the trash. All must be `user`'s to change.

    The first of `keep_ids` takes over what the others were given and it lacks. Nothing happens if one that is kept cannot be
    read now; as with `keep_one` the others are brought back should one turn out to be gone afterwards.
    """
    able = Photo.objects.editable_by(user).filter(IS_SURE).exclude(state=Photo.State.REMOTE).select_related("library")
    kept = [found for found in (able.filter(pk=key).first() for key in dict.fromkeys(keep_ids)) if found is not None]
    gone = [key for key in dict.fromkeys(gone_ids) if key not in keep_ids]
    there = set(able.filter(pk__in=gone).values_list("pk", flat=True))
    if not kept or not gone or len(kept) < len(set(keep_ids)) or len(there) < len(gone):
        return Kept(problems=["Not all of these pictures are there and yours to change. Nothing was changed."])
    left = LARGEST_READ_BYTES
    for keep in kept:
        is_read = keep.size_bytes <= left
        left -= keep.size_bytes if is_read else 0
        if not _is_there(keep, is_read=is_read):
            return Kept(problems=[f"{keep.filename}: {NOT_THERE} Nothing was changed."])
    return _trash_others(user, kept, gone)


def _trash_others(user: User, kept: Sequence[Photo], others: Sequence[UUID]) -> Kept:
    """Move `others` into the trash, after the first of `kept` took over what they were given; and back if one is gone then."""
    try:
        taken = take_over(user, kept[0].pk, others)
    except Photo.DoesNotExist:
        return Kept(problems=[f"{kept[0].filename}: {NOT_THERE} Nothing was changed."])
    done = trash.trash_photos(user, others)
    _settle(user, taken, [UUID(item["id"]) for item in done.items])
    lost = [keep.filename for keep in kept if not _is_still_there(keep)] if done.items else []
    if lost:
        problems = undo(user, done.items).problems
        return Kept(problems=[f"{lost[0]}: {NOT_THERE} The others were brought back.", *problems])
    return Kept(done.count, done.items, [error["error"] for error in done.errors])


def _settle(user: User, taken: dict[UUID, Record], item_ids: list[UUID]) -> None:
    """Note in the trash what came from each, and give back what came from those that did not go there."""
    for item_id, photo_id in list(TrashItem.objects.filter(pk__in=item_ids).values_list("pk", "photo")):
        if photo_id in taken:
            TrashItem.objects.filter(pk=item_id).update(handed_over=taken.pop(photo_id))
    for photo_id, record in taken.items():
        give_back(user, photo_id, record)


def undo(user: User, items: list[dict[str, str]]) -> Kept:
    """Bring back what went into the trash; `items` are those of `keep_one`. The kept one gives back what came from them.

    What is not there, or not theirs, is told.
    """
    kept = Kept()
    for library_id in dict.fromkeys(item["library"] for item in items):
        library = Library.objects.editable_by(user).filter(pk=library_id).first()
        if library is None:
            kept.problems.append("One of these libraries is not yours to change any more.")
            continue
        keys = [UUID(one["id"]) for one in items if one["library"] == library_id]
        try:
            done, stays = restore_items(user, library, keys)
        except trash.TrashRefused as refused:
            kept.problems.append(str(refused))
            continue
        kept.count += done.count
        kept.problems += [*stays, *(error["error"] for error in done.errors)]
    return kept


def restore_items(user: User, library: Library, item_ids: Sequence[UUID]) -> tuple[trash.Done, list[str]]:
    """Put photos back from the trash; what a copy that was kept took over from them it gives back, where it is still so.

    Returns what became of them, and sentences on what the kept ones keep. Raises as `trash.restore_items`, whose rules hold.
    """
    of_these = TrashItem.objects.filter(library=library, pk__in=list(item_ids), handed_over__isnull=False)
    records = [(one.pk, one.photo_id, one.handed_over) for one in of_these]
    done = trash.restore_items(user, library, item_ids)
    return done, _take_back(user, records)


def _take_back(user: User, records: list[tuple[UUID, UUID | None, Any]]) -> list[str]:
    """Take from the kept copy what it got from those that are back, and not from those purged; return sentences on what stays."""
    waiting = set(TrashItem.objects.filter(pk__in=[key for key, _, _ in records]).values_list("pk", flat=True))
    photos = Photo.objects.filter(pk__in=[photo for _, photo, _ in records]).exclude(state=Photo.State.MISSING)
    there = set(photos.values_list("pk", flat=True))
    back = [(photo, record) for key, photo, record in records if key not in waiting and photo in there]
    return [problem for photo, record in back if photo for problem in give_back(user, photo, record)]


def _is_still_there(photo: Photo) -> bool:
    """Tell whether the kept file is there, where what it took over may just be written into it, or lead it to another folder."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        is_busy = (
            FileWrite.objects.filter(photo=photo, state__in=FileWrite.OPEN).exists()
            or TrashItem.objects.filter(photo=photo, state=TrashItem.State.FILING).exists()
        )
        now = Photo.objects.filter(pk=photo.pk).select_related("library").first()
        if now is None or _is_there(now):
            return now is not None
        if not is_busy or time.monotonic() > until:
            return False
        time.sleep(0.1)


def _is_there(photo: Photo, *, is_read: bool = False) -> bool:
    """Tell whether the file is as the catalog knows it; by all of its bytes if `is_read`."""
    with closing(source_for(photo.library)) as source:
        try:
            descriptor = source.open(photo.path, expected=(photo.size_bytes, photo.mtime_ns))
        except (OSError, ValueError):
            return False
    try:
        return not is_read or md5_of_descriptor(descriptor) == photo.photo_md5
    except OSError:
        return False
    finally:
        os.close(descriptor)
