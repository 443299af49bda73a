"""Where rebuilds keep what they have read, and the removal of what no rebuild continues from any more."""

import shutil
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from django.conf import settings

from operations.models import UNFINISHED, Operation

_PREFIX = "rebuild-of-"


def work_folder(operation_id: UUID) -> Path:
    """Return where a rebuild keeps what it has read: a file for each claim of the operation."""
    return Path(settings.DATA_DIR) / "working" / f"{_PREFIX}{operation_id}"


def abandoned_work() -> list[Path]:
    """Return the folders of rebuilds that are over, superseded or forgotten; unfinished ones continue from theirs."""
    found = []
    for folder in (Path(settings.DATA_DIR) / "working").glob(f"{_PREFIX}*"):
        key = None
        with suppress(ValueError):
            key = UUID(folder.name.removeprefix(_PREFIX))
        if key is None or not Operation.objects.filter(pk=key, state__in=UNFINISHED, superseded=False).exists():
            found.append(folder)
    return found


def remove_abandoned_work() -> int:
    """Remove those folders; return how many."""
    removed = 0
    for folder in abandoned_work():
        shutil.rmtree(folder, ignore_errors=True)
        removed += 1
    return removed
