"""Writing into files when the world is against it: nothing is lost, and the reason is said."""

import errno
import os
import signal
import stat
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from catalog.edits import undo
from catalog.edits.stars import star, star_many
from catalog.entries import pending_writes
from catalog.files import prepared, queue, writer
from catalog.files.write import THREADS
from catalog.identity import aliases
from catalog.libraries import forget
from catalog.media.delta import apply_delta
from catalog.media.exiftool import ExifTool
from catalog.models import Alias, FileWrite, Library, Photo, QueuedStar
from catalog.sources import hidden, renaming, replacing
from operations.models import Operation, State
from operations.running import execute
from tests.catalog.edits.test_ratings import (
    library,  # noqa: F401
    photo,
    tags_of,
    write_all,
)
from tests.catalog.scanning.test_scan import scan
from tests.factories import make_jpeg, make_photo

pytestmark = pytest.mark.django_db


@pytest.fixture
def file(library) -> Path:  # noqa: F811
    return Path(library.root) / "0.jpg"


def give_stars(library, stars=5, name="0.jpg"):  # noqa: F811
    star(library.owner, photo(library, name).pk, stars)


def only_write() -> FileWrite:
    return FileWrite.objects.get()


def hidden_in(folder: str) -> list[str]:
    return [name for name in os.listdir(folder) if name.startswith(hidden.PREFIX)]


def make_due():
    FileWrite.objects.update(try_at=timezone.now())


def waits(library, file, before, code):  # noqa: F811
    """The write waits with this code, the file is as it was, nothing lies beside it, the catalog shows the star."""
    write = only_write()
    assert (write.state, write.code) == ("pending", code), write.reason
    assert write.reason.endswith(".")
    assert write.try_at > timezone.now()
    assert file.read_bytes() == before
    assert hidden_in(library.root) == []
    assert photo(library, file.name).rating == 5


def test_a_full_disk_is_waited_for(library, file, monkeypatch):  # noqa: F811
    before = file.read_bytes()
    give_stars(library)
    with monkeypatch.context() as patch:
        patch.setattr(hidden, "_ROOM_BYTES", 1 << 60)
        assert write_all(library)["waiting"] == 1
    waits(library, file, before, "no_space")
    make_due()
    assert write_all(library)["written"] == 1
    assert tags_of(file)["IFD0:Rating"] == 5


@pytest.mark.parametrize(
    ("number", "code"), [(errno.EROFS, "read_only"), (errno.EACCES, "read_only"), (errno.EIO, "io_error")]
)
def test_a_folder_that_takes_no_files_is_waited_for(library, file, monkeypatch, number, code):  # noqa: F811
    def refuse(folder: int, size: int) -> None:
        raise OSError(number, os.strerror(number))

    before = file.read_bytes()
    give_stars(library)
    monkeypatch.setattr("catalog.sources.local.require_room_beside", refuse)
    write_all(library)
    waits(library, file, before, code)


def test_a_file_that_another_program_writes_is_left_alone(library, file):  # noqa: F811
    before = file.read_bytes()
    give_stars(library)
    with file.open("ab"):
        write_all(library)
        waits(library, file, before, "busy")


def test_a_file_that_was_changed_since_waits_for_the_scan(library, file):  # noqa: F811
    give_stars(library)
    other = make_jpeg(seed=77)
    file.write_bytes(other)
    write_all(library)
    waits(library, file, other, "changed")
    scan(library)
    make_due()
    assert write_all(library)["written"] == 1
    assert tags_of(file)["IFD0:Rating"] == 5


def test_a_file_changed_in_the_very_moment_keeps_the_other_programs_version(library, file, monkeypatch):  # noqa: F811
    give_stars(library)
    other = make_jpeg(seed=78)
    swap = renaming.exchange
    calls = []

    def interfere(folder: int, first: bytes, second: bytes) -> bool:
        if not calls:
            aside = file.with_name("aside")
            aside.write_bytes(other)
            aside.rename(file)
        calls.append(first)
        return swap(folder, first, second)

    monkeypatch.setattr(renaming, "exchange", interfere)
    write_all(library)
    assert len(calls) == 2
    waits(library, file, other, "changed")


def test_a_file_with_other_names_is_not_written(library, file):  # noqa: F811
    before = file.read_bytes()
    os.link(file, file.with_name("same.bin"))
    give_stars(library)
    write_all(library)
    write = only_write()
    assert (write.state, write.code) == ("failed", "hard_links")
    assert "2 names" in write.reason
    assert file.read_bytes() == before


def test_mode_attributes_and_time_are_kept(library, file):  # noqa: F811
    os.chmod(file, 0o640)
    os.setxattr(file, "user.note", b"mine")
    Library.objects.filter(pk=library.pk).update(file_times="keep")
    library.refresh_from_db()
    before = file.stat()
    give_stars(library)
    write_all(library)
    after = file.stat()
    assert stat.S_IMODE(after.st_mode) == 0o640
    assert os.getxattr(file, "user.note") == b"mine"
    assert (after.st_uid, after.st_gid, after.st_mtime_ns) == (before.st_uid, before.st_gid, before.st_mtime_ns)
    assert after.st_ino != before.st_ino
    assert scan(library).result["changed"] == 0


def test_an_exiftool_that_is_killed_is_started_again(library, file, monkeypatch):  # noqa: F811
    ask = ExifTool.ask
    deaths = []

    def killed_once(self, arguments, seconds):
        if not deaths:
            deaths.append(1)
            self._start()
            os.kill(self.pid, signal.SIGKILL)
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            self._process.poll = lambda: None  # it died between two questions, unnoticed
        return ask(self, arguments, seconds)

    monkeypatch.setattr(ExifTool, "ask", killed_once)
    before = file.read_bytes()
    give_stars(library)
    write_all(library)
    waits(library, file, before, "tool_died")
    make_due()
    assert write_all(library)["written"] == 1


@pytest.mark.cold
def test_an_exiftool_that_hangs_is_ended(library, file, monkeypatch, tmp_path):  # noqa: F811
    monkeypatch.setattr("catalog.media.rewriting._SECONDS", 0.5)
    monkeypatch.setattr("catalog.media.exiftool.exiftool_command", lambda: ["/bin/sh", "-c", "sleep 600", "sh"])
    before = file.read_bytes()
    give_stars(library)
    write_all(library)
    waits(library, file, before, "timeout")


@pytest.mark.cold
def test_no_exiftool_at_all(library, file, monkeypatch):  # noqa: F811
    monkeypatch.setattr("catalog.media.exiftool.shutil.which", lambda name: None)
    before = file.read_bytes()
    give_stars(library)
    write_all(library)
    waits(library, file, before, "tool_missing")


def test_what_exiftool_breaks_never_takes_the_place(library, file, monkeypatch):  # noqa: F811
    """A tool that writes another picture than the old one is found out."""
    fake = make_jpeg(seed=5, width=64, height=48)

    def lie(self, arguments, seconds):
        Path(arguments[arguments.index("-o") + 1]).write_bytes(fake)
        return "    1 image files created\n"

    monkeypatch.setattr(ExifTool, "ask", lie)
    monkeypatch.setattr(
        "catalog.media.tag_changes.RatingChange.is_done", lambda self, facts: facts.photo_md5 != before_md5
    )
    before, before_md5 = file.read_bytes(), photo(library, "0.jpg").photo_md5
    give_stars(library)
    write_all(library)
    write = only_write()
    assert (write.state, write.code) == ("failed", "not_verified")
    assert "image data" in write.reason
    assert file.read_bytes() == before


def test_an_error_of_the_database_puts_the_old_version_back(library, file, monkeypatch):  # noqa: F811
    before = file.read_bytes()
    give_stars(library)
    with monkeypatch.context() as patch:
        patch.setattr("catalog.files.landing.rekey", lambda *_: 1 / 0)
        operation = execute(pending_writes.start_writing(library, library.owner).pk)
        assert operation.state == State.FAILED
    assert file.read_bytes() == before
    assert hidden_in(library.root) == []
    assert photo(library, "0.jpg").rating == 5
    make_due()
    assert write_all(library)["written"] == 1


@pytest.mark.parametrize("moment", ["before the exchange", "after the exchange"])
def test_a_writer_that_died_is_followed_by_one_that_finishes(library, file, monkeypatch, moment):  # noqa: F811
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    before = file.read_bytes()
    give_stars(library)
    with monkeypatch.context() as patch:
        # As after kill -9: nothing is cleaned up behind it.
        patch.setattr(prepared.Prepared, "close", lambda self: None)
        patch.setattr("catalog.files.write.Writing._release", lambda self: None)
        patch.setattr(replacing.Replacement, "swap_back", lambda self: None)
        if moment == "before the exchange":
            patch.setattr(replacing.Replacement, "swap", die)
        else:
            patch.setattr("catalog.files.landing.Landing._tell", die)
        operation = pending_writes.start_writing(library, library.owner)
        with pytest.raises(Killed):
            execute(operation.pk)
    assert len(hidden_in(library.root)) == 1
    write = only_write()
    assert (write.state, bool(write.new_md5)) == ("writing", True)
    assert (file.read_bytes() == before) is (moment == "before the exchange")
    type(operation).objects.filter(pk=operation.pk).update(state=State.FAILED)
    assert write_all(library)["written"] == 1
    assert hidden_in(library.root) == []
    assert tags_of(file)["IFD0:Rating"] == 5
    row = photo(library, "0.jpg")
    assert (row.rating, row.rating_held, row.photo_md5) == (5, False, only_write().new_md5)
    assert scan(library).result["changed"] == 0


def test_what_a_writer_left_that_died_after_telling_is_removed(library, file, monkeypatch):  # noqa: F811
    class Killed(BaseException):
        pass

    def die(_: object) -> None:
        raise Killed

    give_stars(library)
    with monkeypatch.context() as patch:
        patch.setattr(prepared.Prepared, "close", die)
        with pytest.raises(Killed):
            execute(pending_writes.start_writing(library, library.owner).pk)
    assert (only_write().state, len(hidden_in(library.root))) == ("done", 1)
    assert tags_of(file)["IFD0:Rating"] == 5
    Operation.objects.update(state=State.FAILED)
    assert write_all(library)["written"] == 0
    assert hidden_in(library.root) == []
    assert tags_of(file)["IFD0:Rating"] == 5


def test_a_wish_that_comes_while_the_file_is_written_is_written_next(library, file, monkeypatch):  # noqa: F811
    pk = photo(library, "0.jpg").pk
    land = []

    def wish(self, *arguments):
        if not land:
            land.append(1)
            star(library.owner, pk, 2)
        return original(self, *arguments)

    from catalog.files.landing import Landing

    original = Landing._announced
    monkeypatch.setattr(Landing, "_announced", wish)
    give_stars(library, 5)
    write_all(library)
    assert tags_of(file)["XMP-xmp:Rating"] == 2
    assert (only_write().state, photo(library, "0.jpg").rating) == ("done", 2)


def test_aliases_lead_from_the_old_bytes_to_the_new(library):  # noqa: F811
    first = photo(library, "0.jpg").photo_md5
    give_stars(library, 5)
    write_all(library)
    give_stars(library, 3)
    write_all(library)
    now = photo(library, "0.jpg").photo_md5
    assert aliases.current_md5(library, first) == now
    assert first in aliases.earlier_md5s(library, now)
    give_stars(library, 0)
    write_all(library)
    assert photo(library, "0.jpg").photo_md5 == first
    assert aliases.current_md5(library, now) == first
    assert aliases.current_md5(library, first) == first


def test_a_forgotten_library_takes_its_writes_along(library):  # noqa: F811
    give_stars(library)
    write_all(library)
    give_stars(library, 1)
    forget.forget_library(library)
    assert not FileWrite.objects.exists() and not Alias.objects.exists() and not QueuedStar.objects.exists()


def test_many_at_once_and_a_second_thought(library):  # noqa: F811
    keys = list(Photo.objects.values_list("pk", flat=True))
    assert star_many(library.owner, keys, 4)["success_count"] == 3
    star(library.owner, keys[0], 0)  # never written, so nothing is to be written any more
    assert FileWrite.objects.filter(state="superseded").count() == 1
    assert write_all(library)["written"] == 2
    assert Photo.objects.filter(rating=4, rating_held=False).count() == 2


@pytest.mark.cold
@pytest.mark.promise("S2-050")
def test_one_exiftool_for_each_thread_writes_all_files(library, monkeypatch):  # noqa: F811
    for number in range(30):
        make_photo(library, f"more/{number}.jpg", data=make_jpeg(seed=500 + number))
    scan(library)
    started, real = [], ExifTool._start
    monkeypatch.setattr(ExifTool, "_start", lambda self: (started.append(self), real(self))[1])
    keys = list(Photo.objects.filter(directory="more").values_list("pk", flat=True))
    star_many(library.owner, keys, 4)
    assert write_all(library)["written"] == 30
    assert 1 <= len(started) <= THREADS < 30 / 10  # the original's promise: one call for 10 to 50 files


def test_what_is_due_later_is_started_by_the_schedule(library, file):  # noqa: F811
    give_stars(library)
    FileWrite.objects.update(try_at=timezone.now() + timedelta(hours=1), attempts=4)  # what was never tried is due
    assert queue.start_all_due() == 0
    make_due()
    assert queue.start_all_due() == 1
    assert queue.start_all_due() == 0


def test_a_missing_file_is_waited_for(library, file):  # noqa: F811
    data = file.read_bytes()
    give_stars(library)
    file.unlink()
    write_all(library)
    assert (only_write().state, only_write().code) == ("pending", "file_gone")
    file.write_bytes(data)
    scan(library)
    make_due()
    assert write_all(library)["written"] == 1


def test_what_a_restore_said_meanwhile_gives_way_to_what_is_in_the_file(library, file):  # noqa: F811
    give_stars(library, 5)
    Photo.objects.filter(filename="0.jpg").update(rating=None)
    write_all(library)
    assert tags_of(file)["IFD0:Rating"] == photo(library, "0.jpg").rating == 5


def test_waiting_long_is_no_death(library, file, monkeypatch):  # noqa: F811
    """A folder that is read-only for days: each try ends with a reason, and the last one writes."""
    give_stars(library)
    with monkeypatch.context() as patch:
        patch.setattr(hidden, "_ROOM_BYTES", 1 << 60)
        for _ in range(9):
            make_due()
            write_all(library)
            assert (only_write().state, only_write().code) == ("pending", "no_space")
    make_due()
    assert write_all(library)["written"] == 1
    assert tags_of(file)["IFD0:Rating"] == 5


def test_a_writer_that_is_asked_to_stop_counts_as_no_death(library, monkeypatch):  # noqa: F811
    give_stars(library)

    class Stopped(BaseException):
        pass

    def stop(*_: object) -> None:
        raise Stopped

    for _ in range(9):
        with monkeypatch.context() as patch:
            patch.setattr("catalog.files.landing.Landing.land", stop)
            with pytest.raises(Stopped):
                execute(pending_writes.start_writing(library, library.owner).pk)
        Operation.objects.update(state=State.FAILED)
    assert (only_write().state, only_write().crash_count) == ("pending", 0)
    assert write_all(library)["written"] == 1


def test_a_file_that_kills_its_writer_again_and_again_is_tried_alone_and_then_given_up(library, monkeypatch):  # noqa: F811
    class Killed(BaseException):
        pass

    def die(self, task):
        if task.filename == "0.jpg":
            raise Killed
        return original(self, task)

    original = writer.FileWriter.prepare
    star_many(library.owner, list(Photo.objects.values_list("pk", flat=True)), 5)
    with monkeypatch.context() as patch:
        patch.setattr(writer.FileWriter, "prepare", die)
        patch.setattr("catalog.files.write.Writing._release", lambda self: None)  # as after kill -9
        for _ in range(12):
            operation = pending_writes.start_writing(library, library.owner)
            with suppress(Killed):
                execute(operation.pk)
            Operation.objects.update(state=State.FAILED)
    by_name = dict(FileWrite.objects.values_list("photo__filename", "state"))
    assert by_name == {"0.jpg": "failed", "1.jpg": "done", "2.jpg": "done"}
    assert FileWrite.objects.get(state="failed").code == "worker_died"


def test_a_star_that_was_only_ever_in_the_catalog_is_not_taken_for_the_files(library, file):  # noqa: F811
    """Five stars were given up; three, and five again, must write five, for the file has none."""
    give_stars(library, 5)
    assert queue.give_up(only_write())
    give_stars(library, 3)
    give_stars(library, 5)
    assert FileWrite.objects.get(state="pending").wanted == {"rating": 5}
    assert write_all(library)["written"] == 1
    assert tags_of(file)["IFD0:Rating"] == 5
    done = FileWrite.objects.get(state="done")
    assert (done.previous, done.base) == ({"rating": 0}, {"rating": 0})
    assert undo.undo_rating(photo(library, "0.jpg"), library.owner) == 0


def test_copies_that_are_starred_one_after_the_other(library):  # noqa: F811
    """The second copy's file becomes the very bytes that the first one's became."""
    data = (Path(library.root) / "0.jpg").read_bytes()
    copy = Path(library.root) / "copy.jpg"
    copy.write_bytes(data)
    os.utime(copy, (1_700_000_000, 1_700_000_000))
    scan(library)
    for name in ("0.jpg", "copy.jpg"):
        give_stars(library, 5, name)
        assert write_all(library)["written"] == 1
    assert photo(library, "0.jpg").photo_md5 == photo(library, "copy.jpg").photo_md5
    assert QueuedStar.objects.get().photo_md5 == photo(library, "0.jpg").photo_md5


def test_after_a_crash_the_way_back_is_kept(library, file, monkeypatch):  # noqa: F811
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    before = file.read_bytes()
    give_stars(library)
    with monkeypatch.context() as patch:
        patch.setattr(prepared.Prepared, "close", lambda self: None)
        patch.setattr("catalog.files.write.Writing._release", lambda self: None)
        patch.setattr(replacing.Replacement, "swap_back", lambda self: None)
        patch.setattr("catalog.files.landing.Landing._tell", die)
        with pytest.raises(Killed):
            execute(pending_writes.start_writing(library, library.owner).pk)
    Operation.objects.update(state=State.FAILED)
    write_all(library)
    recovered = only_write()
    assert (recovered.state, recovered.base) == ("done", {"rating": 0})
    assert b"".join(apply_delta(file.read_bytes(), bytes(recovered.undo_delta))) == before
    give_stars(library, 0)
    write_all(library)
    assert file.read_bytes() == before
