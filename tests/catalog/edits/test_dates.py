"""Dates that people give: planned, shown, written into the files, kept from scans, taken back."""

import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from catalog.edits import dates
from catalog.edits.ratings import set_rating
from catalog.edits.undo import undo_last
from catalog.entries import pending_writes
from catalog.files.queue import NothingToUndo
from catalog.models import FileWrite, HashCache, Library, Photo
from catalog.scanning.rebuild import start_rebuild
from operations.models import Operation, State
from operations.running import execute
from tests.catalog.edits.test_ratings import (
    library,  # noqa: F401
    photo,
    tags_of,
    write_all,
)
from tests.catalog.media.photos import xmp_packet
from tests.catalog.scanning.test_scan import scan
from tests.factories import make_jpeg, make_photo

pytestmark = pytest.mark.django_db
NOON = datetime(2015, 6, 1, 12)


def taken(library, name="0.jpg"):  # noqa: F811
    return photo(library, name).taken_text


def give(library, *names, wish=dates.Setting(NOON, 120)):  # noqa: F811, B008
    photos = Photo.objects.filter(library=library, filename__in=names).select_related("library")
    planned = dates.plan(photos, wish)
    return dates.set_dates(library.owner, planned), planned


@pytest.mark.promise("S2-049")
def test_a_date_is_shown_at_once_and_then_in_the_file(library):  # noqa: F811
    before = photo(library, "0.jpg")
    assert give(library, "0.jpg")[0] == 1
    held = photo(library, "0.jpg")
    assert (held.taken_text, held.taken_source, held.taken_held) == ("2015-06-01T12:00:00+02:00", "person", True)
    assert (held.taken_at, held.taken_day) == (datetime(2015, 6, 1, 10, tzinfo=UTC), 20150601)
    assert write_all(library)["written"] == 1
    tags = tags_of(Path(library.root) / "0.jpg")
    assert tags["ExifIFD:DateTimeOriginal"] == tags["ExifIFD:CreateDate"] == "2015:06:01 12:00:00"
    assert tags["ExifIFD:OffsetTimeOriginal"] == "+02:00"
    assert tags["XMP-photoshop:DateCreated"] == "2015:06:01 12:00:00+02:00"
    after = photo(library, "0.jpg")
    assert (after.pk, after.taken_text, after.taken_source) == (before.pk, "2015-06-01T12:00:00+02:00", "exif")
    assert not after.taken_held
    result = scan(library).result
    assert (result["unchanged"], result["changed"]) == (3, 0)


@pytest.mark.promise("S2-026")
def test_a_date_that_could_not_be_written_costs_no_new_hash(library, tmp_path):  # noqa: F811
    file, before = Path(library.root) / "0.jpg", photo(library, "0.jpg")
    known = HashCache.objects.values().get(library=library, path="0.jpg")
    os.link(file, tmp_path / "another name of it")  # such files are not exchanged
    give(library, "0.jpg")
    assert write_all(library)["failed"] == 1
    assert FileWrite.objects.get().code == "hard_links"
    assert photo(library, "0.jpg").photo_md5 == before.photo_md5
    assert HashCache.objects.values().get(library=library, path="0.jpg") == known
    operation = scan(library)
    assert operation.metrics["files_read"] == 0 and operation.result["unchanged"] == 3


@pytest.mark.promise("S2-018")
def test_a_date_that_a_file_has_already_leaves_its_bytes_and_what_is_known_of_them(library):  # noqa: F811
    file = Path(library.root) / "0.jpg"
    give(library, "0.jpg")
    write_all(library)
    content, facts, known = (
        file.read_bytes(),
        file.stat(),
        HashCache.objects.values().get(library=library, path="0.jpg"),
    )
    give(library, "0.jpg", "1.jpg")  # as with many at once, some of which were right already
    result = write_all(library)
    assert FileWrite.objects.filter(state="done").count() == 3, result
    now = file.stat()
    assert (file.read_bytes(), now.st_mtime_ns, now.st_ino) == (content, facts.st_mtime_ns, facts.st_ino)
    assert HashCache.objects.values().get(library=library, path="0.jpg") == known
    assert photo(library, "0.jpg").photo_md5 == hashlib.md5(content).hexdigest()
    assert scan(library).metrics["files_read"] == 0


def test_scans_do_not_overwrite_a_date_that_waits(library):  # noqa: F811
    give(library, "0.jpg")
    file = Path(library.root) / "0.jpg"
    file.write_bytes(make_jpeg(seed=77))  # another program saved it meanwhile
    os.utime(file, (1_600_000_000, 1_600_000_000))
    assert scan(library).result["changed"] == 1
    assert taken(library) == "2015-06-01T12:00:00+02:00"
    write_all(library)
    assert taken(library) == "2015-06-01T12:00:00+02:00"
    assert not photo(library, "0.jpg").taken_held


def test_a_move_takes_the_waiting_date_along(library):  # noqa: F811
    give(library, "0.jpg")
    (Path(library.root) / "sub").mkdir()
    (Path(library.root) / "0.jpg").rename(Path(library.root) / "sub" / "0.jpg")
    assert scan(library).result["moved"] == 1
    assert taken(library) == "2015-06-01T12:00:00+02:00"
    assert write_all(library)["written"] == 1
    assert tags_of(Path(library.root) / "sub" / "0.jpg")["ExifIFD:DateTimeOriginal"] == "2015:06:01 12:00:00"


def test_a_date_is_taken_back_with_the_very_bytes(library):  # noqa: F811
    file = Path(library.root) / "0.jpg"
    before, text = file.read_bytes(), taken(library)
    give(library, "0.jpg")
    write_all(library)
    assert file.read_bytes() != before
    assert undo_last(photo(library, "0.jpg"), library.owner)["taken"] == ""
    write_all(library)
    assert file.read_bytes() == before
    assert taken(library) == text  # the file's time tells again
    assert sorted(FileWrite.objects.values_list("state", flat=True)) == ["done", "undone"]


def test_an_xmp_file_with_a_date_is_kept_in_step_and_gets_its_own_back(library):  # noqa: F811
    file = Path(library.root) / "0.jpg"
    xmp = file.with_name("0.jpg.xmp")
    xmp.write_bytes(xmp_packet('exif:DateTimeOriginal="2010-01-02T03:04:05"'))
    os.utime(xmp, (1_600_000_000, 1_600_000_000))
    scan(library)
    assert (taken(library), photo(library, "0.jpg").taken_source) == ("2010-01-02T03:04:05", "sidecar")
    before = file.read_bytes()
    give(library, "0.jpg")
    assert write_all(library)["written"] == 1
    for _ in range(2):
        assert tags_of(file)["ExifIFD:DateTimeOriginal"] == "2015:06:01 12:00:00"
        assert tags_of(xmp)["XMP-exif:DateTimeOriginal"] == "2015:06:01 12:00:00+02:00"
        assert (taken(library), photo(library, "0.jpg").taken_held) == ("2015-06-01T12:00:00+02:00", False)
        Photo.objects.update(needs_digest=True)
        scan(library)
    undo_last(photo(library, "0.jpg"), library.owner)
    assert taken(library) == "2010-01-02T03:04:05"
    write_all(library)
    assert file.read_bytes() == before
    assert tags_of(xmp)["XMP-exif:DateTimeOriginal"] == "2010:01:02 03:04:05"
    assert scan(library).metrics["files_read"] == 0
    for _ in range(2):
        assert (taken(library), photo(library, "0.jpg").taken_source) == ("2010-01-02T03:04:05", "sidecar")
        Photo.objects.update(needs_digest=True)
        scan(library)


def test_the_last_write_is_taken_back_whatever_it_was(library):  # noqa: F811
    give(library, "0.jpg")
    write_all(library)
    set_rating(library.owner, photo(library, "0.jpg"), 4)
    write_all(library)
    assert undo_last(photo(library, "0.jpg"), library.owner) == {"kind": "rating", "rating": 0}
    write_all(library)
    tags = tags_of(Path(library.root) / "0.jpg")
    assert "IFD0:Rating" not in tags
    assert tags["ExifIFD:DateTimeOriginal"] == "2015:06:01 12:00:00"


def test_a_rating_and_a_date_of_one_photo_are_both_written(library):  # noqa: F811
    give(library, "0.jpg", "1.jpg")
    set_rating(library.owner, photo(library, "0.jpg"), 4)
    assert write_all(library)["written"] == 3
    tags = tags_of(Path(library.root) / "0.jpg")
    assert (tags["IFD0:Rating"], tags["ExifIFD:DateTimeOriginal"]) == (4, "2015:06:01 12:00:00")
    assert not Photo.objects.filter(taken_held=True).exists()
    assert scan(library).result["changed"] == 0


def test_another_date_before_the_first_was_written_wins(library):  # noqa: F811
    give(library, "0.jpg")
    give(library, "0.jpg", wish=dates.Setting(NOON + timedelta(days=1)))
    assert FileWrite.objects.count() == 1
    write_all(library)
    assert taken(library) == "2015-06-02T12:00:00"


@pytest.mark.promise("S2-X13")
def test_copies_that_become_equal_stay_two_photos(library):  # noqa: F811
    picture = (Path(library.root) / "0.jpg").read_bytes()
    for name in ("copy 1.jpg", "copy 2.jpg"):
        (Path(library.root) / name).write_bytes(picture)
    scan(library)
    give(library, "copy 1.jpg", wish=dates.Setting(datetime(2001, 2, 3)))
    give(library, "copy 2.jpg", wish=dates.Setting(datetime(2002, 2, 3)))
    write_all(library)
    ids = {photo(library, "copy 1.jpg").pk, photo(library, "copy 2.jpg").pk}
    assert photo(library, "copy 1.jpg").photo_md5 != photo(library, "copy 2.jpg").photo_md5
    give(library, "copy 1.jpg", "copy 2.jpg")
    assert write_all(library)["written"] == 2
    assert scan(library).result["changed"] == 0
    after = [photo(library, "copy 1.jpg"), photo(library, "copy 2.jpg")]
    assert {one.pk for one in after} == ids
    assert after[0].photo_md5 == after[1].photo_md5
    assert {one.taken_text for one in after} == {"2015-06-01T12:00:00+02:00"}


@pytest.mark.parametrize("killed", ["before the exchange", "after the exchange"])
def test_a_writer_that_dies_leaves_the_old_or_the_new_version_and_the_next_one_finishes(library, killed, monkeypatch):  # noqa: F811
    file = Path(library.root) / "0.jpg"
    before = file.read_bytes()
    give(library, "0.jpg")

    class Killed(BaseException):
        """As if the process had ended there."""

    def die(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("catalog.files.write.Writing._release", lambda self: None)
        patch.setattr("catalog.files.landing.Landing._is_untold", lambda self, write: False)
        patch.setattr("catalog.files.prepared.Prepared.close", lambda self: None)
        where = (
            "catalog.sources.replacing.Replacement.swap"
            if "before" in killed
            else "catalog.files.landing.Landing._tell"
        )
        patch.setattr(where, die)
        operation = pending_writes.start_writing(library, library.owner)
        with pytest.raises(Killed):
            execute(operation.pk)
    assert (file.read_bytes() == before) == ("before" in killed)
    Operation.objects.update(state=State.PENDING, lease_until=None)
    assert execute(operation.pk).state == State.COMPLETED
    assert tags_of(file)["ExifIFD:DateTimeOriginal"] == "2015:06:01 12:00:00"
    assert (taken(library), photo(library, "0.jpg").taken_held) == ("2015-06-01T12:00:00+02:00", False)
    assert [name for name in os.listdir(library.root) if name.startswith(".photolala-write")] == []
    assert undo_last(photo(library, "0.jpg"), library.owner)["taken"] == ""
    write_all(library)
    assert file.read_bytes() == before


def test_nothing_to_take_back_is_said(library):  # noqa: F811
    with pytest.raises(NothingToUndo):
        dates.undo_date(photo(library, "0.jpg"), library.owner)


@pytest.mark.parametrize("policy", ["database", "sidecar"])
def test_where_files_are_not_written_the_date_stays_in_the_catalog(library, policy):  # noqa: F811
    Library.objects.update(ratings=policy)
    file = Path(library.root) / "0.jpg"
    before = file.read_bytes()
    give(library, "0.jpg")
    assert not FileWrite.objects.exists()
    file.write_bytes(make_jpeg(seed=77))
    scan(library)
    assert taken(library) == "2015-06-01T12:00:00+02:00"
    file.write_bytes(before)
    ended = execute(start_rebuild(library, library.owner, full=True).pk)
    assert ended.state == State.COMPLETED, ended.error
    assert taken(library) == "2015-06-01T12:00:00+02:00"
    assert taken(library, "1.jpg").startswith("2023-11-14T22:13:20")


# -- what is planned --------------------------------------------------------------------------------------------------


def plan(photos, wish, now=datetime(2026, 1, 1, tzinfo=UTC)):
    return dates.plan(photos, wish, now)


@pytest.fixture
def three(library):  # noqa: F811
    Photo.objects.all().delete()
    return [
        make_photo(library, name, taken=when)
        for name, when in (
            ("b.jpg", datetime(2024, 5, 17, 10, tzinfo=UTC)),
            ("a.jpg", datetime(2024, 5, 17, 9, 30, 0, 250_000, tzinfo=UTC)),
            ("c.jpg", None),
        )
    ]


def test_many_are_moved_by_the_same_time(three):
    planned = plan(three, dates.Shift(-3600))
    assert [(one.photo.filename, one.after_text) for one in planned] == [
        ("a.jpg", "2024-05-17T08:30:00.250000"),
        ("b.jpg", "2024-05-17T09:00:00"),
        ("c.jpg", ""),
    ]
    assert [bool(one.problem) for one in planned] == [False, False, True]


def test_an_offset_is_said_without_moving_the_wall_clock(three):
    planned = plan(three[:1], dates.Shift(0, sets_offset=True, offset_minutes=330))
    assert planned[0].after_text == "2024-05-17T10:00:00+05:30"


def test_a_sequence_is_spread_in_its_present_order(three):
    wish = dates.Spread(NOON, NOON + timedelta(hours=1), 60)
    assert [(one.photo.filename, one.after_text) for one in plan(three, wish)] == [
        ("a.jpg", "2015-06-01T12:00:00+01:00"),
        ("b.jpg", "2015-06-01T12:30:00+01:00"),
        ("c.jpg", "2015-06-01T13:00:00+01:00"),
    ]
    assert plan(three[:1], wish)[0].after_text == "2015-06-01T12:00:00+01:00"


@pytest.mark.parametrize("local", [datetime(1700, 1, 1), datetime(2026, 1, 4)])
def test_impossible_dates_are_refused_before_anything_is_changed(three, local):
    planned = plan(three, dates.Setting(local))
    assert all(one.problem for one in planned)
    assert dates.set_dates(three[0].library.owner, planned) == 0
    assert not Photo.objects.filter(taken_held=True).exists()


def test_a_shift_beyond_all_calendars_is_a_problem_and_no_crash(three):
    assert all(one.problem for one in plan(three, dates.Shift(-(10**11))))


def test_films_hold_no_dates_before_1904(library):  # noqa: F811
    film = make_photo(library, "a.mp4", media_type="video/mp4")
    assert "1904" in plan([film], dates.Setting(datetime(1890, 1, 1)))[0].problem
    assert not plan([film], dates.Setting(datetime(1990, 1, 1)))[0].problem
