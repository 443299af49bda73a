"""No way to write what devices see is forgotten: they are found by looking, and each is a step of a test, or has a reason.

A new route, admin action, command, kind of operation or statement in SQL that is not in these tables fails here. Whoever
adds one says which test of `test_lives_of_libraries` or `test_lives_of_albums` does what it does (the verb that it calls),
or why it writes nothing that devices see.
"""

import inspect
import re
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.core.management import get_commands
from django.test import RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver

from changes.models import Numbered, NumberedQuerySet
from changes.types import kinds, kinds_of_model
from operations.kinds import KINDS

from . import test_lives_of_albums as album_lives
from . import test_lives_of_libraries as lives

pytestmark = pytest.mark.django_db  # the folder's own table is made in the tests' database
UNSAFE = ("post", "put", "patch", "delete")
APPS = ("accounts", "operations", "changes", "catalog", "exports", "sync")

STARTS = "starts an operation, whose kind is listed below"
SIGN_IN = "signs in or out; devices see nothing of it"
EXPORTS = "writes exports and their lists only"
BACKUPS = "reads everything, and writes backups only"
IMPORTED = "gives what an export says through the verbs of edits and albums, as people do"
STATE = "changes the state of an operation, an import or a write only"
PUSH = "calls the verbs of the types and marks through them; tests/sync compares devices that push with new ones"
MEDIA = "keeps a file; devices are told of it by the note or draft that holds it"
RESTORES = "calls the verbs of the types; tests/exports/restore follows them, and of a whole server a new epoch begins"
TOLD_LATER = "keeps bytes; what they are is written by the import"

FILES = lives.test_what_scans_find_and_what_becomes_of_files
IMPORTS = lives.test_what_comes_in
PEOPLE = lives.test_what_people_say
MEMBERS = lives.test_who_sees_it
PHONE = lives.test_what_lies_on_a_phone
ALBUM = album_lives.test_what_is_said_of_an_album_and_what_becomes_of_its_items
NOTES = album_lives.test_what_is_written_in_notes_and_drafts
SHARED = album_lives.test_who_is_in_it
LEAVING = lives.test_a_person_who_leaves_takes_their_scopes_along

ROUTES = {
    "api/v1/auth/devices/ post": SIGN_IN,
    "api/v1/auth/devices/<uuid:device_id>/ delete": SIGN_IN,
    "api/v1/auth/sign-out-everywhere/ post": SIGN_IN,
    "api/v1/me/ patch": "changes the user, which is no synced type",
    "api/v1/operations/<uuid:operation_id>/cancel/ post": STATE,
    "api/v1/operations/<uuid:operation_id>/resume/ post": STATE,
    "api/v1/operations/<uuid:operation_id>/retry/ post": STATE,
    "api/v1/device-library/ post": PHONE,
    "api/v1/libraries/<uuid:library_id>/assets/ post": PHONE,
    "api/v1/libraries/<uuid:library_id>/assets/picture/ put": PHONE,
    "api/v1/libraries/<uuid:library_id>/assets/remove/ post": PHONE,
    "api/v1/libraries/ post": FILES,
    "api/v1/libraries/<uuid:library_id>/ patch": PEOPLE,
    "api/v1/libraries/<uuid:library_id>/ delete": MEMBERS,
    "api/v1/libraries/<uuid:library_id>/members/ post": MEMBERS,
    "api/v1/libraries/<uuid:library_id>/members/ delete": MEMBERS,
    "api/v1/libraries/<uuid:library_id>/scan/ post": STARTS,
    "api/v1/libraries/<uuid:library_id>/restore/ post": STARTS,
    "api/v1/libraries/<uuid:library_id>/purge/ post": STARTS,
    "api/v1/libraries/<uuid:library_id>/rebuild/ post": STARTS,
    "api/v1/libraries/<uuid:library_id>/trash/restore/ post": FILES,
    "api/v1/libraries/<uuid:library_id>/trash/empty/ post": STARTS,
    "api/v1/libraries/<uuid:library_id>/missing/ post": "compares lists; writes nothing",
    "api/v1/photos/bulk-favourite/ post": PEOPLE,
    "api/v1/photos/bulk-favorite/ post": PEOPLE,
    "api/v1/photos/dates/ post": PEOPLE,
    "api/v1/photos/keywords/ post": PEOPLE,
    "api/v1/photos/place/ post": PEOPLE,
    "api/v1/photos/download/ post": "reads",
    "api/v1/photos/export/ post": EXPORTS,
    "api/v1/photos/download/plan/ post": "reads",
    "api/v1/photos/similar/ post": STARTS,
    "api/v1/photos/trash/ post": FILES,
    "api/v1/photos/<uuid:photo_id>/ patch": PEOPLE,
    "api/v1/photos/<uuid:photo_id>/favourite/ post": PEOPLE,
    "api/v1/photos/<uuid:photo_id>/favorite/ post": PEOPLE,
    "api/v1/photos/<uuid:photo_id>/rendition/ post": STARTS,
    "api/v1/photos/<uuid:photo_id>/undo/ post": FILES,
    "api/v1/writes/<uuid:write_id>/retry/ post": STATE,
    "api/v1/writes/<uuid:write_id>/give-up/ post": STATE,
    "api/v1/imports/ post": STARTS,
    "api/v1/imports/<uuid:import_id>/retry/ post": STATE,
    "api/v1/imports/<uuid:import_id>/stop/ post": STATE,
    "api/v1/uploads/ post": TOLD_LATER,
    "api/v1/uploads/<uuid:upload_id>/ patch": TOLD_LATER,
    "api/v1/uploads/<uuid:upload_id>/ delete": TOLD_LATER,
    "api/v1/backups/ post": EXPORTS,
    "api/v1/backups/schedule/ put": EXPORTS,
    "api/v1/backups/<uuid:backup_id>/ delete": EXPORTS,
    "api/v1/backups/<uuid:backup_id>/verify/ post": EXPORTS,
    "api/v1/exports/ post": EXPORTS,
    "api/v1/exports/<uuid:export_id>/import/ post": IMPORTED,
    "api/v1/exports/<uuid:export_id>/ delete": EXPORTS,
    "api/v1/export-destinations/ post": EXPORTS,
    "api/v1/export-destinations/<uuid:destination_id>/ patch": EXPORTS,
    "api/v1/export-destinations/<uuid:destination_id>/ delete": EXPORTS,
    "api/v1/export-destinations/<uuid:destination_id>/export/ post": EXPORTS,
    "api/v1/export-destinations/<uuid:destination_id>/damage/ delete": EXPORTS,
    "api/v1/export-destinations/<uuid:destination_id>/rebuild/ post": EXPORTS,
    "api/v1/export-destinations/<uuid:destination_id>/verify/ post": EXPORTS,
    "api/v1/export-destinations/<uuid:destination_id>/move/ post": EXPORTS,
    "api/v1/export-destinations/<uuid:destination_id>/find-backups/ post": EXPORTS,
    "api/v1/album-items/ post": ALBUM,
    "api/v1/album-items/<uuid:item_id>/ delete": ALBUM,
    "api/v1/album-items/<uuid:item_id>/ patch": ALBUM,
    "api/v1/albums/ post": ALBUM,
    "api/v1/albums/<uuid:album_id>/ delete": ALBUM,
    "api/v1/albums/<uuid:album_id>/ patch": ALBUM,
    "api/v1/albums/<uuid:album_id>/hand-over/ post": SHARED,
    "api/v1/albums/<uuid:album_id>/items/ post": ALBUM,
    "api/v1/albums/<uuid:album_id>/items/move/ post": ALBUM,
    "api/v1/albums/<uuid:album_id>/items/remove/ post": ALBUM,
    "api/v1/albums/<uuid:album_id>/items/restore/ post": ALBUM,
    "api/v1/albums/<uuid:album_id>/members/ delete": SHARED,
    "api/v1/albums/<uuid:album_id>/members/ post": SHARED,
    "api/v1/albums/<uuid:album_id>/restore/ post": ALBUM,
    "api/v1/albums/<uuid:album_id>/trash/ post": ALBUM,
    "api/v1/drafts/ post": NOTES,
    "api/v1/drafts/<uuid:draft_id>/ delete": NOTES,
    "api/v1/drafts/<uuid:draft_id>/ patch": NOTES,
    "api/v1/drafts/<uuid:draft_id>/publish/ post": NOTES,
    "api/v1/drafts/<uuid:draft_id>/restore/ post": NOTES,
    "api/v1/media/ post": MEDIA,
    "api/v1/media/uploads/ post": MEDIA,
    "api/v1/media/uploads/<str:md5>/ patch": MEDIA,
    "api/v1/media/uploads/<str:md5>/ delete": MEDIA,
    "api/v1/notes/ post": NOTES,
    "api/v1/notes/<uuid:note_id>/ delete": NOTES,
    "api/v1/notes/<uuid:note_id>/ patch": NOTES,
    "api/v1/notes/<uuid:note_id>/restore/ post": NOTES,
    "api/v1/sync/push/ post": PUSH,
    "api/v1/sync/conflicts/<uuid:conflict_id>/decide/ post": PUSH,
    "albums/ post": ALBUM,
    "albums/trash/ post": NOTES,
    "albums/<uuid:album_id>/settings/ post": ALBUM,
    "albums/<uuid:album_id>/members/ post": SHARED,
    "albums/<uuid:album_id>/members/remove/ post": SHARED,
    "albums/<uuid:album_id>/hand-over/ post": SHARED,
    "albums/<uuid:album_id>/delete/ post": ALBUM,
    "notes/<uuid:note_id>/ post": NOTES,
    "notes/<uuid:note_id>/delete/ post": NOTES,
    "drafts/new/ post": NOTES,
    "drafts/<uuid:draft_id>/ post": NOTES,
    "sync/conflicts/<uuid:conflict_id>/decide/ post": PUSH,
    "sign-in/ post": SIGN_IN,
    "sign-out/ post": SIGN_IN,
    "me/password/ post": SIGN_IN,
    "me/devices/ post": SIGN_IN,
    "me/sign-out-everywhere/ post": SIGN_IN,
    "me/theme/ post": "sets a cookie",
    "me/devices/<uuid:device_id>/revoke/ post": SIGN_IN,
    "operations/<uuid:operation_id>/cancel/ post": STATE,
    "operations/<uuid:operation_id>/resume/ post": STATE,
    "operations/<uuid:operation_id>/dismiss/ post": STATE,
    "backups/start/ post": EXPORTS,
    "backups/schedule/ post": EXPORTS,
    "backups/find/ post": EXPORTS,
    "backups/<uuid:backup_id>/verify/ post": EXPORTS,
    "backups/<uuid:backup_id>/delete/ post": EXPORTS,
    "photos/download/ post": "reads",
    "exports/start/ post": EXPORTS,
    "exports/<uuid:export_id>/import/ post": IMPORTED,
    "exports/<uuid:export_id>/delete/ post": EXPORTS,
    "destinations/add/ post": EXPORTS,
    "destinations/<uuid:destination_id>/export/ post": EXPORTS,
    "destinations/<uuid:destination_id>/dismiss/ post": EXPORTS,
    "destinations/<uuid:destination_id>/rebuild/ post": EXPORTS,
    "destinations/<uuid:destination_id>/verify/ post": EXPORTS,
    "destinations/<uuid:destination_id>/remove/ post": EXPORTS,
    "destinations/<uuid:destination_id>/change/ post": EXPORTS,
    "destinations/<uuid:destination_id>/move/ post": EXPORTS,
    "dates/ post": PEOPLE,
    "keywords/ post": PEOPLE,
    "places/ post": PEOPLE,
    "duplicates/keep/ post": FILES,
    "duplicates/similar/find/ post": STARTS,
    "duplicates/similar/keep/ post": FILES,
    "duplicates/undo/ post": FILES,
    "photos/<uuid:photo_id>/date/undo/ post": FILES,
    "writes/<uuid:write_id>/retry/ post": STATE,
    "writes/<uuid:write_id>/give-up/ post": STATE,
    "imports/folder/ post": STARTS,
    "imports/<uuid:import_id>/retry/ post": STATE,
    "imports/<uuid:import_id>/stop/ post": STATE,
    "libraries/add/ post": FILES,
    "libraries/<uuid:library_id>/scan/ post": STARTS,
    "libraries/<uuid:library_id>/purge/ post": STARTS,
    "libraries/<uuid:library_id>/trash/restore/ post": FILES,
    "libraries/<uuid:library_id>/trash/empty/ post": STARTS,
    "libraries/<uuid:library_id>/restore/ post": STARTS,
    "libraries/<uuid:library_id>/rebuild/ post": STARTS,
    "libraries/<uuid:library_id>/settings/save/ post": PEOPLE,
    "libraries/<uuid:library_id>/members/ post": MEMBERS,
    "libraries/<uuid:library_id>/members/remove/ post": MEMBERS,
    "libraries/<uuid:library_id>/move/ post": "changes where the root lies, which devices do not see; the scan is an operation",
    "libraries/<uuid:library_id>/forget/ post": MEMBERS,
    "api/v1/restores/ post": STARTS,
    "api/v1/restores/<uuid:restore_id>/ delete": EXPORTS,
    "api/v1/restores/<uuid:restore_id>/confirm/ post": STARTS,
    "restores/send/ post": STARTS,
    "restores/<uuid:restore_id>/confirm/ post": STARTS,
    "restores/<uuid:restore_id>/forget/ post": EXPORTS,
}
ADMIN = {
    "accounts.user add": "makes a user, whose scope is empty",
    "accounts.user change": "changes the user, which is no synced type",
    "accounts.user delete": LEAVING,
    "accounts.device change": "renames a device, which is no synced type",
    "accounts.device delete": SIGN_IN,
    "operations.operation action cancel": STATE,
    "operations.operation action resume": STATE,
    "catalog.library change": MEMBERS,
    "catalog.library delete": MEMBERS,
    "catalog.library action scan": STARTS,
}
COMMANDS = {
    "first_user": "makes a user, whose scope is empty",
    "cache": "prunes derived files",
    "doctor": "reads",
    "hashcache": "prunes hashes",
    "import_folder": STARTS,
    "import_library": PEOPLE,
    "rebuild": STARTS,
    "scan": STARTS,
    "snapshots": STARTS,
    "up": "runs processes",
    "watch": STARTS,
    "writes": STATE,
    "export": EXPORTS,
    "backup": BACKUPS,
    "export_folder": EXPORTS,
    "import_catalog": IMPORTED,
    "records": EXPORTS,
    "restore": STARTS,
}
OPERATIONS = {
    "scan": FILES,
    "rebuild": FILES,
    "restore": FILES,
    "write": FILES,
    "filing": FILES,
    "purge": FILES,
    "empty_trash": FILES,
    "import": IMPORTS,
    "rendition": "makes films playable, in the cache",
    "similar": "compares pictures; the groups that it keeps are no synced type",
    "taken_over": "does nothing",
    "backup": BACKUPS,
    "verify_backup": BACKUPS,
    "find_backups": BACKUPS,
    "import_catalog": IMPORTED,
    "rebuild_records": EXPORTS,
    "verify_destination": EXPORTS,
    "restore_backup": RESTORES,
}
STATEMENTS = {
    "catalog/entries/rows.py": FILES,
    "catalog/entries/sql.py": "inserts rows: what is new is marked, for its version is empty",
    "catalog/history/switch.py": FILES,
    "catalog/identity/rekey.py": FILES,
    "catalog/scanning/queue.py": "claims; devices do not see who reads a file",
    "changes/scopes.py": "gives the numbers",
}
"""Modules with SQL of their own that changes tables of synced types."""
UNMARKED = {
    "catalog/albums/trash.py": "the album's scope ends with them",
    "sync/server/hints.py": "reads",
    "sync/server/orm.py": "reads",
    "sync/server/status.py": "reads",
    "catalog/libraries/forget.py": "the library's scope ends with them",
    "changes/models/numbered.py": "buries what it deletes",
    "changes/reading.py": "reads",
    "changes/scopes.py": "reads",
    "changes/fields.py": "reads",
    "changes/digest.py": "reads",
}
"""Modules that use managers or methods which mark nothing."""


def doors():
    """Give every address and unsafe method, the admin and the schema apart."""

    def walk(patterns, before=""):
        for one in patterns:
            text = before + str(one.pattern)
            if isinstance(one, URLResolver):
                yield from walk(one.url_patterns, text)
            elif isinstance(one, URLPattern):
                yield text, one.callback

    for address, view in walk(get_resolver().url_patterns):
        if address.startswith("admin/") or "^" in address:
            continue
        shown = getattr(view, "view_class", None) or getattr(view, "cls", None)
        methods = methods_of_class(shown) if shown else methods_of_function(view)
        for method in methods:
            yield f"{address} {method}"


def methods_of_class(view):
    allowed = [name for name in UNSAFE if hasattr(view, name) and name in view.http_method_names]
    return (
        [name for name in allowed if not (name == "put" and "post" in allowed)]
        if hasattr(view, "form_class")
        else allowed
    )


def methods_of_function(view):
    """Return the methods that the decorators let through; all if there is none."""
    while view is not None:
        said = inspect.getclosurevars(view).nonlocals.get("request_method_list")
        if said is not None:
            return [name for name in UNSAFE if name.upper() in said]
        view = getattr(view, "__wrapped__", None)
    return list(UNSAFE)


def admin_doors(user):
    request = RequestFactory().get("/")
    request.user = user
    for model, page in admin.site._registry.items():
        name = model._meta.label_lower
        if name.partition(".")[0] not in APPS:
            continue
        for action in ("add", "change", "delete"):
            if getattr(page, f"has_{action}_permission")(request):
                yield f"{name} {action}"
        for action in page.get_actions(request):
            if action != "delete_selected":
                yield f"{name} action {action}"


def compare(found, table):
    found = set(found)
    assert found - table.keys() == set(), "Say which test walks these ways, or why they write nothing that devices see."
    assert table.keys() - found == set(), "These ways are gone."
    for said in table.values():
        assert said if isinstance(said, str) else said.__name__ in {*dir(lives), *dir(album_lives)}


def test_every_route_that_can_change_something_is_walked():
    compare(doors(), ROUTES)


@pytest.mark.django_db
def test_every_way_through_the_admin_is_walked(django_user_model):
    compare(admin_doors(django_user_model.objects.create_superuser("root")), ADMIN)


def test_every_command_is_walked():
    compare((name for name, app in get_commands().items() if app in APPS), COMMANDS)


def test_every_kind_of_operation_is_walked():
    compare((kind for kind in KINDS if not kind.startswith("export")), OPERATIONS)


def sources():
    """Give name and text of every module of the product, migrations apart."""
    base = Path(settings.BASE_DIR)
    for app in APPS:
        for path in sorted((base / app).rglob("*.py")):
            if "migrations" not in path.parts:
                yield str(path.relative_to(base)), path.read_text()


def test_every_statement_in_sql_that_changes_synced_rows_is_known():
    """A statement names its table by a constant, by a model's, or as it is called."""
    tables = "|".join(kind.model._meta.db_table for kind in kinds())
    writes = re.compile(
        rf"(UPDATE|INTO|DELETE FROM)\s+\"?(\{{PHOTO_TABLE\}}|\{{model\._meta\.db_table\}}|\{{table\}}|{tables})(?!\w)"
    )
    reaches_database = re.compile(r"from django\.db import .*connection")
    compare((name for name, text in sources() if reaches_database.search(text) and writes.search(text)), STATEMENTS)


def test_nothing_goes_round_the_managers_that_mark():
    compare(
        (name for name, text in sources() if re.search(r"\._raw_delete\(|_base_manager|\._update\(", text)), UNMARKED
    )


def test_every_manager_of_a_synced_type_marks():
    assert kinds()
    for kind in kinds():
        assert issubclass(kind.model, Numbered)
        for manager in kind.model._meta.managers:
            assert isinstance(manager.get_queryset(), NumberedQuerySet), kind.name
        indexed = [
            [kind.model._meta.get_field(name.lstrip("-")).name for name in index.fields]
            for index in kind.model._meta.indexes
        ]
        home = kind.model._meta.get_field(kind.scope_column)
        assert home.primary_key or [home.name, "version"] in indexed, kind.name


def test_every_numbered_model_is_a_type():
    for model in apps.get_models():
        if issubclass(model, Numbered):
            assert kinds_of_model(model), model


@pytest.fixture(autouse=True)
def registered():
    """Let the types of the apps be there, in place of those of the other tests here."""
