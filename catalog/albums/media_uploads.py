"""Files for notes and drafts that are sent in pieces, and come into the media store when they are whole.

The staged file is all there is: its name says what it is going to be, its size how far it has come. So a device that lost its
place, or an answer, begins the same file again and goes on where it was.
"""

import fcntl
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from catalog.albums import media
from catalog.albums.refusals import Refused
from catalog.entries.quota import holding, room_for
from catalog.models import Media
from operations import clock

EXPIRES_AFTER = timedelta(days=7)
MOST_AT_ONCE = 50
LEAST_FREE_BYTES = 256 * 1024 * 1024
_NAME = re.compile(r"(?P<md5>[0-9a-f]{32})\.(?P<size>[0-9]{1,12})\.(?P<type>[a-z]+\+[a-z0-9]+)")
_LOCK_ATTEMPTS, _LOCK_PAUSE_SECONDS = 20, 0.1
_BLOCK_BYTES = 1 << 20


class Stopped(Exception):
    """The piece cannot be taken; `code` is for programs: `offset`, `too_long`, `checksum`, `locked`, `no_space`, `gone`."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True)
class Sending:
    """How far a file has come. `path` is None once it is in the store."""

    md5: str
    media_type: str
    size_bytes: int
    offset: int
    path: Path | None
    expires_at: datetime


def begin(user: Any, md5: str, media_type: str, size_bytes: int) -> Sending:
    """Make room for a file that `user` is going to send; one that was begun, or is in the store, is found again.

    What arrived whole while nobody was left to say so is taken in first: whoever is told that all has come may name the file.
    Raises Refused for what the store would not take, and Stopped("no_space") if the server's disk is full, or "locked".
    """
    if media_type not in media.TYPES:
        raise Refused(
            "invalid", f"Pictures, videos and sound can be attached: one of {', '.join(sorted(media.TYPES))}."
        )
    if not 0 < size_bytes <= media.LARGEST_BYTES:
        raise Refused("too_large", f"A file has 1 to {media.LARGEST_BYTES:,} bytes. Nothing was kept.")
    _take_in_whole(user, md5)
    with holding(user):
        Media.objects.filter(owner=user, md5=md5).exclude(unused_since=None).update(unused_since=timezone.now())
        found = find(user, md5)
        is_lost = found is not None and found.path is None and _is_lost(user, md5)
        if found is not None and found.path is not None:
            if (found.media_type, found.size_bytes) == (media_type, size_bytes):
                return found
            found.path.unlink(missing_ok=True)  # the device says now that it is something else
        elif found is not None and not is_lost:
            return found
        _make_room(user, size_bytes, counts=0 if is_lost else size_bytes)
        path = _folder(user) / f"{md5}.{size_bytes}.{media_type.replace('/', '+')}"
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    return _staged(path)


def find(user: Any, md5: str) -> Sending | None:
    """Return how far a file of one's own has come; None if it was never begun, or was given up."""
    for path in _all_of(user):
        if path.name.startswith(f"{md5}."):
            try:
                return _staged(path)
            except FileNotFoundError:
                break  # it was taken in just now
    kept = Media.objects.filter(owner=user, md5=md5).first()
    if kept is None:
        return None
    expires_at = timezone.now() + EXPIRES_AFTER
    return Sending(kept.md5, kept.media_type, kept.size_bytes, kept.size_bytes, None, expires_at)


def append(
    user: Any, sending: Sending, offset: int, read: Callable[[int], bytes], digest: Any = None, checksum: bytes = b""
) -> int:
    """Add a piece that begins at `offset`, read by `read(bytes)`; return how far the file has come.

    What arrived before the connection broke is kept, unless the piece came with a checksum (`digest` is a new hash). The last
    piece puts the file into the store. Raises Stopped with the file as it was, and Refused as `media.keep` does.
    """
    if sending.path is None:
        if offset == sending.size_bytes and not read(1):
            return sending.size_bytes
        raise Stopped("complete", "The file has arrived whole and is in the media store.")
    with _locked(sending.path) as descriptor:
        there = os.fstat(descriptor).st_size
        if offset != there:
            raise Stopped("offset", f"The file has come to byte {there:,}; this piece begins at {offset:,}.")
        try:
            _write(descriptor, read, sending.size_bytes - there, digest)
        except OSError as error:
            os.ftruncate(descriptor, there)
            raise Stopped("no_space", "The server's disk has no room for more of this file.") from error
        except Stopped:
            os.ftruncate(descriptor, there)
            raise
        if digest is not None and digest.digest() != checksum:
            os.ftruncate(descriptor, there)
            raise Stopped("checksum", "The piece was spoilt on its way; send it again.")
        os.fsync(descriptor)
        now = os.fstat(descriptor).st_size
        if now == sending.size_bytes:
            _take_in(user, sending)
    return now


def settle(user: Any, sending: Sending) -> Sending | None:
    """Take in a file that is whole, if the process that received the last of it died; return it as it is now."""
    if sending.path is not None and sending.offset == sending.size_bytes:
        with _locked(sending.path):
            _take_in(user, sending)
        return find(user, sending.md5)
    return sending


def drop(sending: Sending) -> None:
    """Give up a file that is not whole. Raises Stopped for one that is in the store."""
    if sending.path is None:
        raise Stopped("complete", "The file has arrived whole; what nothing holds is removed by itself.")
    sending.path.unlink(missing_ok=True)


def forget_old(now: datetime | None = None) -> int:
    """Remove what nobody went on with for a week; return how many. For the schedule; nothing while the clock is suspect."""
    if now is None and clock.is_suspect():
        return 0
    before, removed = clock.time_ago(EXPIRES_AFTER, now).timestamp(), 0
    for path in Path(settings.UPLOADS_DIR).glob("*/*.*.*"):
        try:
            is_old = bool(_NAME.fullmatch(path.name)) and path.stat().st_mtime < before
        except FileNotFoundError:
            continue
        if is_old:
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _folder(user: Any) -> Path:
    return Path(settings.UPLOADS_DIR) / str(user.pk)


def _all_of(user: Any) -> list[Path]:
    return [path for path in _folder(user).glob("*.*.*") if _NAME.fullmatch(path.name)]


def _staged(path: Path) -> Sending:
    said = _NAME.fullmatch(path.name)
    assert said is not None
    state = path.stat()
    expires_at = datetime.fromtimestamp(state.st_mtime, timezone.get_current_timezone()) + EXPIRES_AFTER
    media_type = said["type"].replace("+", "/")
    return Sending(said["md5"], media_type, int(said["size"]), state.st_size, path, expires_at)


def _take_in_whole(user: Any, md5: str) -> None:
    """Take in a file that is whole already, if there is one; what is other content than was said is removed."""
    found = find(user, md5)
    if found is None:
        return
    try:
        settle(user, found)
    except Refused as refused:
        if refused.field != "md5":
            raise
    except Stopped as stopped:
        if stopped.code != "gone":
            raise


def _is_lost(user: Any, md5: str) -> bool:
    """True if the store does not have a file that its row tells of: then it is sent anew. False while the store is away."""
    try:
        return not media.storage().exists(media.name_of(user.pk, md5))
    except Exception:  # noqa: BLE001 - each storage has its own kinds of errors
        return False


def _make_room(user: Any, size_bytes: int, counts: int) -> None:
    """Raise Refused or Stopped if there is no room; what was begun counts as if it were there, the new one `counts` bytes."""
    begun = _all_of(user)
    if len(begun) >= MOST_AT_ONCE:
        raise Refused("too_many", f"{MOST_AT_ONCE} files are being sent already. Finish some of them first.")
    room = room_for(user.pk)
    promised = sum(int(path.name.split(".")[1]) for path in begun)
    if room is not None and counts > room - promised:
        raise Refused("quota", "There is no room left in your quota for this file. Nothing was changed.")
    folder = _folder(user)
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(folder).free < size_bytes + LEAST_FREE_BYTES:
        raise Stopped("no_space", "The server's disk has no room for this file. Tell its administrator.")


def _write(descriptor: int, read: Callable[[int], bytes], left: int, digest: Any) -> None:
    """Write what arrives; a connection that breaks is an end like any other. Raises Stopped for more than is `left`."""
    while True:
        try:
            chunk = read(min(_BLOCK_BYTES, left + 1))
        except OSError:
            return
        if not chunk:
            return
        if len(chunk) > left:
            raise Stopped("too_long", "The piece is longer than what is missing of the file.")
        left -= len(chunk)
        if digest is not None:
            digest.update(chunk)
        view = memoryview(chunk)
        while view:
            view = view[os.write(descriptor, view) :]


def _take_in(user: Any, sending: Sending) -> None:
    """Put a whole file into the store. One whose content is not what was said is removed: nothing of it is of use."""
    assert sending.path is not None
    try:
        file = open(sending.path, "rb")  # noqa: SIM115
    except FileNotFoundError:
        raise _gone() from None  # given up, or begun as something else, while the last of it came
    try:
        with file:
            media.keep(user, file.read, sending.media_type, sending.md5)
    except Refused as refused:
        if refused.field == "md5":
            sending.path.unlink(missing_ok=True)
        raise
    sending.path.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Open the staged file for one writer at a time. Raises Stopped if another one has it, or it is gone."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise _gone() from None
    try:
        for attempt in range(_LOCK_ATTEMPTS):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if attempt + 1 == _LOCK_ATTEMPTS:
                    raise Stopped("locked", "Another connection is sending this file just now.") from None
                time.sleep(_LOCK_PAUSE_SECONDS)
        if not path.exists() or path.stat().st_ino != os.fstat(descriptor).st_ino:
            raise _gone()  # taken in, or given up, while this one waited
        yield descriptor
    finally:
        os.close(descriptor)


def _gone() -> Stopped:
    return Stopped("gone", "What was sent of this file is not here any more: ask how far it has come, or begin again.")
