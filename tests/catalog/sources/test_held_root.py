"""A root that is held open: what is written stays on its disk, and a path that leads elsewhere is noticed."""

import os

import pytest

from catalog.sources.base import SourceUnavailable
from catalog.sources.held_root import HeldRoot
from catalog.sources.local import LocalSource
from catalog.sources.placing import open_folder


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "library"
    (folder / "2024").mkdir(parents=True)
    (folder / ".photolala.md5").touch()
    return folder


def unplug(folder):
    """Let another, empty folder lie where `folder` lay, as a mount point does below its disk; return where it is now."""
    away = folder.with_name(f"{folder.name} (unplugged)")
    folder.rename(away)
    folder.mkdir()
    return away


def test_a_root_that_stays_is_verified(root):
    with HeldRoot(root, has_pointer=True) as held:
        folder = open_folder(held.descriptor, "2024/05", create=True)
        held.verify({"2024/05": folder})
        os.close(folder)
    assert (root / "2024" / "05").is_dir()


def test_a_path_that_leads_elsewhere_is_noticed_and_gets_nothing(root):
    with HeldRoot(root) as held:
        away = unplug(root)
        os.close(open_folder(held.descriptor, "2025/01", create=True))
        with pytest.raises(SourceUnavailable, match="is another one all at once"):
            held.verify()
    assert list(root.iterdir()) == []
    assert (away / "2025" / "01").is_dir()


def test_a_root_that_is_gone_is_noticed(root):
    with HeldRoot(root) as held:
        root.rename(root.with_name("elsewhere"))
        with pytest.raises(SourceUnavailable, match="is not there"):
            held.verify()
    with pytest.raises(SourceUnavailable, match="is not there"):
        HeldRoot(root)


def test_a_link_that_is_turned_to_another_folder_is_noticed(root, tmp_path):
    link, other = tmp_path / "link", tmp_path / "other"
    other.mkdir()
    link.symlink_to(root)
    with HeldRoot(link) as held:
        held.verify()
        link.unlink()
        link.symlink_to(other)
        with pytest.raises(SourceUnavailable, match="is another one all at once"):
            held.verify()


def test_a_lost_pointer_is_noticed(root):
    with HeldRoot(root, has_pointer=True) as held:
        (root / ".photolala.md5").unlink()
        with pytest.raises(SourceUnavailable, match="is gone all at once"):
            held.verify()
    with pytest.raises(SourceUnavailable, match="is gone all at once"):
        HeldRoot(root, has_pointer=True)


def test_a_folder_below_that_became_another_one_is_noticed(root):
    with HeldRoot(root) as held:
        folder = open_folder(held.descriptor, "2024")
        unplug(root / "2024")
        with pytest.raises(SourceUnavailable, match="2024 is another one all at once"):
            held.verify({"2024": folder})
        (root / "2024").rmdir()
        with pytest.raises(SourceUnavailable, match="2024 is another one all at once"):
            held.verify({"2024": folder})
        os.close(folder)


def test_a_source_with_a_held_root_never_follows_the_path_to_another_folder(root):
    (root / "2024" / "a.jpg").write_bytes(b"right")
    with HeldRoot(root) as held, LocalSource(root, held=held) as source:
        away = unplug(root)
        (root / "2024").mkdir()
        (root / "2024" / "a.jpg").write_bytes(b"wrong")
        descriptor = source.open("2024/a.jpg")
        assert os.read(descriptor, 10) == (away / "2024" / "a.jpg").read_bytes() == b"right"
        os.close(descriptor)
        with pytest.raises(SourceUnavailable, match="is another one all at once"):
            source.check()
