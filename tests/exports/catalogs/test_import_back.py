"""What an export says of photos is given back: looked at first, never taken away, through the verbs of people."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command

from catalog.albums import albums, items
from catalog.models import Album, AlbumItem, FileWrite, Library, Photo
from catalog.models.photo import UNDATED
from exports.catalogs.import_back import start_import, start_import_of_file
from exports.catalogs.requests import Wishes, start_export
from exports.formats import json_reader
from exports.formats.json_reader import InvalidJson, parse_json
from exports.formats.manifest import decode_manifest
from exports.models import Export
from operations.models import Operation, State
from operations.running import execute
from tests.factories import make_library, make_photo

COUNTS = (
    *("rows", "matched", "unmatched", "captions", "ratings", "keywords", "places", "dates", "albums", "album_items"),
    *("kept", "failed"),
)


def exported(cast: Any, format: str = "json") -> Export:
    export = start_export(cast.alice, cast.library, Wishes(format=format))
    execute(export.operation_id)  # type: ignore[arg-type]
    export.refresh_from_db()
    return export


def imported(user: Any, export: Export, library: Library, *, apply: bool = False, overwrite: bool = False) -> Operation:
    ended = execute(start_import(user, export, library, apply=apply, overwrite=overwrite).pk)
    assert ended is not None
    return ended


def counts(operation: Operation) -> dict[str, int]:
    assert operation.state == State.COMPLETED, (operation.error, operation.error_detail)
    return {name: operation.result[name] for name in COUNTS if operation.result[name]}


def said(library: Library) -> dict[str, tuple[str, int | None]]:
    return {
        row[0]: row[1:] for row in Photo.objects.filter(library=library).values_list("filename", "caption", "rating")
    }


@pytest.mark.parametrize("format", ["json", "csv"])
def test_captions_and_ratings_that_were_lost_come_back(cast: Any, format: str) -> None:
    Library.objects.filter(pk=cast.library.pk).update(ratings=Library.Ratings.DATABASE)
    make_photo(cast.library, "both.jpg", caption="=The\nsea; “now”", rating=4)
    make_photo(cast.library, "same.jpg", caption="Same", rating=2)
    make_photo(cast.library, "plain.jpg")
    make_photo(cast.library, "other.jpg", caption="Before", rating=1)
    before = said(cast.library)
    export = exported(cast, format)
    Photo.objects.filter(filename="both.jpg").update(caption="", rating=None)
    Photo.objects.filter(filename="other.jpg").update(caption="Since", rating=5)
    Photo.objects.filter(filename="plain.jpg").update(caption="New", rating=3)
    lost = said(cast.library)
    expected = {"rows": 4, "matched": 4, "captions": 1, "ratings": 1, "kept": 2}
    looked = imported(cast.alice, export, cast.library)
    assert counts(looked) == expected
    assert {(one["path"], one["reason"]) for one in looked.result["problems"]} == {
        ("other.jpg", "The catalog has another caption, which is kept."),
        ("other.jpg", "The catalog has another rating, which is kept."),
    }
    assert said(cast.library) == lost
    assert counts(imported(cast.alice, export, cast.library, apply=True)) == expected
    assert said(cast.library) == lost | {"both.jpg": before["both.jpg"]}
    overwritten = imported(cast.alice, export, cast.library, apply=True, overwrite=True)
    assert counts(overwritten) == {"rows": 4, "matched": 4, "captions": 1, "ratings": 1}
    assert said(cast.library) == before | {"plain.jpg": ("New", 3)}  # what is empty takes nothing away


def test_photos_of_another_library_are_found_by_their_content_and_their_files_are_written(cast: Any) -> None:
    make_photo(cast.library, "a.jpg", data=b"a", caption="A", rating=5)
    make_photo(cast.library, "twice.jpg", data=b"twice", rating=5)
    make_photo(cast.library, "gone.jpg", data=b"gone", rating=5)
    other = make_library(cast.alice, cast.root.parent / "other")
    Library.objects.filter(pk=other.pk).update(ratings=Library.Ratings.FILE)
    there = make_photo(other, "renamed.jpg", data=b"a")
    make_photo(other, "deleted.jpg", data=b"a", state=Photo.State.MISSING)
    for name in ("one", "two"):
        make_photo(other, f"{name}.jpg", data=b"twice")
    ended = imported(cast.alice, exported(cast), other, apply=True)
    assert counts(ended) == {"rows": 3, "matched": 1, "unmatched": 2, "captions": 1, "ratings": 1}
    others = dict.fromkeys(("deleted.jpg", "one.jpg", "two.jpg"), ("", None))
    assert said(other) == {"renamed.jpg": ("A", 5), **others}
    assert set(FileWrite.objects.values_list("photo", "kind")) == {(there.pk, "rating"), (there.pk, "caption")}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "no JSON array"),
        ("{}", "no JSON array"),
        ('[{"id": "a"}', "after row 1"),
        ('[{"id": "a"},]', "Row 2 is not JSON"),
        ('[{"id": "a"} {"id": "b"}]', "after row 1"),
        ('[{"id": "a"}, {"id": 1}]', "Row 2 is no object with an 'id'"),
        ('[{"id": "a"}, {"id": "b', "Row 2 is not JSON"),
        ('[{"id": "a", "rating": NaN}]', "Row 1 is not JSON"),
        ("[" * 100_000, "Row 1"),
    ],
)
def test_a_file_that_is_no_export_is_refused_with_its_row(body: str, message: str) -> None:
    with pytest.raises(InvalidJson, match=message):
        list(parse_json(io.StringIO(body)))


def test_rows_are_read_in_any_layout_and_one_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_reader, "READ_CHARACTERS", 3)
    rows = [{"id": str(number), "caption": "é" * number, "metadata": {"a": [1, {"b": "]"}]}} for number in range(9)]
    for layout in ({"indent": 2}, {"separators": (",", ":")}, {"indent": "\t"}):
        assert list(parse_json(io.StringIO(json.dumps(rows, **layout)))) == rows  # type: ignore[arg-type]
    assert list(parse_json(io.StringIO(" [\n]\n"))) == []
    monkeypatch.setattr(json_reader, "LARGEST_ROW", 50)
    with pytest.raises(InvalidJson, match="Row 1 has more than 50 characters"):
        list(parse_json(io.StringIO('[{"id": "' + "x" * 1000)))


def test_a_damaged_row_is_told_and_stops_nothing_and_a_damaged_file_says_how_far_it_came(
    cast: Any, tmp_path: Path
) -> None:
    photos = [make_photo(cast.library, f"{name}.jpg", data=name.encode()) for name in ("a", "b", "c", "d")]
    rows = [{"id": str(photo.pk), "path": photo.path, "rating": 5} for photo in photos]
    rows[0]["rating"], rows[1]["rating"], rows[2]["caption"] = 6, "5", "x" * 1_000_000
    path = tmp_path / "photos.json"
    path.write_text(json.dumps(rows))
    told = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("import_catalog", str(path), "--library", str(cast.library.pk), "--apply", "--json", stdout=told)
    assert ended.value.code == 1
    assert {name: json.loads(told.getvalue())[name] for name in ("failed", "ratings")} == {"failed": 3, "ratings": 1}
    assert said(cast.library)["d.jpg"] == ("", 5)
    path.write_text(json.dumps(rows)[:-3])
    with pytest.raises(SystemExit):
        call_command("import_catalog", str(path), "--library", str(cast.library.pk), stderr=(errors := io.StringIO()))
    assert "Row 4 is not JSON" in errors.getvalue()
    assert "Nothing was changed." in errors.getvalue()


def test_text_that_no_database_holds_matches_nothing_and_stops_nothing(cast: Any, tmp_path: Path) -> None:
    make_photo(cast.library, "a.jpg", data=b"a")
    texts = ("\ud800", "a\0b", "\0" * 32)
    rows = [{"id": text, "path": text, "photo_md5": text, "caption": text} for text in texts]
    own = {"id": str(Photo.objects.get().pk), "path": "a\0\udc80.jpg", "caption": "\ud800"}
    path = tmp_path / "photos.json"
    path.write_text(json.dumps([*rows, own]))
    ended = execute(start_import_of_file(cast.alice, path, cast.library, apply=True, overwrite=False).pk)
    assert ended is not None
    assert counts(ended) == {"rows": 4, "matched": 1, "unmatched": 3, "failed": 1}
    assert [one["path"] for one in ended.result["problems"]] == [
        "\ufffd",
        "a\ufffdb",
        "\ufffd" * 32,
        "a\ufffd\ufffd.jpg",
    ]


def test_only_who_may_edit_the_library_and_has_the_export_may_import(cast: Any, api: Any) -> None:
    photo = make_photo(cast.library, "a.jpg", rating=5)
    export = exported(cast)
    Photo.objects.filter(pk=photo.pk).update(rating=None)
    address, body = f"/api/v1/exports/{export.pk}/import/", {"library": str(cast.library.pk), "apply": True}
    for other in (cast.bob, cast.charlie):
        assert api(other).post(address, body, format="json").status_code == 404
    own = start_export(cast.bob, cast.library, Wishes(format="json"))
    bobs = f"/api/v1/exports/{own.pk}/import/"
    assert api(cast.bob).post(bobs, body, format="json").status_code == 403
    foreign = make_library(cast.charlie, cast.root.parent / "charlies")
    assert api(cast.alice).post(address, {"library": str(foreign.pk)}, format="json").status_code == 404
    waiting = start_export(cast.alice, cast.library, Wishes(format="csv"))
    unfinished = api(cast.alice).post(f"/api/v1/exports/{waiting.pk}/import/", body, format="json")
    assert (unfinished.status_code, unfinished.json()["type"].endswith("not_finished")) == (409, True)
    started = api(cast.alice).post(address, body, format="json")
    assert started.status_code == 202
    assert api(cast.alice).post(address, body, format="json").status_code == 409
    Library.objects.filter(pk=cast.library.pk).update(owner=cast.charlie)  # handed over before it ran
    ended = execute(started.json()["id"])
    assert (ended.state, said(cast.library)["a.jpg"]) == (State.FAILED, ("", None))  # type: ignore[union-attr]


def facts(library: Library) -> dict[str, tuple[Any, ...]]:
    names = ("filename", "keywords", "latitude", "longitude", "taken_local", "taken_offset_minutes")
    return {row[0]: row[1:] for row in Photo.objects.filter(library=library).values_list(*names)}


@pytest.mark.parametrize("format", ["json", "csv"])
def test_keywords_places_and_dates_come_back_and_each_change_is_told_before(cast: Any, format: str) -> None:
    Library.objects.filter(pk=cast.library.pk).update(ratings=Library.Ratings.DATABASE)
    place = {"latitude": 48.8583, "longitude": 2.2945}
    make_photo(cast.library, "lost.jpg", keywords=["sea", "a;b"], **place, taken_offset_minutes=120)
    make_photo(cast.library, "other.jpg", keywords=["sea"], **place)
    make_photo(cast.library, "guess.jpg", taken_source="file", latitude=0.0, longitude=0.0)
    before = facts(cast.library)
    export = exported(cast, format)
    nowhere = {"latitude": None, "longitude": None}
    undated = {
        "taken_source": "",
        "taken_local": UNDATED,
        "taken_at": UNDATED,
        "taken_day": 0,
        "taken_offset_minutes": None,
    }
    lost = Photo.objects.filter(filename__in=["lost.jpg", "guess.jpg"])
    lost.update(keywords=[], **nowhere, **undated)
    moved = datetime(2020, 1, 1, 8, tzinfo=UTC)
    Photo.objects.filter(filename="other.jpg").update(
        keywords=["hills"], latitude=1.0, taken_local=moved, taken_at=moved
    )
    expected = {"rows": 3, "matched": 3, "keywords": 2, "places": 1, "dates": 1, "kept": 2}
    looked = imported(cast.alice, export, cast.library)
    assert counts(looked) == expected
    assert [one for one in looked.result["changes"] if one["path"] == "lost.jpg"] == [
        {"path": "lost.jpg", "field": field, "before": "", "after": after}
        for field, after in {
            "keywords": "+ sea, a;b",
            "place": "48.85830, 2.29450",
            "date": "2024-05-17 12:00:00+02:00",
        }.items()
    ]
    assert facts(cast.library)["lost.jpg"] == ([], None, None, UNDATED, None)
    assert counts(imported(cast.alice, export, cast.library, apply=True)) == expected
    after = facts(cast.library)
    assert after["lost.jpg"] == before["lost.jpg"]
    assert after["other.jpg"] == (["hills", "sea"], 1.0, 2.2945, moved, None)
    assert after["guess.jpg"] == ([], None, None, UNDATED, None)  # a guess, and 0, 0, are nothing to give
    assert counts(imported(cast.alice, export, cast.library, apply=True)) == {"rows": 3, "matched": 3, "kept": 2}
    imported(cast.alice, export, cast.library, apply=True, overwrite=True)
    assert facts(cast.library)["other.jpg"] == (["hills", "sea"], *before["other.jpg"][1:])


def test_of_several_rows_with_one_content_each_gives_what_the_photo_lacks(cast: Any) -> None:
    make_photo(cast.library, "a.jpg", data=b"same", keywords=["sea", "sun"], rating=4)
    make_photo(cast.library, "b.jpg", data=b"same", keywords=["sun", "hills"], rating=2, caption="Second")
    export = exported(cast)
    other = make_library(cast.alice, cast.root.parent / "other")
    Library.objects.filter(pk=other.pk).update(ratings=Library.Ratings.DATABASE)
    make_photo(other, "one.jpg", data=b"same", keywords=["own"])
    expected = {"rows": 2, "matched": 2, "captions": 1, "ratings": 1, "keywords": 1, "kept": 1}
    for apply in (False, True):
        assert counts(imported(cast.alice, export, other, apply=apply)) == expected
    photo = Photo.objects.get(library=other)
    assert (photo.keywords[0], set(photo.keywords), photo.caption) == ("own", {"own", "sea", "sun", "hills"}, "Second")
    assert photo.rating in (4, 2)
    again = imported(cast.alice, export, other, apply=True)
    assert counts(again) == {"rows": 2, "matched": 2, "kept": 1}


def test_what_one_photo_cannot_get_is_told_and_the_rest_of_its_row_is_given(cast: Any) -> None:
    photo = make_photo(cast.library, "a.jpg", keywords=[f"word {number}" for number in range(400)], rating=5)
    export = exported(cast)
    words = [f"other {number}" for number in range(400)]
    Photo.objects.filter(pk=photo.pk).update(keywords=words, rating=None)
    for apply in (False, True):
        ended = imported(cast.alice, export, cast.library, apply=apply)
        assert counts(ended) == {"rows": 1, "matched": 1, "ratings": 1, "failed": 1}
        assert "at most 500 keywords" in ended.result["problems"][0]["reason"]
    assert (said(cast.library)["a.jpg"], facts(cast.library)["a.jpg"][0]) == (("", 5), words)


def album(user: Any, title: str, photos: list[Photo]) -> Album:
    made = albums.create(user, uuid4(), {"title": title, "description": "About it"})
    items.add(user, made.pk, [items.Target(items.PHOTO, photo.pk) for photo in photos])
    return made


def inside(made: Album) -> list[str]:
    found = AlbumItem.objects.live().filter(album=made).order_by("position")
    return list(found.values_list("photo__filename", flat=True))


def test_albums_come_back_with_their_photos_in_order_and_lose_none_that_they_have(cast: Any) -> None:
    a, b, c = (make_photo(cast.library, f"{name}.jpg", data=name.encode()) for name in "abc")
    elsewhere = make_photo(make_library(cast.alice, cast.root.parent / "other"), "elsewhere.jpg")
    lost, kept = album(cast.alice, "Été\n“at sea”", [c, a, elsewhere]), album(cast.alice, "Kept", [a, b])
    album(cast.bob, "Bob's", [a])
    album(cast.alice, "Empty", [])
    export = exported(cast)
    told = json.loads((export.folder / "albums.json").read_text())
    assert [(one["title"], [photo["photo_md5"] for photo in one["photos"]]) for one in told] == [
        ("Kept", [a.photo_md5, b.photo_md5]),
        ("Été\n“at sea”", [c.photo_md5, a.photo_md5]),
    ]
    assert "albums.json" in {
        file.path for file in decode_manifest((export.folder / "manifest.json").read_bytes()).files
    }
    Album.objects.filter(pk=lost.pk).delete()
    items.remove(cast.alice, kept.pk, [AlbumItem.objects.get(album=kept, photo=a).pk])
    items.add(cast.alice, kept.pk, [items.Target(items.PHOTO, c.pk)])
    expected = {"rows": 3, "matched": 3, "albums": 1, "album_items": 3}
    looked = imported(cast.alice, export, cast.library)
    assert counts(looked) == expected
    assert [(one["before"], one["after"]) for one in looked.result["changes"]] == [
        ("1 of its photos", "2 of its photos"),
        ("", "2 of its photos"),
    ]
    told_lines = io.StringIO()
    call_command(
        "import_catalog", str(export.folder / "photos.json"), "--library", str(cast.library.pk), stdout=told_lines
    )
    assert "and 3 photos to albums, 1 of which are new" in told_lines.getvalue()
    assert "Kept: album '1 of its photos' -> '2 of its photos'" in told_lines.getvalue()
    assert (Album.objects.filter(pk=lost.pk).exists(), inside(kept)) == (False, ["b.jpg", "c.jpg"])
    assert counts(imported(cast.alice, export, cast.library, apply=True)) == expected
    again = Album.objects.get(owner=cast.alice, title="Été\n“at sea”")
    assert (again.pk, again.description, inside(again)) == (lost.pk, "About it", ["c.jpg", "a.jpg"])
    assert set(inside(kept)) == {"a.jpg", "b.jpg", "c.jpg"}
    assert counts(imported(cast.alice, export, cast.library, apply=True)) == {"rows": 3, "matched": 3}


def test_albums_are_found_by_title_and_what_is_no_album_of_ones_own_is_not_touched(cast: Any, tmp_path: Path) -> None:
    photo = make_photo(cast.library, "a.jpg", data=b"a")
    own, bobs = album(cast.alice, "Trip", []), album(cast.bob, "Trip", [])
    for _ in range(2):
        album(cast.alice, "Twice", [])
    photos = [{"id": str(photo.pk)}, {"id": str(uuid4())}]
    rows = [
        {"id": str(bobs.pk), "title": "Trip", "photos": photos},
        {"id": str(bobs.pk), "title": "New", "photos": photos[:1]},
        {"id": "x", "title": "Twice", "photos": photos},
        {"id": "x", "title": "\ud800", "photos": photos},
        {"id": "x", "title": "No list", "photos": 1},
        {"id": "x", "title": "Long" * 100, "photos": photos},
    ]
    (tmp_path / "photos.json").write_text(json.dumps([{"id": str(photo.pk)}]))
    (tmp_path / "albums.json").write_text(json.dumps(rows))
    for is_real in (False, True):  # a dry run promises no more
        ended = execute(
            start_import_of_file(cast.alice, tmp_path / "photos.json", cast.library, apply=is_real, overwrite=False).pk
        )
        assert ended is not None
        assert counts(ended) == {"rows": 1, "matched": 1, "albums": 1, "album_items": 2, "failed": 4}
        told = [one["path"] for one in ended.result["problems"]]
        assert told == ["Trip", "Twice", "\ufffd", "No list", ("Long" * 100)[:200]]
    new = Album.objects.get(title="New")
    assert (new.owner, inside(new), inside(own), inside(bobs)) == (cast.alice, ["a.jpg"], ["a.jpg"], [])


def test_the_page_compares_first_and_gives_back_only_to_libraries_that_one_may_edit(cast: Any, browser: Any) -> None:
    photo = make_photo(cast.library, "a.jpg", rating=5)
    export = exported(cast)
    Photo.objects.filter(pk=photo.pk).update(rating=None)
    address, body = f"/exports/{export.pk}/import/", {"library": str(cast.library.pk)}
    assert browser(cast.bob).post(address, body).status_code == 404
    foreign = make_library(cast.charlie, cast.root.parent / "charlies")
    assert browser(cast.alice).post(address, {"library": str(foreign.pk)}).status_code == 404
    assert b"Show what would change" in browser(cast.alice).get("/exports/").content
    steps: tuple[tuple[dict[str, str], bytes, int | None], ...] = (
        ({}, b"What would be changed", None),
        ({"apply": "on"}, b"What was changed", 5),
        ({}, b"Nothing would be changed", 5),
    )
    for more, heading, stars in steps:
        started = browser(cast.alice).post(address, {**body, **more})
        operation = Operation.objects.filter(kind="import_catalog").latest("created_at")
        assert started.url == f"/operations/{operation.pk}/"
        execute(operation.pk)
        assert heading in browser(cast.alice).get(started.url).content
        assert said(cast.library)["a.jpg"] == ("", stars)
