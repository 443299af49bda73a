"""The rows of an export are read by key: from any place, in batches of any size, through an index, a batch in memory."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.models import Photo
from exports.catalogs.requests import Wishes, start_export
from exports.reading.rows import Key, PhotoRows
from operations.models import State
from operations.running import execute
from tests.factories import make_photo, make_photos

MANY = 50_000
MOST_BYTES = 15_000_000
"""What a batch may need, according to the specification."""
METADATA = '{"exifData":{"Make":"Canon","Model":"EOS R5","LensModel":"RF24-70mm F2.8 L IS USM"},"width":8192}'


def rows_of(cast: Any) -> PhotoRows:
    return PhotoRows(start_export(cast.alice, cast.library, Wishes(format="json")), "default")


def fetched(rows: PhotoRows, after: Key | None, limit: int) -> list[tuple[Any, ...]]:
    return list(zip(*rows.fetch(after, limit).columns, strict=True))


def batches(rows: PhotoRows, size: int) -> Iterator[list[tuple[Any, ...]]]:
    after = None
    while batch := fetched(rows, after, size):
        yield batch
        after = rows.last_key


@pytest.mark.promise("S3-072")
def test_from_any_place_and_in_batches_of_any_size_the_rows_are_the_same(cast: Any) -> None:
    for number in range(4):
        make_photos(cast.library, 3, same_moment=True, taken_at=datetime(2024, 5, 1 + number, tzinfo=UTC))
    make_photo(cast.library, taken=None)
    rows = rows_of(cast)
    whole = fetched(rows, None, 100)
    keys = [(photo.taken_at, str(photo.pk)) for photo in Photo.objects.order_by("-taken_at", "id")]
    assert [row[0] for row in whole] == [key for _, key in keys]
    assert len(whole) == 13
    for size in (1, 2, 3, 5, 13, 14):
        assert [row for batch in batches(rows, size) for row in batch] == whole
    for place, key in enumerate(keys, 1):
        for limit in (1, 4, 100):
            assert fetched(rows, key, limit) == whole[place : place + limit]


@pytest.mark.promise("S3-063", "S3-064", "S3-065")
def test_a_batch_is_entered_at_its_key_by_an_index_and_nothing_is_sorted(cast: Any) -> None:
    make_photos(cast.library, 30)
    rows = rows_of(cast)
    rows.fetch(None, 10)
    with CaptureQueriesContext(connection) as captured:
        rows.fetch(rows.last_key, 10)
    [asked] = [query["sql"] for query in captured.captured_queries]
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"EXPLAIN QUERY PLAN {asked}")
            plan = "\n".join(row[3] for row in cursor.fetchall())
            assert "USING INDEX photo_export (library_id=? AND taken_at<?)" in plan
            assert "TEMP B-TREE" not in plan
            return
        cursor.execute("SET LOCAL enable_seqscan = off")  # so few rows are read whole otherwise, and sorted
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute("SET LOCAL enable_sort = off")
        cursor.execute(f"EXPLAIN {asked}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
        [condition] = [line for line in plan.splitlines() if "Index Cond" in line and "taken_at" in line]
        assert "using photo_export" in plan.lower()
        assert "library_id = " in condition and "taken_at <= " in condition
        assert "Sort" not in plan


def multiply(photo: Photo, count: int) -> None:
    """Let the database make `count` photos like this one, each a second older than the one before, with metadata."""
    own = {
        "id": "printf('%%032x', n)" if connection.vendor == "sqlite" else "lpad(to_hex(n), 32, '0')::uuid",
        "filename": "'COPY_' || n || '.JPG'",
        "taken_at": "datetime(taken_at, '-' || n || ' seconds')"
        if connection.vendor == "sqlite"
        else "taken_at - n * interval '1 second'",
    }
    names = [field.column for field in Photo._meta.concrete_fields]
    numbers = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < %s)"
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO catalog_photo ({', '.join(names)}) {numbers} "
            f"SELECT {', '.join(own.get(name, name) for name in names)} FROM catalog_photo, numbers",
            [count],
        )
        cursor.execute(
            "INSERT INTO catalog_photometadata (photo_id, body) SELECT id, %s FROM catalog_photo", [METADATA]
        )


def most_memory_bytes() -> int:
    """Return the most memory that this process had at once since `forget_peak`."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) << 10


def forget_peak() -> None:
    """Let the kernel count the most memory of this process anew."""
    Path("/proc/self/clear_refs").write_text("5")


@pytest.mark.one_database
@pytest.mark.promise("S3-066", "S3-067", "S3-075")
def test_fifty_thousand_photos_need_the_memory_of_one_batch(cast: Any) -> None:
    multiply(make_photo(cast.library, on_disk=False), MANY)
    export = start_export(cast.alice, cast.library, Wishes(format="json"))
    forget_peak()
    before = most_memory_bytes()
    done = execute(export.operation_id)
    needed = most_memory_bytes() - before
    assert done is not None and done.state == State.COMPLETED
    export.refresh_from_db()
    assert export.photo_count == MANY + 1
    assert export.size_bytes > 2 * MOST_BYTES  # so all of it was never in memory
    assert needed < MOST_BYTES
    assert 30 * needed < 500_000_000  # so many exports at once
