"""The queue of writes into files: what waits for whom, try again, give up, ask for something else."""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import User
from catalog.entries.pending_writes import is_due, start_writing
from catalog.models import FileWrite, Library, Photo


class NothingToUndo(Exception):
    """There is no write that could be taken back; the text is a sentence."""


def start_all_due() -> int:
    """Start a writer for each library where something is due and none is at work; return how many. For the schedule."""
    due = FileWrite.objects.filter(is_due(), FileWrite.queued())
    libraries = Library.objects.filter(pk__in=due.order_by().values("library").distinct()).select_related("owner")
    return sum(start_writing(library, library.owner) is not None for library in libraries)


def visible_writes(user: User) -> QuerySet[FileWrite]:
    """Return the writes in libraries that `user` may edit, newest first."""
    return FileWrite.objects.filter(library__in=Library.objects.editable_by(user).values("pk")).defer("undo_delta")


def retarget(write: FileWrite, wanted: dict[str, Any], user: User) -> None:
    """Let an open write want something else, as if it was asked for now; a worker that is at it looks again in the end.

    Whoever follows a worker that died compares, too: the file may say what was wanted before.
    """
    write.wanted, write.user, write.undoes, write.crash_count = wanted, user, None, 0
    if write.state != FileWrite.State.WRITING:
        write.state, write.code, write.reason, write.attempts = FileWrite.State.PENDING, "", "", 0
        write.try_at = timezone.now()
    write.save(
        update_fields=["wanted", "user", "state", "code", "reason", "attempts", "crash_count", "try_at", "undoes"]
    )


def want_in_catalog_only(write: FileWrite, wanted: dict[str, Any], user: User) -> None:
    """Let an open write end where files are not written any more; a worker that is at it writes what is wanted last."""
    if write.state == FileWrite.State.WRITING:
        retarget(write, wanted, user)
        return
    write.state, write.finished_at = FileWrite.State.SUPERSEDED, timezone.now()
    write.save(update_fields=["state", "finished_at"])


def retry(write: FileWrite, user: User) -> bool:
    """Try a waiting or failed write again now; False if it is neither."""
    again = FileWrite.objects.filter(pk=write.pk, state__in=["pending", "failed"])
    if not again.update(
        state=FileWrite.State.PENDING, attempts=0, crash_count=0, try_at=timezone.now(), code="", reason=""
    ):
        return False
    transaction.on_commit(lambda: start_writing(write.library, user))
    return True


def give_up(write: FileWrite) -> bool:
    """Keep what was wanted in the catalog only; the file stays as it is. False if it is not open."""
    with transaction.atomic():
        mine = FileWrite.objects.filter(pk=write.pk, state__in=["pending", "failed"])
        return bool(mine.update(state=FileWrite.State.SUPERSEDED, finished_at=timezone.now()))


def last_done(photo: Photo, kind: str = FileWrite.Kind.RATING) -> FileWrite | None:
    """Return the last write into the photo's file, if nothing was written into it since."""
    write = (
        FileWrite.objects.filter(photo=photo, kind=kind, state=FileWrite.State.DONE).order_by("-finished_at").first()
    )
    return write if write and (write.is_sidecar or write.new_md5 == photo.photo_md5) else None
