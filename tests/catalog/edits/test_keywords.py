"""Keywords: they go into the files as captions do, other programs' fields stay in step, and nothing that was given is lost."""

import errno
import unicodedata
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from catalog.edits import undo
from catalog.edits.captions import set_caption
from catalog.edits.keywords import change_keywords, set_keywords
from catalog.edits.ratings import set_rating
from catalog.files import queue
from catalog.files.prepared import Prepared
from catalog.media.file_changes import KeywordChange
from catalog.media.tag_changes import escaped
from catalog.models import FileWrite, Library, Photo
from changes.models import FieldState
from photolala.lib.keywords import BadKeyword
from tests.catalog.edits.test_captions import edit
from tests.catalog.edits.test_ratings import library, photo, tags_of, touched, write_all  # noqa: F401
from tests.catalog.scanning.test_scan import scan

pytestmark = pytest.mark.django_db
WORDS = ["Bamberg", "Grüße 日本 😀", "a; b, <c>&amp; 'd' -x"]
SUBJECT = "XMP-dc:Subject"


def give(library: Library, *words: str, name: str = "0.jpg") -> None:  # noqa: F811
    set_keywords(library.owner, photo(library, name), words)


def listed(path: Path, name: str = SUBJECT) -> list[str]:
    """What exiftool reads in a list."""
    value: Any = tags_of(path).get(name, [])
    return [str(one) for one in (value if isinstance(value, list) else [value])]


def row_of(library: Library, name: str = "0.jpg") -> tuple[list[str], bool]:  # noqa: F811
    row = photo(library, name)
    return row.keywords, row.keywords_held


def read_again(library: Library) -> None:  # noqa: F811
    Photo.objects.update(needs_digest=True, keywords=["wrong"])
    scan(library)


@pytest.fixture
def file(library) -> Path:  # noqa: F811
    return Path(library.root) / "0.jpg"


def test_keywords_are_in_the_file_and_survive_scans(library, file):  # noqa: F811
    before = photo(library, "0.jpg")
    give(library, *WORDS)
    assert row_of(library) == (WORDS, True)
    read_again(library)
    assert row_of(library) == (["wrong"], True)  # held: no scan overwrites what the row says
    give(library, *WORDS)
    assert write_all(library)["written"] == 1
    assert listed(file) == WORDS
    assert not {"IPTC:Keywords", "IFD0:XPKeywords"} & tags_of(file).keys()
    after = photo(library, "0.jpg")
    assert (after.pk, after.keywords, after.keywords_held) == (before.pk, WORDS, False)
    assert after.photo_md5 != before.photo_md5
    assert scan(library).result["changed"] == 0
    read_again(library)
    assert row_of(library) == (WORDS, False)


def test_they_are_taken_back_with_every_byte(library, file):  # noqa: F811
    edit(file, "-XMP-dc:Subject=X", "-XMP-dc:Subject=Y", "-IPTC:Keywords=Z", "-IFD0:XPKeywords=W")
    scan(library)
    before = file.read_bytes()
    assert row_of(library) == (["X", "Y", "Z", "W"], False)
    give(library, "Mine")
    write_all(library)
    assert (listed(file), listed(file, "IPTC:Keywords"), listed(file, "IFD0:XPKeywords")) == (["Mine"],) * 3
    assert undo.undo_last(photo(library, "0.jpg"), library.owner) == {
        "kind": "keywords",
        "keywords": ["X", "Y", "Z", "W"],
    }
    write_all(library)
    assert file.read_bytes() == before
    assert row_of(library) == (["X", "Y", "Z", "W"], False)
    with pytest.raises(queue.NothingToUndo):
        undo.undo_last(photo(library, "1.jpg"), library.owner)


def test_iptc_and_windows_hold_what_they_can_where_they_are_there(library, file):  # noqa: F811
    edit(file, "-IPTC:Keywords=Früher", "-IFD0:XPKeywords=Früher")
    assert "IPTC:CodedCharacterSet" not in tags_of(file)
    scan(library)
    long = "ü" * 100
    give(library, "Früher", long, "日本; x")
    write_all(library)
    assert listed(file) == ["Früher", long, "日本; x"]
    assert listed(file, "IPTC:Keywords") == ["Früher", "ü" * 32, "日本; x"]
    tags = tags_of(file)
    assert tags["IFD0:XPKeywords"] == f"Früher;{long};日本, x"
    assert tags["IPTC:CodedCharacterSet"] == "\x1b%G"
    assert tags["Photoshop:IPTCDigest"] == tags["File:CurrentIPTCDigest"]
    read_again(library)
    assert row_of(library) == (["Früher", long, "日本; x"], False)


def test_no_keywords_are_none_wherever_others_keep_them(library, file):  # noqa: F811
    edit(file, "-XMP-digiKam:TagsList=A/B", "-XMP-lr:HierarchicalSubject=C|D", "-IPTC:Keywords=E", "-IFD0:XPKeywords=F")
    scan(library)
    assert row_of(library) == (["A/B", "E", "F"], False)
    give(library)
    write_all(library)
    assert not {name for name in tags_of(file) if name.partition(":")[2] in ("Subject", "TagsList", "Keywords")}
    read_again(library)
    assert row_of(library) == ([], False)


def test_what_only_one_field_has_is_not_lost_when_another_keyword_is_given(library, file):  # noqa: F811
    edit(file, "-XMP-dc:Subject=A", "-IPTC:Keywords=A", "-IPTC:Keywords=B", "-IFD0:XPKeywords=a;C; D")
    scan(library)
    assert row_of(library) == (["A", "B", "C", "D"], False)
    change_keywords(library.owner, [photo(library, "0.jpg").pk], ["E"], ["C"])
    write_all(library)
    assert listed(file) == listed(file, "IPTC:Keywords") == ["A", "B", "D", "E"]
    assert tags_of(file)["IFD0:XPKeywords"] == "A;B;D;E"
    read_again(library)
    assert row_of(library) == (["A", "B", "D", "E"], False)


def read_by_an_earlier_version(library: Library, file: Path) -> bytes:  # noqa: F811
    """Such read only XMP's keywords where there were any; return the file's bytes."""
    edit(file, "-XMP-dc:Subject=A", "-IPTC:Keywords=A", "-IPTC:Keywords=B")
    scan(library)
    Photo.objects.filter(filename="0.jpg").update(keywords=["A"])
    return file.read_bytes()


@pytest.mark.parametrize(
    ("add", "remove", "then"), [(["C"], [], ["A", "C", "B"]), ([], ["A"], ["B"]), (["C"], ["A"], ["C", "B"])]
)
def test_what_a_row_of_an_earlier_version_did_not_know_stays(library, file, add, remove, then):  # noqa: F811
    before = read_by_an_earlier_version(library, file)
    change_keywords(library.owner, [photo(library, "0.jpg").pk], add, remove)
    write_all(library)
    assert listed(file) == listed(file, "IPTC:Keywords") == then
    assert row_of(library) == (then, False)
    write = FileWrite.objects.get()
    assert (write.wanted, write.previous) == ({"keywords": then}, {"keywords": ["A", "B"]})
    undo.undo_last(photo(library, "0.jpg"), library.owner)
    write_all(library)
    assert (file.read_bytes(), row_of(library)) == (before, (["A", "B"], False))
    change_keywords(library.owner, [photo(library, "0.jpg").pk], [], ["B"])  # by now it is seen
    write_all(library)
    assert (listed(file), row_of(library)) == (["A"], (["A"], False))


@pytest.mark.parametrize("wanted", [["C"], ["A"]])
def test_what_a_file_has_that_is_still_to_be_read_stays(library, file, wanted):  # noqa: F811
    edit(file, "-XMP-dc:Subject=A")
    scan(library)
    Photo.objects.filter(filename="0.jpg").update(keywords=[], needs_digest=True)  # as its survey left it
    give(library, *wanted)
    scan(library)
    write_all(library)
    then = list(dict.fromkeys([*wanted, "A"]))
    assert (listed(file), row_of(library)) == (then, (then, False))
    undo.undo_last(photo(library, "0.jpg"), library.owner) if wanted != ["A"] else None
    write_all(library)
    assert listed(file) == ["A"]


def test_it_stays_also_where_a_disk_was_full_or_something_else_was_wanted_meanwhile(library, file, monkeypatch):  # noqa: F811
    read_by_an_earlier_version(library, file)
    change_keywords(library.owner, [photo(library, "0.jpg").pk], ["C"])

    def full(prepared: Prepared) -> None:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as disk:
        disk.setattr(Prepared, "swap", full)
        write_all(library)
    swap = Prepared.swap

    def changed(prepared: Prepared) -> None:
        swap(prepared)
        monkeypatch.undo()
        change_keywords(library.owner, [photo(library, "0.jpg").pk], ["D"], ["C"])

    monkeypatch.setattr(Prepared, "swap", changed)
    FileWrite.objects.update(try_at=timezone.now())
    while FileWrite.objects.filter(state="pending").exists():
        write_all(library)
    assert listed(file) == listed(file, "IPTC:Keywords") == ["A", "D", "B"]
    assert row_of(library) == (["A", "D", "B"], False)


def test_it_stays_beside_the_photo_too(library, file):  # noqa: F811
    xmp = beside(library)
    before = read_by_an_earlier_version(library, file)
    change_keywords(library.owner, [photo(library, "0.jpg").pk], ["C"])
    write_all(library)
    assert (listed(xmp), row_of(library), file.read_bytes()) == (["A", "C", "B"], (["A", "C", "B"], False), before)


def test_what_an_earlier_version_wrote_is_taken_back_with_every_byte(library, file):  # noqa: F811
    before = read_by_an_earlier_version(library, file)
    give(library, "Mine")
    with pytest.MonkeyPatch.context() as earlier:
        earlier.setattr(KeywordChange, "keeping", lambda change, old: change)
        write_all(library)
    FileWrite.objects.update(previous={"keywords": ["A"]}, base={"keywords": ["A"]})
    undo.undo_last(photo(library, "0.jpg"), library.owner)
    write_all(library)
    assert (file.read_bytes(), row_of(library)) == (before, (["A", "B"], False))


def test_what_was_taken_away_is_in_no_path_either(library, file):  # noqa: F811
    paths = ("People|Anna", "Anna", "People|Ben", "Places|Germany|Berlin", "Annapolis")
    edit(file, *[f"-XMP-dc:Subject={word}" for word in ("Anna", "Ben", "Germany", "Berlin")],
         *[f"-XMP-lr:HierarchicalSubject={path}" for path in paths], "-XMP-digiKam:TagsList=People/Anna")  # fmt: skip
    scan(library)
    change_keywords(library.owner, [photo(library, "0.jpg").pk], [], ["Anna", "Germany"])
    write_all(library)
    assert listed(file) == ["Ben", "Berlin"]
    assert sorted(listed(file, "XMP-lr:HierarchicalSubject")) == ["Annapolis", "Berlin", "People|Ben"]
    assert not listed(file, "XMP-digiKam:TagsList")


def test_another_program_s_keyword_with_the_sign_of_the_other_s_paths_is_none(library, file):  # noqa: F811
    edit(file, "-XMP-dc:Subject=Anna", "-XMP-dc:Subject=X", "-XMP-lr:HierarchicalSubject=Anna/Ben",
         "-XMP-digiKam:TagsList=Anna|Ben")  # fmt: skip
    scan(library)
    change_keywords(library.owner, [photo(library, "0.jpg").pk], [], ["Anna"])
    write_all(library)
    assert (listed(file, "XMP-lr:HierarchicalSubject"), listed(file, "XMP-digiKam:TagsList")) == (
        ["Anna/Ben"],
        ["Anna|Ben"],
    )


def test_paths_hold_what_no_program_takes_for_an_argument(library, file):  # noqa: F811
    words = ["-x", "@arg", "a^b", "<x>", "$x", "a=b", "%d", "#", "'\"", "a&amp;b", "a\n-execute\nb"]
    paths = [path for word in words for path in (f"{word}|Gone|y", f"Gone|{word}")]
    edit(file, "-E", "-XMP-dc:Subject=Gone", "-XMP-dc:Subject=X",
         *(f"-XMP-lr:HierarchicalSubject={escaped(path)}" for path in paths))  # fmt: skip
    scan(library)
    change_keywords(library.owner, [photo(library, "0.jpg").pk], [], ["Gone"])
    write_all(library)
    assert listed(file) == ["X"]
    left = listed(file, "XMP-lr:HierarchicalSubject")
    assert set(left) == {"y", *words}


def test_of_other_lists_only_what_was_taken_away_goes(library, file):  # noqa: F811
    arguments = [f"-XMP-{name}={word}" for name in ("dc:Subject", "digiKam:TagsList") for word in ("A", "B")]
    edit(file, *arguments, "-XMP-digiKam:TagsList=People/Anna")
    scan(library)
    change_keywords(library.owner, [photo(library, "0.jpg").pk], ["C"], ["A"])
    write_all(library)
    assert (listed(file), listed(file, "XMP-digiKam:TagsList")) == (["B", "C"], ["B", "People/Anna"])
    read_again(library)
    assert row_of(library) == (["B", "C"], False)


def test_what_can_be_no_keyword_is_refused_and_nothing_is_cut(library):  # noqa: F811
    for words, part in (
        (["a\0b"], "U\\+0000"),
        (["\udc80"], "U\\+DC80"),
        (["x" * 201], "at most 200 characters"),
        ([f"{number}" for number in range(501)], "at most 500 keywords; these are 501"),
        ([f"{number:03}{'x' * 197}" for number in range(300)], "longer than a photo's file has room for"),
    ):
        with pytest.raises(BadKeyword, match=part):
            give(library, *words)
    assert (row_of(library), FileWrite.objects.count()) == (([], False), 0)
    give(library, "  a\r\n b ", unicodedata.normalize("NFD", "é"), "é", "", " ", "a b")
    assert row_of(library)[0] == ["a b", "é"]
    most = [f"{number:03}{'x' * 52}" for number in range(499)] + ["x" * 200]
    give(library, *most)
    write_all(library)
    read_again(library)
    assert row_of(library) == (most, False)


@pytest.mark.parametrize("words", [["x" * 201, "short"], [f"w{number}" for number in range(501)]])
def test_keywords_that_the_catalog_cannot_hold_are_not_cut_in_the_file(library, file, words):  # noqa: F811
    edit(file, *(f"-XMP-dc:Subject={word}" for word in words))
    scan(library)
    before = file.read_bytes()
    change_keywords(library.owner, [photo(library, "0.jpg").pk], ["more"] if len(words) == 2 else [], ["w3"])
    assert write_all(library)["failed"] == 1
    assert (file.read_bytes(), row_of(library)[1]) == (before, True)
    assert FileWrite.objects.get().code == "lossy"
    give(library)  # none at all is what was asked for
    write_all(library)
    assert (listed(file), row_of(library)) == ([], ([], False))


def test_what_the_file_says_already_is_not_written(library, file):  # noqa: F811
    give(library, "Once", "Twice")
    write_all(library)
    was = touched(library)
    give(library, "Twice", "Once")
    assert FileWrite.objects.filter(state__in=FileWrite.OPEN).count() == 0
    assert row_of(library)[1] is False
    assert touched(library) == was


def test_other_keywords_before_the_first_are_written(library, file):  # noqa: F811
    give(library, "First")
    give(library, "Second")
    assert FileWrite.objects.get().wanted == {"keywords": ["Second"]}
    before = file.read_bytes()
    give(library)
    write_all(library)
    assert file.read_bytes() == before
    assert row_of(library) == ([], False)


def test_stars_caption_and_keywords_are_written_one_after_the_other(library, file):  # noqa: F811
    set_rating(library.owner, photo(library, "0.jpg").pk, 4)
    set_caption(library.owner, photo(library, "0.jpg"), "All three")
    give(library, "A")
    while FileWrite.objects.filter(state="pending").exists():
        write_all(library)
    assert (tags_of(file)["XMP-xmp:Rating"], tags_of(file)["XMP-dc:Description"], listed(file)) == (
        4,
        "All three",
        ["A"],
    )
    row = photo(library, "0.jpg")
    assert not (row.rating_held or row.caption_held or row.keywords_held)
    assert (row.rating, row.caption, row.keywords) == (4, "All three", ["A"])


# -- many at once ----------------------------------------------------------------------------------------------------------


def test_many_photos_keep_what_else_they_have(library):  # noqa: F811
    rows = [photo(library, f"{number}.jpg") for number in range(3)]
    set_keywords(library.owner, rows[0], ["Sea", "Old"])
    set_keywords(library.owner, rows[1], [f"{number}" for number in range(500)])
    Photo.objects.update(version=7)
    done, refused = change_keywords(library.owner, [*(row.pk for row in rows), uuid4()], ["Rome", "Sea"], ["Old"])
    assert set(done) == {rows[0].pk, rows[2].pk}
    assert list(refused) == [rows[1].pk] and "at most 500" in refused[rows[1].pk]
    assert [row_of(library, f"{number}.jpg")[0] for number in (0, 2)] == [["Sea", "Rome"], ["Rome", "Sea"]]
    assert [photo(library, f"{number}.jpg").version for number in range(3)] == [None, 7, None]
    assert FieldState.objects.filter(kind="photo", field="keywords").count() == 3
    assert change_keywords(library.owner, [rows[2].pk], [], ["Nothing"])[0] == [rows[2].pk]
    assert set(change_keywords(library.owner, [rows[0].pk], ["a"], ["a", "Sea"])[0]) == {rows[0].pk}
    assert row_of(library)[0] == ["Rome"]


# -- other places ----------------------------------------------------------------------------------------------------------


def test_in_the_catalog_only_no_scan_overwrites_them(library, file):  # noqa: F811
    Library.objects.update(ratings="database")
    before = file.read_bytes()
    give(library, "Kept here")
    assert not FileWrite.objects.exists()
    edit(file, "-XMP-dc:Subject=Theirs")
    scan(library)
    assert row_of(library) == (["Kept here"], True)
    assert file.read_bytes() != before


def beside(library: Library) -> Path:  # noqa: F811
    Library.objects.update(ratings="sidecar")
    library.refresh_from_db()
    return Path(library.root) / "0.jpg.xmp"


def test_beside_the_photo_they_go_first_and_the_photo_stays(library, file):  # noqa: F811
    edit(file, "-XMP-dc:Subject=Embedded")
    xmp = beside(library)
    scan(library)
    before = file.read_bytes()
    give(library, *WORDS)
    write_all(library)
    assert listed(xmp) == WORDS
    give(library)
    write_all(library)
    assert listed(xmp) == [""]
    read_again(library)
    assert row_of(library) == ([], False)
    assert undo.undo_last(photo(library, "0.jpg"), library.owner)["keywords"] == WORDS
    write_all(library)
    read_again(library)
    assert row_of(library) == (WORDS, False)
    assert file.read_bytes() == before


def test_none_at_all_is_told_by_a_new_xmp_file(library, file):  # noqa: F811
    edit(file, "-XMP-dc:Subject=Embedded")
    xmp = beside(library)
    scan(library)
    give(library)
    write_all(library)
    assert listed(xmp) == [""]
    read_again(library)
    assert row_of(library) == ([], False)


def test_an_xmp_file_that_has_others_is_kept_in_step_and_gets_its_own_back(library, file):  # noqa: F811
    edit(file, "-XMP-dc:Subject=Embedded")
    xmp = beside(library)
    scan(library)
    give(library, "Beside")
    set_rating(library.owner, photo(library, "0.jpg").pk, 3)
    while FileWrite.objects.filter(state="pending").exists():
        write_all(library)
    Library.objects.update(ratings="file")
    library.refresh_from_db()
    read_again(library)
    assert row_of(library) == (["Beside"], False)
    before = file.read_bytes()
    give(library, "Both")
    write_all(library)
    assert (listed(file), listed(xmp), tags_of(xmp)["XMP-xmp:Rating"]) == (["Both"], ["Both"], 3)
    assert undo.undo_last(photo(library, "0.jpg"), library.owner)["keywords"] == ["Beside"]
    assert row_of(library) == (["Beside"], True)
    write_all(library)
    assert file.read_bytes() == before and listed(xmp) == ["Beside"]
    read_again(library)
    assert row_of(library) == (["Beside"], False)
