"""An upgrade keeps what is in the database, and makes of owners' stars what they are now."""

import uuid
from datetime import UTC, datetime

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from catalog.models import favourite_id
from catalog.words import tables

OLD = [("catalog", "0001_initial")]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def migrate(targets):
    """Bring the database to `targets` and return the models as they are there."""
    executor = MigrationExecutor(connection)
    executor.migrate(targets)
    return MigrationExecutor(connection).loader.project_state(targets).apps


@pytest.fixture
def latest():
    """Whatever the test does, the database is as the next one expects it."""
    targets = MigrationExecutor(connection).loader.graph.leaf_nodes()  # others' migrations go with the catalog's
    yield targets
    migrate(targets)
    tables.install()  # as the command does after its migrations


@pytest.mark.django_db(transaction=True)
def test_rows_of_the_first_version_stay_as_they_were(latest):
    apps = migrate(OLD)
    alice, bob = (get_user_model().objects.create_user(name) for name in ("alice", "bob"))
    library = apps.get_model("catalog", "Library").objects.create(owner_id=alice.pk, name="Attic", root="/attic")
    photo = apps.get_model("catalog", "Photo")
    keys = []
    for number in range(3):
        row = photo.objects.create(
            id=uuid.uuid4(),
            library=library,
            directory="a",
            filename=f"{number}.jpg",
            size_bytes=number,
            mtime_ns=5,
            head_md5="0" * 32,
            photo_md5="1" * 32,
            added_at=NOW,
            rating=2 if number == 1 else None,
            keywords=["x"],
        )
        keys.append(row.pk)
    favourite = apps.get_model("catalog", "Favourite")
    favourite.objects.create(user_id=alice.pk, photo_id=keys[0], rating=4)
    favourite.objects.create(user_id=bob.pk, photo_id=keys[1], rating=5)
    before = {row["id"]: row for row in photo.objects.values()}
    earlier = migrate([("catalog", "0023_returned_photos")])
    writes, photos = (earlier.get_model("catalog", name).objects for name in ("FileWrite", "Photo"))
    photos.update(dated_at=NOW, taken_source="exif")  # given by a person, and written
    photos.filter(pk=keys[0]).update(sidecars="xmp")
    writes.create(
        library_id=library.pk, photo_id=keys[1], kind="rating", wanted={}, try_at=NOW, way_back=b"d", deaths=2
    )
    for _ in range(2):  # safe to repeat
        after = migrate(latest).get_model("catalog", "Photo")
    rows = {row["id"]: row for row in after.objects.values()}
    for key, row in before.items():
        changed = ("rating", "dated_at", "taken_source", "sidecars")
        kept = {name: value for name, value in row.items() if name not in changed}
        assert {name: rows[key][name] for name in kept} == kept
    held = {key: (rows[key]["rating"], rows[key]["rating_held"]) for key in keys}
    assert held == {keys[0]: (4, True), keys[1]: (2, False), keys[2]: (None, False)}
    assert [rows[key]["taken_held"] for key in keys] == [True, False, False]
    ((delta, crashes),) = (
        migrate(latest).get_model("catalog", "FileWrite").objects.values_list("undo_delta", "crash_count")
    )
    assert (bytes(delta), crashes) == (b"d", 2)
    favourites = migrate(latest).get_model("catalog", "Favourite").objects.order_by("rating")
    assert list(favourites.values_list("wire_id", flat=True)) == [
        favourite_id(alice.pk, keys[0]),
        favourite_id(bob.pk, keys[1]),
    ]
    assert migrate(latest).get_model("catalog", "Library").objects.get().file_times == "update"
