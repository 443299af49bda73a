"""Examine the machine: settings, tools, disks, the broker, and whether work finds a worker."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.core import checks
from django.core.files.storage import FileSystemStorage
from django.utils import timezone
from kombu import Connection

from catalog.cache.tree import cache
from catalog.entries.decoders import writing_decoder
from catalog.media.exiftool import ExifToolMissing, exiftool_command
from catalog.media.sandbox import REQUIRED
from operations.models import Operation, State
from operations.overdue import OVERDUE_AFTER, overdue
from operations.templatetags.figures import duration_words, file_size
from photolala.broker.store import open_store

from .findings import Finding, Severity, error, note, warning

LITTLE_SPACE_BYTES = 2 * 10**9
NO_SPACE_BYTES = 200 * 10**6
FEW_FILES = 20_000
TOOL_SECONDS = 60
BROKER_SECONDS = 5
DEAD_MESSAGES_OF = timedelta(days=7)


class Tool(NamedTuple):
    """A library that decoders need; `program` prints its version."""

    name: str
    purpose: str
    program: str


TOOLS = (
    Tool("Pillow", "pictures of all kinds", "import PIL.Image; PIL.Image.init(); print(PIL.__version__)"),
    Tool("pillow-heif", "HEIC and AVIF photos", "import pillow_heif; print(pillow_heif.libheif_version())"),
    Tool(
        "pillow-jxl-plugin",
        "JPEG XL photos",
        "import importlib.metadata, pillow_jxl; print(importlib.metadata.version('pillow-jxl-plugin'))",
    ),
    Tool("rawpy", "raw photos", "import rawpy; print(rawpy.libraw_version)"),
    Tool("PyAV", "videos", "import av; [av.codec.Codec(n, 'r') for n in ('h264', 'hevc')]; print(av.__version__)"),
)


def examine_settings() -> Iterator[Finding]:
    """Yield what Django's and Photolala's own checks say, as `manage.py check` does."""
    for message in checks.run_checks():
        if message.level >= checks.WARNING and not message.is_silenced():
            severity = Severity.ERROR if message.level >= checks.ERROR else Severity.WARNING
            yield Finding(severity, str(message.id), str(message.msg), str(message.hint or ""))


def examine_tools(tools: tuple[Tool, ...] = TOOLS) -> Iterator[Finding]:
    """Yield which libraries do not load; each in a process of its own, because a broken one may crash."""
    for tool in tools:
        reason = _run([sys.executable, "-c", tool.program])
        if reason:
            yield error(
                f"tool.{tool.name.lower()}",
                f"{tool.name} does not load, so {tool.purpose} cannot be shown: {reason}",
                "Run `make setup`; it installs the libraries anew.",
            )
    try:
        command = exiftool_command()
    except ExifToolMissing:  # the settings' checks say so
        return
    if reason := _run([*command, "-config", "", "-ver"]):
        yield warning(
            "tool.exiftool",
            f"exiftool does not run, so nothing can be written into photo files: {reason}",
            "Run `make setup`, or reinstall Debian's package libimage-exiftool-perl.",
        )


def examine_sandbox() -> Iterator[Finding]:
    """Yield which layers seal the processes that read people's files, as one such process says after it was started."""
    with writing_decoder() as pool:
        try:
            layers = pool.layers()
        except (OSError, RuntimeError) as failure:
            yield error(
                "sandbox.start",
                f"The processes that read photos do not start: {failure}",
                "See `manage.py check` and the log; nothing is read until they start.",
            )
            return
    missing = [layer for layer in REQUIRED if layer not in layers]
    if missing:
        yield warning(
            "sandbox.layers",
            f"Processes that read photos are sealed without {' and '.join(missing)}, so a hostile file could do more harm.",
            "Linux 5.13 or newer on x86-64 or aarch64 has all layers; containers may refuse some (docs/security.md).",
        )
    else:
        yield note("sandbox.layers", f"Processes that read photos are sealed with {', '.join(sorted(layers))}.")


def _run(command: list[str]) -> str:
    """Return "" if the command succeeds, else the reason."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TOOL_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as failure:
        return str(failure)
    if done.returncode == 0:
        return ""
    if done.returncode < 0:
        return f"it crashed (signal {-done.returncode})."
    lines = done.stderr.strip().splitlines()
    return lines[-1][:300] if lines else f"it ended with the code {done.returncode}."


def examine_disks() -> Iterator[Finding]:
    """Yield the disks of data, cache, exports and uploads that are nearly full, each once, and folders that take no files."""
    folders = {
        "data": Path(settings.DATA_DIR),
        "exports": Path(settings.EXPORTS_DIR),
        "uploads": Path(settings.UPLOADS_DIR),
    }
    storage = cache()
    if isinstance(storage, FileSystemStorage):
        folders["cache"] = Path(storage.location)
    seen: set[int] = set()
    for purpose, folder in folders.items():
        there = next(path for path in (folder, *folder.parents) if path.exists())
        if not os.access(there, os.W_OK | os.X_OK):
            yield error(
                "disk.read_only",
                f"The folder for {purpose}, {folder}, cannot be written by this user.",
                "Give it to the user that runs Photolala, or name another one (docs/settings.md).",
            )
        device = there.stat().st_dev
        if device not in seen:
            seen.add(device)
            facts = os.statvfs(there)
            free_files = facts.f_favail if facts.f_files else None  # btrfs and network mounts do not count files
            yield from judge_space(str(folder), facts.f_bavail * facts.f_frsize, free_files)


def judge_space(place: str, free_bytes: int, free_files: int | None) -> Iterator[Finding]:
    """Yield what it means that the disk of `place` has so much left; None where files are not counted."""
    advice = (
        "Make room: `manage.py cache prune --quota 2GB`, remove old exports, or move PHOTOLALA_DATA to another disk."
    )
    text = f"The disk of {place} has {file_size(free_bytes)} left"
    if free_bytes < NO_SPACE_BYTES:
        yield error("disk.full", f"{text}: scans and exports will stop.", advice)
    elif free_bytes < LITTLE_SPACE_BYTES:
        yield warning("disk.nearly_full", f"{text}.", advice)
    if free_files is not None and free_files < FEW_FILES:
        yield warning("disk.files", f"The disk of {place} has room for only {free_files:,} more files.", advice)


def examine_broker() -> Iterator[Finding]:
    """Yield whether the broker answers, and which messages were given up in the last week."""
    url = settings.CELERY_BROKER_URL
    if url.startswith("memory://"):
        return
    try:
        with Connection(url, connect_timeout=BROKER_SECONDS) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=2 * BROKER_SECONDS)
            path = connection.virtual_host
    except Exception as failure:  # noqa: BLE001  (each transport has its own kinds of errors)
        yield error(
            "broker.unreachable",
            f"The broker does not answer ({failure}): scans and exports wait, nothing is lost.",
            "Start it, or fix PHOTOLALA_BROKER.",
        )
        return
    if not url.startswith("sqliteq://"):
        return
    since = timezone.now() - DEAD_MESSAGES_OF
    dead = [message for message in open_store("/" + path.lstrip("/")).list_dead(1000) if message.buried_at > since]
    if dead:
        yield warning(
            "broker.dead_messages",
            f"{len(dead):,} messages to workers were given up in the last seven days; the latest because "
            f"{dead[0].reason}. The work itself is not lost: it stands among the operations.",
            "See the operations page and the worker's log for what crashed, and retry it there.",
        )


def examine_operations() -> Iterator[Finding]:
    """Yield operations that nobody works on."""
    now = timezone.now()
    for operation in Operation.objects.filter(state=State.RUNNING):
        if operation.lease_is_dead(now):
            yield warning(
                "operation.abandoned",
                f"The worker of {operation.kind} “{operation.subject}” is gone. What it did is kept.",
                "Start a worker (`make run` does): it continues within a minute.",
            )
    is_overdue = {operation.pk for operation in overdue()}
    waiting = Operation.objects.filter(state=State.PENDING, updated_at__lt=now - OVERDUE_AFTER)
    for operation in waiting.order_by("updated_at")[:20]:
        words = duration_words((now - operation.updated_at).total_seconds())
        text = f"{operation.kind} “{operation.subject}” has waited for a worker for {words}"
        if operation.pk in is_overdue:
            yield error("operation.waiting", f"{text}, and none takes it.", "Start a worker again (`make run` does).")
        else:
            yield note("operation.waiting", f"{text}; the workers are busy.", "It starts when one is free.")
