"""Photos in buckets whose known MD5 is not the one that the bucket tells: read through a broken line once, to be read again."""

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, cast

from catalog.models import Library, Photo
from catalog.sources.base import Directory, Source
from catalog.sources.s3_keys import is_time_of

if TYPE_CHECKING:
    from catalog.sources.s3 import S3Source

logger = logging.getLogger(__name__)
MOST_IN_VAIN = 16
"""So many objects in a row whose ETags only look like MD5s: the whole bucket is encrypted by a key of its own."""


class Contradictions:
    """Finds them during one walk. Other sources than buckets tell no MD5s, and contradict nothing.

    A listing does not tell whether an object is encrypted, which makes its ETag no MD5; so each suspect costs one HEAD.
    """

    def __init__(self, library: Library, source: Source) -> None:
        self._library = library
        self._source = source
        self._in_vain = 0
        self._suspects: dict[str, set[str]] = {}

    def look_at(self, directories: Sequence[Directory]) -> None:
        """Read what is known of these folders, in one query."""
        self._suspects = {}
        if self._library.source != "s3" or self._in_vain >= MOST_IN_VAIN:
            return
        opaque = {directory.path: directory.opaque for directory in directories}
        known = Photo.objects.filter(library=self._library, directory__in=list(opaque)).exclude(photo_md5="")
        columns = ("directory", "filename", "mtime_ns", "photo_md5")
        for path, name, mtime_ns, md5 in known.order_by().values_list(*columns).iterator(chunk_size=2000):
            if not is_time_of(mtime_ns, md5) and name not in opaque[path]:
                self._suspects.setdefault(path, set()).add(name)

    def names_in(self, directory: Directory, unchanged: Iterable[str]) -> list[str]:
        """Return those of the folder's `unchanged` photos that are to be read again."""
        suspects = self._suspects.get(directory.path)
        if not suspects:
            return []
        return [name for name in unchanged if name in suspects and self._is_contradicted(directory.path_of(name))]

    def _is_contradicted(self, path: str) -> bool:
        if self._in_vain >= MOST_IN_VAIN:
            return False
        try:
            told = cast("S3Source", self._source).told_md5(path)
        except OSError as error:  # the next scan asks again
            logger.warning("Library %s: the MD5 of %s cannot be asked for: %s", self._library.pk, path, error.strerror)
            return False
        self._in_vain = 0 if told else self._in_vain + 1
        return bool(told)
