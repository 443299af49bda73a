"""A backup is a stranger's: what is damaged, incomplete or made to do harm is refused with a sentence."""

import json
import os
import stat
import warnings
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from catalog.sources import archive_list
from exports.bundle import files as bundle_files
from exports.bundle import layout
from exports.bundle.files import open_bundle
from exports.bundle.lists import BundleRefused
from exports.formats.manifest import Manifest, ManifestFile, encode_manifest
from exports.restore.check import Checked, check, check_media
from exports.restore.spool import Spool
from exports.restore.upgrade import Step, steps_from, upgraded

from .bundles import album, attached, bundle, item, key, media_file, note, zipped

pytestmark = pytest.mark.once
DATA = b"\x89PNG data"
Change = Callable[[Path], object]


def checked(path: Path, scratch: Path) -> Checked:
    with open_bundle(path, scratch) as files, Spool(scratch / "spool") as spool:
        found = check(files, spool)
        check_media(files, found)
        return found


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    lists = {layout.ALBUMS: [album()], layout.NOTES: [note(attachments=[attached(DATA)])]}
    return bundle(tmp_path / "whole", lists, (DATA,))


@pytest.mark.parametrize("top", ["", "backup-1/"])
def test_folder_and_zip_are_read_alike(whole: Path, tmp_path: Path, top: str) -> None:
    of_folder, of_zip = checked(whole, tmp_path / "s"), checked(zipped(whole, top), tmp_path / "s")
    assert of_folder.counts == of_zip.counts
    assert of_folder.counts["notes.json"] == 1
    assert (of_folder.problem_count, of_zip.problem_count) == (0, 0)


def write(name: str, text: str) -> Change:
    return lambda folder: (folder / name).write_text(text)


def listing(name: str, key_of_list: str, *entries: Any) -> Change:
    return write(name, json.dumps({key_of_list: entries}))


def metadata(**fields: Any) -> Change:
    def change(folder: Path) -> None:
        path = folder / "metadata.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))

    return change


def link(name: str) -> Change:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to("/etc/passwd")

    return change


def pipe(folder: Path) -> None:
    (folder / "notes.json").unlink()
    os.mkfifo(folder / "notes.json")


def wrong_digest(folder: Path) -> None:
    size = (folder / "albums.json").stat().st_size
    entry = ManifestFile("albums.json", size, "0" * 64, "00000000")
    (folder / "manifest.json").write_bytes(encode_manifest(Manifest("backup", datetime.now(UTC), 0, files=(entry,))))


MANY_BRACKETS = '{"albums": [' + '{"a":' * 100_000


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / "metadata.json").unlink(), "no metadata.json"),
        (lambda folder: (folder / "notes.json").unlink(), "no notes.json"),
        (metadata(version="2.0"), "of version 2.0"),
        (metadata(version="0.1"), "cannot be read any more"),
        (metadata(version=7), "which version"),
        (metadata(stats={"albumCount": 5}), "stats.noteCount is missing"),
        (metadata(counts={"albums.json": 2}), "has 2 entries, and it has 1"),
        (write("albums.json", "{"), "albums.json"),
        (write("albums.json", '{"albums": [{"id": NaN}]}'), "NaN"),
        (write("albums.json", MANY_BRACKETS), "albums.json"),
        (write("albums.json", '{"albums": [7]}'), "no JSON object"),
        (write("albums.json", '{"albums": [{"id": ' + "9" * 5000 + "}]}"), "albums.json"),
        (listing("albums.json", "albums", album(title=7)), "title must be a text"),
        (listing("albums.json", "albums", album(), album()), "is there twice"),
        (listing("media_manifest.json", "files", {**media_file(DATA), "exportPath": "../../etc/passwd"}), "no file of a backup"),
        (listing("media_manifest.json", "files", {**media_file(DATA), "exportPath": "/etc/passwd"}), "no file of a backup"),
        (link("albums.json"), "is a link"),
        (pipe, "is a link or no ordinary file"),
        (wrong_digest, "its digest differs"),
    ],
)  # fmt: skip
def test_what_is_damaged_or_hostile_is_refused(whole: Path, tmp_path: Path, change: Change, words: str) -> None:
    change(whole)
    with pytest.raises(BundleRefused) as refused:
        checked(whole, tmp_path / "s")
    assert words in str(refused.value)
    assert str(refused.value).endswith("Nothing was restored.")
    assert str(tmp_path) not in str(refused.value)


def test_links_on_the_way_to_a_file_are_not_followed(whole: Path, tmp_path: Path) -> None:
    (whole / "media").rename(tmp_path / "elsewhere")
    (whole / "media").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleRefused, match="is a link"):
        checked(whole, tmp_path / "s")


@pytest.mark.parametrize("name", ["../evil.json", "/etc/evil", "a\\..\\evil", "a/" * 9 + "deep"])
def test_names_that_lead_out_of_a_zip_are_refused(whole: Path, tmp_path: Path, name: str) -> None:
    path = zipped(whole)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, "x")
    with pytest.raises(BundleRefused, match="no name inside a backup"):
        checked(path, tmp_path / "s")


def test_a_zip_may_have_as_many_files_as_a_folder_and_no_more(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_list, "MOST_ENTRIES", 2)  # of archives of photos
    assert checked(zipped(whole), tmp_path / "s").problem_count == 0
    monkeypatch.setattr(bundle_files, "MOST_FILES", 2)
    with pytest.raises(BundleRefused, match="up to 2 are read"):
        checked(zipped(whole), tmp_path / "s")


def test_zips_with_links_twins_or_bombs_are_refused(whole: Path, tmp_path: Path) -> None:
    linked = zipfile.ZipInfo("media/link")
    linked.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = zipped(whole)
    as_it_was = path.read_bytes()
    for name, data, words in ((linked, b"/etc/passwd", "is a link"), ("albums.json", b"{}", "twice")):
        path.write_bytes(as_it_was)
        _add(path, name, data)
        with pytest.raises(BundleRefused, match=words):
            checked(path, tmp_path / "s")
    path.write_bytes(as_it_was)
    _add(path, "bomb.json", b" " * (64 << 20))
    with open_bundle(path, tmp_path / "s") as files, pytest.raises(BundleRefused, match="would unpack to"):
        files.open("bomb.json")
    path.write_bytes(b"PK no archive")
    with pytest.raises(BundleRefused, match="cannot be read"):
        checked(path, tmp_path / "s")


def _add(path: Path, name: str | zipfile.ZipInfo, data: bytes) -> None:
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data, zipfile.ZIP_DEFLATED)


def test_lists_longer_than_any_are_refused_by_their_size_alone(whole: Path, tmp_path: Path) -> None:
    with (whole / "albums.json").open("r+b") as file:
        file.truncate(2 << 30)  # a hole: no byte of it is read
    with pytest.raises(BundleRefused, match=r"albums\.json of the backup has 2\.1 GB"):
        checked(whole, tmp_path / "s")


def test_an_entry_without_an_id_and_a_damaged_file_are_noted_and_the_rest_counts(whole: Path, tmp_path: Path) -> None:
    listing("albums.json", "albums", album(id="Rome"))(whole)
    (file,) = (path for path in (whole / "media").rglob("*.png"))
    file.write_bytes(DATA[::-1])
    found = checked(whole, tmp_path / "s")
    assert [problem["reason"] for problem in found.problems] == [
        "'Rome' is no id.",
        "The file is not as it was backed up: its MD5 differs.",
    ]


def nested(depth: int) -> Any:
    found: Any = ["\0"]
    for _ in range(depth):
        found = [found]
    return found


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"title": "Ro\0me"}, "It has the character NUL, which no text may have."),
        ({"title": "Rome \ud83d"}, "It has half a character (a lone surrogate)."),
        ({"\0": 1}, "It has the character NUL, which no text may have."),
        ({"more": nested(600)}, "It is nested too deep."),
    ],
)
def test_an_entry_that_no_database_takes_is_noted_and_the_rest_counts(
    whole: Path, tmp_path: Path, fields: dict[str, Any], reason: str
) -> None:
    written = album("A backslash: \\u0000, a face: \U0001f600")
    listing("albums.json", "albums", album(**fields), written)(whole)
    metadata(stats={**json.loads((whole / "metadata.json").read_text())["stats"], "albumCount": 2}, counts={})(whole)
    with open_bundle(whole, tmp_path / "s") as files, Spool(tmp_path / "s" / "spool") as spool:
        found = check(files, spool)
        assert spool.get("albums.json", written["id"]) == written
        assert spool.count("albums.json") == 1
    assert found.problems == [{"what": "albums.json, entry 1", "reason": reason}]


def test_metadata_that_no_database_takes_is_refused(whole: Path, tmp_path: Path) -> None:
    metadata(username="al\0ice")(whole)
    with pytest.raises(BundleRefused, match="damaged: It has the character NUL"):
        checked(whole, tmp_path / "s")


@pytest.mark.parametrize("made", [1e3, 10**20, -(10**20), "0001-01-01T00:00:00+10:00", "then", None])
@pytest.mark.parametrize("name", ["metadata.json", "journals.json"])
def test_times_of_the_original_application_that_are_none_are_refused(tmp_path: Path, name: str, made: Any) -> None:
    folder = tmp_path / "original"
    folder.mkdir()
    said = {"metadata.json": 0, "journals.json": 0, name: made}
    (folder / "metadata.json").write_text(json.dumps({"version": "1.0", "exportDate": said["metadata.json"]}))
    journal = {"id": "j1", "title": "Half \ud83d", "createdAt": said["journals.json"]}
    (folder / "journals.json").write_text(json.dumps({"journals": [journal]}))
    with pytest.raises(BundleRefused, match=f"damaged: {name}"):
        checked(folder, tmp_path / "s")


def test_half_characters_of_the_original_application_are_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "original"
    folder.mkdir()
    (folder / "metadata.json").write_text(json.dumps({"version": "1.0", "exportDate": 0}))
    journal = {"id": "j1", "title": "Half \ud83d", "createdAt": 1}
    (folder / "journals.json").write_text(json.dumps({"journals": [journal]}))
    with open_bundle(folder, tmp_path / "s") as files, Spool(tmp_path / "s" / "spool") as spool:
        found = check(files, spool)
        ((_, entry),) = next(spool.batches("albums.json"))
    assert (entry["title"], entry["createdAt"]) == ("Half \ufffd", "1970-01-01T00:00:00.001000Z")
    assert found.metadata["exportDate"] == "1970-01-01T00:00:00Z"


def test_older_versions_are_read_step_by_step() -> None:
    steps = {
        "0.8": Step("0.9", {"albums.json": lambda entry: {**entry, "order": "manual"}}),
        "0.9": Step("1.0", {"albums.json": lambda entry: {**entry, "title": entry["name"]}}),
    }
    way = steps_from({"version": "0.8"}, steps)
    assert upgraded("albums.json", {"name": "Rome"}, way) == {"name": "Rome", "order": "manual", "title": "Rome"}
    assert upgraded("notes.json", {"name": "Rome"}, way) == {"name": "Rome"}
    assert steps_from({"version": "1.7"}, steps) == []


@pytest.mark.promise("S1-U14", "S1-U15")
def test_the_zip_of_the_original_application_is_read_as_albums_notes_and_drafts(tmp_path: Path) -> None:
    folder = tmp_path / "original"
    (folder / "media" / "2024").mkdir(parents=True)
    path = "media/2024/2024-05-17T10-30-00Z_note1.jpg"
    (folder / path).write_bytes(DATA)
    made = {"createdAt": "2024-05-17T10:30:00Z", "updatedAt": 1715942400000}
    files = {
        "metadata.json": {"version": "1.0", "exportDate": "2024-06-01T00:00:00Z", "userId": "u1", "deviceId": "d",
                          "appVersion": "2",
                          "stats": {"journalCount": 1, "noteCount": 2, "draftCount": 1, "mediaCount": 1}},
        "journals.json": {"journals": [{"id": "j1", "title": "Trip", "description": "By train", **made}]},
        "notes.json": {"notes": [
            {"id": "n1", "type": "IMAGE", "caption": "Square", "mediaPath": "content://1", "tags": ["sun", "sea"],
             "people": ["Ada"], **made,
             "location": {"latitude": 41.9, "longitude": 12.5, "placeName": "Rome"}},
            {"id": key("n2"), "type": "TEXT", "content": "Hello", **made},
        ]},
        "drafts.json": {"drafts": [{"id": "d1", "journalId": "j1", "content": "One\nTwo", "mediaReferences": [path],
                                "location": {"latitude": 41.9, "longitude": 12.5, "placeName": "Rome"}, **made}]},
        "journal_notes.json": {"journal_notes": [{"journalId": "j1", "noteId": key("n2"), "addedAt": "2024-05-18T00:00:00Z"},
                                                 {"journalId": "j1", "noteId": "n1", "addedAt": "2024-05-17T00:00:00Z"}]},
        "media_manifest.json": {"files": [{"exportPath": path, "sourceUri": "content://1"}]},
    }  # fmt: skip
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=2))
    with open_bundle(zipped(folder), tmp_path / "s") as opened, Spool(tmp_path / "s" / "spool") as spool:
        found = check(opened, spool)
        assert check_media(opened, found) == 1
        (album_entry,), notes = (
            [entry for _, entry in next(spool.batches(name))] for name in ("albums.json", "notes.json")
        )
        by_type = {entry["type"]: entry for entry in notes}
        ((_, draft_entry),) = next(spool.batches("drafts.json"))
        items = {
            entry["targetId"]: entry["position"]
            for _, entry in next(spool.batches("album_items.json", album_entry["id"]))
        }
    assert (album_entry["title"], album_entry["description"], album_entry["owner"]) == ("Trip", "By train", "u1")
    assert (found.metadata["userId"], found.metadata["exportDate"]) == ("u1", "2024-06-01T00:00:00Z")
    assert by_type["TEXT"]["id"] == key("n2")  # a UUID stays
    assert (by_type["TEXT"]["content"], by_type["IMAGE"]["caption"]) == ("Hello", "Square")
    assert by_type["IMAGE"]["createdAt"] == "2024-05-17T10:30:00Z"
    assert by_type["IMAGE"]["content"] == "Tags: sun, sea\n\nPeople: Ada"
    assert by_type["IMAGE"]["attachments"][0]["media_md5"] == media_file(DATA)["photo_md5"]
    assert by_type["IMAGE"]["place"] == {"latitude": 41.9, "longitude": 12.5, "name": "Rome"}
    assert by_type["IMAGE"]["updatedAt"] == "2024-05-17T10:40:00Z"
    assert [block["type"] for block in draft_entry["blocks"]] == ["text", "image"]
    assert draft_entry["albums"] == [album_entry["id"]]
    assert draft_entry["blocks"][0]["text"] == "One\nTwo"
    assert draft_entry["blocks"][1]["attachment"]["media_md5"] == media_file(DATA)["photo_md5"]
    assert draft_entry["blocks"][0]["place"] == {
        "latitude": 41.9,
        "longitude": 12.5,
        "name": "Rome",
    }
    assert items[by_type["IMAGE"]["id"]] < items[key("n2")]
    (folder / "journals.json").write_text('{"journals": []}')
    with pytest.raises(BundleRefused, match=r"journals\.json has 1 entries, and it has 0"):
        checked(folder, tmp_path / "s")


def test_items_need_ids_of_their_own(whole: Path, tmp_path: Path) -> None:
    entry = item(key("album Rome"), "note", key("note Sunny"))
    listing("album_items.json", "albumItems", entry, entry)(whole)
    with pytest.raises(BundleRefused, match="is there twice"):
        checked(whole, tmp_path / "s")
