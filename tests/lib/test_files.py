"""Atomic writes: the old or the new content, never a part, and no litter."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from photolala.lib import files
from photolala.lib.files import atomic_write, durable_replace, fsync_directory, temporary_name


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the order of fsync and replace; folders are told from files."""
    seen: list[str] = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        seen.append("fsync folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "fsync file")
        real_fsync(descriptor)

    def replace(source: bytes, target: bytes) -> None:
        seen.append("replace")
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    return seen


def test_writes_creates_and_replaces(tmp_path: Path) -> None:
    target = tmp_path / "pointer"
    atomic_write(target, b"one")
    atomic_write(str(target), (part for part in (b"t", b"w", b"o")))
    assert target.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["pointer"]


def test_file_reaches_the_disk_before_its_name_and_the_folder_last(tmp_path: Path, calls: list[str]) -> None:
    atomic_write(tmp_path / "a", b"x")
    assert calls == ["fsync file", "replace", "fsync folder"]


def test_not_durable_means_no_waiting_but_still_atomic(tmp_path: Path, calls: list[str]) -> None:
    atomic_write(tmp_path / "a", b"x", durable=False)
    assert calls == ["replace"]


def test_mode_is_exact_whatever_the_umask(tmp_path: Path) -> None:
    previous = os.umask(0o077)
    try:
        atomic_write(tmp_path / "open", b"x")
        atomic_write(tmp_path / "closed", b"x", mode=0o444)
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "open").stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "closed").stat().st_mode) == 0o444


@pytest.mark.promise("S2-055")
@pytest.mark.parametrize("failing", ["fsync", "replace", "fchmod"])
def test_an_error_keeps_the_old_file_and_leaves_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    target = tmp_path / "kept"
    atomic_write(target, b"old")

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "disk broken")

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(OSError, match="disk broken"):
        atomic_write(target, b"new")
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["kept"]


def test_a_source_of_data_that_fails_half_way_changes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "kept"
    atomic_write(target, b"old")

    def half() -> Iterator[bytes]:
        yield b"n" * 200_000
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        atomic_write(target, half())
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["kept"]


def test_a_symlink_is_replaced_and_its_target_left_alone(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"precious")
    (tmp_path / "link").symlink_to("elsewhere")
    atomic_write(tmp_path / "link", b"new")
    assert (tmp_path / "elsewhere").read_bytes() == b"precious"
    assert not (tmp_path / "link").is_symlink()


def test_names_of_full_length_and_odd_bytes_work(tmp_path: Path) -> None:
    for name in (b"n" * 255, b"caf\xe9\n", b"." * 20 + b"x"):
        path = os.fsencode(tmp_path) + b"/" + name
        atomic_write(path, b"x")
        with open(path, "rb") as file:
            assert file.read() == b"x"
    assert len(temporary_name(b"n" * 255)) <= 255


def test_a_relative_path_is_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    atomic_write("here", b"x")
    assert (tmp_path / "here").read_bytes() == b"x"


def test_durable_replace_syncs_content_then_both_folders(tmp_path: Path, calls: list[str]) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "new").write_bytes(b"new")
    (tmp_path / "kept").write_bytes(b"old")
    durable_replace(tmp_path / "work" / "new", tmp_path / "kept")
    assert calls == ["fsync file", "replace", "fsync folder", "fsync folder"]
    assert (tmp_path / "kept").read_bytes() == b"new"


def test_a_folder_that_cannot_be_synced_is_accepted_a_real_error_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([errno.EINVAL, errno.EIO])

    def fsync(_: int) -> None:
        raise OSError(next(answers), "says the file system")

    monkeypatch.setattr(files.os, "fsync", fsync)
    fsync_directory(tmp_path)
    with pytest.raises(OSError, match="says the file system"):
        fsync_directory(tmp_path)
