"""Open what lies in another part of an export than the one that is being imported."""

import os
import tempfile
from collections.abc import Iterator

from django.conf import settings

from catalog.importing.origins import Origin, origin_of
from catalog.importing.parts import Parts
from catalog.models import Import, ImportItem, KeptDocument
from catalog.sources.base import Directory, SourceUnavailable

MOST_OPEN = 2


class PartOrigin:
    """The origin of one import, which also opens documents of the other parts: as they were kept, or in their archives."""

    def __init__(self, wanted: Import, own: Origin, parts: Parts) -> None:
        self._wanted, self._own, self._parts = wanted, own, parts
        self._others: dict[object, Origin] = {}

    def walk(self) -> Iterator[Directory]:
        """Yield the folders of this part."""
        return self._own.walk()

    def open(self, item: ImportItem) -> int:
        """Return a read-only descriptor, for the caller to close. Raises OSError."""
        if item.import_run_id == self._wanted.pk:
            return self._own.open(item)
        kept = KeptDocument.objects.filter(
            import_run=item.import_run_id, directory=item.directory, filename=item.filename
        ).first()
        if kept is not None:
            return _descriptor_of(bytes(kept.body))
        try:
            return self._other(item).open(item)
        except SourceUnavailable as error:
            raise FileNotFoundError(2, str(error), item.path) from None

    def head_md5(self, item: ImportItem) -> str:
        """Return the MD5 of the first 4 kB of a file of this part."""
        return self._own.head_md5(item)

    def forget(self, item: ImportItem) -> None:
        """Say that the file is not asked for any more."""
        if item.import_run_id == self._wanted.pk:
            self._own.forget(item)
        elif item.import_run_id in self._others:
            self._others[item.import_run_id].forget(item)

    def close(self) -> None:
        """Give back what is held open."""
        while self._others:
            self._others.popitem()[1].close()
        self._own.close()

    def _other(self, item: ImportItem) -> Origin:
        key = item.import_run_id
        if key not in self._others:
            while len(self._others) >= MOST_OPEN:
                self._others.pop(next(iter(self._others))).close()
            self._others[key] = origin_of(self._parts.get(key))
        return self._others[key]


def _descriptor_of(data: bytes) -> int:
    with tempfile.TemporaryFile(dir=settings.DATA_DIR) as file:
        file.write(data)
        file.flush()
        return os.open(f"/proc/self/fd/{file.fileno()}", os.O_RDONLY | os.O_CLOEXEC)
