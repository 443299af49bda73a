"""The trash over the API: asked for with its number, for those who may, seen by those who may."""

from catalog.models import Membership, Photo, TrashItem
from operations.models import Operation
from tests.factories import make_photo

from .conftest import API, client_of


def test_into_the_trash_and_back(cast, alice, bob, charlie):
    photos = [make_photo(cast.library, f"{n}.jpg") for n in range(3)]
    ids = [str(photo.pk) for photo in photos]
    address = f"{API}photos/trash/"
    assert alice.post(address, {"photo_ids": ids, "confirm": 2}, format="json").status_code == 409
    assert alice.post(address, {"photo_ids": [], "confirm": 0}, format="json").status_code == 400
    for client in (bob, charlie):
        answer = client.post(address, {"photo_ids": ids, "confirm": 3}, format="json").json()
        assert (answer["count"], len(answer["errors"])) == (0, 3)
    assert not TrashItem.objects.exists() and (cast.root / "0.jpg").is_file()
    answer = alice.post(address, {"photo_ids": ids[:2], "confirm": 2}, format="json").json()
    assert (answer["count"], answer["errors"]) == (2, [])
    assert {item["id"] for item in answer["items"]} == {str(item.pk) for item in TrashItem.objects.all()}
    listed = f"{API}libraries/{cast.library.pk}/trash/"
    assert bob.get(listed).status_code == 403 and charlie.get(listed).status_code == 404
    rows = alice.get(listed).json()["results"]
    assert {(row["path"], row["state"], row["photo"]) for row in rows} == {
        ("0.jpg", "trashed", ids[0]),
        ("1.jpg", "trashed", ids[1]),
    }
    assert alice.get(f"{API}photos/", {"library": str(cast.library.pk)}).json()["results"][0]["id"] == ids[2]
    body = {"item_ids": [rows[0]["id"]]}
    assert bob.post(f"{listed}restore/", body, format="json").status_code == 403
    assert alice.post(f"{listed}restore/", body, format="json").json() == {
        "count": 1,
        "success_count": 1,
        "error_count": 0,
        "errors": [],
    }
    assert Photo.objects.filter(state="missing").count() == 1


def test_only_the_owner_empties_and_only_as_much_as_was_shown(cast, alice, bob):
    photo = make_photo(cast.library, "1.jpg")
    Membership.objects.update(role="editor")
    editor = client_of(cast.bob)
    assert (
        editor.post(f"{API}photos/trash/", {"photo_ids": [str(photo.pk)], "confirm": 1}, format="json").json()["count"]
        == 1
    )
    address = f"{API}libraries/{cast.library.pk}/trash/empty/"
    assert editor.post(address, {"count": 1}, format="json").status_code == 403
    assert alice.post(address, {"count": 2}, format="json").status_code == 409
    assert alice.post(address, {"count": 1}, format="json").status_code == 202
    assert Operation.objects.get(kind="empty_trash").state == "pending"
    assert alice.post(address, {"count": 1}, format="json").status_code == 409
