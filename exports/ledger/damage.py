"""What was ever wrong with the records of a destination: kept beside them, as repairing the files removes the traces."""

import json
import logging
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from exports.ledger.errors import InvalidRecord
from exports.ledger.mutations import MAX_RUNNING_NUMBER, parse_json
from exports.ledger.regular import open_regular, refuse_link
from photolala.lib.files import fsync_directory, is_real_folder
from photolala.lib.paths import escape_path

DAMAGE_NAME = "export-records.damage.jsonl"
_SEEN_NAME = "export-records.damage-seen"
_MAX_READ_BYTES = 1 << 20
_MAX_ENTRIES = 20
_MAX_PROBLEMS = 100
_MAX_PROBLEM_CHARACTERS = 1000
_MAX_NAMES = 100
_DATE_CHARACTERS = len("2025-02-10T10:00:00Z")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FoundDamage:
    """What one opening of the ledger found: sentences, and counts."""

    found_at: str
    problems: list[str]
    bad_lines: int = 0
    missing_numbers: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return it as it is written, and as the API gives it."""
        return {
            "found_at": self.found_at,
            "bad_lines": self.bad_lines,
            "missing_numbers": self.missing_numbers,
            "problems": self.problems,
        }

    def tells(self, problems: list[str]) -> bool:
        """Tell whether these are the problems that were noted."""
        return self.problems == _cut(problems)


def note_damage(directory: Path, found: FoundDamage) -> None:
    """Add `found` to what is known, unless that ends with the same; an error is logged only: the records matter more."""
    known = read_damage(directory)
    if known and known[0].tells(found.problems):
        return
    body = found.to_json() | {"problems": _cut(found.problems)}
    # Begins with a line end: the note before it may be torn, and would be glued to it.
    line = b"\n" + json.dumps(body, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
    try:
        descriptor = open_regular(directory / DAMAGE_NAME, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            while line:
                line = line[os.write(descriptor, line) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        fsync_directory(directory)
    except OSError as error:
        logger.warning("The damage found in %s could not be noted there: %s", directory, error.strerror)


def read_damage(directory: Path) -> list[FoundDamage]:
    """Return what was found and not dismissed, newest first, the latest twenty. What cannot be read is passed over."""
    try:
        refuse_link(directory)
        with open(open_regular(directory / DAMAGE_NAME), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - _MAX_READ_BYTES))
            lines = file.read(_MAX_READ_BYTES).splitlines()
    except OSError:
        return []
    found = [one for line in reversed(lines) if (one := _parse(line)) is not None]
    return found[:_MAX_ENTRIES]


def dismiss_damage(directory: Path, now: datetime) -> bool:
    """Keep what was found under another name, as somebody has read it; return whether there was any. OSError."""
    target = directory / f"{_SEEN_NAME}-{now.astimezone(UTC):%Y%m%dT%H%M%S%fZ}.jsonl"
    refuse_link(directory)
    try:
        os.rename(directory / DAMAGE_NAME, target)
    except (FileNotFoundError, NotADirectoryError):
        return False
    fsync_directory(directory)
    return True


def kept_aside(directory: Path) -> list[str]:
    """Return the names of the broken files that were kept, oldest first, at most a hundred."""
    if not is_real_folder(directory):
        return []
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    kept = sorted(name for name in names if name.startswith("export-records.") and ".broken-" in name)
    return [escape_path(name) for name in kept[:_MAX_NAMES]]


def _parse(line: bytes) -> FoundDamage | None:
    try:
        body = parse_json(line)
    except InvalidRecord:
        return None
    if not isinstance(body, dict) or not isinstance(body.get("problems"), list):
        return None
    # Whoever may write into the destination may have written it.
    bad_lines, missing = (
        value if type(value := body.get(key)) is int and 0 <= value <= MAX_RUNNING_NUMBER else 0
        for key in ("bad_lines", "missing_numbers")
    )
    return FoundDamage(_text(body.get("found_at"), _DATE_CHARACTERS), _cut(body["problems"]), bad_lines, missing)


def _cut(problems: list[Any]) -> list[str]:
    return [_text(one, _MAX_PROBLEM_CHARACTERS) for one in problems[:_MAX_PROBLEMS]]


def _text(value: object, most_characters: int) -> str:
    return value[:most_characters].encode("utf-8", "replace").decode() if isinstance(value, str) else ""
