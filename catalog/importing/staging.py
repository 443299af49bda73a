"""Where the bytes of uploads lie until an import takes them, one folder for each person."""

import os
from pathlib import Path
from uuid import UUID

from django.conf import settings

from catalog.models import Upload


def staged_path(user_id: UUID, upload_id: UUID) -> Path:
    """Return where an upload's bytes lie, or will lie."""
    return Path(settings.UPLOADS_DIR) / str(user_id) / str(upload_id)


def open_upload(user_id: UUID, upload_id: UUID) -> int:
    """Return a read-only descriptor of what was sent. Raises OSError.

    Who sent it may be another one by now, or have left since (`libraries.forget`): the row knows under whose name it lies.
    """
    now = Upload.objects.filter(pk=upload_id).values_list("user_id", flat=True).first()
    return os.open(staged_path(now or user_id, upload_id), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)


def forget_uploads(upload_ids: list[UUID]) -> None:
    """Remove the rows of uploads; `remove_staged` then removes their bytes, after the commit."""
    if upload_ids:
        Upload.objects.filter(pk__in=upload_ids).delete()


def remove_staged(user_id: UUID, upload_ids: list[UUID]) -> None:
    """Remove the bytes of uploads whose rows are gone. Safe to repeat."""
    for key in upload_ids:
        staged_path(user_id, key).unlink(missing_ok=True)


def discard_uploads(user_id: UUID, upload_ids: list[UUID]) -> None:
    """Remove uploads, rows first: a kill in between leaves bytes that no row names, which the schedule removes."""
    forget_uploads(upload_ids)
    remove_staged(user_id, upload_ids)
