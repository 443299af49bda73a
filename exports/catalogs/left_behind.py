"""Files of exports that nobody has in the database any more: those of users who were deleted. They are kept a while, then go.

A folder is first given another name, `.left-<UTC>-<its name>`, which tells since when it has no owner. It gets its own name
back if its export is there again, as after a restore of the database.
"""

import logging
import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.dispatch import receiver
from django.utils import timezone

from accounts.models import User
from accounts.signals import user_is_leaving
from exports.models import Export, own_folder
from operations.clock import time_ago
from photolala.lib.files import fsync_directory, is_real_folder

KEPT_FOR = timedelta(days=30)
_FORMAT = "%Y%m%dT%H%M%SZ"
_EXPORT = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
_LEFT = re.compile(rf"\.left-(\d{{8}}T\d{{6}}Z)-({_EXPORT.pattern})")
_AT_ONCE = 500

logger = logging.getLogger(__name__)


@receiver(user_is_leaving, sender=User, dispatch_uid="leave exports")
def leave(sender: Any, user: User, **_: Any) -> None:
    """Set the exports of a user who is deleted aside, once that is committed."""
    transaction.on_commit(lambda: set_aside(own_folder(user.pk)), robust=True)  # else the schedule does it


def sweep() -> int:
    """Set aside what has no export, give back what has one again, delete what was aside for long; return how many went.

    Only for when the clock is to be believed. Errors of the disk are logged, and it is tried again next time.
    """
    count = 0
    for folder in _folders(Path(os.path.realpath(settings.EXPORTS_DIR))):
        try:
            set_aside(folder)
            count += _delete_old(folder)
        except OSError as error:
            logger.warning("Exports of deleted users in %s cannot be set aside or deleted: %s", folder, error)
    return count


def set_aside(user_folder: Path) -> None:
    """Rename the exports in a user's folder that have none in the database, and back those that have one again. OSError."""
    names = {folder.name: folder for folder in _folders(user_folder)}
    whole = {name: match[1] for name in names if (match := _EXPORT.fullmatch(name))}
    left = {name: match for name in names if (match := _LEFT.fullmatch(name))}
    known = _known({*whole.values(), *(match[3] for match in left.values())})
    now = timezone.now().astimezone(UTC)
    for name, key in whole.items():
        if key not in known:
            names[name].rename(user_folder / f".left-{now:{_FORMAT}}-{name}")
            logger.info("The export %s has no owner any more; its files are kept for %d days.", key, KEPT_FOR.days)
    for name, match in left.items():
        if match[3] in known and not (user_folder / match[2]).exists():
            names[name].rename(user_folder / match[2])
            logger.info("The export %s is there again.", match[3])
    if whole or left:
        fsync_directory(user_folder)


def _delete_old(user_folder: Path) -> int:
    before = time_ago(KEPT_FOR)
    count = 0
    for folder in _folders(user_folder):
        match = _LEFT.fullmatch(folder.name)
        if match is None or datetime.strptime(match[1], _FORMAT).replace(tzinfo=UTC) >= before:
            continue
        if _known({match[3]}):
            continue
        shutil.rmtree(folder)
        logger.info("The files of the export %s are deleted; it had no owner for %d days.", match[3], KEPT_FOR.days)
        count += 1
    return count


def _known(keys: set[str]) -> set[str]:
    """Return those of `keys` that are exports."""
    wanted = sorted(keys)
    known: set[str] = set()
    for first in range(0, len(wanted), _AT_ONCE):
        ids = [UUID(key) for key in wanted[first : first + _AT_ONCE]]
        known.update(str(key) for key in Export.objects.filter(pk__in=ids).values_list("pk", flat=True))
    return known


def _folders(parent: Path) -> Iterator[Path]:
    """Yield the real folders in `parent`, none if it is not there; follows no link."""
    if not is_real_folder(parent):
        return
    with os.scandir(parent) as entries:
        found = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    yield from sorted(found)
