"""What earlier imports of the same folder found in its files: a card that is put in again is not read again."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from catalog.entries.folder_comparison import is_racy
from catalog.models import Import, ImportItem

MOST_IMPORTS = 20
"""So many earlier imports are looked into, the latest first."""
State = ImportItem.State


class EarlierImports:
    """Knows the MD5s of files by place, size, time and first 4 kB, from earlier imports of one folder into one library.

    Another card of the same camera, in the same reader, has other files under the same names, now and then of the very size
    and time.
    """

    def __init__(self, wanted: Import) -> None:
        same = Import.objects.filter(library=wanted.library_id, kind=Import.Kind.FOLDER, source=wanted.source)
        earlier = same.exclude(pk=wanted.pk).exclude(listed_at=None).order_by("-created_at")
        rows = earlier.values_list("pk", "listed_at")[:MOST_IMPORTS] if wanted.kind == Import.Kind.FOLDER else ()
        self._listed: dict[UUID, datetime] = {key: listed for key, listed in rows if listed is not None}

    def md5s(self, items: Sequence[ImportItem], head_md5_of: Callable[[ImportItem], str]) -> dict[int, str]:
        """Return the MD5s, by item, of those that lie there as they lay when they were read, and note their heads. One query.

        `head_md5_of` reads the head of a file of which all else agrees, and returns its MD5. A file that was written less
        than two seconds before it was listed is not believed: its time does not tell whether it was written again. Neither
        is an import that kept no heads.
        """
        if not self._listed:
            return {}
        read = ImportItem.objects.filter(
            import_run__in=list(self._listed),
            directory__in={item.directory for item in items},
            filename__in={item.filename for item in items},
            state__in=[State.IMPORTED, State.DUPLICATE],
        ).exclude(Q(photo_md5="") | Q(head_md5=""))
        known = {}
        columns = ("directory", "filename", "size_bytes", "mtime_ns", "photo_md5", "head_md5", "import_run")
        for directory, filename, size, mtime_ns, md5, head_md5, run in read.order_by("id").values_list(*columns):
            if not is_racy(mtime_ns, int(self._listed[run].timestamp() * 1e9)):
                known[directory, filename, size, mtime_ns] = md5, head_md5
        found: dict[int, str] = {}
        for item in items:
            md5, head_md5 = known.get((item.directory, item.filename, item.size_bytes, item.mtime_ns), ("", ""))
            if md5 and head_md5_of(item) == head_md5:
                found[item.pk], item.head_md5 = md5, head_md5
        return found
