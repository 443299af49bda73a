"""Stars, dates, scans, restores, rebuilds and new servers in any order, killed anywhere: the last wish of each stands."""

import importlib
import os
import random
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from catalog.edits.dates import Setting, plan, set_dates
from catalog.edits.ratings import set_ratings
from catalog.history.restore import start_restore
from catalog.libraries import adding, forget
from catalog.models import Favourite, FileWrite, Photo
from catalog.scanning.rebuild import start_rebuild
from operations.models import Operation, State
from operations.running import execute, start
from tests.drills.acknowledged.test_13_restore import assert_snapshot_says_the_same
from tests.factories import make_jpeg

pytestmark = pytest.mark.django_db
PHOTOS = 5
STEPS = int(os.environ.get("DRILL_STEPS", "14"))
KILLED_AT = [
    "catalog.history.publish:publish_written",
    "catalog.history.publish:publish",
    "catalog.entries.counts:refresh_counts",
    "catalog.history.publish:mark_present",
    "catalog.snapshots.claimed:ClaimedFolder._rename",
    "catalog.snapshots.claimed:ClaimedFolder.clear",
    "catalog.history.switch:Switch.apply",
    "catalog.history.switch:Switch._write",
    "catalog.history.switch:planned",
    "catalog.history.restore_plan:Plan.merge",
    "catalog.scanning.rebuild_work:RebuildWork.identify",
    "catalog.scanning.scan:Scan.finish",
    "catalog.entries.rows:apply_digests",
]


class Killed(BaseException):
    """As if the process had ended here."""


class Story:
    """A library, what its photos were last said to be, and what each of its snapshots said."""

    def __init__(self, alice, root: Path, policy: str, seed: int, monkeypatch, settings) -> None:
        self.random = random.Random(seed)
        self.alice, self.root, self.policy = alice, root, policy
        self.monkeypatch, self.settings = monkeypatch, settings
        self.servers = 0
        self.wanted: dict[str, tuple] = {f"{number}.jpg": (None, None) for number in range(PHOTOS)}
        self.said: dict[str, dict[str, tuple]] = {}
        self.told: list[str] = []
        for number in range(PHOTOS):
            (root / f"{number}.jpg").write_bytes(make_jpeg(seed=number))
            os.utime(root / f"{number}.jpg", (1_600_000_000, 1_600_000_000))
        self.library = adding.add_library(alice, str(root), ratings=policy)
        self.scan()

    def photo(self) -> Photo | None:
        """Choose a photo; None if the catalog does not have it yet."""
        return Photo.objects.filter(library=self.library, filename=f"{self.random.randrange(PHOTOS)}.jpg").first()

    def rate(self) -> None:
        photo, stars = self.photo(), self.random.randrange(6)
        if photo is None or self.policy == "sidecar":
            return
        self.told.append(f"rate {photo.filename} {stars}")
        set_ratings(self.alice, [photo.pk], stars)
        self.wanted[photo.filename] = (stars or None, self.wanted[photo.filename][1])

    def date(self) -> None:
        photo, day = self.photo(), self.random.randrange(1, 28)
        if photo is None:
            return
        self.told.append(f"date {photo.filename} {day}")
        set_dates(self.alice, plan([photo], Setting(datetime(2001, 1, day))))
        self.wanted[photo.filename] = (self.wanted[photo.filename][0], f"2001-01-{day:02}T00:00:00")

    def scan(self) -> None:
        params = {"library": str(self.library.pk)}
        self.run(start("scan", self.alice, active_key=self.library.scan_key, params=params, enqueue=False))

    def restore(self) -> None:
        md5 = self.random.choice(sorted(self.said))
        if self.policy != "file":  # where all stars and dates wait for their files, nothing takes them away
            self.wanted = dict(self.said[md5])
        self.run(start_restore(self.library, self.alice, md5, enqueue=False), wishes=False)

    def rebuild(self) -> None:
        self.run(start_rebuild(self.library, self.alice, full=self.random.random() < 0.5, enqueue=False))

    def move(self) -> None:
        """Forget the library, and add its folder on a server that knows nothing of it."""
        self.scan()
        self.told.append("new server")
        forget.forget_library(self.library)
        Operation.objects.all().delete()
        self.servers += 1
        cache = self.settings.STORAGES["cache"]
        options = {**cache["OPTIONS"], "location": f"{cache['OPTIONS']['location']}-{self.servers}"}
        self.settings.STORAGES = {**self.settings.STORAGES, "cache": {**cache, "OPTIONS": options}}
        self.library = adding.add_library(self.alice, str(self.root), ratings=self.policy)
        self.said.clear()
        self.scan()

    def run(self, operation: Operation, *, wishes: bool = True) -> None:
        """Do it, killed now and then, while people go on."""
        self.told.append(operation.kind)
        for _ in range(3):
            with self.monkeypatch.context() as patch:
                self._die_somewhere(patch)
                try:
                    execute(operation.pk)
                except Killed:
                    self.told.append("killed")
                else:
                    break
            if wishes and self.random.random() < 0.5:
                self.random.choice([self.rate, self.date])()
            Operation.objects.filter(pk=operation.pk).update(
                lease_until=timezone.now() - timedelta(seconds=1), worker=""
            )
        operation.refresh_from_db()
        if operation.state != State.COMPLETED:
            execute(operation.pk)
            operation.refresh_from_db()
        assert operation.state == State.COMPLETED, (self.told, operation.error, operation.error_detail)
        self.library.refresh_from_db()
        if self.library.snapshot_revision == self.library.revision:
            self.said[self.library.snapshot_md5] = dict(self.wanted)

    def _die_somewhere(self, patch) -> None:
        module, _, path = self.random.choice(KILLED_AT).partition(":")
        owner = importlib.import_module(module)
        *owners, name = path.split(".")
        for part in owners:
            owner = getattr(owner, part)
        original = getattr(owner, name)
        left = self.random.randrange(1, 6)

        def step(*arguments, **options):
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed
            return original(*arguments, **options)

        patch.setattr(owner, name, step)

    def check(self) -> None:
        rows = Photo.objects.filter(library=self.library)
        found = {row.filename: (row.rating, row.taken_text if row.taken_held else None) for row in rows}
        assert found == self.wanted, self.told
        liked = dict(Favourite.objects.filter(photo__library=self.library).values_list("photo__filename", "rating"))
        assert liked == {name: stars for name, (stars, _) in self.wanted.items() if stars}, self.told


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(int(os.environ.get("DRILL_SEEDS", "2"))))
@pytest.mark.parametrize("policy", ["database", "sidecar", "file"])
def test_the_last_wish_of_each_stands(alice, tmp_path, monkeypatch, settings, policy, seed):
    settings.PHOTO_ROOTS = [str(tmp_path)]
    root = tmp_path / "photos"
    root.mkdir()
    story = Story(alice, root, policy, seed, monkeypatch, settings)
    for _ in range(STEPS):
        acts = [story.rate, story.rate, story.date, story.scan, story.restore, story.rebuild]
        if policy != "file" and story.said:
            acts.append(story.move)
        act = story.random.choice([one for one in acts if one != story.restore or story.said])
        act()
        story.check()
    story.scan()
    story.check()
    assert_snapshot_says_the_same(story.library)
    assert policy == "file" or not FileWrite.objects.exists()
    assert not [path.name for path in root.iterdir() if ".claim-" in path.name]
