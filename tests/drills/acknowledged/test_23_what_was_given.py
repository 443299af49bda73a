"""Captions, keywords, places in the hands of writers that die, photos that move, catalogs that are restored: the last stands."""

from pathlib import Path

import pytest

from catalog.edits import undo
from catalog.files.landing import Landing
from catalog.history import restore
from catalog.history.switch import Switch
from catalog.models import FileWrite, Library, Photo
from catalog.scanning import rebuild
from catalog.sources.new_files import NewFile
from catalog.sources.replacing import Replacement
from operations.models import State
from operations.running import execute
from tests.catalog.edits.test_captions import edit
from tests.catalog.edits.test_ratings import library  # noqa: F401
from tests.catalog.scanning.test_scan import scan
from tests.drills.acknowledged.writers import hidden_in, photo, rate, stars_in, write_all, write_and_die
from tests.factories import make_jpeg

from .given import GIVEN, Given
from .moving import before_the_end

pytestmark = pytest.mark.django_db
STEPS = {
    "before the exchange": (Replacement, "swap", "before"),
    "after the exchange": (Landing, "_tell", "before"),
    "told": (Landing, "_tell", "after"),
}


@pytest.fixture(params=GIVEN, ids=lambda thing: thing.name)
def thing(request: pytest.FixtureRequest) -> Given:
    return request.param


@pytest.fixture
def file(library) -> Path:  # noqa: F811
    return Path(library.root) / "0.jpg"


def agrees(thing: Given, library: Library, file: Path, words: str) -> None:  # noqa: F811
    """File and catalog say so, and a scan finds nothing to do."""
    row = photo(library, file.name)
    assert (thing.in_file(file), *thing.of(row)) == (words, words, False)
    assert hidden_in(library) == []
    assert scan(library).result["changed"] == 0
    assert thing.in_row(photo(library, file.name)) == words


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("second", ["Second", ""])
def test_another_one_after_a_kill(thing, library, file, step, second):  # noqa: F811
    before = file.read_bytes()
    thing.write(library, "First")
    write_and_die(library, *STEPS[step])
    thing.write(library, second)
    write_all(library)
    agrees(thing, library, file, second)
    thing.write(library, "")
    write_all(library)
    assert file.read_bytes() == before  # the way back led through the version of the writer that died
    agrees(thing, library, file, "")


def test_stars_after_one_that_was_interrupted(thing, library, file):  # noqa: F811
    thing.write(library, "First")
    write_and_die(library, *STEPS["after the exchange"])
    rate(library, 4)
    thing.write(library, "Second")
    while FileWrite.objects.filter(state__in=["pending", "writing"]).exists():
        write_all(library)
    agrees(thing, library, file, "Second")
    assert (stars_in(file), photo(library).rating) == (4, 4)


def test_the_last_one_is_taken_back_after_a_kill(thing, library, file):  # noqa: F811
    thing.write(library, "First")
    write_all(library)
    thing.write(library, "Second")
    write_and_die(library, *STEPS["after the exchange"])
    assert undo.undo_last(photo(library), library.owner) == {"kind": thing.name, thing.name: thing.nothing}
    write_all(library)
    agrees(thing, library, file, "")


@pytest.mark.parametrize("step", [(NewFile, "swap", "after"), STEPS["after the exchange"]])
def test_beside_the_photo(thing, library, file, step):  # noqa: F811
    Library.objects.update(ratings="sidecar")
    library.refresh_from_db()
    before = file.read_bytes()
    thing.write(library, "First")
    write_and_die(library, *step)
    thing.write(library, "Second")
    write_all(library)
    assert thing.in_file(file.with_name("0.jpg.xmp")) == "Second"
    assert (file.read_bytes(), *thing.of(photo(library))) == (before, "Second", False)
    assert hidden_in(library) == []


# -- moves -----------------------------------------------------------------------------------------------------------------


def move(file: Path, name: str) -> Path:
    return file.rename(file.with_name(name))


def test_a_photo_that_was_moved_before_it_was_written_keeps_it(thing, library, file):  # noqa: F811
    key = photo(library).pk
    thing.write(library, "Held")
    moved = move(file, "moved.jpg")
    scan(library)
    assert (photo(library, "moved.jpg").pk, thing.in_row(photo(library, "moved.jpg"))) == (key, "Held")
    write_all(library)
    agrees(thing, library, moved, "Held")


@pytest.mark.parametrize("later", ["new", "old"])
@pytest.mark.parametrize("policy", ["file", "database"])
def test_of_those_at_two_places_the_later_one_counts(thing, library, file, monkeypatch, later, policy):  # noqa: F811
    """A scan knows the photo at its new place before it has followed it there."""
    Library.objects.update(ratings=policy)
    library.refresh_from_db()
    key = photo(library).pk
    moved = move(file, "moved.jpg")

    def write_both() -> None:
        wishes = [("0.jpg", "At the old place"), ("moved.jpg", "At the new place")]
        for name, words in wishes if later == "new" else reversed(wishes):
            thing.write(library, words, name)

    with monkeypatch.context() as patch:
        before_the_end(patch, write_both)
        scan(library)
    row = photo(library, "moved.jpg")
    wanted = f"At the {later} place"
    assert (row.pk, *thing.of(row)) == (key, wanted, True)
    assert Photo.objects.filter(library=library).count() == 3
    if policy == "file":
        write_all(library)
        agrees(thing, library, moved, wanted)


def test_names_that_were_exchanged(thing, library, file):  # noqa: F811
    Library.objects.update(ratings="database")
    edit(file.with_name("1.jpg"), *thing.tags("Theirs"))
    scan(library)
    keys = photo(library, "0.jpg").pk, photo(library, "1.jpg").pk
    thing.write(library, "Mine", "0.jpg")
    move(file, "aside")
    move(file.with_name("1.jpg"), "0.jpg")
    move(file.with_name("aside"), "1.jpg")
    scan(library)
    first, second = photo(library, "1.jpg"), photo(library, "0.jpg")
    assert (first.pk, *thing.of(first)) == (keys[0], "Mine", True)
    assert (second.pk, thing.of(second)[1]) == (keys[1], False)
    scan(library)
    assert thing.in_row(photo(library, "0.jpg")) == "Theirs"


def test_another_photo_under_its_name_does_not_get_it(thing, library, file):  # noqa: F811
    Library.objects.update(ratings="database")
    key = photo(library).pk
    thing.write(library, "Mine")
    move(file, "moved.jpg")
    file.write_bytes(make_jpeg(seed=99))
    scan(library)
    assert (photo(library, "moved.jpg").pk, thing.in_row(photo(library, "moved.jpg"))) == (key, "Mine")
    assert thing.of(photo(library, "0.jpg")) == ("", False)


def test_a_photo_that_left_its_xmp_file_behind_gets_another(thing, library, file):  # noqa: F811
    Library.objects.update(ratings="sidecar")
    library.refresh_from_db()
    thing.write(library, "Beside")
    write_all(library)
    scan(library)
    move(file, "moved.jpg")
    scan(library)
    write_all(library)
    assert thing.in_file(file.with_name("moved.jpg.xmp")) == "Beside"
    assert thing.of(photo(library, "moved.jpg")) == ("Beside", False)


# -- other catalogs --------------------------------------------------------------------------------------------------------


def published(library: Library) -> str:  # noqa: F811
    scan(library)
    library.refresh_from_db()
    return library.snapshot_md5


def run(operation):
    ended = execute(operation.pk)
    assert ended is not None and ended.state == State.COMPLETED, (ended.error, ended.error_detail)
    return ended.result


def restored(library: Library, md5: str) -> None:  # noqa: F811
    library.refresh_from_db()
    run(restore.start_restore(library, library.owner, md5))


def test_a_restore_gives_back_what_only_the_catalog_had(thing, library):  # noqa: F811
    Library.objects.update(ratings="database")
    thing.write(library, "Then")
    thing.write(library, "Also then", "1.jpg")
    then = published(library)
    thing.write(library, "Later")
    thing.write(library, "", "1.jpg")
    thing.write(library, "New", "2.jpg")
    published(library)
    restored(library, then)
    assert [thing.of(photo(library, f"{n}.jpg")) for n in range(3)] == [
        ("Then", True),
        ("Also then", True),
        ("", False),
    ]
    scan(library)
    assert [thing.in_row(photo(library, f"{n}.jpg")) for n in range(3)] == ["Then", "Also then", ""]
    Photo.objects.filter(library=library).delete()
    restored(library, then)
    assert thing.of(photo(library)) == ("Then", True)
    scan(library)
    assert thing.in_row(photo(library)) == "Then"


def test_what_belongs_into_files_stays_in_a_restore(thing, library, file):  # noqa: F811
    thing.write(library, "Held then")
    then = published(library)
    write_all(library)
    thing.write(library, "Waits", "1.jpg")
    published(library)
    restored(library, then)
    scan(library)
    assert thing.of(photo(library)) == ("Held then", False)
    assert thing.of(photo(library, "1.jpg")) == ("Waits", True)
    write_all(library)
    agrees(thing, library, file, "Held then")
    agrees(thing, library, file.with_name("1.jpg"), "Waits")


@pytest.mark.parametrize("when", ["asked", "planned"])
def test_what_is_written_during_a_restore_is_later(thing, library, monkeypatch, when):  # noqa: F811
    Library.objects.update(ratings="database")
    thing.write(library, "Then")
    then = published(library)
    thing.write(library, "Between")
    published(library)
    operation = restore.start_restore(library, library.owner, then)
    if when == "asked":
        thing.write(library, "Meanwhile")
    else:
        look = Switch.look_for_thumbnails
        monkeypatch.setattr(
            Switch, "look_for_thumbnails", lambda self: (thing.write(library, "Meanwhile"), look(self))[1]
        )
    run(operation)
    assert thing.of(photo(library)) == ("Meanwhile", True)
    scan(library)
    assert thing.in_row(photo(library)) == "Meanwhile"


@pytest.mark.parametrize("rows", ["known", "lost"])
def test_a_rebuild_keeps_what_only_the_catalog_had(thing, library, file, rows):  # noqa: F811
    Library.objects.update(ratings="database")
    edit(file.with_name("1.jpg"), *thing.tags("In the file"))
    thing.write(library, "Mine")
    thing.write(library, "", "1.jpg")
    published(library)
    if rows == "lost":
        Photo.objects.filter(library=library).delete()
    library.refresh_from_db()
    run(rebuild.start_rebuild(library, library.owner))
    assert [thing.of(photo(library, f"{n}.jpg")) for n in range(3)] == [
        ("Mine", True),
        ("", True),
        ("", False),
    ]


def test_a_snapshot_of_before_they_were_marked(thing, library):  # noqa: F811
    """It says nothing of them, so that those written since are taken back by a restore to it, as stars would be."""
    Library.objects.update(ratings="database")
    then = published(library)
    thing.write(library, "Since")
    published(library)
    restored(library, then)
    scan(library)
    assert thing.of(photo(library)) == ("", False)
