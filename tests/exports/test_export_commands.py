"""The commands `export` and `export_folder` in real processes: results, exit codes, and kill -9 at random moments."""

import fcntl
import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from exports.ledger.load import load_ledger
from tests.drills.scanning import LIBRARY_ID, Installation, differences
from tests.photos import make_library

PHOTOS = 240


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """A scanned library in an installation of its own."""
    folder = tmp_path_factory.mktemp("commands")
    installed = Installation(folder / "data", make_library(folder / "photos", PHOTOS))
    installed.prepare()
    installed.finish()
    return installed


def start(installation: Installation, *words: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        installation.manage(*words), env=installation.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def run(installation: Installation, *words: str) -> tuple[int, str, str]:
    process = start(installation, *words)
    out, err = process.communicate(timeout=300)
    return process.returncode, out.decode(), err.decode()


def copy_words(folder: Path) -> tuple[str, ...]:
    return "export_folder", "--library", LIBRARY_ID, "--destination", str(folder), "--json"


def contents(folder: Path) -> dict[str, Any]:
    """All files of a destination, and its records but for their times."""
    found: dict[str, Any] = {}
    for path in folder.rglob("*"):
        if path.is_file() and path.parent.name != "ExportRecords":
            found[str(path.relative_to(folder))] = (path.read_bytes(), path.stat().st_mtime_ns)
    for record in load_ledger(folder / "ExportRecords").state.sorted_records():
        body = record.to_json()
        del body["exportDate"]
        found[f"record {record.id}"] = body
    return found


@pytest.mark.parametrize("format", ["json", "csv"])
def test_export_writes_a_folder_and_tells_where(installation: Installation, tmp_path: Path, format: str) -> None:
    words = (
        "export",
        "--library",
        LIBRARY_ID,
        "--format",
        format,
        "--output",
        str(tmp_path / "out"),
        "--include-media",
    )
    code, out, err = run(installation, *words, "--json")
    assert code == 0, err
    result = json.loads(out.splitlines()[-1])
    folder = Path(result["folder"])
    assert folder.parent == tmp_path / "out"
    assert (result["photos"], result["media"], result["failed"]) == (PHOTOS, PHOTOS, 0)
    assert len(list((folder / "media").rglob("*.*"))) == PHOTOS
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "media", f"photos.{format}"]
    code, out, err = run(installation, *words)
    assert code == 0
    assert f"{PHOTOS} photos in {tmp_path}" in out
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_wrong_usage_exits_2_and_writes_nothing(installation: Installation, tmp_path: Path) -> None:
    output = tmp_path / "out"
    for words in (
        ("export", "--library", "x", "--format", "json", "--output", str(output)),
        ("export", "--library", LIBRARY_ID, "--format", "xml", "--output", str(output)),
        ("export", "--library", LIBRARY_ID, "--format", "json", "--output", "/proc/nowhere"),
        ("export_folder", "--library", "x", "--destination", str(output)),
        ("export_folder", "--library", LIBRARY_ID, "--destination", str(installation.root / "inside")),
    ):
        code, _, err = run(installation, *words)
        assert (code, bool(err.strip())) == (2, True), words
    assert not output.exists()
    assert not (installation.root / "inside").exists()


def test_failures_exit_1_and_are_listed(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "data", make_library(tmp_path / "photos", 6))
    installation.prepare()
    installation.finish()
    gone = next(path for path in sorted(installation.root.rglob("*.JPG")) if path.is_file())
    gone.unlink()
    code, out, _ = run(installation, *copy_words(tmp_path / "copies"))
    result = json.loads(out.splitlines()[-1])
    assert (code, result["failed"], result["copied"]) == (1, 1, 5)
    words = (
        "export",
        "--library",
        LIBRARY_ID,
        "--format",
        "json",
        "--output",
        str(tmp_path / "out"),
        "--include-media",
    )
    code, out, _ = run(installation, *words, "--json")
    result = json.loads(out.splitlines()[-1])
    assert (code, result["failed"], result["photos"]) == (1, 1, 6)


@pytest.mark.slow
@pytest.mark.promise("S0-001", "S0-032", "S0-U06", "S0-U08", "S0-X05", "S0-X07")
def test_a_folder_export_killed_at_random_moments_ends_like_an_undisturbed_one(
    installation: Installation, tmp_path: Path
) -> None:
    code, out, err = run(installation, *copy_words(tmp_path / "a"))
    assert code == 0, err
    assert json.loads(out.splitlines()[-1])["copied"] == PHOTOS
    copying_seconds = json.loads(out.splitlines()[-1])["seconds"]
    randomness = random.Random(7)
    found_between = set()
    for _ in range(8):
        process = start(installation, *copy_words(tmp_path / "b"))
        lock = tmp_path / "b" / "ExportRecords" / "export-records.lock"
        while process.poll() is None and not is_locked(lock):
            time.sleep(0.002)
        time.sleep(randomness.uniform(0, copying_seconds / 5))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        found_between.add(len(list((tmp_path / "b").rglob("*.JPG"))))
    assert any(0 < count < PHOTOS for count in found_between), found_between
    code, out, err = run(installation, *copy_words(tmp_path / "b"))
    assert code == 0, err
    result = json.loads(out.splitlines()[-1])
    assert result["copied"] + result["skipped"] + result["adopted"] == PHOTOS
    assert differences(contents(tmp_path / "a"), contents(tmp_path / "b")) == []
    assert not list((tmp_path / "b").rglob("*.partial"))


def is_locked(path: Path) -> bool:
    """Tell whether a process holds the ledger."""
    if not path.exists():
        return False
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@pytest.mark.slow
@pytest.mark.promise("S3-U03")
def test_an_export_killed_at_random_moments_leaves_nothing_that_looks_complete(
    installation: Installation, tmp_path: Path
) -> None:
    words = (
        "export",
        "--library",
        LIBRARY_ID,
        "--format",
        "json",
        "--output",
        str(tmp_path),
        "--include-media",
        "--json",
    )
    randomness = random.Random(3)
    was_partial = False
    for _ in range(5):
        process = start(installation, *words)
        while process.poll() is None and not list(tmp_path.glob(".partial-*/photos.json")):
            time.sleep(0.002)
        time.sleep(randomness.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        was_partial = was_partial or bool(list(tmp_path.glob(".partial-*")))
        for folder in tmp_path.glob("2*"):
            assert (folder / "manifest.json").is_file()
    assert was_partial
    code, out, err = run(installation, *words)
    assert code == 0, err
    folder = Path(json.loads(out.splitlines()[-1])["folder"])
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert manifest["counts"] == {"photos": PHOTOS, "media": PHOTOS, "missing_media": 0}
    assert not list(tmp_path.glob(".partial-*"))
