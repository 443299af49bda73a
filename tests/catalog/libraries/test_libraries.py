"""Libraries: which folders may become one, what the chooser shows, what forgetting leaves."""

import os
from pathlib import Path
from typing import Any

import pytest

from accounts.models import User
from catalog.libraries import members
from catalog.libraries.adding import add_library
from catalog.models import Library
from catalog.roots.folders import LibraryRefused, folder_choices
from tests.factories import make_library, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def top(tmp_path: Path, settings: Any) -> Path:
    """The one folder under which everything may become a library."""
    folder = tmp_path / "photos"
    (folder / "2024" / "may").mkdir(parents=True)
    settings.PHOTO_ROOTS = [str(folder)]
    return folder


@pytest.fixture
def alice(db: None) -> User:
    return make_user("alice")


@pytest.fixture
def charlie(db: None) -> User:
    return make_user("charlie")


def test_a_folder_below_the_roots_becomes_a_library(top: Path, alice: User) -> None:
    library = add_library(alice, str(top / "2024"), ratings="database")
    assert (library.name, library.root, library.owner, library.ratings) == (
        "2024",
        str(top / "2024"),
        alice,
        "database",
    )


def test_links_and_dots_are_resolved(top: Path, alice: User) -> None:
    (top / "link").symlink_to(top / "2024")
    assert add_library(alice, f"{top}/link/../2024/").root == str(top / "2024")


@pytest.mark.parametrize(
    "folder", ["", "relative", "/", "/etc", "/nowhere/at/all", "{top}/../..", "{top}/out", "{top}\0x", "{top}x"]
)
def test_what_lies_outside_is_refused_in_the_same_words(top: Path, alice: User, folder: str) -> None:
    (top / "out").symlink_to("/etc")
    with pytest.raises(LibraryRefused, match="not among those that may become libraries"):
        add_library(alice, folder.format(top=top))
    assert not Library.objects.exists()


def test_what_is_no_folder_is_refused_with_the_reason(top: Path, alice: User) -> None:
    (top / "file").write_text("")
    with pytest.raises(LibraryRefused, match="There is no folder"):
        add_library(alice, str(top / "missing"))
    with pytest.raises(LibraryRefused, match="is a file"):
        add_library(alice, str(top / "file"))


def test_an_unreadable_folder_is_refused(top: Path, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)  # root reads everything, whatever its mode
    with pytest.raises(LibraryRefused, match="cannot read"):
        add_library(alice, str(top))


def test_without_roots_the_administrator_is_named(top: Path, alice: User, settings: Any) -> None:
    settings.PHOTO_ROOTS = []
    with pytest.raises(LibraryRefused, match="PHOTOLALA_ROOTS"):
        add_library(alice, str(top))
    assert folder_choices(alice, None).folders == []


def test_a_personal_root_is_its_users_alone(tmp_path: Path, settings: Any, alice: User, charlie: User) -> None:
    settings.PHOTO_ROOTS = [str(tmp_path / "home" / "{username}")]
    (tmp_path / "home" / "alice").mkdir(parents=True)
    (tmp_path / "home" / "charlie").mkdir()
    with pytest.raises(LibraryRefused, match="not among those"):
        add_library(charlie, str(tmp_path / "home" / "alice"))
    assert add_library(alice, str(tmp_path / "home" / "alice"))
    assert [choice.name for choice in folder_choices(charlie, None).folders] == [str(tmp_path / "home" / "charlie")]


@pytest.mark.parametrize("folder", ["2024", "2024/may", ""])
def test_overlapping_with_ones_own_says_with_which(top: Path, alice: User, folder: str) -> None:
    make_library(alice, top / "2024", name="Years")
    with pytest.raises(LibraryRefused, match="Years"):
        add_library(alice, str(top / folder))


@pytest.mark.parametrize("folder", ["2024", "2024/may", ""])
def test_overlapping_with_anothers_tells_nothing_of_it(top: Path, alice: User, charlie: User, folder: str) -> None:
    make_library(alice, top / "2024", name="Years")
    with pytest.raises(LibraryRefused) as refused:
        add_library(charlie, str(top / folder))
    assert "Years" not in str(refused.value)
    assert "alice" not in str(refused.value)
    assert "already" not in str(refused.value)


def test_a_name_beside_another_is_no_overlap(top: Path, alice: User) -> None:
    (top / "2024 more").mkdir()
    make_library(alice, top / "2024")
    assert add_library(alice, str(top / "2024 more"))


@pytest.mark.parametrize(("raw", "text"), [(b"odd \xff name", "odd \\xff name"), (b"back\\slash", "back\\\\slash")])
def test_odd_names_by_their_text_and_by_their_bytes(top: Path, alice: User, raw: bytes, text: str) -> None:
    os.mkdir(os.fsencode(top) + b"/" + raw)
    by_text = add_library(alice, f"{top}/{text}")
    assert by_text.root == f"{top}/{text}"
    Library.objects.all().delete()
    assert add_library(alice, os.fsdecode(os.fsencode(top) + b"/" + raw)).root == by_text.root


def test_the_chooser(top: Path, alice: User, charlie: User) -> None:
    for name in (".hidden", "Zoo", "apes", "theirs", "mine"):
        (top / name).mkdir()
    (top / "file.jpg").write_text("")
    (top / "link").symlink_to("/etc")
    make_library(charlie, top / "theirs", name="Theirs")
    make_library(alice, top / "mine", name="Mine")
    roots = folder_choices(alice, None)
    assert (roots.folder, [choice.path for choice in roots.folders]) == ("", [str(top)])
    shown = folder_choices(alice, str(top))
    assert [choice.name for choice in shown.folders] == ["2024", "apes", "mine", "Zoo"]
    assert [choice.note for choice in shown.folders if choice.is_library] == ["the library “Mine”"]
    deep = folder_choices(alice, str(top / "2024" / "may"))
    assert [crumb.path for crumb in deep.crumbs] == [str(top), str(top / "2024"), str(top / "2024" / "may")]
    for refused in ("/etc", str(top / "theirs"), str(top / "nowhere"), str(top / "link")):
        with pytest.raises(LibraryRefused):
            folder_choices(alice, refused)


def test_where_a_shared_library_is_only_its_owner_sees(top: Path, alice: User, charlie: User) -> None:
    library = make_library(alice, top / "2024", name="Years")
    members.set_member(library, charlie, "viewer")
    assert members.role_of(library, charlie) == "viewer"
    assert folder_choices(charlie, str(top)).folders == []
    with pytest.raises(LibraryRefused) as refused:
        add_library(charlie, str(top / "2024"))
    assert "Years" not in str(refused.value)
    assert members.remove_member(library, charlie) is True
    assert members.remove_member(library, charlie) is False
    assert folder_choices(charlie, str(top)).folders == []


def test_roles(top: Path, alice: User, charlie: User) -> None:
    library = make_library(alice, top / "2024")
    with pytest.raises(LibraryRefused):
        members.set_member(library, alice, "viewer")
    with pytest.raises(LibraryRefused):
        members.set_member(library, charlie, "king")
    assert (members.role_of(library, alice), members.role_of(library, charlie)) == ("owner", "")
