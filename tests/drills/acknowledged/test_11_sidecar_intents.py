"""Stars beside the photo: an interrupted write of an XMP file is known of, and no other program's XMP file is lost."""

from pathlib import Path

import pytest

from catalog.entries import pending_writes
from catalog.files.landing import Landing
from catalog.files.prepared import SidecarVersion
from catalog.files.writer import FileWriter
from catalog.media.exiftool import ExifTool, ExifToolFailed
from catalog.models import FileWrite, Library
from catalog.sources import renaming
from catalog.sources.new_files import NewFile
from catalog.sources.replacing import Replacement
from operations.models import Operation, State
from operations.running import Interrupted, Run, execute
from tests.catalog.edits.test_ratings import library  # noqa: F401
from tests.catalog.scanning.test_scan import scan
from tests.drills.acknowledged.writers import (
    Killed,
    die_at,
    hidden_in,
    photo,
    rate,
    stars_in,
    write_all,
    write_and_die,
)
from tests.factories import make_jpeg

pytestmark = pytest.mark.django_db
STEPS = {
    "before the exchange": (Replacement, "swap", "before"),
    "in the exchange": (renaming, "exchange", "after"),
    "after the exchange": (Landing, "_tell", "before"),
    "told": (Landing, "_tell", "after"),
}
OTHERS = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    ' xmp:Rating="{stars}"><dc:description><rdf:Alt><rdf:li xml:lang="x-default">Their words</rdf:li></rdf:Alt>'
    "</dc:description></rdf:Description></rdf:RDF></x:xmpmeta>"
)


@pytest.fixture
def beside(library) -> Path:  # noqa: F811
    Library.objects.update(ratings="sidecar")
    library.refresh_from_db()
    return Path(library.root) / "0.jpg.xmp"


def agrees(library: Library, beside: Path, stars: int) -> None:  # noqa: F811
    assert (stars_in(beside), photo(library).rating or 0) == (stars, stars)
    assert hidden_in(library) == []
    assert scan(library).result["changed"] == 0
    assert photo(library).rating == (stars or None)


def have_stars(library: Library, stars: int) -> None:  # noqa: F811
    rate(library, stars)
    write_all(library)


@pytest.mark.parametrize("step", STEPS)
def test_the_star_is_taken_back_after_a_kill(library, beside, step):  # noqa: F811
    have_stars(library, 1)
    rate(library, 5)
    write_and_die(library, *STEPS[step])
    rate(library, 1)
    write_all(library)
    agrees(library, beside, 1)


@pytest.mark.parametrize("step", [(NewFile, "swap", "before"), (NewFile, "swap", "after"), STEPS["after the exchange"]])
def test_the_first_star_is_taken_back_after_a_kill(library, beside, step):  # noqa: F811
    rate(library, 5)
    write_and_die(library, *step)
    rate(library, 0)
    write_all(library)
    assert (stars_in(beside) if beside.exists() else 0) == 0
    assert hidden_in(library) == []
    scan(library)
    assert photo(library).rating is None


@pytest.mark.parametrize("policy", ["sidecar", "file"])
def test_the_star_is_taken_back_after_an_orderly_stop(library, beside, policy, monkeypatch):  # noqa: F811
    """The worker shuts down right after the exchange of the XMP file, and gives its claims back."""
    have_stars(library, 1)
    Library.objects.update(ratings=policy)
    library.refresh_from_db()
    if policy == "file":
        have_stars(library, 2)
    back = photo(library).rating
    rate(library, 5)

    def stop(*_: object) -> None:
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(Landing, "_tell", stop)
        assert execute(pending_writes.start_writing(library, library.owner).pk).state == State.PENDING
    Operation.objects.update(state=State.FAILED)
    rate(library, back)
    write_all(library)
    agrees(library, beside, back)
    assert stars_in(beside.with_suffix("")) == (back if policy == "file" else 0)


def test_the_star_is_taken_back_after_the_photo_could_not_be_written(library, beside, monkeypatch):  # noqa: F811
    """Stars in files, an XMP file beside it: exiftool fails for the photo in passing, when the XMP's version was made."""
    have_stars(library, 1)
    Library.objects.update(ratings="file")
    library.refresh_from_db()
    have_stars(library, 2)
    rate(library, 5)
    ask = ExifTool.ask

    def fail_for_photos(self, arguments, seconds):
        if any(word.startswith("-IFD0:") for word in arguments):
            raise ExifToolFailed("exiftool ended.")
        return ask(self, arguments, seconds)

    with monkeypatch.context() as patch:
        patch.setattr(ExifTool, "ask", fail_for_photos)
        with pytest.raises(AssertionError):
            write_all(library)
    assert FileWrite.objects.filter(state="pending", code="tool_died").count() == 1
    rate(library, 2)
    write_all(library)
    agrees(library, beside, 2)
    assert stars_in(beside.with_suffix("")) == 2


def test_only_what_was_never_claimed_ends_unwritten(library, beside):  # noqa: F811
    rate(library, 5)
    rate(library, 0)
    assert FileWrite.objects.get().state == "superseded"
    rate(library, 5)
    FileWrite.objects.filter(state="pending").update(claim_token=1)
    rate(library, 0)
    assert FileWrite.objects.filter(state="pending").count() == 1


@pytest.mark.parametrize("second", [5, 2])
def test_another_programs_xmp_that_a_killed_writer_displaced_is_put_back(library, beside, second):  # noqa: F811
    have_stars(library, 1)
    rate(library, 5)
    exchange = renaming.exchange

    def displace(folder: int, first: bytes, name: bytes) -> bool:
        aside = beside.with_name("aside")
        aside.write_text(OTHERS.format(stars=4))
        aside.rename(beside)
        exchange(folder, first, name)
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        die_at(patch, Landing, "_tell", "before")
        patch.setattr(renaming, "exchange", displace)
        operation = pending_writes.start_writing(library, library.owner)
        with pytest.raises(Killed):
            execute(operation.pk)
    Operation.objects.update(state=State.FAILED)
    assert "Their words" not in beside.read_text()
    if second != 5:
        rate(library, second)
    write_all(library)
    assert "Their words" in beside.read_text()
    agrees(library, beside, second)


def test_what_a_program_wrote_after_the_kill_stays(library, beside):  # noqa: F811
    have_stars(library, 1)
    rate(library, 5)
    write_and_die(library, *STEPS["after the exchange"])
    beside.write_text(OTHERS.format(stars=4))
    rate(library, 3)
    write_all(library)
    assert "Their words" in beside.read_text()
    agrees(library, beside, 3)


def test_an_xmp_file_that_appears_in_the_very_moment_is_kept(library, beside, monkeypatch):  # noqa: F811
    original = FileWriter._new_sidecar

    def appear(self, *arguments) -> tuple[SidecarVersion, str]:
        version = original(self, *arguments)
        beside.write_text(OTHERS.format(stars=4))
        return version

    rate(library, 5)
    with monkeypatch.context() as patch:
        patch.setattr(FileWriter, "_new_sidecar", appear)
        with pytest.raises(AssertionError):
            write_all(library)
    assert FileWrite.objects.get().code == "busy"
    assert hidden_in(library) == []
    write_all(library)
    assert "Their words" in beside.read_text()
    agrees(library, beside, 5)


def test_the_photo_itself_is_never_touched(library, beside):  # noqa: F811
    file = beside.with_suffix("")
    before = (file.read_bytes(), file.stat().st_mtime_ns, file.stat().st_ino)
    rate(library, 5)
    write_and_die(library, *STEPS["after the exchange"])
    rate(library, 2)
    write_all(library)
    assert (file.read_bytes(), file.stat().st_mtime_ns, file.stat().st_ino) == before
    assert make_jpeg(seed=0) == before[0]


def test_the_run_says_what_it_wrote(library, beside):  # noqa: F811
    rate(library, 5)
    write_and_die(library, *STEPS["after the exchange"])
    assert write_all(library)["written"] == 1
    done = FileWrite.objects.get()
    assert (done.previous, done.xmp_new_md5, Run.__name__) == ({"rating": 0}, "", "Run")
