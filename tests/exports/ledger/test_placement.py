"""Where exported files go, what they are called, and that no file in a destination is ever overwritten."""

import ctypes
import errno
import hashlib
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exports.ledger import original_copy
from exports.ledger.errors import InvalidRecord
from exports.ledger.names import (
    MAX_NUMBER,
    NoFreeName,
    TakenNames,
    check_filename,
    collision_key,
    numbered_names,
    sanitize_component,
)
from exports.ledger.original_copy import CopyFailed, NameTaken, copy_original, remove_partial_copies
from exports.ledger.placement import (
    DestinationFolder,
    FolderUnavailable,
    UnsafeFolder,
    choose_filename,
    place_for,
    recorded_name,
)
from exports.ledger.store import Place

TAKEN = datetime(2025, 2, 3, 23, 59)
MTIME_NS = 1_700_000_000_123_456_789


@pytest.mark.promise("S0-011")
def test_default_place_is_year_and_padded_month() -> None:
    assert place_for(TAKEN) == Place(2025, 2, "2025/02/")
    assert place_for(datetime(826, 12, 1)) == Place(826, 12, "0826/12/")


@pytest.mark.promise("S0-U19")
def test_templates_use_clean_values_and_stay_inside() -> None:
    place = place_for(TAKEN, "{album}/{year}-{month}-{day}", {"album": " ../Ro\u0308m: a/b. "})
    assert place.rel_path == ".._Röm_ a_b/2025-02-03/"
    for template in ("", "/{year}/", "../{year}/", "{owner}/", "{year!r}", "{year:>9}", "{", "{year.real}", "{0}"):
        with pytest.raises(InvalidRecord):
            place_for(TAKEN, template)


def test_a_folder_whose_text_means_no_path_is_refused_with_a_sentence(tmp_path: Path) -> None:
    for template in ("{year}\\{month}/", "{year}\\x00/"):
        with pytest.raises(InvalidRecord, match="The export folder"):
            place_for(TAKEN, template)
    for rel_path in ("2025\\02/", "2025/\\x00/"):
        with pytest.raises(InvalidRecord, match="The export folder"):
            DestinationFolder(tmp_path, rel_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.promise("S0-U19")
@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("Summer", "Summer"),
        ('  a/b\\c<d>e:f"g|h?i*j  ', "a_b_c_d_e_f_g_h_i_j"),
        ("e\u0301", "\u00e9"),
        ("end...", "end"),
        ("...", "_"),
        ("", "_"),
        ("\x00\x1f\x7f", "___"),
        ("\udcff", "_"),
    ],
)
def test_component_is_cleaned(name: str, clean: str) -> None:
    assert sanitize_component(name) == clean


@given(st.text(max_size=400))
def test_any_text_becomes_a_safe_component(name: str) -> None:
    clean = sanitize_component(name)
    assert 0 < len(clean.encode()) <= 255
    assert sanitize_component(clean) == clean
    check_filename(clean)


@pytest.mark.promise("S0-U17")
def test_next_free_names() -> None:
    taken = TakenNames(["a.jpg", "A (1).JPG", "e\u0301.jpg"])
    assert [taken.claim("a.jpg") for _ in range(3)] == ["a (2).jpg", "a (3).jpg", "a (4).jpg"]
    assert taken.claim("\u00e9.jpg") == "\u00e9 (1).jpg"  # another Unicode form of a name is the same to some disks
    assert taken.claim("b") == "b"
    assert taken.claim(".hidden") == ".hidden"
    assert taken.claim(".hidden") == ".hidden (1)"
    taken.release("a (3).jpg")
    assert taken.claim("a.jpg") == "a (3).jpg"


@pytest.mark.promise("S0-U17")
def test_names_end_at_ten_thousand() -> None:
    taken = TakenNames(numbered_names("a.jpg"))
    assert f"a ({MAX_NUMBER}).jpg" in taken
    with pytest.raises(NoFreeName, match="10,000"):
        taken.claim("a.jpg")
    assert MAX_NUMBER == 10_000


def test_long_names_are_cut_between_characters_to_fit_their_number() -> None:
    name = "ü" * 124 + "abc.jpg"  # 255 bytes
    first, second, *_ = numbered_names(name)
    assert first == name
    assert second.endswith(" (1).jpg")
    assert len(second.encode()) <= 255
    assert collision_key(first) != collision_key(second)


def test_odd_bytes_keep_their_name_on_disk_and_their_escape_in_the_record() -> None:
    filename = choose_filename("a\\xff\\\\b.jpg", TakenNames())
    assert os.fsencode(filename) == b"a\xff\\b.jpg"
    assert recorded_name(filename) == "a\\xff\\\\b.jpg"


@pytest.fixture
def original(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "original"
    path.write_bytes(os.urandom(3_000_000))
    descriptor = os.open(path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[DestinationFolder]:
    (tmp_path / "destination").mkdir()
    with DestinationFolder(tmp_path / "destination", "2025/02/") as opened:
        yield opened


def content(folder: DestinationFolder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(str(folder)).iterdir()}


@pytest.mark.promise("S0-U17")
def test_copy_has_bytes_digest_and_date_and_leaves_nothing_else(original: int, folder: DestinationFolder) -> None:
    data = os.pread(original, 1 << 30, 0)
    copied = copy_original(original, folder, "a.jpg", MTIME_NS, expected_md5=hashlib.md5(data).hexdigest())
    assert content(folder) == {"a.jpg": data}
    assert (copied.filename, copied.size_bytes, copied.md5) == ("a.jpg", len(data), hashlib.md5(data).hexdigest())
    assert Path(f"{folder}a.jpg").stat().st_mtime_ns == MTIME_NS


@pytest.mark.promise("S0-U17")
@pytest.mark.parametrize("has_renameat2", [True, False])
def test_existing_file_is_never_overwritten(
    original: int, folder: DestinationFolder, monkeypatch: pytest.MonkeyPatch, has_renameat2: bool
) -> None:
    if not has_renameat2:  # as on NFS, where hard links must do
        monkeypatch.setattr(original_copy, "_renameat2", None)
    data = os.pread(original, 1 << 30, 0)
    Path(f"{folder}a.jpg").write_bytes(b"precious")
    with pytest.raises(NameTaken, match=r"a\.jpg' exists"):
        copy_original(original, folder, "a.jpg", MTIME_NS)
    assert content(folder) == {"a.jpg": b"precious"}
    assert copy_original(original, folder, "a.jpg", MTIME_NS, is_numbered=True).filename == "a (1).jpg"
    assert content(folder) == {"a.jpg": b"precious", "a (1).jpg": data}


def test_file_systems_without_exclusive_rename_use_links(
    original: int, folder: DestinationFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> int:
        ctypes.set_errno(errno.EINVAL)
        return -1

    monkeypatch.setattr(original_copy, "_renameat2", refuse)
    copy_original(original, folder, "a.jpg", MTIME_NS)
    assert list(content(folder)) == ["a.jpg"]
    assert Path(f"{folder}a.jpg").stat().st_nlink == 1


@pytest.mark.promise("S0-U22")
@pytest.mark.parametrize("call", ["write", "fsync", "utime", "pread"])
@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOSPC, "Free some space"), (errno.EROFS, "read-only"), (errno.EACCES, "right to"), (errno.EIO, "health")],
)
def test_failed_copy_leaves_nothing_and_says_what_to_do(
    original: int, folder: DestinationFolder, monkeypatch: pytest.MonkeyPatch, call: str, number: int, advice: str
) -> None:
    def fail(*arguments: object, **keywords: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch, pytest.raises(CopyFailed, match=advice) as caught:
        patch.setattr(os, call, fail)
        copy_original(original, folder, "a.jpg", MTIME_NS)
    assert caught.value.errno == number
    assert str(caught.value).startswith("a.jpg was not copied to ")
    assert content(folder) == {}


def test_interrupted_copy_leaves_nothing(
    original: int, folder: DestinationFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object, **keywords: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "fsync", interrupt)
        copy_original(original, folder, "a.jpg", MTIME_NS)
    assert content(folder) == {}


def test_copy_that_reads_back_differently_is_not_published(
    original: int, folder: DestinationFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(len(data))))
    with pytest.raises(CopyFailed, match="reads back differently"):
        copy_original(original, folder, "a.jpg", MTIME_NS)
    assert content(folder) == {}


def test_original_that_changed_since_the_scan_is_not_exported(original: int, folder: DestinationFolder) -> None:
    with pytest.raises(CopyFailed, match="changed since the last scan"):
        copy_original(original, folder, "a.jpg", MTIME_NS, expected_md5="0" * 32)
    assert content(folder) == {}


def test_leftovers_of_killed_copies_are_removed_and_nothing_else(folder: DestinationFolder) -> None:
    for name in (".photolala-0123456789abcdef.partial", "a.jpg", ".photolala-notes", "b.partial"):
        Path(f"{folder}{name}").write_bytes(b"x")
    assert remove_partial_copies(folder) == 1
    assert sorted(folder.names()) == [".photolala-notes", "a.jpg", "b.partial"]


def test_no_symlink_leads_out_of_the_destination(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "2025").symlink_to(outside)
    with pytest.raises(UnsafeFolder, match="2025"):
        DestinationFolder(root, "2025/02/")
    assert list(outside.iterdir()) == []
    (root / "2024").write_bytes(b"a file")
    with pytest.raises(UnsafeFolder, match="2024"):
        DestinationFolder(root, "2024/01/")
    with pytest.raises(InvalidRecord):
        DestinationFolder(root, "../outside/")
    with pytest.raises(FolderUnavailable, match="nothing was written"):
        DestinationFolder(tmp_path / "missing", "2025/02/")
