"""A bucket in memory that pages, ranges and fails as it is told, for tests of what no real server does on demand."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def refusal(code: str, status: int, headers: dict[str, str] | None = None, **details: str) -> ClientError:
    """Return the error that boto3 raises for such an answer."""
    answer: Any = {
        "Error": {"Code": code, "Message": "from the server", **details},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers or {}},
    }
    return ClientError(answer, "AnyOperation")


class Body:
    """The stream of an answer; breaks after `breaks_after` bytes."""

    def __init__(self, data: bytes, breaks_after: int | None) -> None:
        self.data, self.position, self.breaks_after, self.is_closed = data, 0, breaks_after, False

    def read(self, amount: int) -> bytes:
        end = min(len(self.data), self.position + amount)
        if self.breaks_after is not None:
            end = min(end, self.breaks_after)
            if end == self.position:
                raise ReadTimeoutError(endpoint_url="http://key:secret@server/")
        chunk, self.position = self.data[self.position : end], end
        return chunk

    def close(self) -> None:
        self.is_closed = True


class Bucket:
    """A boto3 client of one bucket: `objects` are key -> bytes, `failures` are raised by the next calls, one each.

    `breaks` tells after how many bytes the next streams break (None: not). `calls` are the requests so far.
    """

    def __init__(self, objects: dict[str, bytes] | None = None, page_keys: int = 1000) -> None:
        self.objects = dict(objects or {})
        self.page_keys = page_keys
        self.modified: dict[str, datetime] = {}
        self.failures: list[Exception | None] = []
        self.breaks: list[int | None] = []
        self.calls: list[dict[str, Any]] = []
        self.bodies: list[Body] = []
        self.ignores_ranges = False
        self.before_get: Callable[[int], None] = lambda number: None

    def facts(self, key: str) -> dict[str, Any]:
        etag = hashlib.md5(self.objects[key], usedforsecurity=False).hexdigest()
        modified = self.modified.get(key, EPOCH + timedelta(days=18_000, milliseconds=640))
        return {"ETag": f'"{etag}"', "LastModified": modified}

    def list_objects_v2(self, **request: Any) -> dict[str, Any]:
        self._called(request)
        prefix, delimiter = request["Prefix"], request.get("Delimiter")
        after = request.get("ContinuationToken") or request.get("StartAfter") or ""
        page: dict[str, Any] = {"Contents": [], "CommonPrefixes": [], "IsTruncated": False}
        folders: set[str] = set()
        last = ""
        for key in sorted(self.objects, key=str.encode):
            cut = key.find(delimiter, len(prefix)) + 1 if delimiter else 0
            folder = key[:cut]
            if not key.startswith(prefix) or key.encode() <= after.encode():
                continue
            if folder and (folder in folders or after.startswith(folder)):
                continue
            if len(page["Contents"]) + len(folders) == min(self.page_keys, request.get("MaxKeys", 1000)):
                page |= {"IsTruncated": True, "NextContinuationToken": last}
                break
            last = folder or key
            if folder:
                folders.add(folder)
                page["CommonPrefixes"].append({"Prefix": folder})
            else:
                page["Contents"].append({"Key": key, "Size": len(self.objects[key]), **self.facts(key)})
        return page

    def get_object(self, **request: Any) -> dict[str, Any]:
        self._called(request)
        key = request["Key"]
        self.before_get(len(self.calls))
        if key not in self.objects:
            raise refusal("NoSuchKey", 404)
        data, facts = self.objects[key], self.facts(key)
        if request.get("IfMatch", facts["ETag"]) != facts["ETag"]:
            raise refusal("PreconditionFailed", 412)
        answer = {**facts, "ContentLength": len(data)}
        if "Range" in request and not self.ignores_ranges:
            first, _, last = request["Range"].removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last or len(data)) + 1, len(data))
            if start >= len(data):
                raise refusal("InvalidRange", 416)
            answer["ContentRange"] = f"bytes {start}-{end - 1}/{len(data)}"
            data = data[start:end]
            answer["ContentLength"] = len(data)
        self.bodies.append(Body(data, self.breaks.pop(0) if self.breaks else None))
        return {**answer, "Body": self.bodies[-1]}

    def head_object(self, **request: Any) -> dict[str, Any]:
        self._called(request)
        if request["Key"] not in self.objects:
            raise refusal("404", 404)
        return {**self.facts(request["Key"]), "ContentLength": len(self.objects[request["Key"]])}

    def _called(self, request: dict[str, Any]) -> None:
        self.calls.append(request)
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure


class WritableBucket(Bucket):
    """The same, which also takes objects; `fault` sees each call (its name and request) and its answer, and may spoil it."""

    def __init__(self, objects: dict[str, bytes] | None = None) -> None:
        super().__init__(objects)
        self.fault: Callable[[str, dict[str, Any], Any], Any] = lambda name, request, answer: answer

    def list_objects_v2(self, **request: Any) -> dict[str, Any]:
        return self.fault("list", request, super().list_objects_v2(**request))

    def get_object(self, **request: Any) -> dict[str, Any]:
        return self.fault("get", request, super().get_object(**request))

    def head_object(self, **request: Any) -> dict[str, Any]:
        return self.fault("head", request, super().head_object(**request))

    def put_object(self, **request: Any) -> dict[str, Any]:
        self._called(request)
        self.fault("put", request, None)
        body = request["Body"]
        self.objects[request["Key"]] = body if isinstance(body, bytes) else body.read()
        return {}

    def upload_file(self, path: str, bucket: str, key: str) -> None:
        self.put_object(Bucket=bucket, Key=key, Body=Path(path).read_bytes())

    def delete_object(self, **request: Any) -> dict[str, Any]:
        self._called(request)
        self.fault("delete", request, None)
        self.objects.pop(request["Key"], None)
        return {}

    def copy_object(self, **request: Any) -> dict[str, Any]:
        self._called(request)
        self.fault("copy", request, None)
        self.objects[request["Key"]] = self.objects[request["CopySource"]["Key"]]
        return {}

    def get_paginator(self, name: str) -> Any:
        bucket = self

        class Pages:
            def paginate(self, **request: Any) -> list[dict[str, Any]]:
                return [bucket.list_objects_v2(**request)]

        return Pages()


def flipped(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the answer with one byte of its body changed on the way."""
    data = bytearray(answer["Body"].data)
    if data:
        data[len(data) // 2] ^= 1
    answer["Body"].data = bytes(data)
    return answer
