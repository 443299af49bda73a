"""Whatever people, scans and writers do to a library, a copy that only reads what changed is the same as a new one.

The steps are those that `test_every_way_to_write` names; each has to change what its name says for devices.
"""

import shutil
from datetime import datetime
from pathlib import Path

import pytest
from django.utils import timezone

from accounts.models import Device
from catalog.edits.dates import Setting, plan, set_dates
from catalog.edits.favourites import toggle_favourite
from catalog.edits.keywords import change_keywords
from catalog.edits.places import set_places
from catalog.edits.stars import star, star_many
from catalog.edits.undo import undo_last
from catalog.entries.pending_writes import start_writing
from catalog.files.filing import start_filing
from catalog.files.purge import start_purge
from catalog.files.trash import restore_items, trash_photos
from catalog.files.trash_empty import start_emptying
from catalog.history.restore import start_restore
from catalog.importing import assets
from catalog.libraries import settings as library_settings
from catalog.libraries.adding import add_library
from catalog.libraries.forget import forget_library
from catalog.libraries.members import remove_member, set_member
from catalog.libraries.transfer import transfer
from catalog.models import Favourite, FileWrite, Photo, TrashItem, favourite_id
from catalog.scanning.rebuild import start_rebuild
from changes.models import EndedScope, FieldState
from changes.types import scope_name
from operations.models import State
from operations.running import execute
from tests.catalog.importing.test_imports import rescan as scan
from tests.catalog.importing.test_imports import take
from tests.photos import make_jpeg

from .following import Followers

pytestmark = pytest.mark.django_db


@pytest.fixture
def registered():
    """Let the types of the apps be there, in place of those of the other tests here."""


@pytest.fixture
def life(alice, bob, tmp_path, settings):
    return Life(alice, bob, tmp_path, settings)


class Life:
    """A library of alice's, with bob as a member, and what happens to it."""

    def __init__(self, alice, bob, tmp_path, settings):
        self.alice, self.bob, self.tmp_path = alice, bob, tmp_path
        self.root = tmp_path / "photos"
        for number in range(6):
            make_jpeg(self.root / f"{number % 2}" / f"{number}.jpg", seed=number)
        settings.PHOTO_ROOTS = [str(tmp_path)]
        self.library = add_library(alice, str(self.root))
        set_member(self.library, bob, "viewer")
        self.scope = scope_name("library", self.library.pk)
        self.followers = Followers([self.scope, *(scope_name("user", user.pk) for user in (alice, bob))])
        assert self.followers.pull() == {"library"}

    def step(self, *expected):
        """Compare the copies, which have to have heard of changes of these types."""
        came = self.followers.pull()
        assert came >= set(expected), (expected, came)
        for wire_id, *of in Favourite.objects.values_list("wire_id", "user", "photo"):
            assert wire_id == favourite_id(*of)  # devices' edits find them by it

    def photo(self, name):
        return Photo.objects.get(library=self.library, filename=name)

    def run(self, operation):
        done = execute(operation.pk)
        assert done.state == State.COMPLETED, (done.error, done.error_detail)
        self.library.refresh_from_db()
        return done

    def write(self):
        """Write into the files what waits."""
        FileWrite.objects.filter(state=FileWrite.State.PENDING).update(try_at=timezone.now())
        operation = start_writing(self.library, self.alice)
        if operation is not None:
            self.run(operation)


def test_what_scans_find_and_what_becomes_of_files(life):
    scan(life.library)
    life.step("photo")
    make_jpeg(life.root / "0" / "0.jpg", seed=100)
    (life.root / "1" / "1.jpg").rename(life.root / "moved.jpg")
    (life.root / "0" / "2.jpg").unlink()
    make_jpeg(life.root / "new.jpg", seed=101)
    scan(life.library)
    life.step("photo")
    assert life.photo("2.jpg").state == "missing"
    one, two = life.root / "0" / "4.jpg", life.root / "1" / "5.jpg"
    one.rename(life.root / "aside")
    two.rename(one)
    (life.root / "aside").rename(two)
    scan(life.library)
    life.step("photo")

    snapshot = life.library.snapshot_md5
    star(life.alice, life.photo("3.jpg").pk, 4)
    life.step("photo", "favourite")
    life.write()
    life.step("photo")
    set_dates(life.alice, plan([life.photo("3.jpg")], Setting(datetime(2020, 2, 3, 4, 5))))
    life.step("photo")
    life.write()
    life.step("photo")
    undo_last(life.photo("3.jpg"), life.alice)
    life.write()
    life.step("photo")
    life.run(start_filing(life.library, life.alice, [life.photo("new.jpg").pk], "month"))
    life.step("photo")

    gone = life.photo("5.jpg")
    star(life.bob, gone.pk, 3)
    trash_photos(life.alice, [gone.pk, life.photo("new.jpg").pk])
    life.step("-photo", "favourite")
    restore_items(life.alice, life.library, [TrashItem.objects.get(filename="new.jpg").pk])
    life.step("photo")
    life.run(start_emptying(life.library, life.alice, 1, enqueue=False))
    life.step("-favourite")
    assert not Photo.objects.filter(pk=gone.pk).exists()
    scan(life.library)  # which the photo that came back asked for
    life.step()
    life.run(start_purge(life.library, life.alice, 1, enqueue=False))
    life.step("-photo")
    life.run(start_rebuild(life.library, life.alice, enqueue=False))
    life.library.refresh_from_db()
    life.step()
    life.run(start_restore(life.library, life.alice, snapshot, enqueue=False))
    life.step("photo")
    scan(life.library)
    life.step("photo")


def test_what_comes_in(life, tmp_path):
    scan(life.library)
    life.step("photo")
    make_jpeg(tmp_path / "card" / "A.JPG", seed=200)
    take(life.library, tmp_path / "card")
    life.step("photo")
    scan(life.library)
    life.step()


def test_a_photo_in_the_trash_whose_item_is_forgotten_is_missing(life):
    """Devices are told of the photo, although nothing of its own row changed."""
    scan(life.library)
    photo = life.photo("0.jpg")
    trash_photos(life.alice, [photo.pk])
    life.step("-photo")
    shutil.rmtree(life.root / ".photolala-trash", ignore_errors=True)
    TrashItem.objects.all().delete()
    life.step("photo")
    assert life.followers.copies[life.scope].rows["photo", photo.pk][1]["state"] == "missing"
    TrashItem.objects.create(
        library=life.library, photo=photo, filename="0.jpg", size_bytes=1, mtime_ns=1, trashed_at=timezone.now()
    )
    life.step("-photo")
    other = Photo.objects.filter(library=life.library).exclude(pk=photo.pk).order_by("pk")[0]
    Photo.objects.filter(pk=other.pk).update(state="missing")
    life.step("photo")
    TrashItem.objects.update(photo=other)
    life.step("photo", "-photo")


def test_what_people_say(life):
    scan(life.library)
    life.step("photo")
    keys = list(Photo.objects.order_by("pk").values_list("pk", flat=True))
    star_many(life.alice, keys, 3)
    life.step("photo", "favourite")
    assert FieldState.objects.filter(kind="photo", field="rating", actor=life.alice.pk).count() == 6
    star_many(life.alice, keys[:2], 0)
    life.step("photo", "-favourite")
    star_many(life.bob, keys[:3], 5)
    life.step("favourite")
    star(life.bob, keys[0], 4)
    life.step("favourite")
    toggle_favourite(life.bob, keys[0])
    life.step("-favourite")
    toggle_favourite(life.bob, keys[0])
    life.step("favourite")
    assert {state.kind for state in FieldState.objects.filter(actor=life.bob.pk)} == {"favourite"}
    set_dates(life.alice, plan(list(Photo.objects.filter(pk__in=keys[:2])), Setting(datetime(2019, 1, 2), 60)))
    change_keywords(life.alice, keys[:2], ["Sea"])
    set_places(life.alice, {keys[0]: (48.8583, 2.2945), keys[1]: None})
    life.step("photo")
    assert FieldState.objects.filter(kind="photo", field="takenAt", actor=life.alice.pk).count() == 2
    library_settings.change(life.library, name="Renamed")
    life.step("library")


def test_who_sees_it(life, charlie):
    scan(life.library)
    life.step("photo")
    star(life.bob, life.photo("0.jpg").pk, 5)
    life.step("favourite")
    remove_member(life.library, life.bob)
    life.step()
    assert list(EndedScope.objects.values_list("user", "scope")) == [(life.bob.pk, life.scope)]
    set_member(life.library, life.bob, "viewer")
    assert not EndedScope.objects.exists()
    set_member(life.library, charlie, "viewer")
    star(life.alice, life.photo("1.jpg").pk, 4)
    transfer(life.library, life.bob)
    life.step("library", "photo", "favourite")
    life.library.refresh_from_db()
    charlie.delete()
    life.step()
    forget_library(life.library)
    life.followers.forget(life.scope)
    life.step("-favourite")
    assert set(EndedScope.objects.values_list("user", flat=True)) == {life.alice.pk, life.bob.pk}


def test_a_person_who_leaves_takes_their_scopes_along(life):
    scan(life.library)
    star(life.alice, life.photo("0.jpg").pk, 5)
    star(life.bob, life.photo("0.jpg").pk, 5)
    life.step("photo", "favourite")
    scope = scope_name("user", life.alice.pk)
    life.alice.delete()
    life.followers.forget(life.scope)
    life.followers.forget(scope)
    life.step("-favourite")
    assert not FieldState.objects.filter(scope__in=[scope, life.scope]).exists()


def test_what_lies_on_a_phone(life, alice):
    from knox.models import AuthToken

    device = Device.objects.create(user=alice, name="phone", token=AuthToken.objects.create(alice)[0])
    library = assets.library_of(device)
    scope = scope_name("library", library.pk)
    life.followers.copies.update(Followers([scope]).copies)
    life.step("library")
    one = assets.Asset("1", "IMG_1.HEIC", "image/heic", favorite=5, favorite_changed=timezone.now())
    assets.register(library, [one, assets.Asset("2", "IMG_2.HEIC", "image/heic")])
    life.step("photo", "favourite")
    picture = make_jpeg(life.tmp_path / "picture.jpg", seed=5).read_bytes()
    assets.store_picture(library, Photo.objects.get(asset_id="1"), picture)
    life.step("photo")
    assets.remove(library, ["1"])
    life.step("-photo", "-favourite")


def test_a_wish_that_is_led_to_where_the_photo_is_now_is_another_favourite(life):
    """A file that was moved is a new photo until the scan follows it; who liked that one likes the first."""
    scan(life.library)
    moved = life.root / "elsewhere.jpg"
    shutil.copy2(life.root / "0" / "0.jpg", moved)
    scan(life.library)
    life.step("photo")
    star(life.bob, life.photo("elsewhere.jpg").pk, 2)
    life.step("favourite")
    Favourite.objects.filter(user=life.bob).update(photo=life.photo("0.jpg"))
    life.step("favourite", "-favourite")
    assert Path(moved).exists()
