"""When a photo was taken, from every place that may know."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from catalog.media.dates import (
    Candidate,
    ImpossibleDate,
    Stamp,
    choose,
    from_mtime,
    from_unix,
    offset_from_gps,
    parse_offset,
    parse_stamp,
)
from catalog.media.name_dates import from_name

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 6, 1, 12)


@pytest.mark.parametrize(
    ("text", "local", "offset"),
    [
        ("2019:01:02 03:04:05", datetime(2019, 1, 2, 3, 4, 5), None),
        ("2021-06-07T08:09:10", datetime(2021, 6, 7, 8, 9, 10), None),
        ("2021:06:07 08:09:10.25+05:45", datetime(2021, 6, 7, 8, 9, 10, 250000), 345),
        ("2021-03-04T12:13:14-0930", datetime(2021, 3, 4, 12, 13, 14), -570),
        ("2021-03-04T12:13:14Z", datetime(2021, 3, 4, 12, 13, 14), 0),
        ("2021-03-04", datetime(2021, 3, 4), None),
        ("1901", datetime(1901, 1, 1), None),
        ("2018:07:25 16:34:22.173129472", datetime(2018, 7, 25, 16, 34, 22, 173129), None),
        ("2015:08:22 24:08:19", datetime(2015, 8, 22, 0, 8, 19), None),
        ("2015:12:31 23:59:60", datetime(2016, 1, 1), None),
        ("2015:08:22 10:08 PM", datetime(2015, 8, 22, 22, 8), None),
        ("2015:08:22 12:08:19 a.m.", datetime(2015, 8, 22, 0, 8, 19), None),
        ("2015.08.22 22.08.19", datetime(2015, 8, 22, 22, 8, 19), None),
        ("2015-08-22 22-08-19", datetime(2015, 8, 22, 22, 8, 19), None),
        ("20150822T220819Z", datetime(2015, 8, 22, 22, 8, 19), 0),
        ("20150822", datetime(2015, 8, 22), None),
        ("22/08/2015 22:08:19", datetime(2015, 8, 22, 22, 8, 19), None),
        ("08/22/2015 10:08:19 PM", datetime(2015, 8, 22, 22, 8, 19), None),
        ("05.06.2015", datetime(2015, 6, 5), None),
        ("Sat, 22 Aug 2015 22:08:19 +0200", datetime(2015, 8, 22, 22, 8, 19), 120),
        ("Aug 22, 2015 10:08:19 PM", datetime(2015, 8, 22, 22, 8, 19), None),
        ("Wed Dec 17 17:34:51 2003\n", datetime(2003, 12, 17, 17, 34, 51), None),
        ("Sat Aug 22 20:08:19 UTC 2015", datetime(2015, 8, 22, 20, 8, 19), 0),
        ("2015:08:22   :  :  ", datetime(2015, 8, 22), None),
        ("2015: 8:22 22: 8:19", datetime(2015, 8, 22, 22, 8, 19), None),
        ("2015.08.22. 22:08:19", datetime(2015, 8, 22, 22, 8, 19), None),
        ("2015-08-22_22:08:19", datetime(2015, 8, 22, 22, 8, 19), None),
        ("2015-08-22 22:08:19+02", datetime(2015, 8, 22, 22, 8, 19), 120),
        ("2015-08-22-05", datetime(2015, 8, 22), None),
        ("Sat Aug 22 22:08:19 CEST 2015", datetime(2015, 8, 22, 22, 8, 19), None),
        ("2015:08:22 下午 10:08:19", datetime(2015, 8, 22, 22, 8, 19), None),
        ("2015年8月22日 오전 12:08:19", datetime(2015, 8, 22, 0, 8, 19), None),
        ("2015:08:22 22:08:19\0rubbish", datetime(2015, 8, 22, 22, 8, 19), None),
    ],
)
def test_stamps_of_many_cameras(text: str, local: datetime, offset: int | None) -> None:
    assert parse_stamp(text) == Stamp(local, offset)


@pytest.mark.parametrize("text", ["", "    :  :     :  :   ", "\0\0\0", "    "])
def test_blank_is_no_date(text: str) -> None:
    assert parse_stamp(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "0000:00:00 00:00:00",
        "2021:13:45 25:61:61",
        "2021:02:30 12:00:00",
        "yesterday",
        "05/06/2015 10:00:00",
        "2015:08:22 25:00:00",
        "2015:08:22 10:00:61",
    ],
)
def test_impossible_dates(text: str) -> None:
    with pytest.raises(ImpossibleDate):
        parse_stamp(text)


def test_offsets() -> None:
    assert [parse_offset(text) for text in ("+05:45", "-0930", "Z", "+14", "+25:00", "+01:99", "", "CET")] == [
        345, -570, 0, 840, None, None, None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "local", "is_utc"),
    [
        ("IMG_20190102_030405.jpg", datetime(2019, 1, 2, 3, 4, 5), False),
        ("20240428123456.jpg", datetime(2024, 4, 28, 12, 34, 56), False),
        ("2019-01-02 03.04.05.jpg", datetime(2019, 1, 2, 3, 4, 5), False),
        ("PXL_20190801_120000123.jpg", datetime(2019, 8, 1, 12, 0, 0, 123000), True),
        ("Screenshot 2019-05-21 at 10.45.52.png", datetime(2019, 5, 21, 10, 45, 52), False),
        ("Screenshot_20210304-121314.png", datetime(2021, 3, 4, 12, 13, 14), False),
        ("WhatsApp Image 2021-03-04 at 12.13.14.jpeg", datetime(2021, 3, 4, 12, 13, 14), False),
        ("signal-2021-03-04-121314.jpg", datetime(2021, 3, 4, 12, 13, 14), False),
        ("IMG-20210304-WA0001.jpg", datetime(2021, 3, 4), False),
        ("IMG_20210304_121314_BURST001_COVER.jpg", datetime(2021, 3, 4, 12, 13, 14), False),
        ("2021_0506_123456_001.jpg", datetime(2021, 5, 6, 12, 34, 56), False),
        ("Photo 2015-01-02 03 04 05.jpg", datetime(2015, 1, 2, 3, 4, 5), False),
        ("WhatsApp Image 2021-05-06 at 12.15.30 AM.jpeg", datetime(2021, 5, 6, 0, 15, 30), False),
        ("WhatsApp Image 2021-05-06 at 10.15 PM.jpeg", datetime(2021, 5, 6, 22, 15), False),
        ("Screen Shot 2020-09-04 at 9.12.10 PM.png", datetime(2020, 9, 4, 21, 12, 10), False),
        ("Screenshot 2024-01-02 at 11.12.10\u202fPM (2).png", datetime(2024, 1, 2, 23, 12, 10), False),
        ("Bildschirmfoto 2019-01-02 um 03.04.05.png", datetime(2019, 1, 2, 3, 4, 5), False),
        ("Capture d\u2019e\u0301cran 2019-01-02 a\u0300 03.04.05.png", datetime(2019, 1, 2, 3, 4, 5), False),
        ("Captura de pantalla 2019-01-02 a las 3.04.05.png", datetime(2019, 1, 2, 3, 4, 5), False),
        ("Captura de pantalla 2019-01-02 a la(s) 3.04.05 p. m..png", datetime(2019, 1, 2, 15, 4, 5), False),
        ("Schermata 2019-01-02 alle 03.04.05.png", datetime(2019, 1, 2, 3, 4, 5), False),
        ("Captura de Tela 2019-01-02 às 03.04.05.png", datetime(2019, 1, 2, 3, 4, 5), False),
        ("Schermafbeelding 2019-01-02 om 03.04.05.png", datetime(2019, 1, 2, 3, 4, 5), False),
        ("Skärmavbild 2019-01-02 kl. 03.04.05.png", datetime(2019, 1, 2, 3, 4, 5), False),
        ("Näyttökuva 2019-1-2 kello 3.04.05.png", datetime(2019, 1, 2, 3, 4, 5), False),
        ("Снимок экрана 2019-01-02 в 03.04.05.png", datetime(2019, 1, 2, 3, 4, 5), False),
        ("Ekran Resmi 2019-01-02 ÖS 3.04.05.png", datetime(2019, 1, 2, 15, 4, 5), False),
        ("スクリーンショット 2019-01-02 3.04.05.png", datetime(2019, 1, 2, 3, 4, 5), False),
        ("スクリーンショット 2019-01-02 午後3.04.05.png", datetime(2019, 1, 2, 15, 4, 5), False),
        ("스크린샷 2019-01-02 오후 3.04.05.png", datetime(2019, 1, 2, 15, 4, 5), False),
        ("截屏2019-01-02 下午3.04.05.png", datetime(2019, 1, 2, 15, 4, 5), False),
        ("1546398245123.jpg", datetime(2019, 1, 2, 3, 4, 5, 123000), True),
        ("mmexport1546398245123.jpg", datetime(2019, 1, 2, 3, 4, 5, 123000), True),
        ("2019-01-02 Rome v1.2.jpg", datetime(2019, 1, 2), False),
        ("GMT20190102-030405_Recording_1920x1080.mp4", datetime(2019, 1, 2, 3, 4, 5), True),
        ("2019-01-02_03-04-05_UTC_1.jpg", datetime(2019, 1, 2, 3, 4, 5), True),
        ("20190102T030405Z.jpg", datetime(2019, 1, 2, 3, 4, 5), True),
        ("20190102_030405_Zoo.jpg", datetime(2019, 1, 2, 3, 4, 5), False),
        ("GMT-Master 2019-01-02 03.04.05.jpg", datetime(2019, 1, 2, 3, 4, 5), False),
        ("Order 2019-01-02 99h30m15s.jpg", datetime(2019, 1, 2), False),
        ("RPReplay_Final1546398245.MP4", datetime(2019, 1, 2, 3, 4, 5), True),
        ("ScreenRecording_01-02-2019 03-04-05_1.MP4", datetime(2019, 1, 2, 3, 4, 5), False),
        ("photo_5@02-01-2019_03-04-05.jpg", datetime(2019, 1, 2, 3, 4, 5), False),
        ("Foto 2.1.2019.jpg", datetime(2019, 1, 2), False),
        ("Foto 31-12-2019, 15.04.05.jpg", datetime(2019, 12, 31, 15, 4, 5), False),
        ("Photo 12-31-2019.jpg", datetime(2019, 12, 31), False),
        ("vlcsnap-2019-01-02-03h04m05s123.png", datetime(2019, 1, 2, 3, 4, 5), False),
        ("Képernyőfotó 2019-01-02 - 3.04.05.png", datetime(2019, 1, 2, 3, 4, 5), False),
        ("2019-01-02@03-04-05.jpg", datetime(2019, 1, 2, 3, 4, 5), False),
        ("2019年1月2日 15时04分05秒.jpg", datetime(2019, 1, 2, 15, 4, 5), False),
        ("2019년 1월 2일.jpg", datetime(2019, 1, 2), False),
        ("螢幕截圖 2019-01-02 晚上8.04.05.png", datetime(2019, 1, 2, 20, 4, 5), False),
    ],
)
def test_dates_in_names(name: str, local: datetime, is_utc: bool) -> None:
    candidate = from_name(name)
    assert candidate is not None and candidate.source == "filename"
    assert candidate.value == Stamp(local, None, is_utc)


@pytest.mark.parametrize(
    "name",
    [
        "99991231_235959.jpg",
        "IMG_0001.jpg",
        "20191301_000000.jpg",
        "120190102.jpg",
        "2019-1-2.jpg",
        "Photo 02-01-2019.jpg",
        "1.31.12.2019.jpg",
        "Driver v1.2.2019.jpg",
        "030-20-12-1999.jpg",
        "31.13.2019.jpg",
        "@" * 5000 + ".jpg",
        "1.1." * 2000 + ".jpg",
        "1999999999999.jpg",
        "15463982451234.jpg",
        "a1546398245123b.jpg",
        "4006381333931.jpg",
        "_" * 200 + ".jpg",  # looked through in more than linear time it would take years
    ],
)
def test_names_without_a_date(name: str) -> None:
    assert from_name(name, NOW) is None


def test_the_first_possible_date_wins_and_the_others_are_noted() -> None:
    taken = choose(
        [
            Candidate("exif", "EXIF DateTimeOriginal", "0000:00:00 00:00:00"),
            Candidate("exif", "EXIF CreateDate", "1601:01:01 00:00:00"),
            Candidate("xmp", "XMP xmp:CreateDate", "2147-01-01T00:00:00"),
            Candidate("iptc", "IPTC DateCreated", "2019-07-04"),
        ],
        BERLIN,
        NOW,
    )
    assert (taken.local, taken.source, taken.is_estimated) == (datetime(2019, 7, 4), "iptc", False)
    assert len(taken.notes) == 3 and all("impossible" in note for note in taken.notes)


@pytest.mark.parametrize(
    ("placeholder", "others", "local", "source"),
    [
        ("1970:01:01 00:00:00", ["name"], datetime(2020, 1, 2, 10, 11, 12), "filename"),
        ("1980:01:01 00:00:00", ["name"], datetime(2020, 1, 2, 10, 11, 12), "filename"),
        ("1980:01:01 03:12:45", ["name"], datetime(2020, 1, 2, 10, 11, 12), "filename"),
        ("1904:01:01 00:00:00", ["1970:01:01 00:00:00", "name"], datetime(2020, 1, 2, 10, 11, 12), "filename"),
        ("1980:01:01 00:00:00", ["2015:05:05 12:00:00", "name"], datetime(2015, 5, 5, 12), "exif"),
        ("1980:01:01 00:00:00", ["modified", "mtime"], datetime(1980, 1, 1), "exif"),
        ("1980:01:01 12:00:00", ["xmp", "name"], datetime(1980, 1, 1, 12), "exif"),  # a date that a person gave
    ],
)
def test_a_clock_that_was_never_set(placeholder: str, others: list[str], local: datetime, source: str) -> None:
    known = {
        "name": from_name("IMG_20200102_101112.jpg"),
        "modified": Candidate("exif", "EXIF ModifyDate", "2021:01:01 00:00:00", is_fallback=True),
        "mtime": from_mtime(1_600_000_000_500_000_000),
        "xmp": Candidate("xmp", "XMP exif:DateTimeOriginal", "1980-01-01T12:00:00"),
    }
    candidates = [known.get(other) or Candidate("exif", "x", other) for other in (placeholder, *others)]
    taken = choose(candidates, BERLIN, NOW)
    assert (taken.local, taken.source) == (local, source)
    assert bool(taken.notes) == (source == "filename" or local.year == 2015)


def test_offset_of_the_file_beats_the_zone() -> None:
    known = choose([Candidate("exif", "x", "2021:07:01 12:00:00", "-07:00", "5")], BERLIN, NOW)
    assert (known.offset_minutes, known.at and known.at.isoformat()) == (-420, "2021-07-01T19:00:00.500000+00:00")
    unknown = choose([Candidate("exif", "x", "2021:07:01 12:00:00")], BERLIN, NOW)
    assert (unknown.offset_minutes, unknown.at and unknown.at.isoformat()) == (None, "2021-07-01T10:00:00+00:00")


def test_the_hours_that_clocks_skip_and_repeat() -> None:
    gap = choose([Candidate("exif", "x", "2021:03:28 02:30:00")], BERLIN, NOW)
    assert gap.local == datetime(2021, 3, 28, 2, 30) and gap.at is not None and gap.at.hour == 1
    fold = choose([Candidate("exif", "x", "2021:10:31 02:30:00")], BERLIN, NOW)
    assert fold.at is not None and fold.at.isoformat() == "2021-10-31T00:30:00+00:00"


def test_satellite_time_tells_the_offset() -> None:
    assert offset_from_gps(datetime(2023, 6, 7, 13, 45, 55), datetime(2023, 6, 7, 12, 45, 30)) == 60
    assert offset_from_gps(datetime(2023, 6, 7, 13, 45, 55), datetime(2023, 6, 7, 8, 0, 50)) == 345
    assert offset_from_gps(datetime(2023, 6, 7, 13, 45, 55), datetime(2023, 6, 7, 12, 39, 0)) is None
    assert offset_from_gps(datetime(2023, 6, 9), datetime(2023, 6, 7)) is None


def test_film_dates_are_utc() -> None:
    candidate = from_unix(1614856394, "quicktime", "QuickTime CreateDate")
    assert candidate is not None
    taken = choose([candidate], BERLIN, NOW)
    assert (taken.local, taken.offset_minutes) == (datetime(2021, 3, 4, 12, 13, 14), None)


def test_modification_time_is_an_estimate_and_the_epoch_is_none() -> None:
    candidate = from_mtime(1_600_000_000_500_000_000)
    assert candidate is not None
    taken = choose([candidate], BERLIN, NOW)
    assert taken.is_estimated and taken.source == "file" and taken.local == datetime(2020, 9, 13, 14, 26, 40, 500000)
    assert from_mtime(0) is None and from_mtime(-5) is None and from_mtime(10**30) is None
    assert choose([], BERLIN, NOW).local is None
