"""One line of the log: an upsert or a delete, with a running number and a checksum that other readers ignore."""

import json
import zlib
from dataclasses import dataclass
from typing import Any, NoReturn

from exports.ledger.errors import InvalidRecord
from exports.ledger.records import MAX_REASON_CHARACTERS, ExportRecord, record_from_json

MAX_RUNNING_NUMBER = 1 << 53  # what any reader of JSON can hold; more is damage
MAX_LINE_BYTES = 1 << 20  # no record comes near: a longer line is damage, and must not cost memory


@dataclass(frozen=True, slots=True)
class Mutation:
    """A change of one record: `record` is its new state, or None if it is deleted. `number` is 0 in others' lines."""

    id: str
    record: ExportRecord | None
    number: int = 0


def encode_mutation(mutation: Mutation) -> bytes:
    """Return the mutation as one line with its newline, carrying `n` and `crc`."""
    body: dict[str, Any] = {"op": "delete" if mutation.record is None else "upsert", "id": mutation.id}
    if mutation.record is not None:
        body["record"] = mutation.record.to_json()
    body["n"] = mutation.number
    body["crc"] = _checksum(body)
    return _ENCODER.encode(body).encode() + b"\n"


def decode_mutation(line: bytes) -> Mutation:
    """Return the mutation in `line` (its newline may be missing); raise InvalidRecord with the reason if it is none."""
    try:
        return _decode(line)
    except (ValueError, RecursionError) as error:  # also of what is JSON, but could not be written again
        raise InvalidRecord(str(error)[:MAX_REASON_CHARACTERS]) from error


def _decode(line: bytes) -> Mutation:
    body = parse_json(line)
    if not isinstance(body, dict):
        raise InvalidRecord("The line is not a JSON object.")
    checksum = body.pop("crc", None)
    if checksum is not None and checksum != _checksum(body):
        raise InvalidRecord("The line's checksum does not fit its content.")
    identifier, number = body.get("id"), body.get("n", 0)
    if not isinstance(identifier, str) or not identifier:
        raise InvalidRecord("The line has no id.")
    if type(number) is not int or not 0 <= number <= MAX_RUNNING_NUMBER:
        raise InvalidRecord("The line's running number is not a whole number up to 2 to the power of 53.")
    if body.get("op") == "delete":
        return Mutation(identifier, None, number)
    if body.get("op") != "upsert":
        raise InvalidRecord(f"The line's operation {str(body.get('op'))[:40]!r} is neither upsert nor delete.")
    record = record_from_json(body.get("record"))
    if record.id != identifier:
        raise InvalidRecord(f"The line is for {identifier[:80]!r}, but its record for {record.id[:80]!r}.")
    return Mutation(identifier, record, number)


def parse_json(text: bytes) -> Any:
    """Return the parsed JSON `text` (UTF-8, no NaN or Infinity); raise InvalidRecord if it is not JSON."""
    try:
        return _DECODER.decode(text.decode())
    except (ValueError, RecursionError) as error:
        raise InvalidRecord(f"This is not JSON: {error}") from error


def _checksum(body: dict[str, Any]) -> str:
    """Return the CRC-32 of `body` in canonical form, so that a tool that only reorders keys or spaces does no harm."""
    return f"{zlib.crc32(_CANONICAL.encode(body).encode()):08x}"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_CANONICAL = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), allow_nan=False, sort_keys=True)
