"""Records of bucket destinations that were forgotten: kept a while, for what their prefix does not have yet, then deleted.

The prefix has the records as they were at the end of the last export that could reach it (`publishing`). What came after that
is here alone, in `records/<id>` of the owner's exports: renamed `.left-<UTC>-<id>` once no destination has it, given back if
one has it again, as after a restore of the database, and deleted after thirty days.
"""

import logging
import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from exports.models import BUCKET_RECORDS, ExportDestination
from operations.clock import time_ago
from photolala.lib.files import fsync_directory, is_real_folder

KEPT_FOR = timedelta(days=30)
_FORMAT = "%Y%m%dT%H%M%SZ"
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LEFT = re.compile(rf"\.left-(\d{{8}}T\d{{6}}Z)-({_ID.pattern})")

logger = logging.getLogger(__name__)


def sweep() -> int:
    """Set records aside that no destination has, give those back that one has again, delete old ones; return how many went.

    Only for when the clock is to be believed. Errors of the disk are logged, and it is tried again next time.
    """
    count = 0
    for folder in _folders(Path(os.path.realpath(settings.EXPORTS_DIR))):
        if _ID.fullmatch(folder.name):
            try:
                count += _sweep(folder / BUCKET_RECORDS)
            except OSError as error:
                logger.warning("Records of forgotten destinations in %s cannot be set aside: %s", folder, error)
    return count


def _sweep(parent: Path) -> int:
    count, now = 0, timezone.now().astimezone(UTC)
    for folder in _folders(parent):
        left = _LEFT.fullmatch(folder.name)
        key = left[2] if left else folder.name
        if not _ID.fullmatch(key):
            continue
        is_known = ExportDestination.objects.filter(pk=UUID(key)).exists()
        if left is None and not is_known:
            folder.rename(parent / f".left-{now:{_FORMAT}}-{key}")
            logger.info("The destination %s is forgotten; its records are kept for %d days.", key, KEPT_FOR.days)
        elif left is not None and is_known and not (parent / key).exists():
            folder.rename(parent / key)
        elif left is not None and datetime.strptime(left[1], _FORMAT).replace(tzinfo=UTC) < time_ago(KEPT_FOR):
            shutil.rmtree(folder)
            logger.info("The records of the destination %s are deleted.", key)
            count += 1
        else:
            continue
        fsync_directory(parent)
    return count


def _folders(parent: Path) -> Iterator[Path]:
    """Yield the real folders in `parent`, none if it is not there; follow no link."""
    if is_real_folder(parent):
        yield from sorted(path for path in parent.iterdir() if is_real_folder(path))
