"""Coming from version 1: old databases with and without ratings, hostile ones, twice, and killed in the middle."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from catalog.edits.ratings import set_rating
from catalog.importing import version1
from catalog.importing.version1 import import_version1
from catalog.models import FileWrite, Library, Photo
from catalog.version1.read import NotALibraryDatabase
from tests.catalog.edits.test_ratings import (
    library,  # noqa: F401
    photo,
    tags_of,
    write_all,
)
from tests.catalog.scanning.test_scan import scan
from tests.factories import make_jpeg, make_user

pytestmark = pytest.mark.django_db
WITHOUT_RATING = """
CREATE TABLE photos(id INTEGER PRIMARY KEY, original_filename TEXT, current_path TEXT UNIQUE, date_taken TEXT,
                    content_hash TEXT UNIQUE, file_size INTEGER, file_type TEXT, width INTEGER, height INTEGER)
"""


def old_database(folder: Path, rows: list[tuple], *, has_rating: bool = True, schema: str = WITHOUT_RATING) -> Path:
    """Make a version-1 database of (path, size, rating) rows."""
    file = folder / "photo_library.db"
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(schema)
        if has_rating:
            database.execute("ALTER TABLE photos ADD COLUMN rating INTEGER")
        for path, size, *rating in rows:
            database.execute("INSERT INTO photos(current_path, file_size) VALUES (?, ?)", (path, size))
            if has_rating:
                database.execute("UPDATE photos SET rating = ? WHERE rowid = last_insert_rowid()", rating)
    return file


def size(library, name):  # noqa: F811
    return (Path(library.root) / name).stat().st_size


@pytest.mark.promise("S2-007", "S2-008", "S2-009")
def test_ratings_are_taken_over_once_and_the_old_file_stays_as_it_is(library, tmp_path):  # noqa: F811
    rows = [
        ("0.jpg", size(library, "0.jpg"), 5),
        (f"{library.root}/1.jpg", size(library, "1.jpg"), 3),
        ("2.jpg", 1, None),
    ]
    file = old_database(tmp_path, rows)
    before = file.read_bytes()
    done = import_version1(library, library.owner, file)
    assert (done.rows, done.rated, done.without_rating, done.unknown, done.bad) == (3, 2, 1, 0, 0)
    assert [photo(library, f"{n}.jpg").rating for n in range(3)] == [5, 3, None]
    again = import_version1(library, library.owner, file)
    assert (again.rated, again.already) == (0, 2)
    assert file.read_bytes() == before
    assert write_all(library)["written"] == 2
    assert tags_of(Path(library.root) / "0.jpg")["IFD0:Rating"] == 5
    # written files have another size; nothing is rated again for that
    third = import_version1(library, library.owner, file)
    assert (third.rated, third.already, third.changed) == (0, 2, 0)
    assert FileWrite.objects.count() == 2


@pytest.mark.promise("S2-008")
def test_a_database_without_ratings_is_read_and_changes_nothing(library, tmp_path):  # noqa: F811
    file = old_database(tmp_path, [("0.jpg", size(library, "0.jpg"))], has_rating=False)
    done = import_version1(library, library.owner, file)
    assert (done.rows, done.rated, done.has_ratings) == (1, 0, False)


def test_what_people_said_here_since_stays(library, tmp_path):  # noqa: F811
    set_rating(library.owner, photo(library, "0.jpg"), 2)
    set_rating(library.owner, photo(library, "1.jpg"), 4)
    write_all(library)
    set_rating(library.owner, photo(library, "1.jpg"), 0)
    write_all(library)
    rows = [(f"{n}.jpg", size(library, f"{n}.jpg"), 5) for n in range(2)]
    done = import_version1(library, library.owner, old_database(tmp_path, rows))
    assert (done.rated, done.already) == (0, 2)
    assert [photo(library, f"{n}.jpg").rating for n in range(2)] == [2, None]


def test_rows_that_make_no_sense_are_left_out_with_reasons(library, tmp_path):  # noqa: F811
    rows = [
        ("0.jpg", size(library, "0.jpg"), 5),
        ("../outside.jpg", 1, 5),
        ("a/./b.jpg", 1, 5),
        ("nowhere.jpg", 1, 5),
        ("1.jpg", 7, 5),
        ("2.jpg", size(library, "2.jpg"), 9),
        ("x" * 100_000, 1, 5),
        (b"blob.jpg", 1, 5),
        ("nul\0.jpg", 1, 5),
        (None, 1, 5),
    ]
    done = import_version1(library, library.owner, old_database(tmp_path, rows))
    assert (done.rated, done.unknown, done.changed, done.bad) == (1, 1, 1, 7)
    assert len(done.problems) == 9
    assert all(problem["reason"].endswith(".") for problem in done.problems)


def test_a_dry_run_changes_nothing(library, tmp_path):  # noqa: F811
    file = old_database(tmp_path, [("0.jpg", size(library, "0.jpg"), 5)])
    assert import_version1(library, library.owner, file, dry_run=True).rated == 1
    assert not FileWrite.objects.exists()
    assert photo(library, "0.jpg").rating is None


@pytest.mark.promise("S2-009")
def test_killed_in_the_middle_it_goes_on_when_it_is_run_again(library, tmp_path, monkeypatch):  # noqa: F811
    rows = [(f"{n}.jpg", size(library, f"{n}.jpg"), 5 - n) for n in range(3)]
    file = old_database(tmp_path, rows)
    real, calls = version1.set_ratings, []

    def die_at_the_second(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(version1, "BATCH", 1)
        patch.setattr(version1, "set_ratings", die_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            import_version1(library, library.owner, file)
    assert Photo.objects.filter(rating__isnull=False).count() == 1
    done = import_version1(library, library.owner, file)
    assert (done.rated, done.already) == (2, 1)


def broken(folder: Path, kind: str) -> Path:
    file = old_database(folder, [(f"{n}.jpg", n, 5) for n in range(2000)])
    if kind == "truncated":
        file.write_bytes(file.read_bytes()[:20_000])
    elif kind == "torn":
        data = bytearray(file.read_bytes())
        data[8192:12288] = b"\xff" * 4096
        file.write_bytes(data)
    elif kind == "no database":
        file.write_bytes(b"PK\x03\x04" + b"x" * 100)
    elif kind == "in use":
        Path(f"{file}-wal").write_bytes(b"x")
    else:
        file.unlink()
        with closing(sqlite3.connect(file)) as database, database:
            if kind == "a view that never ends":
                database.execute(
                    "CREATE VIEW photos AS WITH RECURSIVE n(current_path) AS (SELECT 1 UNION ALL SELECT current_path + 1 FROM n) "
                    "SELECT * FROM n"
                )
            else:
                database.execute("CREATE TABLE albums(id INTEGER)")
    return file


@pytest.mark.parametrize(
    "kind", ["truncated", "torn", "no database", "in use", "a view that never ends", "another application's"]
)
def test_what_is_no_whole_library_database_is_refused_and_left_alone(library, tmp_path, kind):  # noqa: F811
    file = broken(tmp_path, kind)
    before = file.read_bytes()
    with pytest.raises(NotALibraryDatabase) as refused:
        import_version1(library, library.owner, file)
    assert str(file) in str(refused.value)
    assert file.read_bytes() == before
    assert not FileWrite.objects.exists()


def test_the_command(library, tmp_path, capsys):  # noqa: F811
    file = old_database(tmp_path, [("0.jpg", size(library, "0.jpg"), 5)])
    words = ["import_library", str(file), "--library", str(library.pk), "--user"]
    make_user("mallory")
    with pytest.raises(CommandError, match="no owner or editor"):
        call_command(*words, "mallory")
    call_command(*words, library.owner.get_username(), "--json")
    assert json.loads(capsys.readouterr().out)["rated"] == 1
    call_command(*words, library.owner.get_username())
    assert "0 of 1 photos rated, 1 were rated here already" in capsys.readouterr().out
    with pytest.raises(CommandError, match="is no library"):
        call_command("import_library", str(file), "--library", str(tmp_path), "--user", library.owner.get_username())
    assert Library.objects.count() == 1
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("import_library", "/nowhere", *words[2:], library.owner.get_username())


def test_names_of_every_kind_are_found(library, tmp_path):  # noqa: F811
    names = ["fam\u200dily \U0001f468\u200d\U0001f469.jpg", "back\\slash.jpg", "new\nline.jpg"]
    for number, name in enumerate(names):
        (Path(library.root) / name).write_bytes(make_jpeg(seed=50 + number))
    scan(library)
    rows = [(name, size(library, name), 4) for name in names]
    assert import_version1(library, library.owner, old_database(tmp_path, rows)).rated == 3
