"""A backup of a whole server goes to a fresh one, in real processes that are killed on the way, and comes out the same.

By hand, with 5,000 photos, killed 20 times at random moments of each:
`python -m tests.drills.backup_trip --photos 5000 --kills 20 [--databases sqlite,postgresql,sqlite --server URL]`.
A process does all that happens on one server; whatever is to be killed is a fork of it.
"""

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from tests.installations import PROJECT, drop_database, own_environment, put_database

SPACE = UUID("3a1f7c10-0e6d-4c55-9a41-5f0c2f8e3d1b")
ROOT = uuid5(SPACE, "root")
LIBRARY = uuid5(SPACE, "library")
JOINED = datetime(2024, 1, 1, tzinfo=UTC)
BACKUP_STEPS = (
    ("exports.backup.folder:BackupFolder.copy_media", "after"),
    ("exports.backup.folder:BackupFolder.finish", "before"),
    ("exports.backup.folder:BackupFolder.publish", "after"),
)
RESTORE_STEPS = (
    ("exports.restore.run:put_media", "after"),
    ("exports.restore.run:restore_facts", "after"),
    ("exports.restore.run:RestoreRun._note", "after"),  # all is written, and not committed
    ("exports.restore.run:_result", "before"),  # it is committed, and nobody was told
)
Step = tuple[str, str]


def server(database: dict[str, str], folder: Path, words: Sequence[str]) -> dict[str, Any]:
    """Run `words` (see `main`) as a server with its data in `folder`; return what it says."""
    environment = own_environment(folder / "data", **database, PHOTOLALA_ROOTS=str(folder.parent / "photos"))
    command = [sys.executable, "-m", "tests.drills.backup_trip", *words]
    done = subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def travel(
    folder: Path, databases: Sequence[str], photos: int, *, kills: int | None = None
) -> tuple[list[Path], list[dict[str, Any]]]:
    """Let a backup go from server to server, whose databases are named (a URL, or "" for SQLite).

    Each but the first restores the backup of the one before, gets the photos, and makes its own. With `kills` each backup and
    restore is killed so many times at random, with none at each of the steps above, once. Return backups and figures.
    """
    (folder / "photos").mkdir(parents=True)
    backups: list[Path] = []
    figures = []
    for number, url in enumerate(databases):
        place = folder / f"server {number}"
        database = put_database(place / "data", url, is_empty=True)
        words = ["--photos", str(photos), "--output", str(place / "backups")]
        words += ["--restore", str(backups[-1])] if backups else []
        words += ["--kills", str(kills)] if kills is not None else []
        try:
            figures.append(server(database, place, words))
        finally:
            for one in database.values():
                drop_database(one)
        (made,) = (place / "backups").iterdir()
        backups.append(made)
    return backups, figures


def be_a_server(photos: int, output: Path, restored: Path | None, kills: int | None) -> dict[str, Any]:
    """Do all that happens on one server; return figures: seconds of CPU, and how often what was killed."""
    from django.core.management import call_command

    from catalog.models import Album
    from exports.restore.waiting import join_waiting

    make_administrator()
    output.mkdir(parents=True)
    figures: dict[str, Any] = {}
    if restored is None:
        make_world(photos, output.parents[1] / "photos")
    else:

        def require_nothing(step: Step) -> None:
            assert Album.objects.exists() == (step == RESTORE_STEPS[-1]), f"Killed {step}: it is not all or nothing"

        words = ("restore", str(restored), "--user", "root", "--mode", "merge")
        figures["restore"] = done_in_the_end(
            lambda: call_command(*words), RESTORE_STEPS, kills, require_nothing, is_done=Album.objects.exists
        )
        begin = _cpu()
        put_photos(photos)
        figures["arrive"] = round(_cpu() - begin, 2)
        begin = _cpu()
        figures["joined"] = join_waiting()
        figures["join"] = round(_cpu() - begin, 2)
    words = ("backup", "--user", "root", "--everything", "--output", str(output))
    figures["backup"] = done_in_the_end(
        lambda: call_command(*words), BACKUP_STEPS, kills, is_done=lambda: any(output.glob("backup_*"))
    )
    return figures


def done_in_the_end(
    work: Callable[[], object],
    steps: Sequence[Step],
    kills: int | None,
    check: Callable[[Step], None] = lambda step: None,
    *,
    is_done: Callable[[], bool],
) -> dict[str, Any]:
    """Do `work` in forks that are killed, then in one that is not; `check` what is there after each step."""
    killed = 0
    if kills is None:
        for step in steps:
            assert _in_a_fork(work, step=step) == signal.SIGKILL, f"{step} is not reached"
            killed += 1
            check(step)
    longest = 2.0
    for _ in range(kills or 0):
        if is_done():
            break
        began = time.monotonic()
        is_killed = _in_a_fork(work, after=random.uniform(0, longest)) == signal.SIGKILL
        killed += is_killed
        longest = longest * 1.2 if is_killed else time.monotonic() - began
    begin = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert _in_a_fork(work) == 0
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"killed": killed, "cpu": round(end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime, 2)}


def _in_a_fork(work: Callable[[], object], step: Step | None = None, after: float | None = None) -> int:
    """Do it in a fork, which ends at the step, or is killed after so many seconds; return the signal, or 0."""
    from django.db import connections

    from tests.drills.stopping import stop_at

    connections.close_all()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.dup2(2, 1)
            if step is not None:
                stop_at(*step, "kill", 1)
            work()
            code = 0
        finally:
            os._exit(code)
    if after is not None:
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "The command failed."
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def make_administrator() -> None:
    """Make the person who makes and restores backups, the same on each server."""
    from accounts.models import User

    fields = {"is_superuser": True, "is_staff": True, "date_joined": JOINED, "password": "!"}
    User.objects.create(pk=ROOT, username="root", **fields)


def put_photos(count: int) -> None:
    """Let the library have its photos, as a scan does: with the ids that they have wherever it is."""
    from catalog.models import Photo

    library = LIBRARY
    start = datetime(2024, 5, 17, 12, tzinfo=UTC)
    rows = []
    for number in range(count):
        taken = start + timedelta(minutes=number)
        key = uuid5(SPACE, f"photo {number}")
        rows.append(
            Photo(
                pk=key, library_id=library, directory=f"{number // 100}", filename=f"{number}.jpg", size_bytes=number + 1,
                mtime_ns=0, head_md5=key.hex, photo_md5=key.hex, read_md5=key.hex, state="ready", needs_digest=False,
                media_type="image/jpeg", width=64, height=48, taken_local=taken, taken_at=taken,
                taken_day=int(taken.strftime("%Y%m%d")), taken_source="exif", added_at=JOINED,
            )
        )  # fmt: skip
    Photo.objects.bulk_create(rows, batch_size=500)


def make_world(count: int, root: Path) -> None:
    """Let two people say something of all photos, and make albums, notes and drafts of them."""
    import io

    from accounts.models import User
    from catalog.albums import albums, drafts, items, media, members, notes
    from catalog.edits import captions, dates, favourites, ratings
    from catalog.models import Library, Membership, Photo

    alice, bob = User.objects.create_user("alice"), User.objects.create_user("bob")
    library = Library.objects.create(pk=LIBRARY, owner=alice, name="Drill", root=str(root))
    Membership.objects.create(library=library, user=bob, role="viewer")
    put_photos(count)
    photos = list(Photo.objects.select_related("library").order_by("taken_at"))
    keys = [photo.pk for photo in photos]
    for stars in range(6):
        ratings.set_ratings(alice, keys[stars::6], stars)
    captions.set_captions(alice, {key: f"Caption “{number}” ☀" for number, key in enumerate(keys[::2])})
    dates.set_dates(alice, dates.plan(photos[::4], dates.Setting(datetime(2023, 3, 4, 5, 6, 7), 60)))
    favourites.set_favourites(bob, keys[::5], 3)
    kept = [media.keep(alice, io.BytesIO(b"sound %d" % number).read, "audio/mpeg") for number in range(3)]
    for number in range(max(1, count // 10)):
        held = [{"media_md5": kept[number % 3].md5, "name": "bells.mp3"}, {"photo": str(keys[number])}]
        fields = {"content": f"Note {number}", "attachments": held, "notedAt": "2024-05-17T12:30:00.25+02:00"}
        note = notes.create(alice, uuid5(SPACE, f"note {number}"), fields)
    for number in range(max(1, count // 50)):
        album = albums.create(alice, uuid5(SPACE, f"album {number}"), {"title": f"Album {number}"})
        some = keys[number * 50 : number * 50 + 50]
        items.add(alice, album.pk, [items.Target("photo", key) for key in some] + [items.Target("note", note.pk)])
        albums.patch(alice, album.pk, {"cover": str(some[0])})
        members.set_member(alice, album.pk, bob, "editor")
        block = {"id": "1", "type": "image", "attachment": {"photo": str(some[-1])}}
        drafts.create(alice, uuid5(SPACE, f"draft {number}"), {"blocks": [block], "albums": [str(album.pk)]})


def _cpu() -> float:
    times = os.times()
    return times.user + times.system


def main() -> None:
    """Be one server of a journey (with --output), or the whole journey."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=5000)
    parser.add_argument("--kills", type=int)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--restore", type=Path)
    parser.add_argument("--databases", default="sqlite,sqlite")
    parser.add_argument("--server", default="", help="URL of a database of a PostgreSQL server.")
    options = parser.parse_args()
    if options.output:
        import django

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "photolala.settings")
        import photolala.celery  # noqa: F401

        django.setup()
        print(json.dumps(be_a_server(options.photos, options.output, options.restore, options.kills)))
        return
    names = {"sqlite": "", "postgresql": options.server}
    with tempfile.TemporaryDirectory() as folder:
        databases = [names[name] for name in options.databases.split(",")]
        backups, figures = travel(Path(folder), databases, options.photos, kills=options.kills)
        from tests.exports.restore.bundles import comparable

        for made in backups[1:]:
            first, again = comparable(backups[0]), comparable(made)
            differing = [name for name in first.keys() | again.keys() if first.get(name) != again.get(name)]
            print("differs:", ", ".join(differing) or "nothing")
        print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
