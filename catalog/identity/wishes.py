"""What people gave to one photo at two places: the later wish counts, by kind (stars, caption …) and by person.

A photo that is elsewhere has two rows until a scan finds that out: the one that waits for its file, and the one of the
file. People may give stars, dates, captions, keywords and favourites to either. Where nobody gave anything, the file's own
word counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from catalog.entries.album_items import held_by_people, lead_items
from catalog.entries.folder_comparison import is_doubted
from catalog.entries.pending_writes import start_writing
from catalog.entries.rows import TAKEN_COLUMNS
from catalog.models import Favourite, FileWrite, Library, Photo, Withdrawal

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS = {
    FileWrite.Kind.RATING: ("rated_at", "rating_held", ("rating",)),
    FileWrite.Kind.DATE: ("dated_at", "taken_held", TAKEN_COLUMNS),
    FileWrite.Kind.CAPTION: ("captioned_at", "caption_held", ("caption",)),
    FileWrite.Kind.KEYWORDS: ("keyworded_at", "keywords_held", ("keywords",)),
    FileWrite.Kind.PLACE: ("placed_at", "place_held", ("latitude", "longitude")),
}
"""For each kind: when it was wanted, whether the file has it not (yet), and the columns that say it."""
_LIKE_STARS = tuple(kind for kind in FileWrite.Kind if kind != FileWrite.Kind.DATE)
"""Kinds that are not written where the file says so already, and that XMP files beside the photos may hold."""


@dataclass
class Wishes:
    """Everything that people gave to some photos, read at once; call all of it in one transaction that holds their rows."""

    writes: dict[UUID, list[FileWrite]] = field(default_factory=dict)
    favourites: dict[UUID, list[Favourite]] = field(default_factory=dict)
    withdrawals: dict[UUID, list[Withdrawal]] = field(default_factory=dict)
    in_albums: set[UUID] = field(default_factory=set)

    @classmethod
    def of(cls, photo_ids: Sequence[UUID]) -> "Wishes":
        """Read, and hold, what was given to these photos."""
        wishes = cls()
        writes = FileWrite.objects.select_for_update().filter(photo__in=photo_ids).defer("undo_delta")
        held = list(writes.order_by("pk"))  # in the order in which all lock them
        for write in sorted(held, key=lambda one: (one.created_at, one.pk)):
            wishes.writes.setdefault(write.photo_id, []).append(write)
        for favourite in Favourite.objects.filter(photo__in=photo_ids):
            wishes.favourites.setdefault(favourite.photo_id, []).append(favourite)
        for withdrawal in Withdrawal.objects.filter(photo__in=photo_ids):
            wishes.withdrawals.setdefault(withdrawal.photo_id, []).append(withdrawal)
        wishes.in_albums = held_by_people(photo_ids)
        return wishes

    def is_being_written(self, photo: Photo) -> bool:
        """True while a writer has the photo's file in hand, or died over it: it knows the photo by its present row."""
        return any(write.state == FileWrite.State.WRITING for write in self.writes.get(photo.pk, ()))

    def written_keys(self, *photos: Photo) -> set[str]:
        """Return the fast photo keys of all versions that writers made for these photos."""
        return {write.new_key for photo in photos for write in self.writes.get(photo.pk, ()) if write.new_key}

    def are_none(self, photo: Photo) -> bool:
        """True if nobody ever gave anything to the photo."""
        has_any = self.writes.get(photo.pk) or self.favourites.get(photo.pk) or self.withdrawals.get(photo.pk)
        is_held = any(getattr(photo, when) or getattr(photo, held) for when, held, _ in _COLUMNS.values())
        return not has_any and not is_held and photo.pk not in self.in_albums

    def lead(self, library: Library, new: Photo, old: Photo) -> dict[str, Any]:
        """Give `old` what was given to `new`, where that is later; return the columns that say so, for `old`'s row.

        Nothing is left with `new` then. Columns that are not returned are as the file says, or as `old` holds them.
        """
        values: dict[str, Any] = {}
        for kind in FileWrite.Kind:
            values |= self._lead_kind(FileWrite.Kind(kind), library, new, old)
        self._lead_favourites(library, new, old)
        if new.pk in self.in_albums:
            lead_items(new.pk, old.pk)
            self.in_albums.add(old.pk)
        for name, value in values.items():
            setattr(old, name, value)
        return values

    # -- stars, dates, captions ----------------------------------------------------------------------------------------------

    def _lead_kind(self, kind: FileWrite.Kind, library: Library, new: Photo, old: Photo) -> dict[str, Any]:
        when, held, columns = _COLUMNS[kind]
        at_old, at_new = self._wanted_at(kind, old), self._wanted_at(kind, new)
        is_newer = at_new is not None and (at_old is None or at_new >= at_old)
        own, brought = self._open(kind, old), self._open(kind, new)
        # What a writer had in hand may be in the file since that was read.
        has_other_content = old.photo_md5 != new.photo_md5 or any(write.claim_token for write in brought)
        # The old row's later wish needed no writing there. What was begun at the new place ends with that wish instead.
        is_free = kind in _LIKE_STARS and not (is_newer or own) and self._is_free_wish(kind, library, old, new)
        for write in self.writes.get(new.pk, ()):
            if write.kind != kind:
                continue
            if write in brought and (own or not is_newer) and not is_free:
                _supersede(write)
            FileWrite.objects.filter(pk=write.pk).update(photo=old)
            self.writes.setdefault(old.pk, []).append(write)
        for write in own:
            if is_newer and not brought:
                wanted = _said(kind, new)
            else:
                wanted = brought[-1].wanted if is_newer else write.wanted
            _want_now(write, wanted, forgets_previous=has_other_content)
        self.writes[new.pk] = [write for write in self.writes.get(new.pk, ()) if write.kind != kind]
        if own or (brought and is_newer):
            _start_writing_later(library)
        if is_newer:
            # An intent that a writer may have in hand is not dropped but changed, so the file is still to be written.
            is_held = getattr(new, held) or bool(own)
            told = {name: getattr(new, name) for name in columns} if is_held else {}
            return {when: getattr(new, when) or at_new, held: is_held, **told}
        if is_free and brought:
            _want_now(brought[-1], _said(kind, old), forgets_previous=has_other_content)
            _start_writing_later(library)
        elif is_free or (kind in _LIKE_STARS and self._was_left_behind(kind, library, new, old)):
            self._want_again(kind, library, old, {} if is_free else _said(kind, new))
        else:
            return {}
        return {**{name: getattr(old, name) for name in columns}, held: True}

    def _wanted_at(self, kind: FileWrite.Kind, photo: Photo) -> datetime | None:
        """Return when a person last said it; None if nobody did. Rows of earlier versions tell it by their writes."""
        when, held, _ = _COLUMNS[kind]
        told: datetime | None = getattr(photo, when)
        asked = [write.created_at for write in self.writes.get(photo.pk, ()) if write.kind == kind]
        return told or max(asked, default=_LONG_AGO if getattr(photo, held) else None)

    def _open(self, kind: FileWrite.Kind, photo: Photo) -> list[FileWrite]:
        writes = self.writes.get(photo.pk, ())
        return [write for write in writes if write.kind == kind and write.state in FileWrite.OPEN]

    def _is_free_wish(self, kind: FileWrite.Kind, library: Library, old: Photo, new: Photo) -> bool:
        """True if people gave it at both places, the old row's later, and its file said so already: nobody wrote that.

        What a restore put into the row, and no scan has read again, is nobody's wish.
        """
        _, held, _ = _COLUMNS[kind]
        if not library.writes_ratings or getattr(old, held):
            return False
        is_read = not old.needs_digest and not is_doubted(old.sidecars)
        return is_read and self._wanted_at(kind, new) is not None

    def _was_left_behind(self, kind: FileWrite.Kind, library: Library, new: Photo, old: Photo) -> bool:
        """True if the stars (or the caption) were in an XMP file, as a person wanted, and the photo was moved without it.

        The photo's own, under those of the XMP file, count only if somebody else gave it others when it was moved.
        """
        _, held, columns = _COLUMNS[kind]
        if library.ratings != Library.Ratings.SIDECAR or getattr(old, held) or _said(kind, old) == _said(kind, new):
            return False
        if (
            not old.sidecars
            or new.sidecars
            or (any(getattr(new, name) for name in columns) and old.photo_md5 != new.photo_md5)
        ):
            return False
        done = [w for w in self.writes.get(old.pk, ()) if w.kind == kind and w.state == FileWrite.State.DONE]
        last = max(done, key=lambda write: write.finished_at or _LONG_AGO, default=None)
        return last is not None and last.is_sidecar and last.wanted == _said(kind, old)

    def _want_again(self, kind: FileWrite.Kind, library: Library, old: Photo, previous: dict[str, Any]) -> None:
        write = FileWrite(
            library=library,
            photo=old,
            user_id=next((write.user_id for write in reversed(self.writes.get(old.pk, ()))), library.owner_id),
            kind=kind,
            wanted=_said(kind, old),
            previous=previous,
            is_sidecar=library.ratings == Library.Ratings.SIDECAR,
            try_at=timezone.now(),
        )
        write.save()
        self.writes.setdefault(old.pk, []).append(write)
        _start_writing_later(library)

    # -- favourites ---------------------------------------------------------------------------------------------------

    def _lead_favourites(self, library: Library, new: Photo, old: Photo) -> None:
        """Let each person's later word count; the owner's favourites are the rating's mirror and are not led."""
        here, there = self._words(old), self._words(new)
        for user_id, (at, word) in there.items():
            if user_id == library.owner_id:
                continue
            if user_id in here and here[user_id][0] > at:
                continue
            Favourite.objects.filter(photo=old, user_id=user_id).delete()
            Withdrawal.objects.filter(photo=old, user_id=user_id).delete()
            type(word).objects.filter(pk=word.pk).update(photo=old)
            word.photo_id = old.pk
            here[user_id] = (at, word)
        Favourite.objects.filter(photo=new).delete()
        Withdrawal.objects.filter(photo=new).delete()
        words = [word for _, word in here.values()]
        self.favourites[old.pk] = [word for word in words if isinstance(word, Favourite)]
        self.withdrawals[old.pk] = [word for word in words if isinstance(word, Withdrawal)]
        self.favourites.pop(new.pk, None)
        self.withdrawals.pop(new.pk, None)

    def _words(self, photo: Photo) -> dict[UUID, tuple[datetime, Favourite | Withdrawal]]:
        """Return each person's last word on the photo, and when it was given."""
        words: dict[UUID, tuple[datetime, Favourite | Withdrawal]] = {}
        for favourite in self.favourites.get(photo.pk, ()):
            words[favourite.user_id] = (favourite.changed_at or favourite.created_at, favourite)
        for withdrawal in self.withdrawals.get(photo.pk, ()):
            given = words.get(withdrawal.user_id)
            if given is None or withdrawal.withdrawn_at > given[0]:
                words[withdrawal.user_id] = (withdrawal.withdrawn_at, withdrawal)
        return words


def try_waiting_again(library: Library, photo_ids: Sequence[UUID]) -> None:
    """Let what waited for these photos' files be tried now: they were found. Call it in a transaction."""
    waiting = FileWrite.objects.filter(photo__in=photo_ids, state=FileWrite.State.PENDING)
    if waiting.update(try_at=timezone.now(), attempts=0, crash_count=0, code="", reason=""):
        _start_writing_later(library)


def _said(kind: FileWrite.Kind, photo: Photo) -> dict[str, Any]:
    """Return what the row says, as an intent keeps it."""
    if kind == FileWrite.Kind.RATING:
        return {"rating": photo.rating or 0}
    if kind == FileWrite.Kind.CAPTION:
        return {"caption": photo.caption}
    if kind == FileWrite.Kind.KEYWORDS:
        return {"keywords": photo.keywords}
    if kind == FileWrite.Kind.PLACE:
        return {"place": None if photo.latitude is None else [photo.latitude, photo.longitude]}
    taken = photo.taken_local.replace(tzinfo=None).isoformat() if photo.is_dated else ""
    return {"taken": taken, "offset": photo.taken_offset_minutes}


def _supersede(write: FileWrite) -> None:
    write.state, write.finished_at = FileWrite.State.SUPERSEDED, timezone.now()
    FileWrite.objects.filter(pk=write.pk).update(state=write.state, finished_at=write.finished_at)


def _want_now(write: FileWrite, wanted: dict[str, Any], *, forgets_previous: bool) -> None:
    """Let an open intent want something (else), now; what the file said before is not known if it is another version."""
    values: dict[str, Any] = {"wanted": wanted}
    if forgets_previous:
        values["previous"] = {}
    if write.state == FileWrite.State.PENDING or (wanted != write.wanted and write.state != FileWrite.State.WRITING):
        values |= {"state": FileWrite.State.PENDING, "try_at": timezone.now(), "attempts": 0, "crash_count": 0}
        values |= {"code": "", "reason": ""} | ({"undoes": None} if wanted != write.wanted else {})
    for name, value in values.items():
        setattr(write, name, value)
    FileWrite.objects.filter(pk=write.pk).update(**values)


def _start_writing_later(library: Library) -> None:
    transaction.on_commit(lambda: start_writing(library, library.owner))
