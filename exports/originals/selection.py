"""Selected photos are exported to a destination, from whatever libraries: asked for, and done."""

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from typing import Any
from uuid import UUID

from django.db import transaction

from accounts.models import User
from catalog.albums import access
from catalog.entries import pairs
from catalog.models import Album, Library, Photo
from catalog.models.photo import PhotoQuerySet
from catalog.roots.reach import source_for
from catalog.roots.told import told
from catalog.sources.base import SourceUnavailable
from exports.destinations.guard import guard_of
from exports.ledger.errors import LedgerFailed
from exports.models import ExportDestination, SelectedPhoto
from exports.reading.originals import Problems, SourceGuard
from operations.kinds import operation_kind
from operations.models import Operation
from operations.running import OperationFailed, Run, start
from photolala.web.refusals import NotThere, Unprocessable

from .folder_export import MOST_RECORD_PROBLEMS, FolderExport
from .opened import export_into
from .plan import Target
from .report import FAILED, Report, ReportRow
from .requests import exports_again

KIND = "export_selection"
MOST_PHOTOS = 10_000
"""So many photos can be exported at once: as many as can be selected."""
_IDS_AT_ONCE = 500
ON_A_PHONE = "It is on the phone only."
GONE = "The file is not in its place. A scan finds it if it was moved."


def start_selection_export(
    user: User,
    destination: ExportDestination,
    photo_ids: Sequence[UUID],
    album: UUID | None = None,
    *,
    enqueue: bool = True,
) -> Operation:
    """Start the export of these photos (of an album without ids: all of it) to the destination, which is the user's.

    The short video of a picture comes along. They must be photos of libraries that `user` sees: what is seen in an album
    alone can be downloaded at most. Raises NotThere if one is not, Unprocessable for too many, AlreadyActive (with the
    operation) while the destination is at work.
    """
    wanted = list(dict.fromkeys(photo_ids)) if photo_ids or album is None else _photos_of(user, album)
    if len(wanted) > MOST_PHOTOS:
        raise Unprocessable(f"Up to {MOST_PHOTOS:,} photos can be exported at once. Select fewer.", "too_many")
    libraries: Counter[UUID] = Counter()
    for ids in (wanted[first : first + _IDS_AT_ONCE] for first in range(0, len(wanted), _IDS_AT_ONCE)):
        found = Photo.objects.visible_to(user).filter(pk__in=ids).order_by()
        libraries.update(found.values_list("library", flat=True))
    if not wanted or libraries.total() < len(wanted):
        raise NotThere(
            "Not all of these photos are there and in libraries that you may see. Select them again. Nothing was started.",
            "not_found",
        )
    photos = "1 photo" if len(wanted) == 1 else f"{len(wanted):,} photos"
    wanted = pairs.with_videos(Photo.objects.visible_to(user), wanted)
    with transaction.atomic():
        operation = start(
            KIND,
            user,
            subject=f"{photos} to {destination.name}",
            active_key=destination.active_key,
            params={"destination": str(destination.pk), "photo_count": len(wanted)},
            enqueue=enqueue,
        )
        SelectedPhoto.objects.bulk_create(
            [SelectedPhoto(operation=operation, photo=key) for key in wanted], batch_size=_IDS_AT_ONCE
        )
        destination.selected_from.add(*Library.objects.filter(pk__in=list(libraries)))
        exports_again(destination)
    return operation


def _photos_of(user: User, album: UUID) -> list[UUID]:
    if not Album.objects.visible_to(user).filter(pk=album).exists():
        raise NotThere("There is no such album, or none that you may see.", "not_found")
    shown = access.photos_in(user, album).filter(pk__in=Photo.objects.visible_to(user).values("pk"))
    return list(shown.order_by("taken_local", "pk").values_list("pk", flat=True)[: MOST_PHOTOS + 1])


@operation_kind(KIND, label="Export of selected photos", queue="export")
def run_selection_export(run: Run) -> dict[str, Any]:
    """Copy what the destination lacks of the selected photos; safe to run again after any end."""
    destination = ExportDestination.objects.filter(pk=run.params["destination"]).first()
    if destination is None:
        raise OperationFailed("This destination was removed; its files are left as they are.", "deleted")
    try:
        return export_into(
            run, destination, guard_of(destination), lambda target, report: _Selection(run, target, report).export()
        )
    except LedgerFailed as error:
        raise OperationFailed(str(error), "destination") from error


class _Selection:
    """The photos of one operation, while it holds the destination's ledger."""

    def __init__(self, run: Run, target: Target, report: Report) -> None:
        self.run, self.target, self.report = run, target, report
        self.problems = Problems()
        self.counts: Counter[str] = Counter(copied=0, skipped=0, adopted=0, companions=0, previews=0, size_bytes=0)
        self.away: list[str] = []
        """Sentences on libraries that cannot be read now."""
        self.began = time.monotonic()

    def export(self) -> dict[str, Any]:
        """Go through the libraries that the photos are in; return the counts.

        A library that cannot be read now does not hold up the others. Raises OperationFailed for it in the end.
        """
        selected = SelectedPhoto.objects.filter(operation=self.run.operation.pk)
        photos = Photo.objects.visible_to(self.run.owner).filter(pk__in=selected.values("photo"))
        self.run.phase("Copying photos", total=selected.count(), unit="photos")
        self._tell_of_gone(photos, selected.count())
        libraries = Library.objects.filter(pk__in=photos.order_by().values("library"))
        for library in libraries.order_by("name", "pk"):
            try:
                self._export_from(library, photos.filter(library=library))
            except SourceUnavailable as error:
                self.away.append(told(library, self.run.owner, str(error)))
        self.target.ledger.flush()
        if self.away:
            raise OperationFailed(f"{' '.join(self.away)} What was exported is kept and recorded.", "root_unavailable")
        return self._result()

    def _tell_of_gone(self, photos: PhotoQuerySet, count: int) -> None:
        gone = count - photos.count()
        if gone:
            sentence = "They are not in the catalog any more, or not yours to see."
            self.problems.add("1 selected photo" if gone == 1 else f"{gone:,} selected photos", sentence)
            self.problems.count += gone - 1
            self.run.advance(gone)

    def _export_from(self, library: Library, photos: PhotoQuerySet) -> None:
        nowhere = [Photo.State.MISSING, Photo.State.REMOTE]
        for photo in photos.filter(state__in=nowhere).only("directory", "filename", "state"):
            reason = ON_A_PHONE if photo.state == Photo.State.REMOTE else GONE
            self.problems.add(photo.path, reason)
            self.report.add(ReportRow(str(photo.pk), photo.path, FAILED, "", reason))
            self.run.advance()
        present = photos.exclude(state__in=nowhere)
        if not present.exists():
            return
        with closing(source_for(library)) as source:
            guard = SourceGuard(library, source)
            guard.require()
            export = FolderExport(self.run, library, source, guard, self.target, self.report, self.problems)
            export.export(present)
        self.counts.update(export.counts)
        self.counts["size_bytes"] += export.size_bytes
        self.counts["companions"] += export.companions.count if export.companions is not None else 0
        self.counts["previews"] += export.previews.count if export.previews is not None else 0

    def _result(self) -> dict[str, Any]:
        return {
            "operation": str(self.run.operation.pk),
            "destination": self.target.destination.folder,
            **self.counts,
            "failed": self.problems.count,
            "seconds": round(time.monotonic() - self.began, 3),
            "problem_count": self.problems.count,
            "problems": self.problems.listed,
            "record_problems": self.target.ledger.report.problems[:MOST_RECORD_PROBLEMS],
        }
