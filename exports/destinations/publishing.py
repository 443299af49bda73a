"""The records of a destination in a bucket: kept by the server, whose disk can be waited for, and published to the prefix.

An object cannot be appended to. So the ledger is in a folder of the server, with all its promises, and at the end of each
export its snapshot is put to `ExportRecords/` of the prefix, where it is found again if the destination, or the server, is
made anew. What the prefix has and the server has not is adopted; of what both know, the server's record counts.
"""

import logging
import os
import shutil
from base64 import b64encode
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog.sources.s3_keys import plain_etag
from exports.ledger.errors import LedgerError
from exports.ledger.load import FOLDER_NAME, LOG_NAME, SNAPSHOT_NAME, load_ledger
from exports.ledger.records import ExportRecord, RecordStatus
from exports.ledger.store import Ledger
from exports.models import ExportDestination
from operations.running import OperationFailed
from photolala.lib.digests import md5_of_descriptor

from .transports.opening import bucket_transport

if TYPE_CHECKING:
    from .transports.buckets import BucketTransport

_KNOWN_NAME = "published"  # the ETag of what this server published last
_ADOPTING = "adopting"
_AT_ONCE = 1000
_CHUNK_BYTES = 1 << 20

logger = logging.getLogger(__name__)


class PublishedRecords:
    """Keeps the records in a bucket in step with an open ledger; does nothing for a destination in a folder."""

    def __init__(self, destination: ExportDestination, ledger: Ledger) -> None:
        self._destination, self._ledger = destination, ledger
        self._transport = bucket_transport(destination) if destination.is_bucket else None
        self._seen: dict[str, tuple[str, int]] | None = None

    def adopt(self) -> int:
        """Record what the prefix says was exported and this server knows nothing of; return how much. OperationFailed.

        Records that this server published itself are not read again.
        """
        if self._transport is None:
            return 0
        try:
            return self._adopt_what_is_new(self._transport)
        except LedgerError as error:
            raise OperationFailed(str(error), "destination") from None
        except OSError as error:
            raise OperationFailed(
                f"The records of earlier exports in {self._destination.folder} cannot be read ({error.strerror}). Nothing "
                "was changed. Try again later.",
                "destination",
            ) from None

    def publish(self) -> str:
        """Put a snapshot of the records into the prefix; return "" or a sentence why that could not be done.

        What others put there since it was read is adopted first: an export may take days.
        """
        if self._transport is None:
            return ""
        try:
            self._adopt_what_is_new(self._transport)
            self._ledger.compact()
            etag = self._put_snapshot(self._transport)
            if _has_log(self._seen or {}):  # all of it is in the snapshot by now
                self._put(self._transport, LOG_NAME, Body=b"")
            self._seen = None
            self._known.write_text(etag, encoding="utf-8")
        except (OSError, LedgerError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            logger.warning("The records of the destination %s are not published: %s", self._destination.pk, reason)
            return (
                f"The records could not be put into {self._destination.folder} ({reason}). This server has them; the next "
                "export puts them there."
            )
        return ""

    def _adopt_what_is_new(self, transport: "BucketTransport") -> int:
        """Adopt what is there, unless it is what was read or published last. LedgerError, OSError."""
        found = self._listed(transport)
        etag = found.get(SNAPSHOT_NAME, ("", 0))[0]
        count = 0
        if found != self._seen and (_has_log(found) or etag not in ("", self._known_etag())):
            count = self._adopt_from(transport, found)
        self._seen = found
        return count

    def _adopt_from(self, transport: "BucketTransport", found: dict[str, tuple[str, int]]) -> int:
        folder = self._destination.kept_folder / _ADOPTING
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            for name in (SNAPSHOT_NAME, LOG_NAME):
                if name in found:
                    _save(transport.open_copy(FOLDER_NAME, name), folder / name)
            loaded = load_ledger(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self._ledger.report.problems.extend(
            f"Of what was in {self._destination.folder}/{FOLDER_NAME}: {problem}" for problem in loaded.report.problems
        )
        return self._record(
            one
            for one in loaded.state.sorted_records()
            if one.status is RecordStatus.DONE and self._ledger.export_info(one.id) is None
        )

    def _record(self, records: Iterable[ExportRecord]) -> int:
        count, batch = 0, []
        for record in records:
            batch.append(record)
            if len(batch) == _AT_ONCE:
                count += self._ledger.put_all(batch)
                batch = []
        return count + (self._ledger.put_all(batch) if batch else 0)

    def _listed(self, transport: "BucketTransport") -> dict[str, tuple[str, int]]:
        """Return ETag and size of the files of the records in the prefix, by name."""
        calls = transport.calls
        prefix = calls.key(f"{FOLDER_NAME}/export-records.")
        page = calls.call(
            lambda: calls.client.list_objects_v2(Bucket=calls.bucket, Prefix=prefix, MaxKeys=1000), FOLDER_NAME
        )
        folder = calls.key(f"{FOLDER_NAME}/")
        return {
            one["Key"].removeprefix(folder): (plain_etag(one["ETag"]), int(one["Size"]))
            for one in page.get("Contents", ())
        }

    def _put_snapshot(self, transport: "BucketTransport") -> str:
        path = self._ledger.directory / SNAPSHOT_NAME
        with path.open("rb") as file:
            digest = bytes.fromhex(md5_of_descriptor(file.fileno()))
            return self._put(transport, SNAPSHOT_NAME, Body=file, ContentMD5=b64encode(digest).decode())

    def _put(self, transport: "BucketTransport", name: str, **content: Any) -> str:
        calls = transport.calls

        def put() -> dict[str, Any]:
            if hasattr(content["Body"], "seek"):
                content["Body"].seek(0)
            answer: dict[str, Any] = calls.client.put_object(
                Bucket=calls.bucket, Key=calls.key(f"{FOLDER_NAME}/{name}"), **content
            )
            return answer

        return plain_etag(calls.call(put, name).get("ETag"))

    @property
    def _known(self) -> Path:
        return self._destination.kept_folder / _KNOWN_NAME

    def _known_etag(self) -> str:
        try:
            return self._known.read_text(encoding="utf-8")
        except (OSError, ValueError):
            return ""


def _has_log(found: dict[str, tuple[str, int]]) -> bool:
    return found.get(LOG_NAME, ("", 0))[1] > 0


def _save(descriptor: int, path: Path) -> None:
    try:
        with path.open("wb") as file:
            position = 0
            while chunk := os.pread(descriptor, _CHUNK_BYTES, position):
                file.write(chunk)
                position += len(chunk)
    finally:
        os.close(descriptor)
