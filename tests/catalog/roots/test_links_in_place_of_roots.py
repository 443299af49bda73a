"""A link that stands in the place of a library's root, or of a destination, leads nobody anywhere."""

import shutil
from pathlib import Path

import pytest
from django.core.management import call_command

from catalog.edits.ratings import set_rating
from catalog.entries.pending_writes import start_writing
from catalog.files import trash
from catalog.models import FileWrite, Library, Photo, TrashItem
from catalog.scanning.requests import start_scan
from exports.destinations.folders import add_destination
from exports.ledger.placement import DEFAULT_TEMPLATE
from exports.originals.requests import start_folder_export
from operations.control import resume
from operations.models import State
from operations.running import execute
from tests.factories import make_user
from tests.photos import make_library as make_files

pytestmark = pytest.mark.django_db


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """Another person's private folder."""
    return make_files(tmp_path / "bob" / "private", 5)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    root = make_files(tmp_path / "alice", 5)
    library = Library.objects.create(owner=make_user("alice"), name="Hers", root=str(root))
    scan(library)
    return library


def scan(library: Library, **params: object):
    operation = execute(start_scan(library, library.owner, **params).pk)
    assert operation is not None
    return operation


def swap(library: Library, theirs: Path) -> Path:
    """Put a link to the other folder into the root's place."""
    root = Path(library.root)
    aside = root.with_name("aside")
    root.rename(aside)
    for name in aside.glob(".photolala*"):  # the pointer alone would not stop it
        (theirs / name.name).write_bytes(name.read_bytes())
    root.symlink_to(theirs, target_is_directory=True)
    return aside


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_no_scan_reads_through_it_even_if_confirmed(library: Library, theirs: Path) -> None:
    rows = set(Photo.objects.values_list("pk", "photo_md5", "state"))
    swap(library, theirs)
    before = contents(theirs)
    for params in ({}, {"confirm_gone": True}):
        operation = scan(library, **params)
        assert (operation.state, operation.error_code) == (State.FAILED, "root_unavailable")
        assert "leads over a link now" in operation.error
    assert set(Photo.objects.values_list("pk", "photo_md5", "state")) == rows
    assert contents(theirs) == before


def test_no_star_and_no_deletion_goes_through_it(library: Library, theirs: Path) -> None:
    photo = Photo.objects.order_by("directory", "filename").first()
    assert photo is not None
    swap(library, theirs)
    before = contents(theirs)
    set_rating(library.owner, photo.pk, 5)
    operation = start_writing(library, library.owner)
    if operation is not None:
        execute(operation.pk)
    assert not FileWrite.objects.filter(state=FileWrite.State.DONE).exists()
    done = trash.trash_photos(library.owner, [photo.pk])
    assert done.count == 0 and done.errors
    assert not TrashItem.objects.filter(state=TrashItem.State.TRASHED).exists()
    assert contents(theirs) == before


def test_no_original_is_served_through_it(library: Library, theirs: Path, client) -> None:
    photo = Photo.objects.order_by("directory", "filename").first()
    assert photo is not None
    swap(library, theirs)
    client.force_login(library.owner)
    answer = client.get(f"/api/v1/photos/{photo.pk}/original/")
    assert answer.status_code == 503, answer


def test_a_link_higher_up_is_none_either(library: Library, theirs: Path, tmp_path: Path) -> None:
    root = Path(library.root)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    library_folder = tmp_path / "deep" / root.name
    library_folder.parent.mkdir()
    root.rename(library_folder)
    Library.objects.filter(pk=library.pk).update(root=str(library_folder))
    library.refresh_from_db()
    assert scan(library).state == State.COMPLETED
    library_folder.parent.rename(tmp_path / "was-deep")
    (elsewhere / root.name).symlink_to(theirs, target_is_directory=True)
    (tmp_path / "deep").symlink_to(elsewhere, target_is_directory=True)
    assert scan(library, confirm_gone=True).error_code == "root_unavailable"


def test_a_destination_that_was_swapped_gets_nothing(library: Library, theirs: Path, tmp_path: Path, settings) -> None:
    settings.PHOTO_ROOTS = [str(tmp_path)]
    goal = tmp_path / "exported"
    destination = add_destination(library.owner, "Disk", str(goal), DEFAULT_TEMPLATE)
    first = execute(start_folder_export(library.owner, library, destination).pk)
    assert first is not None and first.state == State.COMPLETED and first.result["copied"] == 5
    goal.rename(tmp_path / "aside")
    goal.symlink_to(theirs, target_is_directory=True)
    records = destination.records_folder.relative_to(goal)
    shutil.copytree(tmp_path / "aside" / records, theirs / records, dirs_exist_ok=True)  # as an attacker would
    before = contents(theirs)
    make_files(Path(library.root), 8)
    scan(library)
    operation = execute(start_folder_export(library.owner, library, destination).pk)
    assert operation is not None and (operation.state, operation.error_code) == (State.FAILED, "destination")
    assert contents(theirs) == before
    goal.unlink()
    (tmp_path / "aside").rename(goal)
    resume(operation)
    again = execute(operation.pk)
    assert again is not None and again.state == State.COMPLETED


def test_the_doctor_names_it(library: Library, theirs: Path, capsys) -> None:
    swap(library, theirs)
    with pytest.raises(SystemExit):
        call_command("doctor")
    assert "leads over a link now" in capsys.readouterr().out
