"""Files of notes: kept at once, sent in pieces before the edits that name them, fetched from where a line broke, never half."""

import hashlib
import sqlite3
from contextlib import closing

import pytest

from sync.device import media
from sync.device.media import MediaRefused
from sync.device.store import Store
from sync.device.transport import NotThere, Unreachable

from .conftest import Phone

SOUND = bytes(range(256)) * 40
MD5 = hashlib.md5(SOUND).hexdigest()


class Shelf:
    """Where the server keeps files; `breaks_after` bytes the line goes dead, once."""

    def __init__(self):
        self.files, self.kinds, self.pushes = {}, {}, []
        self.breaks_after = None
        self.asked = []
        self.refuses = False

    def begin_media(self, md5, media_type, size_bytes):
        if self.refuses:
            raise MediaRefused("There is no room left.", "quota")
        self.kinds[md5] = media_type
        return len(self.files.setdefault(md5, b""))

    def send_piece(self, md5, offset, piece):
        assert offset == len(self.files[md5])
        if self.breaks_after is not None:
            piece, self.breaks_after = piece[: self.breaks_after], None
            self.files[md5] += piece
            raise Unreachable("broken")
        self.files[md5] += piece
        return len(self.files[md5])

    def fetch_media(self, note, md5, offset):
        self.asked.append((note, offset))
        if md5 not in self.files:
            raise NotThere("no such file")
        data = self.files[md5][offset:]
        if self.breaks_after is not None:
            yield data[: self.breaks_after]
            self.breaks_after = None
            raise Unreachable("broken")
        yield data


@pytest.fixture
def shelf(monkeypatch):
    monkeypatch.setattr(media, "PIECE_BYTES", 4000)
    return Shelf()


@pytest.fixture
def pair(server, tmp_path, shelf):
    """Two devices; the reference server knows attachments as a text, so the tests put them into rows themselves."""
    return [Phone(server, tmp_path / f"{number}" / "store.sqlite", number, media=shelf) for number in range(2)]


def attach(phone, tmp_path):
    source = tmp_path / "song.mp3"
    source.write_bytes(SOUND)
    return phone.client.attach(source, "audio/mpeg")


def name_in_a_note(phone, md5=MD5):
    """Let a note that was pulled name a file."""
    phone.client.store.db.execute(
        "INSERT INTO row VALUES ('user:x', 'note', 'n1', 1, 0, ?, '{}')",
        ('{"attachments":[{"media_md5":"' + md5 + '","name":"a"}],"content":"x"}',),
    )
    phone.client.store.remember(media_missing=1)


def test_a_file_is_sent_before_the_edits_and_goes_on_where_it_broke(pair, shelf, tmp_path, server):
    phone = pair[0]
    assert attach(phone, tmp_path) == {"media_md5": MD5, "name": "song.mp3"}
    (tmp_path / "song.mp3").unlink()
    phone.note("listen")
    phone.restart()
    assert phone.pending() == {"note": 1, "media": 1}
    shelf.breaks_after = 2500
    assert not phone.sync().success
    assert len(shelf.files[MD5]) == 2500 and phone.pending() == {"note": 1, "media": 1}  # nothing was pushed without it
    result = phone.sync()
    assert (result.success, result.uploaded_media, result.uploaded_items) == (True, 1, 1)
    assert shelf.files[MD5] == SOUND and shelf.kinds[MD5] == "audio/mpeg" and phone.pending() == {}
    assert phone.client.media(MD5).read_bytes() == SOUND


def test_a_file_that_is_refused_is_told_and_holds_up_nothing(pair, shelf, tmp_path):
    phone = pair[0]
    attach(phone, tmp_path)
    phone.note("goes all the same")
    shelf.refuses = True
    result = phone.sync()
    assert [(error.retryable, error.cause) for error in result.errors] == [(False, "quota")]
    assert result.uploaded_items == 1 and phone.pending() == {}
    assert phone.client.media(MD5).read_bytes() == SOUND  # kept here


def test_a_file_is_fetched_from_where_the_line_broke(pair, shelf):
    phone = pair[1]
    shelf.files[MD5] = SOUND
    name_in_a_note(phone)
    shelf.breaks_after = 3000
    assert not phone.sync().success and phone.client.media(MD5) is None
    result = phone.sync()
    assert (result.success, result.downloaded_media) == (True, 1)
    assert shelf.asked == [("n1", 0), ("n1", 3000)] and phone.client.media(MD5).read_bytes() == SOUND
    phone.sync()
    assert len(shelf.asked) == 2


def test_other_content_than_the_name_says_never_counts_as_the_file(pair, shelf):
    phone = pair[1]
    shelf.files[MD5] = SOUND[:-1] + b"!"
    name_in_a_note(phone)
    assert not phone.sync().success and phone.client.media(MD5) is None
    shelf.files[MD5] = SOUND
    assert phone.sync().success and phone.client.media(MD5).read_bytes() == SOUND


def test_one_that_is_not_there_is_tried_again_and_names_lead_nowhere_else(pair, shelf):
    phone = pair[1]
    name_in_a_note(phone)
    assert phone.sync().success and phone.client.media(MD5) is None
    shelf.files[MD5] = SOUND
    assert phone.sync().downloaded_media == 1
    assert phone.client.media("../store.sqlite") is None


def test_a_store_of_before_gets_the_table(tmp_path):
    path = tmp_path / "old.sqlite"
    Store(path).close()
    with closing(sqlite3.connect(path)) as old:
        old.execute("DROP TABLE media")
        old.execute("PRAGMA user_version = 1")
    store = Store(path)
    assert store.db.execute("SELECT count(*) FROM media").fetchone() == (0,)
    store.close()


def test_a_file_that_was_spoilt_on_its_way_is_sent_anew(pair, shelf, tmp_path, monkeypatch):
    phone = pair[0]
    attach(phone, tmp_path)
    phone.note("listen")

    def spoilt(md5, offset, piece):
        shelf.files.pop(md5)
        raise MediaRefused("The file was damaged on its way.", "invalid")

    with monkeypatch.context() as patched:
        patched.setattr(shelf, "send_piece", spoilt)
        assert not phone.sync().success
    assert phone.pending() == {"note": 1, "media": 1}
    assert phone.sync().success and shelf.files[MD5] == SOUND


def test_a_file_that_is_refused_because_it_changed_on_the_device_is_told(pair, shelf, tmp_path, monkeypatch):
    phone = pair[0]
    attach(phone, tmp_path)
    phone.client.media(MD5).write_bytes(SOUND[:-1] + b"!")

    def other(md5, offset, piece):
        raise MediaRefused("The file was damaged on its way.", "invalid")

    monkeypatch.setattr(shelf, "send_piece", other)
    assert [error.cause for error in phone.sync().errors] == ["invalid"]
    assert phone.pending() == {}


def test_a_file_that_is_not_here_any_more_is_told_and_holds_up_nothing(pair, shelf, tmp_path):
    phone = pair[0]
    attach(phone, tmp_path)
    phone.note("goes all the same")
    phone.client.media(MD5).unlink()
    result = phone.sync()
    assert [(error.retryable, error.cause) for error in result.errors] == [(False, MD5)]
    assert result.uploaded_items == 1 and phone.pending() == {}


@pytest.mark.parametrize("is_killed", [True, False])
def test_files_of_rows_that_came_before_a_sync_broke_off_are_fetched(pair, shelf, is_killed, monkeypatch):
    phone = pair[1]
    assert phone.sync().success
    shelf.files[MD5] = SOUND

    def breaks(*_):
        name_in_a_note(phone)
        phone.client.store.remember(media_missing=None)
        raise Unreachable("broken")

    with monkeypatch.context() as patched:
        patched.setattr("sync.device.exchange.Exchange._pull", breaks)
        assert not phone.sync().success
    if is_killed:
        phone.restart()
    assert phone.sync().success and phone.client.media(MD5).read_bytes() == SOUND
