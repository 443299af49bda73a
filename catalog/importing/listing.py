"""List what an import brings: an item for every file, before any of them is read."""

from collections.abc import Callable, Iterable
from contextlib import closing, suppress

from django.db import transaction
from django.utils import timezone

from catalog.importing.nested import NotTaken, take_nested
from catalog.importing.origins import Origin, origin_of
from catalog.importing.parts import is_document
from catalog.importing.reasons import reject
from catalog.importing.requests import is_sidecar_name
from catalog.importing.rows import insert_items
from catalog.importing.takeout import export_of
from catalog.models import Import, ImportItem
from catalog.sources.base import SourceUnavailable
from catalog.sources.kinds import companions_in, extension_of, is_media_name
from operations.running import Run

LIST_BATCH = 2000


def list_files(run: Run, wanted: Import, origin: Origin) -> None:
    """Make an item of every file. Begun anew if it was interrupted; an archive in a folder is an import of its own."""
    run.phase("Looking through the files", unit="files")
    with transaction.atomic():
        wanted.items.all().delete()
        run.checkpoint(stop=False)
    batch: list[ImportItem] = []
    archives: list[str] = []
    nested = 0
    for directory in origin.walk():
        batch += [_refused(wanted, problem.path, problem.reason) for problem in directory.problems]
        beside = _sidecar_names(directory.path, [name for name, _, _ in directory.files])
        for name, size, mtime in directory.files:
            item = ImportItem(
                import_run=wanted, directory=directory.path, filename=name, size_bytes=size, mtime_ns=mtime
            )
            if wanted.kind == Import.Kind.FOLDER and extension_of(name) == "zip":
                archives.append(directory.path_of(name))
                continue
            if wanted.kind == Import.Kind.ARCHIVE and extension_of(name) == "zip":
                nested += 1
                try:
                    take_nested(run, wanted, origin, item, nested)
                except NotTaken as error:
                    reject(item, *error.reason)
                    batch.append(item)
                continue
            item.is_sidecar = name in beside
            if not item.is_sidecar and not is_media_name(name):
                reject(item, "unsupported", "It is neither a photo nor a video.")
            batch.append(item)
            if len(batch) >= LIST_BATCH:
                _write(run, batch)
                batch = []
    _write(run, batch)
    with transaction.atomic():
        for path in archives:
            Import.objects.create(
                library=wanted.library, user=wanted.user, kind=Import.Kind.ARCHIVE,
                source=f"{wanted.source}/{path}", layout=wanted.layout, export=export_of(path, wanted.pk),
                people_as_keywords=wanted.people_as_keywords,
            )  # fmt: skip
        Import.objects.filter(pk=wanted.pk).update(listed_at=timezone.now())
        run.checkpoint(stop=False)
    run.raise_if_stopped()


def take_archives_again(run: Run, wanted: Import, origin: Origin) -> None:
    """Look into the archives in an archive again that could not be unpacked at an earlier try, for want of room, say."""
    if wanted.kind != Import.Kind.ARCHIVE:
        return
    waiting = wanted.items.filter(state=ImportItem.State.WAITING, is_sidecar=False, filename__iendswith=".zip")
    for item in list(waiting.order_by("pk")):
        try:
            take_nested(run, wanted, origin, item, 1)
        except NotTaken as error:
            reject(item, *error.reason)
        with transaction.atomic():
            if item.state == ImportItem.State.REJECTED:
                item.save(update_fields=["state", "code", "reason", "detail", "finished_at"])
            else:
                item.delete()  # what is in it are items of an import of its own
            run.checkpoint(stop=False)


def list_parts(run: Run, parts: Iterable[Import], keepalive: Callable[[], object]) -> None:
    """List other parts of an export, as far as they can be read now: a photo's document may be in any of them."""
    for part in parts:
        with suppress(SourceUnavailable), closing(origin_of(part, keepalive)) as origin:
            list_files(run, part, origin)


def _refused(wanted: Import, path: str, reason: str) -> ImportItem:
    directory, _, name = path.rpartition("/")
    item = ImportItem(import_run=wanted, directory=directory, filename=name or "(top folder)", size_bytes=0, mtime_ns=0)
    reject(item, "unreadable", reason)
    return item


def _write(run: Run, batch: list[ImportItem]) -> None:
    with transaction.atomic():
        insert_items(batch)
        run.advance(len(batch))
        run.checkpoint(stop=False, is_lasting=False)  # begun anew if it is interrupted
    run.raise_if_stopped()


def _sidecar_names(directory: str, names: list[str]) -> set[str]:
    """Return those names of a folder that are sidecars by their kind, or by what they are beside.

    The photo of an export's document may be in another folder or part.
    """
    beside = {name for companions in companions_in(names).values() for name in companions.values()}
    alone = {name for name in names if is_sidecar_name(name) and extension_of(name) != "json"}
    return beside | alone | {name for name in names if is_document(directory, name)}
