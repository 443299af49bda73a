"""Connections that are kept open between requests never outlive their file, their errors or a moment of rest."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.db.utils import ConnectionHandler

from photolala.lib.env import database_from_url
from photolala.web.sqlite import base
from photolala.web.sqlite.idle import IDLE_SECONDS, MOST_IDLE, IdleConnections

pytestmark = pytest.mark.once


class Clock:
    """Says what it is told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kept(clock: Clock, monkeypatch: pytest.MonkeyPatch, django_db_blocker: Any) -> Iterator[IdleConnections]:
    kept = IdleConnections(clock)
    monkeypatch.setattr(base, "kept", kept)
    kept.begin()
    with django_db_blocker.unblock():  # these are files of their own
        yield kept
    kept.end()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return made(tmp_path / "a.sqlite3", "first")


@pytest.fixture
def connect(kept: IdleConnections, file: Path) -> Callable[[], Any]:
    """A connection as each thread has one of its own."""
    settings = {"default": database_from_url(None, file, "photolala.web.sqlite")}
    return lambda: ConnectionHandler(settings)["default"]


def made(path: Path, word: str) -> Path:
    own = sqlite3.connect(path)
    with own:
        own.execute("CREATE TABLE word(text)")
        own.execute("INSERT INTO word VALUES (?)", [word])
    own.close()
    return path


def words(connection: Any) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT text FROM word ORDER BY rowid")
        return [row[0] for row in cursor.fetchall()]


def used_by(connection: Any) -> sqlite3.Connection:
    """Let a request read and end; return SQLite's own connection."""
    words(connection)
    own: sqlite3.Connection = connection.connection
    connection.close()
    return own


def is_closed(own: sqlite3.Connection) -> bool:
    try:
        own.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return True
    return False


def test_the_next_request_gets_the_connection_of_the_last_one(connect: Callable[[], Any]) -> None:
    own = used_by(connect())
    again = connect()
    assert words(again) == ["first"]
    assert again.connection is own
    other = connect()
    words(other)
    assert other.connection is not own  # while the first is in use
    again.close()
    other.close()


def test_a_file_that_was_replaced_is_read_and_written_at_once(connect: Callable[[], Any], file: Path) -> None:
    own = used_by(connect())
    made(file.with_name("b.sqlite3"), "second").replace(file)
    connection = connect()
    assert words(connection) == ["second"]
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO word VALUES ('acknowledged')")
    connection.close()
    assert words(connect()) == ["second", "acknowledged"]
    reader = sqlite3.connect(file)
    assert reader.execute("SELECT count(*) FROM word").fetchone() == (2,)
    reader.close()
    assert is_closed(own)


def test_a_file_that_is_gone_is_not_read_on(connect: Callable[[], Any], file: Path) -> None:
    own = used_by(connect())
    file.unlink()
    with pytest.raises(OperationalError, match="no such table"):
        words(connect())
    assert is_closed(own)


def test_a_file_that_is_replaced_while_it_is_opened_is_not_kept(
    connect: Callable[[], Any], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = iter([(1, 1), (1, 2)])
    monkeypatch.setattr(base, "file_id", lambda path: next(seen))
    assert is_closed(used_by(connect()))


def failed(connection: Any) -> None:
    with pytest.raises(OperationalError), connection.cursor() as cursor:
        cursor.execute("SELECT nothing FROM nowhere")


def left_in_a_transaction(connection: Any) -> None:
    connection.connection.execute("BEGIN")


def left_in_an_atomic_block(connection: Any) -> None:
    connection.in_atomic_block = True


def left_while_reading(connection: Any) -> None:
    connection.left = connection.cursor()
    connection.left.execute("SELECT text FROM word UNION ALL SELECT text FROM word")
    connection.left.fetchone()


@pytest.mark.parametrize("leave", [failed, left_in_a_transaction, left_in_an_atomic_block, left_while_reading])
def test_what_is_not_as_new_is_closed(connect: Callable[[], Any], leave: Callable[[Any], None]) -> None:
    connection = connect()
    words(connection)
    own = connection.connection
    leave(connection)
    connection.close()
    assert is_closed(own)


def test_at_rest_the_database_is_one_file(
    connect: Callable[[], Any], kept: IdleConnections, clock: Clock, file: Path
) -> None:
    connection = connect()
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO word VALUES ('last')")
    connection.close()
    clock.now = IDLE_SECONDS - 0.01
    assert kept.close_older_than(IDLE_SECONDS) == 1
    clock.now = IDLE_SECONDS
    assert kept.close_older_than(IDLE_SECONDS) == 0
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    copy = sqlite3.connect(f"file:{file}?immutable=1", uri=True)
    assert copy.execute("SELECT text FROM word").fetchall() == [("first",), ("last",)]
    copy.close()


def test_few_are_kept_and_none_after_the_end_or_without_a_beginning(
    connect: Callable[[], Any], kept: IdleConnections
) -> None:
    connections = [connect() for _ in range(MOST_IDLE + 1)]
    for connection in connections:
        words(connection)
    owned = [connection.connection for connection in connections]
    for connection in connections:
        connection.close()
    assert [is_closed(own) for own in owned] == [False] * MOST_IDLE + [True]
    kept.end()
    assert all(is_closed(own) for own in owned)
    assert is_closed(used_by(connect()))
