"""Point 17: what a later version keeps of photos is filled in by its scans, a share at a time, and the doctor says how far."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog.doctor import examine
from catalog.media.exiftool import exiftool_command
from catalog.media.pool import DecoderPool
from catalog.media.results import DigestResult
from catalog.media.task import Job
from catalog.models import Library, Photo
from catalog.scanning import later_columns
from catalog.scanning.later_columns import Filling, unfilled
from operations.models import State
from operations.running import execute
from tests.photos import make_jpeg

from .moving import at, begin, library_of, scan

pytestmark = pytest.mark.django_db
_DIGEST = DecoderPool.digest


@pytest.fixture
def library(alice, tmp_path) -> Library:
    """Catalogued by a version that kept no digests of pictures."""
    library = library_of(alice, tmp_path / "photos", photos=4)
    scan(library)
    forget_digests()
    return library


def forget_digests() -> None:
    Photo.objects.update(image_digest="", later_tried=0)


def digests() -> int:
    return Photo.objects.exclude(image_digest="").count()


def told() -> list[str]:
    return [one.sentence for one in examine().findings if one.code == "library.later_columns"]


def test_photos_of_an_earlier_version_keep_their_identity(library):
    scan(library)
    assert digests() == 8 and told() == []
    keys = {photo.path: photo.pk for photo in Photo.objects.all()}
    root = Path(library.root)
    for path in keys:
        target = root / "elsewhere" / path.replace("/", "-")
        target.parent.mkdir(exist_ok=True)
        (root / path).rename(target)
        words = ["-overwrite_original", "-XMP-dc:Title=Another word", str(target)]
        subprocess.run([*exiftool_command(), *words], check=True, capture_output=True)
    scan(library, confirm_gone=True)
    assert {photo.path: photo.pk for photo in Photo.objects.all()} == {
        f"elsewhere/{path.replace('/', '-')}": key for path, key in keys.items()
    }


def test_a_share_at_a_time_and_the_doctor_says_how_far(library, monkeypatch):
    monkeypatch.setattr(later_columns, "LEAST", 3)
    before = Library.objects.get().snapshot_md5
    for done, left in ((3, 8), (6, 5), (8, 2)):
        assert f"{left} of 8 photos of “Moving”" in told()[0]
        scan(library)
        assert digests() == done
    assert told() == [] and Library.objects.get().snapshot_md5 == before


def test_killed_in_the_middle_it_goes_on_from_there(library, monkeypatch):
    monkeypatch.setattr(later_columns, "BATCH", 2)
    real, calls = Filling._apply, []

    def die_at_the_second(self, read):
        calls.append(len(read))
        if len(calls) == 2:
            raise MemoryError
        real(self, read)

    with monkeypatch.context() as patch:
        patch.setattr(Filling, "_apply", die_at_the_second)
        assert execute(begin(library).pk).state == State.FAILED
    assert digests() == 2
    scan(library)
    assert digests() == 8


def test_a_file_that_was_changed_unseen_is_left_to_the_next_scan(library):
    path = Path(library.root) / "a" / "1.jpg"
    photo, facts = at(library, "a/1.jpg"), path.stat()
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    scan(library)
    assert digests() == 7 and at(library, "a/1.jpg").photo_md5 == photo.photo_md5
    scan(library)
    assert digests() == 8 and at(library, "a/1.jpg").photo_md5 != photo.photo_md5
    assert at(library, "a/1.jpg").pk == photo.pk


def test_what_has_none_is_not_read_for_ever(library, monkeypatch):
    make_jpeg(Path(library.root) / "new.jpg", seed=300)
    Photo.objects.filter(filename="1.jpg").update(media_type="video/mp4")
    monkeypatch.setattr(DecoderPool, "digest", _without_digests)
    scan(library)
    assert not unfilled(library).filter(media_type="image/jpeg").exclude(filename="new.jpg").exists()
    scan(library)
    assert not unfilled(library).exists()
    monkeypatch.setattr(Filling, "_jobs", lambda *_: 1 / 0)
    scan(library)


def _without_digests(self: DecoderPool, jobs: Iterator[Job]) -> Iterator[tuple[Job, DigestResult]]:
    for job, result in _DIGEST(self, jobs):
        result.image_digest = ""
        yield job, result
