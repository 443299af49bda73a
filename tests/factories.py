"""Make people, libraries and photos for tests: real small JPEG files, and the rows that a scan would have written."""

import hashlib
import io
import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from PIL import Image

from accounts.models import User
from catalog.models import Library, Membership, Photo
from catalog.models.photo import UNDATED

PASSWORD = "correct horse battery"
_numbers = itertools.count(1)


def make_user(username: str, **fields: Any) -> User:
    """Make a user with PASSWORD."""
    return User.objects.create_user(username, password=PASSWORD, **fields)


def make_jpeg(width: int = 64, height: int = 48, seed: int = 0) -> bytes:
    """Return a JPEG whose bytes differ for each `seed`."""
    colour = (seed * 37 % 256, seed * 59 % 256, seed * 83 % 256)
    stream = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(stream, "JPEG", comment=f"number {seed}".encode())
    return stream.getvalue()


def make_library(owner: User, root: Path, *, name: str = "Holidays", members: dict[User, str] | None = None) -> Library:
    """Make a library row for the folder `root` (made if absent), with `members` (user -> role)."""
    root.mkdir(parents=True, exist_ok=True)
    library = Library.objects.create(owner=owner, name=name, root=str(root))
    for user, role in (members or {}).items():
        Membership.objects.create(library=library, user=user, role=role)
    return library


def make_photo(
    library: Library,
    path: str = "",
    *,
    data: bytes | None = None,
    taken: datetime | None = datetime(2024, 5, 17, 12, tzinfo=UTC),
    on_disk: bool = True,
    **fields: Any,
) -> Photo:
    """Make a photo's row, and its file below the library's root; digested unless `fields` say otherwise."""
    number = next(_numbers)
    path = path or f"IMG_{number:04}.JPG"
    data = make_jpeg(seed=number) if data is None else data
    file = Path(library.root) / path
    if on_disk:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    directory, _, filename = path.rpartition("/")
    wall = taken or UNDATED
    values = {
        "size_bytes": len(data),
        "mtime_ns": file.stat().st_mtime_ns if on_disk else 0,
        "head_md5": hashlib.md5(data[:4096]).hexdigest(),
        "photo_md5": hashlib.md5(data).hexdigest(),
        "state": Photo.State.READY,
        "needs_digest": False,
        "media_type": "image/jpeg",
        "width": 64,
        "height": 48,
        "placeholder": "#405060",
        "taken_local": wall,
        "taken_at": wall,
        "taken_day": int(wall.strftime("%Y%m%d")) if taken else 0,
        "taken_source": "exif" if taken else "",
        "added_at": datetime(2026, 1, 1, tzinfo=UTC),
        **fields,
    }
    values.setdefault("read_md5", values["photo_md5"])
    return Photo.objects.create(library=library, directory=directory, filename=filename, **values)


def make_photos(library: Library, count: int, *, same_moment: bool = False, **fields: Any) -> list[Photo]:
    """Make `count` photos without files, a minute apart (or all at the same moment)."""
    start = datetime(2024, 5, 17, 12, tzinfo=UTC)
    return [
        make_photo(
            library,
            taken=start - timedelta(minutes=0 if same_moment else number),
            data=f"photo {next(_numbers)}".encode(),
            on_disk=False,
            **fields,
        )
        for number in range(count)
    ]
