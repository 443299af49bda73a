"""Point 1, found by the random drills: a scan had read a photo before it was written, and told of it after the writer did.

The row then said the former stars, as if the file did. Who gave those again was told that all is well, and nothing was written.
"""

import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from catalog.edits.stars import star
from catalog.entries import rows as entries_rows
from catalog.entries.folder_comparison import doubted
from catalog.entries.owner_stars import mirror_read_stars
from catalog.files.landing import Landing
from catalog.models import FileWrite, Library, Photo
from catalog.roots.reach import source_for
from catalog.scanning import verify
from catalog.scanning.team import Team

from .moving import at, library_of, open_writes, scan, write_all
from .test_10_the_later_wish import in_file
from .writers import frozen_at

pytestmark = pytest.mark.django_db
PATH = "a/1.jpg"


@pytest.fixture(params=["file", "sidecar"])
def library(request, alice, tmp_path) -> Library:
    library = library_of(alice, tmp_path / "photos", ratings=request.param)
    scan(library)
    star(alice, at(library, PATH).pk, 3)
    write_all(library)
    scan(library)
    return library


def settled(library: Library, count: int) -> None:
    """After writers and scans catalog and file say so many stars."""
    for _ in range(2):
        FileWrite.objects.update(try_at=timezone.now())
        write_all(library)
        scan(library)
        assert at(library, PATH).rating == count
    assert in_file(library, PATH)["stars"] == count
    assert open_writes(library) == []


def test_a_scan_that_read_the_old_version_does_not_tell_of_it_after_the_writer(library, alice, monkeypatch):
    photo = at(library, PATH)
    read: list[dict[str, Any]] = []

    def read_but_not_told() -> None:
        Photo.objects.filter(pk=photo.pk).update(sidecars=doubted(photo.sidecars.removeprefix("?")))
        Library.objects.update(revision=library.revision + 100)
        with monkeypatch.context() as patch:
            patch.setattr(Team, "apply", lambda self, rows: read.extend(rows))
            scan(library)

    star(alice, photo.pk, 1)
    with frozen_at(Landing, "land", "before", read_but_not_told):
        write_all(library)
    assert [row["id"] for row in read] == [photo.pk] and not FileWrite.objects.filter(state__in=FileWrite.OPEN).exists()
    entries_rows.apply_digests(library, read)
    mirror_read_stars(library, [(row["id"], row["rating"]) for row in read])
    star(alice, photo.pk, 3)  # as it was, as the old version said
    settled(library, 3)


def test_another_program_gave_other_stars_while_a_wish_waited(library, alice):
    """The wish is taken back then; the file does not say any more what it said when the wish was made."""
    photo = at(library, PATH)
    star(alice, photo.pk, 1)
    path = Path(library.root) / PATH
    edited = path.with_name(path.name + ".xmp") if library.ratings == "sidecar" else path
    rate_outside(edited, 4)
    scan(library)
    star(alice, photo.pk, 3)
    settled(library, 3)


@pytest.mark.parametrize("is_scan_still_at_it", [False, True])
def test_a_file_that_was_changed_between_the_writer_s_two_steps_is_read_again(
    alice, tmp_path, monkeypatch, is_scan_still_at_it
):
    """Another program wrote it after the new version took its place, and a scan read that before the catalog was told."""
    library = library_of(alice, tmp_path / "photos")
    scan(library)
    photo = at(library, PATH)

    def changed_and_read() -> None:
        rate_outside(Path(library.root) / PATH, 4)
        with monkeypatch.context() as patch:
            if is_scan_still_at_it:
                patch.setattr(verify, "settle_fresh", lambda *words: 0)
            scan(library)

    star(alice, photo.pk, 1)
    with frozen_at(Landing, "_tell", "before", changed_and_read):
        write_all(library)
    if is_scan_still_at_it:
        with closing(source_for(library)) as source:
            verify.settle_fresh(library, source, lambda: None)
    for _ in range(2):
        scan(library)
        write_all(library)
        assert at(library, PATH).rating == in_file(library, PATH)["stars"] == 4


def rate_outside(path: Path, count: int) -> None:
    """Give stars as another program does."""
    words = ["exiftool", "-q", "-overwrite_original", f"-XMP-xmp:Rating={count}", str(path)]
    subprocess.run(words, check=True)
