"""Walk the chunks of a PNG file; compressed text is unpacked only as far as a bound."""

from __future__ import annotations

import re
import zlib

from catalog.media.exif import clean_text, read_exif
from catalog.media.found import Found
from catalog.media.iptc import iptc_from_photoshop
from catalog.media.png_colours import profile_of
from catalog.media.source import Source

_MOST_CHUNKS = 5000
_LONGEST_TEXT_BYTES = 2 * 1024 * 1024
_BYTES_PER_PIXEL = {0: 1, 2: 4, 3: 8, 4: 8, 6: 8}
"""By the kind of colour; what may be transparent is copied to be scaled."""
_DEEP_GREY_BYTES = 7
_DRAWN = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))
_COLOURS = frozenset((b"gAMA", b"cHRM", b"sRGB"))
_RAW_PROFILE = re.compile(rb"\s*([^\n]{1,80})\n\s*(\d{1,10})\s*\n(.*)", re.DOTALL)


def read_png(source: Source) -> Found:
    """Return what the chunks before and after the pixels say. Sets `problem` when the header is missing."""
    found = Found()
    colours: dict[bytes, bytes] = {}
    position = 8
    for _ in range(_MOST_CHUNKS):
        head = source.read(position, 8)
        if len(head) < 8:
            break
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        body = position + 8
        if kind == b"IHDR":
            header = source.read(body, 13)
            found.width, found.height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
            depth, kind_of_colour = header[8:10] if len(header) > 9 else (8, 2)
            each = _BYTES_PER_PIXEL.get(kind_of_colour, 4)
            if depth == 16 and kind_of_colour == 0:
                each = _DEEP_GREY_BYTES
            found.decoded_bytes = found.width * found.height * each
        elif kind == b"eXIf" and found.exif is None and length <= _LONGEST_TEXT_BYTES:
            found.exif = read_exif(source.read(body, length).removeprefix(b"Exif\0\0"))
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            _read_text(kind, source.read(body, min(length, _LONGEST_TEXT_BYTES)), found)
        elif kind == b"cICP" and length == 4:
            code_points = source.read(body, 4)
            found.primaries, found.transfer = code_points[0], code_points[1]
        elif kind in _COLOURS and length <= 32 and _is_whole(source.read(position + 4, length + 8)):
            colours.setdefault(kind, source.read(body, length))
        elif kind == b"IEND":
            break
        position = body + length + 4
    if b"sRGB" not in colours and not found.transfer:
        found.profile = profile_of(colours.get(b"gAMA", b""), colours.get(b"cHRM", b""))
    if not found.width or not found.height:
        found.problem = "The PNG file's header is missing or damaged."
    return found


def only_picture(data: bytes) -> bytes:
    """Return a PNG file without what is not needed to draw its first picture, damaged colour profiles included.

    Pillow refuses pictures for a word in them that is damaged or long.
    """
    parts = [data[:8]]
    position = 8
    while position + 12 <= len(data):
        length, kind = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8]
        end = position + 12 + length
        if kind in _DRAWN or (kind == b"iCCP" and _is_whole(data[position + 4 : end])):
            parts.append(data[position:end])
        if kind == b"IEND":
            break
        position = end
    return b"".join(parts)


def _is_whole(chunk: bytes) -> bool:
    return zlib.crc32(chunk[:-4]) == int.from_bytes(chunk[-4:], "big")


def _read_text(kind: bytes, body: bytes, found: Found) -> None:
    raw_name, _, value = body.partition(b"\0")
    name = raw_name.decode("latin-1")[:79]
    try:
        if kind == b"zTXt":
            value = _inflate(value[1:])
        elif kind == b"iTXt":
            is_packed = value[:1] == b"\1"
            value = value[2:].partition(b"\0")[2].partition(b"\0")[2]
            value = _inflate(value) if is_packed else value
    except zlib.error:
        found.note(f"The PNG text {name!r} is damaged or too large and was skipped.")
        return
    if name == "XML:com.adobe.xmp":
        found.xmp_packets.append(value)
    elif name.startswith("Raw profile type "):
        _read_raw_profile(name[17:].strip().lower(), value, found)
    elif len(found.texts) < 100:
        found.texts.setdefault(name, clean_text(value))


def _inflate(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    plain = unpacker.decompress(packed, _LONGEST_TEXT_BYTES)
    if unpacker.unconsumed_tail:
        raise zlib.error("larger than the bound")
    return plain


def _read_raw_profile(kind: str, value: bytes, found: Found) -> None:
    # ImageMagick's way: name, length, and then hexadecimal digits in lines. The name may be two words (exiftool's are).
    lines = _RAW_PROFILE.fullmatch(value)
    parts = lines.groups() if lines else value.split(None, 2)
    if len(parts) < 3:
        return
    digits = b"".join(parts[2].split())
    length = int(parts[1]) if parts[1].isdigit() else len(digits) // 2
    try:
        # What follows the promised length is somebody else's garbage.
        data = bytes.fromhex(digits[: 2 * length].decode("latin-1"))
    except ValueError:
        found.note(f"The PNG profile {kind[:20]!r} is damaged and was skipped.")
        return
    if kind in ("exif", "app1") and found.exif is None:
        if data.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
            found.xmp_packets.append(data[29:])
        else:
            found.exif = read_exif(data.removeprefix(b"Exif\0\0"))
    elif kind == "xmp":
        found.xmp_packets.append(data)
    elif kind == "iptc":
        found.iptc = iptc_from_photoshop(data) if data[:4] == b"8BIM" else data
