"""On disks with small blocks SQLite goes without an index that is mapped into memory: it would kill whoever writes into it."""

import os
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest

from photolala.broker.store import MessageStore
from photolala.lib.env import database_from_url
from photolala.lib.journals import journal_mode


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_bsize=1024))


def test_ordinary_disks_have_a_wal(tmp_path: Path) -> None:
    assert journal_mode(tmp_path) == journal_mode(tmp_path / "not" / "there" / "yet") == "WAL"


@pytest.mark.usefixtures("small_blocks")
def test_small_blocks_have_none(tmp_path: Path) -> None:
    assert journal_mode(tmp_path / "data") == "TRUNCATE"
    options = database_from_url(None, tmp_path / "photolala.sqlite3")["OPTIONS"]
    assert "journal_mode=TRUNCATE" in str(options)


@pytest.mark.usefixtures("small_blocks")
def test_the_broker_s_file_has_none_either_and_an_old_one_is_converted(tmp_path: Path) -> None:
    path = tmp_path / "broker.sqlite3"
    with sqlite3.connect(path) as before:
        before.execute("PRAGMA journal_mode=WAL")
        before.execute("CREATE TABLE old (a)")
    before.close()
    store = MessageStore(path)
    store.put("files", "{}")
    assert store.size("files") == 1
    assert not path.with_name("broker.sqlite3-shm").exists()
    store.close()
