"""Every route of the pages, taken from the URL confs: nobody must sign in, charlie learns nothing and changes nothing."""

import uuid
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, reverse
from django.utils import timezone
from knox.models import AuthToken

import accounts.pages.urls
import catalog.pages.urls
import exports.pages.urls
import operations.pages.urls
import sync.pages.urls
from accounts.models import Device
from catalog.models import Favourite, FileWrite, Import, ImportItem, Library, Membership, Photo, Snapshot
from exports.models import Backup, Export, ExportDestination, Restore
from operations.models import Operation
from sync.models import Conflict
from tests.factories import make_photo

OPEN = {"accounts:login", "accounts:logout", "accounts:theme"}
ROUTES = [
    (f"{module.app_name}:{pattern.name}", set(pattern.pattern.converters))
    for module in (
        accounts.pages.urls,
        catalog.pages.urls,
        operations.pages.urls,
        exports.pages.urls,
        sync.pages.urls,
    )
    for pattern in module.urlpatterns
    if isinstance(pattern, URLPattern)
]
CLOSED = [route for route in ROUTES if route[0] not in OPEN]
WITH_ID = [route for route in ROUTES if route[1]]
TABLES = (
    Library,
    Membership,
    Photo,
    Favourite,
    Operation,
    Device,
    FileWrite,
    Import,
    ImportItem,
    Backup,
    Restore,
    Export,
    ExportDestination,
    Conflict,
)


NO_IDS = {"year": 2024, "month": 5}


@pytest.fixture
def ids(cast: Any) -> dict[str, Any]:
    """The ids of alice's things."""
    token, _ = AuthToken.objects.create(cast.alice)
    snapshot = Snapshot.objects.create(
        library=cast.library, md5="0" * 32, entry_count=1, size_bytes=1, published_at=timezone.now()
    )
    photo = make_photo(cast.library)
    wanted = {"kind": "rating", "wanted": {"rating": 5}, "try_at": timezone.now()}
    write = FileWrite.objects.create(library=cast.library, photo=photo, user=cast.alice, **wanted)
    about = {"kind": "photo", "object_id": photo.pk, "scope": f"library:{cast.library.pk}", "field": "caption"}
    return {
        "restore_id": Restore.objects.create(user=cast.alice, source_name="x").pk,
        "backup_id": Backup.objects.create(user=cast.alice, key_file="x").pk,
        "export_id": Export.objects.create(user=cast.alice, library=cast.library, format="json").pk,
        "destination_id": ExportDestination.objects.create(owner=cast.alice, name="Disk", folder="/exported").pk,
        "conflict_id": Conflict.objects.create(user=cast.alice, mine="a", theirs="b", **about).pk,
        "md5": snapshot.md5,
        **NO_IDS,
        "kind": "csv",
        "library_id": cast.library.pk,
        "photo_id": photo.pk,
        "write_id": write.pk,
        "import_id": Import.objects.create(library=cast.library, user=cast.alice, kind="folder", source="/x").pk,
        "operation_id": Operation.objects.create(owner=cast.alice, kind="scan", state="failed").pk,
        "device_id": Device.objects.create(user=cast.alice, name="phone", token=token).pk,
    }


def address(name: str, parameters: set[str], ids: dict[str, Any]) -> str:
    """Return the route's address for alice's things."""
    return reverse(name, kwargs={parameter: ids[parameter] for parameter in parameters})


def rows() -> list[list[Any]]:
    """Return all rows of all tables, to see whether anything changed."""
    return [list(model.objects.order_by("pk").values()) for model in TABLES]


def test_there_are_routes():
    assert len(WITH_ID) >= 12


@pytest.mark.parametrize(("name", "parameters"), CLOSED, ids=[name for name, _ in CLOSED])
def test_nobody_is_sent_to_sign_in(anonymous, ids, name, parameters):
    before = rows()
    for send in (anonymous.get, anonymous.post):
        response = send(address(name, parameters, ids))
        assert response.status_code == 302
        assert response["Location"].startswith("/sign-in/?next=/")
    assert rows() == before


@pytest.mark.promise("X-10")
@pytest.mark.parametrize(("name", "parameters"), WITH_ID, ids=[name for name, _ in WITH_ID])
def test_the_outsider_finds_nothing_and_changes_nothing(charlie, ids, name, parameters):
    before = rows()
    answers = {send(address(name, parameters, ids)).status_code for send in (charlie.get, charlie.post)}
    assert 404 in answers
    assert answers <= {404, 405}
    assert rows() == before


@pytest.mark.parametrize(("name", "parameters"), WITH_ID, ids=[name for name, _ in WITH_ID])
def test_what_is_not_there_answers_as_what_is_not_yours(alice, ids, name, parameters):
    nothing = dict.fromkeys(ids, uuid.uuid4()) | NO_IDS
    answers = {send(address(name, parameters, nothing)).status_code for send in (alice.get, alice.post)}
    assert 404 in answers
    assert answers <= {404, 405}


@pytest.mark.parametrize(("name", "parameters"), ROUTES, ids=[name for name, _ in ROUTES])
def test_wrong_methods_are_refused(alice, anonymous, ids, name, parameters):
    browser = anonymous if name in OPEN else alice
    assert browser.delete(address(name, parameters, ids)).status_code == 405


@pytest.mark.parametrize("name", ["library-settings", "library-save", "library-member", "library-forget"])
def test_settings_are_the_owners_alone(bob, dora, ids, name):
    before = rows()
    for browser in (bob, dora):
        for send in (browser.get, browser.post):
            assert send(reverse(f"catalog:{name}", args=[ids["library_id"]])).status_code in (404, 405)
    assert rows() == before


def test_forms_from_elsewhere_are_refused(cast, ids):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(cast.alice)
    response = browser.post(reverse("catalog:library-forget", args=[cast.library.pk]), {"name": cast.library.name})
    assert response.status_code == 403
    assert b"Please send it again" in response.content
    assert Library.objects.filter(pk=cast.library.pk).exists()


def test_an_address_the_server_does_not_know_is_explained(anonymous, settings):
    settings.ALLOWED_HOSTS = ["localhost"]
    response = anonymous.get("/sign-in/", headers={"host": "192.168.1.7:8000"})
    assert response.status_code == 400
    assert "PHOTOLALA_HOSTS" in response.content.decode()
