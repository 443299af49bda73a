"""What became of each photo in one run of a folder export, kept beside the user's exports as long as the operation is."""

import csv
import io
import json
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import Http404, StreamingHttpResponse

from exports.formats.csv_writer import BOM, neutralise
from exports.models import own_folder
from operations.models import Operation
from photolala.web.ranges import content_disposition

FOLDER = "reports"
EXPORTED, ALREADY_THERE, FAILED = "exported", "already there", "failed"
COLUMNS = ("photo_id", "path", "result", "exported_as", "reason")
_SUFFIX, _PARTIAL = ".jsonl", ".partial"
_AT_ONCE = 500

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One photo: its path in the library, and where it is in the destination, both in escaped form."""

    photo_id: str
    path: str
    result: str
    exported_as: str = ""
    reason: str = ""


class Report:
    """The rows of one run, written as they come. They are seen once the run has ended, whatever its end."""

    def __init__(self, operation: Operation) -> None:
        """Begin anew: a run that continues tells of all photos again. A disk that is full costs the report only."""
        self._path = report_path(operation)
        self._partial = self._path.with_name(f"{operation.pk}.{operation.token}{_PARTIAL}")
        self._file: io.TextIOWrapper | None = None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            for left in self._path.parent.glob(f"{operation.pk}.*{_PARTIAL}"):
                left.unlink(missing_ok=True)
            self._file = self._partial.open("w", encoding="utf-8")
        except OSError as error:
            self._give_up(error)

    def add(self, row: ReportRow) -> None:
        """Add a photo."""
        if self._file is not None:
            try:
                self._file.write(json.dumps([getattr(row, name) for name in COLUMNS], ensure_ascii=False) + "\n")
            except OSError as error:
                self._give_up(error)

    def publish(self) -> None:
        """Let it be seen."""
        if self._file is None:
            return
        try:
            self._file.close()
            os.replace(self._partial, self._path)
        except OSError as error:
            self._give_up(error)
        self._file = None

    def _give_up(self, error: OSError) -> None:
        logger.warning("There is no report of a folder export: %s", error)
        file, self._file = self._file, None
        with suppress(OSError):
            if file is not None:
                file.close()
            self._partial.unlink(missing_ok=True)


def report_path(operation: Operation) -> Path:
    """Return where the report of an operation is, if there is one."""
    return own_folder(operation.owner_id) / FOLDER / f"{operation.pk}{_SUFFIX}"


def has_report(operation: Operation) -> bool:
    """Tell whether there is a report of this run."""
    return report_path(operation).is_file()


def as_csv(operation: Operation) -> Iterator[bytes]:
    """Yield the report as a CSV file for spreadsheets, which run nothing of it. FileNotFoundError if there is none."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    yield BOM + _taken(buffer)
    for rows in _batches(operation):
        writer.writerows([neutralise(cell) for cell in row] for row in rows)
        yield _taken(buffer)


def as_json(operation: Operation) -> Iterator[bytes]:
    """Yield the report as one JSON object: the operation, and its photos. FileNotFoundError if there is none."""
    head = {"operation": str(operation.pk), "subject": operation.subject, "state": operation.state}
    yield json.dumps(head, ensure_ascii=False)[:-1].encode() + b', "photos": ['
    is_first = True
    for rows in _batches(operation):
        text = ",\n".join(json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=False) for row in rows)
        yield (("\n" if is_first else ",\n") + text).encode()
        is_first = False
    yield b"\n]}\n"


def send_report(operation: Operation, kind: str) -> StreamingHttpResponse:
    """Return a download of the report, `kind` being csv or json. Http404 if there is none."""
    if not has_report(operation):
        raise Http404
    rows, content_type = {"csv": (as_csv, "text/csv; charset=utf-8"), "json": (as_json, "application/json")}[kind]
    response = StreamingHttpResponse(rows(operation), content_type=content_type)
    name = f"export {operation.created_at:%Y-%m-%d %H-%M}.{kind}"
    response["Content-Disposition"] = content_disposition(name, attachment=True)
    return response


def remove_old_reports() -> None:
    """Delete the reports of operations that are forgotten."""
    for path in Path(settings.EXPORTS_DIR).glob(f"*/{FOLDER}/*"):
        try:
            operation = UUID(path.name[:36])
        except ValueError:
            continue
        if not Operation.objects.filter(pk=operation).exists():
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                logger.warning("The report %s cannot be deleted: %s", path.name, error)


def _batches(operation: Operation) -> Iterator[list[list[Any]]]:
    with report_path(operation).open(encoding="utf-8") as lines:
        batch = []
        for line in lines:
            batch.append(json.loads(line))
            if len(batch) == _AT_ONCE:
                yield batch
                batch = []
        if batch:
            yield batch


def _taken(buffer: io.StringIO) -> bytes:
    data = buffer.getvalue().encode()
    buffer.seek(0)
    buffer.truncate()
    return data
