"""MD5s of files: the identity of photos and snapshots, never a protection."""

import hashlib
import os
from typing import Any

CHUNK_BYTES = 1 << 20


def md5_of_file(file: Any) -> str:
    """Return the MD5 of what an open binary file holds from its position on, as 32 hex digits. Raises OSError."""
    return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def md5_of_descriptor(descriptor: int) -> str:
    """Return the MD5 of all bytes behind a descriptor, whose position stays. Raises OSError."""
    digest, position = hashlib.md5(usedforsecurity=False), 0
    while chunk := os.pread(descriptor, CHUNK_BYTES, position):
        digest.update(chunk)
        position += len(chunk)
    return digest.hexdigest()
