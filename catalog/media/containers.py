"""Read the headers of a file of any known kind."""

from __future__ import annotations

import struct
from collections.abc import Callable

from catalog.media.asf import read_asf
from catalog.media.dv import read_dv
from catalog.media.exif import read_exif
from catalog.media.found import Found
from catalog.media.heif import read_heif
from catalog.media.iptc import photoshop_resources
from catalog.media.jpeg import read_jpeg
from catalog.media.jpeg2000 import read_jp2
from catalog.media.jxl import read_jxl
from catalog.media.old_raw import read_crw, read_mrw, read_x3f
from catalog.media.png import read_png
from catalog.media.quicktime import read_cr3, read_quicktime
from catalog.media.raw_headers import read_raf
from catalog.media.riff_video import read_avi
from catalog.media.source import Source
from catalog.media.tiff import read_tiff

_MOST_CHUNKS = 500
_LONGEST_CHUNK_BYTES = 2 * 1024 * 1024
_LONGEST_RESOURCES_BYTES = 16 * 1024 * 1024
_GIF_HEAD_BYTES = 64 * 1024
_GIF_XMP = b"\x21\xff\x0bXMP DataXMP"
_GIF_XMP_END = b"\x01\xff\xfe\xfd"


def examine(source: Source, media_type: str) -> Found:
    """Return what the headers say of a file that `media_type_of` recognised."""
    reader = _READERS.get(media_type)
    return reader(source) if reader else Found()


def _read_gif(source: Source) -> Found:
    head = source.read(0, 10)
    found = Found()
    if len(head) == 10:
        found.width, found.height = struct.unpack("<HH", head[6:10])
    found.decoded_bytes = found.width * found.height * 5
    if not found.width or not found.height:
        found.problem = "The GIF file's header gives no size."
    # Writers put the packet before the first frame; its bytes are no sub-blocks, and a magic trailer follows.
    start = source.read(0, _GIF_HEAD_BYTES)
    at = start.find(_GIF_XMP)
    if at > 0:
        packet = source.read(at + len(_GIF_XMP), _LONGEST_CHUNK_BYTES)
        end = packet.find(_GIF_XMP_END)
        if end > 0:
            found.xmp_packets.append(packet[:end])
    return found


_BMP_16_BYTES, _BMP_32_BYTES = 17, 8
"""By colours of any masks (`depths.masked_bitmap`): the file, and the pictures that are made on the way."""


def _read_bmp(source: Source) -> Found:
    head = source.read(0, 66)
    found = Found()
    if len(head) >= 26 and int.from_bytes(head[14:18], "little") == 12:
        found.width, found.height = struct.unpack("<HH", head[18:22])
    elif len(head) >= 26:
        width, height = struct.unpack("<ii", head[18:26])
        found.width, found.height = max(0, width), abs(height)
    found.decoded_bytes = found.width * found.height * _bmp_pixel_bytes(head)
    if not found.width or not found.height:
        found.problem = "The BMP file's header gives no possible size."
    return found


def _bmp_pixel_bytes(head: bytes) -> int:
    """Return what a pixel takes while it is drawn: more where its colours have other bits than Pillow knows."""
    if len(head) < 66 or head[30] not in (3, 6):
        return 4
    masks = struct.unpack("<III", head[54:66])
    if head[28] == 16:
        return 4 if masks in ((0xF800, 0x07E0, 0x001F), (0x7C00, 0x03E0, 0x001F)) else _BMP_16_BYTES
    return 4 if all(mask in (0xFF, 0xFF00, 0xFF0000, 0xFF000000) for mask in masks) else _BMP_32_BYTES


def _read_ico(source: Source) -> Found:
    found = Found()
    count = int.from_bytes(source.read(4, 2), "little")
    for index in range(min(count, 64)):
        entry = source.read(6 + 16 * index, 16)
        if len(entry) == 16:
            width, height = entry[0] or 256, entry[1] or 256
            if width * height > found.width * found.height:
                found.width, found.height = width, height
    if not found.width:
        found.problem = "The icon file lists no picture."
    found.decoded_bytes = 256 * 256 * 4
    return found


def _read_photoshop(source: Source) -> Found:
    head = source.read(0, 26)
    found = Found()
    if len(head) == 26:
        found.height, found.width = struct.unpack(">II", head[14:22])
    found.decoded_bytes = found.width * found.height * 4
    start = 30 + int.from_bytes(source.read(26, 4), "big")  # behind the colour table
    length = int.from_bytes(source.read(start, 4), "big")
    resources = photoshop_resources(source.read(start + 4, min(length, _LONGEST_RESOURCES_BYTES)))
    found.iptc = resources.get(0x0404, b"")
    if 0x0422 in resources:
        found.exif = read_exif(resources[0x0422])
    if 0x0424 in resources:
        found.xmp_packets.append(resources[0x0424])
    return found


def _read_webp(source: Source) -> Found:
    found = Found()
    position = 12
    for _ in range(_MOST_CHUNKS):
        head = source.read(position, 8)
        if len(head) < 8:
            break
        kind, length = head[:4], int.from_bytes(head[4:], "little")
        body = position + 8
        if kind == b"VP8X":
            part = source.read(body, 10)
            found.width = 1 + int.from_bytes(part[4:7], "little")
            found.height = 1 + int.from_bytes(part[7:10], "little")
        elif kind == b"VP8 " and not found.width:
            part = source.read(body, 10)
            if part[3:6] == b"\x9d\x01\x2a":
                found.width = int.from_bytes(part[6:8], "little") & 0x3FFF
                found.height = int.from_bytes(part[8:10], "little") & 0x3FFF
        elif kind == b"VP8L" and not found.width:
            bits = int.from_bytes(source.read(body + 1, 4), "little")
            found.width, found.height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        elif kind == b"EXIF" and found.exif is None:
            found.exif = read_exif(source.read(body, min(length, _LONGEST_CHUNK_BYTES)).removeprefix(b"Exif\0\0"))
        elif kind == b"XMP " and length <= _LONGEST_CHUNK_BYTES:
            found.xmp_packets.append(source.read(body, length))
        position = body + length + (length & 1)
    found.decoded_bytes = found.width * found.height * 8
    if not found.width or not found.height:
        found.problem = "The WebP file's header gives no size."
    return found


_READERS: dict[str, Callable[[Source], Found]] = {
    "image/jpeg": read_jpeg,
    "image/png": read_png,
    "image/gif": _read_gif,
    "image/bmp": _read_bmp,
    "image/vnd.microsoft.icon": _read_ico,
    "image/vnd.adobe.photoshop": _read_photoshop,
    "image/webp": _read_webp,
    "image/heic": read_heif,
    "image/heif": read_heif,
    "image/avif": read_heif,
    "image/tiff": read_tiff,
    "image/x-canon-crw": read_crw,
    "image/x-minolta-mrw": read_mrw,
    "image/x-sigma-x3f": read_x3f,
    "image/jp2": read_jp2,
    "image/jxl": read_jxl,
    "image/x-canon-cr2": read_tiff,
    "image/x-phaseone-iiq": read_tiff,
    "image/x-olympus-orf": read_tiff,
    "image/x-panasonic-rw2": read_tiff,
    "image/x-canon-cr3": read_cr3,
    "image/x-fuji-raf": read_raf,
    "video/x-msvideo": read_avi,
    "video/x-ms-wmv": read_asf,
    "video/dv": read_dv,
    "video/mp4": read_quicktime,
    "video/quicktime": read_quicktime,
    "video/x-m4v": read_quicktime,
    "video/3gpp": read_quicktime,
    "video/3gpp2": read_quicktime,
}
