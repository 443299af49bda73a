"""Uploads that are over: what is remembered of them until they expire, and what became of each."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from accounts.models import User
from catalog.models import FinishedUpload, Import, ImportItem, Library, Upload


@dataclass(frozen=True)
class UploadStatus:
    """How far an upload has come: the import that has it now, the item's state and the photo."""

    upload: UUID
    import_id: UUID
    sent_path: str
    state: str
    """`receiving` while bytes are missing, then that of its item; of an archive `waiting` or `imported`."""
    photo: UUID | None = None
    code: str = ""


def remember(uploads: list[UUID]) -> None:
    """Keep in mind that these uploads are over, in the transaction that removes their rows. Safe to repeat."""
    rows = Upload.objects.filter(pk__in=uploads).exclude(completed_at=None)
    FinishedUpload.objects.bulk_create(
        [
            FinishedUpload(
                id=one.pk,
                user_id=one.user_id,
                import_run_id=one.import_run_id,
                sent_path=one.sent_path or one.filename,
                size_bytes=one.size_bytes,
                expires_at=one.expires_at,
            )
            for one in rows
        ],
        ignore_conflicts=True,
    )


def find_finished(user: User, upload_id: UUID) -> FinishedUpload | None:
    """Return the user's own upload if it is over, did not expire yet, and came into a library that they may still see."""
    visible = Library.objects.visible_to(user).values("pk")
    return FinishedUpload.objects.filter(user=user, pk=upload_id, import_run__library__in=visible).first()


def status_of(upload: Upload | FinishedUpload) -> UploadStatus:
    """Return what became of an upload, as far as that is decided. Two queries at most."""
    sent = upload.sent_path or getattr(upload, "filename", "")
    whole = isinstance(upload, FinishedUpload) or upload.completed_at is not None
    if not whole:
        return UploadStatus(upload.pk, upload.import_run_id, sent, "receiving")
    item = ImportItem.objects.filter(upload=upload.pk).first()
    if item is not None:
        return UploadStatus(
            upload.pk, item.import_run_id, item.sent_path or sent, str(item.state), item.photo, item.code
        )
    archive = Import.objects.filter(archive=upload.pk).first()
    if archive is None:
        return UploadStatus(upload.pk, upload.import_run_id, sent, str(ImportItem.State.WAITING))
    ended = ImportItem.State.REJECTED if archive.error else ImportItem.State.IMPORTED
    state = ImportItem.State.WAITING if archive.finished_at is None and not archive.error else ended
    return UploadStatus(upload.pk, archive.pk, sent, str(state))


def close_if_done(imports: QuerySet[Import]) -> int:
    """Note of imports that they are finished: their files are known, none is still being sent, each is imported or not.

    The importer does so, too; this is for a last file that was given up, refused or stopped. Returns how many.
    """
    items = ImportItem.objects.filter(import_run=OuterRef("pk"))
    sending = Upload.objects.filter(import_run=OuterRef("pk"), completed_at=None)
    done = Exists(items), ~Exists(items.filter(state__in=ImportItem.OPEN)), ~Exists(sending)
    return (
        imports.filter(*done, listed_at__isnull=False, finished_at=None).order_by().update(finished_at=timezone.now())
    )


def forget_expired(before: datetime) -> int:
    """Forget the uploads that expired before that moment; return how many."""
    return FinishedUpload.objects.filter(expires_at__lte=before).delete()[0]
