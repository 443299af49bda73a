"""Point 7 after a kill: a photo whose writer died, and whose file was moved then, stays the same; nothing is left behind."""

import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from catalog.edits.stars import star
from catalog.files import queue
from catalog.files.landing import Landing
from catalog.files.trash import restore_items, trash_photos
from catalog.files.trash_empty import start_emptying
from catalog.files.write import Writing
from catalog.models import FileWrite, Library, Photo, TrashItem
from catalog.scanning.scan import Scan
from catalog.sources.hidden import PREFIX
from catalog.sources.replacing import Replacement
from operations.models import Operation, State
from operations.running import execute
from tests.photos import make_jpeg

from .moving import at, begin, library_of, move, scan, write_all
from .test_07_moves_during_a_scan import moved_while_walking
from .writers import stars_in, write_and_die

pytestmark = pytest.mark.django_db
STEPS = {
    "before the exchange": (Replacement, "swap", "before"),
    "after the exchange": (Landing, "_tell", "before"),
    "told": (Landing, "_tell", "after"),
}
EXCHANGED = STEPS["after the exchange"]
OLD, NEW = "a/1.jpg", "z/1.jpg"


@pytest.fixture
def library(alice, bob, tmp_path) -> Library:
    library = library_of(alice, tmp_path / "photos", editor=bob)
    scan(library)
    return library


def killed(library: Library, step: tuple[Any, ...] = EXCHANGED) -> Photo:
    """Let a writer die over five stars for one photo; return that."""
    photo = at(library, OLD)
    star(library.owner, photo.pk, 5)
    write_and_die(library, *step)
    assert hidden(library)
    return photo


def hidden(library: Library) -> list[str]:
    root = Path(library.root)
    return sorted(str(path.relative_to(root)) for path in root.rglob(f"{PREFIX}*"))


def write(library: Library) -> None:
    """Write all that waits, now."""
    FileWrite.objects.update(try_at=timezone.now())
    write_all(library)


def settled(library: Library, photo: Photo, stars: int, path: str = NEW) -> None:
    """After the next writer and scan the photo lies at `path`, with these stars in catalog and file; nothing is left."""
    write(library)
    scan(library)
    write(library)
    scan(library)
    rows = Photo.objects.filter(library=library)
    assert {row.path: row.pk for row in rows if row.filename.startswith("1.jpg")} == {path: photo.pk}
    assert not rows.filter(state="missing").exists() and rows.count() == 7
    assert (at(library, path).rating, stars_in(Path(library.root) / path)) == (stars or None, stars)
    assert hidden(library) == []
    assert not FileWrite.objects.filter(state__in=FileWrite.OPEN).exists()


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("is_tried", [False, True])
def test_moved_before_the_next_writer_comes(library, step, is_tried):
    photo = killed(library, STEPS[step])
    move(library, OLD, NEW)
    if is_tried:
        write(library)
    scan(library)
    settled(library, photo, 5)


@pytest.mark.parametrize("is_written", [False, True])
@pytest.mark.parametrize("stars", [None, 2, 0])
@pytest.mark.parametrize("step", STEPS)
def test_seen_at_both_places_and_rated_at_the_new_one(library, monkeypatch, step, stars, is_written):
    photo = killed(library, STEPS[step])
    moved_while_walking(library, monkeypatch, OLD, NEW)
    if stars is not None:
        star(library.owner, at(library, NEW).pk, stars)
    if is_written:
        write(library)
    scan(library)
    settled(library, photo, 5 if stars is None else stars)


@pytest.mark.parametrize("is_written", [False, True])
def test_moved_on_before_the_first_move_was_followed(library, monkeypatch, is_written):
    photo = killed(library)
    moved_while_walking(library, monkeypatch, OLD, NEW)
    star(library.owner, at(library, NEW).pk, 2)
    if is_written:
        write(library)
    move(library, NEW, "m/1.jpg")
    scan(library)
    settled(library, photo, 2, "m/1.jpg")


def test_rated_at_its_new_place_and_moved_on_without_any_kill(library, monkeypatch):
    photo = at(library, OLD)
    moved_while_walking(library, monkeypatch, OLD, NEW)
    star(library.owner, at(library, NEW).pk, 2)
    write(library)
    move(library, NEW, "m/1.jpg")
    scan(library)
    settled(library, photo, 2, "m/1.jpg")


def test_the_writer_of_its_new_place_dies_too(library, monkeypatch):
    photo = killed(library)
    moved_while_walking(library, monkeypatch, OLD, NEW)
    star(library.owner, at(library, NEW).pk, 2)
    write_and_die(library, *EXCHANGED)
    scan(library)
    settled(library, photo, 2)


@pytest.mark.parametrize("is_resumed", [False, True])
def test_moved_after_the_scan_saw_the_new_version_and_before_it_read_it(library, monkeypatch, is_resumed):
    photo = killed(library)
    digest = Scan.digest

    def moved_first(self: Scan, *arguments: Any) -> Any:
        monkeypatch.setattr(Scan, "digest", digest)
        move(library, OLD, NEW)
        if is_resumed:
            raise OSError(5, os.strerror(5))
        return digest(self, *arguments)

    monkeypatch.setattr(Scan, "digest", moved_first)
    if is_resumed:
        assert execute(begin(library).pk).state == State.FAILED
    scan(library)
    scan(library)
    settled(library, photo, 5)


@pytest.mark.parametrize("is_seen_twice", [False, True])
def test_the_wish_is_given_up_meanwhile(library, monkeypatch, is_seen_twice):
    photo = killed(library)
    if is_seen_twice:
        moved_while_walking(library, monkeypatch, OLD, NEW)
    else:
        move(library, OLD, NEW)
    write(library)
    assert queue.give_up(FileWrite.objects.get())
    Photo.objects.update(image_digest="")  # of the picture alone nobody can tell
    scan(library)
    settled(library, photo, 5)


def test_moved_there_and_back(library, monkeypatch):
    photo = killed(library)
    moved_while_walking(library, monkeypatch, OLD, NEW)
    star(library.owner, at(library, NEW).pk, 2)
    move(library, NEW, OLD)
    write(library)
    scan(library)
    rows = Photo.objects.filter(library=library).exclude(state="missing")
    assert [row.pk for row in rows if row.filename == "1.jpg"] == [photo.pk]
    write(library)
    scan(library)
    assert hidden(library) == []


# -- what is left in the folder where it was --------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
def test_deleted_before_the_next_writer_comes(library, step):
    photo = killed(library, STEPS[step])
    assert trash_photos(library.owner, [photo.pk]).count == 1
    write(library)
    scan(library)
    write_all(library)
    assert hidden(library) == []
    assert restore_items(library.owner, library, [TrashItem.objects.get().pk]).count == 1
    for operation in Operation.objects.filter(active_key=library.scan_key, state=State.PENDING):
        execute(operation.pk)
    settled(library, photo, 5, OLD)


@pytest.mark.parametrize("step", STEPS)
def test_deleted_for_good_before_the_next_writer_comes(library, step):
    photo = killed(library, STEPS[step])
    assert trash_photos(library.owner, [photo.pk]).count == 1
    assert execute(start_emptying(library, library.owner, 1, enqueue=False).pk).state == State.COMPLETED
    assert hidden(library) == []
    assert not Photo.objects.filter(pk=photo.pk).exists()


@pytest.mark.parametrize("step", STEPS)
def test_the_only_version_that_is_left_stays(library, step):
    """Another program deletes the file: what the writer left is all that there is of the picture."""
    photo = killed(library, STEPS[step])
    kept = {(Path(library.root) / name).read_bytes() for name in hidden(library)}
    (Path(library.root) / OLD).unlink()
    for _ in range(2):
        write(library)
        scan(library)
    assert {(Path(library.root) / name).read_bytes() for name in hidden(library)} == kept
    assert at(library, OLD).pk == photo.pk


@pytest.mark.parametrize("is_tried", [False, True])
def test_another_photo_came_under_its_old_name(library, is_tried):
    photo = killed(library)
    move(library, OLD, NEW)
    make_jpeg(Path(library.root) / OLD, seed=701)
    if is_tried:
        write(library)
    for _ in range(2):
        scan(library)
        write(library)
    scan(library)
    assert (at(library, NEW).pk, at(library, NEW).rating, at(library, OLD).rating) == (photo.pk, 5, None)
    assert (stars_in(Path(library.root) / NEW), stars_in(Path(library.root) / OLD)) == (5, 0)
    assert hidden(library) == []


@pytest.mark.parametrize("is_name_taken", [False, True])
def test_what_another_program_had_saved_in_the_instant_of_the_kill_comes_back(library, monkeypatch, is_name_taken):
    photo = killed(library)
    root = Path(library.root)
    (name,) = hidden(library)
    make_jpeg(root / name, seed=700)  # as if it had been exchanged for the new version
    saved = (root / name).read_bytes()
    move(library, OLD, NEW)
    if is_name_taken:
        make_jpeg(root / OLD, seed=701)
    for _ in range(2):
        scan(library)
        write(library)
    assert hidden(library) == []
    assert (root / ("a/1 (2).jpg" if is_name_taken else OLD)).read_bytes() == saved
    assert at(library, NEW).pk == photo.pk


def test_the_writer_that_comes_next_dies_before_it_has_cleared_up(library):
    """The folder in which the first one worked is not forgotten for that of the second."""
    photo = killed(library)
    move(library, OLD, NEW)
    scan(library)
    FileWrite.objects.update(try_at=timezone.now())
    write_and_die(library, Writing, "_may_be_tried", "before")
    move(library, NEW, "m/1.jpg")
    scan(library)
    settled(library, photo, 5, "m/1.jpg")


def test_the_whole_folder_was_renamed(library):
    photo = killed(library, STEPS["told"])
    (Path(library.root) / "a").rename(Path(library.root) / "b")
    write(library)
    scan(library, confirm_gone=True)
    settled(library, photo, 5, "b/1.jpg")


def test_a_scan_has_cleared_up_what_no_write_waits_for(library, django_capture_on_commit_callbacks):
    killed(library, STEPS["told"])
    move(library, OLD, NEW)
    with django_capture_on_commit_callbacks() as asked:
        scan(library)
    assert any("start_writing" in callback.__code__.co_names for callback in asked)
    write_all(library)
    assert hidden(library) == []


def test_what_was_left_beside_a_row_that_is_gone_for_good_is_removed(library):
    """Its picture is elsewhere, as another photo, into whose file something was written since."""
    photo = at(library, OLD)
    before = (Path(library.root) / OLD).read_bytes()
    move(library, OLD, NEW)
    scan(library)
    star(library.owner, photo.pk, 5)
    write(library)
    gone = Photo.objects.get(pk=photo.pk)
    gone.photo_md5 = photo.photo_md5
    gone.pk, gone.directory, gone.state, gone.missing_since = uuid4(), "a", Photo.State.MISSING, timezone.now()
    gone.save(force_insert=True)
    left = FileWrite.objects.create(
        library=library,
        photo=gone,
        user=library.owner,
        kind="rating",
        wanted={"rating": 3},
        state=FileWrite.State.SUPERSEDED,
        old_md5=photo.photo_md5,
        claimed_path=OLD,
        try_at=timezone.now(),
        claim_token=1,
    )
    hidden_copy = Path(library.root) / "a" / f"{PREFIX}{left.pk.hex}-1.jpg"
    hidden_copy.write_bytes(before)
    Photo.objects.filter(pk=gone.pk).update(
        added_at=photo.added_at, seen_at=timezone.now()
    )  # no scan leads it anywhere
    star(library.owner, photo.pk, 4)
    write(library)
    assert stars_in(Path(library.root) / NEW) == 4
    assert hidden(library) == []
