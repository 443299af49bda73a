"""Coming from version 1: ratings are taken over once, nobody's word is overwritten, and a kill costs a batch at most."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog import version1_import
from catalog.aliases import note_aliases
from catalog.models import Favourite, FileWrite, HashCache, Library, Membership, Photo
from catalog.ratings import set_rating
from catalog.version1.read import NotALibraryDatabase
from catalog.version1_import import import_version1
from tests.catalog.test_ratings import library, photo, tags_of, write_all  # noqa: F401
from tests.catalog.test_scan import scan
from tests.catalog.version1.databases import VERSION_1, VERSION_2, old_database
from tests.factories import make_jpeg, make_library, make_photo, make_user

pytestmark = pytest.mark.django_db


def size(library, name):  # noqa: F811
    return (Path(library.root) / name).stat().st_size


def database_of(library, folder, ratings, **options):  # noqa: F811
    """Make a version-1 database that knows the library's photos 0.jpg, 1.jpg ... with these ratings."""
    rows = [(f"{n}.jpg", size(library, f"{n}.jpg"), stars) for n, stars in enumerate(ratings)]
    return old_database(folder / "old", rows, **options)


def ratings_of(library):  # noqa: F811
    return list(Photo.objects.filter(library=library).order_by("filename").values_list("rating", flat=True))


@pytest.mark.promise("S2-007", "S2-008", "S2-009")
def test_ratings_are_taken_over_once_and_the_old_file_stays_as_it_is(library, tmp_path):  # noqa: F811
    file = database_of(library, tmp_path, [5, 3, None], schema=VERSION_1 + VERSION_2)
    before = file.read_bytes()
    done = import_version1(library, library.owner, file)
    assert (done.rows, done.rated, done.without_rating, done.left_out) == (3, 2, 1, 0)
    assert ratings_of(library) == [5, 3, None]
    assert dict(Favourite.objects.values_list("photo__filename", "rating")) == {"0.jpg": 5, "1.jpg": 3}
    again = import_version1(library, library.owner, file)
    assert (again.rated, again.already, again.kept, again.left_out) == (0, 2, 0, 0)
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == [file.name]


@pytest.mark.promise("S2-009")
def test_files_that_were_written_since_are_neither_rated_again_nor_called_changed(library, tmp_path):  # noqa: F811
    file = database_of(library, tmp_path, [5, 3, None])
    old_size = size(library, "0.jpg")
    import_version1(library, library.owner, file)
    assert write_all(library)["written"] == 2
    assert tags_of(Path(library.root) / "0.jpg")["IFD0:Rating"] == 5
    assert size(library, "0.jpg") != old_size
    scan(library)
    again = import_version1(library, library.owner, file)
    assert (again.rated, again.already, again.changed) == (0, 2, 0)
    assert FileWrite.objects.count() == 2


@pytest.mark.promise("S2-008")
def test_a_database_without_ratings_is_read_and_changes_nothing(library, tmp_path):  # noqa: F811
    file = old_database(tmp_path, [("0.jpg", size(library, "0.jpg"))], has_rating=False)
    done = import_version1(library, library.owner, file)
    assert (done.rows, done.rated, done.without_rating, done.has_ratings) == (1, 0, 1, False)


def test_what_people_said_here_since_stays(library, tmp_path):  # noqa: F811
    set_rating(library.owner, photo(library, "0.jpg"), 2)
    set_rating(library.owner, photo(library, "1.jpg"), 4)
    write_all(library)
    set_rating(library.owner, photo(library, "1.jpg"), 0)
    write_all(library)
    done = import_version1(library, library.owner, database_of(library, tmp_path, [5, 5, 5]))
    assert (done.rated, done.already, done.kept) == (1, 0, 2)
    assert ratings_of(library) == [2, None, 5]


def test_stars_taken_away_after_the_import_stay_away_in_every_policy(library, tmp_path):  # noqa: F811
    file = database_of(library, tmp_path, [5, 5, None])
    for policy in Library.Ratings.values:
        Library.objects.update(ratings=policy)
        library.refresh_from_db()
        FileWrite.objects.all().delete()
        Photo.objects.update(rating=None, rating_held=False)
        assert import_version1(library, library.owner, file).rated == 2
        set_rating(library.owner, photo(library, "0.jpg"), 0)
        again = import_version1(library, library.owner, file)
        assert (again.rated, again.already, again.kept) == (0, 1, 1), policy
        assert ratings_of(library) == [None, 5, None], policy


@pytest.mark.parametrize(("policy", "writes"), [("file", [False]), ("sidecar", [True]), ("database", [])])
def test_ratings_go_where_the_library_keeps_them(library, tmp_path, policy, writes):  # noqa: F811
    Library.objects.update(ratings=policy)
    library.refresh_from_db()
    assert import_version1(library, library.owner, database_of(library, tmp_path, [5])).rated == 1
    assert list(FileWrite.objects.values_list("is_sidecar", flat=True)) == writes
    assert photo(library, "0.jpg").rating_held


def test_a_date_that_somebody_gave_is_no_word_about_stars(library, tmp_path):  # noqa: F811
    one = photo(library, "0.jpg")
    FileWrite.objects.create(
        library=library,
        photo=one,
        kind=FileWrite.Kind.DATE,
        wanted={"taken": "2024-05-17T12:30:00"},
        state=FileWrite.State.SUPERSEDED,
        try_at=one.added_at,
    )
    assert import_version1(library, library.owner, database_of(library, tmp_path, [5])).rated == 1


def test_only_photos_of_the_named_library_at_that_very_place_are_rated(library, tmp_path):  # noqa: F811
    elsewhere = make_library(library.owner, tmp_path / "elsewhere", name="Elsewhere")
    same = (Path(library.root) / "0.jpg").read_bytes()
    make_photo(elsewhere, "0.jpg", data=same)
    for path in ("a/b.jpg", "c/d.jpg", "a/d.jpg"):
        make_photo(library, path, data=same)
    rows = [(path, len(same), 5) for path in ("0.jpg", "a/b.jpg", "c/d.jpg")]
    assert import_version1(library, library.owner, old_database(tmp_path, rows)).rated == 3
    rated = Photo.objects.filter(rating=5).values_list("library", "directory", "filename")
    assert set(rated) == {(library.pk, "", "0.jpg"), (library.pk, "a", "b.jpg"), (library.pk, "c", "d.jpg")}


def test_rows_that_fit_no_photo_are_left_out_with_reasons(library, tmp_path):  # noqa: F811
    Photo.objects.filter(filename="2.jpg").update(state=Photo.State.MISSING)
    rows = [
        (f"{library.root}/0.jpg", size(library, "0.jpg"), 5),
        ("0.jpg", size(library, "0.jpg"), 4),
        ("/0.jpg", size(library, "0.jpg"), 5),
        (f"{library.root}-2/0.jpg", size(library, "0.jpg"), 5),
        ("1.jpg", 7, 5),
        ("2.jpg", size(library, "2.jpg"), 5),
        ("nowhere.jpg", 1, 5),
        ("../0.jpg", 1, 5),
        ("x" * 3_000_000, 1, 5),
    ]
    done = import_version1(library, library.owner, old_database(tmp_path, rows))
    assert (done.rows, done.rated, done.unknown, done.changed, done.bad) == (9, 1, 2, 1, 5)
    assert ratings_of(library) == [5, None, None]
    said = {problem["path"]: problem["reason"] for problem in done.problems}
    assert len(done.problems) == 8
    assert "another row before it" in said["0.jpg"].lower()
    assert "outside this library" in said["/0.jpg"]
    assert "another size" in said["1.jpg"]
    assert "Scan it first" in said["2.jpg"]
    assert "Scan it first" in said["nowhere.jpg"]
    assert "straight to a file" in said["row 8"]
    assert "too long" in said["row 9"]


def test_an_md5_in_the_row_must_be_the_photos_or_one_that_it_had(library, tmp_path):  # noqa: F811
    file = database_of(library, tmp_path, [5, 5, 5])
    now = dict(Photo.objects.values_list("filename", "photo_md5"))
    note_aliases(library, [("a" * 32, now["1.jpg"])])
    contents = {"0.jpg": "b" * 32, "1.jpg": "a" * 32, "2.jpg": now["2.jpg"]}
    with closing(sqlite3.connect(file)) as database, database:
        for path, content in contents.items():
            database.execute("UPDATE photos SET content_hash = ? WHERE current_path = ?", [content, path])
    done = import_version1(library, library.owner, file)
    assert (done.rated, done.changed) == (2, 1)
    assert ratings_of(library) == [None, 5, 5]
    assert "another MD5" in done.problems[0]["reason"]


def test_the_old_hash_cache_is_not_believed(library, tmp_path):  # noqa: F811
    file = database_of(library, tmp_path, [5, None, None], schema=VERSION_1 + VERSION_2)
    photos = Photo.objects.filter(library=library).values_list("filename", "mtime_ns", "size_bytes")
    with closing(sqlite3.connect(file)) as database, database:
        rows = [(*row, "c" * 32, "2026-01-29") for row in photos]
        database.executemany("INSERT INTO hash_cache VALUES (?, ?, ?, ?, ?)", rows)
    before = set(HashCache.objects.values_list())
    md5s = set(Photo.objects.values_list("photo_md5", flat=True))
    import_version1(library, library.owner, file)
    assert set(HashCache.objects.values_list()) == before
    assert set(Photo.objects.values_list("photo_md5", flat=True)) == md5s


def test_a_dry_run_counts_the_same_and_changes_nothing(library, tmp_path):  # noqa: F811
    file = database_of(library, tmp_path, [5, 4, None])
    before = list(Photo.objects.order_by("pk").values())
    dry = import_version1(library, library.owner, file, dry_run=True)
    assert (dry.rated, dry.dry_run) == (2, True)
    assert list(Photo.objects.order_by("pk").values()) == before
    assert not FileWrite.objects.exists()
    wet = import_version1(library, library.owner, file).as_json()
    assert {**wet, "dry_run": True} == dry.as_json()


def killed_at_the(nth, monkeypatch, library, file, batch):  # noqa: F811
    real, calls = version1_import.set_ratings, []

    def die(*arguments):
        calls.append(arguments)
        if len(calls) == nth:
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(version1_import, "BATCH", batch)
        patch.setattr(version1_import, "set_ratings", die)
        with pytest.raises(KeyboardInterrupt):
            import_version1(library, library.owner, file)


@pytest.mark.promise("S2-009")
@pytest.mark.parametrize(("batch", "kept"), [(1, 1), (3, 0)])
def test_killed_in_the_middle_it_keeps_whole_batches_and_goes_on(library, tmp_path, monkeypatch, batch, kept):  # noqa: F811
    file = database_of(library, tmp_path, [5, 4, 3])
    before = file.read_bytes()
    killed_at_the(2, monkeypatch, library, file, batch)
    assert Photo.objects.filter(rating__isnull=False).count() == FileWrite.objects.count() == kept
    done = import_version1(library, library.owner, file)
    assert (done.rated, done.already) == (3 - kept, kept)
    assert ratings_of(library) == [5, 4, 3]
    assert file.read_bytes() == before


def test_the_private_copy_is_gone_afterwards_also_when_killed(library, tmp_path, monkeypatch, settings):  # noqa: F811
    killed_at_the(1, monkeypatch, library, database_of(library, tmp_path, [5]), 1)
    assert not list((Path(settings.DATA_DIR) / "working").glob("version1-*"))


def test_photos_are_locked_while_it_is_decided_what_becomes_of_them(library, tmp_path):  # noqa: F811
    file = database_of(library, tmp_path, [5])
    with CaptureQueriesContext(connection) as captured:
        import_version1(library, library.owner, file)
    said = [query["sql"] for query in captured if "photo" in query["sql"]]
    looked = next(n for n, sql in enumerate(said) if '"catalog_photo"."rating_held"' in sql and sql.startswith("SELECT"))
    if connection.features.has_select_for_update:
        assert "FOR UPDATE" in said[looked]
    rated = next(n for n, sql in enumerate(said) if sql.startswith("UPDATE"))
    between = [query["sql"] for query in captured if query["sql"] in said[looked : rated + 1]]
    assert not any(sql.startswith(("RELEASE", "COMMIT")) for sql in between)


def test_ten_times_the_photos_ask_no_more_queries(library, tmp_path):  # noqa: F811
    def queries(count, folder):
        photos = [make_photo(library, f"{folder}/{n}.jpg", on_disk=False) for n in range(count)]
        rows = [(one.path, one.size_bytes, 5) for one in photos]
        with CaptureQueriesContext(connection) as captured:
            assert import_version1(library, library.owner, old_database(tmp_path / folder, rows)).rated == count
        return len(captured)

    queries(1, "first")  # starts the operation that writes
    assert queries(20, "many") == queries(2, "few")


def test_names_of_every_kind_are_found(library, tmp_path):  # noqa: F811
    names = ["fam\u200dily \U0001f468\u200d\U0001f469.jpg", "back\\slash.jpg", "new\nline.jpg"]
    for number, name in enumerate(names):
        (Path(library.root) / name).write_bytes(make_jpeg(seed=50 + number))
    odd = os.fsencode(library.root) + b"/\xff.jpg"
    Path(os.fsdecode(odd)).write_bytes(make_jpeg(seed=60))
    scan(library)
    file = old_database(tmp_path, [(name, size(library, name), 4) for name in names] + [("odd", os.stat(odd).st_size, 4)])
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE photos SET current_path = CAST(x'ff2e6a7067' AS TEXT) WHERE current_path = 'odd'")
    assert import_version1(library, library.owner, file).rated == 4
    assert Photo.objects.get(filename="\\xff.jpg").rating == 4


def test_what_is_no_library_database_changes_nothing(library, tmp_path):  # noqa: F811
    file = old_database(tmp_path, [(f"{n}.jpg", n, 5) for n in range(2000)])
    file.write_bytes(file.read_bytes()[:20_000])
    with pytest.raises(NotALibraryDatabase):
        import_version1(library, library.owner, file)
    assert not FileWrite.objects.exists()
    assert ratings_of(library) == [None] * 3


def command(file, library, user, *more):  # noqa: F811
    call_command("import_library", str(file), "--library", str(library), "--user", user, *more)


def test_the_command_says_what_it_did_for_people_and_for_scripts(library, tmp_path, capsys):  # noqa: F811
    file = database_of(library, tmp_path, [5])
    owner = library.owner.get_username()
    command(file, library.pk, owner, "--dry-run")
    assert "1 of 1 photos would be rated" in capsys.readouterr().out
    command(file, library.root, owner, "--json")
    said = json.loads(capsys.readouterr().out)
    assert (said["rows"], said["rated"], said["problems"]) == (1, 1, [])
    command(file, library.pk, owner)
    again = capsys.readouterr().out
    assert "0 of 1 photos rated, 1 have these stars already" in again
    assert "Nothing was changed." in again


def test_the_command_lists_two_hundred_and_counts_the_rest(library, tmp_path, capsys):  # noqa: F811
    rows = [("0.jpg", size(library, "0.jpg"), 5)] + [(f"nowhere/{n}.jpg", 1, 5) for n in range(250)]
    file = old_database(tmp_path, rows)
    with pytest.raises(SystemExit) as left:
        command(file, library.pk, library.owner.get_username())
    assert left.value.code == 1
    lines = capsys.readouterr().out.splitlines()
    assert "250 unknown" in lines[0]
    assert len([line for line in lines if "Scan it first" in line]) == 200
    assert lines[-1] == "  ... and 50 more."
    assert photo(library, "0.jpg").rating == 5


def test_the_owner_and_editors_may_and_nobody_else(library, tmp_path, capsys):  # noqa: F811
    file = database_of(library, tmp_path, [5])
    for name, role in (("mallory", ""), ("victor", Membership.Role.VIEWER)):
        user = make_user(name)
        if role:
            Membership.objects.create(library=library, user=user, role=role)
        with pytest.raises(CommandError, match="no owner or editor") as refused:
            command(file, library.pk, name)
        assert refused.value.returncode == 2
    with pytest.raises(CommandError, match="no owner or editor"):
        command(file, library.pk, "nobody")
    assert ratings_of(library) == [None] * 3
    Membership.objects.create(library=library, user=make_user("bob"), role=Membership.Role.EDITOR)
    command(file, library.root, "bob", "--json")
    assert json.loads(capsys.readouterr().out)["rated"] == 1
    assert FileWrite.objects.get().user.get_username() == "bob"


def test_a_folder_that_is_no_library_does_not_become_one(library, tmp_path, settings):  # noqa: F811
    settings.PHOTO_ROOTS = [str(tmp_path)]
    (tmp_path / "new").mkdir()
    with pytest.raises(CommandError, match="There is no library") as refused:
        command(database_of(library, tmp_path, [5]), tmp_path / "new", library.owner.get_username())
    assert refused.value.returncode == 2
    assert Library.objects.count() == 1


def test_a_file_that_is_not_there_or_no_database_is_told_in_a_sentence(library, tmp_path):  # noqa: F811
    (tmp_path / "text.db").write_text("no database")
    owner = library.owner.get_username()
    with pytest.raises(CommandError, match="nowhere.db cannot be read.*No such file or directory.*run it again"):
        command(tmp_path / "nowhere.db", library.pk, owner)
    with pytest.raises(CommandError, match="text.db is no SQLite database. Nothing was changed."):
        command(tmp_path / "text.db", library.pk, owner)
