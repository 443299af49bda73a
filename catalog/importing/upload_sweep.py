"""Bring the bytes and the rows of uploads into agreement again, where a process died between the two."""

import logging
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from catalog.importing import finished_uploads, uploads
from catalog.importing.requests import SETTLED_AFTER
from catalog.importing.staging import discard_uploads, staged_path
from catalog.models import Import, ImportItem, Upload

logger = logging.getLogger(__name__)


def take_in_whole() -> int:
    """Take in the uploads whose bytes arrived whole while nobody was left to say so; return how many.

    For the schedule and the start. Safe to run at any time.
    """
    count = 0
    for upload in Upload.objects.filter(completed_at=None).select_related("import_run__library", "import_run__user"):
        if _size_of(upload) >= upload.size_bytes:
            count += uploads.settle(upload).completed_at is not None
    if count:
        logger.info("%d uploads had arrived whole before a process died, and were taken in.", count)
    return count


def tidy(now: datetime | None = None) -> int:
    """Take in what is whole; remove rows without bytes, and uploads that are in the library already.

    Returns how many were removed. Safe to run at any time.
    """
    take_in_whole()
    before = (now or timezone.now()) - SETTLED_AFTER
    count = 0
    for upload in Upload.objects.filter(completed_at=None, created_at__lt=before):
        if _size_of(upload) < 0:
            count += Upload.objects.filter(pk=upload.pk, completed_at=None).delete()[0]
    done_with: defaultdict[UUID, list[UUID]] = defaultdict(list)
    for upload, is_in_library in _done_with():
        done_with[upload.user_id].append(upload.pk)
        if is_in_library:
            finished_uploads.remember([upload.pk])
    for user_id, keys in done_with.items():
        discard_uploads(user_id, keys)
        count += len(keys)
    return count


def _done_with() -> Iterator[tuple[Upload, bool]]:
    """Yield the uploads that are in the library (True), or whose bytes are gone and which nothing waits for."""
    whole = Upload.objects.exclude(completed_at=None)
    for run in whole.order_by().values_list("import_run", flat=True).distinct():
        states = dict(ImportItem.objects.filter(import_run=run).exclude(upload=None).values_list("upload", "state"))
        for upload in whole.filter(import_run=run):
            state = states.get(upload.pk)
            is_waited_for = state in ImportItem.OPEN or _is_archive_open(upload)
            is_in_library = state in (ImportItem.State.IMPORTED, ImportItem.State.DUPLICATE)
            if is_in_library or (not is_waited_for and _size_of(upload) < 0):
                yield upload, is_in_library


def _is_archive_open(upload: Upload) -> bool:
    return Import.objects.filter(archive=upload.pk, finished_at=None, error="").exists()


def _size_of(upload: Upload) -> int:
    """Return how many bytes lie there; -1 if there is no file."""
    try:
        return staged_path(upload.user_id, upload.pk).stat().st_size
    except FileNotFoundError:
        return -1
