"""A backup is put back: all of it or nothing, by the verbs, newest first; twice is once."""

import json
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from catalog.albums import albums, drafts, items, media, notes
from catalog.edits import captions, ratings
from catalog.models import Album, AlbumItem, AlbumMember, Draft, Favourite, Library, Media, Note, Photo
from changes.scopes import current_epoch
from changes.types import scope_name
from exports.bundle import layout
from exports.models import Restore, WaitingFacts
from exports.restore.photos import Named
from exports.restore.requests import start_restore
from exports.restore.waiting import join_waiting, keep_waiting
from operations.models import State
from operations.running import execute
from tests.changes.following import Followers
from tests.exports.conftest import Cast
from tests.factories import make_photo

from .bundles import CHANGED, MADE, album, attached, bundle, draft, item, key, note, rated, zipped

PICTURE = b"\x89PNG picture"
ROME = key("album Rome")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def restore(
    user: Any, path: Path, mode: str = "merge", *, dry_run: bool = False, state: str = State.COMPLETED
) -> Restore:
    started = start_restore(user, path, mode, is_dry_run=dry_run)
    ended = execute(started.operation.pk)
    assert ended is not None
    assert ended.state == state, ended.error + ended.error_detail
    return Restore.objects.get(pk=started.pk)


@pytest.fixture
def whole(tmp_path: Path, cast: Cast) -> Path:
    """A backup of alice's: an album with a photo and a note, a draft, what she said of a photo, a file."""
    photo = make_photo(cast.library, "a/one.jpg")
    return bundle(
        tmp_path / "backup",
        {
            layout.ALBUMS: [
                album(description="Ciao", cover=str(photo.pk), members=[{"username": "bob", "role": "editor"}])
            ],
            layout.NOTES: [
                note(attachments=[attached(PICTURE), {"photo": str(photo.pk)}], type="IMAGE", place=place())
            ],
            layout.DRAFTS: [draft()],
            layout.ALBUM_ITEMS: [
                item(ROME, "photo", photo.pk, "V"),
                item(ROME, "note", key("note Sunny"), "k"),
            ],
            layout.RATINGS: [
                rated(
                    photo,
                    rating=4,
                    ratedAt=CHANGED,
                    caption="The square",
                    captionedAt=CHANGED,
                    keywords=["Rome", "Rome", "noon"],
                    keywordedAt=CHANGED,
                    taken="2024-05-17T10:00:00+02:00",
                    datedAt=CHANGED,
                    favourites={"alice": 4},
                )
            ],
        },
        (PICTURE,),
    )


def place() -> dict[str, Any]:
    return {"latitude": 41.9, "longitude": 12.5, "name": "Rome"}


def everything() -> list[Any]:
    """Return all that a restore writes, for comparisons."""
    tables = [Album, AlbumItem, AlbumMember, Note, Draft, Media, Favourite, WaitingFacts]
    rows: list[Any] = [list(table.objects.order_by("pk").values()) for table in tables]
    facts = Photo.objects.order_by("pk").values_list("pk", "rating", "caption", "taken_at", "rated_at")
    return [*rows, list(facts)]


def test_all_of_a_backup_is_put_back_as_it_was(cast: Cast, whole: Path) -> None:
    photo, epoch = Photo.objects.get(), current_epoch()
    devices = Followers([scope_name("user", cast.alice.pk), scope_name("library", cast.library.pk)])
    devices.pull()
    done = restore(cast.alice, whole)
    made = Album.objects.get(pk=ROME)
    assert (made.owner, made.title, made.description, made.cover_id) == (cast.alice, "Rome", "Ciao", photo.pk)
    assert (made.created_at, made.updated_at) == (moment(MADE), moment(CHANGED))
    assert list(AlbumMember.objects.values_list("user__username", "role")) == [("bob", "editor")]
    placed = AlbumItem.objects.order_by("position").values_list("target_type", "position", "added_at", "added_by")
    assert list(placed) == [("photo", "V", moment(MADE), cast.alice.pk), ("note", "k", moment(MADE), cast.alice.pk)]
    written = Note.objects.get()
    assert [sorted(held) for held in written.attachments] == [
        ["media_md5", "media_type", "name", "size_bytes"],
        ["photo"],
    ]
    assert (written.noted_offset_minutes, written.place, written.type) == (120, place(), "IMAGE")
    assert (written.created_at, written.updated_at) == (moment(MADE), moment(CHANGED))
    assert Media.objects.get().unused_since is None
    assert Draft.objects.get().blocks[0]["text"] == "Later"
    photo.refresh_from_db()
    assert (photo.rating, photo.caption, photo.taken_text) == (4, "The square", "2024-05-17T10:00:00+02:00")
    assert photo.keywords == ["Rome", "noon"]
    moments = (photo.rated_at, photo.captioned_at, photo.keyworded_at, photo.dated_at)
    assert moments == (moment(CHANGED),) * 4
    assert Favourite.objects.get().user == cast.alice
    assert done.completed_at is not None
    assert done.counts["album"] == {"create": 1}
    assert done.counts["albumItem"] == {"create": 2}
    assert done.counts["photo"] == {"update": 1}
    assert devices.pull() >= {"note", "draft", "favourite", "photo"}
    assert current_epoch() == epoch  # nobody has to start over


def test_twice_changes_nothing(cast: Cast, whole: Path) -> None:
    restore(cast.alice, whole)
    before, epoch = everything(), current_epoch()
    again = restore(cast.alice, zipped(whole, "backup-1/"))
    assert everything() == before
    assert {action for of_kind in again.counts.values() for action in of_kind} == {"same"}
    assert current_epoch() == epoch


def test_a_dry_run_says_what_differs_and_changes_nothing(cast: Cast, whole: Path) -> None:
    before = everything()
    compared = restore(cast.alice, whole, dry_run=True)
    assert everything() == before
    assert compared.completed_at is None
    assert compared.counts["note"] == {"create": 1}
    (of_photo,) = (one for one in compared.differences if one["kind"] == "photo")
    assert of_photo["fields"]["rating"] == {"here": 0, "backup": 4, "wins": "backup"}
    lines = compared.report_file.read_text().splitlines()
    assert [json.loads(line) for line in lines] == compared.differences


def test_merging_keeps_what_is_newer_here_and_replacing_does_not(cast: Cast, whole: Path) -> None:
    restore(cast.alice, whole)
    photo = Photo.objects.get()
    albums.patch(cast.alice, UUID(ROME), {"title": "Roma"})
    captions.set_caption(cast.alice, photo, "Newer")
    other = albums.create(cast.alice, UUID(key("other")), {"title": "Other"})
    merged = restore(cast.alice, whole)
    assert Album.objects.get(pk=ROME).title == "Roma"
    assert Photo.objects.get().caption == "Newer"
    assert merged.counts["album"] == {"keep": 1}
    assert Album.objects.get(pk=other.pk).trashed_at is None
    replaced = restore(cast.alice, whole, "replace")
    assert Album.objects.get(pk=ROME).title == "Rome"
    assert Photo.objects.get().caption == "The square"
    assert replaced.counts["album"] == {"update": 1, "trash": 1}
    assert Album.objects.get(pk=other.pk).trashed_at is not None  # for 30 days, not gone


def test_what_is_in_the_trash_comes_back(cast: Cast, whole: Path) -> None:
    restore(cast.alice, whole)
    before = everything()
    notes.delete(cast.alice, Note.objects.get().pk)
    drafts.delete(cast.alice, Draft.objects.get().pk)
    items.remove(cast.alice, UUID(ROME), list(AlbumItem.objects.values_list("pk", flat=True)))
    albums.delete(cast.alice, UUID(ROME))
    done = restore(cast.alice, whole)
    assert {kind: done.counts[kind] for kind in ("album", "note", "draft")} == {
        "album": {"bring_back": 1},
        "note": {"bring_back": 1},
        "draft": {"bring_back": 1},
    }
    assert done.counts["albumItem"] == {"bring_back": 2}
    assert AlbumItem.objects.live().count() == 2
    assert [row["attachments"] for row in before[3]] == [Note.objects.get().attachments]


def test_an_error_at_the_end_leaves_nothing(cast: Cast, whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, epoch = everything(), current_epoch()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("exports.restore.run.restore_contents", full)
        failed = restore(cast.alice, whole, state=State.FAILED)
    assert everything() == before
    assert current_epoch() == epoch
    assert failed.operation.error_code == "disk_space"
    stored = Path(str(Path(failed.folder).parents[1] / "media"))
    assert [path for path in stored.rglob("*") if path.is_file()] == []
    restore(cast.alice, whole)
    assert Note.objects.count() == 1


def test_a_run_that_lost_its_lease_removes_no_file_that_the_next_one_uses(
    cast: Cast, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept_by_the_first = media.keep(cast.alice, BytesIO(PICTURE).read, "image/png")
    monkeypatch.setattr("exports.restore.run.restore_users", lambda work: media.let_go([kept_by_the_first]))
    done = restore(cast.alice, whole)
    assert done.problems == []
    assert "media_md5" in Note.objects.get().attachments[0]
    assert media.opened(Media.objects.get())[0].read() == PICTURE


def test_a_file_that_is_missing_is_noted_and_the_rest_is_whole(cast: Cast, whole: Path) -> None:
    (lost,) = (path for path in (whole / "media").rglob("*") if path.is_file())
    lost.unlink()
    done = restore(cast.alice, whole)
    assert [sorted(held) for held in Note.objects.get().attachments] == [["photo"]]
    assert [problem["what"].partition("/")[0] for problem in done.problems] == ["media", f"note {key('note Sunny')}"]
    assert AlbumItem.objects.count() == 2


def test_photos_are_found_by_content_and_what_is_not_here_joins_when_it_comes(cast: Cast, whole: Path) -> None:
    here = Photo.objects.get()
    data = (Path(cast.library.root) / here.path).read_bytes()
    Photo.objects.all().delete()
    away = restore(cast.alice, whole)
    assert away.counts["photo"] == {"waiting": 1}
    assert WaitingFacts.objects.get().photo_id == here.pk
    again = make_photo(cast.library, "b/renamed.jpg", data=data)  # with another id
    assert join_waiting() == 1
    again.refresh_from_db()
    assert (again.rating, again.caption, again.rated_at) == (4, "The square", moment(CHANGED))
    live = AlbumItem.objects.live()
    assert [row.photo_id for row in live.filter(target_type="photo")] == [again.pk]
    assert Album.objects.get(pk=ROME).cover_id == again.pk
    assert Note.objects.get().attachments[1] == {"photo": str(again.pk)}
    assert not WaitingFacts.objects.exists()
    assert restore(cast.alice, whole).counts["photo"] == {"same": 1}


def test_what_waits_by_one_backup_is_not_lost_by_another(cast: Cast, tmp_path: Path) -> None:
    photo = make_photo(cast.library, "one.jpg")
    data = Path(cast.library.root, photo.path).read_bytes()
    later, earlier = CHANGED, MADE
    newest = rated(photo, rating=4, ratedAt=later, caption="The square", captionedAt=earlier)
    older = rated(photo, rating=1, ratedAt=earlier, caption="The market", captionedAt=later)
    named = {name: newest[name] for name in ("libraryId", "photoMD5", "path", "sizeBytes")} | {"id": newest["photoId"]}
    Photo.objects.all().delete()
    for number, lists in enumerate(
        ({layout.RATINGS: [newest]}, {layout.RATINGS: [older]}, {layout.PHOTOS: [named], layout.RATINGS: []})
    ):
        restore(cast.alice, bundle(tmp_path / f"backup {number}", lists))
    again = make_photo(cast.library, "two.jpg", data=data)
    assert join_waiting() == 1
    again.refresh_from_db()
    assert (again.rating, again.rated_at) == (4, moment(later))
    assert (again.caption, again.captioned_at) == ("The market", moment(later))


def waiting(name: str, stars: int | None, at: str | None) -> dict[str, Any]:
    return {"name": name, "favourites": {name: stars}, "favouredAt": {name: at}} if stars else {"name": name}


@pytest.mark.parametrize(
    ("before", "after", "mode", "stars"),
    [
        (waiting("ada", 3, CHANGED), waiting("alice", 5, MADE), "merge", 3),
        (waiting("ada", 3, MADE), waiting("alice", 5, CHANGED), "merge", 5),
        (waiting("ada", 3, CHANGED), waiting("alice", 5, MADE), "replace", 5),
        (waiting("ada", 3, CHANGED), waiting("alice", None, None), "replace", 3),
    ],
)
def test_of_favourites_that_wait_the_newest_is_kept_by_the_last_name(
    cast: Cast, before: dict[str, Any], after: dict[str, Any], mode: str, stars: int
) -> None:
    key_of_photo = key("photo")
    named = {key_of_photo: Named(key_of_photo, key("library"), "", "one.jpg", None)}
    for words in (before, after):
        keep_waiting(Restore.objects.create(user=cast.alice, mode=mode), cast.alice, named, {key_of_photo: words})
    assert WaitingFacts.objects.get().said["favourites"] == {"alice": stars}


def test_drafts_name_photos_that_come_with_other_ids_by_those(cast: Cast, tmp_path: Path) -> None:
    here, away = (make_photo(cast.library, name) for name in ("one.jpg", "two.jpg"))
    data = Path(cast.library.root, away.path).read_bytes()
    blocks = [
        {"id": str(photo.pk), "type": "image", "text": "", "attachment": {"photo": str(photo.pk)}, "caption": "Sea",
         "place": None}
        for photo in (away, here)
    ]  # fmt: skip
    blocks += [{**blocks[0], "id": "3", "attachment": None, "text": "And so on"}]
    path = bundle(
        tmp_path / "backup",
        {layout.DRAFTS: [draft(blocks=blocks, albums=[])], layout.RATINGS: [rated(here), rated(away, rating=3, ratedAt=CHANGED)]},
    )  # fmt: skip
    Photo.objects.filter(pk=away.pk).delete()
    restore(cast.alice, path)
    assert Draft.objects.get().blocks == blocks
    again = make_photo(cast.library, "three.jpg", data=data)
    assert join_waiting() == 1
    held = Draft.objects.get()
    assert [block["attachment"] for block in held.blocks] == [{"photo": str(again.pk)}, {"photo": str(here.pk)}, None]
    assert [block["caption"] for block in held.blocks] == ["Sea"] * 3
    assert held.updated_at == moment(CHANGED)
    assert set(held.held.values_list("photo", flat=True)) == {again.pk, here.pk}


def test_facts_that_no_database_keeps_are_noted_and_the_rest_is_restored(cast: Cast, tmp_path: Path) -> None:
    photo = make_photo(cast.library, "one.jpg")
    entry = rated(photo, rating=4, ratedAt=CHANGED)
    Photo.objects.all().delete()
    entries = [
        {**entry, "photoId": key("no library"), "libraryId": "Holidays"},
        {**entry, "photoId": key("no size"), "sizeBytes": 1 << 63},
        {**entry, "photoId": key("no path"), "path": "a\0.jpg"},
        {**entry, "photoId": key("no name"), "favourites": {"\0": 3}},
        {**entry, "photoId": key("good")},
    ]
    lists = {layout.RATINGS: entries, layout.ALBUMS: [album("Ro\0me"), album("Paris")]}
    path = bundle(tmp_path / "backup", lists)
    for dry_run in (True, False):
        done = restore(cast.alice, path, dry_run=dry_run)
        assert done.problem_count == 5
        assert done.counts == {"album": {"create": 1}, "photo": {"waiting": 1}}
    assert WaitingFacts.objects.get().photo_id == UUID(key("good"))
    assert Album.objects.get().title == "Paris"


def test_libraries_are_added_again_with_their_ids(cast: Cast, tmp_path: Path) -> None:
    entry = {
        "id": str(cast.library.pk),
        "name": "Holidays",
        "root": cast.library.root,
        "source": "local",
        "owner": "alice",
        "members": [{"username": "bob", "role": "viewer"}, {"username": "nobody", "role": "viewer"}],
        "settings": {"ratings": "sidecar", "fileTimes": "keep", "timeZone": "Europe/Rome", "scanEveryHours": 6,
                     "verifyEveryDays": 0, "isWatched": False, "trashDays": 90},
        "snapshotMD5": "",
    }  # fmt: skip
    path = bundle(
        tmp_path / "backup", {layout.LIBRARIES: [entry, {**entry, "id": key("far"), "root": "/etc", "name": "Far"}]}
    )
    Library.objects.all().delete()
    done = restore(cast.alice, path)
    library = Library.objects.get()
    assert (library.pk, library.ratings, library.trash_days) == (cast.library.pk, "sidecar", 90)
    assert [member.user for member in library.memberships.all()] == [cast.bob]
    assert done.counts["library"] == {"create": 1, "left": 1}
    assert done.counts["member"] == {"left": 1}


def test_charlie_gets_and_learns_nothing_by_a_backup_that_names_what_is_alices(
    cast: Cast, whole: Path, tmp_path: Path
) -> None:
    restore(cast.alice, whole)
    photo = Photo.objects.get()
    ratings.set_rating(cast.alice, photo, 2)
    before = everything()
    forged = {
        layout.ALBUMS: [album(title="Mine", owner="charlie"), album("Own", owner="charlie", cover=str(photo.pk)), album("Hers")],
        layout.NOTES: [note(content="Mine", owner="charlie")],
        layout.DRAFTS: [draft(owner="charlie")],
        layout.ALBUM_ITEMS: [
            item(ROME, "photo", photo.pk, "Z"),
            item(key("album Own"), "photo", photo.pk, addedBy="alice"),
            item(key("album Own"), "photo", key("no photo"), addedBy="alice"),
            item(key("album Own"), "note", key("note Sunny"), addedBy="alice"),
        ],
        layout.RATINGS: [rated(photo, rating=1, ratedAt="2030-01-01T00:00:00Z", favourites={"charlie": 5, "alice": 1})],
    }  # fmt: skip
    path = bundle(tmp_path / "forged", forged, username="charlie")
    done = restore(cast.charlie, path, "replace")
    own = UUID(key("album Own"))
    after = everything()
    assert [row for row in after[0] if row["id"] != own] == before[0]
    assert [row for row in after[1] if row["album_id"] != own] == before[1]
    assert after[2:7] == before[2:7]
    assert after[-1] == before[-1]
    placed = AlbumItem.objects.filter(album=own)
    assert {row.added_by for row in placed} == {cast.charlie}
    assert not placed.shown_to(cast.charlie).exists()
    assert not placed.granted().exists()
    reasons = {one["reason"] for one in done.differences if one["kind"] in ("album", "note", "draft")}
    assert reasons == {"", "Its id cannot be used here.", "It belongs to somebody else, whose own backup has it."}
    # a photo of alice's is what a photo is that never was
    assert done.counts["photo"] == {"waiting": 1}
