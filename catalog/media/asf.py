"""Read the header of ASF videos (WMV): the date of recording. Size and length are left to the demuxer."""

from __future__ import annotations

from catalog.media.found import Found
from catalog.media.recorded import recorded_at_filetime
from catalog.media.source import Source

_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_MOST_OBJECTS = 200


def read_asf(source: Source) -> Found:
    """Return the creation date of the file's properties."""
    found = Found()
    position = 30
    for _ in range(_MOST_OBJECTS):
        head = source.read(position, 56)
        size = int.from_bytes(head[16:24], "little")
        if len(head) < 24 or size < 24:
            break
        if head[:16] == _FILE_PROPERTIES and len(head) >= 56:
            date = recorded_at_filetime("the ASF creation date", int.from_bytes(head[48:56], "little"))
            found.recorded += [date] if date else []
            break
        position += size
    return found
