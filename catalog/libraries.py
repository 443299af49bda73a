"""Add, share, scan and forget libraries, and choose their folders; who may do so is the caller's to check."""

import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from catalog.snapshots.location import FolderLocation
from catalog.sources.s3_keys import SCHEME, BucketRoot
from operations.models import Operation, State
from operations.passing import done_again
from operations.running import AlreadyActive, start
from photolala.lib.paths import escape_path, unescape_path
from photolala.lib.roots import allowed_roots, is_within

from . import seeding
from .buckets import BucketRefused, NotAllowed, allowed_bucket, bucket_location, require_bucket
from .models import (
    Alias,
    Favourite,
    FileWrite,
    HashCache,
    ImportItem,
    Library,
    Membership,
    Photo,
    PhotoMetadata,
    QueuedStar,
    Snapshot,
    TrashItem,
    Withdrawal,
)
from .taken_folders import Place, TakenFolders, lock_taken_folders, of_others

MOST_CHOICES = 2_000
_NO_ROOTS = (
    "No folder of this server may become a library yet. The administrator names such folders in PHOTOLALA_ROOTS. "
    "Nothing was changed."
)
_OUTSIDE = (
    "That folder is not free, or not among those that may become libraries. Choose another one below the folders that the "
    "administrator named in PHOTOLALA_ROOTS. Nothing was changed."
)
"""Said of whatever is not allowed and of whatever others have: the two are not to be told apart."""
NOT_TO_BE_READ = (
    "That folder cannot be read for you: it is not free, or not among those that may be imported. Choose another one below "
    "the folders that the administrator named in PHOTOLALA_ROOTS. Nothing was changed."
)
"""The same of a folder to import from."""


class LibraryRefused(Exception):
    """The folder, name or member is not possible; the text is a sentence for the person who asked.

    `for_operator` says what is in the way, where the person who asked may not know it.
    """

    def __init__(self, sentence: str, for_operator: str = "") -> None:
        super().__init__(sentence)
        self.for_operator = for_operator

    @property
    def operators_sentence(self) -> str:
        """The sentence for who has the server's shell, and so may know all of it."""
        return f"{self} In the way: {self.for_operator}." if self.for_operator else str(self)


@dataclass(frozen=True)
class FolderChoice:
    """One folder in the chooser; paths are absolute and in escaped form."""

    name: str
    path: str
    note: str = ""
    is_library: bool = False


@dataclass(frozen=True)
class FolderChoices:
    """What the chooser shows: the open folder ("" for the list of roots), the way to it, and what lies in it."""

    folder: str
    crumbs: list[FolderChoice] = field(default_factory=list)
    folders: list[FolderChoice] = field(default_factory=list)
    is_cut: bool = False
    """There are more than 2,000 folders; the first of them are listed."""


def add_library(user: Any, folder: str, name: str | None = None, **fields: Any) -> Library:
    """Make the server's `folder` (absolute, in escaped form or as it is) a library of `user`; nothing is scanned yet.

    `fields` are further fields of the row (`ratings`, `time_zone`). Raises LibraryRefused for a folder that is not
    allowed, not there, no folder, unreadable, or that overlaps with what others or the server have, or another library.
    """
    if folder.startswith(SCHEME):
        return _add_bucket(user, folder, name, **fields)
    real = checked_folder(user, folder)
    title = (name or "").strip() or escape_path(os.fsencode(real.name)) or "/"
    values = {"time_zone": settings.TIME_ZONE, **fields}
    # Before anything of somebody else's is looked at; once more below, under the lock.
    refuse_overlap(user, real)
    brought = seeding.brought_along(FolderLocation(real, _text(real)))
    try:
        with transaction.atomic():
            lock_taken_folders()
            refuse_overlap(user, real)
            key = seeding.free_id(brought, user)
            if key:
                values["id"] = key
            library = Library.objects.create(
                owner=user, name=title[:200], root=escape_path(os.fsencode(real)), **values
            )
            library.brought_entry_count = brought.entry_count if brought else 0  # type: ignore[attr-defined]
            return library
    except IntegrityError:
        raise LibraryRefused(_OUTSIDE) from None


def _add_bucket(user: Any, uri: str, name: str | None, **fields: Any) -> Library:
    """Make a bucket's prefix a library. Its stars stay in the database: no photo in a bucket is written yet."""
    try:
        root = allowed_bucket(user.get_username(), uri)
        _refuse_bucket_overlap(
            user, root
        )  # before anything of somebody else's is looked at; once more below, under the lock
        require_bucket(root)
    except NotAllowed:
        raise LibraryRefused(_OUTSIDE) from None
    except BucketRefused as refused:
        raise LibraryRefused(str(refused)) from None
    title = (name or "").strip() or root.uri.rpartition("/")[2]
    values = {"time_zone": settings.TIME_ZONE, **fields, "ratings": Library.Ratings.DATABASE, "is_watched": False}
    brought = seeding.brought_along(bucket_location(root.uri, is_quick=True))
    try:
        with transaction.atomic():
            lock_taken_folders()
            _refuse_bucket_overlap(user, root)
            key = seeding.free_id(brought, user)
            if key:
                values["id"] = key
            library = Library.objects.create(owner=user, name=title[:200], source="s3", root=root.uri, **values)
            library.brought_entry_count = brought.entry_count if brought else 0  # type: ignore[attr-defined]
            return library
    except IntegrityError:
        raise LibraryRefused(_OUTSIDE) from None


def _refuse_bucket_overlap(user: Any, root: BucketRoot) -> None:
    found = list(TakenFolders().overlapping(root))
    foreign = of_others(user, found)
    if foreign is not None:
        raise LibraryRefused(_OUTSIDE, foreign.words)
    for taken in found:
        raise LibraryRefused(
            f"That prefix overlaps with the library “{taken.name}”, and a photo can be in one library only. Nothing was changed."
        )


def folder_choices(user: Any, folder: str | None) -> FolderChoices:
    """Return the folders that `user` may choose from: the roots, or what lies in `folder`. Raises LibraryRefused.

    Hidden folders, links, and the libraries of others are not among them.
    """
    roots = allowed_roots(settings.PHOTO_ROOTS, user.get_username())
    taken = TakenFolders()
    mine = {one.place: one.name for one in taken.all if one.kind == "library" and one.owner_id == user.pk}
    others = {one.place for one in taken.all if one.owner_id != user.pk}
    if not folder:
        shown = [root for root in roots if of_others(user, taken.holding(root)) is None]
        return FolderChoices("", [], [_choice(root, str(root), mine) for root in dict.fromkeys(shown)])
    real = checked_folder(user, folder)
    found = []
    with os.scandir(real) as entries:
        for entry in entries:
            if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                path = real / entry.name
                if path not in others:
                    found.append(_choice(path, entry.name, mine))
    found.sort(key=lambda choice: (choice.name.casefold(), choice.name))
    above = [real, *real.parents]
    inside = [step for step in above if any(is_within(step, root) for root in roots)]
    crumbs = [_choice(step, step.name or "/", mine) for step in reversed(inside)]
    return FolderChoices(_text(real), crumbs, found[:MOST_CHOICES], len(found) > MOST_CHOICES)


def start_scan(library: Library, user: Any, **params: bool) -> Operation:
    """Start a scan for `user`; a worker does it. Raises AlreadyActive (with the operation) if one is under way.

    `params`: `confirm_gone`, `verify_heads`, or `only_failed`, which tries the broken and damaged files again, alone.
    """
    return start(
        "scan",
        user,
        subject=library.name,
        active_key=library.scan_key,
        params={"library": str(library.pk), **{name: True for name, is_asked in params.items() if is_asked}},
    )


def want_scan(library: Library, user: Any) -> Operation | None:
    """See to it that a scan of `library` begins after this moment: now, or when the one under way is done (then None)."""
    Library.objects.filter(pk=library.pk).update(scan_wanted_at=timezone.now())
    try:
        return start_scan(library, user)
    except AlreadyActive:
        return None


@done_again
def forget_library(library: Library) -> None:
    """Remove the library from the catalog, with its favourites and history; no file in its root is touched.

    Work that is under way stops within its batch, and what waits ends, with the code `library_gone`; what people were told
    would be done is for the caller to name before (`waiting_work.waiting_in`). All or nothing.
    """
    with transaction.atomic():
        of_library = Operation.objects.filter(Q(params__library=str(library.pk)) | Q(active_key=library.scan_key))
        of_library.filter(state=State.RUNNING).update(cancel_requested=True)
        of_library.filter(state=State.PENDING).update(
            state=State.FAILED,
            error="The library was forgotten before its turn came; nothing is left to do.",
            error_code="library_gone",
            finished_at=timezone.now(),
            superseded=True,
        )
        of_library.exclude(state=State.COMPLETED).update(superseded=True)
        # A batch that a scan commits meanwhile waits for this lock, and then finds no library.
        Library.objects.select_for_update().filter(pk=library.pk).first()
        of_it = Photo.objects.filter(library=library)
        # Each by one statement: the ORM's own cascade would load every row of a million first.
        Favourite.objects.filter(photo__in=of_it.values("pk")).delete()
        Withdrawal.objects.filter(photo__in=of_it.values("pk")).delete()
        PhotoMetadata.objects.filter(photo__in=of_it.values("pk")).delete()
        FileWrite.objects.filter(library=library).update(undoes=None)
        for rows in (FileWrite, TrashItem, QueuedStar, Alias, HashCache):
            theirs = rows.objects.filter(library=library)  # type: ignore[attr-defined]
            theirs._raw_delete(theirs.db)
        of_it._raw_delete(of_it.db)
        Snapshot.objects.filter(library=library).delete()
        ImportItem.objects.filter(import_run__library=library).delete()
        library.delete()


def set_member(library: Library, user: Any, role: str) -> Membership:
    """Let `user` see the library (viewer) or also change its photos (editor). Raises LibraryRefused.

    Who was an editor and is none any more leaves work behind as one who is removed does.
    """
    from . import leaving

    if role not in Membership.Role.values:
        raise LibraryRefused(f"A member is one of {', '.join(Membership.Role.values)}. Nothing was changed.")
    if user.pk == library.owner_id:
        raise LibraryRefused("The owner of a library needs no membership. Nothing was changed.")
    ends = role != Membership.Role.EDITOR
    with transaction.atomic():
        membership, _ = Membership.objects.update_or_create(library=library, user=user, defaults={"role": role})
        if ends:
            leaving.take_over(library, user)
            _end_rights(library, user)
    return membership


def remove_member(library: Library, user: Any) -> bool:
    """Take the membership away; return whether there was one. The member's own favourites stay, unseen.

    What the member was told is done is finished in the owner's name (`leaving`).
    """
    from . import leaving

    with transaction.atomic():
        removed, _ = Membership.objects.filter(library=library, user=user).delete()
        if removed:
            leaving.take_over(library, user)
            _end_rights(library, user)
    return bool(removed)


def _end_rights(library: Library, user: Any) -> None:
    """Stop the scans of `library` that `user` started, for good: who may scan no longer must not resume one either.

    So ends what would delete for good; nothing that waits is lost by that.
    """
    keys = [library.scan_key, f"trash:{library.pk}"]
    theirs = Operation.objects.filter(active_key__in=keys, owner=user).exclude(state=State.COMPLETED)
    theirs.filter(state=State.PENDING).update(state=State.CANCELLED, finished_at=timezone.now())
    theirs.filter(state=State.RUNNING).update(cancel_requested=True)
    theirs.update(superseded=True)


def role_of(library: Library, user: Any) -> str:
    """Return `owner`, `editor`, `viewer`, or "" for who may not see it. At most one query."""
    if library.owner_id == user.pk:
        return "owner"
    return Membership.objects.filter(library=library, user=user).values_list("role", flat=True).first() or ""


def checked_folder(user: Any, folder: str, *, refusal: str = _OUTSIDE) -> Path:
    """Return the real path of a folder that `user` may use: below the roots, and nothing that others or the server have.

    What is refused for that is never looked at, and gets one sentence (`refusal`), whatever is there. It may still hold
    something of others; `refuse_overlap` and `refuse_foreign` say so.
    """
    roots = allowed_roots(settings.PHOTO_ROOTS, user.get_username())
    if not roots:
        raise LibraryRefused(_NO_ROOTS)
    given, real = _paths_of(folder)
    foreign = of_others(user, TakenFolders().holding(*given, *([real] if real else [])))
    if real is None or foreign is not None or not any(is_within(real, root) for root in roots):
        raise LibraryRefused(refusal, foreign.words if foreign else "")
    name = _text(real)
    if not real.exists():
        raise LibraryRefused(f"There is no folder {name}. Is its disk or share mounted? Nothing was changed.")
    if not real.is_dir():
        raise LibraryRefused(f"{name} is a file, not a folder. Choose the folder it lies in. Nothing was changed.")
    try:
        with os.scandir(real) as entries:
            next(entries, None)
    except OSError as error:
        raise LibraryRefused(
            f"Photolala cannot read the folder {name}: {error.strerror}. Give its user the right to, then try again. "
            "Nothing was changed."
        ) from None
    return real


def _paths_of(folder: str) -> tuple[list[Path], Path | None]:
    """Return the absolute paths that `folder` may name, and what is there with links resolved.

    Escaped text comes first, then the very characters.
    """
    candidates: list[bytes] = []
    try:
        candidates.append(unescape_path(folder))
    except ValueError:
        pass  # not in escaped form: then it is meant as it is
    try:
        candidates.append(os.fsencode(folder))
    except UnicodeEncodeError:
        pass  # no file name at all; refused below unless the escaped form made sense
    paths = [raw for raw in candidates if raw.startswith(b"/") and b"\0" not in raw]
    given = [Path(os.fsdecode(os.path.normpath(raw))) for raw in paths]
    for raw in paths:
        if os.path.lexists(raw):
            return given, _resolved(raw)
    return given, _resolved(paths[0]) if paths else None


def _resolved(raw: bytes) -> Path | None:
    try:
        return Path(os.fsdecode(os.path.realpath(raw)))
    except (OSError, ValueError):
        return None


def refuse_overlap(user: Any, real: Path, *, besides: Library | None = None) -> None:
    """Raise LibraryRefused if a library in the folder would overlap with what is taken, `besides` the given library.

    Of one's own, libraries and destinations are in the way; a folder that one is importing from may become a library.
    """
    found = [one for one in TakenFolders().overlapping(real) if besides is None or one.key != besides.pk]
    foreign = of_others(user, found)
    for taken in found:
        if taken.owner_id != user.pk or not isinstance(taken.place, Path):
            continue
        if taken.kind == "library":
            raise LibraryRefused(_overlap_sentence(real, taken.place, taken.name))
        if taken.kind == "destination" and foreign is None:
            raise LibraryRefused(
                f"That folder overlaps with your export destination “{taken.name}”: what is exported there would be taken "
                "for new photos. Choose another one, or forget that destination first. Nothing was changed."
            )
    if foreign is not None:
        # Whose it is, and that it is a library at all, is not this user's business.
        raise LibraryRefused(_OUTSIDE, foreign.words)


def _overlap_sentence(real: Path, root: Path, name: str) -> str:
    if root == real:
        return f"That folder is the library “{name}” already. Nothing was changed."
    if is_within(real, root):
        return f"That folder lies in the library “{name}” already. Nothing was changed."
    return (
        f"The library “{name}” lies in that folder, and a photo can be in one library only. Choose another "
        "folder, or forget that library first. Nothing was changed."
    )


def refuse_foreign(user: Any, real: Path, *, before: datetime | None = None) -> None:
    """Raise LibraryRefused if the folder overlaps with what others have, or the server; with `before` had at that time."""
    foreign = of_others(user, TakenFolders().overlapping(real), before=before)
    if foreign is not None:
        raise LibraryRefused(NOT_TO_BE_READ, foreign.words)


def _choice(path: Path, name: str, mine: dict[Place, str]) -> FolderChoice:
    note = f"the library “{mine[path]}”" if path in mine else ""
    return FolderChoice(escape_path(os.fsencode(name)), _text(path), note, path in mine)


def _text(path: Path) -> str:
    return escape_path(os.fsencode(path))
