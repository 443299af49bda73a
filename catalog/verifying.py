"""Read the heads of entries that look unchanged: finds edits that kept a file's size and modification time."""

import hashlib
import os
from collections.abc import Callable, Sequence

from catalog.sources.base import Directory, Source

from . import scan_rows
from .models import Library

HEAD_BYTES = 4096
FILES_PER_BREATH = 50


def altered_names(
    library: Library, source: Source, directory: Directory, names: Sequence[str], breathe: Callable[[], None]
) -> list[str]:
    """Return those of `names` whose first 4,096 bytes are no longer those of the catalog, or cannot be read.

    `breathe` is called now and then: it says that this lives, and raises to stop it. Raises SourceUnavailable.
    """
    if not names:
        return []
    heads = scan_rows.known_heads(library, directory.path)
    altered = []
    for number, name in enumerate(names):
        if number % FILES_PER_BREATH == 0:
            breathe()
        if _head_md5(source, directory.path_of(name)) != heads.get(name):
            altered.append(name)
    return altered


def _head_md5(source: Source, path: str) -> str | None:
    """Return the MD5 of a file's head; None if it cannot be read: why not, the survey finds out."""
    try:
        descriptor = source.open_head(path)
    except OSError:
        return None
    try:
        head = b""
        while len(head) < HEAD_BYTES and (more := os.pread(descriptor, HEAD_BYTES - len(head), len(head))):
            head += more
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return hashlib.md5(head).hexdigest()
