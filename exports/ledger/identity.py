"""The file that says which destination a folder of records belongs to: so it is known again wherever its disk is mounted."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from exports.ledger.regular import open_regular, refuse_link
from photolala.lib.files import atomic_write

IDENTITY_NAME = "destination.json"
VERSION = 1
_LONGEST_BYTES = 1 << 14
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Identity:
    """Which destination it is, and what it was called when the file was written."""

    id: UUID
    name: str


def encode_identity(identity: Identity) -> bytes:
    """Return the bytes of the file."""
    body = {"version": VERSION, "id": str(identity.id), "name": identity.name}
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def decode_identity(data: bytes) -> Identity | None:
    """Return what a file says; None if it says nothing that is known here."""
    if len(data) > _LONGEST_BYTES:
        return None
    with suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):
        body: dict[str, Any] = json.loads(data)
        return Identity(UUID(body["id"]), str(body.get("name") or "").replace("\0", "")[:_LONGEST_NAME])
    return None


def read_identity(directory: Path) -> Identity | None:
    """Return whose records are in `directory`; None if nothing says so. OSError; NotAFile for what is no file."""
    refuse_link(directory)
    try:
        descriptor = open_regular(directory / IDENTITY_NAME)
    except (FileNotFoundError, NotADirectoryError):
        return None
    with open(descriptor, "rb") as file:
        return decode_identity(file.read(_LONGEST_BYTES + 1))


def write_identity(directory: Path, identity: Identity) -> None:
    """Say whose records are in `directory`, which is there. OSError."""
    refuse_link(directory)
    atomic_write(directory / IDENTITY_NAME, encode_identity(identity))
