"""Captions of many photos at once: each its own, in as many statements as for a few."""

from pathlib import Path
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from catalog.edits.captions import set_captions
from catalog.entries.sql import update_rows
from catalog.models import FileWrite, Photo
from changes.models import FieldState
from photolala.lib.captions import BadCaption
from tests.factories import make_library, make_photos

pytestmark = pytest.mark.django_db


def rows_of(photos: list[Photo]) -> list[Photo]:
    return [Photo.objects.get(pk=photo.pk) for photo in photos]


def test_each_photo_gets_its_own_and_what_is_gone_gets_none(alice: User, tmp_path: Path) -> None:
    here, elsewhere = make_library(alice, tmp_path / "a"), make_library(alice, tmp_path / "b", name="Catalog")
    type(elsewhere).objects.filter(pk=elsewhere.pk).update(ratings="database")
    photos = [*make_photos(here, 2), *make_photos(elsewhere, 1)]
    Photo.objects.filter(pk=photos[0].pk).update(caption="Said by the file")
    Photo.objects.update(version=7)
    wanted = {photos[0].pk: "Said by the file", photos[1].pk: " Two ", photos[2].pk: "Three", uuid4(): "Gone"}
    assert set(set_captions(alice, wanted)) == {photo.pk for photo in photos}
    found = rows_of(photos)
    assert [(row.caption, row.caption_held) for row in found] == [
        ("Said by the file", False),
        ("Two", True),
        ("Three", True),
    ]
    assert all(row.captioned_at is not None and row.version is None for row in found)
    assert [(write.photo_id, write.wanted) for write in FileWrite.objects.all()] == [(photos[1].pk, {"caption": "Two"})]
    assert FieldState.objects.filter(kind="photo", field="caption").count() == 3
    set_captions(alice, {photos[1].pk: "Other", photos[0].pk: ""})
    wanted_now = {write.photo_id: write.wanted["caption"] for write in FileWrite.objects.all()}
    assert wanted_now == {photos[1].pk: "Other", photos[0].pk: ""}


def test_one_that_is_none_refuses_all(alice: User, tmp_path: Path) -> None:
    photos = make_photos(make_library(alice, tmp_path / "a"), 2)
    with pytest.raises(BadCaption):
        set_captions(alice, {photos[0].pk: "Good", photos[1].pk: "x" * 1_000_000})
    assert [row.captioned_at for row in rows_of(photos)] == [None, None]


def test_many_take_no_more_statements_than_two(alice: User, tmp_path: Path) -> None:
    photos = make_photos(make_library(alice, tmp_path / "a"), 42)
    counts = []
    for some in (photos[:2], photos[2:]):
        with CaptureQueriesContext(connection) as queries:
            set_captions(alice, {photo.pk: f"Photo {number}" for number, photo in enumerate(some)})
        counts.append(len(queries))
    assert counts[1] - counts[0] < 5  # a statement holds only so many values


@pytest.mark.parametrize(("column", "value", "version"), [("caption", "Rome", None), ("head_md5", "0" * 32, 7)])
def test_only_what_devices_see_is_marked(alice: User, tmp_path: Path, column: str, value: str, version: object) -> None:
    (photo,) = make_photos(make_library(alice, tmp_path / "a"), 1)
    Photo.objects.update(version=7)
    update_rows(Photo, [column], [{"id": photo.pk, column: value}])
    photo.refresh_from_db()
    assert (getattr(photo, column), photo.version) == (value, version)
