"""Google Takeout: each photo with what its document says, wherever in the export that is."""

import io
import json
import zipfile
from pathlib import Path

import av
import pytest

from catalog.models import Import, ImportItem, Photo
from tests.catalog.importing.test_imports import ends, files_of, rescan, take
from tests.photos import make_jpeg

pytestmark = pytest.mark.django_db

YEAR = "Takeout/Google Photos/Photos from 2015"
HOLIDAY = "Takeout/Google Photos/Holiday"


def document(seconds=1_430_000_000, **more):
    """The JSON of a photo taken on 2015-04-25 22:13:20 UTC."""
    place = {"latitude": 0.0, "longitude": 0.0}
    return json.dumps({"title": "x", "photoTakenTime": {"timestamp": str(seconds)}, "geoData": place, **more}).encode()


@pytest.fixture
def picture(tmp_path):
    """Return the bytes of an undated picture by its number."""

    def of(seed):
        path = make_jpeg(tmp_path / "made" / f"{seed}.jpg", seed=seed, taken=None, camera=None)
        return path.read_bytes()

    return of


def pack(path, files):
    """Write a ZIP of {path: bytes}, all from 2026."""
    with zipfile.ZipFile(path, "w") as packed:
        for name, data in files.items():
            packed.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data)
    return path


def photos(library):
    """Return {path: (moment, stars)} of what came in."""
    rows = Photo.objects.filter(library=library).exclude(filename="old.jpg")
    return {photo.path: (f"{photo.taken_at:%Y-%m-%dT%H:%M:%SZ}", photo.rating) for photo in rows}


def test_edited_and_original_keep_their_names_and_each_has_its_document(library, card, picture):
    one = {
        f"{YEAR}/IMG_7.jpg": picture(1),
        f"{YEAR}/IMG_7-bearbeitet.jpg": picture(2),
        f"{YEAR}/IMG_7.jpg.json": document(),
    }
    pack(card / "takeout.zip", one)
    take(library, card)
    assert files_of(library).keys() - {"2020/old.jpg"} == {
        "2015/04/IMG_7.jpg",
        "2015/04/IMG_7.jpg.json",
        "2015/04/IMG_7-bearbeitet.jpg",
        "2015/04/IMG_7-bearbeitet.jpg.json",
    }
    assert set(photos(library).values()) == {("2015-04-25T22:13:20Z", None)}
    again = rescan(library)
    assert (again.result["added"], again.result["changed"]) == (0, 0)


def test_what_was_in_the_trash_stays_out_and_is_told(library, card, picture):
    trash = "Takeout/Google Photos/Trash"
    one = {f"{trash}/IMG_6.jpg": picture(1), f"{trash}/IMG_6.jpg.json": document(trashed=True, favorited=True)}
    pack(card / "takeout.zip", {**one, f"{YEAR}/a.jpg": picture(2), f"{YEAR}/a.jpg.json": document(trashed=False)})
    take(library, card)
    assert photos(library) == {"2015/04/a.jpg": ("2015-04-25T22:13:20Z", None)}
    item = ImportItem.objects.get(filename="IMG_6.jpg")
    assert (item.state, item.code) == ("rejected", "trashed") and "trash where it comes from" in item.reason
    assert not list(Path(library.root).rglob("IMG_6*"))


def test_a_video_of_a_live_photo_stays_with_its_picture(library, card, picture, tmp_path):
    """It says nothing of its date, and Takeout has one document for both, or none where the picture knows it."""
    mp4 = "Takeout/Google Photos/Photos from 2015/IMG_3.MP4"
    motion = {f"{YEAR}/MVIMG_20150425_221320.jpg": picture(3), f"{YEAR}/MVIMG_20150425_221320": b"no extension"}
    one = {f"{YEAR}/IMG_3.jpg": picture(1), mp4: make_undated_video(), f"{YEAR}/IMG_3.jpg.json": document()}
    dated = make_jpeg(tmp_path / "IMG_4.jpg", seed=4, taken="2014:02:03 10:00:00").read_bytes()
    motion |= {f"{YEAR}/IMG_4.jpg": dated, f"{YEAR}/IMG_4.MP4": make_undated_video(64)}
    pack(card / "takeout.zip", {**one, **motion})
    take(library, card)
    archive = Import.objects.get(kind="archive")
    assert ends(archive)[mp4] == ("imported", "", "2015/04/IMG_3.MP4")
    assert ends(archive)[f"{YEAR}/MVIMG_20150425_221320"][2] == "2015/04/MVIMG_20150425_221320"
    assert ends(archive)[f"{YEAR}/IMG_4.MP4"][2] == "2014/02/IMG_4.MP4"
    found = photos(library)
    assert found["2015/04/IMG_3.jpg"][0] == found["2015/04/IMG_3.MP4"][0] == "2015-04-25T22:13:20Z"


def make_undated_video(edge=32):
    """Return a small MP4 without any date."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height = edge, edge
        for _ in range(2):
            container.mux(stream.encode(av.VideoFrame(edge, edge, "yuv420p")))
        container.mux(stream.encode())
    return out.getvalue()
