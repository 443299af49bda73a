"""A ZIP archive is judged by its list: what would fill a disk, a memory or a worker's hours is refused before it is unpacked."""

import bz2
import io
import os
import zipfile
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.importing import requests
from catalog.libraries.adding import add_library
from catalog.media.limits import Limits
from catalog.media.pool import DecoderPool
from catalog.media.task import Job
from catalog.models import Import, Photo
from catalog.sources import archive, archive_list, unpacking
from catalog.sources.archive import ArchiveSource
from catalog.sources.base import SourceUnavailable
from operations import runs
from operations.models import Operation, State
from operations.running import execute
from tests.photos import make_jpeg

MIB = 1024 * 1024


@pytest.fixture
def library(alice, tmp_path, settings):
    (tmp_path / "library").mkdir()
    settings.PHOTO_ROOTS = [str(tmp_path)]
    return add_library(alice, str(tmp_path / "library"))


@pytest.fixture
def card(tmp_path):
    (tmp_path / "card").mkdir()
    return tmp_path / "card"


@pytest.fixture
def photo(tmp_path):
    return lambda seed: make_jpeg(tmp_path / "one.jpg", seed=seed).read_bytes()


@pytest.fixture
def unpacked(monkeypatch):
    """The names of what is unpacked."""
    names = []
    real = archive.unpack
    monkeypatch.setattr(
        archive, "unpack", lambda file, entry, *rest: (names.append(entry.filename), real(file, entry, *rest))
    )
    return names


def take(library, folder):
    """Import a folder; return the operation, and the import of the archive in it."""
    requests.start_folder_import(library, library.owner, str(folder), "keep", enqueue=False)
    operation = execute(requests.start_importing(library, library.owner).pk)
    return operation, Import.objects.filter(kind="archive").first()


def ends(wanted):
    return {item.path: (str(item.state), item.code) for item in wanted.items.all()}


def source(path, keepalive=lambda: None):
    return ArchiveSource(os.open(path, os.O_RDONLY), path.parent / "working", keepalive)


def refusal(path):
    with pytest.raises(SourceUnavailable) as refused:
        source(path)
    assert "Nothing was imported of it. " in str(refused.value)
    return str(refused.value)


@pytest.mark.django_db
def test_empty_files_are_never_opened_and_cost_less_than_a_statement_each(library, card, unpacked):
    with zipfile.ZipFile(card / "empty.zip", "w") as packed:
        for number in range(2000):
            packed.writestr(f"{number}.jpg", b"")
    with CaptureQueriesContext(connection) as queries:
        operation, wanted = take(library, card)
    assert operation.state == State.COMPLETED and operation.result["rejected"] == 2000
    assert set(ends(wanted).values()) == {("rejected", "corrupted")} and not unpacked
    assert len(queries) < 200


@pytest.mark.django_db
def test_small_files_that_are_no_photos_cost_less_than_a_statement_each(library, card):
    with zipfile.ZipFile(card / "small.zip", "w") as packed:
        for number in range(1000):
            packed.writestr(f"{number}.jpg", b"\xff\xd8 %d" % number)
    with CaptureQueriesContext(connection) as queries:
        operation, wanted = take(library, card)
    assert operation.result["rejected"] == 1000 and len(ends(wanted)) == 1000
    assert len(queries) < 600  # 3,200 when each ten were written by themselves


@pytest.mark.django_db
def test_a_file_that_would_unpack_to_a_hundred_times_its_size_is_not_unpacked(library, card, photo, unpacked):
    with zipfile.ZipFile(card / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("bomb.jpg", photo(1) + bytes(archive_list.LARGE_BYTES))
        packed.writestr("real.jpg", photo(2))
    _, wanted = take(library, card)
    assert ends(wanted) == {"bomb.jpg": ("rejected", "unreadable"), "real.jpg": ("imported", "")}
    reason = wanted.items.get(filename="bomb.jpg").reason
    assert "would unpack to 34 MB" in reason and archive_list.UNPACK_IT in reason
    assert set(unpacked) == {"real.jpg"}


def test_files_that_share_their_bytes_refuse_the_archive(tmp_path, photo):
    with zipfile.ZipFile(tmp_path / "overlap.zip", "w") as packed:
        for number in range(3):
            packed.writestr(f"{number}.jpg", photo(number))
        packed.filelist[2].header_offset = packed.filelist[1].header_offset
    assert "“1.jpg” and “2.jpg” share the same bytes" in refusal(tmp_path / "overlap.zip")
    with zipfile.ZipFile(tmp_path / "into-list.zip", "w") as packed:
        packed.writestr("1.jpg", photo(1))
        packed.filelist[0].compress_size += 1
    assert "share the same bytes" in refusal(tmp_path / "into-list.zip")


def test_a_total_that_no_photos_unpack_to_refuses_the_archive(tmp_path, monkeypatch):
    monkeypatch.setattr(archive_list, "LARGE_ARCHIVE_BYTES", 8 * MIB)
    with zipfile.ZipFile(tmp_path / "many.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for number in range(3):
            packed.writestr(f"{number}.jpg", bytes(4 * MIB))
    assert "would unpack to 0.0 GB" in refusal(tmp_path / "many.zip")


@pytest.mark.parametrize("is_told", [True, False])
def test_a_list_that_is_too_long_is_not_read_whatever_length_it_claims(tmp_path, monkeypatch, is_told):
    monkeypatch.setattr(archive_list, "MOST_ENTRIES", 10)
    path = tmp_path / "long.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for number in range(11):
            packed.writestr(f"{number}.jpg", b"x")
    if not is_told:
        data = bytearray(path.read_bytes())
        data[-14:-10] = b"\x01\0\x01\0"
        path.write_bytes(data)
    monkeypatch.setattr(zipfile, "ZipFile", None)
    assert "lists 11 files" in refusal(path)
    monkeypatch.setattr(archive_list, "MOST_LIST_BYTES", 100)
    assert "list of files takes" in refusal(path)


@pytest.mark.parametrize("method", sorted(archive_list.METHODS))
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_no_more_is_unpacked_than_the_list_says_and_no_less(tmp_path, method, more):
    data = os.urandom(3 * MIB) + bytes(3 * MIB)
    path = tmp_path / "size.zip"
    with zipfile.ZipFile(path, "w", method) as packed:
        packed.writestr("1.jpg", data)
        packed.filelist[0].file_size += more
        entry = packed.filelist[0]
    target = io.BytesIO()
    with path.open("rb") as file:
        if not more:
            unpacking.unpack(file, entry, target, lambda: None)
            assert target.getvalue() == data
            return
        with pytest.raises(OSError, match="damaged at this file"):
            unpacking.unpack(file, entry, target, lambda: None)
    assert len(target.getvalue()) <= entry.file_size


class Sizes(io.RawIOBase):
    """Notes how much is written at once."""

    def __init__(self):
        self.most = 0

    def write(self, data):
        self.most = max(self.most, len(data))
        return len(data)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_is_packed_tightly_is_unpacked_in_small_pieces(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "tight.zip", "w", method) as packed:
        packed.writestr("1.jpg", bytes(20 * MIB))
        entry = packed.filelist[0]
    sizes = Sizes()
    with (tmp_path / "tight.zip").open("rb") as file:
        unpacking.unpack(file, entry, sizes, lambda: None)
    assert sizes.most <= MIB


def test_a_dictionary_of_gigabytes_is_not_made(tmp_path):
    path = tmp_path / "dictionary.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as packed:
        packed.writestr("1.jpg", b"x" * 1000)
        entry = packed.filelist[0]
    data = bytearray(path.read_bytes())
    at = 30 + len("1.jpg") + 5
    data[at : at + 4] = (0xFFFFFFFF).to_bytes(4, "little")
    with pytest.raises(OSError, match="more memory"):
        unpacking.unpack(io.BytesIO(data), entry, io.BytesIO(), lambda: None)


def test_unpacking_that_takes_too_long_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "_SECONDS", -1e9)
    with zipfile.ZipFile(tmp_path / "slow.zip", "w") as packed:
        packed.writestr("1.jpg", b"x")
    with source(tmp_path / "slow.zip") as slow, pytest.raises(TimeoutError, match="longer than its size explains"):
        slow.open("1.jpg")


@pytest.mark.django_db
def test_nothing_is_unpacked_for_which_the_owner_has_no_room(library, card, photo, unpacked):
    library.owner.quota_bytes = 100
    library.owner.save()
    with zipfile.ZipFile(card / "large.zip", "w") as packed:
        packed.writestr("1.jpg", photo(1))
    _, wanted = take(library, card)
    assert ends(wanted) == {"1.jpg": ("rejected", "quota")} and not unpacked
    assert "It was not unpacked" in wanted.items.get().reason


@pytest.mark.django_db
def test_cancelling_ends_the_unpacking_of_a_large_file(library, card, monkeypatch):
    monkeypatch.setattr(runs, "PROGRESS_EVERY_SECONDS", 0)
    with zipfile.ZipFile(card / "large.zip", "w") as packed:
        packed.writestr("1.jpg", os.urandom(5 * MIB))
    written = []

    class Target:
        def write(self, data):
            Operation.objects.update(cancel_requested=True)
            written.append(len(data))
            return len(data)

    real = archive.unpack
    monkeypatch.setattr(archive, "unpack", lambda file, entry, _, keepalive: real(file, entry, Target(), keepalive))
    operation, _ = take(library, card)
    assert operation.state == State.CANCELLED and len(written) == 1


def test_a_decoder_that_takes_its_time_can_be_left(tmp_path):
    class Left(Exception):
        pass

    def leave():
        raise Left

    (tmp_path / "hang.jpg").write_bytes(b"hang")
    pool = DecoderPool(1, Limits(seconds=3600.0), worker_module="tests.catalog.media.faulty_worker")
    pool.tick = leave
    job = Job("hang.jpg", "hang.jpg", lambda: os.open(tmp_path / "hang.jpg", os.O_RDONLY))
    with pool, pytest.raises(Left):
        list(pool.digest([job]))
    assert not pool.process_ids()


@pytest.mark.django_db
def test_two_files_of_one_name_both_come_in(library, card, photo):
    with zipfile.ZipFile(card / "twice.zip", "w") as packed:
        packed.writestr("1.jpg", photo(1))
        with pytest.warns(UserWarning, match="Duplicate name"):
            packed.writestr("1.jpg", photo(2))
        packed.writestr("/1.jpg", photo(3))
    _, wanted = take(library, card)
    states = ends(wanted)
    assert states == {"1.jpg": ("imported", ""), "1 (2).jpg": ("imported", ""), "1 (3).jpg": ("rejected", "unreadable")}


@pytest.mark.django_db
def test_photos_in_hidden_and_system_folders_and_archives_in_archives_are_told(library, card, photo):
    with zipfile.ZipFile(card / "hidden.zip", "w") as packed:
        for number, name in enumerate(
            (".hid/1.jpg", "@eaDir/2.jpg", ".3.jpg", "__MACOSX/4.jpg", "._5.jpg", "Thumbs.db")
        ):
            packed.writestr(name, photo(number))
        packed.writestr("inner.zip", b"PK")
        packed.writestr("inner.7z", b"7z")
    take(library, card)
    wanted = Import.objects.get(source__endswith="hidden.zip")
    assert ends(wanted).keys() == {".hid/1.jpg", "@eaDir/2.jpg", ".3.jpg", "inner.7z"}
    assert {item.state for item in wanted.items.all()} == {"rejected"}
    assert "archive inside an archive" in wanted.items.get(filename="inner.7z").reason
    assert "cannot be read" in Import.objects.get(source__endswith="hidden.zip/inner.zip").error
    assert not Photo.objects.exists()


@pytest.mark.django_db
def test_of_photos_with_sidecars_no_unpacked_copy_stays(library, card, photo, monkeypatch):
    left = []
    close = ArchiveSource.close
    monkeypatch.setattr(ArchiveSource, "close", lambda self: (left.append(len(self._unpacked)), close(self)))
    with zipfile.ZipFile(card / "takeout.zip", "w") as packed:
        for number in range(12):
            packed.writestr(f"{number}.jpg", photo(number))
            packed.writestr(f"{number}.jpg.json", f'{{"photoTakenTime": {{"timestamp": "{1554712445 + number}"}}}}')
    _, wanted = take(library, card)
    assert {state for state, _ in ends(wanted).values()} == {"imported"} and len(ends(wanted)) == 24
    assert left == [0]


def test_few_unpacked_copies_are_kept_at_once(tmp_path):
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as packed:
        for number in range(archive.MOST_KEPT + 2):
            packed.writestr(f"{number}.jpg", str(number))
    with source(tmp_path / "many.zip") as many:
        for number in (*range(archive.MOST_KEPT + 2), 0):
            with open(many.open(f"{number}.jpg"), "rb") as file:
                assert file.read() == str(number).encode()
        assert len(many._unpacked) == archive.MOST_KEPT


def test_a_bz2_stream_that_ends_early_is_damaged(tmp_path):
    path = tmp_path / "short.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as packed:
        packed.writestr("1.jpg", b"x" * 1000)
        entry = packed.filelist[0]
    data = path.read_bytes()
    assert bz2.compress(b"x" * 1000) in data
    entry.file_size = 2000
    with pytest.raises(OSError, match="shorter"):
        unpacking.unpack(io.BytesIO(data), entry, io.BytesIO(), lambda: None)


def test_nothing_is_left_in_the_working_folder(tmp_path, photo):
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as packed:
        packed.writestr("1.jpg", photo(1))
    with source(tmp_path / "one.zip") as one:
        os.close(one.open("1.jpg"))
    assert not list(Path(tmp_path / "working").iterdir())
