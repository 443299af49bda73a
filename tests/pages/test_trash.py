"""The trash's page: for owner and editors; bringing back, and emptying with a second step."""

from django.urls import reverse

from catalog.files.trash import trash_photos
from catalog.models import Library, TrashItem
from operations.models import Operation
from tests.factories import make_photo


def test_the_page_and_its_forms(cast, alice, bob, dora, charlie):
    photo = make_photo(cast.library, "a/<b>.jpg")
    address = reverse("catalog:library-trash", args=[cast.library.pk])
    assert "The trash is empty" in alice.get(address).content.decode()
    trash_photos(cast.alice, [photo.pk])
    text = alice.get(address).content.decode()
    assert "&lt;b&gt;.jpg" in text and "by alice" in text and "for good" in text
    assert "Empty the trash" not in dora.get(address).content.decode()
    assert bob.get(address).status_code == charlie.get(address).status_code == 404
    item = TrashItem.objects.get()
    restore = reverse("catalog:library-trash-restore", args=[cast.library.pk])
    assert bob.post(restore, {"item": str(item.pk)}).status_code == 404
    for nothing in ({}, {"item": "x"}):
        assert "Tick the photos" in dora.post(restore, nothing, follow=True).content.decode()
    assert "back where it lay" in dora.post(restore, {"item": str(item.pk)}, follow=True).content.decode()
    assert not TrashItem.objects.exists()


def test_emptying_needs_the_box_and_the_number(cast, alice, dora):
    trash_photos(cast.alice, [make_photo(cast.library, "1.jpg").pk])
    empty = reverse("catalog:library-trash-empty", args=[cast.library.pk])
    assert dora.post(empty, {"count": "1", "sure": "1"}).status_code == 404
    for said in ({"count": "1"}, {"count": "x", "sure": "1"}, {"count": "2", "sure": "1"}):
        alice.post(empty, said)
        assert not Operation.objects.exists()
    alice.post(empty, {"count": "1", "sure": "1"})
    assert Operation.objects.get().kind == "empty_trash"


def test_how_long_it_is_kept_is_a_setting(cast, alice):
    save = reverse("catalog:library-save", args=[cast.library.pk])
    said = {"name": "Holidays", "time_zone": "UTC", "ratings": "file", "trash_days": "90"}
    assert alice.post(save, said).status_code == 302
    assert Library.objects.get().trash_days == 90
    assert alice.post(save, {**said, "trash_days": "5"}).status_code == 422
