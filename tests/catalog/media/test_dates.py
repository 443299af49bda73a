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
    from_name,
    from_unix,
    offset_from_gps,
    parse_offset,
    parse_stamp,
)

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
    ],
)
def test_stamps_of_many_cameras(text: str, local: datetime, offset: int | None) -> None:
    assert parse_stamp(text) == Stamp(local, offset)


@pytest.mark.parametrize("text", ["", "    :  :     :  :   ", "\0\0\0", "    "])
def test_blank_is_no_date(text: str) -> None:
    assert parse_stamp(text) is None


@pytest.mark.parametrize("text", ["0000:00:00 00:00:00", "2021:13:45 25:61:61", "2021:02:30 12:00:00", "yesterday"])
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
    ],
)
def test_dates_in_names(name: str, local: datetime, is_utc: bool) -> None:
    candidate = from_name(name)
    assert candidate is not None and candidate.source == "filename"
    assert candidate.value == Stamp(local, None, is_utc)


@pytest.mark.parametrize(
    "name", ["99991231_235959.jpg", "1402522741337.jpg", "IMG_0001.jpg", "20191301_000000.jpg", "120190102.jpg"]
)
def test_names_without_a_date(name: str) -> None:
    assert from_name(name) is None


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
