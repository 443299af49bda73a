"""Which source reaches a library's bytes."""

import os

from catalog.sources.base import Source
from catalog.sources.local import LocalSource
from photolala.lib.paths import unescape_path

from .buckets import bucket_source
from .models import Library


def source_for(library: Library) -> Source:
    """Return a new source for the library's root; the caller closes it. One source serves one thread."""
    if library.source == "s3":
        return bucket_source(library.root)
    return LocalSource(os.fsdecode(unescape_path(library.root)))
