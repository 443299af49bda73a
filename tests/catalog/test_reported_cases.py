"""What public bug reports of other products complain about, held against what a scan says of the same small files.

The cases are beside the project (`tests.corpus.REPORTS`). Here are those whose files only have to be scanned: the files
of all of them are listed and decoded once, as a scan does it, without a database.
"""

import io
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import pytest
from PIL import Image

from catalog.entries.columns import digested_row
from catalog.entries.jobs import job_for, photos_in
from catalog.entries.rows import Claimed
from catalog.media.limits import Limits
from catalog.media.pool import DecoderPool
from catalog.media.results import DigestResult
from catalog.media.task import Job
from catalog.sources.base import Source
from catalog.sources.local import LocalSource
from tests.corpus import REPORTS, needs_reports

pytestmark = needs_reports

NOT_YET: dict[str, str] = {}
"""The cases that are still told wrongly, with what is missing. One that comes right has to leave this list."""

FILE_TIME_NS = int(datetime(2009, 12, 31, 22, 53, 20, tzinfo=UTC).timestamp()) * 10**9
"""What the reports' README gives every file, so that a date taken from it shows."""
TOLERANCE = 6
"""Of a colour value, as JPEG keeps it."""
ENCODED_OTHERWISE = {"K06-lib3-hdr/pq.mp4": 12}
"""Tolerances of videos whose encoder changed the colours: computed exactly, the first frame has 19 where 30 was meant."""


def test_reported_cases() -> None:
    every = json.loads((REPORTS / "cases.json").read_text())
    cases = [case for case in every if case["do"].startswith("scan the folder")]
    told = scanned(sorted({case["case"] for case in cases}))
    wrong = {case["case"]: text for case in cases if (text := difference(case, told.get(case["case"])))}
    texts = [f"{name}: {text}" for name, text in wrong.items() if name not in NOT_YET]
    texts += [f"{name}: right by now, take it off NOT_YET" for name in NOT_YET if name not in wrong]
    if texts:
        pytest.fail("\n".join(texts), pytrace=False)


def scanned(paths: list[str]) -> dict[str, dict[str, Any]]:
    """Return what a scan would tell of the files at `paths`, by path; those that it does not list are absent."""
    with LocalSource(str(REPORTS)) as source, DecoderPool(2, Limits(seconds=60)) as pool:
        return {job.key: shown(job.key, result) for job, result in pool.digest(jobs(source, paths))}


def jobs(source: Source, paths: list[str]) -> Iterator[Job]:
    for folder in sorted({path.rpartition("/")[0] for path in paths}):
        sidecars: dict[str, dict[str, str]] = {}
        for name, (size_bytes, _, _) in photos_in(source.list_directory(folder), sidecars).items():
            path, facts = f"{folder}/{name}", (size_bytes, FILE_TIME_NS)
            if path in paths:
                beside = {kind: f"{folder}/{other}" for kind, other in sidecars.get(name, {}).items()}
                yield job_for(source, "Europe/Berlin", path, path, facts, sidecars=beside)


def shown(path: str, result: DigestResult) -> dict[str, Any]:
    """Return what the cases speak of, as the photo's row would say it."""
    folder, _, name = path.rpartition("/")
    row = digested_row(Claimed(uuid.uuid4(), 1, folder, name, 0, 0, "", ""), result)
    facts = {
        "taken": row["taken_local"].replace(tzinfo=None).isoformat(),
        "at": row["taken_at"].isoformat().replace("+00:00", "Z"),
        "offset": row["taken_offset_minutes"],
        "source": row["taken_source"],
        "state": str(row["state"]),
        "rating": row["rating"],
        "w": row["width"],
        "h": row["height"],
        "lat": row["latitude"],
        "lon": row["longitude"],
    }
    return facts | {"thumbnail_quadrants_rgb": quadrants(result.thumbnail) if result.thumbnail else None}


def quadrants(thumbnail: bytes) -> list[list[int]]:
    picture = Image.open(io.BytesIO(thumbnail)).convert("RGB")
    width, height = picture.size
    places = [(x * width // 4, y * height // 4) for y in (1, 3) for x in (1, 3)]
    return [list(picture.getpixel(place)) for place in places]  # type: ignore[arg-type]


def difference(case: dict[str, Any], told: dict[str, Any] | None) -> str:
    """Return what is wrong, or nothing."""
    if told is None:
        return "not listed"
    expected, tolerance = case["expected"], ENCODED_OTHERWISE.get(case["case"], TOLERANCE)
    wrong = {name: told[name] for name, value in expected.items() if not is_same(name, told[name], value, tolerance)}
    return f"{wrong}, expected { ({name: expected[name] for name in wrong}) }" if wrong else ""


def is_same(name: str, ours: Any, theirs: Any, tolerance: int) -> bool:
    if name == "taken":
        return datetime.fromisoformat(ours) == datetime.fromisoformat(theirs)
    if name == "thumbnail_quadrants_rgb" and ours is not None:
        pairs = zip(chain(*ours), chain(*theirs), strict=True)
        return all(abs(one - other) <= tolerance for one, other in pairs)
    if name in ("lat", "lon") and ours is not None:
        return abs(ours - theirs) < 1e-5
    return bool(ours == theirs)
