"""One export record: its fields, its rules, and its JSON as both this program and the macOS app write it."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any

from exports.ledger.errors import InvalidRecord
from exports.ledger.names import check_filename, check_rel_path

INTERRUPTED = "Interrupted before completion"
SWIFT_EPOCH = datetime(2001, 1, 1, tzinfo=UTC)  # where Foundation's numeric dates start
MAX_YEAR = 9999
MAX_REASON_CHARACTERS = 300  # of why a record cannot be used: it may quote what is as long as the file
_SPARE_DEPTH = 200  # of brackets: whoever writes the record again may be that much deeper in calls than who reads it
_STATE_KEYS = ("filename", "status", "exportDate", "lastError")
_NOTHING: Mapping[str, Any] = {}


class RecordStatus(StrEnum):
    """The states of an export record, spelled as in the files."""

    PENDING = "pending"
    IN_PROGRESS = "inProgress"
    DONE = "done"
    FAILED = "failed"


_STATUS = {str(status): status for status in RecordStatus}


@dataclass(frozen=True, slots=True)
class ExportRecord:
    """What is known about the export of one asset to one destination.

    `rel_path` is the folder below the destination (`2025/02/`), `filename` the name in it, both as escaped text.
    `export_date` is UTC in whole seconds. `extra` holds keys of other versions of the format, kept as they are.
    """

    id: str
    year: int
    month: int
    rel_path: str
    status: RecordStatus
    export_date: datetime | None
    filename: str | None = None
    last_error: str | None = None
    extra: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)

    def to_json(self) -> dict[str, Any]:
        """Return the record as the JSON object of the format; what has no value is left out."""
        body: dict[str, Any] = {"id": self.id, "year": self.year, "month": self.month, "relPath": self.rel_path}
        state = _state_to_json(self.filename, self.status, self.export_date, self.last_error)
        body.update(state)
        if self.extra:
            body.update(self.extra)
            if "variants" in self.extra:  # readers of the later schema look only there: keep both views in step
                variants = dict(self.extra["variants"])
                variants[_leading_variant(variants)] = state
                body["variants"] = variants
        return body


def check_record(record: ExportRecord, *, is_placeless_allowed: bool = False) -> ExportRecord:
    """Return `record` as it will read back (date in whole UTC seconds); raise InvalidRecord if it breaks a rule.

    `is_placeless_allowed`: let a failure pass that has year 0, month 0 and no folder. Early versions of the macOS app
    wrote those for assets they knew nothing about; this program reads them but never makes one.
    """
    _check_text(record.id, "id")
    if not record.id:
        raise InvalidRecord("An export record needs the id of its asset, and this one has none.")
    if not (is_placeless_allowed and not record.rel_path and _is_placeless(record)):
        _check_number(record.year, "year", 1, MAX_YEAR)
        _check_number(record.month, "month", 1, 12)
        check_rel_path(record.rel_path)
    if record.filename is not None:
        check_filename(record.filename)
    if record.last_error is not None:
        _check_text(record.last_error, "lastError")
    date = record.export_date
    if date is None or (date.tzinfo is UTC and not date.microsecond):
        return record
    values = {name: getattr(record, name) for name in ExportRecord.__slots__}
    return ExportRecord(**{**values, "export_date": whole_seconds(date)})


def record_from_json(body: object) -> ExportRecord:
    """Return the record that the parsed JSON `body` describes; raise InvalidRecord with the reason if it is none.

    Uses `body` up: half a million of them are read when a large ledger loads, and what is taken out need not be copied.
    """
    if not isinstance(body, dict):
        raise InvalidRecord("The record is not a JSON object.")
    variants = body.get("variants")
    state = body
    if "status" not in body and isinstance(variants, dict) and variants:
        state = variants.get(_leading_variant(variants))
        if not isinstance(state, dict):
            raise InvalidRecord("The record's variant is not a JSON object.")
        state = dict(state)
    if not isinstance(variants, dict) and "variants" in body:
        raise InvalidRecord("The record's variants are not a JSON object.")
    word, date = state.pop("status", None), state.pop("exportDate", None)
    filename, error = state.pop("filename", None), state.pop("lastError", None)
    identifier, rel_path = body.pop("id", None), body.pop("relPath", None)
    year, month = body.pop("year", None), body.pop("month", None)
    body.pop("n", None)
    if not isinstance(identifier, str):
        raise InvalidRecord("The record's id is not text.")
    if not isinstance(rel_path, str):
        raise InvalidRecord("The record's relPath is not text.")
    if filename is not None and not isinstance(filename, str):
        raise InvalidRecord("The record's filename is not text.")
    if error is not None and not isinstance(error, str):
        raise InvalidRecord("The record's lastError is not text.")
    status = _STATUS.get(word) if isinstance(word, str) else None
    if status is None:
        raise InvalidRecord(f"The record's status {_shown(word)} is not one of {', '.join(RecordStatus)}.")
    if state is not body:  # what else stands beside the variants says nothing
        for key in _STATE_KEYS:
            body.pop(key, None)
    extra = dict(body) if body else _NOTHING
    if extra:
        _check_extra(extra)
    record = ExportRecord(identifier, year, month, rel_path, status, parse_date(date), filename, error, extra)
    return check_record(record, is_placeless_allowed=True)


def _is_placeless(record: ExportRecord) -> bool:
    return (record.year, record.month, record.rel_path, record.status) == (0, 0, "", RecordStatus.FAILED)


def parse_date(value: object) -> datetime | None:
    """Return the date as UTC in whole seconds: ISO 8601 text, or seconds since 2001-01-01 as Swift writes them.

    Text without an offset is taken as UTC. None stays None; anything else raises InvalidRecord.
    """
    if value is None:
        return None
    try:
        if isinstance(value, str):
            return _parse_text_date(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return SWIFT_EPOCH + timedelta(seconds=math.floor(value))
    except (ValueError, OverflowError) as error:
        raise InvalidRecord(f"The record's exportDate {_shown(value)} is not a date.") from error
    raise InvalidRecord(f"The record's exportDate {_shown(value)} is not a date.")


@lru_cache(maxsize=4096)  # photos are exported by the group, many within one second
def _parse_text_date(text: str) -> datetime:
    return whole_seconds(datetime.fromisoformat(text))


def format_date(moment: datetime) -> str:
    """Return `moment` as `2025-02-10T10:00:00Z`: UTC, whole seconds (rounded down)."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")[:19] + "Z"


def whole_seconds(moment: datetime) -> datetime:
    """Return `moment` as UTC without its fraction of a second; a moment without a zone is taken as UTC."""
    if moment.tzinfo is UTC and not moment.microsecond:
        return moment
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC).replace(microsecond=0)


def _state_to_json(
    filename: str | None, status: RecordStatus, date: datetime | None, last_error: str | None
) -> dict[str, Any]:
    state: dict[str, Any] = {} if filename is None else {"filename": filename}
    state["status"] = str(status)
    if date is not None:
        state["exportDate"] = format_date(date)
    if last_error is not None:
        state["lastError"] = last_error
    return state


def _leading_variant(variants: Mapping[str, Any]) -> str:
    return "edited" if "edited" in variants and "original" not in variants else "original"


def _shown(value: object) -> str:
    try:
        return repr(value)[:80]
    except (ValueError, RecursionError):  # digits or brackets without end
        return "that it has"


def _check_extra(extra: Mapping[str, Any]) -> None:
    """Raise InvalidRecord if the keys of others could not be written again: a compaction would fail for ever."""
    for key, value in extra.items():
        if not (key.isascii() and (type(value) is int or (type(value) is str and value.isascii()))):
            break
    else:
        return  # a third of the time, for half a million records
    wrapped: Any = extra
    for _ in range(_SPARE_DEPTH):
        wrapped = [wrapped]
    try:
        _ENCODER.encode(wrapped).encode()
    except (ValueError, RecursionError) as error:
        raise InvalidRecord(f"A key of the record that others wrote cannot be kept: {error}") from error


def _check_text(value: object, what: str) -> None:
    if not isinstance(value, str):
        raise InvalidRecord(f"The record's {what} is not text.")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidRecord(
                f"The record's {what} {_shown(value)} is not valid Unicode; escape the path first."
            ) from None


def _check_number(value: object, what: str, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise InvalidRecord(f"The record's {what} {_shown(value)} is not a whole number from {least} to {most}.")


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
