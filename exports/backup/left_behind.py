"""Backups of users who were deleted: kept for thirty days, then deleted, as their exports are.

Their folder is first given another name, `.left-<UTC>-backups`, which tells since when it has no owner. It gets its own name
back if its user is there again, as after a restore of the database.
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

from accounts.models import User
from exports.models import backups_folder
from operations.clock import time_ago
from photolala.lib.files import fsync_directory, is_real_folder

KEPT_FOR = timedelta(days=30)
_FORMAT = "%Y%m%dT%H%M%SZ"
_LEFT = re.compile(r"\.left-(\d{8}T\d{6}Z)-backups")

logger = logging.getLogger(__name__)


def sweep() -> int:
    """Set aside the backups of users who are gone, give back those of who is there again, delete what was aside for long.

    Return how many folders were deleted. Only for when the clock is to be believed. Errors of the disk are logged, and it is
    tried again next time.
    """
    count = 0
    for key in _people():
        folder = backups_folder(key)
        try:
            if User.objects.filter(pk=key).exists():
                _give_back(folder)
            else:
                _set_aside(folder)
                count += _delete_old(key, folder.parent)
        except OSError as error:
            logger.warning("Backups of deleted users in %s cannot be set aside or deleted: %s", folder.parent, error)
    return count


def _set_aside(folder: Path) -> None:
    if is_real_folder(folder):
        folder.rename(folder.with_name(f".left-{timezone.now().astimezone(UTC):{_FORMAT}}-{folder.name}"))
        fsync_directory(folder.parent)
        logger.info("The backups in %s have no owner any more; they are kept for %d days.", folder, KEPT_FOR.days)


def _give_back(folder: Path) -> None:
    for left, _ in _left_in(folder.parent):
        if not folder.exists():
            left.rename(folder)
            fsync_directory(folder.parent)
            logger.info("The owner of the backups in %s is there again.", folder)


def _delete_old(key: UUID, parent: Path) -> int:
    before = time_ago(KEPT_FOR)
    count = 0
    for left, since in _left_in(parent):
        if since < before and not User.objects.filter(pk=key).exists():
            shutil.rmtree(left)
            logger.info("The backups %s are deleted; they had no owner for %d days.", left, KEPT_FOR.days)
            count += 1
    return count


def _left_in(parent: Path) -> list[tuple[Path, datetime]]:
    """Return what is set aside in a user's folder, the newest first, and since when."""
    found = []
    for path in parent.iterdir():
        match = _LEFT.fullmatch(path.name)
        if match is not None and is_real_folder(path):
            found.append((path, datetime.strptime(match[1], _FORMAT).replace(tzinfo=UTC)))
    return sorted(found, reverse=True)


def _people() -> Iterator[UUID]:
    """Yield the ids of users who have a folder of exports and backups, whether or not they are there; follow no link."""
    parent = Path(os.path.realpath(settings.EXPORTS_DIR))
    if not is_real_folder(parent):
        return
    for path in sorted(parent.iterdir()):
        try:
            key = UUID(path.name)
        except ValueError:
            continue
        if str(key) == path.name and is_real_folder(path):
            yield key
