"""Google Takeout: each photo with what its document says, wherever in the export that is."""

import io
import json
import os
import zipfile
from datetime import timedelta
from pathlib import Path

import av
import pytest
from django.utils import timezone

from catalog.albums import albums, items
from catalog.albums import members as album_members
from catalog.edits.keywords import set_keywords
from catalog.edits.ratings import set_rating
from catalog.importing import joining, told_keywords
from catalog.importing.outcomes import Outcomes
from catalog.importing.placer import Placer
from catalog.importing.requests import counts_of, open_batch, retry, start_folder_import, waiting
from catalog.importing.uploads import batch_for
from catalog.libraries.members import set_member
from catalog.models import Album, AlbumItem, FileWrite, Import, ImportItem, KeptDocument, Photo, Upload
from operations.models import Operation, State
from operations.running import execute
from tests.catalog.importing.test_imports import ends, files_of, rescan, run_imports, send, take
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
    archive = Import.objects.get(kind="archive")
    assert [counts_of([archive])[archive.pk][state] for state in ("imported", "rejected")] == [1, 1]  # photos
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


STAMP = "takeout-20260101T000000Z"
DATED = ("2015-04-25T22:13:20Z", 5)


def test_parts_that_come_together_are_one_import(library, card, picture):
    """A document in another part, and one beside another copy of the photo: dates, folders and stars are right at once."""
    first = {f"{HOLIDAY}/IMG_2.jpg": picture(2), f"{YEAR}/IMG_1.jpg": picture(1), f"{YEAR}/IMG_4.jpg": picture(4)}
    second = {f"{YEAR}/IMG_2.jpg": picture(2), f"{YEAR}/IMG_2.jpg.json": document(favorited=True)}
    second |= {f"{YEAR}/IMG_1.jpg.supplemental-metadata.json": document(favorited=True)}
    pack(card / f"{STAMP}-001.zip", first)
    pack(card / f"{STAMP}-002.zip", second)
    take(library, card)
    found = photos(library)
    assert found.pop("2026/01/IMG_4.jpg")[1] is None  # nothing speaks about it
    assert found == {"2015/04/IMG_1.jpg": DATED, "2015/04/IMG_2.jpg": DATED}
    assert ends(Import.objects.get(source__endswith="002.zip")) == {
        f"{YEAR}/IMG_2.jpg": ("duplicate", "in_library", ""),
        f"{YEAR}/IMG_2.jpg.json": ("imported", "", "2015/04/IMG_2.jpg.json"),
        f"{YEAR}/IMG_1.jpg.supplemental-metadata.json": (
            "imported", "", "2015/04/IMG_1.jpg.supplemental-metadata.json"
        ),
    }  # fmt: skip
    again = rescan(library)
    assert (again.result["added"], again.result["changed"]) == (0, 0)
    parts = list(Import.objects.filter(kind="archive").order_by("source"))
    counts = [{state: number for state, number in one.items() if number} for one in counts_of(parts).values()]
    assert [one.pop("bytes", 0) > 0 for one in counts] == [True, False]
    assert counts == [{"imported": 3}, {"duplicate": 1}]  # they speak of photos
    done = Operation.objects.filter(kind="import").get().result
    assert [done[name] for name in ("imported", "duplicate", "rejected")] == [3, 1, 0]
    before = files_of(library)
    take(library, card)  # once more: nothing comes in, and no star is given again
    assert files_of(library) == before


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_parts_that_come_days_apart_are_joined(library, card, picture, order):
    """Either the photos came first, or the documents, whose archive is gone when their photos come."""
    parts = {
        1: {
            f"{YEAR}/IMG_1.jpg": picture(1),
            f"{HOLIDAY}/IMG_2.jpg": picture(2),
            f"{YEAR}/IMG_3-edited.jpg": picture(3),
        },
        2: {
            f"{YEAR}/IMG_1.jpg.json": document(favorited=True),
            f"{YEAR}/IMG_2.jpg": picture(2),
            f"{YEAR}/IMG_2.jpg.json": document(favorited=True),
            f"{YEAR}/IMG_3.jpg.json": document(favorited=True),
            f"{YEAR}/IMG_9.jpg.json": document(),
        },
    }
    for number in order:
        archive = pack(card / f"{STAMP}-00{number}.zip", parts[number])
        take(library, card)
        archive.unlink()
    rescan(library)
    found = {Path(path).name: told for path, told in photos(library).items()}
    assert found == {"IMG_1.jpg": DATED, "IMG_2.jpg": DATED, "IMG_3-edited.jpg": DATED}
    lonely = ImportItem.objects.get(filename="IMG_9.jpg.json")
    assert (lonely.state, lonely.code) == ("rejected", "kept") and "is kept" in lonely.reason
    assert not ImportItem.objects.filter(state__in=ImportItem.OPEN).exists()


def test_documents_of_another_export_or_person_are_not_joined(library, card, picture, bob):
    set_member(library, bob, "editor")
    steps = [
        (library.owner, "takeout-20250101T000000Z-001.zip", {f"{YEAR}/IMG_1.jpg.json": document()}),
        (bob, f"{STAMP}-001.zip", {f"{YEAR}/IMG_1.jpg.json": document()}),
        (library.owner, f"{STAMP}-002.zip", {f"{YEAR}/IMG_1.jpg": picture(1)}),
    ]
    for user, name, files in steps:
        archive = pack(card / name, files)
        take(library, card, user=user)
        archive.unlink()
    assert list(photos(library)) == ["2026/01/IMG_1.jpg"]
    assert KeptDocument.objects.count() == 2


def test_a_star_that_was_taken_away_is_not_given_again(library, card, picture):
    pack(card / f"{STAMP}-001.zip", {f"{YEAR}/IMG_1.jpg": picture(1)})
    take(library, card)
    photo = Photo.objects.get(filename="IMG_1.jpg")
    set_rating(library.owner, photo, 3)
    set_rating(library.owner, photo, 0)
    pack(card / f"{STAMP}-002.zip", {f"{YEAR}/IMG_1.jpg.json": document(favorited=True)})
    take(library, card)
    photo.refresh_from_db()
    assert not photo.rating and (Path(library.root) / "2026/01/IMG_1.jpg.json").is_file()


def test_a_photo_of_which_a_later_part_tells_that_it_was_deleted_is_told(library, card, picture):
    pack(card / f"{STAMP}-001.zip", {f"{YEAR}/IMG_1.jpg": picture(1)})
    take(library, card)
    pack(card / f"{STAMP}-002.zip", {f"{YEAR}/IMG_1.jpg.json": document(trashed=True)})
    take(library, card)
    item = ImportItem.objects.get(filename="IMG_1.jpg.json")
    assert (item.state, item.code) == ("duplicate", "trashed") and "2026/01/IMG_1.jpg" in item.reason
    assert Photo.objects.filter(filename="IMG_1.jpg").exists()


@pytest.mark.parametrize("moment", ["planned", "copied", "written"])
def test_killed_while_documents_are_joined_it_goes_on(library, card, picture, monkeypatch, moment):
    class Killed(BaseException):
        pass

    def die(*args, **more):
        raise Killed

    pack(card / f"{STAMP}-001.zip", {f"{YEAR}/IMG_1.jpg": picture(1)})
    take(library, card)
    pack(card / f"{STAMP}-002.zip", {f"{YEAR}/IMG_1.jpg.json": document(favorited=True), f"{YEAR}/b.jpg.json": b"{"})
    with monkeypatch.context() as patch:
        where = {
            "planned": (Placer, "reserve_sidecar"),
            "copied": (Placer, "settle"),
            "written": (Outcomes, "write_sidecars"),
        }
        patch.setattr(*where[moment], die)
        start_folder_import(library, library.owner, str(card), "month")
        operation = Operation.objects.filter(kind="import").order_by("created_at").last()
        with pytest.raises(Killed):
            execute(operation.pk)
    Operation.objects.filter(pk=operation.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    done = execute(operation.pk)
    assert done.state == State.COMPLETED, done.error_detail
    item = ImportItem.objects.filter(filename="IMG_1.jpg.json").last()
    assert (item.state, item.target) == ("imported", "2026/01/IMG_1.jpg.json")
    assert Photo.objects.get(filename="IMG_1.jpg").rating == 5
    assert not list(Path(library.root).rglob(".photolala-write*"))


def albums_of(user):
    """Return {title: names of the photos in their order} of a person's albums."""
    return {
        album.title: [
            Photo.objects.get(pk=item.photo_id).filename for item in AlbumItem.objects.live().filter(album=album)
        ]
        for album in Album.objects.visible_to(user)
    }


def test_folders_of_albums_become_albums_and_no_second_copies(library, card, picture):
    """The album's document comes in another part than some of its photos; the folders of years are none."""
    trip = "Takeout/Google Photos/Trip(1)"
    first = {
        f"{YEAR}/metadata.json": json.dumps({"title": "Fotos von 2015"}).encode(),
        f"{YEAR}/a.jpg": picture(1),
        f"{YEAR}/a.jpg.json": document(1_430_009_000),
        f"{YEAR}/b.jpg": picture(2),
        f"{YEAR}/b.jpg.json": document(1_430_000_000),
        f"{HOLIDAY}/a.jpg": picture(1),
        f"{HOLIDAY}/b.jpg": picture(2),
        f"{trip}/métadonnées.json": json.dumps({"title": "Trip", "description": "By train"}).encode(),
    }
    second = {
        f"{HOLIDAY}/metadata.json": json.dumps({"title": " Sommer in Köln "}).encode(),
        f"{trip}/c.jpg": picture(3),
        f"{trip}/shared_album_comments.json": b'{"sharedAlbumComments": []}',
    }
    pack(card / f"{STAMP}-001.zip", first)
    take(library, card)
    assert albums_of(library.owner) == {}
    (card / f"{STAMP}-001.zip").unlink()
    pack(card / f"{STAMP}-002.zip", second)
    take(library, card)
    assert albums_of(library.owner) == {"Sommer in Köln": ["b.jpg", "a.jpg"], "Trip": ["c.jpg"]}
    trip_album = Album.objects.get(title="Trip")
    assert (trip_album.owner, trip_album.description, trip_album.order) == (library.owner, "By train", "taken_asc")
    assert len(photos(library)) == 3
    told = {item.filename: (item.state, item.code) for item in ImportItem.objects.filter(filename__contains="m")}
    assert told["métadonnées.json"] == ("imported", "album")
    assert told["shared_album_comments.json"] == ("rejected", "unsupported")


def test_what_people_do_to_an_album_stays(library, card, picture):
    """A later export of the same folder adds what is new, and brings nothing back."""
    one = {
        f"{HOLIDAY}/metadata.json": b'{"title": "Holiday"}',
        f"{HOLIDAY}/a.jpg": picture(1),
        f"{HOLIDAY}/b.jpg": picture(2),
    }
    pack(card / f"{STAMP}-001.zip", one)
    take(library, card)
    album = Album.objects.get()
    albums.patch(library.owner, album.pk, {"title": "Rome"})
    items.delete(library.owner, AlbumItem.objects.get(photo__filename="a.jpg").pk)
    pack(card / "takeout-20270101T000000Z-001.zip", {**one, f"{HOLIDAY}/c.jpg": picture(3)})
    take(library, card)
    assert albums_of(library.owner) == {"Rome": ["b.jpg", "c.jpg"]}
    albums.delete(library.owner, album.pk)
    take(library, card)
    assert albums_of(library.owner) == {} and Album.objects.count() == 1


def test_killed_before_the_albums_are_made_it_makes_them(library, card, picture, monkeypatch):
    class Killed(BaseException):
        pass

    def die(*args, **more):
        raise Killed

    pack(card / "a.zip", {f"{HOLIDAY}/metadata.json": b'{"title": "Holiday"}', f"{HOLIDAY}/a.jpg": picture(1)})
    start_folder_import(library, library.owner, str(card), "month")
    operation = Operation.objects.get(kind="import")
    with monkeypatch.context() as patch:
        patch.setattr(items, "add", die)
        with pytest.raises(Killed):
            execute(operation.pk)
    Operation.objects.filter(pk=operation.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert execute(operation.pk).state == State.COMPLETED
    assert albums_of(library.owner) == {"Holiday": ["a.jpg"]}
    assert not Import.objects.filter(finished_at=None).exists()


def test_an_unpacked_export_is_one_too_and_what_is_added_later_is_joined(library, card, picture):
    """Each part in a folder of its own; a photo's document is put there after the first import."""
    for path, data in {
        f"1/{YEAR}/IMG_1.jpg": picture(1),
        f"2/{YEAR}/IMG_1.jpg.json": document(favorited=True),
        f"1/{YEAR}/IMG_2.jpg": picture(2),
        f"2/{HOLIDAY}/IMG_2.jpg": picture(2),
        f"1/{HOLIDAY}/metadata.json": b'{"title": "Holiday"}',
    }.items():
        (card / path).parent.mkdir(parents=True, exist_ok=True)
        (card / path).write_bytes(data)
        os.utime(card / path, (1_600_000_000, 1_600_000_000))
    take(library, card)
    assert photos(library) == {"2015/04/IMG_1.jpg": DATED, "2020/09/IMG_2.jpg": ("2020-09-13T12:26:40Z", None)}
    assert albums_of(library.owner) == {"Holiday": ["IMG_2.jpg"]}
    (card / f"2/{YEAR}/IMG_2.jpg.json").write_bytes(document(favorited=True))
    wanted = take(library, card)
    assert ends(wanted)[f"2/{YEAR}/IMG_1.jpg.json"][:2] == ("duplicate", "in_library")
    assert ends(wanted)[f"2/{YEAR}/IMG_2.jpg.json"] == ("imported", "", "2020/09/IMG_2.jpg.json")
    rescan(library)
    assert photos(library)["2020/09/IMG_2.jpg"] == DATED


def test_documents_that_are_sent_after_their_photos_are_joined(library, card, picture):
    wanted = open_batch(library, library.owner)
    send(wanted, "IMG_1.jpg", picture(1), YEAR)
    run_imports(library)
    send(wanted, "IMG_1.jpg.json", document(favorited=True), YEAR)
    run_imports(library)
    assert ends(wanted)[f"{YEAR}/IMG_1.jpg.json"][0] == "imported"
    rescan(library)
    assert list(photos(library).values()) == [DATED] and not Upload.objects.exists()


def test_titles_that_no_database_holds_do_no_harm(library, card, picture, monkeypatch):
    """A zero, half of an emoji, control characters: the albums that can be made are, and the import comes to its end."""
    monkeypatch.setattr(joining, "MOST_KEPT_BYTES", 4000)
    titles = {"Zero": "Ze\0ro", "Half": "Half \ud83d", "Line": "Li\nne\x07", "Nothing": "\0", "Long": "x" * 1000}
    titles["Longer"] = "y" * 3900
    files = {}
    for number, (folder, title) in enumerate(titles.items()):
        files[f"Takeout/Google Photos/{folder}/metadata.json"] = json.dumps({"title": title}).encode()
        files[f"Takeout/Google Photos/{folder}/{number}.jpg"] = picture(number)
    pack(card / f"{STAMP}-001.zip", files)
    take(library, card)
    assert len(photos(library)) == len(titles)
    made = albums_of(library.owner)
    assert made["Zero"] == ["0.jpg"] and made["Half"] == ["1.jpg"] and made["x" * 200] == ["4.jpg"]
    assert "y" * 200 not in made and KeptDocument.objects.count() == 4  # there is a bound to what is kept of one import
    assert not Import.objects.filter(finished_at=None).exists()


def test_an_album_of_somebody_else_gets_nothing(library, card, picture, bob):
    """Also where the one who imports may edit it: what was handed over is the other's, and so is who sees it."""
    pack(card / "a.zip", {f"{HOLIDAY}/metadata.json": b'{"title": "Holiday"}', f"{HOLIDAY}/a.jpg": picture(1)})
    take(library, card)
    album = Album.objects.get()
    album_members.set_member(library.owner, album.pk, bob, "viewer")
    albums.hand_over(library.owner, album.pk, bob)
    pack(card / "b.zip", {f"{HOLIDAY}/metadata.json": b'{"title": "Holiday"}', f"{HOLIDAY}/b.jpg": picture(2)})
    take(library, card)
    assert len(photos(library)) == 2
    assert AlbumItem.objects.filter(album=album).count() == 1


def test_what_is_finished_stays_so_if_nothing_is_to_be_tried_again(library):
    """Its archive is gone by then: to look for it again would only tell that it cannot be read."""
    then = timezone.now()
    wanted = Import.objects.create(
        library=library, user=library.owner, kind=Import.Kind.ARCHIVE, source="a.zip", listed_at=then, finished_at=then
    )
    assert retry(wanted, library.owner) == 0
    wanted.refresh_from_db()
    assert wanted.finished_at == then and not waiting().exists()


PEOPLE = {"people": [{"name": "Zoë  Example"}, {"name": "x" * 201}, {"name": "a\x07"}, {"name": 3}, {}, "Bob"]}


def take_with_people(library, card):
    start_folder_import(library, library.owner, str(card), "month", people_as_keywords=True)
    return run_imports(library)


def keywords(library):
    """Return {name: keywords} of what came in."""
    return dict(Photo.objects.filter(library=library).exclude(filename="old.jpg").values_list("filename", "keywords"))


def test_people_become_keywords_only_if_that_is_wished(library, card, picture):
    """What is no name is left out, and `archived` is only what says so; imported again, what is there gets them, too."""
    more = {**PEOPLE, "archived": True, "inLockedFolder": True}
    one = {f"{YEAR}/a.jpg": picture(1), f"{YEAR}/a.jpg.json": document(**more)}
    one |= {f"{YEAR}/b.jpg": picture(2), f"{YEAR}/b.jpg.json": document(archived="yes", people={"name": "No"})}
    pack(card / f"{STAMP}-001.zip", one)
    (card / "plain").mkdir()  # nothing says that this is an export
    (card / "plain/c.jpg").write_bytes(picture(3))
    (card / "plain/c.jpg.json").write_bytes(document(people=[{"name": "Carl"}]))
    take(library, card)
    assert keywords(library) == {"a.jpg": [], "b.jpg": [], "c.jpg": []}
    set_keywords(library.owner, Photo.objects.get(filename="a.jpg"), ["sea", "archived"])
    take_with_people(library, card)
    assert keywords(library) == {"a.jpg": ["sea", "archived", "Zoë Example", "locked"], "b.jpg": [], "c.jpg": ["Carl"]}
    rescan(library)
    assert keywords(library)["c.jpg"] == ["Carl"]
    assert FileWrite.objects.filter(kind="keywords", photo__filename="c.jpg", user=library.owner).count() == 1


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
@pytest.mark.parametrize("wished", [1, 2])
def test_what_is_wished_for_one_part_of_an_export_holds_for_the_others(library, card, picture, order, wished):
    """Photo and document come apart, whichever first; what was wished for is remembered with its import."""
    parts = {1: {f"{YEAR}/IMG_1.jpg": picture(1)}, 2: {f"{YEAR}/IMG_1.jpg.json": document(**PEOPLE)}}
    if order[1] == wished:
        parts[order[0]][f"{YEAR}/IMG_2.jpg"] = picture(2)
        parts[order[0]][f"{YEAR}/IMG_2.jpg.json"] = document(**PEOPLE)  # came before anybody wished for it
    for number in order:
        archive = pack(card / f"{STAMP}-00{number}.zip", parts[number])
        (take_with_people if number == wished else take)(library, card)
        archive.unlink()
    assert {one.people_as_keywords for one in Import.objects.filter(kind="archive")} == {True, False}
    assert keywords(library)["IMG_1.jpg"] == ["Zoë Example"]
    assert keywords(library).get("IMG_2.jpg", []) == []


def test_keywords_of_what_the_trash_of_google_held_are_not_given(library, card, picture):
    pack(card / f"{STAMP}-001.zip", {f"{YEAR}/IMG_1.jpg": picture(1)})
    take(library, card)
    pack(card / f"{STAMP}-002.zip", {f"{YEAR}/IMG_1.jpg.json": document(trashed=True, **PEOPLE)})
    take_with_people(library, card)
    assert keywords(library) == {"IMG_1.jpg": []}


def test_sent_archives_and_what_is_sent_give_keywords_if_their_batch_says_so(library, card, picture):
    wanted = open_batch(library, library.owner, people_as_keywords=True)
    send(wanted, "IMG_1.jpg", picture(1), YEAR)
    send(wanted, "IMG_1.jpg.json", document(**PEOPLE), YEAR)
    inner = pack(card / "x.zip", {f"{YEAR}/IMG_2.jpg": picture(2), f"{YEAR}/IMG_2.jpg.json": document(**PEOPLE)})
    send(wanted, "takeout.zip", pack(card / "y.zip", {"z.zip": inner.read_bytes()}).read_bytes())
    run_imports(library)
    assert keywords(library) == {"IMG_1.jpg": ["Zoë Example"], "IMG_2.jpg": ["Zoë Example"]}
    other = batch_for(library.owner, None, library.pk, "month")
    assert other != wanted and not other.people_as_keywords  # nobody who sends without a batch gets that


def test_a_photo_with_too_many_keywords_comes_in_as_it_is(library, card, picture):
    """Nothing is cut, and the import comes to its end."""
    pack(card / f"{STAMP}-001.zip", {f"{YEAR}/a.jpg": picture(1), f"{YEAR}/b.jpg": picture(2)})
    take(library, card)
    full = [f"word {number}" for number in range(500)]
    set_keywords(library.owner, Photo.objects.get(filename="a.jpg"), full)
    told = {f"{YEAR}/a.jpg.json": document(**PEOPLE), f"{YEAR}/b.jpg.json": document(**PEOPLE)}
    pack(card / f"{STAMP}-002.zip", told)
    take_with_people(library, card)
    assert keywords(library) == {"a.jpg": full, "b.jpg": ["Zoë Example"]}


@pytest.mark.parametrize("moment", [(told_keywords, "add_keywords"), (Outcomes, "write_sidecars")])
def test_killed_before_keywords_are_given_it_gives_them(library, card, picture, monkeypatch, moment):
    class Killed(BaseException):
        pass

    def die(*args, **more):
        raise Killed

    pack(card / "a.zip", {f"{YEAR}/a.jpg": picture(1), f"{YEAR}/a.jpg.json": document(**PEOPLE)})
    pack(card / "b.zip", {f"{HOLIDAY}/a.jpg": picture(1), f"{HOLIDAY}/a.jpg.json": document(people=[{"name": "Bo"}])})
    start_folder_import(library, library.owner, str(card), "month", people_as_keywords=True)
    operation = Operation.objects.get(kind="import")
    with monkeypatch.context() as patch:
        patch.setattr(*moment, die)
        with pytest.raises(Killed):
            execute(operation.pk)
    Operation.objects.filter(pk=operation.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert execute(operation.pk).state == State.COMPLETED
    assert keywords(library) == {"a.jpg": ["Zoë Example", "Bo"]}
