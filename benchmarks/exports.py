"""Export a catalog as CSV and JSON, each against `sqlite3 -csv` or `sqlite3 -json` of the same rows in the same run.

    python benchmarks/exports.py --photos 1000000

Needs sqlite3's shell. Fills a new database, or takes the one in the folder `PHOTOLALA_DATA` that it filled before. CPU
seconds are those of the whole command, Python's start included; memory counts each page once. `--at-once N` lets so many
exports run together.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from benchmarks.run import Figures, measure, memory_of  # noqa: E402

BATCH = 5_000
START = datetime(2001, 1, 1, tzinfo=UTC)
CAMERAS = [("Canon", "Canon EOS R6"), ("Apple", "iPhone 12"), ("SONY", "ILCE-7M3"), ("NIKON CORPORATION", "NIKON D750")]
TAGS = [
    "ColorSpace",
    "Contrast",
    "CustomRendered",
    "DigitalZoomRatio",
    "ExposureCompensation",
    "ExposureMode",
    "ExposureProgram",
    "Flash",
    "GPSAltitudeRef",
    "LightSource",
    "MeteringMode",
    "Orientation",
    "ResolutionUnit",
    "Saturation",
    "SceneCaptureType",
    "SensingMethod",
    "Sharpness",
    "WhiteBalance",
    "YCbCrPositioning",
]
GOALS = {"csv": 2.0, "json": 2.5}


def body_of(fields: dict[str, object], taken: datetime, chance: random.Random) -> str:
    """Return a metadata JSON as scans write them: some 800 bytes of a camera's file, 100 of any other."""
    body: dict[str, object] = {"photoMD5": fields["photo_md5"], "width": fields["width"], "height": fields["height"]}
    if fields["camera_make"]:
        when = f"{taken:%Y:%m:%d %H:%M:%S}"
        exif = {tag: str(chance.randrange(3)) for tag in TAGS}
        exif |= {"Make": fields["camera_make"], "Model": fields["camera_model"], "LensModel": fields["lens_model"]}
        exif |= {"CreateDate": when, "DateTimeOriginal": when, "ModifyDate": when, "ISO": str(fields["iso"])}
        exif |= {"ExposureTime": "0.004", "FNumber": str(fields["aperture"]), "LensInfo": "24 105 4 4"}
        body |= {"exifData": exif, "captureDate": taken.isoformat(), "cameraMake": fields["camera_make"]}
        body |= {"cameraModel": fields["camera_model"], "lensModel": fields["lens_model"], "iso": fields["iso"]}
        body |= {"aperture": fields["aperture"], "shutterSpeed": "1/250", "focalLength": fields["focal_length"]}
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fields_of(number: int, count: int, chance: random.Random) -> tuple[dict[str, object], datetime]:
    """Return the columns of one of `count` photos, and when it was taken."""
    taken = START + timedelta(seconds=number * 700_000_000 // count)
    make, model = chance.choice(CAMERAS) if chance.random() < 0.75 else ("", "")
    has_place = bool(make) and chance.random() < 0.5
    return {
        "directory": f"{taken:%Y/%m} trip {number // 200}",
        "filename": f"IMG_{number:07}.JPG",
        "photo_md5": f"{chance.getrandbits(128):032x}",
        "width": 4032,
        "height": 3024,
        "taken_offset_minutes": 120 if make else None,
        "taken_source": "exif",
        "camera_make": make,
        "camera_model": model,
        "lens_model": f"{model} 24-105mm f/4" if model else "",
        "iso": chance.choice([100, 200, 800]) if make else None,
        "aperture": chance.choice([1.8, 4.0, 5.6]) if make else None,
        "shutter_speed": "1/250" if make else "",
        "focal_length": 35.0 if make else None,
        "latitude": round(chance.uniform(-60, 60), 8) if has_place else None,
        "longitude": round(chance.uniform(-180, 180), 8) if has_place else None,
        "rating": chance.randrange(6) if chance.random() < 0.2 else None,
        "caption": 'On the way home, with "friends"' if chance.random() < 0.1 else "",
        "keywords": ["holiday", "Küste; Strand"] if chance.random() < 0.2 else [],
    }, taken


def fill(count: int) -> UUID:
    """Make a library of `count` photos with metadata; return its id."""
    from django.db import transaction

    from accounts.models import User
    from catalog.models import Library, Photo, PhotoMetadata

    user = User.objects.create(username="exporter")
    library = Library.objects.create(owner=user, name="Bench", root="/nowhere")
    chance = random.Random(15)
    with transaction.atomic():
        for start in range(0, count, BATCH):
            photos, bodies = [], []
            for number in range(start, min(start + BATCH, count)):
                fields, taken = fields_of(number, count, chance)
                photo = Photo(
                    library=library, size_bytes=3_000_000 + number, mtime_ns=1, head_md5=fields["photo_md5"],
                    read_md5=fields["photo_md5"], state="ready", needs_digest=False, media_type="image/jpeg",
                    taken_local=taken, taken_at=taken - timedelta(hours=2), taken_day=int(f"{taken:%Y%m%d}"),
                    added_at=START, later_tried=9, **fields,
                )  # fmt: skip
                photos.append(photo)
                bodies.append(PhotoMetadata(photo_id=photo.pk, body=body_of(fields, taken, chance)))
            Photo.objects.bulk_create(photos, batch_size=500)
            PhotoMetadata.objects.bulk_create(bodies, batch_size=500)
    return library.pk


def reference_query(library: UUID) -> str:
    """Return what one would ask SQLite for the same columns in the same order."""
    return (
        "SELECT p.id, p.photo_md5, l.owner_id, p.library_id, p.directory || '/' || p.filename AS path, p.filename, p.caption, "
        "p.taken_local AS taken_at, p.taken_source, p.added_at, p.size_bytes, p.media_type, p.width, p.height, p.duration_ms, "
        "p.camera_make, p.camera_model, p.lens_model, p.iso, p.aperture, p.shutter_speed, p.focal_length, p.latitude, "
        "p.longitude, p.rating, 0 AS favorite_count, 0 AS share_count, 0 AS note_count, 0 AS album_count, "
        "'true' AS has_media, 'false' AS is_edited, NULL AS original_id, p.keywords, m.body AS metadata, NULL AS archived_at, "
        "NULL AS media_files FROM catalog_photo p JOIN catalog_library l ON l.id = p.library_id "
        "LEFT JOIN catalog_photometadata m ON m.photo_id = p.id "
        f"WHERE p.library_id = '{library.hex}' ORDER BY p.taken_at DESC, p.id"
    )


def reference(format: str, database: Path, library: UUID, folder: Path) -> Figures:
    """Let sqlite3's shell write the rows to a file."""
    script = 'exec sqlite3 -header "-$1" "$2" "$3" > "$4"'
    words = ["sh", "-c", script, "sh", format, str(database), reference_query(library), str(folder / "reference")]
    return measure(words)[0]


def export_command(format: str, library: UUID, folder: Path) -> list[str]:
    """Return the command that exports to a new folder."""
    words = [sys.executable, str(PROJECT / "manage.py"), "export", "--library", str(library), "--format", format]
    return [*words, "--output", str(folder)]


def at_once(count: int, format: str, library: UUID, folder: Path) -> float:
    """Run `count` exports together; return the largest memory of all in MiB, sampled twice a second."""
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(export_command(format, library, folder / str(number)), stdout=subprocess.DEVNULL)
            )
            for number in range(count)
        ]
        largest, done = 0.0, threading.Event()
        while any(process.poll() is None for process in processes):
            largest = max(largest, sum(memory_of(process.pid) for process in processes))
            done.wait(0.5)
        if any(process.returncode for process in processes):
            raise SystemExit("An export failed; run one alone to see why.")
    return largest


def main() -> None:
    """Fill, export, print a line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3, help="By turns; the least CPU of each counts.")
    parser.add_argument("--at-once", type=int, default=0, metavar="N")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        os.environ.setdefault("PHOTOLALA_DATA", str(folder / "data"))
        os.environ["DJANGO_SETTINGS_MODULE"] = "photolala.settings"
        import django

        django.setup()
        from django.core.management import call_command
        from django.db import connection

        from catalog.models import Library

        call_command("migrate", verbosity=0)
        library = Library.objects.filter(name="Bench").values_list("pk", flat=True).first() or fill(options.photos)
        database = Path(str(connection.settings_dict["NAME"]))
        for format, goal in GOALS.items():
            theirs, ours = [], []
            for _ in range(options.runs):
                if connection.vendor == "sqlite":
                    theirs.append(reference(format, database, library, folder).cpu_seconds)
                ours.append(measure(export_command(format, library, folder / "out"))[0])
                shutil.rmtree(folder / "out")
            line: dict[str, object] = {"format": format, "cpu_seconds": round(min(one.cpu_seconds for one in ours), 2)}
            if theirs:
                line["sqlite3_seconds"] = round(min(theirs), 2)
                line["ratio"] = round(min(one.cpu_seconds for one in ours) / min(theirs), 2)
                line["goal"] = goal
            line["largest_mib"] = round(max(one.largest_mib for one in ours), 1)
            print(json.dumps(line), flush=True)
            if options.at_once:
                largest = at_once(options.at_once, format, library, folder / "many")
                print(json.dumps({"format": format, "at_once": options.at_once, "largest_mib": round(largest, 1)}))
                shutil.rmtree(folder / "many")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
