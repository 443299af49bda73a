"""A library whose files move, and people who give stars, dates and favourites meanwhile: for the drills of moves."""

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from catalog.edits.dates import Setting, plan, set_dates
from catalog.edits.stars import star
from catalog.entries import pending_writes
from catalog.models import Favourite, FileWrite, Library, Membership, Photo
from catalog.scanning.scan import Scan
from catalog.sources.local import LocalSource
from operations.models import Operation, State
from operations.running import execute, start
from photolala.lib.paths import escape_path
from tests.photos import make_jpeg

POLICIES = [policy.value for policy in Library.Ratings]
FOLDERS = ("a", "m", "z")


def library_of(owner: Any, root: Path, *, ratings: str = "file", editor: Any = None, photos: int = 3) -> Library:
    """Make a library over three folders, walked in this order, with `photos` in the first, two in the others; not scanned."""
    for number in range(photos):
        make_jpeg(root / "a" / f"{number}.jpg", seed=number, mtime=1_500_000_000 + number)
    for number, folder in ((90, "m"), (91, "m"), (95, "z"), (96, "z")):
        make_jpeg(root / folder / f"{number}.jpg", seed=number, mtime=1_500_000_000 + number)
    library = Library.objects.create(owner=owner, name="Moving", root=escape_path(os.fsencode(root)), ratings=ratings)
    if editor:
        Membership.objects.create(library=library, user=editor, role=Membership.Role.EDITOR)
    return library


def begin(library: Library, **params: Any) -> Operation:
    """Start a scan and leave it pending."""
    key = library.scan_key
    return start("scan", library.owner, active_key=key, params={"library": str(library.pk), **params}, enqueue=False)


def scan(library: Library, **params: Any) -> Operation:
    """Scan to the end; return the operation."""
    operation = execute(begin(library, **params).pk)
    assert operation is not None and operation.state == State.COMPLETED, (operation.error, operation.error_detail)
    library.refresh_from_db()
    return operation


def write_all(library: Library) -> None:
    """Write what is due into the files."""
    operation = pending_writes.start_writing(library, library.owner)
    done = execute(operation.pk) if operation else None
    assert done is None or done.state == State.COMPLETED, (done.error, done.error_detail)


def move(library: Library, source: str, target: str) -> None:
    """Move a file as another program does."""
    root = Path(library.root)
    (root / target).parent.mkdir(parents=True, exist_ok=True)
    (root / source).rename(root / target)


def after_listing(monkeypatch: Any, folder: str, act: Callable[[], None]) -> None:
    """Do `act` once, right after a walk has listed `folder` and before it lists the next one."""
    walk, done = LocalSource.walk, []

    def walked(self: LocalSource) -> Any:
        for directory in walk(self):
            yield directory
            if directory.path == folder and not done:
                done.append(True)
                act()

    monkeypatch.setattr(LocalSource, "walk", walked)


def before_the_end(monkeypatch: Any, act: Callable[[], None]) -> None:
    """Do `act` once, when a scan has read everything and has not yet looked for moves."""
    finish, done = Scan.finish, []

    def finished(self: Scan, *arguments: Any) -> Any:
        if not done:
            done.append(True)
            act()
        return finish(self, *arguments)

    monkeypatch.setattr(Scan, "finish", finished)


def at(library: Library, path: str) -> Photo:
    """Return the photo at a path."""
    directory, _, filename = path.rpartition("/")
    return Photo.objects.get(library=library, directory=directory, filename=filename)


def give_date(user: Any, photo: Photo, day: str) -> None:
    """Say that the photo was taken at noon of `day`."""
    set_dates(user, plan([photo], Setting(datetime.fromisoformat(f"{day}T12:00:00"))))


def give(owner: Any, member: Any, photo: Photo, stars: int, day: str) -> None:
    """Let the owner rate and date the photo, and the member like it with as many stars."""
    star(owner, photo.pk, stars)
    give_date(owner, photo, day)
    star(member, photo.pk, stars)


def said(photo: Photo, member: Any) -> dict[str, Any]:
    """Return what the catalog says that people gave."""
    photo.refresh_from_db()
    likes = dict(Favourite.objects.filter(photo=photo).values_list("user__username", "rating"))
    return {
        "stars": photo.rating or 0,
        "day": f"{photo.taken_local:%Y-%m-%d}",
        "owner likes": likes.get(photo.library.owner.username, 0),
        "member likes": likes.get(member.username, 0),
    }


def expected(stars: int, day: str) -> dict[str, Any]:
    """Return what `said` gives after `give`."""
    return {"stars": stars, "day": day, "owner likes": stars, "member likes": stars}


def open_writes(library: Library) -> list[str]:
    """Return what still waits to be written, by kind."""
    waiting = FileWrite.objects.filter(library=library, state__in=FileWrite.OPEN)
    return sorted(waiting.values_list("kind", flat=True))
