"""Make films that browsers cannot play into ones that they can: once for each content, when somebody wants to see it."""

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.files.base import File

from catalog.media.decoder import child_environment
from catalog.media.limits import MIB
from operations.models import Operation
from operations.running import AlreadyActive, OperationFailed, Run, operation_kind, start
from photolala.web.refusals import Problem

from . import cache_tree, cached, read_here
from .cached import CacheAway
from .decoders import decoder_limits
from .models import Photo
from .serving import Stored, find, open_as_known

KIND = "rendition"
UNIT = "seconds of film"
MEMORY_MIB = 900
SECONDS = 120.0
SECONDS_FOR_EACH = 20.0
"""Wall time for each second of the film, besides."""
LARGEST_BYTES = 16 * 1024**3
LEAST_BYTES = MIB
_ROOT = Path(__file__).resolve().parents[1]


def rendition_key(photo: Stored, *, is_read: bool) -> str:
    """Return the operations' key: one conversion of a content at a time.

    Of a photo whose MD5 is only told, nobody has shown that it is of that content: its operation is its own.
    """
    return f"rendition:{photo.photo_md5}" if is_read else f"rendition:{photo.photo_md5}:{photo.pk.hex}"


def _is_there(photo: Stored) -> bool:
    """True if the cache has a rendition of the film's content. Raises CacheAway."""
    return cached.has(cache_tree.rendition_name(photo.photo_md5, photo.library.source))


@dataclass(frozen=True, slots=True)
class Status:
    """How it stands with a film's rendition: `ready`, `converting` (`progress` from 0 to 1 if known) or `failed` (`reason`)."""

    state: str
    progress: float | None = None
    reason: str = ""


def want(photo: Stored, photo_id: UUID, user: Any, *, again: bool = False) -> Status:
    """Return how it stands, after letting a worker begin if nobody did; what failed for good is tried `again` only if asked.

    Of an operation that somebody else began no more is told than how far it is. Raises Unavailable while the cache is away.
    """
    is_read = read_here.is_read(photo.library, photo)
    try:
        if is_read and _is_there(photo):
            return Status("ready")
    except CacheAway:
        raise cached.away() from None
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


@operation_kind(KIND, label="Making a film playable", queue="files", starts_over=True)
def run_rendition(run: Run) -> dict[str, Any]:
    """Convert the film of `run.params["photo"]` in a shut-in process, and put it into the cache. Safe to run again."""
    photo_id = UUID(run.params["photo"])
    if not Photo.objects.visible_to(run.owner).filter(pk=photo_id).exists():
        raise OperationFailed("The film is not there any more, or not yours to see.", "gone")
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
            with cache_tree.writing():
                cache_tree.cache().save(cache_tree.rendition_name(photo.photo_md5, photo.library.source), File(made))
    finally:
        os.close(source)
    return {"size_bytes": size, "width": width, "height": height}


def _was_there(photo: Stored) -> bool:
    with cache_tree.writing():
        return _is_there(photo)


def _convert(run: Run, source: int, target: int) -> tuple[int, int]:
    """Run the converter to its end, with progress. Raises OperationFailed with a sentence."""
    limits = decoder_limits(MEMORY_MIB)
    free = os.fstatvfs(target)
    largest = max(LEAST_BYTES, min(LARGEST_BYTES, free.f_bavail * free.f_frsize - 256 * MIB))
    command = [sys.executable, "-m", "catalog.media.transcode", str(os.getpid()), json.dumps(asdict(limits))]
    process = subprocess.Popen(
        [*command, str(source), str(target), str(largest)],
        pass_fds=(source, target),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=_ROOT,
        env=child_environment(),
        start_new_session=True,
    )
    said: dict[str, Any] = {}
    began = time.monotonic()
    try:
        assert process.stdout is not None
        while line := process.stdout.readline(10_000):
            with suppress(ValueError):
                words = json.loads(line)
                said = words if isinstance(words, dict) else said
            total = said.get("total_ms") or 0
            if isinstance(said.get("done_ms"), int) and isinstance(total, int):
                run.operation.total = round(total / 1000) or None
                run.operation.done = min(said["done_ms"] // 1000, run.operation.total or said["done_ms"])
            run.checkpoint(force=False, is_lasting=False)
            if time.monotonic() - began > SECONDS + SECONDS_FOR_EACH * (total / 1000 if isinstance(total, int) else 0):
                raise OperationFailed(
                    "The conversion took too long and was ended. The original can be downloaded.", "no_rendition"
                )
        process.wait(timeout=30)
    finally:
        process.kill()
        process.wait()
    if isinstance(said.get("width"), int) and isinstance(said.get("height"), int) and process.returncode == 0:
        run.operation.done = run.operation.total or run.operation.done
        return said["width"], said["height"]
    sentence = str(said.get("problem") or "The conversion broke off: the film is damaged, or too large for it.")[:500]
    raise OperationFailed(f"{sentence} The original can be downloaded.", "no_rendition")
