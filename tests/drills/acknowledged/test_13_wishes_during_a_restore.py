"""Stars and dates that are given while a restore waits, or between two workers of it, stand; earlier ones are put back."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from django.utils import timezone

from catalog.edits.dates import Setting, plan, set_dates
from catalog.edits.ratings import set_ratings
from catalog.entries import pending_writes
from catalog.history import switch
from catalog.history.restore import start_restore
from catalog.models import FileWrite, Library, Photo
from operations.models import Operation, State
from operations.running import execute
from tests.catalog.edits.test_ratings import tags_of
from tests.catalog.scanning.test_scan import scan
from tests.drills.acknowledged.test_13_restore import (
    MEANWHILE,
    added,
    assert_snapshot_says_the_same,
    meanwhile,
    photo,
    rebuilt,
    root,  # noqa: F401
    stars,
)

pytestmark = pytest.mark.django_db
NAMES = [f"{number}.jpg" for number in range(6)]


class Killed(BaseException):
    """As if the process had ended there."""


def rate(library: Library, name: str, count: int) -> None:
    set_ratings(library.owner, [photo(library, name).pk], count)


def date(library: Library, name: str, day: int) -> None:
    set_dates(library.owner, plan([photo(library, name)], Setting(datetime(2001, 1, day))))


def found(library: Library) -> dict[str, tuple]:
    """Return what the catalog says of each photo: stars, the owner's favourite, the day of a date that was given."""
    rated = stars(library)
    rows = Photo.objects.filter(library=library)
    days = {row.filename: row.taken_local.day if row.taken_held else None for row in rows}
    return {name: (*rated.get(name, (None, None, None))[::2], days[name]) for name in NAMES}


def die_at(operation: Operation, patch: pytest.MonkeyPatch, owner: object, step: str, when: str) -> None:
    """Let a worker die at that step of the operation, and another one be free to take it over."""
    original = getattr(owner, step)

    def dying(*arguments, **options):
        if when == "after":
            original(*arguments, **options)
        raise Killed

    with patch.context() as here:
        here.setattr(owner, step, dying)
        with pytest.raises(Killed):
            execute(operation.pk)
    past = timezone.now() - timedelta(seconds=1)
    Operation.objects.filter(pk=operation.pk).update(lease_until=past, worker="")


def finish(operation: Operation, library: Library) -> None:
    ended = execute(operation.pk)
    assert ended is not None and ended.state == State.COMPLETED, ended and (ended.error, ended.error_detail)
    library.refresh_from_db()


def given(library: Library) -> str:
    """Give stars and dates, publish them and give others; return the snapshot's MD5.

    0 and 1 have stars, 2 a date; 3 both, 4 neither.
    """
    for name, count in (("0.jpg", 4), ("1.jpg", 4), ("3.jpg", 4)):
        if library.ratings == "database":
            rate(library, name, count)
    for name in ("2.jpg", "3.jpg"):
        date(library, name, 4)
    scan(library)
    md5 = library.snapshot_md5
    for name in NAMES[:5]:
        if library.ratings == "database":
            rate(library, name, 2)
        date(library, name, 2)
    return md5


BEFORE = {
    "asked for": None,
    "reads": (switch, "planned", "before"),
    "switches": (switch.Switch, "apply", "before"),
    "published": (switch.Switch, "apply", "after"),
}


@pytest.mark.parametrize("policy", ["database", "sidecar"])
@pytest.mark.parametrize("step", BEFORE)
def test_what_is_given_after_a_restore_was_asked_for_stands(alice, bob, root, monkeypatch, step, policy):  # noqa: F811
    library = added(alice, root, policy)
    md5 = given(library)
    operation = start_restore(library, alice, md5, enqueue=False)
    if BEFORE[step] is not None:
        die_at(operation, monkeypatch, *BEFORE[step])
    if policy == "database":
        rate(library, "0.jpg", 5)
        rate(library, "3.jpg", 0)
        rate(library, "4.jpg", 3)
    date(library, "1.jpg", 5)
    date(library, "2.jpg", 5)
    finish(operation, library)
    if policy == "database":
        expected = [(5, 5, None), (4, 4, 5), (None, None, 5), (None, None, 4), (3, 3, None), (None, None, None)]
    else:
        expected = [(None, None, day) for day in (None, 5, 5, 4, None, None)]
    for _ in range(2):
        assert found(library) == dict(zip(NAMES, expected, strict=True))
        scan(library)
    assert_snapshot_says_the_same(library)


def test_a_wish_in_the_instant_of_the_switch_stands_and_only_its_kind(alice, root, monkeypatch):  # noqa: F811
    library = added(alice, root, "database")
    md5 = given(library)

    def act() -> None:
        rate(library, "0.jpg", 2)  # what it has: said once more, after the restore was asked for
        date(library, "1.jpg", 5)

    meanwhile(monkeypatch, "catalog.history.switch.Switch.look_for_thumbnails", act)
    finish(start_restore(library, alice, md5, enqueue=False), library)
    assert found(library)["0.jpg"] == (2, 2, None)
    assert found(library)["1.jpg"] == (4, 4, 5)
    scan(library)
    assert found(library)["0.jpg"] == (2, 2, None)
    assert_snapshot_says_the_same(library)


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_set_while_a_restore_waits_makes_no_wish_an_earlier_one(alice, root, hours):  # noqa: F811
    library = added(alice, root, "database")
    md5 = given(library)
    operation = start_restore(library, alice, md5, enqueue=False)
    with time_machine.travel(timezone.now() + timedelta(hours=hours)):
        rate(library, "0.jpg", 5)
        date(library, "1.jpg", 5)
    finish(operation, library)
    assert [found(library)[name] for name in NAMES[:3]] == [(5, 5, None), (4, 4, 5), (None, None, 4)]


def test_what_a_restore_put_back_is_no_later_wish_for_the_next_one(alice, root):  # noqa: F811
    library = added(alice, root, "database")
    none_yet = library.snapshot_md5
    md5 = given(library)
    finish(start_restore(library, alice, md5, enqueue=False), library)
    assert found(library)["3.jpg"] == (4, 4, 4)
    finish(start_restore(library, alice, none_yet, enqueue=False), library)
    assert set(found(library).values()) == {(None, None, None)}


def test_the_second_worker_of_a_restore_finds_nothing_to_do_where_nobody_said_anything(alice, root, monkeypatch):  # noqa: F811
    library = added(alice, root, "database")
    md5 = given(library)
    operation = start_restore(library, alice, md5, enqueue=False)
    die_at(operation, monkeypatch, *BEFORE["published"])
    finish(operation, library)
    assert library.snapshot_md5 == md5
    assert_snapshot_says_the_same(library)


# -- what the restored rows say is not what the files say, until a scan has read them again ------------------------------


def written(library: Library) -> None:
    FileWrite.objects.update(try_at=timezone.now())
    operation = pending_writes.start_writing(library, library.owner)
    assert operation is not None and execute(operation.pk).state == State.COMPLETED


def stars_of_file(library: Library, policy: str) -> int:
    path = Path(library.root) / ("1.jpg.xmp" if policy == "sidecar" else "1.jpg")
    return int(tags_of(path).get("XMP-xmp:Rating", 0))


@pytest.mark.parametrize("policy", ["sidecar", "file"])
@pytest.mark.parametrize("wished", [[0], [3, 0], [4, 0]])
@pytest.mark.parametrize("is_written_first", [True, False])
def test_stars_taken_away_from_restored_photos_do_not_come_back_from_their_files(
    alice,
    root,  # noqa: F811
    policy,
    wished,
    is_written_first,
):
    library = added(alice, root, policy)
    none_yet = library.snapshot_md5
    rate(library, "1.jpg", 5)
    written(library)
    scan(library)
    assert stars_of_file(library, policy) == 5
    finish(start_restore(library, alice, none_yet, enqueue=False), library)
    assert stars(library) == {}
    for count in wished:
        rate(library, "1.jpg", count)
    if is_written_first:
        written(library)
    scan(library)
    assert stars(library).get("1.jpg", (None, None, None))[::2] == (None, None)
    written(library)
    scan(library)
    assert stars_of_file(library, policy) == 0 and stars(library) == {}


@pytest.mark.parametrize("policy", ["sidecar", "file"])
def test_stars_given_again_to_restored_photos_come_into_their_files(alice, root, policy):  # noqa: F811
    library = added(alice, root, policy)
    rate(library, "1.jpg", 5)
    written(library)
    scan(library)
    md5 = library.snapshot_md5
    rate(library, "1.jpg", 0)
    written(library)
    scan(library)
    finish(start_restore(library, alice, md5, enqueue=False), library)
    assert stars(library)["1.jpg"][::2] == (5, 5)
    rate(library, "1.jpg", 5)
    scan(library)
    assert stars(library)["1.jpg"][::2] == (5, 5)
    written(library)
    scan(library)
    assert stars_of_file(library, policy) == 5 and stars(library) == {"1.jpg": (5, False, 5)}


@pytest.mark.parametrize("policy", ["sidecar", "file"])
@pytest.mark.parametrize("moment", ["when it knows who is who", "before it switches"])
@pytest.mark.parametrize("is_given_before", [True, False])
def test_stars_written_beside_a_rebuild_that_had_read_the_file_stand(
    alice,
    root,  # noqa: F811
    monkeypatch,
    policy,
    moment,
    is_given_before,
):
    library = added(alice, root, policy)
    rate(library, "1.jpg", 5)
    rate(library, "2.jpg", 5)
    written(library)
    scan(library)

    def give() -> None:
        rate(library, "1.jpg", 4)
        rate(library, "2.jpg", 0)
        rate(library, "3.jpg", 4)

    def act() -> None:
        if not is_given_before:
            give()
        written(library)

    if is_given_before:
        give()

    meanwhile(monkeypatch, MEANWHILE[moment], act)
    rebuilt(library, full=True)
    expected = {"1.jpg": (4, False, 4), "3.jpg": (4, False, 4)}
    for _ in range(2):
        assert stars(library) == expected
        scan(library)
    assert stars_of_file(library, policy) == 4
    assert_snapshot_says_the_same(library)
