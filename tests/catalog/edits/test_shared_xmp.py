"""A RAW and its JPEG share `IMG.xmp`: what a person gave to the one stands, whatever is given to the other afterwards."""

from datetime import datetime
from pathlib import Path

import pytest

from catalog.edits.captions import set_caption
from catalog.edits.dates import Setting, plan, set_dates
from catalog.edits.stars import star
from catalog.models import Library, Photo
from tests.catalog.edits.test_captions import edit
from tests.catalog.edits.test_ratings import photo, write_all
from tests.catalog.scanning.test_scan import scan
from tests.factories import make_jpeg, make_library

pytestmark = pytest.mark.django_db
XMP = ("-XMP-dc:Description=Shared", "-XMP-exif:DateTimeOriginal=2001:02:03 04:05:06", "-XMP-xmp:Rating=1")


@pytest.fixture
def library(alice, tmp_path) -> Library:
    library = make_library(alice, tmp_path / "photos")
    for number, name in enumerate(("IMG.jpg", "IMG.cr2", "OTHER.jpg")):
        (Path(library.root) / name).write_bytes(make_jpeg(seed=number))
    edit(Path(library.root) / "IMG.xmp", *XMP)
    scan(library)
    return library


def give(library: Library, name: str, number: int) -> None:
    """Give a photo caption, date and stars by a number."""
    row = photo(library, name)
    set_caption(library.owner, row, f"Caption {number}")
    set_dates(library.owner, plan([row], Setting(datetime(2010 + number, 1, 2, 3, 4, 5))))
    star(library.owner, row.pk, number)
    write_all(library)
    scan(library)


def given(row: Photo) -> tuple[str, int, int | None]:
    return row.caption, row.taken_local.year, row.rating


@pytest.mark.parametrize(("first", "then"), [("IMG.cr2", "IMG.jpg"), ("IMG.jpg", "IMG.cr2")])
def test_what_was_given_to_one_of_two_that_share_an_xmp_file_stands(library, first, then):
    assert given(photo(library, first))[:2] == given(photo(library, then))[:2] == ("Shared", 2001)
    give(library, first, 3)
    give(library, then, 4)
    Photo.objects.update(needs_digest=True)  # whatever brings a scan to read them again
    scan(library)
    assert given(photo(library, first)) == ("Caption 3", 2013, 3)
    assert given(photo(library, then)) == ("Caption 4", 2014, 4)
    give(library, first, 5)
    assert given(photo(library, first)) == ("Caption 5", 2015, 5)
    assert given(photo(library, then)) == ("Caption 4", 2014, 4)


def test_what_nobody_gave_follows_the_xmp_file(library):
    give(library, "IMG.jpg", 4)
    raw = photo(library, "IMG.cr2")
    assert (raw.caption, raw.taken_local.year) == ("Caption 4", 2014)
    assert not (raw.caption_held or raw.taken_held or raw.rating_held)
