"""Places in the hands of writers that die, photos that move, catalogs that are restored: what a person said last stands."""

import zlib
from pathlib import Path

import pytest

from catalog.edits import undo
from catalog.edits.places import set_place
from catalog.files.landing import Landing
from catalog.history import restore
from catalog.history.switch import Switch
from catalog.models import FileWrite, Library, Photo
from catalog.scanning import rebuild
from catalog.sources.new_files import NewFile
from catalog.sources.replacing import Replacement
from operations.models import State
from operations.running import execute
from photolala.lib.places import Place, are_near
from tests.catalog.edits.test_captions import edit
from tests.catalog.edits.test_ratings import library, tags_of  # noqa: F401
from tests.catalog.scanning.test_scan import scan
from tests.drills.acknowledged.writers import hidden_in, photo, rate, stars_in, write_all, write_and_die
from tests.factories import make_jpeg

from .moving import before_the_end

pytestmark = pytest.mark.django_db
STEPS = {
    "before the exchange": (Replacement, "swap", "before"),
    "after the exchange": (Landing, "_tell", "before"),
    "told": (Landing, "_tell", "after"),
}


@pytest.fixture
def file(library) -> Path:  # noqa: F811
    return Path(library.root) / "0.jpg"


def write(library: Library, words: str, name: str = "0.jpg") -> None:  # noqa: F811
    set_place(library.owner, photo(library, name).pk, place_of(words))


def place_of(words: str) -> Place | None:
    """A place that stands for these words, so that it is told apart from others."""
    number = zlib.crc32(words.encode()) % 80
    return (10.5 + number, -20.25 - number) if words else None


class Said:
    """A place that is equal to words if it is theirs."""

    def __init__(self, latitude: float | None, longitude: float | None) -> None:
        self.place = None if latitude is None or longitude is None else (latitude, longitude)

    def __eq__(self, words: object) -> bool:
        return isinstance(words, str) and are_near(self.place, place_of(words))

    def __hash__(self) -> int:
        return hash(self.place)

    def __repr__(self) -> str:
        return f"Said({self.place})"


def said(row: Photo) -> Said:
    return Said(row.latitude, row.longitude)


def said_in(file: Path) -> Said:
    tags = tags_of(file)
    name = "XMP-exif:GPS" if file.suffix == ".xmp" else "GPS:GPS"
    if f"{name}Latitude" not in tags:
        return Said(None, None)
    sign = -1 if tags.get("GPS:GPSLongitudeRef", "") == "W" else 1
    return Said(tags[f"{name}Latitude"], sign * tags[f"{name}Longitude"])


def in_file(words: str) -> list[str]:
    latitude, longitude = place_of(words) or (0, 0)
    ref = ["-GPS:GPSLatitudeRef=N", "-GPS:GPSLongitudeRef=W"]
    return [f"-GPS:GPSLatitude={latitude}", f"-GPS:GPSLongitude={abs(longitude)}", *ref]


def agrees(library: Library, file: Path, words: str) -> None:  # noqa: F811
    """File and catalog say so, and a scan finds nothing to do."""
    row = photo(library, file.name)
    assert (said_in(file), said(row), row.place_held) == (words, words, False)
    assert hidden_in(library) == []
    assert scan(library).result["changed"] == 0
    assert said(photo(library, file.name)) == words


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("second", ["Second", ""])
def test_another_caption_after_a_kill(library, file, step, second):  # noqa: F811
    before = file.read_bytes()
    write(library, "First")
    write_and_die(library, *STEPS[step])
    write(library, second)
    write_all(library)
    agrees(library, file, second)
    write(library, "")
    write_all(library)
    assert file.read_bytes() == before  # the way back led through the version of the writer that died
    agrees(library, file, "")


def test_stars_after_a_caption_that_was_interrupted(library, file):  # noqa: F811
    write(library, "First")
    write_and_die(library, *STEPS["after the exchange"])
    rate(library, 4)
    write(library, "Second")
    while FileWrite.objects.filter(state__in=["pending", "writing"]).exists():
        write_all(library)
    agrees(library, file, "Second")
    assert (stars_in(file), photo(library).rating) == (4, 4)


def test_the_last_one_is_taken_back_after_a_kill(library, file):  # noqa: F811
    write(library, "First")
    write_all(library)
    write(library, "Second")
    write_and_die(library, *STEPS["after the exchange"])
    assert undo.undo_last(photo(library), library.owner) == {"kind": "place", "place": None}
    write_all(library)
    agrees(library, file, "")


@pytest.mark.parametrize("step", [(NewFile, "swap", "after"), STEPS["after the exchange"]])
def test_beside_the_photo(library, file, step):  # noqa: F811
    Library.objects.update(ratings="sidecar")
    library.refresh_from_db()
    before = file.read_bytes()
    write(library, "First")
    write_and_die(library, *step)
    write(library, "Second")
    write_all(library)
    assert said_in(file.with_name("0.jpg.xmp")) == "Second"
    assert (file.read_bytes(), said(photo(library)), photo(library).place_held) == (before, "Second", False)
    assert hidden_in(library) == []


# -- moves -----------------------------------------------------------------------------------------------------------------


def move(file: Path, name: str) -> Path:
    return file.rename(file.with_name(name))


def test_a_photo_that_was_moved_before_it_was_written_keeps_it(library, file):  # noqa: F811
    key = photo(library).pk
    write(library, "Held")
    moved = move(file, "moved.jpg")
    scan(library)
    assert (photo(library, "moved.jpg").pk, said(photo(library, "moved.jpg"))) == (key, "Held")
    write_all(library)
    agrees(library, moved, "Held")


@pytest.mark.parametrize("later", ["new", "old"])
@pytest.mark.parametrize("policy", ["file", "database"])
def test_of_captions_at_two_places_the_later_one_counts(library, file, monkeypatch, later, policy):  # noqa: F811
    """A scan knows the photo at its new place before it has followed it there."""
    Library.objects.update(ratings=policy)
    library.refresh_from_db()
    key = photo(library).pk
    moved = move(file, "moved.jpg")

    def write_both() -> None:
        wishes = [("0.jpg", "At the old place"), ("moved.jpg", "At the new place")]
        for name, words in wishes if later == "new" else reversed(wishes):
            write(library, words, name)

    with monkeypatch.context() as patch:
        before_the_end(patch, write_both)
        scan(library)
    row = photo(library, "moved.jpg")
    wanted = f"At the {later} place"
    assert (row.pk, said(row), row.place_held) == (key, wanted, True)
    assert Photo.objects.filter(library=library).count() == 3
    if policy == "file":
        write_all(library)
        agrees(library, moved, wanted)


def test_names_that_were_exchanged(library, file):  # noqa: F811
    Library.objects.update(ratings="database")
    edit(file.with_name("1.jpg"), *in_file("Theirs"))
    scan(library)
    keys = photo(library, "0.jpg").pk, photo(library, "1.jpg").pk
    write(library, "Mine", "0.jpg")
    move(file, "aside")
    move(file.with_name("1.jpg"), "0.jpg")
    move(file.with_name("aside"), "1.jpg")
    scan(library)
    first, second = photo(library, "1.jpg"), photo(library, "0.jpg")
    assert (first.pk, said(first), first.place_held) == (keys[0], "Mine", True)
    assert (second.pk, second.place_held) == (keys[1], False)
    scan(library)
    assert said(photo(library, "0.jpg")) == "Theirs"


def test_another_photo_under_its_name_does_not_get_it(library, file):  # noqa: F811
    Library.objects.update(ratings="database")
    key = photo(library).pk
    write(library, "Mine")
    move(file, "moved.jpg")
    file.write_bytes(make_jpeg(seed=99))
    scan(library)
    assert (photo(library, "moved.jpg").pk, said(photo(library, "moved.jpg"))) == (key, "Mine")
    assert (said(photo(library, "0.jpg")), photo(library, "0.jpg").place_held) == ("", False)


def test_a_photo_that_left_its_xmp_file_behind_gets_another(library, file):  # noqa: F811
    Library.objects.update(ratings="sidecar")
    library.refresh_from_db()
    write(library, "Beside")
    write_all(library)
    scan(library)
    move(file, "moved.jpg")
    scan(library)
    write_all(library)
    assert said_in(file.with_name("moved.jpg.xmp")) == "Beside"
    assert (said(photo(library, "moved.jpg")), photo(library, "moved.jpg").place_held) == ("Beside", False)


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


def test_a_restore_gives_back_what_only_the_catalog_had(library):  # noqa: F811
    Library.objects.update(ratings="database")
    write(library, "Then")
    write(library, "Also then", "1.jpg")
    then = published(library)
    write(library, "Later")
    write(library, "", "1.jpg")
    write(library, "New", "2.jpg")
    published(library)
    restored(library, then)
    assert [(said(photo(library, f"{n}.jpg")), photo(library, f"{n}.jpg").place_held) for n in range(3)] == [
        ("Then", True),
        ("Also then", True),
        ("", False),
    ]
    scan(library)
    assert [said(photo(library, f"{n}.jpg")) for n in range(3)] == ["Then", "Also then", ""]
    Photo.objects.filter(library=library).delete()
    restored(library, then)
    assert (said(photo(library)), photo(library).place_held) == ("Then", True)
    scan(library)
    assert said(photo(library)) == "Then"


def test_what_belongs_into_files_stays_in_a_restore(library, file):  # noqa: F811
    write(library, "Held then")
    then = published(library)
    write_all(library)
    write(library, "Waits", "1.jpg")
    published(library)
    restored(library, then)
    scan(library)
    assert (said(photo(library)), photo(library).place_held) == ("Held then", False)
    assert (said(photo(library, "1.jpg")), photo(library, "1.jpg").place_held) == ("Waits", True)
    write_all(library)
    agrees(library, file, "Held then")
    agrees(library, file.with_name("1.jpg"), "Waits")


@pytest.mark.parametrize("when", ["asked", "planned"])
def test_what_is_written_during_a_restore_is_later(library, monkeypatch, when):  # noqa: F811
    Library.objects.update(ratings="database")
    write(library, "Then")
    then = published(library)
    write(library, "Between")
    published(library)
    operation = restore.start_restore(library, library.owner, then)
    if when == "asked":
        write(library, "Meanwhile")
    else:
        look = Switch.look_for_thumbnails
        monkeypatch.setattr(Switch, "look_for_thumbnails", lambda self: (write(library, "Meanwhile"), look(self))[1])
    run(operation)
    assert (said(photo(library)), photo(library).place_held) == ("Meanwhile", True)
    scan(library)
    assert said(photo(library)) == "Meanwhile"


@pytest.mark.parametrize("rows", ["known", "lost"])
def test_a_rebuild_keeps_what_only_the_catalog_had(library, file, rows):  # noqa: F811
    Library.objects.update(ratings="database")
    edit(file.with_name("1.jpg"), *in_file("In the file"))
    write(library, "Mine")
    write(library, "", "1.jpg")
    published(library)
    if rows == "lost":
        Photo.objects.filter(library=library).delete()
    library.refresh_from_db()
    run(rebuild.start_rebuild(library, library.owner))
    assert [(said(photo(library, f"{n}.jpg")), photo(library, f"{n}.jpg").place_held) for n in range(3)] == [
        ("Mine", True),
        ("", True),
        ("", False),
    ]


def test_a_snapshot_of_before_captions_were_marked(library):  # noqa: F811
    """It says nothing of them, so that those written since are taken back by a restore to it, as stars would be."""
    Library.objects.update(ratings="database")
    then = published(library)
    write(library, "Since")
    published(library)
    restored(library, then)
    scan(library)
    assert (said(photo(library)), photo(library).place_held) == ("", False)
