"""What became of the files of an import: written, and counted, under the fencing number of the run."""

from collections import Counter
from collections.abc import Iterable, Sequence
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from catalog.importing import finished_uploads
from catalog.importing.planner import Planner
from catalog.importing.read_file import ReadFile
from catalog.importing.requests import UNCOUNTED
from catalog.importing.rows import ENDS, write_items
from catalog.importing.staging import forget_uploads, remove_staged
from catalog.models import Import, ImportItem
from operations.running import Run

State = ImportItem.State


class Outcomes:
    """Writes the items' rows for one run. Each method that writes raises LeaseLost if this is somebody else's work by now."""

    def __init__(self, run: Run, planner: Planner) -> None:
        self._run = run
        self._planner = planner
        self.counts: Counter[str] = Counter(run.operation.checkpoint.get("counts", {}))
        """How many photos came to which end, over all claims of the operation; `known` were not read again, `sidecars` came
        along with photos."""

    def confirm(self, items: Sequence[ImportItem] = ()) -> None:
        """Prove that this is still our work, and write the new names of these items in the same transaction."""
        with transaction.atomic():
            write_items(items, ["target_filename"])
            self._run.checkpoint(stop=False)

    def write(self, items: Sequence[ImportItem], placed: Sequence[ReadFile] = ()) -> None:
        """Write what became of the files; `placed` are in the library now. Call it in a transaction."""
        for one in placed:
            one.item.state = State.IMPORTED
            self._planner.note(one.item)
        beside = {one.pk: one for read in placed for one in read.sidecars.values() if one.state != State.WAITING}
        ended = [item for item in items if item.state not in ImportItem.OPEN]
        _note_end([*ended, *beside.values()])
        write_items([*ended, *beside.values()], ENDS)
        self._count([*ended, *beside.values()], len(ended))

    def write_sidecars(self, sidecars: Sequence[ImportItem]) -> None:
        """Write what became of sidecars that came without their photos. Call it in a transaction."""
        _note_end(sidecars)
        write_items(sidecars, ENDS)
        self._count(sidecars)

    def forget_uploads(self, wanted: Import, items: Iterable[ImportItem]) -> list[UUID]:
        """Forget, in the transaction that says that they are in the library, the uploads of files; return which.

        What was rejected is kept a while, to be tried again.
        """
        if wanted.kind != Import.Kind.UPLOAD:
            return []
        ends = [item.upload for item in items if item.state in (State.IMPORTED, State.DUPLICATE) and item.upload]
        finished_uploads.remember(ends)
        forget_uploads(ends)
        return ends

    def discard(self, wanted: Import, uploads: list[UUID]) -> None:
        """Remove the bytes of uploads that no row knows any more: only once that is committed."""
        remove_staged(wanted.user_id, uploads)

    def _count(self, items: Iterable[ImportItem], done: int = 0) -> None:
        items = list(items)
        self.counts.update(str(item.state) for item in items if is_counted(item))
        self.counts["sidecars"] += sum(item.is_sidecar and item.state == State.IMPORTED for item in items)
        self._run.advance(done)
        self._run.checkpoint(stop=False, counts=dict(self.counts))


def is_counted(item: ImportItem) -> bool:
    """True for photos and videos, and for what belongs to one and got lost on its way: figures for people speak of photos."""
    return not item.is_sidecar or (item.state == State.REJECTED and item.code not in UNCOUNTED)


def _note_end(items: Iterable[ImportItem]) -> None:
    """Say when these items ended, where they did."""
    now = timezone.now()
    for item in items:
        item.finished_at = None if item.state in ImportItem.OPEN else now
