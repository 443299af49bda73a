"""Places: they go into the files as captions do, in every format's own fields, and nothing that a person said is lost."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from catalog.edits import dates, undo
from catalog.edits.keywords import set_keywords
from catalog.edits.places import set_place
from catalog.models import FileWrite, Library, Photo
from photolala.lib.places import BadPlace, Place, place_in
from tests.catalog.edits.test_captions import edit
from tests.catalog.edits.test_ratings import library, photo, tags_of, write_all  # noqa: F401
from tests.catalog.media.test_sandbox import make_video
from tests.catalog.scanning.test_scan import scan

pytestmark = pytest.mark.django_db
PARIS = (48.8583123, 2.2945678)
RIO = (-22.9519, -43.2105)


def give(library: Library, place: Place | None, name: str = "0.jpg") -> None:  # noqa: F811
    set_place(library.owner, photo(library, name), place)


def place_of(library: Library, name: str = "0.jpg") -> tuple[Place | None, bool]:  # noqa: F811
    row = photo(library, name)
    place = None if row.latitude is None else (round(row.latitude, 6), round(row.longitude, 6))
    return place, row.place_held


def shown(place: Place) -> Place:
    return round(place[0], 6), round(place[1], 6)


def gps_of(path: Path) -> set[str]:
    return {name for name in tags_of(path) if name[:9] != "Composite" and name.count("itude") and "Alt" not in name}


def read_again(library: Library) -> None:  # noqa: F811
    Photo.objects.update(needs_digest=True, latitude=1.5, longitude=1.5)
    scan(library)


def read_anew(library: Library) -> None:  # noqa: F811
    Photo.objects.update(needs_digest=True)
    scan(library)


@pytest.fixture
def file(library) -> Path:  # noqa: F811
    return Path(library.root) / "0.jpg"


@pytest.mark.parametrize("place", [PARIS, RIO, (-0.0001, 0.0), (90.0, 180.0)])
def test_a_place_is_in_the_file_and_is_taken_back_with_every_byte(library, file, place):  # noqa: F811
    before = file.read_bytes()
    give(library, place)
    assert place_of(library) == (shown(place), True)
    assert write_all(library)["written"] == 1
    assert gps_of(file) >= {"GPS:GPSLatitude", "GPS:GPSLongitudeRef", "XMP-exif:GPSLatitude"}
    assert scan(library).result["changed"] == 0
    read_again(library)
    assert place_of(library) == (shown(place), False)
    undone = undo.undo_last(photo(library, "0.jpg"), library.owner)
    assert undone == {"kind": "place", "place": None}
    write_all(library)
    assert (file.read_bytes(), place_of(library)) == (before, (None, False))


def test_another_place_and_none(library, file):  # noqa: F811
    edit(file, "-GPS:GPSLatitude=10", "-GPS:GPSLatitudeRef=S", "-GPS:GPSLongitude=20", "-GPS:GPSLongitudeRef=E",
         "-GPS:GPSAltitude=30", "-GPS:GPSDateStamp=2024:05:06", "-GPS:GPSTimeStamp=10:00:00")  # fmt: skip
    scan(library)
    assert place_of(library) == ((-10.0, 20.0), False)
    before = file.read_bytes()
    give(library, RIO)
    write_all(library)
    read_again(library)
    assert place_of(library) == (RIO, False)
    give(library, None)
    write_all(library)
    assert not gps_of(file) and "GPS:GPSAltitude" not in tags_of(file)
    assert tags_of(file)["GPS:GPSDateStamp"] == "2024:05:06"  # it tells the zone of the capture time
    read_again(library)
    assert place_of(library) == (None, False)
    give(library, (-10.0, 20.0))
    write_all(library)
    assert file.read_bytes() == before


@pytest.mark.parametrize("new", [None, RIO])
def test_what_else_tells_of_a_place_goes_with_it(library, file, new):  # noqa: F811
    edit(
        file,
        *("-GPS:GPSLatitude=10", "-GPS:GPSLatitudeRef=S", "-GPS:GPSLongitude=20", "-GPS:GPSLongitudeRef=E"),
        *("-GPS:GPSAltitude=30", "-GPS:GPSAreaInformation=Rua X", "-GPS:GPSHPositioningError=5"),
        "-GPS:GPSTimeStamp=10:00:00",
        *("-GPS:GPSDestLatitude=11", "-GPS:GPSDestLatitudeRef=S", "-GPS:GPSDestLongitude=21", "-GPS:GPSDestBearing=7"),
        *("-XMP-exif:GPSDestLatitude=11", "-XMP-exif:GPSAltitude=30", "-XMP-drone-dji:GPSLatitude=10"),
        *("-XMP-drone-dji:GPSLongtitude=20", "-XMP-iptcExt:LocationCreatedGPSLatitude=10", "-XMP-dc:Title=Rua"),
    )
    scan(library)
    before = file.read_bytes()
    give(library, new)
    write_all(library)
    own = {"GPSVersionID", "GPSTimeStamp"}
    own |= {"GPSLatitude", "GPSLatitudeRef", "GPSLongitude", "GPSLongitudeRef"} if new else set()
    left = {name for name in tags_of(file) if "Composite" not in name and ("GPS" in name or "drone" in name)}
    assert {name.partition(":")[2] for name in left} == own and not any("drone" in name for name in left)
    assert tags_of(file)["XMP-dc:Title"] == "Rua"
    undo.undo_last(photo(library, "0.jpg"), library.owner)
    write_all(library)
    assert file.read_bytes() == before


def test_videos_say_it_as_phones_do(library):  # noqa: F811
    path = make_video(Path(library.root) / "film.mp4")
    scan(library)
    give(library, RIO, "film.mp4")
    write_all(library)
    tags = tags_of(path)
    assert tags["Keys:GPSCoordinates"].split()[:2] == ["-22.9519", "-43.2105"]
    read_again(library)
    assert place_of(library, "film.mp4") == (RIO, False)
    edit(path, "-Keys:LocationName=Home", "-Keys:LocationAccuracyHorizontal=4")
    scan(library)
    give(library, None, "film.mp4")
    write_all(library)
    assert not [name for name in tags_of(path) if "GPS" in name or "Location" in name]


def test_what_is_no_place_is_refused(library):  # noqa: F811
    for place in ((91.0, 0.0), (0.0, 181.0), (0.0, 0.0), (float("nan"), 1.0), (10**400, 1), (1.0, float("inf"))):
        with pytest.raises(BadPlace):
            give(library, place)
    assert (place_of(library), FileWrite.objects.count()) == ((None, False), 0)


def test_keywords_and_place_are_written_one_after_the_other(library, file):  # noqa: F811
    set_keywords(library.owner, photo(library, "0.jpg"), ["A"])
    give(library, RIO)
    while FileWrite.objects.filter(state="pending").exists():
        write_all(library)
    assert (photo(library, "0.jpg").keywords, place_of(library)) == (["A"], (RIO, False))


# -- other places of the catalog ---------------------------------------------------------------------------------------------


def test_in_the_catalog_only_no_scan_overwrites_it(library, file):  # noqa: F811
    Library.objects.update(ratings="database")
    give(library, RIO)
    give(library, None, "1.jpg")
    for name in ("0.jpg", "1.jpg"):
        edit(
            file.with_name(name),
            "-GPS:GPSLatitude=10",
            "-GPS:GPSLatitudeRef=N",
            "-GPS:GPSLongitude=20",
            "-GPS:GPSLongitudeRef=E",
        )
    scan(library)
    assert (place_of(library), place_of(library, "1.jpg")) == ((RIO, True), (None, True))
    assert not FileWrite.objects.exists()


def test_beside_the_photo_it_goes_first_and_none_is_held(library, file):  # noqa: F811
    edit(file, "-GPS:GPSLatitude=10", "-GPS:GPSLatitudeRef=N", "-GPS:GPSLongitude=20", "-GPS:GPSLongitudeRef=E")
    Library.objects.update(ratings="sidecar")
    library.refresh_from_db()
    scan(library)
    before, xmp = file.read_bytes(), file.with_name("0.jpg.xmp")
    give(library, RIO)
    write_all(library)
    assert gps_of(xmp) == {"XMP-exif:GPSLatitude", "XMP-exif:GPSLongitude"}
    read_again(library)
    assert place_of(library) == (RIO, False)
    give(library, PARIS)
    write_all(library)
    read_again(library)
    assert place_of(library) == (shown(PARIS), False)
    give(library, None)  # which no XMP file can say
    write_all(library)
    assert not gps_of(xmp)
    scan(library)
    assert place_of(library) == (None, True)
    assert file.read_bytes() == before
    give(library, RIO)
    write_all(library)
    read_again(library)
    assert place_of(library) == (RIO, False)


def test_what_was_taken_away_does_not_come_back_from_elsewhere(library, file):  # noqa: F811
    told = {"title": "0.jpg", "geoData": {"latitude": 10.0, "longitude": 20.0}}
    file.with_name("0.jpg.json").write_text(json.dumps(told))
    scan(library)
    assert place_of(library) == ((10.0, 20.0), False)
    give(library, None)
    write_all(library)
    Photo.objects.update(needs_digest=True)
    scan(library)
    assert place_of(library) == (None, True)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("48.8583, 2.2945", (48.8583, 2.2945)),
        (" -22.9519 -43.2105 ", RIO),
        ("22.9519° S, 43.2105° W", RIO),
        ("https://www.openstreetmap.org/?mlat=48.8583&mlon=2.2945#map=15/10.5/20.5", (48.8583, 2.2945)),
        ("https://www.openstreetmap.org/#map=17/48.8583/2.2945", (48.8583, 2.2945)),
        (
            "https://www.google.com/maps/place/X/@10.5,20.5,17z/data=!3m1!4b1!4m5!3m4!8m2!3d48.8583!4d2.2945",
            (48.8583, 2.2945),
        ),
        ("https://www.google.com/maps/@48.8583,2.2945,17z", (48.8583, 2.2945)),
        ("https://maps.google.com/?q=48.8583,2.2945", (48.8583, 2.2945)),
        ("geo:48.8583,2.2945;u=35", (48.8583, 2.2945)),
    ],
)
def test_what_people_paste(text: str, place: Place) -> None:
    assert place_in(text) == place


@pytest.mark.parametrize(
    "text",
    [
        *("", "Paris", "48.8583", "1,2,3", "https://example.org/", "91, 0", "0, 0", "1e5, 3"),
        f"1{' ' * 1_998}x",  # which would take hours if all ways to share the spaces out were tried
    ],
)
def test_what_says_no_place(text: str) -> None:
    with pytest.raises(BadPlace):
        place_in(text)


def test_what_was_given_in_google_photos_is_overruled_and_comes_back_with_the_bytes(library, file):  # noqa: F811
    edit(file, "-GPS:GPSLatitude=10", "-GPS:GPSLatitudeRef=S", "-GPS:GPSLongitude=20", "-GPS:GPSLongitudeRef=E",
         "-DateTimeOriginal=2019:07:14 12:15:00")  # fmt: skip
    read = {"latitude": -10.0, "longitude": 20.0}
    said = {"geoDataExif": read, "geoData": {"latitude": RIO[0], "longitude": RIO[1]}}
    said |= {"photoTakenTime": {"timestamp": "1000000000"}}
    file.with_name("0.jpg.json").write_text(json.dumps(said))
    scan(library)
    given, before = photo(library, "0.jpg").taken_text, file.read_bytes()
    assert (place_of(library), given[:10]) == ((RIO, False), "2001-09-09")
    for place, is_held in ((PARIS, False), ((-10.0, 20.0), True)):  # which gives the file its bytes back
        give(library, place)
        write_all(library)
        read_anew(library)
        assert place_of(library) == (shown(place), is_held)
    assert file.read_bytes() == before
    for day in (20, 14):  # the last is the file's own, and nothing is written
        wish = dates.Setting(datetime(2019, 7, day, 12, 15), None)
        dates.set_dates(library.owner, dates.plan([photo(library, "0.jpg")], wish))
        write_all(library)
        read_anew(library)
        assert photo(library, "0.jpg").taken_text == f"2019-07-{day}T12:15:00"
        if day == 20:
            undo.undo_last(photo(library, "0.jpg"), library.owner)
            write_all(library)
            assert (photo(library, "0.jpg").taken_text, file.read_bytes()) == (given, before)
    give(library, PARIS)
    write_all(library)
    undo.undo_last(photo(library, "0.jpg"), library.owner)
    write_all(library)
    assert (place_of(library), file.read_bytes()) == ((RIO, False), before)
