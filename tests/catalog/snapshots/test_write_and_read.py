"""A snapshot: the same content gives the same bytes, all of it comes back, and nothing bad is ever accepted."""

import hashlib
import json
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.snapshots import write
from catalog.snapshots.read import Snapshot, open_snapshot
from catalog.snapshots.schema import (
    TABLES,
    EntryRow,
    SnapshotBroken,
    SnapshotHeader,
    SnapshotTooNew,
    StarRow,
    md5_of_name,
    snapshot_name,
)
from catalog.snapshots.write import WrittenSnapshot, file_md5, write_snapshot

HEADER = SnapshotHeader("4b9f7a52-0000-4000-8000-000000000001")


def md5(word: object) -> str:
    return hashlib.md5(str(word).encode("utf-8", "surrogateescape")).hexdigest()


def row(path: str, **changes: Any) -> EntryRow:
    facts = EntryRow(
        path, path.rpartition("/")[2], 1234, 1_700_000_000_000_000_001, md5(path), md5(path + "!"), "image/jpeg", 4000,
        3000, 6, "2024-05-06T07:08:09+02:00", "exif", None, 5, "0b6a8f8e-0000-5000-8000-000000000002",
    )  # fmt: skip
    return facts._replace(**changes)


ENTRIES = [
    row("2024/a.jpg"),
    row("2024/a.JPG", photo_md5=None, head_md5=None, rating=None, taken_at=None, photo_id=None),
    row("two\nlines.jpg", rating=-1),
    row(r"caf\xe9\\.jpg"),
    row("Käse \N{GRINNING FACE}.mp4", duration_ms=1500, size_bytes=2**40),
    *(row(f"2023/{number:04d}.jpg") for number in range(500)),
]
METADATA = [(md5(n), json.dumps({"photoMD5": md5(n), "iso": n, "cameraMake": "Ä" * n})) for n in range(300)]
STARS = [
    StarRow(1, md5(1), f"{md5(2)}:10", "star", "2024-01-01T00:00:00Z"),
    StarRow(7, None, f"{md5(3)}:20", "unstar", "2024-01-02T00:00:00Z"),
]
ALIASES = [(md5(n), md5(n + 1)) for n in range(20)]


def write_all(folder: Path, seed: int | None = None) -> WrittenSnapshot:
    parts = [list(part) for part in (ENTRIES, METADATA, STARS, ALIASES)]
    if seed is not None:
        for part in parts:
            random.Random(seed).shuffle(part)
    return write_snapshot(folder, HEADER, *parts)


def tamper(source: WrittenSnapshot, change: Callable[[Any], object]) -> tuple[str, str]:
    """Change the snapshot as an attacker would, who can give the result a matching name. Returns its path and MD5."""
    path = source.path + ".tampered"
    Path(path).write_bytes(Path(source.path).read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        change(connection)
        connection.commit()
    return path, file_md5(path)


@pytest.mark.promise("S4-045", "S4-002")
def test_everything_comes_back_in_key_order(tmp_path: Path) -> None:
    with write_all(tmp_path, seed=1) as written, open_snapshot(written.path, written.md5) as snapshot:
        assert snapshot.header == HEADER
        assert snapshot.entry_count == written.entry_count == len(ENTRIES)
        assert list(snapshot.entries()) == sorted(ENTRIES, key=lambda entry: entry.path.encode())
        assert list(snapshot.metadata()) == sorted(METADATA)
        assert list(snapshot.star_queue()) == STARS
        assert list(snapshot.aliases()) == sorted(ALIASES)


@pytest.mark.promise("S4-046", "S4-021", "S4-X09")
def test_the_file_is_closed_whole_and_named_by_its_own_bytes(tmp_path: Path) -> None:
    written = write_all(tmp_path)
    assert os.listdir(tmp_path) == [os.path.basename(written.path)]  # no -wal, no -shm, no working file
    raw = Path(written.path).read_bytes()
    assert hashlib.md5(raw).hexdigest() == written.md5
    assert written.name == f".photolala.{written.md5}.sqlite"
    assert md5_of_name(written.name) == written.md5
    assert len(raw) == written.size_bytes
    with closing(sqlite3.connect(written.path)) as connection:  # the stock library reads it as well
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)
        assert dict(connection.execute("SELECT name, sql FROM sqlite_schema")) == TABLES
        assert connection.execute("SELECT * FROM version").fetchall() == [(1, HEADER.library_id, len(ENTRIES))]
    written.discard()
    written.discard()
    assert os.listdir(tmp_path) == []


@pytest.mark.promise("S4-X09")
@pytest.mark.parametrize("seed", range(4))
def test_any_order_of_the_rows_gives_the_same_bytes(tmp_path: Path, seed: int) -> None:
    with write_all(tmp_path) as one, write_all(tmp_path, seed) as other:
        assert Path(one.path).read_bytes() == Path(other.path).read_bytes()


@pytest.mark.promise("S4-X09")
def test_another_process_writes_the_same_bytes(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; sys.path[:0] = sys.argv[2:];"
        "from test_write_and_read import write_all; print(write_all(Path(sys.argv[1]), 99).md5)"
    )
    project = Path(write.__file__).parents[2]
    arguments = [str(tmp_path), str(Path(__file__).parent), str(project)]
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": "Asia/Tokyo", "LC_ALL": "C"}
        answer = subprocess.run(
            [sys.executable, "-c", program, *arguments], env=environment, capture_output=True, text=True, check=True
        )
        with write_all(tmp_path) as written:
            assert answer.stdout.strip() == written.md5


def test_each_change_of_content_gives_another_name(tmp_path: Path) -> None:
    def name(**parts: Any) -> str:
        with write_snapshot(tmp_path, parts.pop("header", HEADER), **parts) as written:
            return written.name

    one = [row("a.jpg")]
    names = [
        name(entries=[]),
        name(entries=one),
        name(entries=[row("a.jpg", rating=4)]),
        name(entries=one, metadata=METADATA[:1]),
        name(entries=one, star_queue=STARS[:1]),
        name(entries=one, aliases=ALIASES[:1]),
        name(entries=one, header=SnapshotHeader("another")),
    ]
    assert len(set(names)) == len(names)


@pytest.mark.promise("S4-X01")
def test_copies_of_one_photo_are_entries_of_their_own(tmp_path: Path) -> None:
    twins = [row("a.jpg"), row("b.jpg", head_md5=md5("a.jpg"), photo_md5=md5("a.jpg!"))]
    with write_snapshot(tmp_path, HEADER, twins) as written, open_snapshot(written.path, written.md5) as snapshot:
        assert list(snapshot.entries()) == twins


def test_metadata_named_twice_is_kept_once_whatever_the_order(tmp_path: Path) -> None:
    bodies = [(md5(1), '{"b":1}'), (md5(1), '{"a":1}'), (md5(2), "{}"), (md5(1), '{"a":1}')]
    with (
        write_snapshot(tmp_path, HEADER, [], bodies) as one,
        write_snapshot(tmp_path, HEADER, [], bodies[::-1]) as other,
        open_snapshot(one.path, one.md5) as snapshot,
    ):
        assert one.md5 == other.md5
        assert dict(snapshot.metadata()) == {md5(1): '{"a":1}', md5(2): "{}"}


@pytest.mark.parametrize(
    "parts",
    [
        {"entries": [row("a.jpg"), row("a.jpg", size_bytes=5)]},
        {"entries": [row("a.jpg", size_bytes="many")]},
        {"entries": [row("a.jpg", size_bytes=-1)]},
        {"entries": [row("a.jpg", mtime_ns=None)]},
        {"entries": [row("a.jpg", head_md5="short")]},
        {"entries": [row("")]},
        {"entries": [row("a.jpg", size_bytes=2**70)]},
        {"entries": [row("a\udcff.jpg")]},
        {"entries": [row("a.jpg")[:-1]]},
        {"entries": [], "metadata": [("no md5", "{}")]},
        {"entries": [], "metadata": [(md5(1), b"bytes")]},
        {"entries": [], "aliases": [(md5(1), md5(2)), (md5(1), md5(3))]},
        {"entries": [], "star_queue": [STARS[0], STARS[0]]},
    ],
)
def test_rows_that_could_not_be_read_back_are_not_written(tmp_path: Path, parts: dict[str, Any]) -> None:
    with pytest.raises((ValueError, OverflowError)):
        write_snapshot(tmp_path, HEADER, **parts)
    assert os.listdir(tmp_path) == []


@pytest.mark.promise("S4-059", "S4-067")
def test_a_stream_of_rows_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def rows() -> Any:
        yield from ENTRIES
        raise RuntimeError("the database went away")

    with pytest.raises(RuntimeError, match="went away"):
        write_snapshot(tmp_path, HEADER, rows())
    assert os.listdir(tmp_path) == []


def test_a_file_that_does_not_verify_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def damage(path: str) -> None:
        with open(path, "r+b") as file:
            file.seek(write.PAGE_SIZE_BYTES + 8)
            file.write(b"\xff" * 40)

    monkeypatch.setattr(write, "_normalise_file_header", damage)
    with pytest.raises((SnapshotBroken, sqlite3.DatabaseError)):
        write_all(tmp_path)
    assert os.listdir(tmp_path) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_is_ever_read_as_good(tmp_path: Path, data: st.DataObject) -> None:
    with write_snapshot(tmp_path, HEADER, ENTRIES[:30], METADATA[:5]) as written:
        raw = bytearray(Path(written.path).read_bytes())
        place = data.draw(st.integers(0, len(raw) - 1))
        if data.draw(st.booleans()):
            raw[place] ^= data.draw(st.integers(1, 255))
        else:
            del raw[place:]
        damaged = tmp_path / "damaged"
        damaged.write_bytes(raw)
        with pytest.raises(SnapshotBroken, match="MD5 of its name"):
            open_snapshot(damaged, written.md5)
        # Even under a matching name: a clean error or rows of the right types, never a crash or another exception.
        try:
            with open_snapshot(damaged, file_md5(damaged)) as snapshot:
                read_all(snapshot)
        except SnapshotBroken as error:
            assert "snapshot" in str(error)
        except SnapshotTooNew:
            assert place > 100


def read_all(snapshot: Snapshot) -> None:
    for part in (snapshot.entries(), snapshot.metadata(), snapshot.star_queue(), snapshot.aliases()):
        for _ in part:
            pass


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER INSERT ON entries BEGIN DELETE FROM entries; END",
        "CREATE VIEW v AS SELECT 1",
        "CREATE INDEX i ON entries(filename)",
        "CREATE TABLE more(a)",
        "ALTER TABLE entries ADD COLUMN evil TEXT DEFAULT 'x'",
        "DROP TABLE aliases",
        "ALTER TABLE metadata RENAME COLUMN body TO bodies",
        "CREATE VIRTUAL TABLE f USING fts5(a)",
        "UPDATE version SET entry_count = 7",
        "UPDATE version SET schema_version = 0",
        "UPDATE version SET schema_version = 'one'",
        "UPDATE version SET library_id = 5.5, entry_count = 'x'",
        "INSERT INTO version SELECT * FROM version",
        "DELETE FROM version",
        "DELETE FROM entries WHERE path = '2024/a.jpg'",
        "PRAGMA journal_mode=WAL",
        "PRAGMA user_version=3; DROP TABLE version",
    ],
)
def test_a_file_of_other_make_is_refused_though_its_md5_matches(tmp_path: Path, statement: str) -> None:
    with write_all(tmp_path) as written:
        path, own_md5 = tamper(written, lambda connection: connection.executescript(statement))
        with pytest.raises(SnapshotBroken, match=own_md5):
            open_snapshot(path, own_md5)


def test_a_view_in_place_of_a_table_is_refused(tmp_path: Path) -> None:
    swap = "DROP TABLE aliases; CREATE VIEW aliases AS SELECT path AS old_md5, path AS new_md5 FROM entries"
    with write_all(tmp_path) as written:
        path, own_md5 = tamper(written, lambda connection: connection.executescript(swap))
        with pytest.raises(SnapshotBroken, match="other tables"):
            open_snapshot(path, own_md5)


def test_the_same_tables_in_other_spelling_are_accepted(tmp_path: Path) -> None:
    respell = "DROP TABLE aliases;create table aliases (\n  old_md5 text primary key,\n  new_md5 text\n) without rowid;"
    with write_all(tmp_path) as written:
        path, own_md5 = tamper(written, lambda connection: connection.executescript(respell))
        with open_snapshot(path, own_md5) as snapshot:
            assert list(snapshot.aliases()) == []


def test_a_newer_schema_is_told_from_damage(tmp_path: Path) -> None:
    newer = "UPDATE version SET schema_version = 2; CREATE TABLE faces(id INTEGER)"
    with write_all(tmp_path) as written:
        path, own_md5 = tamper(written, lambda connection: connection.executescript(newer))
        with pytest.raises(SnapshotTooNew, match="newer Photolala"):
            open_snapshot(path, own_md5)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET path = '../../etc/passwd' WHERE path = '2024/a.jpg'",
        "UPDATE entries SET path = '/etc/passwd' WHERE path = '2024/a.jpg'",
        "UPDATE entries SET path = 'a/./b' WHERE path = '2024/a.jpg'",
        "UPDATE entries SET path = 'a\\b' WHERE path = '2024/a.jpg'",
        "UPDATE entries SET path = 'a' || char(0) || 'b' WHERE path = '2024/a.jpg'",
        "UPDATE entries SET filename = 'a' || char(0) WHERE path = '2024/a.jpg'",
        "UPDATE entries SET size_bytes = 'x' WHERE path = '2024/a.jpg'",
        "UPDATE entries SET head_md5 = '../../../../../../../../../../etc' WHERE path = '2024/a.jpg'",
        "UPDATE entries SET photo_md5 = x'00' WHERE path = '2024/a.jpg'",
        "UPDATE entries SET taken_at = CAST(x'ff' AS TEXT) WHERE path = '2024/a.jpg'",
        "UPDATE metadata SET body = 5.5 WHERE photo_md5 = (SELECT min(photo_md5) FROM metadata)",
        "UPDATE metadata SET body = x'00'",
        "UPDATE star_queue SET operation = NULL",
        "UPDATE aliases SET new_md5 = 'ABCDEFABCDEFABCDEFABCDEFABCDEFAB'",
    ],
)
def test_hostile_rows_are_refused_when_they_are_read(tmp_path: Path, statement: str) -> None:
    statement = statement.replace("5.5", "x'35'")
    with write_all(tmp_path) as written:
        path, own_md5 = tamper(written, lambda connection: connection.execute(statement))
        with pytest.raises(SnapshotBroken), open_snapshot(path, own_md5) as snapshot:
            read_all(snapshot)


@pytest.mark.parametrize(
    "content",
    [b"", b"SQLite format 3\x00", b"not a database" * 1000, b"\x00" * 8192],
    ids=["empty", "magic only", "text", "zeroes"],
)
def test_what_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(SnapshotBroken):
        open_snapshot(path, hashlib.md5(content).hexdigest())


def test_a_value_longer_than_allowed_is_not_loaded(tmp_path: Path) -> None:
    grow = "INSERT INTO metadata VALUES ('ffffffffffffffffffffffffffffffff', hex(zeroblob(9000000)))"
    with write_snapshot(tmp_path, HEADER, []) as written:
        path, own_md5 = tamper(written, lambda connection: connection.execute(grow))
        with pytest.raises(SnapshotBroken), open_snapshot(path, own_md5) as snapshot:
            read_all(snapshot)


def test_reading_leaves_no_trace_beside_the_file(tmp_path: Path) -> None:
    with write_all(tmp_path) as written:
        os.chmod(written.path, 0o444)
        before = Path(written.path).read_bytes()
        with open_snapshot(written.path, written.md5) as snapshot:
            read_all(snapshot)
            with pytest.raises(sqlite3.OperationalError, match=r"readonly|read-only"):
                snapshot._connection.execute("DELETE FROM entries")
            assert os.listdir(tmp_path) == [os.path.basename(written.path)]
        assert Path(written.path).read_bytes() == before


def test_odd_folder_names_work(tmp_path: Path) -> None:
    folder = tmp_path / "a?b#c%41 d"
    folder.mkdir()
    with write_all(folder) as written, open_snapshot(written.path, written.md5) as snapshot:
        assert snapshot.entry_count == len(ENTRIES)


def test_only_whole_names_are_snapshots() -> None:
    name = snapshot_name(md5(1))
    assert md5_of_name(name) == md5(1)
    for other in (name + ".broken-20260101T000000Z", "x" + name, name + ".1234.tmp", ".photolala.md5", name + "\n"):
        assert md5_of_name(other) is None
