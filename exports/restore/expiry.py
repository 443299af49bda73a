"""What nobody goes on with: comparisons that were never confirmed, and files of restores that are not in the database."""

import logging
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from django.db.models import Q

from exports.models import Restore, restores_folder
from exports.refusals import ExportRefused
from exports.restore.requests import forget
from operations.clock import time_ago
from photolala.lib.files import is_real_folder

KEPT_DAYS = 14
"""So long a backup that was sent is kept for its person to confirm, and files whose restore is gone."""
_AT_ONCE = 500

logger = logging.getLogger(__name__)


def forget_old() -> int:
    """Forget restores that were not put back for two weeks, with what was sent for them; return how many.

    Also deletes what was sent for a restore that is done, and folders whose restore is gone, as after the deletion of its
    user. Only for when the clock is to be believed. Errors of the disk are logged, and it is tried again next time.
    """
    before = time_ago(timedelta(days=KEPT_DAYS))
    old = Restore.objects.filter(Q(compared_at=None) | Q(compared_at__lt=before), created_at__lt=before)
    count = 0
    for restore in old.filter(completed_at=None).select_related("operation"):
        try:
            forget(restore)
        except ExportRefused:
            continue  # it is at work
        logger.info("Restore %s of user %s was not confirmed; it is forgotten.", restore.pk, restore.user_id)
        count += 1
    folders = list(_folders())
    for first in range(0, len(folders), _AT_ONCE):
        _tidy(dict(folders[first : first + _AT_ONCE]), before)
    return count


def _tidy(folders: dict[UUID, Path], before: datetime) -> None:
    known = Restore.objects.in_bulk(list(folders))
    for key, folder in folders.items():
        restore = known.get(key)
        try:
            if restore is None:
                if datetime.fromtimestamp(folder.stat().st_mtime, UTC) < before:
                    shutil.rmtree(folder)
                    logger.info("What was sent for the restore %s is deleted: the restore is gone.", key)
            elif restore.completed_at is not None:  # the process ended before it deleted it
                restore.sent_file.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("The files of the restore %s cannot be deleted: %s", key, error)


def _folders() -> Iterator[tuple[UUID, Path]]:
    parent = restores_folder()
    if not is_real_folder(parent):
        return
    with os.scandir(parent) as entries:
        found = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    for name in found:
        try:
            key = UUID(name)
        except ValueError:
            continue
        if str(key) == name:
            yield key, parent / name
