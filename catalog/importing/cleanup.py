"""Remove uploads that nobody continued."""

from datetime import datetime
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from catalog.importing.finished_uploads import close_if_done, forget_expired
from catalog.importing.requests import EXPIRES_AFTER, KEEP_REJECTED, SETTLED_AFTER
from catalog.importing.staging import remove_staged
from catalog.models import Import, ImportItem, Upload
from operations import clock


def forget_old_uploads(now: datetime | None = None) -> int:
    """Remove what was sent in part and not continued, and what could not be imported for a week. Returns how many.

    What arrived whole and waits for its import is kept, however long that takes. Staged files that no upload knows go, too.
    Days are those of being there; nothing is removed while the clock is suspect. Give `now` where the time is known.
    """
    if now is None and clock.is_suspect():
        return 0
    given_up = clock.time_ago(EXPIRES_AFTER, now) + EXPIRES_AFTER
    rejected = clock.time_ago(KEEP_REJECTED, now) + KEEP_REJECTED
    old = Upload.objects.filter(
        Q(completed_at=None, expires_at__lte=given_up) | Q(completed_at__isnull=False, expires_at__lte=rejected)
    )
    count = 0
    for upload in list(old):
        with transaction.atomic():
            items = ImportItem.objects.filter(import_run=upload.import_run_id, upload=upload.pk)
            archives = Import.objects.filter(archive=upload.pk, finished_at=None)
            if items.filter(state__in=ImportItem.OPEN).exists() or archives.filter(error="").exists():
                continue
            if not Upload.objects.filter(pk=upload.pk, completed_at=upload.completed_at).delete()[0]:
                continue  # the last of it has just arrived
            items.update(upload=None)
            archives.update(
                error="The archive waited for too long and was removed. Send it again.", finished_at=timezone.now()
            )
        remove_staged(upload.user_id, [upload.pk])
        count += 1
    forget_expired(rejected)
    close_if_done(Import.objects.all())
    return count + _remove_strays(clock.time_ago(SETTLED_AFTER, now))


def _remove_strays(before: datetime) -> int:
    """Remove staged files that no upload knows and that nobody wrote to since `before`; return how many."""
    count = 0
    for path in Path(settings.UPLOADS_DIR).glob("*/*"):
        try:
            key = UUID(path.name)
            is_old = path.stat().st_mtime < before.timestamp()
        except (ValueError, OSError):
            continue  # no file of ours, or gone by now
        if is_old and not Upload.objects.filter(pk=key).exists():
            path.unlink(missing_ok=True)
            count += 1
    return count
