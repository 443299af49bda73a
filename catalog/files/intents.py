"""What an intent wants of a file, what that said before and says since it was written, and which delta leads back."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from catalog.files.prepared import Prepared, Way
from catalog.identity.rekey import Rekeyed
from catalog.media.file_changes import FileChange, KeywordChange, PlaceChange, embedded_place
from catalog.media.results import DigestResult
from catalog.media.tag_changes import CaptionChange, DateChange, RatingChange, date_said
from catalog.models import FileWrite, Library, Photo
from photolala.lib.places import Place


def written_before(photo_ids: Iterable[UUID]) -> set[UUID]:
    """Return which of these photos have a write that is in their file. One query."""
    return set(_done().filter(photo__in=list(photo_ids)).order_by().values_list("photo", flat=True).distinct())


def _done() -> QuerySet[FileWrite]:
    return FileWrite.objects.filter(state=FileWrite.State.DONE, is_sidecar=False).exclude(new_md5="")


def way_from(write: FileWrite, photo: Photo, *, was_written: bool = True) -> Way | None:
    """Return what leads from the version that the catalog knows to an earlier one: the intent's own way, or the last one's.

    One query; none of a photo of which `written_before` says that it was not written.
    """
    if keeps_way(write, photo.photo_md5):
        return Way(bytes(write.undo_delta or b""), write.base_md5, write.base)
    last = _done().filter(photo=photo).order_by("-finished_at").first() if was_written else None
    if last is None or last.new_md5 != photo.photo_md5 or last.undo_delta is None or last.kind != write.kind:
        return None
    return Way(bytes(last.undo_delta), last.base_md5, last.base)


def keeps_way(write: FileWrite, photo_md5: str) -> bool:
    """True if an open intent has an undo delta of its own that leads from the version `photo_md5`."""
    return bool(write.base_md5) and write.old_md5 == photo_md5


def base_of(write: FileWrite, prepared: Prepared) -> tuple[str, dict[str, Any]]:
    """Return the MD5 of the version that the undo delta leads to, and what that version says."""
    if prepared.undo_delta is None:
        return "", {}
    if prepared.way is not None:
        return prepared.way.md5, prepared.way.said
    said: dict[str, dict[str, Any]] = {
        FileWrite.Kind.RATING: {"rating": prepared.old_rating},
        FileWrite.Kind.DATE: prepared.old_date | prepared.beside,
        FileWrite.Kind.CAPTION: {"caption": prepared.old_caption} | prepared.beside,
        FileWrite.Kind.KEYWORDS: {"keywords": prepared.old_keywords} | prepared.beside,
        FileWrite.Kind.PLACE: {"place": prepared.old_place} | prepared.beside,
    }
    return prepared.old_md5, said[write.kind]


def change_of(write: FileWrite, photo: Photo, library: Library) -> FileChange:
    """Return what an intent wants to have in the file."""
    if write.kind == FileWrite.Kind.RATING:
        return RatingChange(int(write.wanted["rating"]))
    if write.kind == FileWrite.Kind.CAPTION:
        return CaptionChange(write.wanted["caption"], write.wanted.get("sidecar"))
    if write.kind == FileWrite.Kind.KEYWORDS:
        own = write.wanted.get("sidecar")
        known = keywords_seen(write)
        return KeywordChange(
            tuple(write.wanted["keywords"]),
            None if own is None else tuple(own),
            None if known is None else tuple(known),
        )
    if write.kind == FileWrite.Kind.PLACE:
        return PlaceChange(_place(write.wanted["place"]), _place(write.wanted.get("sidecar")))
    taken, beside = write.wanted["taken"], write.wanted.get("sidecar")
    local = datetime.fromisoformat(taken) if taken else None
    in_xmp = (datetime.fromisoformat(beside["taken"]), beside["offset"]) if beside else None
    return DateChange(local, write.wanted["offset"], library.time_zone, is_video=photo.is_video, beside=in_xmp)


def keywords_seen(write: FileWrite) -> list[str] | None:
    """Return the keywords that the photo showed to the person who wanted others; None where that is not known."""
    if write.kind != FileWrite.Kind.KEYWORDS:
        return None
    seen: list[str] | None = write.previous.get("seen", write.previous.get("keywords"))
    return seen


def _place(told: list[float] | None) -> Place | None:
    return None if told is None else (told[0], told[1])


def listed(place: Place | None) -> list[float] | None:
    """Return a place as intents keep it."""
    return None if place is None else [*place]


def needs_its_time(write: FileWrite, photo: Photo) -> bool:
    """True if the file's time is what tells when it was taken, or may have to tell it again."""
    if photo.taken_held:  # then the row does not say what the file says
        return not (write.previous.get("taken") and write.wanted.get("taken"))
    return photo.taken_source in ("file", "")


def said_before(write: FileWrite, prepared: Prepared) -> dict[str, Any]:
    """Return what the file, or its sidecar, said before it was written."""
    before: dict[str, dict[str, Any]] = {
        FileWrite.Kind.RATING: {"rating": prepared.rating_before},
        FileWrite.Kind.DATE: prepared.old_date | prepared.beside,
        FileWrite.Kind.CAPTION: {"caption": prepared.caption_before} | prepared.beside,
        FileWrite.Kind.KEYWORDS: {"keywords": prepared.keywords_before} | prepared.beside,
        FileWrite.Kind.PLACE: {"place": prepared.place_before} | prepared.beside,
    }
    return before[write.kind]


def says_now(write: FileWrite, prepared: Prepared) -> dict[str, Any]:
    """Return what the file, or its sidecar, says since it was written."""
    if not prepared.is_recovered:
        return write.wanted
    now: dict[str, dict[str, Any]] = {
        FileWrite.Kind.RATING: {"rating": prepared.old.embedded_rating or 0},
        FileWrite.Kind.DATE: date_said(prepared.old),
        FileWrite.Kind.CAPTION: {"caption": prepared.old.caption},
        FileWrite.Kind.KEYWORDS: {"keywords": prepared.old.embedded_keywords},
        FileWrite.Kind.PLACE: {"place": listed(embedded_place(prepared.old))},
    }
    return now[write.kind]


def facts_now(prepared: Prepared) -> DigestResult:
    """Return what the decoder read of the file as it is since it was written."""
    return prepared.rewritten.facts if prepared.rewritten else prepared.old


def keywords_now(prepared: Prepared) -> list[str]:
    """Return the keywords that the file, or the XMP file in which they are kept, says since it was written."""
    change = prepared.task.change
    if prepared.task.is_sidecar and isinstance(change, KeywordChange):
        return change.in_sidecar
    return facts_now(prepared).embedded_keywords


def is_new(prepared: Prepared) -> bool:
    """True if the file has other bytes than the catalog says."""
    return prepared.rewritten is not None or prepared.is_recovered


def rekeyed(write: FileWrite, prepared: Prepared) -> Rekeyed:
    """Return what the photo's row is told of its new version."""
    columns = {} if prepared.sidecars is None else {"sidecars": prepared.sidecars}
    new = prepared.rewritten
    facts = new.facts if new else prepared.old
    size, mtime = (new.size_bytes, new.mtime_ns) if new else (facts.size_bytes, facts.mtime_ns)
    return Rekeyed(write.photo_id, write.old_md5, size, mtime, facts, columns)


def without_reason(write: FileWrite) -> FileWrite:
    """Return the intent as one that no error holds up."""
    write.code = write.reason = ""
    return write
