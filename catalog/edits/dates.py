"""Say when photos were taken: set one date, move many, spread them evenly; the one way in which capture times are changed.

The catalog says so at once. Where a library's stars go into the files, its dates do, too; elsewhere they are kept in
the catalog, where no scan overwrites them.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone as clock

from accounts.models import User
from catalog.entries import counts, taken
from catalog.entries.pending_writes import start_writing
from catalog.entries.row_locks import hold_photos
from catalog.entries.sql import Row, update_rows
from catalog.entries.taken import given_columns, goes_into_file
from catalog.files.filing import start_filing
from catalog.files.queue import NothingToUndo, last_done, retarget, want_in_catalog_only
from catalog.history.given_since import moment_of_a_wish
from catalog.media.dates import ImpossibleDate, check_possible
from catalog.media.tag_changes import IN_THE_FILE, date_problem
from catalog.models import FileWrite, Library, Photo
from changes.fields import touched_in
from changes.types import scope_name
from operations.database_conflicts import retried_on_conflict

MOST_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Setting:
    """All get the wall clock's time `local`; `offset_minutes` east of UTC, None if it is not known."""

    local: datetime
    offset_minutes: int | None = None


@dataclass(frozen=True, slots=True)
class Shift:
    """Each is moved by `seconds`; with `sets_offset` each is said to be `offset_minutes` east of UTC, else that stays."""

    seconds: int
    sets_offset: bool = False
    offset_minutes: int | None = None


@dataclass(frozen=True, slots=True)
class Spread:
    """In their present order (undated ones last, by path) they are spread evenly from `first` to `last`."""

    first: datetime
    last: datetime
    offset_minutes: int | None = None


Wish = Setting | Shift | Spread


@dataclass(frozen=True, slots=True)
class Planned:
    """What one photo's date is to be: `local` and `offset_minutes`; or a `problem` in a sentence, and nothing is changed."""

    photo: Photo
    local: datetime | None
    offset_minutes: int | None
    problem: str = ""

    @property
    def wanted(self) -> dict[str, Any]:
        """As an intent keeps it."""
        return {"taken": self.local.isoformat() if self.local else "", "offset": self.offset_minutes}

    @property
    def now_and_then(self) -> tuple[str, str]:
        """What it says now and would say then, for people."""
        return self.photo.taken_text.replace("T", " "), self.after_text.replace("T", " ")

    @property
    def after_text(self) -> str:
        """RFC 3339, with the offset if it is known."""
        return taken.taken_text(self.local, self.offset_minutes) if self.local else ""


def plan(photos: Iterable[Photo], wish: Wish, now: datetime | None = None) -> list[Planned]:
    """Return what `wish` means for each photo, in the order in which a spread goes through them. Changes nothing."""
    now = (now or clock.now()).astimezone(UTC).replace(tzinfo=None)
    ordered = sorted(photos, key=lambda photo: (not photo.is_dated, photo.taken_local, photo.directory, photo.filename))
    return [_checked(photo, _wished(photo, wish, n, len(ordered)), now) for n, photo in enumerate(ordered)]


def _wished(photo: Photo, wish: Wish, number: int, count: int) -> tuple[datetime | None, int | None]:
    """Return time and offset, or None where there is nothing to move."""
    if isinstance(wish, Setting):
        return wish.local, wish.offset_minutes
    if isinstance(wish, Spread):
        share = number / (count - 1) if count > 1 else 0.0
        local = wish.first + (wish.last - wish.first) * share
        return local.replace(microsecond=0), wish.offset_minutes
    if not photo.is_dated:
        return None, None
    try:
        moved = photo.taken_local.replace(tzinfo=None) + timedelta(seconds=wish.seconds)
    except OverflowError:
        return datetime.min, None  # noqa: DTZ901 - impossible, and said so
    return moved, wish.offset_minutes if wish.sets_offset else photo.taken_offset_minutes


def _checked(photo: Photo, wished: tuple[datetime | None, int | None], now: datetime) -> Planned:
    local, offset = wished
    problem = ""
    if local is None:
        problem = "It has no date that could be moved: set one."
    else:
        try:
            check_possible(local, now)
            problem = date_problem(local, photo.media_type) if goes_into_file(photo.library) else ""
        except ImpossibleDate:
            problem = "Photos were taken from 1826 to today; this date is none of these."
    return Planned(photo, None if problem else local, None if problem else offset, problem)


@retried_on_conflict
def set_dates(user: User, planned: Sequence[Planned]) -> int:
    """Give the photos, which the caller found changeable for `user`, what was planned; return how many were.

    One transaction: all or none, but for those with a problem. What is to be written into files is in the queue by then.
    A photo that was removed meanwhile is left out.
    """
    wishes = {one.photo.pk: one for one in planned if not one.problem}
    with transaction.atomic():
        rows = Photo.objects.select_for_update(of=("self",)).filter(pk__in=list(wishes)).select_related("library")
        by_library: dict[Library, list[Photo]] = defaultdict(list)
        for photo in rows.order_by("pk"):
            by_library[photo.library].append(photo)
        for library, photos in sorted(by_library.items(), key=lambda one: one[0].pk):
            _set_in(library, photos, wishes, user)
    return sum(len(photos) for photos in by_library.values())


def _set_in(library: Library, photos: list[Photo], wishes: dict[UUID, Planned], user: User) -> None:
    into_files = goes_into_file(library)
    open_writes = {
        write.photo_id: write
        for write in FileWrite.objects.select_for_update()
        .filter(photo__in=photos, kind=FileWrite.Kind.DATE, state__in=[state.value for state in FileWrite.OPEN])
        .order_by("pk")
        .defer("undo_delta")
    }
    new, changed = [], []
    now = moment_of_a_wish(library)
    for photo in photos:
        wish, write = wishes[photo.pk], open_writes.get(photo.pk)
        if write is not None:
            (retarget if into_files else want_in_catalog_only)(write, wish.wanted, user)
        elif into_files:
            new.append(_intent(library, photo, user, wish.wanted))
        assert wish.local is not None
        told = given_columns(wish.local, wish.offset_minutes, library.time_zone)
        changed.append({"id": photo.pk, **told, "taken_held": True, "dated_at": now})
    update_rows(Photo, [name for name in changed[0] if name != "id"], changed)
    touched_in("photo", scope_name("library", library.pk), [photo.pk for photo in photos], ["takenAt"], user=user.pk)
    counts.bump_revision(library)
    FileWrite.objects.bulk_create(new)
    if into_files:
        transaction.on_commit(lambda: start_writing(library, user))


def _intent(library: Library, photo: Photo, user: User, wanted: dict[str, Any]) -> FileWrite:
    return FileWrite(
        library=library,
        photo=photo,
        user=user,
        kind=FileWrite.Kind.DATE,
        wanted=wanted,
        previous={} if photo.taken_held else _said(photo),
        try_at=clock.now(),
    )


def _said(photo: Photo) -> dict[str, Any]:
    """Return what the photo's own file says."""
    if photo.taken_source not in IN_THE_FILE:
        return {"taken": "", "offset": None}
    return {"taken": photo.taken_local.replace(tzinfo=None).isoformat(), "offset": photo.taken_offset_minutes}


@retried_on_conflict
def undo_date(photo: Photo, user: User) -> dict[str, Any]:
    """Take the last written date back; return what the file is to say then (`taken`, empty for none, and `offset`).

    Raises NothingToUndo. A file in which nothing else was written since gets back the very bytes that it had.
    """
    with transaction.atomic():
        hold_photos([photo.pk])
        write = last_done(photo, FileWrite.Kind.DATE)
        if write is None:
            raise NothingToUndo(
                "There is no date of this photo that could be taken back: none was written, or the file was changed since."
            )
        open_dates = FileWrite.objects.filter(photo=photo, kind=write.kind, state__in=[s.value for s in FileWrite.OPEN])
        if open_dates.exists():
            raise NothingToUndo("Another date of this photo is still to be written; wait for it, or give it up.")
        library, wanted = photo.library, dict(write.previous)
        intent = _intent(library, photo, user, wanted)
        intent.undoes = write
        intent.save()
        told = {}
        said = wanted.get("sidecar") or wanted  # an XMP file beside it counts first
        if said["taken"]:  # else the file's name or time will tell, when the file has been written
            told = given_columns(datetime.fromisoformat(said["taken"]), said["offset"], library.time_zone)
        Photo.objects.filter(pk=photo.pk).update(**told, taken_held=True, dated_at=moment_of_a_wish(photo.library))
        touched_in("photo", scope_name("library", library.pk), [photo.pk], ["takenAt"], user=user.pk)
        counts.bump_revision(library)
        transaction.on_commit(lambda: start_writing(library, user))
    return wanted


_OF_DATE = ("taken_local", "taken_day", "taken_at", "taken_offset_minutes", "taken_source", "taken_held", "dated_at")


def date_columns(photo: Photo) -> Row:
    """Return what the row says of the capture time, as JSON keeps it, for `put_date_back`."""
    told = {name: getattr(photo, name) for name in _OF_DATE}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in told.items()}


@retried_on_conflict
def put_date_back(user: User, photo_id: UUID, before: Row) -> None:
    """Let the photo's date be what `date_columns` said before the last was given. A file that says the last gets its bytes back.

    Raises NothingToUndo while it is being written, Photo.DoesNotExist if the photo is gone.
    """
    columns = {name: before[name] for name in _OF_DATE}
    for name in ("taken_local", "taken_at", "dated_at"):
        columns[name] = datetime.fromisoformat(columns[name]) if columns[name] else None
    with transaction.atomic():
        photo = Photo.objects.select_for_update(of=("self",)).select_related("library").get(pk=photo_id)
        writes = FileWrite.objects.select_for_update().filter(photo=photo, kind=FileWrite.Kind.DATE)
        for write in writes.filter(state__in=[s.value for s in FileWrite.OPEN]).order_by("pk").defer("undo_delta"):
            if write.claim_token:
                raise NothingToUndo("Its date is being written into its file just now. Undo it there in a moment.")
            want_in_catalog_only(write, write.wanted, user)
        is_written = last_done(photo, FileWrite.Kind.DATE) is not None
        if is_written and photo.dated_at is not None and not photo.taken_held:
            undo_date(photo, user)
            return
        update_rows(Photo, list(_OF_DATE), [{"id": photo.pk, **columns}])
        touched_in("photo", scope_name("library", photo.library_id), [photo.pk], ["takenAt"], user=user.pk)
        counts.bump_revision(photo.library)


def file_all(user: User, planned: Sequence[Planned], layout: str) -> int:
    """Start moving all that got a new date, library by library; return how many photos that concerns."""
    by_library: dict[UUID, list[Photo]] = {}
    for one in planned:
        if not one.problem and one.photo.library.source == "local":
            by_library.setdefault(one.photo.library_id, []).append(one.photo)
    for photos in by_library.values():
        start_filing(photos[0].library, user, [photo.pk for photo in photos], layout)
    return sum(len(photos) for photos in by_library.values())
