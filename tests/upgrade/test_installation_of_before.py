"""An installation that the version before the rooms made goes on after the update, with all that waited in it.

`before_rooms.tar.xz` was made by the version of 28 November 2026 (fe7f3b1): a library of four photos, one of them with five
stars in its file, one whose three stars wait to be written, one with a favourite of a member, one in the trash; a fifth
file that a scan is to find; and the messages for both pending operations in the broker's file.
"""

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import tarfile
from pathlib import Path

from catalog.sources.local import LocalSource

HERE = Path(__file__).parent
RATED_BEFORE = "f86242ad66d56839b8b29b807d545c02"
"""The MD5 of IMG_0.JPG before the first version wrote five stars into it."""


def unpack(folder: Path) -> Path:
    """Unpack the installation and tell it where it is now; return the folder of its photos."""
    with tarfile.open(HERE / "before_rooms.tar.xz") as packed:
        packed.extractall(folder, filter="data")
    photos = folder / "photos"
    with sqlite3.connect(folder / "data" / "photolala.sqlite3") as database:
        database.execute("UPDATE catalog_library SET root = ?", (str(photos),))
    database.close()
    (mirror,) = (path for path in (folder / "data" / "cache").iterdir() if len(path.name) == 32)
    with LocalSource(photos) as source:
        mirror.rename(mirror.with_name(source.root_md5))
    return photos


def test_what_waited_before_the_update_is_done_after_it(tmp_path):
    photos = unpack(tmp_path)
    known = (photos / ".photolala.md5").read_bytes()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PHOTOLALA_", "DJANGO_"))},
        "PHOTOLALA_DATA": str(tmp_path / "data"),
        "PHOTOLALA_ROOTS": str(photos),
        "PHOTOLALA_DECODERS": "1",
        "PHOTOLALA_HOSTS": "testserver",
    }
    ran = subprocess.run(
        [sys.executable, "-m", "tests.upgrade.go_on"],
        cwd=HERE.parents[1],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout.splitlines()[-1])

    assert told["delivered"][:2] == ["operations.run"] * 2  # the messages of the earlier version
    assert told["operations"] == [
        ["scan", "completed", ""],
        ["scan", "completed", ""],
        ["write", "completed", ""],
        ["write", "completed", ""],
    ]
    assert told["photos"] == {
        "IMG_0.JPG": ["ready", 5, False],
        "IMG_1.JPG": ["ready", 3, False],
        "IMG_2.JPG": ["ready", None, False],
        "IMG_3.JPG": ["missing", None, False],
        "IMG_4.JPG": ["ready", None, False],
    }
    assert told["ids"]["IMG_1.JPG"] == "7e23958b-b71d-5738-ae88-e5484c7420be"  # given by the earlier version
    assert told["writes"] == [["IMG_0.JPG", "done"], ["IMG_1.JPG", "done"]]
    assert told["favourites"] == [["IMG_2.JPG", 2]]
    assert (
        told["snapshot"].encode() not in known and told["snapshot"].encode() in (photos / ".photolala.md5").read_bytes()
    )
    # What the earlier version kept to take a rating back, and what it moved into the trash, still serve.
    assert told["delivered_later"] and told["after_undo"] == RATED_BEFORE
    assert hashlib.md5((photos / "2024" / "IMG_0.JPG").read_bytes()).hexdigest() == RATED_BEFORE
    assert told["restored"] == [1, []] and (photos / "2024" / "IMG_3.JPG").is_file()
    assert told["seen_by_bob"] == 5
