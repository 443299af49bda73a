"""Make videos that browsers cannot play into ones that they can: once for each content, when somebody wants to see it."""

import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.files.base import File

from accounts.models import User
from catalog.browsing.make import open_as_known
from catalog.browsing.stored import Stored, find
from catalog.cache import reading, tree
from catalog.cache.reading import CacheAway
from catalog.entries import read_here
from catalog.entries.decoders import decoder_limits
from catalog.media.limits import CODE_FOLDER, MIB, child_environment
from catalog.models import Photo
from operations.kinds import operation_kind
from operations.models import Operation
from operations.running import AlreadyActive, OperationFailed, Run, start
from photolala.web.refusals import Problem

KIND = "rendition"
UNIT = "seconds of video"
MEMORY_MIB = 900
SECONDS = 120.0
SECONDS_FOR_EACH_FRAME = 1.0
"""Wall time for each frame that was made, besides. What a video says of its length buys no time."""
SILENT_SECONDS = 120.0
"""After so long without a further frame it is ended."""
MOST_SECONDS = 24 * 3600.0
ASKED_EVERY_SECONDS = 0.5
"""How often it is asked whether somebody cancelled it, however little the converter says."""
LARGEST_BYTES = 16 * 1024**3
LEAST_BYTES = MIB
_CONVERTER = [sys.executable, "-m", "catalog.media.transcode"]
_LONGEST_LINE = 10_000
_LAST_SECONDS = 5.0
_MOST_SHOWN_MS = 10**12


def rendition_key(photo: Stored, *, is_read: bool) -> str:
    """Return the operations' key: one conversion of a content at a time.

    Of a photo whose MD5 is only told, nobody has shown that it is of that content: its operation is its own.
    """
    return f"rendition:{photo.photo_md5}" if is_read else f"rendition:{photo.photo_md5}:{photo.pk.hex}"


def _is_there(photo: Stored) -> bool:
    """True if the cache has a rendition of the video's content. Raises CacheAway."""
    return reading.has(tree.rendition_name(photo.photo_md5, photo.library.source))


@dataclass(frozen=True, slots=True)
class Status:
    """How it stands with a video's rendition: `ready`, `converting` (`progress` from 0 to 1 if known) or `failed` (`reason`)."""

    state: str
    progress: float | None = None
    reason: str = ""


def want(photo: Stored, photo_id: UUID, user: User, *, again: bool = False) -> Status:
    """Return how it stands, after letting a worker begin if nobody did; what failed for good is tried `again` only if asked.

    Of an operation that somebody else began no more is told than how far it is. Raises Unavailable while the cache is away.
    """
    is_read = read_here.is_read(photo.library, photo)
    try:
        if is_read and _is_there(photo):
            return Status("ready")
    except CacheAway:
        raise reading.away() from None
    key = rendition_key(photo, is_read=is_read)
    of_it = Operation.objects.filter(active_key=key).order_by("-created_at")
    last = of_it.first()
    if last is not None and last.error_code == "no_rendition" and not again:
        return Status("failed", reason=last.error)
    if last is None or not last.is_active:
        try:
            last = start(
                KIND,
                user,
                subject=photo.filename,
                active_key=key,
                params={"photo": str(photo_id)},
                unit=UNIT,
            )
        except AlreadyActive as running:
            last = running.operation
    return Status("converting", last.fraction)


@operation_kind(KIND, label="Making a video playable", queue="files", starts_over=True)
def run_rendition(run: Run) -> dict[str, Any]:
    """Convert the video of `run.params["photo"]` in a shut-in process, and put it into the cache. Safe to run again."""
    photo_id = UUID(run.params["photo"])
    if not Photo.objects.visible_to(run.owner).filter(pk=photo_id).exists():
        raise OperationFailed("The video is not there any more, or not yours to see.", "gone")
    photo = find(run.owner, photo_id)
    if read_here.is_read(photo.library, photo) and _was_there(photo):
        return {"size_bytes": 0, "was_there": True}
    run.phase("Converting", None, unit=UNIT)
    try:
        source = open_as_known(photo, is_shared=True)
    except Problem as reason:
        raise OperationFailed(str(reason.detail), "unreadable") from None
    if _was_there(photo):  # the file is what was told of it, so that this one may see it, too
        os.close(source)
        return {"size_bytes": 0, "was_there": True}
    working = Path(settings.DATA_DIR) / "working"
    working.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryFile(dir=working) as made:
            width, height = _convert(run, source, made.fileno())
            size = made.seek(0, os.SEEK_END)
            made.seek(0)
            run.raise_if_stopped()
            with tree.writing():
                tree.cache().save(tree.rendition_name(photo.photo_md5, photo.library.source), File(made))
    finally:
        os.close(source)
    return {"size_bytes": size, "width": width, "height": height}


def _was_there(photo: Stored) -> bool:
    with tree.writing():
        return _is_there(photo)


def _convert(run: Run, source: int, target: int) -> tuple[int, int]:
    """Run the converter to its end, with progress. Raises OperationFailed with a sentence."""
    limits = decoder_limits(MEMORY_MIB)
    free = os.fstatvfs(target)
    largest = max(LEAST_BYTES, min(LARGEST_BYTES, free.f_bavail * free.f_frsize - 256 * MIB))
    command = [*_CONVERTER, str(os.getpid()), json.dumps(asdict(limits))]
    process = subprocess.Popen(
        [*command, str(source), str(target), str(largest)],
        pass_fds=(source, target),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=CODE_FOLDER,
        env=child_environment(),
        start_new_session=True,
    )
    said: dict[str, Any] = {}
    clock = _Clock()
    try:
        for words in _words_of(process):
            said = words or said
            clock.note(said)
            _show_progress(run, said)
            run.checkpoint(force=False, is_lasting=False)
            if words is None:
                run.raise_if_stopped()
            if clock.is_over:
                raise OperationFailed(
                    "The conversion took too long and was ended. The original can be downloaded.", "no_rendition"
                )
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_LAST_SECONDS)
    finally:
        process.kill()
        process.wait()
    if isinstance(said.get("width"), int) and isinstance(said.get("height"), int) and process.returncode == 0:
        run.operation.done = run.operation.total or run.operation.done
        return said["width"], said["height"]
    sentence = str(said.get("problem") or "The conversion broke off: the video is damaged, or too large for it.")[:500]
    raise OperationFailed(f"{sentence} The original can be downloaded.", "no_rendition")


class _Clock:
    """Measures the time of a conversion by what was made, not by what the video says of itself."""

    def __init__(self) -> None:
        self._began = self._grew = time.monotonic()
        self._frames = 0

    def note(self, said: dict[str, Any]) -> None:
        """Take what the converter said last."""
        frames = said.get("frames")
        if isinstance(frames, int) and frames > self._frames:
            self._frames, self._grew = frames, time.monotonic()

    @property
    def is_over(self) -> bool:
        """True once it took longer than what was made allows."""
        now = time.monotonic()
        allowed = min(SECONDS + SECONDS_FOR_EACH_FRAME * self._frames, MOST_SECONDS)
        return now - self._began > allowed or now - self._grew > SILENT_SECONDS


def _words_of(process: "subprocess.Popen[bytes]") -> Iterator[dict[str, Any] | None]:
    """Yield what the converter says, line by line, and None now and then while it says nothing; ends with its output."""
    assert process.stdout is not None
    output, rest = process.stdout.fileno(), b""
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while True:
            if not selector.select(ASKED_EVERY_SECONDS):
                yield None
                continue
            data = os.read(output, _LONGEST_LINE)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            rest = rest[-_LONGEST_LINE:]
            for line in lines:
                words: Any = None
                with suppress(ValueError, RecursionError):
                    words = json.loads(line)
                yield words if isinstance(words, dict) else {}


def _show_progress(run: Run, said: dict[str, Any]) -> None:
    total, done = said.get("total_ms"), said.get("done_ms")
    if isinstance(done, int) and isinstance(total, int) and done >= 0 and total >= 0:
        run.operation.total = round(min(total, _MOST_SHOWN_MS) / 1000) or None
        run.operation.done = min(done // 1000, run.operation.total or _MOST_SHOWN_MS)
