"""The end of an import: sidecars that came after their photos, what is left over, and the uploads that are done with."""

from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone

from catalog.importing import finished_uploads
from catalog.importing.export_albums import ExportAlbums
from catalog.importing.joining import Joining
from catalog.importing.origins import Origin
from catalog.importing.outcomes import Outcomes
from catalog.importing.parts import Parts, in_exports
from catalog.importing.placer import Placer
from catalog.importing.read_file import name_beside
from catalog.importing.reasons import reject
from catalog.importing.staging import forget_uploads
from catalog.models import Import, ImportItem, Upload
from catalog.sources.kinds import companions_in
from operations.running import Run

State = ImportItem.State


class _Late(NamedTuple):
    """A sidecar whose photo is in the library already, and its name there."""

    photo: ImportItem
    sidecar: ImportItem
    name: str


class Finishing:
    """Closes imports whose files were all brought in."""

    def __init__(self, run: Run, placer: Placer, outcomes: Outcomes) -> None:
        self._run = run
        self._placer = placer
        self._outcomes = outcomes
        self._joining = Joining(run, placer, outcomes)
        self._albums = ExportAlbums(run)

    def finish(self, wanted: Import, origin: Origin, parts: Parts) -> None:
        """Bring late sidecars to their photos, say of the rest that nobody wanted them, and close the import."""
        if wanted.kind == Import.Kind.UPLOAD and Upload.objects.filter(import_run=wanted, completed_at=None).exists():
            return  # more is on its way
        open_sidecars = list(wanted.items.filter(state__in=ImportItem.OPEN, is_sidecar=True))
        documents = in_exports(open_sidecars)
        self._joining.join(wanted, origin, parts, documents)
        self._albums.bring(wanted, parts)
        joined = {item.pk for item in documents}
        open_sidecars = [item for item in open_sidecars if item.pk not in joined]
        for directory in {item.directory for item in open_sidecars}:
            self._bring_late(wanted, origin, directory, [i for i in open_sidecars if i.directory == directory])
        with transaction.atomic():
            done_with = self._outcomes.forget_uploads(
                wanted, wanted.items.filter(state__in=[State.IMPORTED, State.DUPLICATE], is_sidecar=True)
            )
            if wanted.kind == Import.Kind.ARCHIVE and wanted.archive and not _may_be_tried_again(wanted):
                done_with = [wanted.archive]
                finished_uploads.remember(done_with)
                forget_uploads(done_with)
            Import.objects.filter(pk=wanted.pk).update(finished_at=timezone.now())
            self._run.checkpoint(stop=False)
        self._outcomes.discard(wanted, done_with)

    def _bring_late(self, wanted: Import, origin: Origin, directory: str, sidecars: list[ImportItem]) -> None:
        """Put the sidecars of a folder beside photos that came before them, or reject them; write what became of them."""
        late = list(_late(wanted, directory, sidecars))
        with transaction.atomic():
            for one in late:
                place = {"target_directory": one.photo.target_directory, "target_filename": one.name}
                ImportItem.objects.filter(pk=one.sidecar.pk).update(state=State.PLACING, **place)
            self._run.checkpoint(stop=False)
        try:
            for one in late:
                with suppress(OSError, ValueError):
                    self._placer.reserve_sidecar(one.sidecar, one.photo)
            self._outcomes.confirm()
            for one in late:
                with suppress(OSError, ValueError):
                    folder = self._placer.folder_for(one.photo.target_directory)
                    self._placer.copy_sidecar(one.sidecar, one.name, one.photo, origin, folder)
            self._placer.settle()
            for item in sidecars:
                if item.state in ImportItem.OPEN:
                    reject(item, "no_photo", "No photo that it speaks about was imported.")
            with transaction.atomic():
                self._outcomes.write_sidecars(sidecars)
        finally:
            self._placer.leave()


def _may_be_tried_again(wanted: Import) -> bool:
    rejected = wanted.items.filter(state=State.REJECTED).exclude(
        code__in=["unsupported", "no_photo", "photo_rejected", "kept", "trashed", "album"]
    )
    return rejected.exists() or wanted.items.filter(state__in=ImportItem.OPEN).exists()


def _late(wanted: Import, directory: str, sidecars: list[ImportItem]) -> Iterator[_Late]:
    """Yield those of a folder's sidecars whose photo was imported."""
    names = list(wanted.items.filter(directory=directory).values_list("filename", flat=True))
    by_name = {item.filename: item for item in sidecars}
    photos = {item.filename: item for item in wanted.items.filter(directory=directory, is_sidecar=False)}
    for photo_name, beside in companions_in(names).items():
        photo = photos.get(photo_name)
        if photo is None or photo.state != State.IMPORTED:
            continue
        for kind, name in beside.items():
            if name in by_name:
                target = name_beside(kind, by_name[name], photo, photo.target_filename)
                yield _Late(photo, by_name[name], target)
