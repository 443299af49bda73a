"""A selection is taken out byte for byte: what it lacks is said, foreign photos are nobody's to have, and names fit any disk."""

import io
import os
import shutil
import subprocess
import zipfile
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.albums import albums, items, members
from catalog.entries import pairs
from catalog.models import Photo
from exports.formats.zip_once import UnreadEntry, ZipOnce
from exports.formats.zip_stream import ChangedFile
from exports.models import ExportDownload
from exports.reading.file_names import archive_name, portable_name
from exports.selections import downloads
from exports.selections.plan import plan_download
from tests.exports.conftest import Cast
from tests.factories import make_library, make_photo

API = "/api/v1/photos/download/"
WHEN = datetime(2015, 1, 3, 4, 1, 6, tzinfo=UTC)


def body_of(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)  # at the end of which the client closes the answer, but no connection


def ask(client: Any, photos: list[Any], address: str = API, **more: Any) -> Any:
    return client.post(address, {"photo_ids": [str(getattr(one, "pk", one)) for one in photos], **more}, format="json")


def bytes_of(photo: Photo) -> bytes:
    return (Path(photo.library.root) / photo.path).read_bytes()


def test_several_photos_are_a_zip_with_their_bytes_and_names(cast: Cast, api: Any) -> None:
    first = make_photo(cast.library, "a/IMG_1.JPG", taken=WHEN)
    twin = make_photo(cast.library, "b/img_1.jpg", taken=WHEN)
    odd = make_photo(cast.library, "b/con.jpg", data=b"", taken=WHEN)
    answer = ask(api(cast.bob), [first, twin, odd])
    assert answer.status_code == 200, answer.content
    assert answer["Content-Disposition"] == 'attachment; filename="photos-2015.zip"'
    data = body_of(answer)
    assert answer["Content-Length"] == str(len(data))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert {info.filename: archive.read(info) for info in archive.infolist()} == {
            "IMG_1.JPG": bytes_of(first),
            "img_1 (1).jpg": bytes_of(twin),
            "_con.jpg": b"",
        }
    record = ExportDownload.objects.get()
    assert (record.user_id, record.export_name, record.sent_bytes) == (cast.bob.pk, "photos-2015", len(data))
    assert record.ended_at is not None


def test_one_photo_is_sent_as_it_is(cast: Cast, browser: Any) -> None:
    photo = make_photo(cast.library, "a/Ünö.JPG")
    answer = browser(cast.alice).post("/photos/download/", {"photos": str(photo.pk)})
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    assert "filename*=UTF-8''%C3%9Cn%C3%B6.JPG" in answer.headers["Content-Disposition"]
    assert body_of(answer) == bytes_of(photo)


def test_what_is_missing_is_said_before_and_in_the_archive(cast: Cast, api: Any) -> None:
    photo = make_photo(cast.library, "good.jpg", taken=None)
    changed, gone = make_photo(cast.library, "changed.jpg"), make_photo(cast.library, "missing.txt")
    (cast.root / "changed.jpg").write_bytes(b"other")
    (cast.root / "missing.txt").unlink()
    foreign = make_photo(make_library(cast.charlie, cast.root.parent / "charlie"), "secret.jpg")
    nowhere = uuid4()
    selected = [changed, photo, gone, foreign, nowhere]
    plan = ask(api(cast.alice), selected, f"{API}plan/").json()
    assert (plan["success_count"], plan["error_count"], plan["filename"]) == (1, 4, "photos.zip")
    reasons = {error["id"]: error["error"] for error in plan["errors"]}
    assert reasons[str(changed.pk)] == "changed.jpg: It has changed since the last scan. Scan the library again."
    assert reasons[str(gone.pk)].startswith("missing.txt: The file is not in its place.")
    assert reasons[str(foreign.pk)] == reasons[str(nowhere)] == "There is no photo of this id that you may see."
    data = body_of(ask(api(cast.alice), selected))
    assert len(data) == plan["size_bytes"]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["good.jpg", "missing.txt"]
        text = archive.read("missing.txt").decode()
    assert text.startswith("Of 5 selected photos, 4 are not in this archive.")
    assert "secret" not in text and str(cast.root) not in text
    for one in (changed, gone, nowhere):
        assert str(getattr(one, "pk", one)) in text or f"{one.filename}: " in text


def test_nothing_of_others_and_nothing_that_is_not_there(cast: Cast, api: Any, browser: Any) -> None:
    photo = make_photo(cast.library, "a.jpg")
    for address in (API, f"{API}plan/"):
        assert ask(api(None), [photo], address).status_code == 401
        foreign, nowhere = ask(api(cast.charlie), [photo], address), ask(api(cast.charlie), [uuid4()], address)
        assert (foreign.status_code, foreign.content) == (404, nowhere.content)
        assert ask(api(cast.alice), [], address).status_code == 400
    page = browser(cast.charlie).post("/photos/download/", {"photos": str(photo.pk)})
    assert page.status_code == 404 and b"nothing to download" in page.content
    assert browser(cast.alice).post("/photos/download/", {"photos": "x"}).status_code == 400
    assert browser(None).post("/photos/download/", {"photos": str(photo.pk)}).status_code == 302


def test_an_unplugged_library_is_named_and_its_place_is_not(cast: Cast, api: Any) -> None:
    photo, other = make_photo(cast.library, "a.jpg"), make_photo(cast.library, "b.jpg")
    shutil.move(cast.root, cast.root.with_name("unplugged"))
    answer = ask(api(cast.bob), [photo, other])
    assert answer.status_code == 404
    assert "cannot be" in answer.json()["detail"] or "not there" in answer.json()["detail"], answer.json()
    assert str(cast.root) not in answer.content.decode()


def test_members_of_an_album_get_originals_without_names_if_its_owner_shares_them(
    cast: Cast, api: Any, browser: Any
) -> None:
    photo, other = make_photo(cast.library, "private/Anna.jpg"), make_photo(cast.library, "b.JPG")
    apart = make_photo(cast.library, "apart.jpg")
    album = albums.create(cast.alice, uuid4(), {"title": "Rome"})
    items.add(cast.alice, album.pk, [items.Target("photo", photo.pk), items.Target("photo", other.pk)])
    members.set_member(cast.alice, album.pk, cast.charlie, "viewer")
    refused = ask(api(cast.charlie), [photo, other], album=str(album.pk))
    assert refused.status_code == 404 and "shares pictures to look at" in refused.json()["detail"]
    albums.patch(cast.alice, album.pk, {"allowsOriginals": True})
    data = body_of(ask(api(cast.charlie), [photo, other, apart], album=str(album.pk)))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == [f"{photo.pk}.jpg", f"{other.pk}.JPG", "missing.txt"]
        assert archive.read(f"{photo.pk}.jpg") == bytes_of(photo)
    assert "Download</button>" in browser(cast.charlie).get(f"/albums/{album.pk}/").content.decode()
    whole = browser(cast.charlie).post("/photos/download/", {"album": str(album.pk)})
    with zipfile.ZipFile(io.BytesIO(body_of(whole))) as archive:
        assert sorted(archive.namelist()) == sorted([f"{photo.pk}.jpg", f"{other.pk}.JPG"])
    assert ask(api(cast.charlie), [photo]).status_code == 404
    assert ask(api(cast.charlie), [photo], album=str(uuid4())).status_code == 404


def test_a_file_that_changes_meanwhile_breaks_the_download_off(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = [make_photo(cast.library, name, data=os.urandom(700_000)) for name in ("a.jpg", "b.jpg", "c.jpg")]
    archive = downloads.archive_of(plan_download(cast.alice, [one.pk for one in photos]))
    opened: list[int] = []
    real = os.close
    monkeypatch.setattr(os, "close", lambda descriptor: (opened.append(descriptor), real(descriptor))[1])
    pieces = archive.iter_range()
    for _ in range(4):
        next(pieces)
    (cast.root / "b.jpg").write_bytes(b"another one")
    with pytest.raises(downloads.OriginalUnreadable, match="changed"):
        list(pieces)
    begun = archive.iter_range()
    next(begun), next(begun)
    count = len(opened)
    begun.close()  # the client has left: no file stays open
    assert len(opened) > count


def test_a_file_that_is_written_in_place_meanwhile_breaks_the_download_off(cast: Cast) -> None:
    photos = [make_photo(cast.library, name, data=bytes(700_000)) for name in ("a.jpg", "b.jpg")]
    pieces = downloads.archive_of(plan_download(cast.alice, [one.pk for one in photos])).iter_range()
    next(pieces), next(pieces)  # the header, and the first piece of the photo
    with (cast.root / "a.jpg").open("r+b") as file:
        file.write(b"x" * 700_000)  # the size stays
    os.utime(cast.root / "a.jpg")
    with pytest.raises(downloads.OriginalUnreadable, match="while it was sent"):
        list(pieces)


@pytest.mark.parametrize("size", [0, 1, 300_000])
def test_the_archive_is_read_by_other_programs(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    stream = ZipOnce([UnreadEntry(f"{name}.bin", size, WHEN, lambda: iter([data])) for name in "aü"])
    (tmp_path / "a.zip").write_bytes(b"".join(stream.iter_range()))
    assert (tmp_path / "a.zip").stat().st_size == stream.total_size
    subprocess.run(["unzip", "-tq", tmp_path / "a.zip"], check=True, capture_output=True)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert [(one.filename, one.date_time) for one in archive.infolist()] == [
            ("a.bin", (2015, 1, 3, 4, 1, 6)),
            ("ü.bin", (2015, 1, 3, 4, 1, 6)),
        ]
        assert archive.read("ü.bin") == data


@pytest.mark.parametrize("given", [b"", b"abcd"])
def test_a_file_of_another_size_is_never_passed_off_as_the_planned_one(given: bytes) -> None:
    with pytest.raises(ChangedFile, match=r"a\.bin"):
        list(ZipOnce([UnreadEntry("a.bin", 3, WHEN, lambda: [given])]).iter_range())
    with pytest.raises(ValueError, match="from its beginning"):
        ZipOnce([]).iter_range(5)


def test_files_beyond_four_gib_and_what_follows_them_are_laid_out_as_zip64(monkeypatch: pytest.MonkeyPatch) -> None:
    size = (1 << 32) + 5
    zeros = bytes(1 << 24)
    quick = SimpleNamespace(crc32=lambda piece, crc=0: 0 if piece is zeros else zlib.crc32(piece, crc))
    monkeypatch.setattr("exports.formats.zip_once.zlib", quick)  # four seconds less

    def large() -> Any:
        for _ in range(256):
            yield zeros
        yield bytes(5)

    stream = ZipOnce([UnreadEntry("large", size, WHEN, large), UnreadEntry("s", 5, WHEN, lambda: [b"small"])])
    pieces = stream.iter_range()
    tail = bytearray()
    total = 0
    for piece in pieces:
        total += len(piece)
        if piece is not zeros:
            tail += piece
    assert total == stream.total_size
    tail[:] = tail[tail.index(b"PK\x07\x08") :]

    class Sparse(io.RawIOBase):
        """The archive's end at its real place."""

        place = 0

        def seek(self, offset: int, whence: int = 0) -> int:
            self.place = offset + {0: 0, 1: self.place, 2: total}[whence]
            return self.place

        def tell(self) -> int:
            return self.place

        def seekable(self) -> bool:
            return True

        def read(self, count: int = -1) -> bytes:
            start = self.place - (total - len(tail))
            found = bytes(tail[start:] if count < 0 else tail[start : start + count]) if start >= 0 else b""
            self.place += len(found)
            return found

    with zipfile.ZipFile(Sparse()) as archive:  # type: ignore[arg-type]
        assert [one.file_size for one in archive.infolist()] == [size, 5]
        assert archive.read("s") == b"small"


@pytest.mark.parametrize(
    ("name", "portable"),
    [
        ("IMG_1.JPG", "IMG_1.JPG"),
        ('a<b>:"c|?*.jpg', "a_b___c___.jpg"),
        ("NUL.jpg", "_NUL.jpg"),
        ("com¹.txt.jpg", "_com¹.txt.jpg"),
        ("conin$.jpg", "_conin$.jpg"),
        ("trailing. ", "trailing"),
        ("line\nfeed.jpg", "line_feed.jpg"),
        ("back\\slash.jpg", "back_slash.jpg"),
        ("odd\\xff.jpg", "odd\ufffd.jpg"),
        ("e\u0301.jpg", "é.jpg"),
        ("ä" * 200 + ".jpg", "ä" * 125 + ".jpg"),
    ],
)
def test_names_fit_any_disk(name: str, portable: str) -> None:
    assert portable_name(name) == portable
    assert len(portable.encode()) <= 255


def test_an_archive_is_called_after_its_years() -> None:
    names = [archive_name([]), archive_name([2015, 2015]), archive_name([2019, 2015, 2017])]
    assert names == ["photos", "photos-2015", "photos-2015-2019"]


def live_photo(
    library: Any, stem: str, identifier: str = "", apart_seconds: int = 1, duration_ms: int = 3000
) -> tuple[Photo, Photo]:
    """A picture and the short video that was recorded with it."""
    told = {"content_identifier": identifier}
    picture = make_photo(library, f"{stem}.HEIC", media_type="image/heic", taken=WHEN, **told)
    later = WHEN + timedelta(seconds=apart_seconds)
    return picture, make_photo(
        library,
        f"{stem}.MOV",
        data=stem.encode(),
        media_type="video/quicktime",
        taken=later,
        duration_ms=duration_ms,
        **told,
    )


def test_the_video_of_a_live_photo_comes_along(cast: Cast, api: Any) -> None:
    by_identifier = live_photo(cast.library, "a/IMG_1", "5D2E")
    by_name = live_photo(cast.library, "a/IMG_2")
    renamed = live_photo(cast.library, "a/IMG_3", "77AB")
    Photo.objects.filter(pk=renamed[1].pk).update(filename="other.MOV")
    (cast.root / "a/IMG_3.MOV").rename(cast.root / "a/other.MOV")
    pictures = [by_identifier[0], by_name[0], renamed[0], by_name[1]]
    with zipfile.ZipFile(io.BytesIO(body_of(ask(api(cast.bob), pictures)))) as archive:
        assert archive.namelist() == ["IMG_1.HEIC", "IMG_1.MOV", "IMG_2.HEIC", "IMG_2.MOV", "IMG_3.HEIC", "other.MOV"]
        assert archive.read("IMG_2.MOV") == b"a/IMG_2"
    plan = ask(api(cast.bob), [by_identifier[0]], f"{API}plan/").json()
    assert (plan["success_count"], plan["filename"]) == (2, "photos-2015.zip")


@pytest.mark.parametrize(
    ("video", "because"),
    [
        ({"duration_ms": 20_000}, "it is long"),
        ({"duration_ms": None}, "nobody knows how long it is"),
        ({"taken_local": WHEN + timedelta(minutes=5), "taken_at": WHEN + timedelta(minutes=5)}, "it was taken later"),
        ({"filename": "IMG_1b.MOV"}, "it has another name"),
        ({"directory": "b"}, "it is in another folder"),
        ({"state": "missing", "is_shown": False}, "it is gone"),
        ({"media_type": "image/jpeg"}, "it is no video"),
    ],
)
def test_a_video_is_no_part_of_a_picture_where(video: dict[str, Any], because: str, cast: Cast, api: Any) -> None:
    picture, other = live_photo(cast.library, "a/IMG_1")
    Photo.objects.filter(pk=other.pk).update(**video)
    assert body_of(ask(api(cast.bob), [picture])) == bytes_of(picture), because


def test_another_live_photo_of_the_same_name_keeps_its_video(cast: Cast, api: Any) -> None:
    picture, video = live_photo(cast.library, "a/IMG_1", "5D2E")
    Photo.objects.filter(pk=video.pk).update(content_identifier="0000")
    foreign = make_library(cast.charlie, cast.root.parent / "charlie")
    live_photo(foreign, "a/IMG_1", "5D2E")
    assert body_of(ask(api(cast.bob), [picture])) == bytes_of(picture)


def test_of_an_album_comes_what_it_shows_and_nothing_is_missed(cast: Cast, api: Any) -> None:
    picture, video = live_photo(cast.library, "a/IMG_1")
    album = albums.create(cast.alice, uuid4(), {"title": "Rome"})
    items.add(cast.alice, album.pk, [items.Target("photo", picture.pk)])
    assert body_of(ask(api(cast.alice), [picture], album=str(album.pk))) == bytes_of(picture)
    items.add(cast.alice, album.pk, [items.Target("photo", video.pk)])
    plan = plan_download(cast.alice, [picture.pk], album.pk)
    assert ([one.original.target for one in plan.chosen], plan.missing) == (["IMG_1.HEIC", "IMG_1.MOV"], [])


def test_many_videos_of_one_identifier_are_not_all_looked_at_for_each_picture(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "_MOST_ALIKE", 5)
    first = live_photo(cast.library, "a/IMG_1", "5D2E")
    others = [live_photo(cast.library, f"b/A_{number}", "5D2E") for number in range(8)]
    wanted = [first[0].pk, others[0][0].pk]
    with CaptureQueriesContext(connection) as context:
        found = pairs.videos_of(Photo.objects.visible_to(cast.alice), wanted)
    assert found == {first[0].pk: first[1].pk, others[0][0].pk: others[0][1].pk}
    assert len(context) == 3 and "LIMIT 5" in context.captured_queries[-1]["sql"]
