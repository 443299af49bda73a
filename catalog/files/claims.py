"""The claims of one writer on the queue of writes: take, give back, and note what became of a try.

Every transaction here proves first, under lock, that the operation is still this writer's; a writer that was only slow
changes no row of its successor's.
"""

from collections.abc import Iterable
from typing import Any

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from catalog.entries.pending_writes import is_due, wait_before
from catalog.files.trash_leases import photos_under_way
from catalog.media.not_written import NotWritten
from catalog.models import FileWrite, Library, Photo
from operations.running import LeaseLost, Run

CLAIMED = 64
MOST_CRASHES = 3
_MOST_LISTED = 200


class Claims:
    """What one run of the operation holds of a library's queue, and how many writes ended how."""

    def __init__(self, run: Run, library: Library) -> None:
        self.run = run
        self.library = library
        self.name = f"{run.operation.pk}:{run.token}"
        self.counts = {"written": 0, "waiting": 0, "failed": 0, **run.operation.checkpoint.get("counts", {})}
        self.problems: list[dict[str, str]] = []
        self._alone: Any = None
        """The write that was claimed alone, so that its `crash_count` counts this try until it is said how it ended."""

    def prove(self) -> None:
        """Lock the operation's row and raise LeaseLost if it is somebody else's. Call it first in a transaction."""
        self.run.checkpoint(stop=False, counts=self.counts)

    def take(self) -> list[FileWrite]:
        """Take the next writes that are due, and those that a dead writer held, the latter one at a time."""
        with transaction.atomic():
            self.prove()
            claimed = self._next()
            self._alone = claimed[0].pk if len(claimed) == 1 else None
            places = Photo.objects.in_bulk([write.photo_id for write in claimed])
            now_placed = []
            for write in claimed:
                if not write.claimed_path and write.photo_id in places:
                    write.claimed_path = places[write.photo_id].path
                    now_placed.append(write)
                write.crash_count += len(claimed) == 1  # with others in hand nobody can tell whose fault it was
                write.claim_token += 1
                write.state, write.claimed_for = FileWrite.State.WRITING, self.name
            # What is the same for all in one statement: a bulk update of five columns costs as much as writing some files.
            FileWrite.objects.filter(pk__in=[write.pk for write in claimed]).update(
                crash_count=F("crash_count") + int(len(claimed) == 1),
                claim_token=F("claim_token") + 1,
                state=FileWrite.State.WRITING,
                claimed_for=self.name,
            )
            FileWrite.objects.bulk_update(now_placed, ["claimed_path"])
        return claimed

    def _next(self) -> list[FileWrite]:
        """Return what is to be claimed: what was in the hands of writers that died is tried alone, the often tried last.

        Nothing of such a photo is claimed before: what happened to its file is found out first. Whose file is being moved
        waits until that is done.
        """
        due = FileWrite.objects.filter(is_due(), FileWrite.queued(), library=self.library)
        due = due.exclude(photo__in=photos_under_way(self.library))
        due = due.exclude(state=FileWrite.State.WRITING, claimed_for=self.name).order_by("try_at", "pk")
        rows = (due.select_for_update(skip_locked=True, of=("self",)) if _locks() else due).defer("undo_delta")
        held = due.filter(state=FileWrite.State.WRITING).order_by().values("photo")
        rows = rows.exclude(state=FileWrite.State.PENDING, photo__in=held)
        first = rows.filter(state=FileWrite.State.WRITING, crash_count=0)[:1]
        fresh = rows.filter(state=FileWrite.State.PENDING, crash_count=0)[:CLAIMED]
        last = rows.order_by("crash_count", "try_at", "pk")[:1]
        return list(first) or _one_for_each_photo(fresh) or list(last)

    def note_place(self, write: FileWrite, path: str) -> bool:
        """Note where this try works, before it leaves anything there; False if the write is not ours any more."""
        with transaction.atomic():
            self.prove()
            write.claimed_path = path
            mine = FileWrite.objects.filter(pk=write.pk, claim_token=write.claim_token)
            return bool(mine.update(claimed_path=path))

    def give_back(self) -> None:
        """Give back what was claimed and not begun, when a run ends early; nothing if it is somebody else's by now."""
        try:
            with transaction.atomic():
                self.prove()
                held = FileWrite.objects.filter(library=self.library, state="writing", claimed_for=self.name)
                list(held.select_for_update().order_by("pk").values_list("pk"))
                held.filter(pk=self._alone, crash_count__gt=0).update(
                    crash_count=F("crash_count") - 1
                )  # this writer lives
                held.filter(new_md5="", xmp_new_md5="").update(state=FileWrite.State.PENDING)
        except LeaseLost:
            return

    def settle(self, write: FileWrite, reason: NotWritten) -> None:
        """Note why a file was not written, and when it is tried again; a lasting reason waits for a person.

        Where something else is wanted meanwhile, that is tried at once. `write` says which versions may still be in their
        places without the catalog knowing it; the next writer finds out. Raises LeaseLost.
        """
        with transaction.atomic():
            self.prove()
            row = FileWrite.objects.select_for_update().filter(pk=write.pk, claim_token=write.claim_token)
            wanted = row.values_list("wanted", flat=True).first()
            if wanted is None:
                return
            ended: dict[str, Any]
            if wanted != write.wanted:
                ended = {"state": FileWrite.State.PENDING, "code": "", "reason": "", "attempts": 0}
            else:
                attempts = write.attempts + 1
                ended = {
                    "state": FileWrite.State.FAILED if reason.is_lasting else FileWrite.State.PENDING,
                    "code": reason.code,
                    "reason": str(reason),
                    "attempts": attempts,
                    "try_at": timezone.now() + wait_before(attempts),
                }
            announced = ("old_md5", "new_md5", "xmp_old_md5", "xmp_new_md5")
            ended |= {name: getattr(write, name) for name in announced}
            if not (write.new_md5 or write.xmp_new_md5):
                ended["claimed_for"] = ""
            FileWrite.objects.filter(pk=write.pk).update(crash_count=0, **ended)
            if "try_at" in ended:
                self._count(write, reason)
                self.run.checkpoint(stop=False, force=False, counts=self.counts)

    def _count(self, write: FileWrite, reason: NotWritten) -> None:
        self.counts["failed" if reason.is_lasting else "waiting"] += 1
        if len(self.problems) < _MOST_LISTED:
            path = Photo.objects.filter(pk=write.photo_id).values_list("directory", "filename").first() or ("", "")
            self.problems.append({"path": "/".join(filter(None, path)), "reason": str(reason), "code": reason.code})
        self.run.advance(1)


def _one_for_each_photo(writes: Iterable[FileWrite]) -> list[FileWrite]:
    """Return the first write of each photo: two at once would be in each other's way."""
    first: dict[Any, FileWrite] = {}
    for write in writes:
        first.setdefault(write.photo_id, write)
    return list(first.values())


def _locks() -> bool:
    return connection.features.has_select_for_update_skip_locked
