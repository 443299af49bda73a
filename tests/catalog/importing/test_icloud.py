"""iCloud's export: dates, favourites, what was deleted, and albums come from its tables; names are not unique in it."""

import errno
import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.conf import settings

from catalog.importing import requests
from catalog.importing.icloud import Told, album_key, album_title, details_in, folder_in_icloud, names_in
from catalog.importing.takeout import export_of
from catalog.models import Album, Import, ImportItem, Photo, Upload
from tests.catalog.importing.test_imports import ends, rescan, run_imports, take
from tests.catalog.importing.test_takeout import albums_of, pack, photos
from tests.photos import make_jpeg

HEAD = "imgName,fileChecksum,favorite,hidden,deleted,originalCreationDate,viewCount,importDate\n"
PART = "iCloud Photos Part {} of 2"


def table(*lines):
    return (
        HEAD
        + "".join(
            f'{name},x,{favourite},no,{deleted},"{date}",1,"{date}"\n' for name, favourite, deleted, date in lines
        )
    ).encode()


def test_what_a_table_says():
    data = table(
        ("a.jpg", "yes", "no", "Saturday June 4,2022 12:11 PM GMT"),
        ("b.jpg", "no", "yes", "Friday January 15,2019 12:05 AM GMT"),
        ("c.jpg", "no", "no", "Friday Foo 99,2019 7:00 PM GMT"),
        ("", "yes", "no", "Friday January 15,2019 7:00 PM GMT"),
        ("a.jpg", "no", "no", "Friday January 15,2019 7:00 PM GMT"),
    )
    assert details_in(b"\xef\xbb\xbf" + data) == {
        "a.jpg": Told(datetime(2022, 6, 4, 12, 11, tzinfo=UTC), is_favourite=True),
        "b.jpg": Told(datetime(2019, 1, 15, 0, 5, tzinfo=UTC), is_deleted=True),
        "c.jpg": Told(),
    }
    for hostile in (b"", b"\0" * 100, b"imgName\n" + b"x" * 300_000, b"\xff\xfe,\n", HEAD.encode()):
        assert not any(told != Told() for told in details_in(hostile).values())
    assert names_in(b"Images\nb.jpg\na.jpg\nb.jpg\n\n") == ["b.jpg", "a.jpg"]
    assert album_title("iCloud Photos Part 1 of 2/Albums", "Rome.csv") == "Rome"
    assert not album_title("iCloud Photos Part 1 of 2/Albums", "Favorites.csv") and not album_title(
        "x/Albums", "Rome.csv"
    )
    assert export_of("iCloud Photos Part 1 of 12 (1).zip", 5) == export_of("iCloud Photos Part 3 of 12.zip", 6) != "5"


@pytest.mark.django_db
def test_dates_stars_trash_and_albums_of_two_parts(library, card, tmp_path):
    def picture(seed, taken=None):
        path = make_jpeg(tmp_path / "made" / f"{seed}.jpg", seed=seed, taken=taken, camera=None)
        return path.read_bytes()

    library.time_zone = "Europe/Berlin"
    library.save()
    one, two = PART.format(1), PART.format(2)
    noon = "Saturday June 4,2022 12:11 PM GMT"
    pack(
        card / f"{one}.zip",
        {
            f"{one}/Photos/a.jpg": picture(1),
            f"{one}/Photos/b.jpg": picture(2, "2020:02:03 04:05:06"),
            f"{one}/Photos/gone.jpg": picture(3),
            f"{one}/Photos/IMG_1.jpg": picture(4),
            f"{one}/Photos/Photo Details.csv": table(("a.jpg", "yes", "no", noon), ("gone.jpg", "no", "yes", noon)),
            f"{one}/Photos/Photo Details-1.csv": table(("b.jpg", "no", "no", noon), ("IMG_1.jpg", "no", "no", noon)),
            f"{one}/Albums/Rome.csv": b"Images\nc.jpg\nIMG_1.jpg\na.jpg\nnowhere.jpg\n",
            f"{one}/Recently Deleted/d.jpg": picture(5),
        },
    )
    take(library, card)
    assert photos(library) == {
        "2022/06/a.jpg": ("2022-06-04T12:11:00Z", 5),
        "2020/02/b.jpg": ("2020-02-03T03:05:06Z", None),  # the camera knows better
        "2022/06/IMG_1.jpg": ("2022-06-04T12:11:00Z", None),
    }
    photo = Photo.objects.get(filename="a.jpg")
    assert (photo.taken_local.hour, photo.taken_offset_minutes) == (14, 120)
    told = dict(ImportItem.objects.values_list("filename", "code"))
    assert told["gone.jpg"] == told["d.jpg"] == "trashed"
    assert (told["Photo Details.csv"], told["Rome.csv"]) == ("details", "album")
    assert albums_of(library.owner) == {"Rome": ["IMG_1.jpg", "a.jpg"]}
    other = picture(6)  # another IMG_1.jpg: from now on nobody knows which one an album means
    pack(card / f"{two}.zip", {f"{two}/Photos/c.jpg": picture(7), f"{two}/Photos/IMG_1.jpg": other})
    (card / f"{one}.zip").unlink()
    take(library, card)
    assert albums_of(library.owner) == {"Rome": ["IMG_1.jpg", "a.jpg", "c.jpg"]}
    assert Album.objects.get().order == "manual"
    again = rescan(library)
    assert (again.result["added"], again.result["gone"]) == (0, 0)
    assert photos(library)["2022/06/a.jpg"] == ("2022-06-04T12:11:00Z", 5)  # a scan leaves it


@pytest.mark.django_db
def test_an_edited_pair_of_a_phone_stays_together_with_its_edits(library, card):
    make_jpeg(Path(library.root) / "2024" / "05" / "IMG_1234.JPG", seed=50, taken="2024:05:01 10:00:00")
    make_jpeg(card / "IMG_1234.JPG", seed=1, taken="2024:05:31 23:59:00")
    make_jpeg(card / "IMG_E1234.JPG", seed=2, taken="2024:06:01 00:00:30")
    (card / "IMG_1234.AAE").write_text("<plist/>")
    (card / "IMG_O1234.AAE").write_text("<plist>first</plist>")
    wanted = take(library, card)
    assert {path: end[2] for path, end in ends(wanted).items()} == {
        "IMG_1234.JPG": "2024/05/IMG_1234 (2).JPG",
        "IMG_E1234.JPG": "2024/05/IMG_E1234 (2).JPG",
        "IMG_1234.AAE": "2024/05/IMG_1234 (2).AAE",
        "IMG_O1234.AAE": "2024/05/IMG_O1234 (2).AAE",
    }


@pytest.mark.django_db
def test_hostile_tables_do_no_harm(library, card, tmp_path):
    """Dates at the ends of the calendar, names that no database holds, numbers of parts that fill a column."""
    library.time_zone = "America/New_York"
    library.save()
    taken = {"a.jpg": "Monday January 1,0001 12:00 AM GMT", "b.jpg": "Friday December 31,9999 11:59 PM GMT"}
    taken["c.jpg"] = "Monday January 1,1700 12:00 AM GMT"
    one = PART.format(1)
    files = {
        f"{one}/Photos/{name}": make_jpeg(tmp_path / name, seed=seed, taken=None, camera=None).read_bytes()
        for seed, name in enumerate(taken)
    }
    lines = [(name, "yes", "no", date) for name, date in taken.items()]
    files[f"{one}/Photos/Photo Details.csv"] = table(*lines, ("\0.jpg", "no", "no", ""))
    files[f"{one}/Albums/Rome.csv"] = b"Images\na.jpg\n\0.jpg\n\xff\xed\xa0\x80.jpg\n"
    pack(card / f"iCloud Photos Part 1 of {'9' * 210}.zip", files)
    take(library, card)
    assert set(Photo.objects.exclude(filename="old.jpg").values_list("filename", "rating")) == {
        ("a.jpg", 5),
        ("b.jpg", 5),
        ("c.jpg", 5),
    }
    assert albums_of(library.owner) == {"Rome": ["a.jpg"]}
    assert not Import.objects.filter(finished_at=None).exists()


def zipped(files):
    out = io.BytesIO()
    pack(out, files)
    return out.getvalue()


@pytest.mark.django_db
def test_shared_albums_in_archives_within_and_memories_of_a_part_in_another_language(library, card, tmp_path):
    """As they come: the part's folder is Norwegian, the shared albums are ZIPs in it, memories name the column otherwise."""

    def picture(seed):
        return make_jpeg(tmp_path / f"{seed}.jpg", seed=seed, taken="2020:02:03 04:05:06").read_bytes()

    one = "iCloud-bilder Del 1 av 6"
    inner = zipped(
        {
            "iCloud Shared Albums/Friends/s.jpg": picture(3),
            "iCloud Shared Albums/Friends.csv": b"imgName\ns.jpg\na.jpg\n",
        }
    )
    pack(
        card / f"{one}.zip",
        {
            f"{one}/Photos/a.jpg": picture(1),
            f"{one}/Photos/b.jpg": picture(2),
            f"{one}/Albums/Rome.csv": b"Images\nb.jpg\n",
            f"{one}/Memories/Rome.csv": b"imageName\na.jpg\nb.jpg\n",
            f"{one}/iCloud Shared Albums.zip": inner,
        },
    )
    take(library, card)
    nested = Import.objects.get(source__endswith="/iCloud Shared Albums.zip")
    assert (nested.export, nested.error) == ("icloud 6", "") and nested.finished_at
    assert set(photos(library)) == {"2020/02/a.jpg", "2020/02/b.jpg", "2020/02/s.jpg"}
    listed = sorted((album.title, album.description) for album in Album.objects.all())
    assert listed == [("Friends", ""), ("Rome", ""), ("Rome", "A memory, as iCloud put it together.")]
    shown = {album.pk: [item.target_id for item in album.items.order_by("position")] for album in Album.objects.all()}
    names = dict(Photo.objects.values_list("pk", "filename"))
    assert sorted([names[key] for key in keys] for keys in shown.values()) == [
        ["a.jpg", "b.jpg"],
        ["b.jpg"],
        ["s.jpg", "a.jpg"],
    ]
    assert not Upload.objects.exists()
    assert not [path for path in Path(settings.UPLOADS_DIR).rglob("*") if path.is_file()]
    take(library, card)  # again: nothing new
    assert len(photos(library)) == 3 and Album.objects.count() == 3


@pytest.mark.django_db
def test_archives_within_are_bounded(library, card, tmp_path, monkeypatch):
    photo = make_jpeg(tmp_path / "1.jpg", seed=1).read_bytes()
    deep = zipped({"2.jpg": photo, "third.zip": zipped({"3.jpg": photo})})
    with zipfile.ZipFile(card / "outer.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("bomb.zip", bytes(1 << 20))
        packed.writestr("other.tar", b"no ZIP")
        packed.writestr("second.zip", deep)
    wanted = take(library, card)
    outer = Import.objects.get(source__endswith="outer.zip")
    told = dict(outer.items.values_list("filename", "reason"))
    assert set(told) == {"bomb.zip", "other.tar"}
    assert all(reason.startswith("It is an archive inside an archive") for reason in told.values())
    second = Import.objects.get(source__endswith="outer.zip/second.zip")
    ended = dict(second.items.values_list("filename", "state"))
    assert ended == {"2.jpg": "imported", "third.zip": "rejected"}
    assert not Import.objects.filter(source__endswith="third.zip").exists() and wanted.finished_at


@pytest.mark.django_db
def test_more_archives_within_than_are_read_are_told(library, card, tmp_path, monkeypatch):
    monkeypatch.setattr("catalog.importing.nested.MOST_NESTED", 1)
    photo = make_jpeg(tmp_path / "1.jpg", seed=1).read_bytes()
    pack(card / "outer.zip", {"1.zip": zipped({"1.jpg": photo}), "2.zip": zipped({"1.jpg": photo})})
    take(library, card)
    outer = Import.objects.get(source__endswith="outer.zip")
    assert [(item.filename, item.state) for item in outer.items.all()] == [("2.zip", "rejected")]
    assert Import.objects.filter(source__contains="outer.zip/").count() == 1


@pytest.mark.django_db
def test_an_archive_within_for_which_there_was_no_room_is_tried_again(library, card, tmp_path, monkeypatch):
    photo = make_jpeg(tmp_path / "1.jpg", seed=1, taken="2020:02:03 04:05:06").read_bytes()
    pack(card / "outer.zip", {"inner.ZIP": zipped({"1.jpg": photo})})

    def full(folder, size):
        raise OSError(errno.ENOSPC, "The disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("catalog.importing.nested.require_room_beside", full)
        take(library, card)
        outer = Import.objects.get(source__endswith="outer.zip")
        for _ in range(2):
            item = outer.items.get()
            assert (item.state, item.code) == ("rejected", "no_space") and "no room" in item.reason
            assert not [path for path in Path(settings.UPLOADS_DIR).rglob("*") if path.is_file()]
            assert requests.retry(outer, library.owner) == 1
            run_imports(library)
    assert requests.retry(outer, library.owner) == 1
    run_imports(library)
    assert set(photos(library)) == {"2020/02/1.jpg"} and not outer.items.exists()
    assert all(one.finished_at and not one.error for one in Import.objects.all())


def test_folders_of_parts_whatever_their_language():
    for directory in (
        "iCloud-bilder Del 1 av 6/Albums",
        "x/iCloud Fotos Teil 2 von 3/Albums",
        "Albums",
        "iCloud Photos/Albums",
    ):
        assert album_title(directory, "Rome.csv") == "Rome"
    assert album_key("Albums", "Rome.csv") != album_key("Memories", "Rome.csv") != album_key("x", "Rome.csv") == ""
    for directory in ("iCloud Drive/2019", "My/Albums", "Photos 2019", "Recently Deleted"):
        assert not folder_in_icloud(directory)
    assert export_of("iCloud-bilder Del 1 av 6.zip", 1) == export_of("iCloud-bilder Del 2 av 6-2.zip", 2) == "icloud 6"
