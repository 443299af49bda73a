"""Fill a new database with photos as a scan would have left them, index their words, and time searches and filters.

    python benchmarks/search.py --photos 1000000

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

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))
BATCH = 10_000
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
    if number in (7, count // 2, count - 7):
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
        "camera_make": make,
        "camera_model": model,
    }


def fill(count: int) -> object:
    """Make a user with a library of `count` photos; return the user."""
    from accounts.models import User
    from catalog.models import Library, Photo

    user = User.objects.create(username=f"bench-{uuid.uuid4().hex[:8]}")
    library = Library.objects.create(owner=user, name="Bench", root=f"/nowhere/{user.username}")
    chance = random.Random(5)
    for start in range(0, count, BATCH):
        rows = [
            Photo(
                library=library, size_bytes=1, mtime_ns=1, head_md5=f"{number:032}", photo_md5=f"{number:032}",
                state="ready", needs_digest=False, taken_source="exif", added_at=START, **photo_of(number, count, chance),
            )
            for number in range(start, min(start + BATCH, count))
        ]  # fmt: skip
        Photo.objects.bulk_create(rows, batch_size=500)
    return user


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
    options = parser.parse_args()
    folder = tempfile.TemporaryDirectory()
    os.environ.setdefault("PHOTOLALA_DATA", folder.name)
    os.environ["DJANGO_SETTINGS_MODULE"] = "photolala.settings"
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection, transaction
    from django.http import QueryDict

    from catalog.browsing import photo_lists
    from catalog.browsing.filters import PhotoFilters
    from catalog.words import indexing

    call_command("migrate", verbosity=0)
    clock = time.process_time if connection.vendor == "sqlite" else time.monotonic
    began = clock()
    with transaction.atomic():
        user = fill(options.photos)
    print(json.dumps({"filled": round(clock() - began, 1)}), flush=True)
    began = clock()
    indexing.catch_up_with_all(lambda: None)
    print(json.dumps({"index_us_per_photo": round((clock() - began) * 1e6 / options.photos, 1)}), flush=True)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    for query in (
        "q=xylophone", "q=holiday", "q=nothing", "q=holiday xylophone", "q=camera:sony", "q=type:video", "q=taken:2003",
        "q=w0001", "q=holiday not w0001", "camera=sony", "camera=pentax", "media_type=video", "media_type=image/gif",
        "folder=2003/05 trip 20000", "rating=3", "has_gps=true",
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


if __name__ == "__main__":
    main()
