"""What a library's card shows: its counts and its covers."""

from datetime import UTC, datetime

import pytest

from catalog.entries.counts import refresh_counts
from tests.factories import make_library, make_photo, make_user

pytestmark = pytest.mark.django_db


def test_covers_are_whole_photos_that_know_their_date(tmp_path):
    library = make_library(make_user("alice"), tmp_path / "photos")

    def photo(day: int, **fields: object) -> str:
        taken = datetime(2024, 5, day, tzinfo=UTC)
        return str(make_photo(library, taken=taken, has_thumbnail=True, on_disk=False, **fields).pk)

    copied, torn = photo(30, taken_source="file"), photo(29, state="damaged")
    whole = [photo(day) for day in (5, 4, 3, 2, 1)]
    refresh_counts(library)
    assert library.cover_ids == whole[:4]
    library.photos.filter(pk__in=whole[1:]).delete()
    refresh_counts(library)
    assert library.cover_ids == [whole[0], copied, torn]  # better than none
