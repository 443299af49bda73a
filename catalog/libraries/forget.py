"""What happens when people leave: members who lose their rights, and users who are deleted.

What they were told is done continues in the name of the library's owner, who is told of it by an operation that says how much.
"""

import os
import shutil
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.dispatch import receiver
from django.utils import timezone

from accounts.models import User
from accounts.signals import user_is_leaving, waiting_work_of
from catalog.entries.album_items import forget_items
from catalog.importing.staging import staged_path
from catalog.libraries.waiting import WaitingWork, sent_and_waiting, waiting_in, waiting_of
from catalog.models import (
    Alias,
    Favourite,
    FileWrite,
    HashCache,
    Import,
    ImportItem,
    Library,
    Membership,
    Photo,
    PhotoMetadata,
    QueuedStar,
    Snapshot,
    TrashItem,
    Upload,
    Withdrawal,
)
from changes import scopes
from operations.database_conflicts import retried_on_conflict
from operations.kinds import operation_kind
from operations.models import ACTIVE, UNFINISHED, Operation, State
from operations.running import Run

TAKEN_OVER = "taken_over"
_GO_ON = ("write", "import", "filing")
"""What a member began and others rely on; scans end, for the owner's own find the same, and so does emptying the trash."""


@operation_kind(TAKEN_OVER, label="Work taken over", queue="files")
def run_taken_over(run: Run) -> dict[str, Any]:
    """Do nothing: the operation only tells the owner of a library what is finished in their name."""
    return dict(run.operation.result)


@receiver(user_is_leaving, dispatch_uid="forget libraries")
def leave(sender: Any, user: User, **_: Any) -> None:
    """Forget the libraries of a user who is deleted, and let what others rely on continue in their owners' names."""
    for library in Library.objects.filter(owner=user):
        forget_library(library)  # by a few statements; the ORM's own cascade would load every photo of a million first
    begun_in = set(Operation.objects.filter(owner=user).values_list("params__library", flat=True))
    keys = {UUID(text) for text in begun_in if isinstance(text, str) and _is_uuid(text)}
    keys |= set(Import.objects.filter(user=user).values_list("library", flat=True))
    keys |= set(QueuedStar.objects.filter(user=user).values_list("library", flat=True))
    for library in Library.objects.filter(pk__in=keys).exclude(owner=user).select_related("owner"):
        take_over(library, user, is_deleted=True)
    _hand_over_videos(user)
    scopes.end(scopes.scope_name("user", user.pk))


@receiver(waiting_work_of, dispatch_uid="work that waits")
def say_what_waits(sender: Any, user: User, **_: Any) -> list[str]:
    """Return a sentence for each library of the user's where something waits, and for what others get to finish."""
    lines = []
    for library in Library.objects.filter(owner=user):
        waiting = waiting_in(library)
        if waiting.count:
            lines.append(f"Lost with the library “{library.name}”: {waiting.sentence}")
    for library in Library.objects.filter(memberships__user=user).select_related("owner"):
        waiting = waiting_of(user, library)
        if waiting.count:
            lines.append(f"Finished for {library.owner.get_username()} in “{library.name}”: {waiting.sentence}")
    return lines


def take_over(library: Library, user: User, *, is_deleted: bool = False) -> None:
    """Let the owner have what waits; all that hangs on the person if they are deleted. Call it in a transaction.

    The files that were sent get their second names before the commit: a kill leaves names that no upload has, which the
    schedule removes.
    """
    list(Upload.objects.select_for_update().filter(user=user, import_run__library=library).values_list("pk"))
    waiting = waiting_of(user, library)
    waiting_imports = sent_and_waiting(Import.objects.filter(library=library, user=user))
    imports = Import.objects.filter(library=library, user=user) if is_deleted else waiting_imports
    keys = list(imports.values_list("pk", flat=True))
    if not is_deleted:
        _keep_unfinished_apart(library, user, keys)
    Upload.objects.filter(pk__in=_bring_to_owner(library, user)).update(user=library.owner)
    Import.objects.filter(pk__in=keys).update(user=library.owner)
    if is_deleted:
        QueuedStar.objects.filter(library=library, user=user).update(user=library.owner)
    operations = Operation.objects.filter(params__library=str(library.pk), owner=user)
    if is_deleted:
        operations = operations.exclude(kind__startswith="export")
    else:
        operations = operations.filter(kind__in=_GO_ON, state__in=UNFINISHED, superseded=False)
    operations.update(owner=library.owner)
    if waiting.count:
        _tell_owner(library, user, waiting)


def _keep_unfinished_apart(library: Library, user: User, import_keys: list[UUID]) -> None:
    """Leave the member what is still being sent: it was not acknowledged, and is refused when it arrives."""
    for key in import_keys:
        unfinished = Upload.objects.filter(import_run=key, user=user, completed_at=None)
        if unfinished.exists():
            apart = Import.objects.create(library=library, user=user, kind=Import.Kind.UPLOAD, listed_at=timezone.now())
            unfinished.update(import_run=apart)


def _tell_owner(library: Library, user: User, waiting: WaitingWork) -> None:
    now = timezone.now()
    counts = {"writes": waiting.writes, "files": waiting.files, "imports": waiting.imports, "trash": waiting.trash}
    Operation.objects.create(
        kind=TAKEN_OVER,
        owner=library.owner,
        subject=f"{library.name}, from {user.get_username()}"[:200],
        state=State.COMPLETED,
        params={"library": str(library.pk)},
        result={"library": str(library.pk), **{name: count for name, count in counts.items() if count}},
        started_at=now,
        finished_at=now,
    )


def _hand_over_videos(user: User) -> None:
    """Let videos that are being made playable be made for the owners of their libraries: others may wait for them, too."""
    videos = Operation.objects.filter(owner=user, kind="rendition", state__in=ACTIVE)
    for key, photo in videos.values_list("pk", "params__photo"):
        owner = Photo.objects.filter(pk=photo).values_list("library__owner", flat=True).first()
        if owner is not None and owner != user.pk:
            Operation.objects.filter(pk=key).update(owner=owner)


def _bring_to_owner(library: Library, user: User) -> list[UUID]:
    """Give the files that arrived whole a second name in the owner's folder; return the uploads that have it now.

    The first name stays for an importer that is at it just now, and goes with what no upload names. Safe to repeat.
    """
    imports = Import.objects.filter(library=library, user=user)
    brought = []
    for key in _arrived(imports, user):
        old, new = staged_path(user.pk, key), staged_path(library.owner_id, key)
        new.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            try:
                os.link(old, new)
            except FileNotFoundError:
                continue
            except FileExistsError:
                raise
            except OSError:  # a file system without second names
                shutil.copyfile(old, new)
        brought.append(key)
    return brought


def _arrived(imports: QuerySet[Import], user: User) -> list[UUID]:
    arrived = Upload.objects.filter(user=user, completed_at__isnull=False)
    archives = imports.filter(archive__isnull=False).values("archive")
    return list((arrived.filter(import_run__in=imports) | arrived.filter(pk__in=archives)).values_list("pk", flat=True))


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


@retried_on_conflict
def forget_library(library: Library) -> None:
    """Remove the library from the catalog, with its favourites and history; no file in its root is touched.

    Work that is under way stops within its batch, and what waits ends, with the code `library_gone`; what people were told
    would be done is for the caller to name before (`waiting.waiting_in`). All or nothing.
    """
    library_id = library.pk
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
        forget_items(of_it)
        PhotoMetadata.objects.filter(photo__in=of_it.values("pk")).delete()
        FileWrite.objects.filter(library=library).update(undoes=None)
        for rows in (FileWrite, TrashItem, QueuedStar, Alias, HashCache):
            theirs = rows.objects.filter(library=library)
            theirs._raw_delete(theirs.db)
        of_it._raw_delete(of_it.db)
        Snapshot.objects.filter(library=library).delete()
        ImportItem.objects.filter(import_run__library=library).delete()
        seen_by = [library.owner_id, *Membership.objects.filter(library=library).values_list("user", flat=True)]
        library.delete()
        scopes.end(scopes.scope_name("library", library_id), seen_by)
