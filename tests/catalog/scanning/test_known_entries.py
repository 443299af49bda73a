"""The first level of the hash cache: what scans compare stays in memory, and is never believed longer than it is true."""

import pytest
from django.utils import timezone

from catalog.entries import counts as entries_counts
from catalog.entries import known as entries_known
from catalog.models import Library, Photo
from catalog.scanning.entry_cache import LONGEST_SECONDS, KnownEntries, known_entries
from tests.catalog.scanning.test_helpers import (
    PHOTOS,
    library,  # noqa: F401
    root,  # noqa: F401
)
from tests.catalog.scanning.test_scan import counts, scan
from tests.photos import make_jpeg

pytestmark = pytest.mark.django_db


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """The folders whose entries were read from the database by walks."""
    real, folders = entries_known.known_in, []

    def known_in(library, directories):  # noqa: F811
        folders.extend(directories)
        return real(library, directories)

    monkeypatch.setattr(entries_known, "known_in", known_in)
    return folders


def from_memory(library: Library, **params: object) -> int:  # noqa: F811
    """Scan, and return how many entries were known from memory."""
    operation = scan(library, **params)
    assert operation.state == "completed", operation.error
    return operation.metrics["known_from_memory"]


@pytest.mark.promise("S2-012", "S2-014")
def test_what_did_not_change_is_compared_in_memory(library, root, reads):  # noqa: F811
    assert from_memory(library) == 0  # nothing was known
    assert from_memory(library) == 0  # what the first scan wrote is read once
    reads.clear()
    operation = scan(library)
    assert operation.metrics["known_from_memory"] == PHOTOS == counts(operation)["unchanged"]
    assert reads == []
    path = next(root.rglob("IMG_00003.JPG"))
    make_jpeg(path, seed=99, mtime=1_600_000_000)  # size and time tell
    assert counts(scan(library))["changed"] == 1
    assert from_memory(library) == 0  # the library has another revision now


def test_a_change_by_anybody_else_is_seen(library, reads):  # noqa: F811
    scan(library)
    scan(library)
    photo = Photo.objects.order_by("filename")[0]
    Photo.objects.filter(pk=photo.pk).update(size_bytes=1)  # as another process does it …
    entries_counts.bump_revision(library)  # … with this, in the same transaction
    operation = scan(library)
    assert (operation.metrics["known_from_memory"], counts(operation)["changed"]) == (0, 1)


def test_who_looks_at_each_file_believes_no_memory(library, reads):  # noqa: F811
    scan(library)
    scan(library)
    assert from_memory(library, verify_heads=True) == 0
    assert from_memory(library) == PHOTOS


def test_a_library_that_was_forgotten_and_added_again_is_another_one(library, alice, reads):  # noqa: F811
    scan(library)
    scan(library)
    library.refresh_from_db()
    kept = {field.attname: getattr(library, field.attname) for field in Library._meta.concrete_fields}
    Photo.objects.all().delete()
    library.delete()
    again = Library.objects.create(**kept)  # the same id, root and revision
    Library.objects.filter(pk=again.pk).update(created_at=timezone.now())
    again.refresh_from_db()
    assert again.revision == kept["revision"]
    known, hits = known_entries.read(again, again.revision, sorted({path for _, _, path in known_entries._folders}))
    assert hits == 0 and not any(known.values())


@pytest.mark.promise("S2-012")
def test_only_so_much_is_kept_the_oldest_goes_first_and_after_a_day_all(library, root):  # noqa: F811
    for number in range(4):
        make_jpeg(root / f"more {number}" / "one.jpg", seed=300 + number)
        make_jpeg(root / f"more {number}" / "two.jpg", seed=400 + number)
    scan(library)
    library.refresh_from_db()
    now = [0.0]
    memory = KnownEntries(most=6, clock=lambda: now[0])
    library.photo_count = 6
    folders = [f"more {number}" for number in range(4)]
    for folder in folders[:3]:
        assert memory.read(library, 1, [folder])[1] == 0
    assert len(memory) == 6
    assert memory.read(library, 1, [folders[0]])[1] == 2  # used again, so the second is the oldest now
    memory.read(library, 1, [folders[3]])
    assert [memory.read(library, 1, [one])[1] for one in (folders[0], folders[2], folders[3])] == [2, 2, 2]
    assert len(memory) == 6
    assert memory.read(library, 2, [folders[0]])[1] == 0  # another revision
    now[0] += LONGEST_SECONDS + 1
    assert memory.read(library, 1, [folders[2]])[1] == 0
    library.photo_count = 7  # more than may be kept: nothing is
    memory.clear()
    memory.read(library, 1, folders)
    assert len(memory) == 0
