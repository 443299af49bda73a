"""The page that gives many photos one place: the owner's and the editors' alone."""

from typing import Any

from catalog.models import FileWrite, Library, Photo
from tests.factories import make_photo


def test_selected_photos_get_a_place_and_lose_it(cast: Any, alice: Any, bob: Any, dora: Any) -> None:
    photos = [make_photo(cast.library, f"trip/{number}.jpg") for number in range(3)]
    chosen = {"photos": ",".join(str(photo.pk) for photo in photos[:2]), "back": "/favourites/"}
    assert bob.post("/places/", chosen).status_code == 404  # a viewer
    shown = alice.post("/places/", chosen).content.decode()
    assert "2 photos that you selected" in shown and "Remove the place" not in shown
    refused = alice.post("/places/", {**chosen, "change": "1", "place": "<b>the sea"})
    assert refused.status_code == 422 and "Nothing was changed" in refused.content.decode()
    assert "&lt;b&gt;the sea" in refused.content.decode() and not FileWrite.objects.exists()
    done = dora.post("/places/", {**chosen, "change": "1", "place": "48.8583, 2.2945"})
    assert (done.status_code, done["Location"]) == (302, "/favourites/")
    assert set(Photo.objects.values_list("latitude", "longitude")) == {(48.8583, 2.2945), (None, None)}
    assert FileWrite.objects.count() == 2
    Library.objects.update(ratings=Library.Ratings.SIDECAR)
    assert "the GPS position in the photo file stays" in alice.post("/places/", chosen).content.decode()
    alice.post("/places/", {**chosen, "remove": "1"})
    assert set(Photo.objects.values_list("latitude", flat=True)) == {None}
