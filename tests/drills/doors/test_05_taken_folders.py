"""What one person has may not be, hold or be in what another has, or the server: refused at every door, in one sentence."""

import html
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core import checks
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from accounts.models import User
from catalog.examinations.taken_folders import examine_taken_folders
from catalog.history import adopt
from catalog.importing.requests import start_folder_import
from catalog.libraries import adding
from catalog.libraries.adding import add_library
from catalog.models import Import, Library
from catalog.roots import taken_folders
from catalog.roots.folders import LibraryRefused, checked_folder, folder_choices
from catalog.roots.taken_folders import Taken, TakenFolders
from catalog.sources.s3_keys import parse_uri
from exports.destinations.folders import add_destination, check_folder, destination_for_command
from exports.ledger.placement import DEFAULT_TEMPLATE
from exports.models import ExportDestination, own_folder
from exports.refusals import ExportRefused
from photolala.lib.mounts import Mounts, is_inside, overlap
from tests.factories import make_library, make_user

pytestmark = pytest.mark.django_db
API = "/api/v1/"
HELD = ("library", "destination", "import")
RELATIONS = {"the same": "{held}", "inside": "{held}/below", "around": "{held}/.."}


@pytest.fixture
def top(tmp_path: Path, settings: Any) -> Path:
    """Everything in here may become a library of anybody."""
    folder = tmp_path / "photos"
    folder.mkdir()
    settings.PHOTO_ROOTS = [str(folder)]
    return folder


@pytest.fixture
def alice(db: None) -> User:
    return make_user("alice")


@pytest.fixture
def bob(db: None) -> User:
    return make_user("bob")


def hold(owner: User, kind: str, folder: Path) -> None:
    """Let `owner` have `folder` (made) as what `kind` says."""
    (folder / "below").mkdir(parents=True)
    if kind == "library":
        add_library(owner, str(folder), name="Attic")
    elif kind == "destination":
        add_destination(owner, "Attic", str(folder), DEFAULT_TEMPLATE)
    else:
        target = make_library(owner, folder.parent.parent / "target of the import", name="Target")
        start_folder_import(target, owner, str(folder), "month", enqueue=False)


def own_library(bob: User, folder: str) -> Library:
    """Return a library of bob's, above the folder that he is going to ask for; made if he has none."""
    known = Library.objects.filter(owner=bob).first()
    return known or make_library(bob, Path(folder).parents[2] / "bobs own", name="Own")


def library_by_api(bob: User, folder: str) -> str:
    answer = api(bob).post(f"{API}libraries/", {"folder": folder}, format="json")
    assert answer.status_code == 422, answer.content
    return str(answer.json()["detail"])


def library_by_page(bob: User, folder: str) -> str:
    form = {"folder": folder, "time_zone": "UTC", "ratings": "database"}
    answer = page(bob).post("/libraries/add/", form)
    assert answer.status_code == 422
    return said_on(answer)


def library_by_command(bob: User, folder: str) -> str:
    with pytest.raises(CommandError) as refused:
        call_command("scan", folder, user=bob.get_username())
    return str(refused.value)


def relocated(bob: User, folder: str) -> str:
    own = own_library(bob, folder)
    answer = api(bob).patch(f"{API}libraries/{own.pk}/", {"root": folder}, format="json")
    assert answer.status_code == 422
    return str(answer.json()["detail"])


def destination_by_api(bob: User, folder: str) -> str:
    answer = api(bob).post(f"{API}export-destinations/", {"folder": folder}, format="json")
    assert answer.status_code == 422, answer.content
    return str(answer.json()["detail"])


def destination_by_page(bob: User, folder: str) -> str:
    own_library(bob, folder)  # the page of who has none has no such form
    answer = page(bob).post(
        reverse("exports:destination-add"), {"name": "x", "folder": folder, "template": DEFAULT_TEMPLATE}
    )
    assert answer.status_code == 422
    return said_on(answer)


def import_by_api(bob: User, folder: str) -> str:
    own = own_library(bob, folder)
    answer = api(bob).post(f"{API}imports/", {"library": str(own.pk), "folder": folder}, format="json")
    assert answer.status_code == 422, answer.content
    return str(answer.json()["detail"])


def chooser(bob: User, folder: str) -> str:
    answer = page(bob).get("/libraries/add/", {"folder": folder})
    assert answer.status_code == 422
    return said_on(answer)


DOORS: tuple[Callable[[User, str], str], ...] = (
    library_by_api, library_by_page, library_by_command, relocated, destination_by_api, destination_by_page, import_by_api,
)  # fmt: skip


def api(user: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def page(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def said_on(answer: Any) -> str:
    """Return the sentence of a page that refuses."""
    found = [html.unescape(text) for text in re.findall(r">([^<>]*not free[^<>]*)<", answer.content.decode())]
    assert found, (answer.status_code, answer.content[:500])
    return found[0]


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("kind", HELD)
@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_what_another_has_is_refused_at_every_door(
    top: Path, alice: User, bob: User, door: Callable[[User, str], str], kind: str, relation: str
) -> None:
    held = top / "deep" / "hers"
    hold(alice, kind, held)
    before = (Library.objects.filter(owner=bob).count(), ExportDestination.objects.count(), Import.objects.count())
    sentence = door(bob, os.path.normpath(RELATIONS[relation].format(held=held)))
    is_known = door is library_by_command and (kind, relation) == ("library", "the same")
    assert is_known or ("not free" in sentence and "not among those" in sentence), sentence
    if door is not library_by_command:  # who has the shell is told what is in the way
        assert "Attic" not in sentence and "alice" not in sentence
    Library.objects.filter(name="Own").delete()
    after = (Library.objects.filter(owner=bob).count(), ExportDestination.objects.count(), Import.objects.count())
    assert after == before


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_a_folder_that_is_not_allowed_is_refused_in_the_same_words(
    top: Path, alice: User, bob: User, door: Callable[[User, str], str]
) -> None:
    make_library(bob, top / "bobs own", name="Own")
    hold(alice, "destination", top / "deep" / "hers")
    hers, outside = str(top / "deep" / "hers"), str(top.parent / "somewhere else" / "here" / "x")
    said = door(bob, hers), door(bob, outside)
    assert said[0].partition(" In the way")[0] == said[1]


def test_what_is_there_and_what_is_not_is_the_same_inside_of_what_another_has(
    top: Path, alice: User, bob: User
) -> None:
    hold(alice, "library", top / "hers")
    (top / "hers" / "file").write_text("")
    (top / "hers" / "out").symlink_to(top)
    said = set()
    for name in ("below", "nowhere", "file", "out", "out/nowhere"):
        with pytest.raises(LibraryRefused) as refused:
            checked_folder(bob, str(top / "hers" / name))
        said.add(str(refused.value))
        with pytest.raises(ExportRefused) as not_exported:
            check_folder(bob, str(top / "hers" / name))
        said.add(str(not_exported.value).partition(" Give a plain")[0])
    assert len(said) == 2


def test_the_chooser_shows_nothing_of_others_and_of_the_server(
    top: Path, alice: User, bob: User, settings: Any
) -> None:
    for kind in HELD:
        hold(alice, kind, top / kind / "it")
    settings.UPLOADS_DIR = top / "uploads"
    for name in ("uploads", "free"):
        (top / name).mkdir()
    assert [choice.name for choice in folder_choices(bob, str(top)).folders] == [
        "destination",
        "free",
        "import",
        "library",
        "target of the import",
    ][:4]
    for kind in HELD:
        assert folder_choices(bob, str(top / kind)).folders == []
        assert "not free" in chooser(bob, str(top / kind / "it"))
    assert "not free" in chooser(bob, str(top / "uploads"))


@pytest.mark.parametrize(
    "setting", ["DATA_DIR", "EXPORTS_DIR", "UPLOADS_DIR", "CACHE_LOCATION", "BASE_DIR", "STATIC_ROOT"]
)
@pytest.mark.parametrize("relation", RELATIONS)
def test_the_servers_own_folders_belong_to_nobody(
    top: Path, bob: User, settings: Any, setting: str, relation: str
) -> None:
    own = top / "deep" / "own"
    (own / "below").mkdir(parents=True)
    (top / "link").symlink_to(own)
    setattr(settings, setting, str(top / "link"))  # what it really is counts
    for door in (library_by_api, destination_by_api, import_by_api):
        said = door(bob, os.path.normpath(RELATIONS[relation].format(held=own)))
        assert "not free" in said and str(own) not in said
    with pytest.raises(ExportRefused):
        destination_for_command(bob, own / "below")


def test_the_copies_of_catalogs_belong_to_nobody(top: Path, bob: User, settings: Any) -> None:
    settings.CATALOG_COPIES = str(top / "backup")
    (top / "backup" / "catalogs" / "x").mkdir(parents=True)
    (top / "backup" / "photos").mkdir()
    with pytest.raises(LibraryRefused, match="not free"):
        add_library(bob, str(top / "backup" / "catalogs" / "x"))
    with pytest.raises(LibraryRefused, match="not free"):
        add_library(bob, str(top / "backup"))
    assert add_library(bob, str(top / "backup" / "photos"))  # beside them is no harm


def test_of_ones_own_the_sentence_says_what_is_in_the_way(top: Path, alice: User) -> None:
    hold(alice, "destination", top / "exports")
    with pytest.raises(LibraryRefused, match="your export destination “Attic”"):
        add_library(alice, str(top / "exports" / "below"))
    hold(alice, "library", top / "photos")
    with pytest.raises(ExportRefused, match="your library “Attic”"):
        add_destination(alice, "", str(top / "photos" / "below"), DEFAULT_TEMPLATE)
    with pytest.raises(ExportRefused, match="your destination “Attic”"):
        add_destination(alice, "", str(top / "exports" / "below"), DEFAULT_TEMPLATE)


def test_a_folder_is_free_when_its_import_ended(top: Path, alice: User, bob: User) -> None:
    hold(alice, "import", top / "deep" / "card")
    with pytest.raises(LibraryRefused, match="not free"):
        add_library(bob, str(top / "deep" / "card"))
    Import.objects.update(error="It was stopped.")
    assert add_library(bob, str(top / "deep" / "card"))


def test_a_folder_one_imports_from_may_become_ones_own_library(top: Path, alice: User) -> None:
    hold(alice, "import", top / "deep" / "card")
    assert add_library(alice, str(top / "deep" / "card"))


def test_what_was_taken_a_moment_before_is_seen_under_the_lock(
    top: Path, alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = top / "one"
    folder.mkdir()

    def meanwhile(location: Any) -> None:
        ExportDestination.objects.create(owner=alice, name="Attic", folder=str(folder))

    monkeypatch.setattr(adopt, "find_catalog", meanwhile)
    with pytest.raises(LibraryRefused, match="not free"):
        add_library(bob, str(folder))
    assert not Library.objects.exists()


def test_who_had_a_folder_first_goes_on_exporting(top: Path, alice: User, bob: User) -> None:
    hold(alice, "destination", top / "exports")
    destination = ExportDestination.objects.get()
    make_library(bob, top / "exports", name="Taken later")  # by an earlier version
    assert check_folder(alice, destination.folder, but=destination) == top / "exports"
    ExportDestination.objects.update(created_at="2100-01-01T00:00:00Z")
    destination.refresh_from_db()
    with pytest.raises(ExportRefused, match="not free"):
        check_folder(alice, destination.folder, but=destination)


def test_doctor_and_a_check_tell_of_overlaps_that_are_there(top: Path, alice: User, bob: User, settings: Any) -> None:
    hold(alice, "destination", top / "exports")
    kept_here = own_folder(alice.pk) / "folders" / "album"
    kept_here.mkdir(parents=True)
    add_destination(alice, "", "album", DEFAULT_TEMPLATE)
    make_library(bob, top / "bobs", name="Fine")
    assert list(examine_taken_folders()) == []
    make_library(bob, top / "exports" / "below", name="Nested")
    settings.UPLOADS_DIR = top / "bobs" / "uploads"
    found = list(examine_taken_folders())
    assert sorted(one.code for one in found) == ["folders.overlap", "folders.own"]
    assert all(str(top) in one.sentence for one in found)
    said = checks.run_checks(tags=["database"], databases=["default"])
    assert [one.id for one in said if str(one.id).startswith("photolala")] == ["photolala.W010"] * 2


def test_a_root_in_a_folder_of_the_server_is_warned_of(top: Path, settings: Any) -> None:
    assert not [one for one in checks.run_checks(tags=["photolala_settings"]) if one.id == "photolala.W009"]
    settings.PHOTO_ROOTS = [str(settings.DATA_DIR)]
    assert [one for one in checks.run_checks(tags=["photolala_settings"]) if one.id == "photolala.W009"]


MOUNTS = rb"""22 1 8:1 / / rw - ext4 /dev/sda1 rw
30 22 8:2 / /srv rw - ext4 /dev/sdb1 rw
31 22 8:2 /photos/alice /mnt/bound\040here rw - ext4 /dev/sdb1 rw
32 22 8:3 / /media/card rw - vfat /dev/sdc1 rw
33 22 8:3 / /home/bob/card rw - vfat /dev/sdc1 rw
"""


@pytest.mark.parametrize(
    ("one", "other", "is_overlap"),
    [
        ("/srv/photos/alice", "/mnt/bound here", True),
        ("/srv/photos/alice/2024", "/mnt/bound here", True),
        ("/srv/photos", "/mnt/bound here", True),
        ("/srv/photos", "/mnt/bound here/2024", True),
        ("/srv/photos", "/mnt", True),  # what is mounted below it belongs to it
        ("/srv/photos/bob", "/mnt/bound here", False),
        ("/srv/photos/alice2", "/mnt/bound here", False),
        ("/media/card/DCIM", "/home/bob", True),
        ("/media", "/home", True),
        ("/media/other", "/home/bob/photos", False),
        ("/srv/a", "/srv/ab", False),
    ],
)
def test_bind_mounts_are_the_folders_that_they_show(one: str, other: str, is_overlap: bool) -> None:
    mounts = Mounts(MOUNTS)
    assert overlap(Path(one), Path(other), mounts) is is_overlap
    assert overlap(Path(other), Path(one), mounts) is is_overlap


def test_to_look_at_what_is_above_a_mount_is_not_to_be_inside_of_it() -> None:
    assert not is_inside(Path("/mnt"), Path("/srv/photos"), Mounts(MOUNTS))
    assert is_inside(Path("/mnt/bound here/x"), Path("/srv/photos"), Mounts(MOUNTS))


def test_another_case_of_a_name_counts_where_the_disk_says_that_it_is_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, other = Path("/srv/Photos/Zo\u00eb/2024"), Path("/srv/photos/ZOE\u0308")
    assert not overlap(one, other, Mounts(b""))
    looked = []
    monkeypatch.setattr(os.path, "samefile", lambda a, b: looked.append((str(a), str(b))) or True)
    assert overlap(one, other, Mounts(b""))
    assert looked == [("/srv/Photos/Zo\u00eb", str(other))]


def test_prefixes_in_buckets() -> None:
    def taken(uri: str, owner: Any) -> Taken:
        return Taken(parse_uri(uri), "library", uri, owner)

    all_of_them = TakenFolders(
        [taken("s3://one/a", 1), taken("s3://one/b", 2), Taken(parse_uri("s3://one/c"), "server", "")]
    )
    words = [[one.words for one in all_of_them.overlapping(parse_uri(uri))] for uri in ("s3://one/a/x", "s3://one/ab")]
    assert words == [["s3://one/a"], []]
    assert len(list(all_of_them.overlapping(parse_uri("s3://one")))) == 3
    assert list(all_of_them.conflicts()) == []
    assert len(list(TakenFolders([taken("s3://one/a", 1), taken("s3://one/a/b", 2)]).conflicts())) == 1


def test_all_kinds_of_taken_folders_are_known() -> None:
    names = {provider.__name__ for provider in taken_folders._providers}
    assert names == {"own_folders", "roots_of_libraries", "folders_being_imported", "folders_exported_to"}
    assert adding.TakenFolders is TakenFolders
