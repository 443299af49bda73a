"""What searches find: one table for every database, only what one may see, current after every way to write."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import User
from catalog.albums import albums, members, notes
from catalog.browsing import photo_lists
from catalog.browsing.filters import PhotoFilters
from catalog.entries.rows import apply_digests
from catalog.examinations.search import examine_search
from catalog.models import Album, Note, Photo, SearchQueue, SearchText
from catalog.searching import conditions, grammar
from catalog.words import indexing, lookup, tables
from catalog.words.lookup import Phrase
from tests.factories import make_library, make_photo

from .conftest import World, make_album, make_note

pytestmark = pytest.mark.django_db

TABLE = {
    "strand MÜLLER": "beach",
    "muller": "beach",
    "mull": "beach",
    "uller": "",
    "Übung": "beach",
    "ubung": "beach",
    "STRASSE": "raw",
    "straße": "raw",
    "ete malaga": "beach",
    "0042": "beach",
    "20150103": "beach",
    "img2015": "beach",
    "a_b": "film",
    "axb": "",
    "%": "",
    "天安门": "film",
    "安天": "",
    '"New York"': "beach",
    "new york": "beach raw",
    '"sea side"': "beach",
    "sea side": "beach copy",
    '"sea"': "beach copy",
    '"se"': "",
    '"york no"': "beach",
    '"no sea"': "",  # of two fields
    "parrot": "beach",
    "granny": "film raw",
    "granny new": "raw",
    "not granny": "beach undated copy",
    "granny or parrot": "beach film raw",
    "(granny or parrot) not 2019": "beach",
    "-granny -is:undated": "beach copy",
    "album:granny": "film raw",
    "album:new": "",
    "album:parrot": "",
    "folder:2019": "film raw",
    "folder:york": "raw",
    "folder:2019/york": "raw",
    "folder:york/2019": "",
    "name:new": "beach raw",
    "keyword:sea": "beach",
    'keyword:"sea side"': "beach",
    "camera:eos": "beach",
    'camera:"canon eos r6"': "beach",
    "camera:50mm": "",
    "lens:50": "beach",
    "canon": "beach",
    "rating:4": "beach",
    "rating:>=2": "beach raw",
    "rating:0": "film undated copy",
    "rating:<3": "film undated copy raw",
    "rating:..5": "beach film raw undated copy",
    "rating:<0": "",
    "rating:>5": "",
    "not rating:4": "film raw undated copy",
    "taken:2019..2021": "film raw",
    "taken:2021-12-31": "raw",
    "taken:<2016": "beach",
    "taken:>2019-07": "raw copy",
    "taken:..9999": "beach film raw copy",
    "taken:9999": "",
    "2021": "raw",  # by its date alone
    '"2021"': "",
    "granny 2021-12-31": "raw",
    "beach 2021": "",
    "type:video": "film",
    "type:photo": "beach raw undated copy",
    "type:raw": "raw",
    "type:png": "undated copy",
    "type:image/jpeg": "beach",
    "has:gps": "beach",
    "has:caption": "beach film raw",
    "has:keyword": "beach copy",
    "has:rating": "beach raw",
    "not has:rating": "film undated copy",
    "is:favourite": "raw",
    "is:duplicate": "undated copy",
    "is:undated": "undated",
    "camera:canon type:video or granny rating:2": "raw",
    "nothing-of-this": "",
}


def found(user: User, text: str, **filters: Any) -> set[Photo]:
    return set(photo_lists.photos(user, PhotoFilters(query=grammar.parse(text), **filters)))


@pytest.mark.parametrize("most", [conditions.MOST_LOOKED_UP, 0], ids=["few are looked up", "many are walked through"])
def test_the_table_of_searches(world: World, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(conditions, "MOST_LOOKED_UP", most)
    names = {photo: name for name, photo in world.photos.items()}
    answers = {text: {names[photo] for photo in found(world.alice, text)} for text in TABLE}
    assert answers == {text: set(expected.split()) for text, expected in TABLE.items()}


@pytest.mark.parametrize("most", [conditions.MOST_LOOKED_UP, 0], ids=["few are looked up", "many are walked through"])
def test_pages_and_buckets_agree(world: World, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(conditions, "MOST_LOOKED_UP", most)
    for number in range(3):
        make_photo(world.library, f"other/{number}.jpg")
    filters = PhotoFilters(query=grammar.parse("sea or granny or scan"))
    expected = [str(world.photos[name].pk) for name in ("copy", "raw", "film", "beach", "undated")]
    listed: list[str] = []
    cursor = ""
    while True:
        page = photo_lists.photo_page(world.alice, filters, {"limit": "2", "cursor": cursor})
        listed += [str(row["id"]) for row in page.rows]
        cursor = page.next_cursor or ""
        if not cursor:
            break
    assert listed == expected
    buckets = photo_lists.timeline_buckets(world.alice, filters)
    assert [bucket["count"] for bucket in buckets] == [1] * 5
    arrays = photo_lists.timeline_bucket(world.alice, filters, [bucket["bucket"] for bucket in buckets])
    assert arrays["id"] == expected


@pytest.mark.parametrize("most", [conditions.MOST_LOOKED_UP, 0], ids=["few are looked up", "many are walked through"])
def test_undated_means_what_the_timeline_shows_without_a_date(
    world: World, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(conditions, "MOST_LOOKED_UP", most)
    copied = make_photo(world.library, "copied.jpg", taken=datetime(2019, 7, 2, tzinfo=UTC), taken_source="file")
    arrays = photo_lists.timeline_bucket(world.alice, PhotoFilters(), ["undated"])
    shown_without = {world.photos["undated"], copied}
    assert set(arrays["id"]) == {str(photo.pk) for photo in shown_without}
    assert found(world.alice, "is:undated") == shown_without
    assert found(world.alice, "taken:2019") == {world.photos["film"]}
    assert found(world.alice, "not taken:..9999") == shown_without
    assert found(world.alice, "not is:undated") == set(world.photos.values()) - shown_without


def test_days_of_common_words_are_counted_from_the_index(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def days(user: User, text: str, **filters: Any) -> dict[str, int]:
        counted = photo_lists.timeline_buckets(user, PhotoFilters(query=grammar.parse(text), **filters))
        return {bucket["bucket"]: bucket["count"] for bucket in counted}

    texts = (
        "york",
        '"new york"',
        "img jpg",
        "folder:2019",
        "sea",
        "png",
        "york png",
        "york or png",
        "york -img",
        "york -(img or png)",
        "not york not png",
        "-york",
        "york or -png",
        '-"new york"',
        "granny",
    )
    with monkeypatch.context() as without:
        without.setattr(conditions._Builder, "match", lambda *_: None)
        expected = {text: days(world.alice, text) for text in texts}
    assert expected["york"] == {"2021-12": 1, "2015-01": 1} and expected["png"] == {"2024-05": 1, "undated": 1}
    counts: list[str] = []
    days_of = lookup.days
    monkeypatch.setattr(lookup, "days", lambda ids, match: (counts.append(""), days_of(ids, match))[1])
    assert {text: days(world.alice, text) for text in texts} == expected
    # Not of `or` with `not`, nor of words in a row that are not wanted, nor where albums have the word, too.
    assert len(counts) == len(texts) - 3
    assert days(world.charlie, "york") == {}
    assert days(world.alice, "york", rating=2) == {"2021-12": 1}
    assert days(world.alice, "york", album=world.album.pk) == {"2021-12": 1}
    Photo.objects.filter(pk=world.photos["raw"].pk).update(is_shown=False, state="missing")
    Photo.objects.filter(pk=world.photos["beach"].pk).update(
        taken_day=20160203, taken_local=datetime(2016, 2, 3, tzinfo=UTC)
    )
    assert days(world.alice, "york") == {"2016-02": 1}
    Photo.objects.filter(pk=world.photos["beach"].pk).update(taken_source="file")
    assert days(world.alice, "york") == {"undated": 1} == days(world.alice, "york -png")


def test_words_of_others_lead_nowhere(world: World, tmp_path: Any) -> None:
    """Albums, notes and favourites count for those who see them, whatever library the photos are of."""
    everything = set(world.photos.values())
    assert found(world.bob, "sea") == found(world.alice, "sea") != set()
    assert found(world.charlie, "sea or granny or parrot or not x") == set()
    for text in ("granny", "album:granny", "parrot"):
        assert found(world.bob, text) == set()
    assert found(world.bob, "not granny") == everything
    assert found(world.bob, "is:favourite") == {world.photos["film"]}
    members.set_member(world.alice, world.album.pk, world.charlie, "viewer")
    assert found(world.charlie, "granny") == set()  # an album opens nothing of the library outside of itself
    members.set_member(world.alice, world.album.pk, world.bob, "viewer")
    assert found(world.bob, "granny") == {world.photos["film"], world.photos["raw"]}
    members.remove_member(world.alice, world.album.pk, world.bob)
    assert found(world.bob, "granny") == set()
    theirs = make_library(world.charlie, tmp_path / "photos" / "theirs")
    own = make_photo(theirs, "sea/granny.jpg")
    make_album(world.charlie, "parrot", own)
    assert found(world.charlie, "sea granny parrot") == {own}
    assert found(world.alice, "parrot") == {world.photos["beach"]}


def write_digest(world: World) -> None:
    photo = Photo.objects.get(pk=world.photos["film"].pk)
    columns = {field.column: getattr(photo, field.attname) for field in Photo._meta.concrete_fields}
    assert apply_digests(world.library, [{**columns, "caption": "zebra", "metadata_body": ""}]) == 1


CHANGES: dict[str, tuple[Callable[[World], object], str]] = {
    "a digest": (write_digest, "film"),
    "a move": (lambda world: Photo.objects.filter(pk=world.photos["raw"].pk).update(directory="zebra"), "raw"),
    "keywords": (lambda world: Photo.objects.filter(pk=world.photos["copy"].pk).update(keywords=["zébra"]), "copy"),
    "a new photo": (lambda world: make_photo(world.library, "zebra.jpg"), "zebra.jpg"),
    "a note": (lambda world: make_note(world.alice, "zebra", world.photos["beach"]), "beach"),
    "an album's title": (
        lambda world: albums.patch(
            world.alice, make_album(world.alice, "x", world.photos["undated"]).pk, {"description": "Zebra"}
        ),
        "undated",
    ),
}


def test_it_is_current_after_each_way_to_write(world: World) -> None:
    for what, (write, names) in CHANGES.items():
        before = found(world.alice, "zebra")
        write(world)
        expected = {world.photos.get(name) or Photo.objects.get(filename=name) for name in names.split()}
        assert found(world.alice, "zebra") == before | expected > before, what
        assert not SearchQueue.objects.exists()


def test_what_is_gone_leaves_no_words(world: World) -> None:
    assert found(world.alice, "sea granny or parrot") != set()
    for note in Note.objects.all():
        notes.delete(world.alice, note.pk)
    assert found(world.alice, "parrot") == set()
    albums.delete(world.alice, world.album.pk)
    assert found(world.alice, "granny") == set()
    world.library.delete()
    Album.objects.all().delete()
    Note.objects.all().delete()
    indexing.catch_up()
    assert not SearchText.objects.exists()
    assert lookup.count_up_to(Phrase(("sea",)), 10) == 0


def test_what_changes_no_word_is_not_noted(world: World) -> None:
    indexing.catch_up()
    Photo.objects.update(rating=1, state="missing", taken_local=timezone.now(), caption="same")
    assert SearchQueue.objects.count() == len(world.photos)
    indexing.catch_up()
    Photo.objects.update(rating=2, caption="same", seen_at=datetime(2020, 1, 1, tzinfo=UTC))
    assert not SearchQueue.objects.exists()


def test_what_is_noted_many_times_is_looked_at_once(world: World) -> None:
    for caption in ("one", "two", "zebra"):
        Photo.objects.filter(pk=world.photos["raw"].pk).update(caption=caption)
    batches: list[int] = []
    assert indexing.catch_up_with_all(lambda: batches.append(1)) == len(world.photos) + 2  # an album and a note
    assert batches == [1]
    assert found(world.alice, "zebra") == {world.photos["raw"]} and found(world.alice, "two") == set()


def test_repeated_notes_are_found_in_one_pass(world: World) -> None:
    """However little memory PostgreSQL has: more of them than its hashes hold must not be compared each with each."""
    SearchQueue.objects.all().delete()
    SearchQueue.objects.bulk_create(SearchQueue(kind="photo", object_id=UUID(int=number)) for number in range(3000))
    with CaptureQueriesContext(connection) as queries:
        indexing._drop_repeated()
    assert SearchQueue.objects.count() == 3000
    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL work_mem = '64kB'")
            cursor.execute("SET LOCAL hash_mem_multiplier = 1")
            cursor.execute(f"ANALYZE {tables.QUEUE}")
        cursor.execute(f"{explain} {queries[0]['sql']}")
        plan = "\n".join(str(row) for row in cursor.fetchall())
    assert "SubPlan" not in plan or "hashed SubPlan" in plan, plan


def test_a_search_finds_what_is_indexed_while_the_database_cannot_be_written_to(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locked by a restore that takes long, read-only, or without space."""
    assert found(world.alice, "strand") == {world.photos["beach"]}
    Photo.objects.filter(pk=world.photos["raw"].pk).update(caption="strand")
    waits: list[int] = []

    def refuse() -> int:
        if connection.vendor == "sqlite":
            waits.append(busy_timeout())
        raise OperationalError("database is locked")

    def busy_timeout() -> int:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout")
            return int(cursor.fetchone()[0])

    usual = busy_timeout() if connection.vendor == "sqlite" else 0
    with monkeypatch.context() as patch:
        patch.setattr(indexing, "_index_batch", refuse)
        assert found(world.alice, "strand") == {world.photos["beach"]}
        client = APIClient()
        client.force_authenticate(world.alice)
        assert client.get("/api/v1/search/suggestions/", {"q": "2015"}).status_code == 200
    assert all(wait <= 500 for wait in waits)
    assert usual == (busy_timeout() if waits else 0)
    assert found(world.alice, "strand") == {world.photos["beach"], world.photos["raw"]}


def test_a_photo_that_gets_another_id_keeps_its_words(world: World) -> None:
    indexing.catch_up()
    photo = world.photos["copy"]
    Photo.objects.filter(pk=photo.pk).update(id="00000000-0000-0000-0000-00000000abcd")
    assert {str(one.pk)[-4:] for one in found(world.alice, "sea.png")} == {"abcd"}
    assert SearchText.objects.filter(kind="photo").count() == len(world.photos)


def test_the_api_says_what_is_wrong_and_where(world: World) -> None:
    client = APIClient()
    client.force_authenticate(world.alice)
    answer = client.get("/api/v1/photos/", {"q": "sea (granny or"})
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert answer.json()["type"] == "urn:photolala:problem:bad_search"
    assert answer.json()["position"] == 12
    assert "After `or` something is missing" in answer.json()["detail"]
    assert "1,000 characters" in client.get("/api/v1/photos/", {"q": "x " * 600}).json()["detail"]
    (row,) = client.get("/api/v1/photos/", {"q": "camera:eos rating:>3"}).json()["results"]
    assert row["id"] == str(world.photos["beach"].pk)
    (bucket,) = client.get("/api/v1/timeline/buckets/", {"q": "folder:york"}).json()
    assert bucket == {"bucket": "2021-12", "count": 1}


def test_the_triggers_are_found_where_statements_are_noted(world: World) -> None:
    """As with PHOTOLALA_DEBUG=1, where Django writes the values into each statement's text."""
    with CaptureQueriesContext(connection):
        assert not tables.are_missing()


def test_lost_triggers_are_put_back_and_all_is_indexed_again(world: World) -> None:
    """As after a migration that made the table of photos anew, which takes its triggers along on SQLite."""
    indexing.catch_up()
    assert not tables.are_missing()
    assert not tables.install()
    with connection.cursor() as cursor:
        on_table = "" if connection.vendor == "sqlite" else " ON catalog_photo"
        cursor.execute(f"DROP TRIGGER catalog_photo_words_update{on_table}")
    Photo.objects.filter(pk=world.photos["raw"].pk).update(caption="zebra")
    assert tables.are_missing()
    assert found(world.alice, "zebra") == set()
    assert tables.install()
    assert found(world.alice, "zebra") == {world.photos["raw"]}


def damage_triggers() -> None:
    with connection.cursor() as cursor:
        on_table = "" if connection.vendor == "sqlite" else " ON catalog_photo"
        cursor.execute(f"DROP TRIGGER catalog_photo_words_delete{on_table}")


def damage_texts() -> None:
    SearchText.objects.filter(text__contains="canon").delete()


def damage_full_text() -> None:
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO {tables.FULL_TEXT}({tables.FULL_TEXT}) VALUES ('delete-all')")
    else:
        damage_texts()


def test_doctor_builds_a_damaged_index_anew(world: World) -> None:
    assert [finding.code for finding in examine_search(full=True)] == ["search.waiting"]
    indexing.catch_up()
    assert list(examine_search(full=True)) == []
    for damage in (damage_triggers, damage_texts, damage_full_text):
        damage()
        for _ in range(2):  # looking changes nothing
            (finding,) = examine_search(full=True)
            assert (finding.code, finding.healed) == ("search.index", "")
        (finding,) = examine_search(full=True, heal=True)
        assert finding.healed
        assert list(examine_search(full=True)) == []
        assert found(world.alice, "canon 0042") == {world.photos["beach"]}


def test_a_text_without_end_is_bounded(world: World) -> None:
    Photo.objects.filter(pk=world.photos["raw"].pk).update(caption=f"{'x' * 5000} {'word ' * 5000} zebra")
    assert found(world.alice, "x" * 200) == {world.photos["raw"]}
    assert found(world.alice, "zebra") == set()


def test_what_databases_take_for_their_own_language_is_text(world: World) -> None:
    for text in (
        "' OR 1=1 --",
        "x* NEAR q",
        '"x" ""',
        "{x}^",
        "x*|q",
        "\\",
        "'':*",
        "!!",
        "😀",
        "x&q|y",
        "%_",
        '"x AND q"',
    ):
        assert found(world.alice, text) == set(), text
