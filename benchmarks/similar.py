"""Fill a new database with photos that have looks, a few of them similar, and time the search for similar pictures.

    python benchmarks/similar.py --photos 1000000

The looks are random; to each of 2 % of the photos two others are made similar. Give it a data folder of its own
(`PHOTOLALA_DATA`; by default a temporary one); run again in the same, it measures only.
"""

import argparse
import json
import os
import random
import resource
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))
BATCH = 10_000
MOST_BITS_CHANGED = 6


def looks(count: int, chance: random.Random) -> list[int]:
    """Return random looks of which 2 % have two others that differ in up to six bits."""
    made = [chance.getrandbits(63) | 1 for _ in range(count)]
    places = chance.sample(range(count), count // 50 * 3)
    for first, *others in zip(*[iter(places)] * 3, strict=True):
        for other in others:
            made[other] = made[first]
            for bit in chance.sample(range(63), chance.randint(0, MOST_BITS_CHANGED)):
                made[other] ^= 1 << bit
    return made


def fill(count: int) -> None:
    """Make a user, a library, and its photos."""
    from accounts.models import User
    from catalog.entries.sql import insert_rows
    from catalog.models import Library, Photo

    owner = User.objects.create_user("alice", password="benchmark of looks")
    library = Library.objects.create(owner=owner, name="Many", root="/nowhere")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    rows: list[dict[str, Any]] = []
    for number, look in enumerate(looks(count, random.Random(7))):
        md5 = f"{number:032x}"
        facts = {"directory": f"{number // 200}", "filename": f"{number}.jpg", "size_bytes": number, "mtime_ns": 1}
        read = {"head_md5": md5, "photo_md5": md5, "read_md5": md5, "look": look, "width": 4000, "height": 3000}
        state = {"state": "ready", "needs_digest": False, "media_type": "image/jpeg", "added_at": now}
        rows.append({"id": uuid.uuid5(library.pk, str(number)), "library_id": library.pk, **facts, **read, **state})
        if len(rows) == BATCH:
            insert_rows(Photo, rows)
            rows = []
    insert_rows(Photo, rows)


def main() -> None:
    """Fill the database if it is empty, search, and print what it took as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=100_000)
    count = parser.parse_args().photos
    os.environ.setdefault("PHOTOLALA_DATA", tempfile.mkdtemp())
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "photolala.settings")
    import django

    django.setup()
    from django.core.management import call_command

    from accounts.models import User
    from catalog.browsing.similar import similar_groups
    from catalog.duplicates.similar import start_finding
    from operations.running import execute

    call_command("migrate", verbosity=0)
    if not User.objects.exists():
        fill(count)
    user = User.objects.get()
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.monotonic()
    done = execute(start_finding(user, enqueue=False).pk)
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert done is not None
    page = time.process_time()
    shown = len(similar_groups(user)[0])
    figures = {
        **done.result,
        "state": done.state,
        "seconds": round(time.monotonic() - start, 1),
        "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "peak_mib_before": before.ru_maxrss // 1024,
        "peak_mib": after.ru_maxrss // 1024,
        "page_of_groups": shown,
        "page_cpu_ms": round(1000 * (time.process_time() - page)),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
