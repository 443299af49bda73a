"""The tables that the library's infrastructure promises, as the database has them, and how SQLite is opened."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from catalog.models import HashCache, Library, Photo, PhotoMetadata, TrashItem
from operations.models import Operation, State

pytestmark = pytest.mark.django_db
PROJECT = Path(__file__).resolve().parents[2]


def columns_of(table: str) -> set[str]:
    with connection.cursor() as cursor:
        return {column.name for column in connection.introspection.get_table_description(cursor, table)}


def indices_of(table: str) -> list[tuple[list[str], bool]]:
    """Return the columns of each index or key, and whether it is unique."""
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, table).values()
    return [(one["columns"], one["unique"]) for one in found if one["index"] or one["unique"]]


@pytest.mark.promise("S2-001", "S2-U03")
def test_a_photo_has_a_place_a_date_its_hash_size_kind_and_rating() -> None:
    wanted = {
        "directory", "filename", "taken_local", "photo_md5", "size_bytes", "media_type", "width", "height", "rating",
    }  # fmt: skip
    assert wanted <= columns_of(Photo._meta.db_table)
    assert Photo._meta.get_field("rating").null
    assert (["library_id", "directory", "filename"], True) in indices_of(Photo._meta.db_table)  # one path, one photo
    deleted = {
        "id",
        "directory",
        "filename",
        "trashed_at",
        "photo_id",
    }  # the photo's row stays, and with it all of its data
    assert deleted <= columns_of(TrashItem._meta.db_table)


@pytest.mark.promise("S2-002", "S2-003", "S2-082", "S2-U01")
def test_an_operation_has_its_state_times_checkpoint_figures_and_reason() -> None:
    wanted = {"id", "kind", "state", "started_at", "updated_at", "checkpoint", "metrics", "error"}
    assert wanted <= columns_of(Operation._meta.db_table)
    first = {columns[0] for columns, _ in indices_of(Operation._meta.db_table)}
    assert {"kind", "state", "owner_id", "active_key"} <= first
    assert (["state", "updated_at"], False) in indices_of(Operation._meta.db_table)
    assert set(State.values) == {"pending", "running", "completed", "failed", "cancelled", "interrupted"}


def test_a_state_of_no_name_cannot_be_written(alice) -> None:
    operation = Operation.objects.create(owner=alice, kind="scan")
    with pytest.raises(IntegrityError), transaction.atomic():
        Operation.objects.filter(pk=operation.pk).update(state="finished")


@pytest.mark.promise("S2-004", "S2-005", "S2-013", "S2-U02", "S2-X04")
def test_the_hash_cache_is_a_table_keyed_by_place_with_whole_hashes(alice) -> None:
    table = HashCache._meta.db_table
    assert columns_of(table) >= {"library_id", "path", "mtime_ns", "size_bytes", "head_md5", "photo_md5", "cached_at"}
    assert (["library_id", "path"], True) in indices_of(table)
    assert (["photo_md5"], False) in indices_of(table)
    library = Library.objects.create(owner=alice, name="x", root="/x")
    same_beginning = ["0123456" + "0" * 25, "0123456" + "1" * 25]  # seven equal digits are no equal hash
    for number, md5 in enumerate(same_beginning):
        HashCache.objects.create(
            library=library, path=f"{number}.jpg", size_bytes=1, mtime_ns=1, head_md5=md5, photo_md5=md5,
            cached_at=timezone.now(),
        )  # fmt: skip
    assert list(HashCache.objects.order_by("path").values_list("photo_md5", flat=True)) == same_beginning


@pytest.mark.promise("S2-011")
def test_rows_that_lean_on_nothing_are_refused() -> None:
    metadata = PhotoMetadata(photo_id="00000000-0000-0000-0000-000000000001", body="{}")
    with pytest.raises(IntegrityError), transaction.atomic():
        metadata.save(force_insert=True)
        connection.check_constraints()
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            assert cursor.execute("PRAGMA foreign_keys").fetchone() == (1,)


@pytest.mark.promise("S2-010", "S2-075")
def test_an_installation_is_migrated_by_a_command_into_a_journal_that_survives(tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "PHOTOLALA_DATA": str(tmp_path)}
    words = [sys.executable, str(PROJECT / "manage.py"), "migrate", "-v0"]
    for _ in range(2):  # to run it again changes nothing
        subprocess.run(words, env=environment, check=True, capture_output=True)
    with closing(sqlite3.connect(tmp_path / "photolala.sqlite3")) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        applied = database.execute("SELECT count(*) FROM django_migrations").fetchone()[0]
    executor = MigrationExecutor(connection)
    assert applied == len(executor.loader.disk_migrations)
