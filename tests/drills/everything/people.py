"""What people do during a drill: stars, dates, trash, taking back; each wish is noted before it is made and after its answer.

The notes tell what must stand in the end. A wish whose answer never came may have been done or not; of two that overlap
either may be the last.
"""

import json
import math
import os
import random
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.drills.everything.world import MEMBER, OWNER

KINDS = {
    "rate": "stars",
    "undo": "stars",
    "date": "date",
    "trash": "place",
    "restore": "place",
    "favourite": "favourite",
}
EDITED = "Card 3"
"""The folder in which another program edits photos; people trash none of these, nor does anybody move them."""
ANYTHING = "anything"
"""What a wish leads to whose answer would have told it."""


@dataclass
class Wish:
    """One thing that somebody wanted of a photo; `end` is when the answer came, or when who should answer was killed."""

    do: str
    photo: str
    name: str
    """Of its file, by which a photo is known that was another one for a moment: moved, and seen at its new place first."""
    value: Any
    begin: float
    end: float = math.inf
    is_answered: bool = False
    is_refused: bool = False


class Journal:
    """A file to which all people of a drill append."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def note(self, **facts: Any) -> None:
        """Append one line, in one piece."""
        line = json.dumps({**facts, "at": time.monotonic()}) + "\n"
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)

    def notes(self) -> list[dict[str, Any]]:
        """Return all lines."""
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []

    def wishes(self) -> list[Wish]:
        """Return what was wished, in the order of asking."""
        found: dict[str, Wish] = {}
        for facts in self.notes():
            if "edited" in facts or "moved" in facts:
                continue
            if "killed" in facts:
                for key, wish in found.items():
                    if key.startswith(f"{facts['killed']}.") and wish.end == math.inf:
                        wish.end = facts["at"]
            elif "do" in facts:
                found[facts["key"]] = Wish(facts["do"], facts["photo"], facts["name"], facts["value"], facts["at"])
            else:
                wish = found[facts["key"]]
                # What could not come back out of the trash while the disk was away may do so later, by itself.
                may_be_done = facts["refused"] and wish.do == "restore"
                wish.end, wish.is_answered = facts["at"], not may_be_done
                wish.is_refused = facts["refused"] and not may_be_done
                wish.value = facts.get("value", wish.value)
        return list(found.values())


def last_wishes(wishes: Iterable[Wish]) -> dict[tuple[str, str], tuple[set[Any], float]]:
    """Return for each photo and kind what may stand in the end, and when the last that was answered began (-inf: never)."""
    by_photo: dict[tuple[str, str], list[Wish]] = defaultdict(list)
    for wish in wishes:
        if not wish.is_refused:
            by_photo[wish.photo, KINDS[wish.do]].append(wish)
    found = {}
    for key, own in by_photo.items():
        answered = [wish.begin for wish in own if wish.is_answered]
        latest = max(answered, default=-math.inf)
        found[key] = ({wish.value for wish in own if wish.end >= latest}, latest)
    return found


class Person:
    """Somebody who does one thing after the other, in a process of the drill."""

    def __init__(self, name: str, journal: Journal, randomness: random.Random, is_over: Callable[[], bool]) -> None:
        self.name, self.journal, self.randomness, self.is_over = name, journal, randomness, is_over
        self.count = 0
        self.names: dict[str, str] = {}

    def live(self, mixture: dict[str, float], pause_seconds: float) -> None:
        """Go on until it is over; what the server refuses or cannot do is noted and not repeated."""
        while not self.is_over():
            (do,) = self.randomness.choices(list(mixture), list(mixture.values()))
            try:
                getattr(self, do)()
            except Exception:
                traceback.print_exc()
            time.sleep(self.randomness.uniform(0.0, 2 * pause_seconds))

    def wish(self, do: str, values: dict[str, Any], act: Callable[[], dict[str, Any]]) -> None:
        """Note the wish for each photo, act, note the answer: `act` returns the value of each that was not refused."""
        keys = {}
        for photo, value in values.items():
            self.count += 1
            keys[photo] = f"{self.name}.{self.count}"
            self.journal.note(do=do, key=keys[photo], photo=photo, name=self.names.get(photo, ""), value=value)
        done = act()
        for photo, key in keys.items():
            self.journal.note(key=key, refused=photo not in done, **({"value": done[photo]} if photo in done else {}))

    # -- what people do -----------------------------------------------------------------------------------------------

    def _some(self, count: int = 1) -> list[Any]:
        """Return photos that are there, chosen by chance."""
        from catalog.models import Photo

        photos = list(Photo.objects.exclude(state="missing").select_related("library").order_by("pk"))
        self.names |= {str(photo.pk): photo.filename for photo in photos}
        return self.randomness.sample(photos, min(count, len(photos)))

    def rate(self, count: int = 1) -> None:
        """Give stars, as the owner."""
        from catalog.edits.stars import star_many

        photos, stars = self._some(count), self.randomness.randrange(6)
        keys = [photo.pk for photo in photos]

        def act() -> dict[str, Any]:
            refused = {error["photo_id"] for error in star_many(_user(OWNER), keys, stars)["errors"]}
            return {str(key): stars for key in keys if str(key) not in refused}

        self.wish("rate", {str(key): stars for key in keys}, act)

    def undo(self) -> None:
        """Take back a rating that was written."""
        from catalog.edits.undo import undo_rating
        from catalog.files.queue import NothingToUndo
        from catalog.models import FileWrite

        written = list(FileWrite.objects.filter(kind="rating", state="done").values_list("photo", flat=True))
        for photo in [photo for photo in self._some(40) if photo.pk in written][:1]:

            def act(photo: Any = photo) -> dict[str, Any]:
                try:
                    return {str(photo.pk): undo_rating(photo, _user(OWNER))}
                except NothingToUndo:
                    return {}

            self.wish("undo", {str(photo.pk): ANYTHING}, act)

    def date(self, count: int = 1) -> None:
        """Say when photos were taken."""
        from catalog.edits.dates import Setting, plan, set_dates

        photos = self._some(count)
        local = datetime(2001, 1, 1) + timedelta(minutes=self.randomness.randrange(5_000_000))
        planned = plan(photos, Setting(local))

        def act() -> dict[str, Any]:
            done = set_dates(_user(OWNER), planned)
            return {str(photo.pk): local.isoformat() for photo in photos} if done == len(photos) else {}

        self.wish("date", {str(photo.pk): local.isoformat() for photo in photos}, act)

    def trash(self, count: int = 1) -> None:
        """Delete photos, unless much lies in the trash."""
        from catalog.files.trash import trash_photos
        from catalog.models import TrashItem

        if TrashItem.objects.count() + count > 12:
            return
        photos = [photo for photo in self._some(count) if photo.directory != EDITED]

        def act() -> dict[str, Any]:
            done = trash_photos(_user(OWNER), [photo.pk for photo in photos])
            refused = {error["id"] for error in done.errors}
            return {str(photo.pk): "trash" for photo in photos if str(photo.pk) not in refused}

        self.wish("trash", {str(photo.pk): "trash" for photo in photos}, act)

    def restore(self, count: int = 1) -> None:
        """Bring photos back from the trash."""
        from catalog.files.trash import TrashRefused, restore_items
        from catalog.models import Library, TrashItem

        items = list(TrashItem.objects.filter(state="trashed").exclude(photo=None).order_by("pk"))
        items = self.randomness.sample(items, min(count, len(items)))
        if not items:
            return
        self.names |= {str(item.photo_id): item.filename for item in items}

        def act() -> dict[str, Any]:
            try:
                done = restore_items(_user(OWNER), Library.objects.get(), [item.pk for item in items])
            except TrashRefused:
                return {}
            refused = {error["id"] for error in done.errors}
            back = {str(item.photo_id): "there" for item in items if str(item.pk) not in refused}
            return back if len(back) == done.count else dict.fromkeys(back, ANYTHING)

        self.wish("restore", {str(item.photo_id): "there" for item in items}, act)

    def favourite(self) -> None:
        """Like a photo, as another member of the library."""
        from catalog.edits.stars import star

        (photo,) = self._some()
        stars = self.randomness.randrange(6)

        def act() -> dict[str, Any]:
            star(_user(MEMBER), photo.pk, stars)
            return {str(photo.pk): stars}

        self.wish("favourite", {str(photo.pk): stars}, act)


def _user(name: str) -> Any:
    from accounts.models import User

    return User.objects.get(username=name)
