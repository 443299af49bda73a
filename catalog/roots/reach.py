"""Which source reaches a library's bytes."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress

from catalog.models import Library
from catalog.roots.buckets import bucket_source
from catalog.sources.base import Source, SourceUnavailable
from catalog.sources.held_root import HeldRoot
from catalog.sources.local import LocalSource
from photolala.lib.paths import unescape_path


def source_for(library: Library, held: HeldRoot | None = None) -> Source:
    """Return a new source for the library's root; the caller closes it. One source serves one thread.

    With `held` (see `hold_root`) the source of a folder reaches everything from that open root.
    """
    if library.source == "s3":
        return bucket_source(library.root)
    return LocalSource(os.fsdecode(unescape_path(library.root)), held=held, is_real=True)


@contextmanager
def held_source(library: Library) -> Iterator[Source]:
    """Give a source that holds the library's folder open, for a `with` block.

    Whoever writes into the folder at the end then writes into the one that was read. Where it cannot be opened now, the
    source says so as soon as it is asked.
    """
    with ExitStack() as stack:
        held: HeldRoot | None = None
        if library.source == "local":
            with suppress(SourceUnavailable):
                held = stack.enter_context(hold_root(library, may_lack_pointer=True))
        yield stack.enter_context(closing(source_for(library, held)))


def hold_root(library: Library, *, may_lack_pointer: bool = False) -> HeldRoot:
    """Open the root of a library in a folder, to write below it; the caller closes it.

    Raises SourceUnavailable if it is not there, leads over a link, or has lost the pointer that was written into it, unless
    it may lack that.
    """
    has_pointer = library.root_has_pointer and not may_lack_pointer
    return HeldRoot(unescape_path(library.root), has_pointer=has_pointer, is_real=True)
