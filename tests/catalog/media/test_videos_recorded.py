"""When and where videos were recorded, as their containers say it."""

from __future__ import annotations

import struct
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from catalog.media.asf import read_asf
from catalog.media.avchd import read_mdpm
from catalog.media.dates import Stamp, resolve
from catalog.media.dv import read_dv
from catalog.media.facts import Facts
from catalog.media.found import Found
from catalog.media.positions import iso6709
from catalog.media.quicktime import read_quicktime
from catalog.media.recorded import recorded
from catalog.media.riff_video import read_avi
from catalog.media.source import MemorySource
from tests.catalog.media.test_digest import digest
from tests.catalog.media.videos import video


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("WED DEC 17 17:34:51 2003\n\0", (2003, 12, 17, 17, 34, 51)),
        ("Mon Mar 10 15:04:43 2003", (2003, 3, 10, 15, 4, 43)),
        ("2003:12:17 17:34:51\0", (2003, 12, 17, 17, 34, 51)),
        ("2001/ 1/27  1:42PM", (2001, 1, 27, 13, 42)),
        ("2001/ 1/27 12:42AM", (2001, 1, 27, 0, 42)),
        ("2005/11/28/ 09:19", (2005, 11, 28, 9, 19)),
        ("2002-12-16  15:35:01\0\0", (2002, 12, 16, 15, 35, 1)),
        ("2012-05-29T08:55:06", (2012, 5, 29, 8, 55, 6)),
        ("2012-05-29", (2012, 5, 29)),
    ],
)
def test_dates_as_containers_write_them(text: str, expected: tuple[int, ...]) -> None:
    candidate = recorded("a tag", text)
    assert candidate and resolve(candidate, None) == Stamp(datetime(*expected))


@pytest.mark.parametrize("text", ["2012", "", "\0\0", "May 2012", "Foo Bar 17 17:34:51 2003", "12/05/2012"])
def test_years_and_words_are_no_dates(text: str) -> None:
    assert recorded("a tag", text) is None


def test_an_offset_stays_and_z_is_an_instant() -> None:
    told, instant = recorded("a tag", "2012-05-29T08:55:06+0200"), recorded("a tag", "2023-07-01T22:30:00.000000Z")
    assert told and resolve(told, None) == Stamp(datetime(2012, 5, 29, 8, 55, 6), 120)
    assert instant and resolve(instant, None) == Stamp(datetime(2023, 7, 1, 22, 30), None, is_utc=True)


def chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) & 1)


def avi(header: bytes = b"", information: bytes = b"", frames: int = 50) -> bytes:
    """An AVI of half of its frames (the second half is in a further part) that has no picture in it."""
    avih = struct.pack("<10I16x", 40_000, 0, 0, 0, frames // 2, 0, 1, 0, 320, 180)
    total = chunk(b"LIST", b"odml" + chunk(b"dmlh", struct.pack("<I", frames)))
    parts = chunk(b"LIST", b"hdrl" + chunk(b"avih", avih) + total + header) + chunk(b"JUNK", b"IDIT" * 3)
    parts += chunk(b"LIST", b"movi" + b"IDIT" * 50) + chunk(b"LIST", b"INFO" + information)
    return b"RIFF" + struct.pack("<I", len(parts) + 4) + b"AVI " + parts


def stamps(found: Found) -> list[Stamp | None]:
    return [resolve(candidate, None) for candidate in Facts(found).embedded_dates()]


def test_avi() -> None:
    found = read_avi(MemorySource(avi(chunk(b"IDIT", b"WED DEC 17 17:34:51 2003\n\0"), chunk(b"ICRD", b"2004-01-02"))))
    assert stamps(found) == [Stamp(datetime(2003, 12, 17, 17, 34, 51)), Stamp(datetime(2004, 1, 2))]
    assert (found.width, found.height, found.duration_ms) == (320, 180, 2_000)
    assert stamps(read_avi(MemorySource(avi()))) == []
    for length in range(12, 300, 7):  # cut off anywhere
        read_avi(MemorySource(avi(chunk(b"IDIT", b"2003:12:17 17:34:51"))[:length]))


def test_asf(tmp_path: Path) -> None:
    data = video("asf", "wmv2", frames=2, metadata={"creation_time": "2023-07-01T22:30:00Z"})
    assert stamps(read_asf(MemorySource(data))) == [Stamp(datetime(2023, 7, 1, 22, 30), None, is_utc=True)]
    assert digest(tmp_path, data, "video.wmv").taken_local == "2023-07-02T00:30:00"
    assert stamps(read_asf(MemorySource(data.replace(data[78:86], bytes(8))))) == []


def test_matroska_tells_an_instant(tmp_path: Path) -> None:
    data = video("matroska", frames=2, metadata={"creation_time": "2023-07-01T22:30:00Z"})
    result = digest(tmp_path, data, "video.mkv")
    assert (result.taken_local, result.taken_at) == ("2023-07-02T00:30:00", "2023-07-01T22:30:00Z")
    data = video("matroska", frames=2, metadata={"DATE_RECORDED": "2021-05-06 07:08:09"})
    assert digest(tmp_path, data, "video.mkv").taken_local == "2021-05-06T07:08:09"


def test_dv(tmp_path: Path) -> None:
    data = video("dv", "dvvideo", frames=1, size=(720, 576), metadata={"creation_time": "2003-12-17T17:34:51Z"})
    assert digest(tmp_path, data, "video.dv").taken_local == "2003-12-17T17:34:51"
    at = data.index(b"\x62", 80)
    nineties = data[: at + 4] + b"\x97" + data[at + 5 :]
    assert stamps(read_dv(MemorySource(nineties))) == [Stamp(datetime(1997, 12, 17, 17, 34, 51))]
    for unknown in (b"\xff\xff\xff\xff", b"\xff\x01\x01\x70"):
        assert stamps(read_dv(MemorySource(data[: at + 1] + unknown + data[at + 5 :]))) == []
    for length in (4, 80, 81, 300, 479):
        read_dv(MemorySource(data[:length]))


def mdpm(*entries: bytes) -> bytes:
    """A message of H.264 as AVCHD writes it."""
    content = b"".join(entries)
    body = bytes.fromhex("17ee8c60f84d11d98cd60800200c9a66") + b"MDPM" + bytes([len(content) // 5]) + content
    return b"\0\0\0\1\x06\x05" + bytes([len(body)]) + body.replace(b"\0\0\0", b"\0\0\3\0") + b"\x80"


DATE = bytes.fromhex("18ff201007 1904151617")
"""The fourth of July 2010, without a zone."""


def test_avchd(tmp_path: Path) -> None:
    result = digest(tmp_path, video("mpegts", frames=3, message=mdpm(DATE)), "00001.MTS")
    assert (result.taken_local, result.offset_minutes) == ("2010-07-04T15:16:17", None)
    assert result.thumbnail and not result.problem


@pytest.mark.parametrize(
    ("zone", "offset"), [(0x04, 120), (0x24, -120), (0x17, 690), (0x42, 120), (0x00, None), (0xFF, None)]
)
def test_zones_of_avchd(zone: int, offset: int | None) -> None:
    found = Found()
    assert read_mdpm(mdpm(bytes([0x18, zone, 0x20, 0x10, 0x07, 0x19, 0x04, 0x15, 0x16, 0x17])), found)
    assert stamps(found) == [Stamp(datetime(2010, 7, 4, 15, 16, 17), offset)]


def test_places_and_makers_of_avchd() -> None:
    fractions = [(33, 1), (30, 1), (0, 1), (70, 1), (15, 1), (0, 1)]
    tags = (0xB2, 0xB3, 0xB4, 0xB6, 0xB7, 0xB8)
    numbers = [struct.pack(">BHH", tag, *value) for tag, value in zip(tags, fractions, strict=True)]
    found = Found()
    read_mdpm(mdpm(DATE, b"\xb1S\0\0\0", *numbers[:3], b"\xb5W\0\0\0", *numbers[3:], b"\xe0\x01\x08\0\0"), found)
    facts = Facts(found)
    assert (facts.words.latitude, facts.words.longitude, facts.make) == (-33.5, -70.25, "Sony")
    assert not read_mdpm(b"\0\0\0\1\x06\x05\x10" + bytes(16), Found())
    for cut in range(20, 60):
        read_mdpm(mdpm(DATE, b"\xb1S\0\0\0")[:cut], Found())


def box(kind: bytes, *body: bytes) -> bytes:
    return struct.pack(">I", 8 + sum(map(len, body))) + kind + b"".join(body)


def told(kind: bytes, text: str) -> bytes:
    """One item of the list of iTunes."""
    return box(kind, box(b"data", bytes(3) + b"\1" + bytes(4), text.encode()))


def classic(kind: bytes, text: str) -> bytes:
    """One text of QuickTime's user data."""
    return box(kind, struct.pack(">HH", len(text), 0), text.encode())


def items(*parts: bytes) -> bytes:
    handler = box(b"hdlr", bytes(8), b"mdirappl", bytes(9))
    return box(b"meta", bytes(4), handler, box(b"ilst", *parts))


LOCI = struct.pack(">iii", round(-70.25 * 65536), round(-33.5 * 65536), 100 << 16) + b"earth\0\0"


def movie(
    *user_data: bytes, created: int = 0, track_created: int = 0, media_created: int = 0, behind: bytes = b""
) -> Facts:
    header = box(b"mvhd", struct.pack(">IIIIII", 0, created, 0, 1000, 2000, 0x10000), bytes(80))
    matrix = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    size = struct.pack(">II", 320 << 16, 180 << 16)
    track = box(b"tkhd", struct.pack(">IIIII", 0, track_created, 0, 1, 0), bytes(20), matrix, size)
    media_header = box(b"mdhd", struct.pack(">IIIIII", 0, media_created, 0, 1000, 2000, 0))
    media = box(b"mdia", media_header, box(b"hdlr", bytes(8), b"vide", bytes(12)))
    data = box(b"ftyp", b"mp42", bytes(4)) + box(b"moov", header, box(b"trak", track, media), box(b"udta", *user_data))
    return Facts(read_quicktime(MemorySource(data + behind)))


@pytest.mark.parametrize(
    "part",
    [
        items(told(b"\xa9xyz", "-33.500-070.250+100.000/")),
        classic(b"\xa9xyz", "-33.5000-070.2500/"),
        box(b"loci", bytes(4), b"\x15\xc7", b"Tal\0", b"\0", LOCI),
        box(b"loci", bytes(4), b"\x15\xc7", b"\0", b"\0", LOCI),
        box(b"loci", bytes(4), b"\x15\xc7", "Tal".encode("utf-16"), b"\0\0", b"\0", LOCI),
    ],
)
def test_places_of_mp4(part: bytes) -> None:
    facts = movie(part)
    assert (facts.words.latitude, facts.words.longitude) == (-33.5, -70.25)
    assert facts.size == (320, 180)


def test_cut_places_are_none() -> None:
    for length in range(4, 24):
        facts = movie(box(b"loci", (bytes(4) + b"\x15\xc7Tal\0\0" + LOCI)[: min(length, 18)]))
        assert (facts.words.latitude, facts.words.longitude) == (None, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+27.5916+086.5640+8850/", (27.5916, 86.564)),
        ("+4852.8-00221.0/", (48.88, -2.35)),
        ("-335924-0701530/", (-33.99, -70.258333)),
        ("+00-025/", (0, -25)),
        ("48.8 N", None),
        ("", None),
    ],
)
def test_iso6709(text: str, expected: Any) -> None:
    assert iso6709(text) == (expected and pytest.approx(expected, abs=1e-5))


SECONDS = 2_082_844_800 + 1_688_250_600  # 2023-07-01T22:30:00Z since 1904


def test_the_date_of_content_goes_before_that_of_the_file() -> None:
    day = Stamp(datetime(2012, 5, 29, 8, 55, 6), 120)
    utc = Stamp(datetime(2023, 7, 1, 22, 30), None, is_utc=True)
    for part in (items(told(b"\xa9day", "2012-05-29T08:55:06+0200")), classic(b"\xa9day", "2012-05-29T08:55:06+02:00")):
        assert [resolve(date, None) for date in movie(part, created=SECONDS).embedded_dates()] == [day, utc]
    only_day = movie(items(told(b"\xa9day", "2012-05-29")), created=SECONDS)
    assert [resolve(date, None) for date in only_day.embedded_dates()] == [utc, Stamp(datetime(2012, 5, 29))]
    year = movie(items(told(b"\xa9day", "2012")), created=SECONDS)
    assert [resolve(date, None) for date in year.embedded_dates()] == [utc]


def test_the_track_tells_the_date_where_the_movie_does_not() -> None:
    utc = Stamp(datetime(2023, 7, 1, 22, 30), None, is_utc=True)
    assert [resolve(date, None) for date in movie(track_created=SECONDS).embedded_dates()] == [utc]
    assert [resolve(date, None) for date in movie(media_created=SECONDS).embedded_dates()] == [utc]
    assert list(movie().embedded_dates()) == []


SONY = b"""<?xml version="1.0"?><NonRealTimeMeta><CreationDate value="2023-07-01T18:30:00-04:00"/>
<Device manufacturer="Sony" modelName="ILCE-7M4" serialNo="1"/></NonRealTimeMeta>"""


def test_other_places_for_the_wall_clock_of_mp4() -> None:
    xml = box(b"meta", bytes(4), box(b"hdlr", bytes(8), b"nrtm", bytes(13)), box(b"xml ", SONY))
    sony = movie(created=SECONDS, behind=xml)
    user_data = movie(box(b"date", b"2023-07-01T18:30:00-0400"), created=SECONDS)
    for facts in (sony, user_data):
        assert resolve(next(iter(facts.embedded_dates())), None) == Stamp(datetime(2023, 7, 1, 18, 30), -240)
    assert (sony.make, sony.model) == ("Sony", "ILCE-7M4")
    for end in range(0, len(xml), 5):  # cut off anywhere
        movie(created=SECONDS, behind=xml[:end])


@pytest.mark.parametrize(
    "parts",
    [
        (items(told(b"\xa9nam", "Title"), told(b"desc", "At the sea")),),
        (box(b"titl", bytes(4), b"\x15\xc7", b"Title\0"), box(b"dscp", bytes(4), b"\x15\xc7", b"At the sea\0")),
        (box(b"dscp", bytes(4), b"\x15\xc7", "At the sea\0".encode("utf-16")),),
    ],
)
def test_descriptions_of_mp4_and_3gp(parts: tuple[bytes, ...]) -> None:
    assert movie(*parts).words.caption == "At the sea"
