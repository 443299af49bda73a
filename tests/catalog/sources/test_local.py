"""The walk over a local folder: what it sees, what it leaves out and reports, and that nothing leads out of it."""

import os
import socket
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog.sources import handles
from catalog.sources.base import Directory, FileChanged, NotARegularFile, SourceUnavailable
from catalog.sources.local import LocalSource


@pytest.fixture
def root(tmp_path: Path) -> Path:
    library = tmp_path / "library"
    library.mkdir()
    return library


@pytest.fixture
def source(root: Path) -> Iterator[LocalSource]:
    with LocalSource(root) as opened:
        yield opened


def put(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(path.encode("utf-8", "surrogateescape"))


def paths_in(walked: Iterator[Directory] | list[Directory]) -> list[str]:
    return [directory.path_of(name) for directory in walked for name, _, _ in directory.files]


def read(source: LocalSource, path: str, **options: tuple[int, int]) -> bytes:
    with open(source.open(path, **options), "rb") as file:
        return file.read()


def unreadable(monkeypatch: pytest.MonkeyPatch, name: bytes, error: OSError) -> None:
    """Let the folder `name` fail to open, which chmod cannot do to a test that runs as root."""
    real_open = os.open

    def refuse(path: bytes, flags: int, *rest: int, **options: int) -> int:
        if path == name:
            raise error
        return real_open(path, flags, *rest, **options)

    monkeypatch.setattr(handles.os, "open", refuse)


@pytest.mark.promise("S2-U12")
def test_walk_lists_names_sizes_and_times_parents_first(root: Path, source: LocalSource) -> None:
    put(root, "b/2.jpg", "b/1.jpg", "a/c/3.jpg", "top.jpg", "a.jpg")
    os.utime(root / "b/1.jpg", ns=(0, 1_600_000_000_123_456_789))
    walked = list(source.walk())
    assert [directory.path for directory in walked] == ["", "a", "a/c", "b"]
    assert paths_in(walked) == ["a.jpg", "top.jpg", "a/c/3.jpg", "b/1.jpg", "b/2.jpg"]
    assert walked[3].files[0] == ("1.jpg", 7, 1_600_000_000_123_456_789)
    assert walked[0].folders == ["a", "b"]
    assert all(directory.is_complete and not directory.problems for directory in walked)


@pytest.mark.promise("S4-033", "S2-U12")
def test_hidden_and_system_names_are_left_out_and_counted(root: Path, source: LocalSource) -> None:
    put(root, ".hidden.jpg", "._a.jpg", "Thumbs.db", "desktop.ini", "a.jpg", ".photolala.md5")
    for folder in ("@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found", "__MACOSX"):
        put(root, f"{folder}/x.jpg")
    put(root, "node_modules/x.jpg", ".Trash-1000/x.jpg", ".git/x.jpg", "node_modules_of_mine/y.jpg")
    walked = list(source.walk())
    assert paths_in(walked) == ["a.jpg", "node_modules_of_mine/y.jpg"]
    assert walked[0].hidden_count == 5 + 9


def test_the_filter_sees_each_visible_name_once(root: Path) -> None:
    put(root, "a.jpg", "a.txt", "d/b.jpg", ".c.jpg")
    asked: list[str] = []

    def wanted(name: str) -> bool:
        asked.append(name)
        return name.endswith(".jpg")

    with LocalSource(root, wanted=wanted) as source:
        assert paths_in(source.walk()) == ["a.jpg", "d/b.jpg"]
    assert sorted(asked) == ["a.jpg", "a.txt", "b.jpg"]


@pytest.mark.promise("S2-U12")
def test_links_are_counted_and_never_followed(root: Path, source: LocalSource, tmp_path: Path) -> None:
    put(tmp_path / "outside", "secret.jpg")
    put(root, "a/1.jpg")
    (root / "to-file.jpg").symlink_to(tmp_path / "outside/secret.jpg")
    (root / "to-folder").symlink_to(tmp_path / "outside")
    (root / "a/loop").symlink_to("..")
    (root / "broken.jpg").symlink_to("nowhere")
    walked = list(source.walk())
    assert paths_in(walked) == ["a/1.jpg"]
    assert [directory.link_count for directory in walked] == [3, 1]
    for path in ("to-file.jpg", "to-folder/secret.jpg", "a/loop/a/1.jpg"):
        with pytest.raises(OSError, match=r"ot a (regular file|directory)"):
            source.open(path)
    listed = source.list_directory("to-folder")
    assert not listed.files
    assert not listed.is_complete


def test_special_files_are_left_out_with_a_reason_and_cannot_block(root: Path, source: LocalSource) -> None:
    os.mkfifo(root / "fifo.jpg")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket.jpg"))
        (directory,) = source.walk()
        assert not directory.files
        assert sorted((p.path, p.reason, p.kind) for p in directory.problems) == [
            ("fifo.jpg", "This is a FIFO, so it is not read.", "special"),
            ("socket.jpg", "This is a socket, so it is not read.", "special"),
        ]
        assert directory.is_complete
        for name in ("fifo.jpg", "socket.jpg"):
            with pytest.raises(NotARegularFile, match="not read"):
                source.open(name)


def test_an_unreadable_folder_is_reported_and_the_walk_goes_on(
    root: Path, source: LocalSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(root, "a/1.jpg", "locked/2.jpg", "z/3.jpg")
    unreadable(monkeypatch, b"locked", PermissionError(13, "Permission denied"))
    walked = list(source.walk())
    assert paths_in(walked) == ["a/1.jpg", "z/3.jpg"]
    (locked,) = [directory for directory in walked if not directory.is_complete]
    assert locked.path == "locked"
    assert locked.problems == [("locked", "The folder cannot be read: Permission denied.", "unreadable")]


def test_a_folder_that_vanishes_during_the_walk_is_not_taken_for_empty(root: Path, source: LocalSource) -> None:
    put(root, "a/1.jpg", "b/2.jpg")
    walk = source.walk()
    next(walk)
    (root / "a/1.jpg").unlink()
    (root / "a").rmdir()
    vanished = next(walk)
    assert (vanished.path, vanished.is_complete, vanished.problems[0].kind) == ("a", False, "changed")
    assert paths_in(walk) == ["b/2.jpg"]


def test_running_out_of_descriptors_stops_the_walk_instead_of_hiding_folders(
    root: Path, source: LocalSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(root, "a/1.jpg")
    unreadable(monkeypatch, b"a", OSError(24, "Too many open files"))
    with pytest.raises(OSError, match="Too many open files"):
        list(source.walk())


def test_a_mount_that_contains_itself_ends(root: Path, source: LocalSource, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, "a/b/1.jpg")
    top = root.stat()
    real_fstat = os.fstat
    inner = (root / "a/b").stat().st_ino

    def as_mounted(descriptor: int) -> os.stat_result:
        facts = real_fstat(descriptor)
        return top if facts.st_ino == inner else facts

    monkeypatch.setattr("catalog.sources.local.os.fstat", as_mounted)
    walked = list(source.walk())
    assert [directory.path for directory in walked] == ["", "a", "a/b"]
    assert walked[2].problems[0].kind == "loop"
    assert not walked[2].files


def test_a_tree_deeper_than_any_path_may_be_long(root: Path) -> None:
    depth, name = 3000, b"d" * 20
    here = os.open(root, os.O_RDONLY)
    for level in range(depth):
        os.mkdir(name, dir_fd=here)
        deeper = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        if level % 500 == 0:
            os.mkdir(b"side", dir_fd=here)  # the walk has to come back to this level
        os.close(here)
        here = deeper
    bottom = os.open(b"deep.jpg", os.O_CREAT | os.O_WRONLY, dir_fd=here)
    os.close(bottom)
    os.close(here)
    try:
        before = most = len(os.listdir("/proc/self/fd"))  # other tests may have left some open
        with LocalSource(root) as source:
            found = []
            for directory in source.walk():
                found += paths_in([directory])
                most = max(most, len(os.listdir("/proc/self/fd")))
            assert len(found) == 1
            assert found[0].count("/") == depth
            assert found[0].endswith("/deep.jpg")
            assert most - before < 80
            os.close(source.open(found[0]))
            assert source.list_directory(found[0].rpartition("/")[0]).files[0][0] == "deep.jpg"
    finally:
        remove_deep(root, name)


def remove_deep(root: Path, name: bytes) -> None:
    """Flatten the deep tree, which pytest's own cleaning cannot."""
    while (root / name.decode()).exists():
        top = root / name.decode()
        inner = top / name.decode()
        if inner.exists():
            inner.rename(root / "next")
        for rest in top.iterdir():
            rest.rmdir() if rest.is_dir() else rest.unlink()
        top.rmdir()
        if (root / "next").exists():
            (root / "next").rename(top)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"caf\xe9.jpg", r"caf\xe9.jpg"),
        (b"a\\b.jpg", r"a\\b.jpg"),
        (b"two\nlines.jpg", "two\nlines.jpg"),
        (b'<>:"|?*.jpg', '<>:"|?*.jpg'),
        ("\N{GRINNING FACE}".encode() * 60, "\N{GRINNING FACE}" * 60),
        (b"-rf", "-rf"),
        (b"%41.jpg", "%41.jpg"),
    ],
)
def test_odd_names_are_listed_and_opened_under_their_text_form(
    root: Path, source: LocalSource, raw: bytes, text: str
) -> None:
    folder = os.fsencode(root) + b"/in " + raw
    os.mkdir(folder)
    with open(folder + b"/" + raw, "wb") as file:
        file.write(raw)
    assert paths_in(source.walk()) == [f"in {text}/{text}"]
    assert read(source, f"in {text}/{text}") == raw
    assert source.list_directory(f"in {text}").files[0][:2] == (text, len(raw))


def test_names_that_differ_in_case_or_unicode_form_stay_apart(root: Path, source: LocalSource) -> None:
    forms = [unicodedata.normalize(form, "Käse.jpg") for form in ("NFC", "NFD")]
    put(root, *forms, "IMG.JPG", "img.jpg")
    assert paths_in(source.walk()) == sorted([*forms, "IMG.JPG", "img.jpg"])
    assert read(source, forms[0]) == forms[0].encode()
    assert read(source, forms[1]) == forms[1].encode()


@pytest.mark.parametrize("path", ["..", "a/../..", "/etc/passwd", "a//b", "./a", "a/.", "a/", r"a\x00b", "a\\b"])
def test_paths_out_of_the_root_are_refused(root: Path, source: LocalSource, path: str) -> None:
    put(root, "a/b")
    for call in (source.open, source.list_directory):
        with pytest.raises(ValueError, match="path"):
            call(path)


def test_open_checks_what_was_expected(root: Path, source: LocalSource) -> None:
    put(root, "a/1.jpg")
    (_, listed) = source.walk()
    _, size_bytes, mtime_ns = listed.files[0]
    assert read(source, "a/1.jpg", expected=(size_bytes, mtime_ns)) == b"a/1.jpg"
    with pytest.raises(FileChanged, match="changed since"):
        source.open("a/1.jpg", expected=(size_bytes + 1, mtime_ns))
    with pytest.raises(FileChanged):
        source.open("a/1.jpg", expected=(size_bytes, mtime_ns + 1))
    with pytest.raises(FileNotFoundError, match=r"a/none\.jpg"):
        source.open("a/none.jpg")
    for folder in ("", "a"):
        with pytest.raises(NotARegularFile, match="folder"):
            source.open(folder)


def test_open_leaves_no_descriptor_behind_when_it_refuses(root: Path, source: LocalSource) -> None:
    put(root, "a/1.jpg")
    os.close(source.open("a/1.jpg"))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        with pytest.raises(FileChanged):
            source.open("a/1.jpg", expected=(0, 0))
        with pytest.raises(NotARegularFile):
            source.open("a")
    assert len(os.listdir("/proc/self/fd")) <= before


def test_a_kept_folder_that_was_replaced_is_found_again(root: Path, source: LocalSource) -> None:
    put(root, "a/1.jpg")
    assert read(source, "a/1.jpg") == b"a/1.jpg"
    (root / "a").rename(root / "old")
    put(root, "a/2.jpg")
    assert read(source, "a/2.jpg") == b"a/2.jpg"
    assert paths_in([source.list_directory("a")]) == ["a/2.jpg"]


def test_a_folder_replaced_by_a_link_is_not_entered(root: Path, source: LocalSource, tmp_path: Path) -> None:
    put(root, "a/1.jpg")
    put(tmp_path / "outside", "secret.jpg")
    walk = source.walk()
    next(walk)
    (root / "a").rename(root / "moved")
    (root / "a").symlink_to(tmp_path / "outside")
    swapped = next(walk)
    assert (swapped.path, swapped.files, swapped.is_complete) == ("a", [], False)
    with pytest.raises(NotADirectoryError):
        source.open("a/secret.jpg")


def test_files_may_be_opened_between_the_steps_of_a_walk(root: Path, source: LocalSource) -> None:
    put(root, *(f"{year}/{month}/{n}.jpg" for year in range(8) for month in range(12) for n in range(2)))
    seen = 0
    for directory in source.walk():
        for name, size_bytes, mtime_ns in directory.files:
            path = directory.path_of(name)
            assert read(source, path, expected=(size_bytes, mtime_ns)) == path.encode()
            seen += 1
    assert seen == 8 * 12 * 2


def test_a_root_that_is_missing_or_no_folder_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "locked").mkdir()
    unreadable(monkeypatch, os.fsencode(tmp_path / "locked"), PermissionError(13, "Permission denied"))
    for name, sentence in (("none", "is not there"), ("file", "not a folder"), ("locked", "may not read")):
        source = LocalSource(tmp_path / name)
        with pytest.raises(SourceUnavailable, match=sentence):
            source.check()
        with pytest.raises(SourceUnavailable, match=sentence):
            list(source.walk())
        assert not source.root_is_writable()


def test_a_good_root_passes_and_is_writable(source: LocalSource) -> None:
    source.check()
    assert source.root_is_writable()


def test_a_root_on_a_read_only_mount_is_not_writable(source: LocalSource, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def refuse(path: str, mode: int, **_: int) -> bool:
        asked.append(mode)
        return False

    monkeypatch.setattr("catalog.sources.local.os.access", refuse)
    assert not source.root_is_writable()
    assert asked == [os.W_OK | os.X_OK]


@pytest.mark.promise("S4-077")
def test_the_uri_is_canonical_and_names_the_cache_folder(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    plain = LocalSource(root)
    assert plain.uri == f"file://{os.path.realpath(root)}"
    for other in (f"{root}/", tmp_path / "link", f"{root}/../library", f"{tmp_path}//library"):
        assert LocalSource(other).uri == plain.uri
        assert LocalSource(other).root_md5 == plain.root_md5


@pytest.mark.promise("S4-U02")
def test_the_name_of_the_cache_folder_is_fixed_by_the_format() -> None:
    assert LocalSource("/nonexistent-photos/2024").uri == "file:///nonexistent-photos/2024"
    assert LocalSource("/nonexistent-photos/2024").root_md5 == "d7e714c6845aefc01ad457bf9c543471"


def test_close_gives_everything_back_and_the_source_works_on(root: Path) -> None:
    put(root, "a/b/1.jpg")
    before = len(os.listdir("/proc/self/fd"))
    source = LocalSource(root)
    list(source.walk())
    source.close()
    assert len(os.listdir("/proc/self/fd")) == before
    descriptor = source.open("a/b/1.jpg")
    assert stat.S_ISREG(os.fstat(descriptor).st_mode)
    os.close(descriptor)
    source.close()


def test_the_walk_opens_nothing_but_folders(root: Path, source: LocalSource, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, "a/1.jpg", "2.jpg")
    opened: list[int] = []
    real_open = os.open

    def watch(path: bytes, flags: int, *rest: int, **options: int) -> int:
        opened.append(flags)
        return real_open(path, flags, *rest, **options)

    monkeypatch.setattr(handles.os, "open", watch)
    assert len(paths_in(source.walk())) == 2
    assert len(opened) == 2
    assert all(flags & os.O_DIRECTORY and flags & os.O_NOFOLLOW for flags in opened)
