"""Whether there is room for a backup, and which earlier ones it may share files with."""

import shutil
from collections.abc import Sequence

from exports.bundle.files import MOST_FILES
from exports.bundle.layout import LIST_FILES
from exports.models import Backup
from operations.running import OperationFailed

from .media import HeldMedia

RESERVE_BYTES = 16 << 20
_MOST_EARLIER = 3


def earlier_of(backup: Backup) -> list[Backup]:
    """Return the backups beside this one whose media may be linked, the newest first; of one in a bucket none."""
    if backup.is_in_bucket:
        return []
    rows = Backup.objects.filter(
        user=backup.user,
        packaging=Backup.Packaging.FOLDER,
        parent=backup.parent,
        completed_at__isnull=False,
    )
    return list(rows.exclude(pk=backup.pk).order_by("-created_at")[:_MOST_EARLIER])


def require_few_files(held: Sequence[HeldMedia]) -> None:
    """Raise OperationFailed if the backup would have more files than restoring reads: better none than one of no use."""
    if len(held) > MOST_FILES - len(LIST_FILES):
        raise OperationFailed(
            f"{len(held):,} files are attached to notes and drafts; a backup has {MOST_FILES:,} files at most, because no more "
            "can be restored. Nothing was written. Back up the database and the media store as they are instead.",
            "too_many_files",
        )


def check_space(backup: Backup, held: Sequence[HeldMedia]) -> None:
    """Raise OperationFailed unless the disk has room for what is made there: the lists, the media, and the ZIP of both."""
    is_zip = backup.packaging == Backup.Packaging.ZIP
    needed = sum(one.size_bytes for one in held) * (2 if is_zip else 1)
    if earlier_of(backup) or (backup.is_in_bucket and not is_zip):  # links, and what goes to a bucket at once
        needed = 0
    needed += RESERVE_BYTES
    free = shutil.disk_usage(backup.parent_folder).free
    if free < needed:
        raise OperationFailed(
            f"The backup needs about {needed / 1e6:,.0f} MB, but only {free / 1e6:,.0f} MB are free where it is kept. "
            "Earlier backups are as they were. Free some space, then try again.",
            "disk_space",
        )
