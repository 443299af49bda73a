"""What earlier imports of the same folder found in its files: a card that is put in again is not read again."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from .models import Import, ImportItem
from .planning import is_racy

MOST_IMPORTS = 20
"""So many earlier imports are looked into, the latest first."""
State = ImportItem.State


class Memory:
    """Knows the MD5s of files by place, size and time, from earlier imports of one folder into one library."""

    def __init__(self, wanted: Import) -> None:
        same = Import.objects.filter(library=wanted.library_id, kind=Import.Kind.FOLDER, source=wanted.source)
        earlier = same.exclude(pk=wanted.pk).exclude(listed_at=None).order_by("-created_at")
        rows = earlier.values_list("pk", "listed_at")[:MOST_IMPORTS] if wanted.kind == Import.Kind.FOLDER else ()
        self._listed: dict[UUID, datetime] = {key: listed for key, listed in rows if listed is not None}

    def md5s(self, items: Sequence[ImportItem]) -> dict[int, str]:
        """Return the MD5s, by item, of those that lie there as they lay when they were read. One query.

        A file that was written less than two seconds before it was listed is not believed: its time does not tell whether
        it was written again.
        """
        if not self._listed:
            return {}
        read = ImportItem.objects.filter(
            import_run__in=list(self._listed),
            directory__in={item.directory for item in items},
            filename__in={item.filename for item in items},
            state__in=[State.IMPORTED, State.DUPLICATE],
        ).exclude(photo_md5="")
        known = {}
        columns = ("directory", "filename", "size_bytes", "mtime_ns", "photo_md5", "import_run")
        for directory, filename, size, mtime_ns, md5, run in read.order_by("id").values_list(*columns):
            if not is_racy(mtime_ns, int(self._listed[run].timestamp() * 1e9)):
                known[directory, filename, size, mtime_ns] = md5
        found = {
            item.pk: known.get((item.directory, item.filename, item.size_bytes, item.mtime_ns), "") for item in items
        }
        return {key: md5 for key, md5 in found.items() if md5}
