"""Which of the selected photos can be taken out, what each is called, and why the others cannot."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from accounts.models import User
from catalog.albums import access
from catalog.entries import pairs
from catalog.models import Album, Library, Photo
from catalog.roots.reach import source_for
from catalog.roots.root_check import require_root
from catalog.roots.told import told
from catalog.sources.base import Source, SourceUnavailable
from exports.ledger.names import TakenNames
from exports.reading.file_names import archive_name, portable_name
from exports.reading.originals import Original, OriginalUnreadable, open_original
from photolala.lib.paths import join_path
from photolala.web.refusals import NotThere, Unprocessable

MOST_PHOTOS = 10_000
"""So many photos can be downloaded at once: as many as can be selected."""
_IDS_AT_ONCE = 500
NOT_VISIBLE = "There is no photo of this id that you may see."
NO_ORIGINALS = "The owner of this album shares pictures to look at, not the original files."


class Missing(NamedTuple):
    """A photo that is not in the archive; its name is empty if the person may not see it."""

    id: UUID
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """A photo that is taken out, under `original.target`."""

    library: Library
    original: Original
    media_type: str


@dataclass(slots=True)
class Plan:
    """What is sent: photos in the order in which they were selected."""

    chosen: list[Chosen] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    years: set[int] = field(default_factory=set)

    @property
    def is_one_file(self) -> bool:
        """True if a photo is sent as it is: it is the only one, and none is missing."""
        return len(self.chosen) == 1 and not self.missing

    @property
    def name(self) -> str:
        """The name of the archive, without its extension."""
        return archive_name(self.years)


def plan_download(user: User, photo_ids: Sequence[UUID], album: UUID | None = None) -> Plan:
    """Look up what `user` selected, in an album if one is named (no ids: all of it), and see which files can be opened now.
    The short video of a picture comes along, from an album if it is there, too.

    What the user may not see is missing without a name. Raises NotThere if not one of them is to be had, or for an album that
    the user does not see, Unprocessable for an album of too many photos. A query for each 500 photos, and one for each library.
    """
    plan = Plan()
    if album is not None and not photo_ids:
        photo_ids = _photos_of(user, album)
    taken = TakenNames()
    photos = Photo.objects.visible_to(user) if album is None else access.photos_in(user, album)
    photo_ids = pairs.with_videos(photos, photo_ids)
    found = _found(user, photo_ids, album)
    with ExitStack() as stack:
        checks = _Checks(user, stack)
        for photo_id in photo_ids:
            photo = found.get(photo_id)
            if photo is None:
                plan.missing.append(Missing(photo_id, "", NOT_VISIBLE))
                continue
            original = Original(
                photo.path, photo.name, photo.size_bytes, photo.mtime_ns, photo.photo_md5, str(photo_id)
            )
            reason = photo.refusal or checks.problem_of(photo, original)
            if reason:
                plan.missing.append(Missing(photo_id, photo.name, reason))
                continue
            original = replace(original, target=taken.claim(photo.name))
            plan.chosen.append(Chosen(checks.library(photo.library_id), original, photo.media_type))
            if photo.taken_source:
                plan.years.add(photo.taken_local.year)
    if not plan.chosen:
        reasons = {missing.reason for missing in plan.missing}
        why = reasons.pop() if len(reasons) == 1 else "None of these files can be read now."
        if not plan.missing:
            why = "There is no photo in this album that you may see."
        raise NotThere(f"There is nothing to download. {why}", "nothing_to_download")
    return plan


class _Found(NamedTuple):
    """A selected photo that the user sees; the first names are those of its columns."""

    id: UUID
    library_id: UUID
    directory: str
    filename: str
    size_bytes: int
    mtime_ns: int
    photo_md5: str
    media_type: str
    state: str
    taken_local: datetime
    taken_source: str
    is_told: bool = True
    """Whether its own name may be told: to whoever sees it in its library."""
    refusal: str = ""

    @property
    def path(self) -> str:
        return join_path(self.directory, self.filename)

    @property
    def name(self) -> str:
        name = portable_name(self.filename)
        return name if self.is_told else f"{self.id}{os.path.splitext(name)[1]}"


_COLUMNS = _Found._fields[:11]


def _photos_of(user: User, album_id: UUID) -> list[UUID]:
    """Return the ids of all photos of an album that `user` sees, in the order in which they were taken."""
    shown = access.photos_in(user, album_id).order_by("taken_local", "pk")
    ids = list(shown.values_list("pk", flat=True)[: MOST_PHOTOS + 1])
    if len(ids) > MOST_PHOTOS:
        raise Unprocessable(
            f"This album has more than {MOST_PHOTOS:,} photos, more than can be downloaded at once. Export it to a destination.",
            "too_many",
        )
    return ids


def _found(user: User, photo_ids: Sequence[UUID], album_id: UUID | None) -> dict[UUID, _Found]:
    """Return those of the photos that `user` sees, by their ids."""
    found: dict[UUID, _Found] = {}
    album = None
    if album_id is not None:
        album = Album.objects.visible_to(user).filter(pk=album_id).first()
        if album is None:
            raise NotThere("There is no such album, or none that you may see.", "not_found")
    own = Photo.objects.visible_to(user)
    wanted = list(dict.fromkeys(photo_ids))
    for ids in (wanted[start : start + _IDS_AT_ONCE] for start in range(0, len(wanted), _IDS_AT_ONCE)):
        photos = own if album is None else access.photos_in(user, album.pk)
        rows = [_Found(*row) for row in photos.filter(pk__in=ids).order_by().values_list(*_COLUMNS)]
        if album is not None:
            seen = set(own.filter(pk__in=ids).values_list("pk", flat=True))
            refusal = "" if album.allows_originals else NO_ORIGINALS
            rows = [row if row.id in seen else row._replace(is_told=False, refusal=refusal) for row in rows]
        found |= {row.id: row for row in rows}
    return found


class _Checks:
    """Tells which originals cannot be opened now; keeps a source for each library."""

    def __init__(self, user: User, stack: ExitStack) -> None:
        self._user, self._stack = user, stack
        self._libraries: dict[UUID, Library] = {}
        self._sources: dict[UUID, Source] = {}
        self._away: dict[UUID, str] = {}

    def library(self, library_id: UUID) -> Library:
        """Return the library. One query for each."""
        if library_id not in self._libraries:
            self._libraries[library_id] = Library.objects.get(pk=library_id)
        return self._libraries[library_id]

    def problem_of(self, photo: _Found, original: Original) -> str:
        """Return why the file of a photo cannot be sent, "" if it can. In a bucket that is seen when it is sent."""
        if photo.state == Photo.State.REMOTE:
            return "It is on the phone only."
        source = self._source(photo.library_id)
        if photo.library_id in self._away:
            return self._away[photo.library_id]
        if source.is_far and photo.state != Photo.State.MISSING:
            return ""
        try:
            os.close(open_original(source, original))
        except OriginalUnreadable as reason:
            return str(reason)
        return ""

    def _source(self, library_id: UUID) -> Source:
        if library_id not in self._sources:
            library = self.library(library_id)
            source = self._sources[library_id] = source_for(library)
            self._stack.callback(source.close)
            try:
                require_root(library, source, may_be_empty=True)
            except SourceUnavailable as error:
                self._away[library_id] = told(library, self._user, str(error))
        return self._sources[library_id]
