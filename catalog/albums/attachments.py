"""What notes and drafts hold: photos of the catalog, and files in their owner's media store."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef
from django.utils import timezone

from catalog.albums import values
from catalog.albums.refusals import Refused
from catalog.models import Attachment, Draft, Media, Note, Photo

MOST_ATTACHMENTS = 200
LONGEST_FILE_NAME = 255
_MD5 = re.compile(r"[0-9a-f]{32}")
_MEMBERS = {"media_md5", "media_type", "size_bytes", "name"}
Held = dict[str, Any]


def read_one(value: Any, name: str) -> Held | None:
    """Return one attachment as it is kept, or None. Raises Refused("invalid")."""
    if value is None:
        return None
    if isinstance(value, Mapping) and set(value) == {"photo"}:
        return {"photo": str(values.key(value["photo"], f"{name}.photo"))}
    if not isinstance(value, Mapping) or not {"media_md5"} <= set(value) <= _MEMBERS:
        raise values.invalid(name, f"{name} must be an attachment: either a photo, or a media_md5 with its name.")
    md5 = value["media_md5"]
    if not isinstance(md5, str) or not _MD5.fullmatch(md5):
        raise values.invalid(name, f"{name}.media_md5 must be 32 hexadecimal digits in small letters.")
    return {"media_md5": md5, "name": values.text(LONGEST_FILE_NAME)(value.get("name") or "", f"{name}.name")}


def read_list(value: Any, name: str) -> list[Held]:
    """Return a list of attachments. Raises Refused("invalid")."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise values.invalid(name, f"{name} must be a list of attachments.")
    if len(value) > MOST_ATTACHMENTS:
        raise values.invalid(name, f"{name} may have {MOST_ATTACHMENTS} attachments at most; these are {len(value):,}.")
    return [held for held in (read_one(one, name) for one in value) if held is not None]


def check(user: Any, held: Iterable[Held], known: Iterable[Held] = ()) -> None:
    """Complete the attachments by what the store knows of their files. Raises Refused("missing_ref").

    A photo must be one that `user` sees, a file one that they sent; what was held before (`known`) may stay.
    """
    before = {_key(one) for one in known}
    wanted = list(held)
    md5s = {one["media_md5"] for one in wanted if "media_md5" in one}
    stored = {media.md5: media for media in Media.objects.filter(owner=user, md5__in=md5s)} if md5s else {}
    photo_ids = {UUID(one["photo"]) for one in wanted if "photo" in one and _key(one) not in before}
    if photo_ids and photo_ids - _seen(user, photo_ids):
        raise Refused(
            "missing_ref", "A photo that is attached is not there, or not for you to see.", field="attachments"
        )
    for one in wanted:
        if "media_md5" not in one:
            continue
        media = stored.get(one["media_md5"])
        if media is None:
            raise Refused(
                "missing_ref",
                f"The file {one['media_md5']} is not in your media store: send it first. Nothing was changed.",
                field="attachments",
            )
        one |= {"media_type": media.media_type, "size_bytes": media.size_bytes}


def _seen(user: Any, photo_ids: set[UUID]) -> set[UUID]:
    return set(Photo.objects.visible_to(user).filter(pk__in=photo_ids).order_by().values_list("pk", flat=True))


def remember(holder: Note | Draft, held: Iterable[Held]) -> None:
    """Write down what a note or draft holds now, and since when its owner holds a file no more. Call it in a transaction."""
    wanted = list(held)
    column = "note" if isinstance(holder, Note) else "draft"
    earlier = Attachment.objects.filter(**{column: holder})
    let_go = list(earlier.filter(media__isnull=False).values_list("media", flat=True))
    earlier.delete()
    md5s = {one["media_md5"] for one in wanted if "media_md5" in one}
    mine = Media.objects.filter(owner=holder.owner_id, md5__in=md5s)
    stored = dict(mine.values_list("md5", "pk")) if md5s else {}
    photos = {one["photo"] for one in wanted if "photo" in one}
    rows = [Attachment(**{column: holder}, photo_id=key) for key in sorted(photos)]
    rows += [Attachment(**{column: holder}, media_id=key) for key in sorted(stored.values())]
    Attachment.objects.bulk_create(rows)
    mark_use([*let_go, *stored.values()])


def photos_of(note: Note) -> set[UUID]:
    """Return the photos that a note holds."""
    held = Attachment.objects.filter(note=note, photo__isnull=False)
    return set(held.values_list("photo", flat=True))


def mark_use(media_ids: Collection[int]) -> None:
    """Note of these files since when nothing holds them, or that something does."""
    if not media_ids:
        return
    of_these = Media.objects.filter(pk__in=set(media_ids)).annotate(
        is_held=Exists(Attachment.objects.filter(media=OuterRef("pk")))
    )
    of_these.filter(is_held=True).exclude(unused_since=None).update(unused_since=None)
    of_these.filter(is_held=False, unused_since=None).update(unused_since=timezone.now())


def _key(one: Held) -> str:
    return str(one.get("photo") or one.get("media_md5"))
