"""The operations that are hurt: what lies there before, how each begins, who does what meanwhile."""

import hashlib
import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.drills.everything.oracle import Known, pixels_of
from tests.drills.everything.people import EDITED, Journal, Person
from tests.drills.everything.world import OWNER, World
from tests.photos import make_jpeg

PEOPLE = {"rate": 5.0, "date": 3.0, "trash": 1.0, "restore": 1.5, "undo": 0.7, "favourite": 1.0}
"""What people do beside every operation, and how often compared with the rest."""


@dataclass
class Round:
    """One beginning from the base: what is known of it, and what has been brought so far."""

    world: World
    known: Known
    randomness: random.Random
    number: int = 0
    new: int = 1000
    """The next seed for a picture."""

    def person(self, name: str) -> Person:
        """Return somebody who notes what they wish."""
        own = random.Random(f"{self.randomness.random()}-{name}")
        return Person(name, Journal(self.world.journal), own, lambda: self.world.shared.is_over)

    def picture(self, path: Path) -> Path:
        """Make a photo that nobody has seen yet."""
        self.new += 1
        made = make_jpeg(path, seed=self.new, taken=f"20{self.new % 9 + 10}:03:{self.new % 28 + 1:02} 08:00:00")
        self.known.came.append(pixels_of(made))
        self.known.takes_note_of(made)
        return made


@dataclass(frozen=True)
class Scenario:
    """An operation by name; `kinds` are those of its rows."""

    name: str
    kinds: tuple[str, ...]
    begin: Callable[[Round], None]
    prepare: Callable[[Round], None] = lambda one: None
    people: dict[str, float] = field(default_factory=lambda: PEOPLE)
    spread_seconds: float = 1.2
    is_web: bool = False
    """Done by the request itself, so that this is what is hit."""
    assistants: int = 1
    policies: tuple[str, ...] = ("file", "sidecar", "database")
    """Under which it does anything at all."""
    meanwhile: Callable[[Round], None] | None = None


def _the() -> tuple[Any, Any]:
    from accounts.models import User
    from catalog.models import Library

    return Library.objects.get(), User.objects.get(username=OWNER)


def _quietly(start: Callable[..., object], *words: Any, **named: Any) -> None:
    """Start an operation, unless another one of the library is under way."""
    from operations.running import AlreadyActive

    try:
        start(*words, **named)
    except AlreadyActive:
        pass


# -- scans ------------------------------------------------------------------------------------------------------------


def change_outside(one: Round) -> None:
    """Other programs add photos, give some other words, remove two, and move some."""
    photos, randomness = one.world.photos, one.randomness
    for number in range(8):
        one.picture(photos / "Card new" / f"{one.number}-{number}.JPG")
    if one.number == 0:
        files = {key: photos / path for key, path in paths_of().items()}
        edited = [path for path in files.values() if path.parent.name == EDITED]
        for path in randomness.sample(sorted(edited), 2):
            path.write_bytes(path.read_bytes() + b"other words")
            os.utime(path, (1_600_000_000, 1_600_000_000))
            one.known.takes_note_of(path)
        chosen = randomness.sample(sorted(key for key, path in files.items() if path not in edited), 6)
        for key in chosen[:2]:
            files[key].unlink()
            one.known.gone.add(key)
        for key in chosen[2:]:
            target = photos / "Moved" / files[key].name
            target.parent.mkdir(exist_ok=True)
            files[key].rename(target)


def paths_of() -> dict[str, str]:
    """Return where photos lie, by id."""
    from catalog.models import Photo

    return {str(photo.pk): photo.path for photo in Photo.objects.exclude(state="missing")}


def begin_scan(one: Round) -> None:
    """Somebody changes files, and a scan begins."""
    if one.number:
        change_outside(one)
    one.number += 1

    def ask() -> None:
        from catalog.scanning.requests import start_scan

        _quietly(start_scan, *_the(), confirm_gone=False)

    one.world.call(ask)


def move_outside(one: Round) -> None:
    """Another program moves photos from one folder to another while a scan runs."""
    randomness, journal = random.Random(one.number), Journal(one.world.journal)
    while not one.world.shared.is_over:
        time.sleep(randomness.uniform(0.3, 1.5))
        files = [path for path in one.world.photos.glob("Card ?/*.JPG") if path.parent.name != EDITED]
        if files:
            path = randomness.choice(files)
            target = one.world.photos / randomness.choice(["Card 0", "Card 1", "Moved"]) / path.name
            target.parent.mkdir(exist_ok=True)
            if not target.exists():
                try:
                    path.rename(target)
                except FileNotFoundError:
                    continue  # somebody else was quicker
                journal.note(moved=str(path.relative_to(one.world.photos)), to=target.parent.name)


def edit_outside(one: Round) -> None:
    """Another program writes captions into photos of a folder whose files nobody is writing, time and again."""
    from catalog.models import FileWrite, Photo

    randomness, journal = random.Random(one.number), Journal(one.world.journal)
    while not one.world.shared.is_over:
        time.sleep(randomness.uniform(0.3, 1.5))
        begin = time.monotonic()
        photo = randomness.choice(list(Photo.objects.filter(directory=EDITED).exclude(state="missing")))
        if FileWrite.objects.filter(photo=photo, state__in=["pending", "writing", "failed"]).exists():
            continue
        path = one.world.photos / photo.path
        caption = f"-XMP-dc:Description=At {begin}"
        subprocess.run(["exiftool", "-q", "-overwrite_original", caption, str(path)], check=False)
        body = hashlib.md5(path.read_bytes()).hexdigest()
        journal.note(edited=str(photo.pk), begin=begin, body=body, pixels=pixels_of(path))


# -- what is written into files ---------------------------------------------------------------------------------------


def rate_some(one: Round) -> None:
    """Many photos get stars at once."""
    one.number += 1
    one.world.call(lambda: one.person(f"rates{one.number}").rate(12))


def date_some(one: Round) -> None:
    """Many photos get a date at once."""
    one.number += 1
    one.world.call(lambda: one.person(f"dates{one.number}").date(10))


# -- what comes and goes ----------------------------------------------------------------------------------------------


def begin_import(one: Round) -> None:
    """Somebody imports a card: new photos, some with an XMP file, and some that are there already."""
    one.number += 1
    card = one.world.card / str(one.number)
    for number in range(10):
        made = one.picture(card / f"DSC_{one.number:02}{number:02}.JPG")
        if number < 2:
            made.with_name(made.name + ".xmp").write_text('<x:xmpmeta xmlns:x="adobe:ns:meta/"/>')
            os.utime(made.with_name(made.name + ".xmp"), (1_500_000_000, 1_500_000_000))
    for number in range(3):
        make_jpeg(card / f"OLD_{number}.JPG", seed=number, taken=_taken(number))

    def ask() -> None:
        from catalog.importing.requests import start_folder_import

        _quietly(start_folder_import, *_the(), str(card), "month")

    one.world.call(ask)


def _taken(number: int) -> str:
    return f"20{number % 9 + 10}:{number % 12 + 1:02}:{number % 28 + 1:02} 10:30:{number:02}"


# -- the catalog itself -----------------------------------------------------------------------------------------------


def begin_rebuild(one: Round) -> None:
    """Somebody has the catalog built anew."""
    one.number += 1

    def ask() -> None:
        from catalog.scanning.rebuild import start_rebuild

        _quietly(start_rebuild, *_the(), full=one.number % 2 == 0)

    one.world.call(ask)


def begin_restore(one: Round) -> None:
    """Somebody goes back to an earlier snapshot. What only the catalog said may be as it was then."""
    from catalog.models import Photo

    one.number += 1
    one.known.restored_at = time.monotonic()
    if one.number == 1:
        policy = _the()[0].ratings
        for photo in Photo.objects.all():
            key = str(photo.pk)
            if policy != "file":
                # What lies in the file by now counts again where nobody but it says anything.
                taken = pixels_dates(one.world).get(key)
                one.known.may_be_as_in_the_snapshot[key + "stars"] = {0, one.known.stars[key]}
                one.known.may_be_as_in_the_snapshot[key + "date"] = {taken, one.known.dates[key]}

    def ask() -> None:
        from catalog.history.restore import start_restore
        from catalog.models import Snapshot

        # Not whichever has the earliest date: the clock may have been set back since. Set ahead, old ones are removed.
        if Snapshot.objects.filter(md5=one.known.first_snapshot).exists():
            _quietly(start_restore, *_the(), one.known.first_snapshot)

    one.world.call(ask)
    one.known.restored_at = time.monotonic()  # what was given while it was being asked for may be before or after it


def pixels_dates(world: World) -> dict[str, str]:
    """Return the dates that the photos of the base were made with, by id."""
    from catalog.models import Photo

    found = {}
    for photo in Photo.objects.all():
        number = int(photo.filename[4:8])
        day, hour = _taken(number).split()
        found[str(photo.pk)] = f"{day.replace(':', '-')}T{hour}"
    return found


def begin_export(one: Round) -> None:
    """Somebody has the originals copied into a folder."""
    one.number += 1

    def ask() -> None:
        from exports.destinations.folders import destination_for_command
        from exports.originals.requests import start_folder_export

        library, user = _the()
        destination = destination_for_command(user, one.world.exported)
        _quietly(start_folder_export, user, library, destination)

    one.world.call(ask)


def begin_filing(one: Round) -> None:
    """Somebody has all photos moved into the folders of their dates."""
    one.number += 1
    layout = ["month", "year", "day"][one.number % 3]

    def ask() -> None:
        from catalog.files.filing import start_filing
        from catalog.models import Photo

        library, user = _the()
        start_filing(library, user, list(Photo.objects.exclude(state="missing").values_list("pk", flat=True)), layout)

    one.world.call(ask)


def forget_the_exported(one: Round) -> None:
    """Empty the destination."""
    shutil.rmtree(one.world.exported)
    one.world.exported.mkdir()


SCENARIOS = [
    Scenario("scan", ("scan",), begin_scan, prepare=change_outside, assistants=2, meanwhile=move_outside),
    Scenario("rating", ("write",), rate_some, spread_seconds=2.0, policies=("file", "sidecar")),
    Scenario("dates", ("write",), date_some, spread_seconds=2.0, policies=("file",)),
    Scenario("import", ("import",), begin_import),
    Scenario("trash", (), lambda one: None, is_web=True, spread_seconds=0.2),
    Scenario("rebuild", ("rebuild",), begin_rebuild),
    Scenario("restore", ("restore",), begin_restore, spread_seconds=0.4),
    Scenario("export", ("export_folder",), begin_export, spread_seconds=0.6),
    Scenario("filing", ("filing",), begin_filing, spread_seconds=0.4),
]
