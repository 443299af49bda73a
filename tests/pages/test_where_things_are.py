"""A library's facts say to its owner what its snapshots bring back, and what only a backup does."""

import pytest

from catalog.models import Library
from tests.pages.test_library_pages import base

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("ratings", "words"),
    [
        ("database", "in no photo file: they are in the database and in these snapshots"),
        ("sidecar", "your dates in the database and in these snapshots"),
        ("file", "are in the photo files, and in these snapshots"),
    ],
)
def test_the_owner_is_told(cast, alice, bob, ratings, words):
    Library.objects.filter(pk=cast.library.pk).update(ratings=ratings)
    page = alice.get(f"{base(cast)}/about/").content.decode()
    assert words in page and "what is in the trash are in Photolala’s database alone" in page
    assert words not in bob.get(f"{base(cast)}/about/").content.decode()
