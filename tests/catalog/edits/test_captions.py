"""Captions: they go into the files as stars do, every program reads the same, and nothing that a person wrote is lost."""

import json
import subprocess
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from catalog.edits import undo
from catalog.edits.captions import set_caption
from catalog.edits.dates import Setting, plan, set_dates
from catalog.edits.ratings import set_rating
from catalog.files import queue
from catalog.media.exiftool import exiftool_command
from catalog.models import FileWrite, Library, Photo
from photolala.lib.captions import BadCaption
from tests.catalog.edits.test_ratings import library, photo, tags_of, touched, write_all  # noqa: F401
from tests.catalog.scanning.test_scan import scan
from tests.drills.acknowledged.writers import NOON

pytestmark = pytest.mark.django_db
WORDS = "Grüße aus «Bamberg»\nund 日本 😀 = <b>&amp;</b> -x"
FIELDS = ("XMP-dc:Description", "IPTC:Caption-Abstract", "IFD0:ImageDescription")


def caption(library: Library, words: str, name: str = "0.jpg") -> None:  # noqa: F811
    set_caption(library.owner, photo(library, name), words)


def said(path: Path, *fields: str) -> dict[str, Any]:
    """What exiftool reads in these fields, without cutting anything."""
    tags = tags_of(path)
    return {name: tags[name] for name in fields or FIELDS if name in tags}


def row_of(library: Library, name: str = "0.jpg") -> tuple[str, bool]:  # noqa: F811
    row = photo(library, name)
    return row.caption, row.caption_held


@pytest.fixture
def file(library) -> Path:  # noqa: F811
    return Path(library.root) / "0.jpg"


def edit(path: Path, *arguments: str) -> None:
    """Let another program write into a file."""
    words = [*exiftool_command(), "-q", "-overwrite_original", *arguments, str(path)]
    subprocess.run(words, check=True, capture_output=True)


def test_a_caption_is_in_the_file_as_every_program_reads_it(library, file):  # noqa: F811
    before = photo(library, "0.jpg")
    caption(library, WORDS)
    assert row_of(library) == (WORDS, True)
    assert write_all(library)["written"] == 1
    assert said(file) == dict.fromkeys(FIELDS, WORDS)
    assert tags_of(file)["IPTC:CodedCharacterSet"] == "\x1b%G"
    after = photo(library, "0.jpg")
    assert (after.pk, after.caption, after.caption_held) == (before.pk, WORDS, False)
    assert after.photo_md5 != before.photo_md5
    result = scan(library).result
    assert (result["unchanged"], result["changed"]) == (3, 0)
    Photo.objects.update(needs_digest=True, caption="")
    scan(library)
    assert row_of(library) == (WORDS, False)


def test_it_is_taken_back_with_every_byte(library, file):  # noqa: F811
    edit(file, "-XMP-dc:Description=X", "-IPTC:Caption-Abstract=Y", "-IFD0:ImageDescription=Z")
    scan(library)
    before = file.read_bytes()
    assert row_of(library) == ("X", False)
    caption(library, "Mine")
    write_all(library)
    assert said(file) == dict.fromkeys(FIELDS, "Mine")
    assert undo.undo_last(photo(library, "0.jpg"), library.owner) == {"kind": "caption", "caption": "X"}
    write_all(library)
    assert file.read_bytes() == before
    assert row_of(library) == ("X", False)
    assert sorted(FileWrite.objects.values_list("state", flat=True)) == ["done", "undone"]
    with pytest.raises(queue.NothingToUndo):
        undo.undo_last(photo(library, "1.jpg"), library.owner)


def test_no_caption_is_none_whatever_else_could_be_taken_for_one(library, file):  # noqa: F811
    edit(file, "-XMP-dc:Description=X", "-XMP-dc:Description-de=Deutsch", "-XMP-dc:Title=A title", "-IFD0:XPComment=C")
    scan(library)
    caption(library, "")
    write_all(library)
    assert said(file, *FIELDS, "XMP-dc:Description-de", "XMP-dc:Title") == {
        "XMP-dc:Description": "",
        "XMP-dc:Title": "A title",
    }
    assert row_of(library) == ("", False)
    Photo.objects.update(needs_digest=True)
    scan(library)
    assert row_of(library) == ("", False)
    edit(file, "-IPTC:Caption-Abstract=Theirs")  # another program's later word counts
    scan(library)
    assert row_of(library) == ("Theirs", False)


def test_a_long_caption_is_whole_where_it_can_be(library, file):  # noqa: F811
    words = "ü" * 3000
    caption(library, words)
    write_all(library)
    tags = said(file)
    assert (tags["XMP-dc:Description"], tags["IFD0:ImageDescription"]) == (words, words)
    assert tags["IPTC:Caption-Abstract"] == "ü" * 1000  # as many bytes as such a record may have
    edit(file, "-XMP:all=")
    scan(library)
    assert row_of(library) == (words, False)


def test_records_in_an_older_encoding_are_translated(library, file):  # noqa: F811
    edit(file, "-IPTC:Keywords=Grün", "-IPTC:Caption-Abstract=Früher")
    assert "IPTC:CodedCharacterSet" not in tags_of(file)
    scan(library)
    assert row_of(library) == ("Früher", False)
    caption(library, "日本")
    write_all(library)
    assert said(file, "IPTC:Keywords", "IPTC:Caption-Abstract") == {
        "IPTC:Keywords": "Grün",
        "IPTC:Caption-Abstract": "日本",
    }
    tags = tags_of(file)
    assert tags["IPTC:CodedCharacterSet"] == "\x1b%G"
    assert tags["Photoshop:IPTCDigest"] == tags["File:CurrentIPTCDigest"]


@pytest.mark.parametrize("words", ["Screenshot", "DCIM"])
def test_a_person_may_write_what_cameras_write(library, file, words):  # noqa: F811
    caption(library, words)
    write_all(library)
    Photo.objects.update(needs_digest=True)
    scan(library)
    assert row_of(library) == (words, False)


def test_what_can_be_no_caption_is_refused_and_nothing_is_cut(library):  # noqa: F811
    for words, part in (("a\0b", "U\\+0000"), ("a\x0bb", "U\\+000B"), ("a\ufffe", "U\\+FFFE"), ("\udc80", "U\\+DC80")):
        with pytest.raises(BadCaption, match=part):
            caption(library, words)
    with pytest.raises(BadCaption, match="10,000 characters; this one has 10,001"):
        caption(library, "x" * 10_001)
    assert (row_of(library), FileWrite.objects.count()) == (("", False), 0)
    caption(library, "  a\r\nb\rc\t \n" + unicodedata.normalize("NFD", "é"))
    assert row_of(library)[0] == "a\nb\nc\t \né"
    caption(library, "😀" * 10_000)
    write_all(library)
    Photo.objects.update(needs_digest=True, caption="")
    scan(library)
    assert row_of(library) == ("😀" * 10_000, False)


def test_what_the_file_says_already_is_not_written(library, file):  # noqa: F811
    caption(library, "Once")
    write_all(library)
    was = touched(library)
    caption(library, "Once")
    assert FileWrite.objects.filter(state__in=FileWrite.OPEN).count() == 0
    assert row_of(library) == ("Once", False)
    assert touched(library) == was


def test_another_caption_before_the_first_is_written_is_the_one_that_is_written(library, file):  # noqa: F811
    caption(library, "First")
    caption(library, "Second")
    assert FileWrite.objects.get().wanted == {"caption": "Second"}
    before = file.read_bytes()
    caption(library, "")
    write_all(library)
    assert file.read_bytes() == before
    assert row_of(library) == ("", False)


def test_rating_date_and_caption_are_written_one_after_the_other(library, file):  # noqa: F811
    row = photo(library, "0.jpg")
    set_rating(library.owner, row.pk, 4)
    set_dates(library.owner, plan([row], Setting(NOON)))
    caption(library, "All three")
    while FileWrite.objects.filter(state="pending").exists():
        write_all(library)
    tags = tags_of(file)
    assert (tags["XMP-xmp:Rating"], tags["ExifIFD:DateTimeOriginal"]) == (4, "2015:06:01 12:00:00")
    assert said(file) == dict.fromkeys(FIELDS, "All three")
    row.refresh_from_db()
    assert not (row.rating_held or row.taken_held or row.caption_held)
    assert (row.rating, row.caption) == (4, "All three")


# -- other places ----------------------------------------------------------------------------------------------------------


def test_in_the_catalog_only_no_scan_overwrites_it(library, file):  # noqa: F811
    Library.objects.update(ratings="database")
    before = file.read_bytes()
    caption(library, "Kept here")
    assert not FileWrite.objects.exists()
    edit(file, "-XMP-dc:Description=Theirs")
    scan(library)
    assert row_of(library) == ("Kept here", True)
    assert file.read_bytes() != before


def beside(library: Library) -> Path:  # noqa: F811
    Library.objects.update(ratings="sidecar")
    library.refresh_from_db()
    return Path(library.root) / "0.jpg.xmp"


def test_beside_the_photo_it_goes_first_and_the_photo_stays(library, file):  # noqa: F811
    edit(file, "-XMP-dc:Description=Embedded")
    xmp = beside(library)
    scan(library)
    before = file.read_bytes()
    caption(library, WORDS)
    write_all(library)
    assert said(xmp) == {"XMP-dc:Description": WORDS}
    caption(library, "")
    write_all(library)
    assert said(xmp) == {"XMP-dc:Description": ""}
    Photo.objects.update(needs_digest=True, caption="wrong")
    scan(library)
    assert row_of(library) == ("", False)
    assert undo.undo_last(photo(library, "0.jpg"), library.owner)["caption"] == WORDS
    write_all(library)
    Photo.objects.update(needs_digest=True, caption="wrong")
    scan(library)
    assert row_of(library) == (WORDS, False)
    assert file.read_bytes() == before


def test_an_xmp_file_that_has_stars_or_a_caption_is_kept_in_step(library, file):  # noqa: F811
    xmp = beside(library)
    set_rating(library.owner, photo(library, "0.jpg").pk, 3)
    caption(library, "Beside")
    while FileWrite.objects.filter(state="pending").exists():
        write_all(library)
    assert said(xmp, "XMP-xmp:Rating", "XMP-dc:Description") == {"XMP-xmp:Rating": 3, "XMP-dc:Description": "Beside"}
    Library.objects.update(ratings="file")
    library.refresh_from_db()
    caption(library, "Both")
    write_all(library)
    assert said(file) == dict.fromkeys(FIELDS, "Both")
    assert said(xmp, "XMP-xmp:Rating", "XMP-dc:Description") == {"XMP-xmp:Rating": 3, "XMP-dc:Description": "Both"}
    assert scan(library).result["changed"] == 0


def test_an_xmp_file_with_a_caption_gets_its_own_back(library, file):  # noqa: F811
    edit(file, "-XMP-dc:Description=Embedded")
    xmp = beside(library)
    scan(library)
    caption(library, "Beside")
    write_all(library)
    Library.objects.update(ratings="file")
    library.refresh_from_db()
    Photo.objects.update(needs_digest=True)
    scan(library)
    assert row_of(library) == ("Beside", False)
    before = file.read_bytes()
    caption(library, "Both")
    write_all(library)
    assert (said(file), said(xmp)) == (dict.fromkeys(FIELDS, "Both"), {"XMP-dc:Description": "Both"})
    assert undo.undo_last(photo(library, "0.jpg"), library.owner)["caption"] == "Beside"
    assert row_of(library) == ("Beside", True)
    write_all(library)
    assert file.read_bytes() == before and said(xmp) == {"XMP-dc:Description": "Beside"}
    assert row_of(library) == ("Beside", False)
    Photo.objects.update(needs_digest=True)
    scan(library)
    assert row_of(library) == ("Beside", False)


def test_a_caption_of_a_takeout_file_is_overruled_and_comes_back_with_the_bytes(library, file):  # noqa: F811
    file.with_name("0.jpg.json").write_text(json.dumps({"title": "0.jpg", "description": "From elsewhere"}))
    scan(library)
    assert row_of(library) == ("From elsewhere", False)
    before = file.read_bytes()
    for words in ("Mine", ""):
        caption(library, words)
        write_all(library)
        Photo.objects.update(needs_digest=True, caption="wrong")
        scan(library)
        assert row_of(library) == (words, False)
    caption(library, "From elsewhere")
    write_all(library)
    assert (file.read_bytes(), row_of(library)) == (before, ("From elsewhere", False))
