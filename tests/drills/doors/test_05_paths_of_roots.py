"""Where a library's folder is, only its owner is told: whatever goes wrong, no answer to anybody else names it."""

import re
import shutil
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import get_resolver
from rest_framework.test import APIClient

from accounts.models import User
from catalog.entries import pending_writes
from catalog.files import filing, trash
from catalog.importing import requests
from catalog.libraries.adding import add_library
from catalog.libraries.members import set_member
from catalog.models import FileWrite, Import, ImportItem, Library, Photo
from catalog.scanning.requests import start_scan
from catalog.sources.local import LocalSource
from exports.catalogs.requests import Wishes, start_export
from exports.destinations.folders import add_destination
from exports.ledger.placement import DEFAULT_TEMPLATE
from exports.models import Export, ExportDestination
from exports.originals.requests import start_folder_export
from operations.kinds import operation_kind
from operations.models import Operation
from operations.running import AlreadyActive, OperationFailed, execute, start
from photolala.lib.hiding import hide_folder
from tests.api.test_isolation import patterns
from tests.catalog.scanning.test_scan import scan
from tests.factories import make_jpeg, make_user

pytestmark = pytest.mark.django_db
API = "/api/v1/"
SECRET = "where nobody else looks"


class World:
    """alice's library, which ed may change and vera look at; steve may look into the admin."""

    def __init__(self, tmp_path: Path) -> None:
        self.alice, self.ed, self.vera = make_user("alice"), make_user("ed"), make_user("vera")
        self.steve = make_user("steve", is_staff=True)
        self.steve.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
        self.root = tmp_path / "photos" / SECRET / "holidays"
        self.root.mkdir(parents=True)
        for number in range(4):
            (self.root / f"{number}.jpg").write_bytes(make_jpeg(seed=number))
        self.library = add_library(self.alice, str(self.root))
        set_member(self.library, self.ed, "editor")
        set_member(self.library, self.vera, "viewer")
        assert scan(self.library).state == "completed"
        self.trashed = trash.trash_photos(self.alice, [Photo.objects.order_by("filename")[0].pk]).items[0]["id"]
        self.card = tmp_path / "photos" / "card"
        self.card.mkdir()
        (self.card / "new.jpg").write_bytes(make_jpeg(seed=77))

    @property
    def photos(self) -> list[Any]:
        return [photo.pk for photo in Photo.objects.order_by("filename")]

    def try_everything(self) -> Iterator[Any]:
        """Let ed and vera begin all that they may; yield what they are told at once."""
        begun = [
            lambda: start_scan(self.library, self.ed),
            lambda: filing.start_filing(self.library, self.ed, self.photos, "day"),
            lambda: requests.start_folder_import(self.library, self.ed, str(self.card), "month") and self._importing(),
            lambda: self._writing(),
            lambda: start_export(self.vera, self.library, Wishes(format="json", include_media=True)).operation,
            lambda: start_folder_export(self.vera, self.library, self._destination(self.vera)),
        ]
        for begin in begun:
            try:
                operation = begin()
            except AlreadyActive as running:
                operation = running.operation
            if operation is not None:
                execute(operation.pk)
        ed = api(self.ed)
        yield ed.post(f"{API}photos/trash/", {"photo_ids": [str(self.photos[-1])]}, format="json")
        restored = {"item_ids": [self.trashed]}
        yield ed.post(f"{API}libraries/{self.library.pk}/trash/restore/", restored, format="json")
        page = Client()
        page.force_login(self.ed)
        yield page.post(f"/libraries/{self.library.pk}/trash/restore/", {"item": [self.trashed]}, follow=True)
        for key in self.photos:
            yield ed.get(f"{API}photos/{key}/original/")
            yield ed.get(f"{API}photos/{key}/preview/")

    def _importing(self) -> Operation:
        return Operation.objects.get(kind="import", state="pending")

    def _writing(self) -> Operation | None:
        photo = Photo.objects.exclude(state="missing").order_by("-filename").first()
        assert photo is not None
        FileWrite.objects.get_or_create(
            library=self.library, photo=photo, user=self.ed, state="pending",
            defaults={"kind": "rating", "wanted": {"rating": 4}, "try_at": "2026-01-01T00:00:00Z"},
        )  # fmt: skip
        return pending_writes.start_writing(self.library, self.ed)

    def _destination(self, user: User) -> ExportDestination:
        known = ExportDestination.objects.filter(owner=user).first()
        return known or add_destination(user, "mine", "mine", DEFAULT_TEMPLATE)

    def things(self, user: User) -> dict[str, list[Any]]:
        """The values of the routes' parameters."""
        own = Operation.objects.filter(owner=user)
        return {
            "library_id": [self.library.pk],
            "photo_id": self.photos[:2],
            "operation_id": list(own.values_list("pk", flat=True)),
            "import_id": list(Import.objects.values_list("pk", flat=True)),
            "write_id": list(FileWrite.objects.values_list("pk", flat=True)[:1]),
            "destination_id": list(ExportDestination.objects.values_list("pk", flat=True)),
            "md5": [self.library.snapshot_md5],
            "asset_id": self.photos[:1],
        }


def api(user: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def routes() -> list[str]:
    """All routes but the admin's and those of files that are not text."""
    found = [route for route, _ in patterns(get_resolver()) if not route.startswith(("admin/", "media/", "static/"))]
    return [route for route in found if "^" not in route and not route.endswith(("schema/", "docs/"))]


def addresses(world: World, user: User) -> Iterator[str]:
    things = world.things(user)
    for route in routes():
        names = re.findall(r"<(?:\w+:)?(\w+)>", route)
        if not names:
            yield f"/{route}"
        elif all(things.get(name) for name in names):
            for values in zip(*(things[name] for name in names), strict=False):
                yield "/" + re.sub(r"<[^>]*>", "{}", route).format(*values)


def text_of(answer: Any) -> str:
    body = b"".join(answer.streaming_content) if getattr(answer, "streaming", False) else answer.content
    head = "\n".join(f"{name}: {value}" for name, value in answer.items())
    return head + body.decode("utf-8", "replace")


def walk(world: World, user: User) -> dict[str, str]:
    """Ask every address as `user`; return what it answers."""
    page = Client()
    page.force_login(user)
    said = {}
    for address in addresses(world, user):
        client = api(user) if address.startswith(API) else page
        for extra in ({}, {"show": "rejected"}, {"show": "waiting"}):
            if extra and "/imports/" not in address:
                continue
            answer = client.get(address, extra)
            if answer.get("Content-Type", "").startswith(("text/", "application/json", "application/problem")):
                said[f"{address}?{extra}"] = text_of(answer)
    return said


def gone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.root.rename(world.root.parent / "away")


def link(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.root.rename(world.root.parent / "away")
    world.root.symlink_to(world.root.parent / "away")


def empty(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(world.root)
    world.root.mkdir()


def other_disk(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (world.root / ".photolala.md5").unlink()


def half_gone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("1.jpg", "2.jpg"):
        (world.root / name).unlink()


def a_file(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(world.root)
    world.root.write_text("")


def read_only(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalSource, "root_is_writable", lambda self: False)


TROUBLES: tuple[Callable[[World, pytest.MonkeyPatch], None], ...] = (
    gone, link, empty, other_disk, half_gone, a_file, read_only,
)  # fmt: skip


@pytest.fixture
def world(tmp_path: Path, settings: Any) -> World:
    settings.PHOTO_ROOTS = [str(tmp_path / "photos")]
    return World(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
def test_no_answer_to_a_member_names_the_folder(
    world: World, monkeypatch: pytest.MonkeyPatch, trouble: Callable[[World, pytest.MonkeyPatch], None]
) -> None:
    Library.objects.update(warning=f"Snapshots could not be written to {world.root}; see {world.root}/.photolala.md5.")
    trouble(world, monkeypatch)
    for answer in world.try_everything():
        assert SECRET not in text_of(answer)
    world.library.refresh_from_db()
    assert Operation.objects.filter(owner=world.ed, state="failed").exists()
    for user in (world.ed, world.vera, world.steve):
        for address, text in walk(world, user).items():
            assert SECRET not in text, (user.username, address, text[max(0, text.index(SECRET) - 300) :][:600])
    told = api(world.alice).get(f"{API}libraries/{world.library.pk}/").json()
    assert told["root"] == str(world.root)
    if trouble is not read_only:  # else the scan came to its end, and had nothing to warn of
        assert str(world.root) in told["warning"]


def test_an_owner_is_told_the_path(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    gone(world, monkeypatch)
    operation = start_scan(world.library, world.alice)
    execute(operation.pk)
    operation.refresh_from_db()
    assert str(world.root) in operation.error


def test_neither_result_nor_trace_of_an_operation_name_the_folder(world: World) -> None:
    @operation_kind("test_05", label="x", queue="files")
    def fail(run: Any) -> None:
        if run.params["how"] == "sentence":
            raise OperationFailed(f"In {world.root}.", "x", problems=[{"path": f"{world.root}/1.jpg", "reason": "x"}])
        raise PermissionError(13, "Permission denied", f"{world.root}/1.jpg")

    for how in ("sentence", "trace"):
        operation = start("test_05", world.ed, params={"library": str(world.library.pk), "how": how})
        execute(operation.pk)
        operation.refresh_from_db()
        assert operation.state == "failed"
        assert SECRET not in f"{operation.error}{operation.error_detail}{operation.result}"
        assert ("denied: '1.jpg'" in operation.error_detail) == (how == "trace")


def test_the_folder_of_an_editors_import_is_told_to_the_editor_alone(world: World) -> None:
    wanted = requests.start_folder_import(world.library, world.ed, str(world.card), "month", enqueue=False)
    Import.objects.update(error=f"The folder {world.card} is not there.")
    ImportItem.objects.create(
        import_run=wanted, filename="x.jpg", size_bytes=1, mtime_ns=1, state="rejected", code="unreadable",
        reason=f"{world.card}/x.jpg cannot be read, nor {world.root}", detail=f"[Errno 2] No such file: '{world.card}/x.jpg'",
    )  # fmt: skip
    for address, text in walk(world, world.alice).items():
        assert str(world.card) not in text, address
    owners = "".join(text for address, text in walk(world, world.alice).items() if "import" in address)
    editors = "".join(text for address, text in walk(world, world.ed).items() if "import" in address)
    assert "card" in owners and str(world.root) in owners
    assert str(world.card) in editors and SECRET not in editors


def test_an_upgrade_takes_the_folder_out_of_what_members_were_told_before(world: World) -> None:
    params = {"library": str(world.library.pk)}
    told = {
        "error": f"The folder {world.root} is not there.",
        "error_detail": f"'{world.root}/1.jpg'",
        "params": params,
    }
    result = {"problems": [{"path": f"{world.root}/1.jpg"}]}
    eds, hers = (
        Operation.objects.create(owner=user, kind="scan", state="failed", result=result, **told)
        for user in (world.ed, world.alice)
    )
    import_module("catalog.migrations.0017_roots_told_to_their_owners").hide(apps, None)
    eds.refresh_from_db()
    hers.refresh_from_db()
    assert (eds.error, eds.error_detail) == ("The library's folder is not there.", "'1.jpg'")
    assert eds.result == {"problems": [{"path": "1.jpg"}]}
    assert SECRET in hers.error and SECRET in str(hers.result)


@pytest.mark.parametrize(
    "model", ["catalog/library", "exports/exportdestination", "exports/export", "operations/operation"]
)
def test_the_admin_names_folders_to_superusers_alone(world: World, model: str) -> None:
    Library.objects.update(warning=f"It is in {world.root}.")
    destination = add_destination(world.alice, "mine", "mine", DEFAULT_TEMPLATE)
    ExportDestination.objects.filter(pk=destination.pk).update(folder=f"/{SECRET}/x")
    start_export(world.alice, world.library, Wishes(format="json"))
    Operation.objects.update(error=f"At {world.root}", error_detail=SECRET, result={"x": SECRET}, params={"x": SECRET})
    Export.objects.update(parent=f"/{SECRET}/y")
    king = make_user("king", is_staff=True, is_superuser=True)
    seen = {}
    for user in (world.steve, king):
        client = Client()
        client.force_login(user)
        listing = client.get(f"/admin/{model}/")
        assert listing.status_code == 200
        links = re.findall(rf'href="(/admin/{model}/[^"?]+/change/[^"]*)"', listing.content.decode())
        assert links
        found = client.get(f"/admin/{model}/", {"q": SECRET}).content.decode()
        texts = [listing.content.decode(), *(client.get(address).content.decode() for address in links)]
        seen[user.username] = (
            any(SECRET in text for text in texts),
            f"/{model}/" in "".join(re.findall(rf'href="(/admin/{model}/[^"?]+/change/)', found)),
        )
    assert seen["steve"] == (False, False)
    assert seen["king"][0]
    client = Client()
    client.force_login(world.steve)
    for field in ("root", "folder", "error", "parent"):
        filtered = client.get(f"/admin/{model}/", {f"{field}__contains": SECRET})
        assert filtered.status_code in (302, 400), (model, field)


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("The folder /srv/a b is not there.", "The library's folder is not there."),
        ("5 photos are gone from /srv/a b. That is", "5 photos are gone from the library's folder. That is"),
        ("/srv/a b is not a folder.", "The library's folder is not a folder."),
        ("Denied: '/srv/a b/x/1.jpg'", "Denied: 'x/1.jpg'"),
        ("file:///srv/a b", "The library's folder"),
        ("at /srv/a bc/x", "at the library's folderc/x"),
        ("The path /srv/a b leads over a link", "The library's folder leads over a link"),
    ],
)
def test_how_a_text_without_the_path_reads(text: str, hidden: str) -> None:
    assert hide_folder(text, "/srv/a b", "the library's folder") == hidden
    assert hide_folder({"x": [text, 1, None]}, "/srv/a b", "the library's folder") == {"x": [hidden, 1, None]}


def test_odd_names_are_hidden_in_every_form() -> None:
    folder = "/srv/od\\xff\\\\d"
    texts = (folder, "/srv/od\udcff\\d", repr("/srv/od\udcff\\d"), repr(b"/srv/od\xff\\d"))
    assert all("srv" not in hide_folder(f"at {text} x", folder, "there") for text in texts)
    assert hide_folder("at s3://b/p/x", "s3://b/p", "there") == "at x"
