"""Which source reaches a library's bytes."""

import os

from catalog.sources.base import Source
from catalog.sources.held_root import HeldRoot
from catalog.sources.local import LocalSource
from photolala.lib.paths import unescape_path

from .buckets import bucket_source
from .models import Library


def source_for(library: Library, held: HeldRoot | None = None) -> Source:
    """Return a new source for the library's root; the caller closes it. One source serves one thread.

    With `held` (see `hold_root`) the source of a folder reaches everything from that open root.
    """
    if library.source == "s3":
        return bucket_source(library.root)
    return LocalSource(os.fsdecode(unescape_path(library.root)), held=held)


def hold_root(library: Library) -> HeldRoot:
    """Open the root of a library in a folder, to write below it; the caller closes it.

    Raises SourceUnavailable if it is not there, or has lost the pointer that was written into it.
    """
    return HeldRoot(unescape_path(library.root), has_pointer=library.root_has_pointer)
