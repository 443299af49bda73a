"""Read the headers of MP4 and QuickTime videos and of Canon's CR3: size, turn, length, date, place, camera."""

from __future__ import annotations

import re
import struct

from catalog.media.exif import Exif, clean_text, read_exif, tidy
from catalog.media.found import Found
from catalog.media.fragments import fragmented_ms
from catalog.media.isobmff import boxes, first_box
from catalog.media.recorded import recorded
from catalog.media.source import Source

_SINCE_1904 = 2_082_844_800
_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_CANON_UUID = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
_LONGEST_XMP_BYTES = 2 * 1024 * 1024
_LONGEST_TEXT_BYTES = 64 * 1024
_VIDEO_ENTRY_BYTES = 78
_LONGEST_FILM_SECONDS = 10 * 24 * 3600
_TEXT_ATOMS = {
    b"\xa9mak": "make",
    b"\xa9mod": "model",
    b"\xa9nam": "title",
    b"\xa9cmt": "comment",
    b"\xa9des": "description",
    b"desc": "description",
}
_3GPP_TEXTS = {b"titl": "title", b"dscp": "description"}
_SONY_DATE = re.compile(rb"""<CreationDate\s+value=["']([^"']{10,40})["']""")
_SONY_DEVICE = re.compile(rb"""<Device\s+manufacturer=["']([^"']{1,100})["']\s+modelName=["']([^"']{1,100})["']""")
_KEYS = {
    "com.apple.quicktime.make": "make",
    "com.apple.quicktime.model": "model",
    "com.apple.quicktime.content.identifier": "content_identifier",
    "com.apple.quicktime.title": "title",
    "com.apple.quicktime.description": "description",
    "com.android.manufacturer": "make",
    "com.android.model": "model",
}


def read_quicktime(source: Source) -> Found:
    """Return what the moov box says. Sets `problem` when it is missing, as in a recording that was cut off."""
    found = Found()
    has_index = False
    for kind, start, end in boxes(source):
        if kind == b"moov":
            has_index = True
            _read_moov(source, start, end, found)
            found.duration_ms = found.duration_ms or _sane_ms(fragmented_ms(source))
        elif kind == b"uuid" and source.read(start, 16) == _XMP_UUID:
            found.xmp_packets.append(source.read(start + 16, min(end - start - 16, _LONGEST_XMP_BYTES)))
        elif kind == b"meta":
            _read_sony_xml(source, start, end, found)
    if not has_index:
        found.problem = "The video cannot be played: its index (moov) is missing, as when a recording is cut off."
    return found


def _read_sony_xml(source: Source, start: int, end: int, found: Found) -> None:
    """Read what Sony's cameras write behind the film as XML: the wall clock with its zone, and the camera."""
    place = first_box(source, b"xml ", start + 4, end)
    text = source.read(place[0], min(place[1] - place[0], _LONGEST_TEXT_BYTES)) if place else b""
    if (date := _SONY_DATE.search(text)) and (moment := recorded("XML CreationDate", clean_text(date[1]))):
        found.recorded.append(moment)
    if device := _SONY_DEVICE.search(text):
        found.texts.setdefault("make", clean_text(device[1]))
        found.texts.setdefault("model", clean_text(device[2]))


def read_cr3(source: Source) -> Found:
    """Return what Canon's CR3 says: EXIF lies in the boxes CMT1 (main), CMT2 (camera) and CMT4 (place)."""
    found = Found()
    moov = first_box(source, b"moov")
    for kind, start, end in boxes(source, *moov) if moov else ():
        if kind != b"uuid" or source.read(start, 16) != _CANON_UUID:
            continue
        exif = Exif()
        for inner, at, stop in boxes(source, start + 16, end):
            block = (
                read_exif(source.read(at, min(stop - at, 256 * 1024))) if inner in (b"CMT1", b"CMT2", b"CMT4") else None
            )
            if block is not None:
                setattr(exif, {b"CMT1": "ifd0", b"CMT2": "exif", b"CMT4": "gps"}[inner], block.ifd0)
        found.exif = exif
        width, height = exif.ifd0.get(0x0100), exif.ifd0.get(0x0101)
        if isinstance(width, int) and isinstance(height, int):
            found.width, found.height = width, height
    for kind, start, end in boxes(source):
        if kind == b"uuid" and source.read(start, 16) == _XMP_UUID:
            found.xmp_packets.append(source.read(start + 16, min(end - start - 16, _LONGEST_XMP_BYTES)))
    if found.exif is None:
        found.problem = "The CR3 file's index is damaged."
    return found


def _read_moov(source: Source, start: int, end: int, found: Found) -> None:
    for kind, at, stop in boxes(source, start, end):
        if kind == b"mvhd":
            _read_movie_header(source.read(at, 32), found)
        elif kind == b"trak":
            _read_track(source, at, stop, found)
        elif kind == b"udta":
            _read_user_data(source, at, stop, found)
        elif kind == b"meta":
            _read_keys(source, at, stop, found)


def _read_movie_header(head: bytes, found: Found) -> None:
    if len(head) < 32:
        return
    if head[0] == 1:
        created, _, scale, length = struct.unpack(">QQIQ", head[4:32])
        unknown = 2**64 - 1
    else:
        created, _, scale, length = struct.unpack(">IIII", head[4:20])
        unknown = 2**32 - 1
    if length == unknown:
        length = 0
    if scale and length / scale <= _LONGEST_FILM_SECONDS:
        found.duration_ms = round(length * 1000 / scale) or None  # 0: told by fragments, or by nothing
    elif length:
        found.note("The video's claimed length is absurd and was ignored.")
    _keep_created(created, found)


def _keep_created(created: int, found: Found) -> None:
    if created:
        # Some recorders count from 1970 although the format says 1904.
        found.created_utc_seconds = created - _SINCE_1904 if created >= _SINCE_1904 else created


def _keep_first_created(head: bytes, found: Found) -> None:
    """Keep the date in a header of a track if those before had none."""
    if found.created_utc_seconds is None and len(head) >= 12:
        _keep_created(int.from_bytes(head[4:12] if head[0] == 1 else head[4:8], "big"), found)


def _sane_ms(milliseconds: int | None) -> int | None:
    return milliseconds if milliseconds and milliseconds <= _LONGEST_FILM_SECONDS * 1000 else None


def _read_track(source: Source, start: int, end: int, found: Found) -> None:
    if found.width:
        return
    header = first_box(source, b"tkhd", start, end)
    media = first_box(source, b"mdia", start, end)
    handler = first_box(source, b"hdlr", *media) if media else None
    if header is None or (handler is not None and source.read(handler[0] + 8, 4) != b"vide"):
        return
    head = source.read(header[0], 96)
    _keep_first_created(head, found)
    media_header = first_box(source, b"mdhd", *media) if media else None
    if media_header is not None:
        _keep_first_created(source.read(media_header[0], 12), found)
    at = 52 if head[:1] == b"\1" else 40
    if len(head) < at + 44:
        return
    a, b, _, c, d = struct.unpack(">iiiii", head[at : at + 20])
    width, height = struct.unpack(">II", head[at + 36 : at + 44])
    found.width, found.height = width >> 16, height >> 16
    shape = _pixel_shape(source, *media) if media else None
    if shape is not None and shape[0] == (found.width, found.height):
        # The track repeats the coded size, and leaves the shape of the pixels to the sample entry.
        found.width = round(found.width * shape[1])
    turn = {(0, 1, -1, 0): 6, (-1, 0, 0, -1): 3, (0, -1, 1, 0): 8}.get(
        tuple((x > 0) - (x < 0) for x in (a, b, c, d)), 1
    )
    found.transform = turn


def _pixel_shape(source: Source, start: int, end: int) -> tuple[tuple[int, int], float] | None:
    """Return the coded size and how much wider than high a pixel is; None where nothing is said of it."""
    at: tuple[int, int] | None = (start, end)
    for kind in (b"minf", b"stbl", b"stsd"):
        at = at and first_box(source, kind, *at)
    entry = next(boxes(source, at[0] + 8, at[1]), None) if at else None
    pixel = first_box(source, b"pasp", entry[1] + _VIDEO_ENTRY_BYTES, entry[2]) if entry else None
    if entry is None or pixel is None:
        return None
    coded = struct.unpack(">HH", source.read(entry[1] + 24, 4))
    wide, high = struct.unpack(">II", source.read(pixel[0], 8))
    return (coded[0], coded[1]), wide / high if high and 0.1 < wide / high < 10 else 1.0


def _read_user_data(source: Source, start: int, end: int, found: Found) -> None:
    for kind, at, stop in boxes(source, start, end):
        if kind == b"meta":
            _read_keys(source, at, stop, found)
        elif kind == b"XMP_":
            found.xmp_packets.append(source.read(at, min(stop - at, _LONGEST_XMP_BYTES)))
        elif kind == b"\xa9xyz":
            found.location_text = found.location_text or clean_text(source.read(at + 4, min(stop - at - 4, 64)))
        elif kind == b"loci":
            found.position = found.position or _place_of_3gpp(source.read(at, min(stop - at, _LONGEST_TEXT_BYTES)))
        elif kind == b"date":
            _keep_text(b"\xa9day", clean_text(source.read(at, min(stop - at, 64))), found)
        elif kind in _3GPP_TEXTS:
            text = _text_of_3gpp(source.read(at + 6, min(stop - at - 6, _LONGEST_TEXT_BYTES)))
            found.texts.setdefault(_3GPP_TEXTS[kind], text)
        elif kind in (b"\xa9day", *_TEXT_ATOMS):
            _keep_text(kind, clean_text(source.read(at + 4, min(stop - at - 4, _LONGEST_TEXT_BYTES))), found)


def _keep_text(kind: bytes, text: str, found: Found) -> None:
    if kind == b"\xa9day":
        date = recorded("©day", text)
        found.recorded += [date] if date else []
    elif kind == b"\xa9xyz":
        found.location_text = found.location_text or text[:64]
    elif kind in _TEXT_ATOMS:
        found.texts.setdefault(_TEXT_ATOMS[kind], text)


def _text_of_3gpp(body: bytes) -> str:
    """Return the text of a box behind its version and language: UTF-8, or UTF-16 with a mark."""
    if body[:2] in (b"\xfe\xff", b"\xff\xfe"):
        return tidy(body.decode("utf-16", "ignore").partition("\0")[0])
    return clean_text(body)


def _place_of_3gpp(body: bytes) -> tuple[float, float] | None:
    """Return latitude and longitude of a box `loci`: a name, one byte, then longitude and latitude in 1/65,536 degrees."""
    is_utf16 = body[6:8] in (b"\xfe\xff", b"\xff\xfe")
    end = next((at for at in range(6, len(body) - 1, 2) if body[at : at + 2] == b"\0\0"), -1) if is_utf16 else -1
    at = end + 3 if is_utf16 else body.find(b"\0", 6) + 2
    if at < 8 or len(body) < at + 8:
        return None
    longitude, latitude = struct.unpack(">ii", body[at : at + 8])
    return latitude / 65536, longitude / 65536


def _read_keys(source: Source, start: int, end: int, found: Found) -> None:
    # QuickTime's meta is a plain box, MP4's has a version and flags first.
    if source.read(start + 4, 4) not in (b"hdlr", b"keys", b"ilst"):
        start += 4
    names: list[str] = []
    for kind, at, stop in boxes(source, start, end):
        if kind == b"keys":
            names = _key_names(source.read(at, min(stop - at, _LONGEST_TEXT_BYTES)))
        elif kind == b"ilst":
            for item, item_at, item_stop in boxes(source, at, stop):
                value = first_box(source, b"data", item_at, item_stop)
                if value is None:
                    continue
                text = clean_text(source.read(value[0] + 8, min(value[1] - value[0] - 8, _LONGEST_TEXT_BYTES)))
                index = int.from_bytes(item, "big")
                if 0 < index <= len(names):
                    _keep_key(names[index - 1], text, found)
                else:
                    _keep_text(item, text, found)


def _key_names(body: bytes) -> list[str]:
    names: list[str] = []
    position = 8
    while position + 8 <= len(body) and len(names) < 500:
        size = int.from_bytes(body[position : position + 4], "big")
        if size < 8:
            break
        names.append(body[position + 8 : position + size].decode("latin-1"))
        position += size
    return names


def _keep_key(name: str, text: str, found: Found) -> None:
    if name == "com.apple.quicktime.creationdate":
        found.created_text = text
    elif name == "com.apple.quicktime.location.ISO6709":
        found.location_text = text
    elif name in _KEYS:
        found.texts[_KEYS[name]] = text
