"""What must hold when everything has come to its end: files, rows, snapshot and what people were told agree."""

import hashlib
import io
import json
import math
import re
from collections import Counter
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image

from tests.drills.everything import history
from tests.drills.everything.people import ANYTHING, Journal, last_wishes
from tests.drills.everything.world import MEMBER, OWNER, World
from tests.drills.rating import stars_in

DATE_TAKEN, EXIF = 0x9003, 0x8769
OF_THE_HOUSE = re.compile(r"\.photolala\.(md5|trash|[0-9a-f]{32}\.sqlite)$")
OF_WRITERS = re.compile(r"\.photolala-write-([0-9a-f]{32})-")
MOST_TOLD = 3
NOT_OF_THE_CATALOG = ("photolala.", "security.", "disk.", "tool.", "broker.dead_messages", "clock.jumped")
"""Findings of `doctor` that speak of this machine, or of what the drill did to it."""


@lru_cache(maxsize=2000)
def facts_of(data: bytes) -> tuple[str, int, str]:
    """Return of a JPEG: MD5 of its pixels, the stars in it, when it was taken. Raises if it is not whole."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        taken = image.getexif().get_ifd(EXIF).get(DATE_TAKEN, "")
        return hashlib.md5(image.tobytes()).hexdigest(), stars_in(data), str(taken)


def pixels_of(path: Path) -> str:
    """Return the MD5 of a photo's pixels."""
    return facts_of(path.read_bytes())[0]


def iso(taken: str) -> str:
    """Return EXIF's time as the catalog tells it."""
    return datetime.strptime(taken, "%Y:%m:%d %H:%M:%S").isoformat() if taken else ""


def is_of(path: Path, picture: str) -> bool:
    """Tell whether the file shows this picture."""
    try:
        return pixels_of(path) == picture
    except OSError:
        return False


@dataclass
class Known:
    """What was before a round, and what it brings from outside."""

    pixels: dict[str, str] = field(default_factory=dict)
    """Of each photo of the base, by its id."""
    bodies: dict[str, set[str]] = field(default_factory=dict)
    """MD5s that the files of a picture may have where nothing is written into photos, by its pixels."""
    stars: dict[str, Any] = field(default_factory=dict)
    dates: dict[str, Any] = field(default_factory=dict)
    favourites: dict[str, int] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    """Ids of photos that somebody else removed."""
    came: list[str] = field(default_factory=list)
    """Pixels of pictures that are new."""
    may_be_as_in_the_snapshot: dict[str, set[Any]] = field(default_factory=dict)
    """Stars and dates (`id` + kind) that a restore may bring back."""
    restored_at: float = -math.inf
    """When the last of these restores was asked for."""
    first_snapshot: str = ""
    """MD5 of the one from before anybody gave anything."""
    may_differ: set[str] = field(default_factory=set)
    """Ids of photos that another program wrote at the same moment: only that file and catalog agree is asked."""

    def takes_note_of(self, path: Path) -> None:
        """A file comes, or is edited, from outside."""
        data = path.read_bytes()
        self.bodies.setdefault(facts_of(data)[0], set()).add(hashlib.md5(data).hexdigest())


def what_is(world: World) -> Known:
    """Return what the catalog says before a round."""
    from catalog.models import Favourite, Photo, Snapshot

    known = Known()
    known.first_snapshot = Snapshot.objects.order_by("published_at").values_list("md5", flat=True)[0]
    for photo in Photo.objects.all():
        path, key = world.photos / photo.path, str(photo.pk)
        known.takes_note_of(path)
        known.pixels[key] = pixels_of(path)
        known.stars[key] = photo.rating or 0
        known.dates[key] = photo.taken_local.replace(tzinfo=None).isoformat()
    for photo_id, stars in Favourite.objects.filter(user__username=MEMBER).values_list("photo", "rating"):
        known.favourites[str(photo_id)] = stars
    return known


class Check:
    """One look at everything; `lost` are the sentences about what does not hold."""

    def __init__(self, world: World, known: Known) -> None:
        from catalog.models import Library, Photo, TrashItem

        self.world, self.known = world, known
        self.lost: list[str] = []
        self.about: set[str] = set()
        """Ids of photos that something was lost of."""
        self.library = Library.objects.get()
        self.rows = {str(photo.pk): photo for photo in Photo.objects.select_related("library")}
        self.items = {str(item.pk): item for item in TrashItem.objects.all()}
        journal = Journal(world.journal)
        wishes = journal.wishes()
        ids = {
            photo.filename: key for key, photo in self.rows.items() if photo.state != "missing" or key in known.pixels
        }
        for wish in wishes:
            if wish.photo not in self.rows or self.is_only_a_stop(wish.photo, self.rows[wish.photo]):
                wish.photo = ids.get(wish.name, wish.photo)
        self.wishes = last_wishes(wishes)
        for note in (note for note in journal.notes() if "edited" in note):
            known.bodies.setdefault(note["pixels"], set()).add(note["body"])
            beside = [one for one in wishes if one.photo == note["edited"] and one.end > note["begin"]]
            if any(wish.begin < note["at"] for wish in beside):
                known.may_differ.add(note["edited"])
        self.files = {
            str(path.relative_to(world.photos)): path
            for path in world.photos.rglob("*")
            if path.is_file() and not any(part.startswith(".") for part in path.relative_to(world.photos).parts)
        }
        self.photos = {name: path for name, path in self.files.items() if not name.lower().endswith(".xmp")}

    def run(self) -> list[str]:
        """Look at everything; return what was lost."""
        self.files_and_rows()
        self.trash()
        self.pictures()
        self.what_people_wanted()
        self.snapshot()
        self.nothing_is_left()
        self.doctor()
        return self.lost

    def require(self, holds: object, sentence: str, about: str = "") -> None:
        """Note the sentence, and the photo's id, unless it holds."""
        if not holds:
            self.lost.append(sentence)
            self.about |= {about} - {""}

    def what_happened(self) -> list[str]:
        """Return for the first photos of which something was lost what people and the product did to them, in order."""
        lines = []
        for key in sorted(self.about)[:MOST_TOLD]:
            photo = self.rows.get(key)
            names = [photo.filename.partition("/")[0]] if photo else []
            lines += [f"of {key}:", *history.told(Journal(self.world.journal).notes(), [key], names)]
        return lines

    def files_and_rows(self) -> None:
        """Rows are what a walk of the folder finds; no row without a file, no file without a row."""
        there = {photo.path: photo for photo in self.rows.values() if photo.state != "missing"}
        self.require(
            there.keys() <= self.photos.keys(), f"rows without files: {sorted(there.keys() - self.photos.keys())}"
        )
        self.require(
            self.photos.keys() <= there.keys(), f"files without rows: {sorted(self.photos.keys() - there.keys())}"
        )
        for name in there.keys() & self.photos.keys():
            data, photo = self.photos[name].read_bytes(), there[name]
            says = (photo.size_bytes, photo.mtime_ns, photo.photo_md5, photo.state, photo.needs_digest)
            stat = self.photos[name].stat()
            is_so = (len(data), stat.st_mtime_ns, hashlib.md5(data).hexdigest(), "ready", False)
            self.require(says == is_so, f"{name}: the row says {says}, the file {is_so}")
        counts = {"photo_count": len(there), "missing_count": len(self.rows) - len(there) - len(self.items)}
        for name, count in counts.items():
            self.require(getattr(self.library, name) == count, f"{name} is {getattr(self.library, name)}, not {count}")

    def trash(self) -> None:
        """What the rows say lies in the trash lies there, and nothing else does."""
        folder = self.world.photos / ".photolala.trash"
        lies = {path.name: path for path in folder.iterdir()} if folder.is_dir() else {}
        self.require(
            lies.keys() <= self.items.keys(), f"in the trash without a row: {sorted(lies.keys() - self.items.keys())}"
        )
        for item in self.items.values():
            self.require(item.state == "trashed", f"{item.path} in the trash is {item.state}")
            self.require(self.in_trash(item).is_file(), f"{item.path} is not in the trash")

    def in_trash(self, item: Any) -> Path:
        """Return where the photo of an item is in the trash.

        A mover that met an I/O error on the way back, and again when it gave the photo its name back, leaves it under the
        hidden name, by which it is found, restored and purged.
        """
        from catalog.roots.trash_folder import FOLDER, TAKEN

        place = self.world.photos / FOLDER / str(item.pk) / item.filename
        return place if place.is_file() else next(place.parent.glob(f"{TAKEN}*"), place)

    def pictures(self) -> None:
        """Every picture is there once, whole, and is the photo that it was."""
        known = self.known
        in_trash = {}
        for item in self.items.values():
            path = self.in_trash(item)
            if path.is_file():
                in_trash[str(item.photo_id)] = path
        found: Counter[str] = Counter()
        for path in [*self.photos.values(), *in_trash.values()]:
            try:
                picture, _, _ = facts_of(path.read_bytes())
            except OSError as error:
                self.require(False, f"{path.name} is not whole: {error}")
                continue
            found[picture] += 1
            if self.library.ratings != "file":
                body = hashlib.md5(path.read_bytes()).hexdigest()
                self.require(body in known.bodies.get(picture, ()), f"{path.name} has other bytes, unasked")
        stay = [picture for key, picture in known.pixels.items() if key not in known.gone]
        should = Counter([*stay, *known.came])
        self.require(found == should, f"pictures lost {dict(should - found)}, too many {dict(found - should)}")
        for key, picture in known.pixels.items():
            photo = self.rows.get(key)
            if photo is None:
                self.require(False, f"the photo {key} has no row any more", key)
                continue
            path = in_trash.get(key, self.world.photos / photo.path)
            if key in known.gone:
                self.require(photo.state == "missing", f"{photo.path} was removed but is {photo.state}", key)
            elif path.is_file():
                self.require(facts_of(path.read_bytes())[0] == picture, f"{photo.path} is another photo's id", key)
            else:
                others = [path for path in [*self.photos.values(), *in_trash.values()] if is_of(path, picture)]
                where = [str(path.relative_to(self.world.photos)) for path in others]
                self.require(False, f"{photo.path} ({key}) is {photo.state}; its picture is at {where}", key)

    def what_people_wanted(self) -> None:
        """The last wish that was acknowledged stands, in the catalog and where the policy puts it."""
        from catalog.models import Favourite, FileWrite

        own = dict(Favourite.objects.filter(user__username=OWNER).values_list("photo", "rating"))
        theirs = dict(Favourite.objects.filter(user__username=MEMBER).values_list("photo", "rating"))
        waiting = FileWrite.objects.filter(state__in=["pending", "writing", "failed"])
        for write in waiting.exclude(photo__state="missing"):
            sentence = f"{write.kind} of {write.photo_id} is {write.state}: {write.code} {write.reason}"
            self.require(False, sentence, str(write.photo_id))
        for key, photo in self.rows.items():
            if key in self.known.gone or self.is_only_a_stop(key, photo):
                continue
            where = f"{photo.path} ({key[:8]})"
            item = next((item for item in self.items.values() if str(item.photo_id) == key), None)
            local = photo.taken_local.replace(tzinfo=None).isoformat()
            stars, dates = [photo.rating or 0], [local]
            if item and self.library.ratings == "file":  # after a restore its row speaks of an earlier version
                path = self.in_trash(item)
                if path.is_file():  # else `trash` has said so
                    _, stars_there, taken_there = facts_of(path.read_bytes())
                    stars.append(stars_there)
                    dates.append(iso(taken_there))
            self.expect(where, key, "place", ["trash" if item else "there"], "there")
            self.expect(where, key, "favourite", [theirs.get(photo.pk, 0)], self.known.favourites.get(key, 0))
            self.expect(where, key, "stars", stars, self.known.stars.get(key, 0))
            if key in self.known.dates or (key, "date") in self.wishes:
                self.expect(where, key, "date", dates, self.known.dates.get(key))
            self.require(own.get(photo.pk, 0) == (photo.rating or 0), f"{where}: favourite {own.get(photo.pk, 0)}", key)
            if item is None and (self.world.photos / photo.path).is_file():
                self.file_says(where, photo, local)

    def is_only_a_stop(self, key: str, photo: Any) -> bool:
        """Tell whether a scan saw a photo at this place while it was moved on: what it was given there has to be led on."""
        return photo.state == "missing" and key not in self.known.pixels

    def expect(self, where: str, key: str, kind: str, found: list[Any], before: Any) -> None:
        """Compare what is (in the row, or in a file in the trash) with what may be."""
        wanted, answered = self.wishes.get((key, kind), (set(), -math.inf))
        may_be = {*wanted, *([before] if answered == -math.inf else [])}
        if answered < self.known.restored_at:
            may_be |= self.known.may_be_as_in_the_snapshot.get(key + kind, set())
        if key in self.known.may_differ or ANYTHING in may_be:
            return
        self.require(may_be & set(found), f"{where}: {kind} is {found[0]!r}, not {sorted(map(str, may_be))}", key)

    def file_says(self, where: str, photo: Any, local: str) -> None:
        """Compare the file, or its XMP file, with the row."""
        path = self.world.photos / photo.path
        _, stars, taken = facts_of(path.read_bytes())
        policy, key = self.library.ratings, str(photo.pk)
        if policy == "file":
            self.require(
                stars == (photo.rating or 0), f"{where}: the row says {photo.rating} stars, the file {stars}", key
            )
            self.require(not (photo.rating_held or photo.taken_held), f"{where}: still held", key)
            self.require(iso(taken) == local, f"{where}: the row says {local}, the file {iso(taken)}", key)
        elif policy == "sidecar":
            sidecar = path.with_name(path.name + ".xmp")
            said = stars_in(sidecar.read_bytes()) if sidecar.exists() else stars
            self.require(
                said == (photo.rating or 0), f"{where}: the row says {photo.rating} stars, the XMP file {said}", key
            )

    def snapshot(self) -> None:
        """The current snapshot, in root and cache, holds exactly the rows."""
        from catalog.roots.reach import source_for
        from catalog.snapshots.read import open_snapshot
        from catalog.snapshots.schema import snapshot_name

        md5 = self.library.snapshot_md5
        for place in (self.world.photos, self.world.data / "cache" / source_for(self.library).root_md5):
            pointer = place / ".photolala.md5"
            says = pointer.read_text().split()[:1] if pointer.exists() else []
            self.require(says == [md5], f"the pointer in {place.name} says {says}, the library {md5}")
        path = self.world.photos / snapshot_name(md5)
        if not path.exists():
            self.require(False, f"the snapshot {md5} is not in the root")
            return
        with open_snapshot(path, md5) as snapshot:
            entries = {
                entry.photo_id: (entry.path, entry.size_bytes, entry.mtime_ns, entry.photo_md5, entry.rating)
                for entry in snapshot.entries()
            }
        rows = {
            key: (photo.path, photo.size_bytes, photo.mtime_ns, photo.photo_md5 or None, photo.rating)
            for key, photo in self.rows.items()
            if photo.state != "missing"
        }
        wrong = [
            f"{rows.get(key)} / {entries.get(key)}"
            for key in rows.keys() | entries.keys()
            if rows.get(key) != entries.get(key)
        ]
        self.require(not wrong, f"rows and snapshot differ: {wrong[:3]}")

    def nothing_is_left(self) -> None:
        """No hidden name of ours but snapshots, pointer and trash; nothing staged, no work unfinished."""
        from catalog.models import FileWrite
        from operations.models import Operation

        trashed = {self.in_trash(item) for item in self.items.values()}
        left = [
            str(path.relative_to(self.world.photos))
            for path in self.world.photos.rglob(".*")
            if not OF_THE_HOUSE.match(path.name) and path not in trashed
        ]
        self.require(not left, f"left behind in the folder: {left}")
        for name in left:
            found = OF_WRITERS.search(name)
            write = FileWrite.objects.filter(pk=found[1]).first() if found else None
            if write:
                facts = f"{write.kind} {write.state} {write.code} claimed at {write.claimed_path}"
                self.require(False, f"{name} is of {facts}", str(write.photo_id))
        for name in ("working", "uploads"):
            folder = self.world.data / name
            staged = [str(path.relative_to(folder)) for path in folder.rglob("*")] if folder.is_dir() else []
            self.require(not staged, f"left behind in {name}: {staged[:5]}")
        for operation in Operation.objects.unfinished().exclude(state__in=["pending", "running"]):
            sentence = f"{operation.kind} is {operation.state}: {operation.error_code} {operation.error}"
            self.require(False, f"{sentence} {operation.error_detail[-600:]}")

    def doctor(self) -> None:
        """`doctor` has nothing to say."""
        from django.core.management import call_command

        said = io.StringIO()
        with redirect_stdout(said):
            try:
                call_command("doctor", "--json", stdout=said)
            except SystemExit:
                pass
        for finding in json.loads(said.getvalue().splitlines()[-1])["findings"]:
            is_ours = not finding["code"].startswith(NOT_OF_THE_CATALOG)
            needs = finding["severity"] != "note" and not finding["healed"]
            self.require(not (is_ours and needs), f"doctor: {finding['code']}: {finding['sentence']}")
