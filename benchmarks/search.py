"""Fill a new database with photos as a scan would have left them, index their words, and time searches and filters.

    python benchmarks/search.py --photos 1000000

Run again in the same data folder (`PHOTOLALA_DATA`), it measures only.
CPU seconds are those of this process, so on SQLite all of a query; each figure is the least of three. On PostgreSQL
(`PHOTOLALA_DATABASE`) they are by the clock instead. The database is migrated and filled, so give it one of its own.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))
BATCH = 10_000
SAMPLE = 20_000
"""Photos that `--direct` makes one by one; the others are copies of them with other names and days."""
CAMERAS = [
    ("Canon", "EOS R6"),
    ("Apple", "iPhone 12"),
    ("SONY", "ILCE-7M3"),
    ("NIKON CORPORATION", "NIKON D750"),
    ("", ""),
]
WORDS = [f"w{number:04}" for number in range(5_000)]
START = datetime(2001, 1, 1, tzinfo=UTC)


def photo_of(number: int, count: int, chance: random.Random) -> dict[str, object]:
    """Return the columns of one of `count` photos: a common word in half of them, all but new ones; a rare one in three."""
    taken = START + timedelta(seconds=number * 700_000_000 / count)
    make, model = chance.choices(CAMERAS, [30, 40, 15, 10, 5])[0]
    caption = " ".join(chance.choices(WORDS, k=chance.randrange(4)))
    if chance.random() < 0.5:
        caption += " holiday"
    if number in (7, 8, 9):
        caption += " xylophone"
    film = chance.random() < 0.05
    return {
        "directory": f"{taken:%Y/%m} trip {number // 200}",
        "filename": f"IMG_{number:07}.{'MP4' if film else 'JPG'}",
        "media_type": "video/mp4" if film else "image/jpeg",
        "taken_local": taken,
        "taken_at": taken,
        "taken_day": int(f"{taken:%Y%m%d}"),
        "caption": caption,
        "keywords": chance.sample(WORDS[:200], k=2) if chance.random() < 0.1 else [],
        "lens_model": f"{model} lens" if model else "",
        "camera_make": make,
        "camera_model": model,
    }


def make_library() -> object:
    """Make a user with a library; return the library."""
    from accounts.models import User
    from catalog.models import Library

    user = User.objects.create(username=f"bench-{uuid.uuid4().hex[:8]}")
    return Library.objects.create(owner=user, name="Bench", root=f"/nowhere/{user.username}")


def fill_directly(library: object, count: int) -> None:
    """Fill SQLite's tables past the triggers: SAMPLE photos, then copies with other names and days, then the indexes."""
    from django.db import connection

    from catalog.models import Photo, SearchQueue
    from catalog.words import indexing, tables

    fill(library, SAMPLE, count)
    indexing.catch_up_with_all(lambda: None)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'catalog_photo' AND sql <> ''"
        )
        indexes = dict(cursor.fetchall())
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE '%words_insert'")
        triggers = dict(cursor.fetchall())
        for name in indexes:
            cursor.execute(f"DROP INDEX {name}")
        for name in triggers:
            cursor.execute(f"DROP TRIGGER {name}")
        columns = [field.column for field in Photo._meta.concrete_fields]
        changed = {
            "id": "lower(hex(randomblob(16)))",
            "directory": "strftime('%Y/%m', number * 700 + 978307200, 'unixepoch') || ' trip ' || (number / 200)",
            "filename": "replace(filename, printf('%07d', sample), printf('%07d', number))",
            "head_md5": "printf('%032d', number)",
            "photo_md5": "printf('%032d', number)",
            "read_md5": "printf('%032d', number)",
            "taken_local": "datetime(number * 700 + 978307200, 'unixepoch')",
            "taken_at": "datetime(number * 700 + 978307200, 'unixepoch')",
            "taken_day": "CAST(strftime('%Y%m%d', number * 700 + 978307200, 'unixepoch') AS INTEGER)",
            "caption": "replace(caption, ' xylophone', '')",
        }
        cursor.execute(
            f"WITH RECURSIVE times(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM times WHERE n < {count // SAMPLE} - 1), "
            f"samples AS (SELECT *, CAST(substr(filename, 5, 7) AS INTEGER) AS sample FROM catalog_photo), "
            f"copies AS (SELECT samples.*, sample + n * {SAMPLE} AS number FROM times CROSS JOIN samples) "
            f"INSERT INTO catalog_photo ({', '.join(columns)}) "
            f"SELECT {', '.join(changed.get(name, name) for name in columns)} FROM copies".replace("%", "%%"),
            [],
        )
        for sql in indexes.values():
            cursor.execute(sql)
        cursor.execute(
            "CREATE TEMP TABLE sample_text AS SELECT CAST(substr(filename, 5, 7) AS INTEGER) AS sample, text, directory "
            f"FROM {tables.TEXTS} JOIN catalog_photo ON catalog_photo.id = object_id WHERE kind = 'photo'"
        )
        cursor.execute("CREATE UNIQUE INDEX temp.by_sample ON sample_text (sample)")
        folder = "'\u00a5' || replace(replace({}.directory, '/', ' \u00a5'), ' trip ', ' \u00a5trip \u00a5')"
        cursor.execute(
            f"INSERT INTO {tables.TEXTS} (kind, object_id, text, library_id, day) SELECT 'photo', photo.id, "
            f"replace(replace(replace(text, printf('%07d', sample), substr(photo.filename, 5, 7)), "
            f"{folder.format('sample_text')}, {folder.format('photo')}), ' xylophone', ''), library_id, taken_day "
            f"FROM catalog_photo AS photo JOIN sample_text "
            f"ON sample = CAST(substr(photo.filename, 5, 7) AS INTEGER) % {SAMPLE} "
            f"WHERE CAST(substr(photo.filename, 5, 7) AS INTEGER) >= {SAMPLE}".replace("%", "%%"),
            [],
        )
        cursor.execute("DROP TABLE sample_text")
        for sql in triggers.values():
            cursor.execute(sql)
        cursor.execute(f"INSERT INTO {tables.FULL_TEXT}({tables.FULL_TEXT}) VALUES ('rebuild')")
    assert not SearchQueue.objects.exists()


def photo_row(library: object, number: int, count: int, chance: random.Random) -> object:
    """Return one photo that is not saved."""
    from catalog.models import Photo

    return Photo(
        library=library, size_bytes=1, mtime_ns=1, head_md5=f"{number:032}", photo_md5=f"{number:032}",
        read_md5=f"{number:032}", state="ready", needs_digest=False, taken_source="exif", added_at=START,
        later_tried=9, **photo_of(number, count, chance),
    )  # fmt: skip


def fill(library: object, count: int, of: int = 0) -> None:
    """Let the library have the first `count` of `of` photos."""
    from catalog.models import Photo

    chance = random.Random(5)
    for start in range(0, count, BATCH):
        rows = [photo_row(library, number, of or count, chance) for number in range(start, min(start + BATCH, count))]
        Photo.objects.bulk_create(rows, batch_size=500)


def timed(work: Callable[[], object], clock: Callable[[], float], times: int = 3) -> tuple[float, object]:
    """Return the least seconds of some runs, and what the last one returned."""
    least, result = float("inf"), None
    for _ in range(times):
        began = clock()
        result = work()
        least = min(least, clock() - began)
    return least, result


def main() -> None:
    """Fill, index, ask."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=200_000)
    parser.add_argument(
        "--direct", action="store_true", help="SQLite: fill tables past the triggers, in a tenth of the time"
    )
    options = parser.parse_args()
    folder = tempfile.TemporaryDirectory()
    os.environ.setdefault("PHOTOLALA_DATA", folder.name)
    os.environ.setdefault("PHOTOLALA_SEARCH_SECONDS", "600")
    os.environ["DJANGO_SETTINGS_MODULE"] = "photolala.settings"
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection, transaction
    from django.http import QueryDict

    from catalog.browsing import photo_lists
    from catalog.browsing.filters import PhotoFilters
    from catalog.models import Library
    from catalog.words import indexing

    call_command("migrate", verbosity=0)
    clock = time.process_time if connection.vendor == "sqlite" else time.monotonic
    library = Library.objects.filter(name="Bench").first()
    if library is None:
        library = make_library()
        began = clock()
        with transaction.atomic():
            (fill_directly if options.direct else fill)(library, options.photos)
        print(json.dumps({"filled": round(clock() - began, 1)}), flush=True)
        began = clock()
        indexing.catch_up_with_all(lambda: None)
        print(json.dumps({"index_us_per_photo": round((clock() - began) * 1e6 / options.photos, 1)}), flush=True)
    with connection.cursor() as cursor:  # also of indexes that came since
        cursor.execute("ANALYZE")
    user = library.owner
    for query in (
        "q=xylophone", "q=holiday", "q=nothing", "q=holiday xylophone", "q=camera:sony", "q=type:video", "q=type:gif",
        "q=taken:2003",
        "q=w0001", "q=holiday not w0001", "camera=sony", "camera=pentax", "media_type=video", "media_type=image",
        "media_type=image/gif", "folder=2003/06 trip 550", "folder=2003/06 trip 550&recursive=true", "rating=3",
    ):  # fmt: skip
        filters = PhotoFilters.from_query(QueryDict(query))
        page, _ = timed(lambda filters=filters: photo_lists.photo_page(user, filters, {"limit": "100"}), clock)
        counts, buckets = timed(lambda filters=filters: photo_lists.timeline_buckets(user, filters), clock)
        found = sum(bucket["count"] for bucket in buckets)
        figures = {
            "query": query,
            "found": found,
            "page_ms": round(page * 1000, 1),
            "buckets_ms": round(counts * 1000, 1),
        }
        print(json.dumps(figures), flush=True)
    by_name, _ = timed(lambda: name_in_admin(f"IMG_{options.photos // 2:07}.JPG"), clock)
    print(json.dumps({"query": "the admin's search by file name", "page_ms": round(by_name * 1000, 1)}), flush=True)
    many = PhotoFilters.from_query(QueryDict("q=" + " or ".join(f"w{number}" for number in range(20))))
    seconds, _ = timed(lambda: photo_lists.timeline_buckets(user, many), clock, 1)
    print(json.dumps({"query": "buckets of 20 words in or", "seconds": round(seconds, 1)}), flush=True)


def name_in_admin(name: str) -> list[object]:
    """Return what the admin finds of a file name."""
    from django.contrib import admin
    from django.http import HttpRequest

    from catalog.models import Photo

    pages: Any = admin.site._registry[Photo]
    found, _ = pages.get_search_results(HttpRequest(), Photo.objects.order_by("pk"), name)
    return list(found[:100])


if __name__ == "__main__":
    main()
