"""A catalog export shows one moment, whatever is edited while it runs, and holds nobody up."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from django.utils.connection import ConnectionDoesNotExist

from catalog.models import Photo
from exports.catalogs.requests import Wishes, start_export
from exports.models import Export
from exports.reading.moment import ALIAS
from operations import control
from operations.models import Operation, State
from operations.running import execute
from tests.factories import make_photo

pytestmark = pytest.mark.django_db(transaction=True)
START = datetime(2024, 5, 17, 12, tzinfo=UTC)


@pytest.fixture
def journal() -> str:
    """Return which journal SQLite's database has; a test may ask for the other one."""
    return "WAL"


@pytest.fixture
def own_database(journal: str, transactional_db: None, tmp_path: Path) -> Iterator[None]:
    """Let this thread work with a database in a file, where the test's is in memory."""
    before = connections["default"]
    if before.vendor != "sqlite":
        yield
        return
    with before.cursor() as cursor:
        cursor.execute("VACUUM INTO %s", [str(tmp_path / "own.sqlite3")])
    own = before.copy()
    own.settings_dict["NAME"] = str(tmp_path / "own.sqlite3")
    options = own.settings_dict["OPTIONS"]
    options |= {"timeout": 1, "init_command": f"PRAGMA journal_mode={journal}; PRAGMA foreign_keys=ON;"}
    connections["default"] = own
    yield
    own.close()
    connections["default"] = before


@pytest.fixture
def photos(own_database: None, cast: Any, monkeypatch: pytest.MonkeyPatch) -> list[Photo]:
    """Five photos in the order of an export, which reads two in a batch."""
    monkeypatch.setattr("exports.formats.batches.BATCH_SIZE", 2)
    return [
        make_photo(cast.library, f"{number}.jpg", taken=START - timedelta(days=number), added_at=START)
        for number in range(5)
    ]


def export_beside(cast: Any, at_two: Callable[[Operation], object], **wishes: Any) -> tuple[Export, Operation]:
    """Export; when two rows are written, `at_two` does what others do, and commits it."""
    export = start_export(cast.alice, cast.library, Wishes(format="json", **wishes))
    done = execute(export.operation_id, on_progress=lambda now: now.done == 2 and now.phase[:1] == "W" and at_two(now))
    assert done is not None
    export.refresh_from_db()
    return export, done


def is_released() -> bool:
    """Tell whether nothing keeps the moment any more: neither this process nor a transaction of the database."""
    with pytest.raises(ConnectionDoesNotExist):
        connections[ALIAS]
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return bool(cursor.fetchone()[0] == 0)
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()"
        )
        return bool(cursor.fetchone()[0] == 0)


@pytest.mark.promise("S3-X05")
@pytest.mark.parametrize(("journal", "include_media"), [("WAL", False), ("WAL", True), ("TRUNCATE", True)])
def test_what_is_edited_meanwhile_neither_doubles_nor_drops_a_row(
    cast: Any, photos: list[Photo], include_media: bool
) -> None:
    first, last = photos[0], photos[4]

    def others(_: Operation) -> None:
        days = timedelta(days=9)
        for photo, taken in ((first, START - days), (last, START + days)):
            Photo.objects.filter(pk=photo.pk).update(taken_at=taken, taken_local=taken, caption="edited")
        make_photo(cast.library, "new.jpg", taken=START - days, added_at=START)
        Photo.objects.filter(pk=photos[3].pk).delete()

    export, done = export_beside(cast, others, include_media=include_media)
    assert done.state == State.COMPLETED, (done.error, done.error_detail)
    rows = json.loads((export.folder / "photos.json").read_bytes())
    assert [row["id"] for row in rows] == [str(photo.pk) for photo in photos]
    assert [row["taken_at"] for row in rows] == [photo.taken_text for photo in photos]
    assert not [row for row in rows if row.get("caption")]
    assert (export.photo_count, export.media_count, export.missing_count) == (5, 5 * include_media, 0)
    assert sorted(path.name for path in export.folder.iterdir()) == sorted(
        ["manifest.json", "photos.json", *(["media"] if include_media else [])]
    )
    assert Photo.objects.filter(caption="edited").count() == 2
    assert is_released()


def test_cancel_and_the_loss_of_the_lease_end_the_moment_within_a_batch(cast: Any, photos: list[Photo]) -> None:
    export, done = export_beside(cast, lambda now: control.cancel(Operation.objects.get(pk=now.pk)))
    assert (done.state, done.done) == (State.CANCELLED, 2)
    assert is_released()
    control.resume(done)
    lose = Operation.objects.filter(pk=done.pk)
    execute(done.pk, on_progress=lambda now: now.done == 2 and lose.update(token=99))
    assert is_released()
    lose.update(lease_until=None)
    assert execute(done.pk).result["photos"] == 5  # type: ignore[union-attr]
    assert sorted(path.name for path in export.parent_folder.iterdir()) == [export.folder_name]
