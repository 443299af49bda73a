"""What numbering costs: marks in the rows that a scan writes, a poll without news, the first reading of a large library.

    python benchmarks/changes.py [--photos 100000]

On the database that PHOTOLALA_DATABASE names, else on SQLite in a folder of its own. CPU seconds are this process's (with
PostgreSQL its server's are not among them, there the clock counts). Prints one JSON object.
"""

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))
ROUNDS = 7
ROWS = 2_000


def row(library: Any, number: int, now: Any) -> dict[str, Any]:
    """Return what a survey of a small JPEG writes."""
    from catalog.entries.rows import SURVEY_COLUMNS
    from catalog.models import Photo
    from catalog.models.photo import photo_id

    md5 = f"{number:032x}"
    name = f"{number}.jpg"
    told = dict.fromkeys(SURVEY_COLUMNS, "")
    return {
        **told,
        "id": photo_id(library.pk, f"{number // 100}/{name}", f"{md5}:1000"),
        "library_id": library.pk,
        "directory": str(number // 100),
        "filename": name,
        "added_at": now,
        "size_bytes": 1000,
        "mtime_ns": number,
        "head_md5": md5,
        "state": Photo.State.SURVEYED,
        "is_shown": True,
        "notes": [],
        "needs_digest": True,
        "claimed_until": None,
        "media_type": "image/jpeg",
        "width": 64,
        "height": 48,
        "orientation": 1,
        "duration_ms": None,
        "placeholder": "#405060",
        "has_thumbnail": False,
        "taken_local": now,
        "taken_day": 20240517,
        "taken_at": now,
        "taken_offset_minutes": None,
        "taken_source": "exif",
        "missing_since": None,
    }


def digested(surveyed: dict[str, Any]) -> dict[str, Any]:
    """Return what the digest of that file writes."""
    from catalog.entries.rows import DIGEST_COLUMNS, EMPTY_COLUMNS

    md5 = surveyed["head_md5"]
    full = {**EMPTY_COLUMNS, **surveyed, "photo_md5": md5, "read_md5": md5, "image_digest": md5, "state": "ready"}
    told = {name: full[name] for name in DIGEST_COLUMNS}
    return {
        **told,
        "id": surveyed["id"],
        "claim_token": 0,
        "directory": surveyed["directory"],
        "filename": surveyed["filename"],
        "metadata_body": '{"a": 1}',
    }


def write(library: Any, first: int, count: int) -> tuple[float, float]:
    """Survey and digest photos as a scan does, 100 a transaction; return CPU and clock seconds."""
    from django.db import transaction
    from django.utils import timezone

    from catalog.entries.rows import apply_digests, insert_surveyed

    now = timezone.now()
    rows = [row(library, number, now) for number in range(first, first + count)]
    done = [digested(one) for one in rows]
    cpu, clock = time.process_time(), time.monotonic()
    for start in range(0, count, 100):
        with transaction.atomic():
            insert_surveyed(rows[start : start + 100])
        with transaction.atomic():
            assert apply_digests(library, done[start : start + 100]) == 100
    return time.process_time() - cpu, time.monotonic() - clock


def marks(library: Any) -> dict[str, Any]:
    """Write rows with and without what numbering adds (the index on versions), by turns."""
    from django.db import connection

    from catalog.models import Photo

    index = next(one for one in Photo._meta.indexes if one.name == "photo_by_version")
    figures: dict[str, list[float]] = {"with": [], "without": []}
    first = 10_000_000
    for _ in range(ROUNDS):
        for name, seconds in figures.items():
            if name == "without":
                with connection.schema_editor() as editor:
                    editor.remove_index(Photo, index)
            cpu, clock = write(library, first, ROWS)
            seconds.append(clock if connection.vendor == "postgresql" else cpu)
            first += ROWS
            if name == "without":
                with connection.schema_editor() as editor:
                    editor.add_index(Photo, index)
    pairs = [a / b for a, b in zip(figures["with"], figures["without"], strict=True)]
    both = {name: round(1000 * statistics.median(seconds) / ROWS, 4) for name, seconds in figures.items()}
    return {
        "ms_per_photo": both,
        "ratio": round(statistics.median(pairs), 3),
        "ratios": [round(one, 3) for one in sorted(pairs)],
    }


def main() -> None:
    """Measure all and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "photolala.settings")
        os.environ["PHOTOLALA_DATA"] = folder
        import django

        django.setup()
        print(json.dumps(measure(options.photos), indent=1))


def measure(count: int) -> dict[str, Any]:
    """Return all figures."""
    from django.core.management import call_command
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from accounts.models import User
    from catalog.models import Library, Photo
    from changes.digest import digest
    from changes.models import Tombstone
    from changes.reading import changes_since
    from changes.types import scope_name

    call_command("migrate", verbosity=0)
    library = Library.objects.create(owner=User.objects.create_user("alice"), name="Many", root="/many")
    write(library, 0, count)
    said: dict[str, Any] = {"database": connection.vendor, "photos": count, "marks": marks(library)}
    Photo.objects.filter(mtime_ns__gte=10_000_000).delete()
    Tombstone.objects.all().delete()
    scope = scope_name("library", library.pk)

    before, cpu, clock, cursor, pages, rows = (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        time.process_time(),
        time.monotonic(),
        "",
        0,
        0,
    )
    slowest = 0.0
    while True:
        begun = time.monotonic()
        page = changes_since(scope, cursor)
        slowest = max(slowest, time.monotonic() - begun)
        cursor, pages, rows = page.cursor, pages + 1, rows + len(page.changes)
        if not page.has_more:
            break
    said["first_reading"] = {
        "rows": rows,
        "pages": pages,
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "clock_seconds": round(time.monotonic() - clock, 2),
        "slowest_page_seconds": round(slowest, 3),
        "more_memory_mib": round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, 1),
    }
    seconds = time.monotonic if connection.vendor == "postgresql" else time.process_time
    times = []
    for _ in range(200):
        begun = seconds()
        page = changes_since(scope, cursor)
        times.append(seconds() - begun)
        assert not page.changes
    with CaptureQueriesContext(connection) as queries:
        changes_since(scope, cursor)
    said["poll"] = {"queries": len(queries), "median_ms": round(1000 * statistics.median(times), 2)}
    cpu, clock = time.process_time(), time.monotonic()
    assert digest(scope).types["photo"].count == count
    said["digest"] = {
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "clock_seconds": round(time.monotonic() - clock, 2),
    }
    return said


if __name__ == "__main__":
    main()
