"""Small RAW files as cameras build them, with a JPEG inside and nothing where the sensor's data would be."""

from __future__ import annotations

import io
import struct
from typing import Any

from PIL import Image

from tests.catalog.media.photos import corner_picture, exif_block, jpeg

SENSOR, PHOTO, PREVIEW = (1260, 840), (1200, 800), (1080, 720)
DATE, LENS, TURN = b"2021:06:05 10:11:12\0", "RF24-105mm F4", 6
_NOTE = 0x927C
Tags = dict[int, Any]


class Blob(bytes):
    """Bytes whose place a tag gives as a number."""


def preview(size: tuple[int, int] = PREVIEW, **options: Any) -> Blob:
    return Blob(jpeg(corner_picture(*size), **options))


def tiff(first: list[Tags], *, magic: bytes = b"II*\0", head: bytes = b"", note_starts_tiff: int = 0) -> bytes:
    """Return a TIFF structure of directories, each following the one before; `head` stands behind its first eight bytes.

    A value is a number, text of ASCII as bytes, a tuple of rationals, a `Blob`, or a list of directories that it points to.
    """
    order = "<" if magic[:2] == b"II" else ">"
    out = bytearray(magic + struct.pack(order + "I", 8 + len(head)) + head)
    out += bytes(2 + 12 * len(first[0]) + 4)
    following = 0
    for tags in reversed(first[1:]):
        following = _append(out, order, tags, following)
    _write(out, order, 8 + len(head), first[0], following)
    return bytes(out)


def _append(out: bytearray, order: str, tags: Tags, following: int) -> int:
    at = len(out)
    out += bytes(2 + 12 * len(tags) + 4)
    _write(out, order, at, tags, following)
    return at


def _write(out: bytearray, order: str, at: int, tags: Tags, following: int) -> None:
    body = struct.pack(order + "H", len(tags))
    for tag, value in sorted(tags.items()):
        body += struct.pack(order + "HH", tag, _kind(tag, value)) + _value(out, order, tag, value)
    body += struct.pack(order + "I", following)
    out[at : at + len(body)] = body


def _kind(tag: int, value: Any) -> int:
    if isinstance(value, tuple):
        return 5
    if isinstance(value, (bytes, bytearray)) and not isinstance(value, Blob):
        return 7 if tag in (_NOTE, 0x2E) else 1 if tag == 0xC612 else 2
    return 4


def _value(out: bytearray, order: str, tag: int, value: Any) -> bytes:
    if isinstance(value, Blob):
        out += value
        return struct.pack(order + "II", 1, len(out) - len(value))
    if isinstance(value, list):
        places = [_append(out, order, one, 0) for one in value]
        if len(places) > 1:
            out += struct.pack(f"{order}{len(places)}I", *places)
            return struct.pack(order + "II", len(places), len(out) - 4 * len(places))
        return struct.pack(order + "II", 1, places[0])
    if isinstance(value, tuple):
        value, count = b"".join(struct.pack(order + "II", *pair) for pair in value), len(value)
    elif isinstance(value, (bytes, bytearray)):
        if tag == _NOTE and value[:5] == b"Canon":  # whose notes count from where the whole begins
            start = len(out)
            lens = value[5:]
            value = struct.pack(order + "HHHIII", 1, 0x95, 2, len(lens), start + 18, 0) + lens
        count = len(value)
    else:
        return struct.pack(order + "II", 1, value)
    if len(value) <= 4:
        return struct.pack(order + "I", count) + value.ljust(4, b"\0")
    out += value
    return struct.pack(order + "II", count, len(out) - len(value))


def camera(make: bytes, **more: Any) -> Tags:
    return {0x10F: make + b"\0", 0x110: b"Camera\0", 0x112: TURN}


def shot(note: bytes = b"", size: tuple[int, int] | None = PHOTO, lens: bool = True) -> list[Tags]:
    tags: Tags = {0x9003: DATE, 0x829D: ((4, 1),), 0x8827: 200}
    if lens:
        tags[0xA434] = LENS.encode() + b"\0"
    if note:
        tags[_NOTE] = note
    if size:
        tags |= {0xA002: size[0], 0xA003: size[1]}
    return [tags]


def sized(size: tuple[int, int]) -> Tags:
    return {0x100: size[0], 0x101: size[1]}


def as_jpeg(picture: Blob) -> Tags:
    return {0x201: picture, 0x202: len(picture)}


def as_strip(picture: Blob, compression: int) -> Tags:
    return {0x103: compression, 0x111: picture, 0x117: len(picture)}


SENSOR_DATA = sized(SENSOR) | {0x106: 32803, 0x103: 1, 0x111: Blob(b"\xff\xd8\xff\xc4" + bytes(96)), 0x117: 100}


def cr2(picture: Blob) -> bytes:
    note = b"Canon" + LENS.encode() + b"\0"
    first = sized((600, 400)) | camera(b"Canon") | as_strip(picture, 6) | {0x8769: shot(note, lens=False)}
    lossless = Blob(b"\xff\xd8\xff\xc3\0\x11\x0e" + struct.pack(">HH", *SENSOR[::-1]) + bytes(200))
    directories = [first, as_jpeg(preview((160, 120))), as_strip(Blob(bytes(64)), 6), as_strip(lossless, 6)]
    return tiff(directories, head=b"CR\2\0" + bytes(4))


def nef(picture: Blob) -> bytes:
    lens = tiff([{0x84: ((24, 1), (105, 1), (4, 1), (4, 1))}], magic=b"MM\0*")
    first = sized((160, 120)) | camera(b"NIKON CORPORATION") | {0xFE: 1}
    first |= {
        0x14A: [as_jpeg(picture) | {0xFE: 1}, SENSOR_DATA | {0xFE: 0}],
        0x8769: shot(b"Nikon\0\2\x10\0\0" + lens, lens=False),
    }
    return tiff([first], magic=b"MM\0*")


def arw(picture: Blob) -> bytes:
    first = camera(b"SONY") | as_jpeg(preview((800, 533))) | {0xFE: 1, 0x14A: [SENSOR_DATA], 0x8769: shot()}
    return tiff([first, as_jpeg(preview((160, 120))), as_jpeg(picture)])


def orf(picture: Blob) -> bytes:
    settings = 12 + 2 + 2 * 12 + 4
    equipment = settings + 2 + 2 * 12 + 4
    words = equipment + 2 + 12 + 4
    name = LENS.encode() + b"\0"
    note = b"OLYMPUS\0II\3\0" + struct.pack("<HHHIIHHIII", 2, 0x2010, 4, 1, equipment, 0x2020, 4, 1, settings, 0)
    note += struct.pack("<HHHIIHHIII", 2, 0x101, 4, 1, words + len(name), 0x102, 4, 1, len(picture), 0)
    note += struct.pack("<HHHIII", 1, 0x203, 2, len(name), words, 0) + name + picture
    first = sized(SENSOR) | camera(b"OLYMPUS IMAGING CORP.") | {0x103: 1, 0x8769: shot(note, lens=False)}
    return tiff([first], magic=b"IIRO")


def rw2(picture: Blob) -> bytes:
    first = {4: 8, 5: 8, 6: PHOTO[1] + 8, 7: PHOTO[0] + 8, 0x17: 200} | camera(b"Panasonic")
    inner = exif_block({0x10F: "Panasonic"}, {0xA434: LENS, 0xA002: 1080, 0xA003: 720})
    first |= {0x2E: bytes(_with_exif(picture, inner)), 0x8769: shot(size=None, lens=False)}
    return tiff([first], magic=b"IIU\0", head=bytes(16))


def dng(picture: Blob) -> bytes:
    first = sized((160, 120)) | camera(b"Somebody") | {0xFE: 1, 0xC612: b"\1\4\0\0", 0x8769: shot()}
    first[0x14A] = [SENSOR_DATA | sized(PHOTO), as_strip(picture, 7) | {0xFE: 1}]
    return tiff([first])


def pef(picture: Blob) -> bytes:
    first = SENSOR_DATA | camera(b"PENTAX Corporation") | {0x103: 65535, 0x8769: shot()}
    return tiff([first, as_jpeg(preview((160, 120))), as_jpeg(picture)], magic=b"MM\0*")


def raf(picture: Blob) -> bytes:
    words = exif_block({0x10F: "FUJIFILM", 0x112: TURN}, {0x9003: DATE[:-1].decode(), 0xA434: LENS, 0x8827: 200})
    inside = _with_exif(picture, words)
    table = struct.pack(">IHHHHHHHH", 2, 0x100, 4, *SENSOR[::-1], 0x111, 4, *PHOTO[::-1])
    head = b"FUJIFILMCCD-RAW 0201FF000000X".ljust(84, b"\0")
    return head + struct.pack(">IIII", 120, len(inside), 120 + len(inside), len(table)) + bytes(20) + inside + table


def cr3(picture: Blob) -> bytes:
    canon = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
    blocks = box(b"CMT1", tiff([sized(PHOTO) | camera(b"Canon")])) + box(b"CMT2", tiff(shot()))
    brand = box(b"ftyp", b"crx \0\0\0\1crx isom")
    small = preview((160, 120))
    other = box(b"uuid", bytes.fromhex("eaf42b5e1c984b88b9fbb7dc406e4d16") + struct.pack(">Q", 1) + _prvw(small))

    def moov(place: int) -> bytes:
        table = box(b"stsz", struct.pack(">III", 0, len(picture), 1)) + box(b"co64", struct.pack(">IIQ", 0, 1, place))
        track = box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", table))))
        return box(b"moov", box(b"uuid", canon + blocks) + track)

    start = len(brand) + len(moov(0)) + len(other) + 8
    return brand + moov(start) + other + box(b"mdat", picture + bytes(64))


def _prvw(picture: bytes) -> bytes:
    return box(b"PRVW", struct.pack(">IHHHHI", 0, 1, 160, 120, 1, len(picture)) + picture)


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body


def _with_exif(picture: bytes, words: bytes) -> bytes:
    return picture[:2] + b"\xff\xe1" + struct.pack(">H", len(words) + 2) + words + picture[2:]


def adobe_rgb(colour: tuple[int, int, int], size: tuple[int, int] = PREVIEW) -> bytes:
    """Return a JPEG of one colour that says by its EXIF alone that it is Adobe RGB."""
    out = io.BytesIO()
    block = Image.Exif()
    block.get_ifd(0x8769).update({0xA001: 0xFFFF})
    block.get_ifd(0x8769)[0xA005] = {1: "R03", 2: b"0100"}
    Image.new("RGB", size, colour).save(out, "JPEG", quality=95, subsampling=0, exif=block)
    return out.getvalue()


KINDS = {
    "x-canon-cr2": cr2, "x-canon-cr3": cr3, "x-nikon-nef": nef, "x-sony-arw": arw, "x-fuji-raf": raf,
    "x-olympus-orf": orf, "x-panasonic-rw2": rw2, "x-adobe-dng": dng, "x-pentax-pef": pef,
}  # fmt: skip
