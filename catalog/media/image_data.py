"""Where in a file the bytes lie that its picture is drawn from: proves that a rewritten file shows the same one.

Covered are JPEG, PNG, GIF, WebP, HEIF and AVIF, MP4 and QuickTime. Everything that can change the pixels counts: coded data,
tables, colour profiles, Adobe's transform mark, the properties and references of HEIF's items. Other formats have none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from catalog.media.heif import picture_parts
from catalog.media.isobmff import boxes
from catalog.media.source import MemorySource, Source

_MOST_PLACES = 2_000
_LARGEST_PICTURE_BYTES = 256 * 1024 * 1024
_READ_BYTES = 4 * 1024 * 1024
_MOST_SEGMENTS = 200_000
_WORDS_IN_PNG = frozenset((b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"tIME"))
_GIF_XMP = b"\x21\xff\x0bXMP DataXMP"
_GIF_XMP_END_BYTES = 258
_GIF_HEAD_BYTES = 64 * 1024
_LONGEST_PACKET_BYTES = 4 * 1024 * 1024

Part = tuple[int, int]
"""Start and end of bytes that count."""


def image_map(source: Source, media_type: str) -> str:
    """Return the places as `start-end,start-end,…`, a bar, and the MD5 of what counts besides bytes in the file.

    Empty for a format that is not covered, for a file in which nothing was found, or with too many places.
    """
    parts_of = _PARTS.get(media_type)
    if parts_of is None:
        return ""
    words = hashlib.md5(usedforsecurity=False)
    places: list[Part] = []
    for part in parts_of(source):
        if isinstance(part, bytes):
            words.update(part)
            continue
        start, end = part[0], min(part[1], source.size)
        if places and places[-1][1] == start:
            places[-1] = (places[-1][0], end)
        elif start < end:
            places.append((start, end))
        if len(places) > _MOST_PLACES:
            return ""
    if not places:
        return ""
    return f"{','.join(f'{start}-{end}' for start, end in places)}|{words.hexdigest()}"


def image_digest(source: Source, media_type: str) -> str:
    """Return 32 hex digits that are the same for two pictures of a kind whose files differ in their words alone.

    The first half of a SHA-256 over what `image_map` names. Empty for films, whose data is not read twice, for formats that
    are not covered, and for very large files.
    """
    if not media_type.startswith("image/") or source.size > _LARGEST_PICTURE_BYTES:
        return ""
    text = image_map(source, media_type)
    if not text:
        return ""
    places, words = read_map(text)
    digest = hashlib.sha256(f"{media_type}\n{words}".encode())
    whole = memoryview(source.data) if isinstance(source, MemorySource) else None
    for start, end in places:
        if whole is not None:
            digest.update(whole[start:end])
            continue
        while start < end:
            part = source.read(start, min(end - start, _READ_BYTES))
            if not part:
                return ""
            digest.update(part)
            start += len(part)
    return digest.hexdigest()[:32]


def read_map(text: str) -> tuple[list[Part], str]:
    """Return the places and the MD5 of an image map. Raises ValueError."""
    listed, _, words = text.partition("|")
    return [(int(start), int(end)) for start, _, end in (place.partition("-") for place in listed.split(","))], words


def _jpeg(source: Source) -> Iterator[Part | bytes]:
    """Yield all segments but the words (EXIF, XMP, IPTC, comments); all from the first scan on, trailers included."""
    position = 2
    for _ in range(_MOST_SEGMENTS):
        head = source.read(position, 18)
        if len(head) < 4:
            return
        marker = head[1]
        if head[0] != 0xFF or marker == 0xFF or marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:
            position += 1
            continue
        if marker in (0xDA, 0xD9):
            yield position, source.size
            return
        end = position + 2 + max(2, int.from_bytes(head[2:4], "big"))
        is_word = marker == 0xFE or 0xE0 <= marker <= 0xEF
        if not is_word or marker == 0xEE or head[4:].startswith(b"ICC_PROFILE"):
            yield position, end
        position = end


def _png(source: Source) -> Iterator[Part | bytes]:
    position = 8
    while len(head := source.read(position, 8)) == 8:
        end = position + 12 + int.from_bytes(head[:4], "big")
        if head[4:] not in _WORDS_IN_PNG:
            yield position, end
        position = end


def _gif(source: Source) -> Iterator[Part | bytes]:
    at = source.read(0, _GIF_HEAD_BYTES).find(_GIF_XMP)
    if at < 0:
        yield 6, source.size  # the version in the header may be raised
        return
    packet = source.read(at, _LONGEST_PACKET_BYTES)
    end = packet.find(b"\x01\xff\xfe\xfd")
    yield 6, at
    yield at + (end + _GIF_XMP_END_BYTES if end > 0 else 0), source.size


def _webp(source: Source) -> Iterator[Part | bytes]:
    position = 12
    while len(head := source.read(position, 8)) == 8:
        length = int.from_bytes(head[4:], "little")
        body = position + 8
        if head[:4] not in (b"EXIF", b"XMP ", b"VP8X"):  # VP8X only tells which of the others are there
            yield position, body + length
        position = body + length + (length & 1)


def _film(source: Source) -> Iterator[Part | bytes]:
    for kind, start, end in boxes(source):
        if kind == b"mdat":
            yield start, end


_PARTS: dict[str, Callable[[Source], Iterator[Part | bytes]]] = {
    "image/jpeg": _jpeg,
    "image/png": _png,
    "image/gif": _gif,
    "image/webp": _webp,
    "image/heic": picture_parts,
    "image/heif": picture_parts,
    "image/avif": picture_parts,
    "video/mp4": _film,
    "video/quicktime": _film,
    "video/x-m4v": _film,
    "video/3gpp": _film,
    "video/3gpp2": _film,
}
