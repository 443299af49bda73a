"""Imports: begin one from a folder, take in what was sent, try again what was rejected; who may, and what they see of it."""

import os
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet, Sum
from django.utils import timezone

from accounts.models import User
from catalog.importing.finished_uploads import close_if_done
from catalog.importing.takeout import export_of
from catalog.models import Import, ImportItem, Library, Upload
from catalog.roots.folders import NOT_TO_BE_READ, checked_folder, refuse_foreign
from catalog.roots.taken_folders import lock_taken_folders
from catalog.sources.kinds import extension_of, is_media_name
from catalog.sources.placing import numbered
from operations.models import Operation, State
from operations.running import AlreadyActive, start
from photolala.lib.paths import escape_path, unescape_path

KIND = "import"
EXPIRES_AFTER = timedelta(days=3)
"""How long a file that was sent in part waits for the rest."""
KEEP_REJECTED = timedelta(days=7)
"""How long what was sent and could not be imported is kept, to be tried again."""
SETTLED_AFTER = timedelta(minutes=10)
"""A row without bytes, or bytes without a row, may be under way if it is younger than this."""
AGAIN = ("no_space", "permission", "unreadable", "timeout", "changed", "quota", "corrupted", "stopped")
"""Reasons that may be gone at the next try."""
UNCOUNTED = ("kept", "photo_rejected", "unsupported")
"""Why documents of an export do not come in without anything being wrong with them. Of photos the last is said, and counts."""
_ENDED_EARLY = (State.CANCELLED, State.FAILED, State.INTERRUPTED)


class ImportRefused(Exception):
    """The import is not possible; the text is a sentence for the person who asked."""


def import_key(library: Library) -> str:
    """Return the operations' key: one importer for a library at a time, so that nothing comes in twice."""
    return f"import:{library.pk}"


def require_target(library: Library) -> None:
    """Raise ImportRefused if files cannot be put into the library at all."""
    if library.source != "local":
        raise ImportRefused(
            "Files can be imported into libraries in folders of this server; this one is in a bucket. Nothing was changed."
        )


def start_folder_import(
    library: Library, user: User, folder: str, layout: str, *, people_as_keywords: bool = False, enqueue: bool = True
) -> Import:
    """Begin to import what lies in the server's `folder` (absolute, in escaped form or as it is); a worker does it.

    The files there stay as they are. Raises ImportRefused, or LibraryRefused for a folder that `user` may not read.
    """
    require_target(library)
    real = checked_folder(user, folder, refusal=NOT_TO_BE_READ)
    refuse_foreign(user, real)
    root = _real_root(library)
    if real == root or root in real.parents or real in root.parents:
        raise ImportRefused(
            "That folder is the library's own, is inside it, or contains it. What is there is catalogued by a scan. "
            "Nothing was changed."
        )
    with transaction.atomic():
        lock_taken_folders()
        refuse_foreign(user, real)
        wanted = Import.objects.create(
            library=library,
            user=user,
            kind=Import.Kind.FOLDER,
            source=escape_path(str(real)),
            layout=layout,
            people_as_keywords=people_as_keywords,
        )
    if enqueue:
        start_importing(library, user)
    return wanted


def _real_root(library: Library) -> Path:
    return Path(os.fsdecode(os.path.realpath(unescape_path(library.root))))


def start_importing(library: Library, user: User) -> Operation | None:
    """Let a worker take in what waits; None if one is at it already (it also takes what comes meanwhile).

    What somebody else cancelled is stopped, so that it does not go on with this: only their own files wait for them.
    """
    try:
        with transaction.atomic():
            last = _last_importer(library)
            begun = start(
                KIND,
                user,
                subject=library.name,
                active_key=import_key(library),
                params={"library": str(library.pk)},
                unit="files",
            )
            if last is not None and last.state == State.CANCELLED and not last.superseded and last.owner_id != user.pk:
                for cancelled in Import.objects.filter(
                    library=library, user=last.owner_id, created_at__lt=last.updated_at
                ):
                    stop(cancelled)
            return begun
    except AlreadyActive:
        return None


def _last_importer(library: Library) -> Operation | None:
    return Operation.objects.filter(active_key=import_key(library)).order_by("-created_at").first()


def waiting() -> QuerySet[Import]:
    """Return the imports with something to do, oldest first; also those of which nobody said that they are finished.

    Sidecars alone are nothing to do while more of their batch is being sent: their photos may still come.
    """
    open_items = ImportItem.objects.filter(import_run=OuterRef("pk"), state__in=ImportItem.OPEN)
    sending = Upload.objects.filter(import_run=OuterRef("pk"), completed_at=None)
    unfinished = Q(finished_at=None) & ~Q(kind=Import.Kind.UPLOAD)
    has_work = Exists(open_items.filter(is_sidecar=False)) | (Exists(open_items) & ~Exists(sending))
    return Import.objects.filter(unfinished | has_work, error="").order_by("created_at", "id")


def start_all_waiting() -> int:
    """Start an importer where something waits and none is at work; return how many. For the schedule.

    What a person cancelled, and what failed for them, waits for that person, unless more came after that. Files of others,
    who may know nothing of it, go on in their own names; if that fails, too, they are told by an operation of their own.
    """
    libraries = Library.objects.filter(pk__in=waiting().order_by().values("library")).select_related("owner")
    count = 0
    for library in libraries:
        last = _last_importer(library)
        waits = last is not None and last.state in _ENDED_EARLY and not last.superseded
        mine = waiting().filter(library=library).select_related("user")
        if last is not None and waits and not _has_come_since(library, last.updated_at):
            next_one = next((one for one in mine if not _was_told(library, one)), None)
        else:
            next_one = mine.first()
        if next_one is not None:
            count += start_importing(library, next_one.user) is not None
    return count


def _was_told(library: Library, wanted: Import) -> bool:
    """True if an importer that its own person began was ended after the last of the import's files had arrived."""
    own = Operation.objects.filter(active_key=import_key(library), owner=wanted.user_id, state__in=_ENDED_EARLY)
    arrived = Upload.objects.filter(import_run=wanted).aggregate(last=Max("completed_at"))["last"]
    return own.filter(updated_at__gt=max(wanted.created_at, arrived or wanted.created_at)).exists()


def _has_come_since(library: Library, moment: datetime) -> bool:
    """True if something was asked for, or arrived, that nobody was started for: whoever took it in died before that."""
    mine = waiting().filter(library=library)
    arrived = Upload.objects.filter(import_run__in=mine.order_by().values("pk"), completed_at__gt=moment)
    return mine.filter(created_at__gt=moment).exists() or arrived.exists()


def visible_imports(user: User) -> QuerySet[Import]:
    """Return the imports that `user` began, and all into libraries that are theirs; newest first."""
    mine = Q(user=user, library__in=Library.objects.visible_to(user).values("pk"))
    return Import.objects.filter(mine | Q(library__owner=user)).select_related("library").order_by("-created_at", "id")


def counts_of(imports: list[Import]) -> dict[UUID, dict[str, int]]:
    """Return for each import how many of its photos are in each state, and `bytes` of those imported. One query.

    Of what belongs to photos only what is still to come counts, and what got lost on its way.
    """
    counts: dict[UUID, dict[str, int]] = {
        one.pk: dict.fromkeys([*ImportItem.State.values, "bytes"], 0) for one in imports
    }
    counted = Q(is_sidecar=False) | Q(state__in=ImportItem.OPEN)
    counted |= Q(state=ImportItem.State.REJECTED) & ~Q(is_sidecar=True, code__in=UNCOUNTED)
    rows = ImportItem.objects.filter(counted, import_run__in=imports).order_by().values("import_run", "state")
    for row in rows.annotate(count=Count("pk"), size=Sum("size_bytes")):
        own = counts[row["import_run"]]
        own[row["state"]] = row["count"]
        if row["state"] == ImportItem.State.IMPORTED:
            own["bytes"] = row["size"] or 0
    return counts


def retry(wanted: Import, user: User) -> int:
    """Let what was rejected for a transient reason be tried again, and a source that could not be read; return how many files."""
    with transaction.atomic():
        again = wanted.items.filter(state=ImportItem.State.REJECTED, code__in=AGAIN)
        count = again.update(state=ImportItem.State.WAITING, code="", reason="", detail="", finished_at=None)
        reopened = Import.objects.filter(pk=wanted.pk)
        if not count:  # what is finished is not looked for again: its archive may be gone
            reopened = reopened.exclude(error="")
        reopened.update(error="", finished_at=None)
    transaction.on_commit(lambda: start_importing(wanted.library, user))
    return count


def stop(wanted: Import) -> int:
    """Import nothing more of it, until a person lets it be tried again; what came in stays. Returns how many files."""
    with transaction.atomic():
        waiting_items = wanted.items.filter(state=ImportItem.State.WAITING)
        count = waiting_items.update(
            state=ImportItem.State.REJECTED,
            code="stopped",
            reason="The import was stopped before its turn came.",
            finished_at=timezone.now(),
        )
        if wanted.kind != Import.Kind.UPLOAD and wanted.listed_at is None:
            Import.objects.filter(pk=wanted.pk).update(
                error="The import was stopped before its files were listed.", finished_at=timezone.now()
            )
        close_if_done(Import.objects.filter(pk=wanted.pk))
    return count


def open_batch(
    library: Library, user: User, layout: str = Import.Layout.MONTH, *, people_as_keywords: bool = False
) -> Import:
    """Return a new import for files that `user` is going to send. Raises ImportRefused."""
    require_target(library)
    return Import.objects.create(
        library=library,
        user=user,
        kind=Import.Kind.UPLOAD,
        layout=layout,
        people_as_keywords=people_as_keywords,
        listed_at=timezone.now(),
    )


def take_in(upload: Upload) -> None:
    """Make a file that was sent whole an item of its import, or an import of its own if it is an archive. Safe to repeat."""
    wanted = upload.import_run
    with transaction.atomic():
        # Of files with one name that end at one moment each gets its own.
        list(Import.objects.select_for_update(no_key=True).filter(pk=wanted.pk).values_list("pk", flat=True))
        done = Upload.objects.select_for_update().filter(pk=upload.pk, completed_at=None)
        if not done.update(completed_at=timezone.now(), expires_at=timezone.now() + KEEP_REJECTED):
            return
        if upload.filename.lower().endswith(".zip"):
            Import.objects.create(
                library=wanted.library,
                user=wanted.user,
                kind=Import.Kind.ARCHIVE,
                source=upload.filename,
                archive=upload.pk,
                layout=wanted.layout,
                people_as_keywords=wanted.people_as_keywords,
                export=export_of(upload.filename, wanted.pk),
            )
        else:
            item = ImportItem(
                import_run=wanted,
                directory=upload.directory,
                filename=_free_item_name(wanted, upload),
                size_bytes=upload.size_bytes,
                mtime_ns=upload.mtime_ns,
                upload=upload.pk,
                sent_path=upload.sent_path,
                is_sidecar=is_sidecar_name(upload.filename),
            )
            if not item.is_sidecar and not is_media_name(item.filename):
                item.state, item.code = ImportItem.State.REJECTED, "unsupported"
                item.reason, item.finished_at = "It is neither a photo nor a video.", timezone.now()
            item.save()
            Import.objects.filter(pk=wanted.pk).update(finished_at=None)
            close_if_done(Import.objects.filter(pk=wanted.pk))
    transaction.on_commit(lambda: start_importing(wanted.library, wanted.user))


def _free_item_name(wanted: Import, upload: Upload) -> str:
    name, number = upload.filename, 2
    while wanted.items.filter(directory=upload.directory, filename=name).exists():
        name, number = numbered(upload.filename, number), number + 1
    return name


def is_sidecar_name(name: str) -> bool:
    """True for a file that speaks about a photo, as far as the name alone tells."""
    return extension_of(name) in ("xmp", "aae", "json")
