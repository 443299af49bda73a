"""A bucket in memory that takes objects as S3 does: conditions, digests, parts; and that can be killed or broken at a call."""

import hashlib
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ReadTimeoutError

from tests.catalog.sources.s3_bucket import Bucket, refusal


class Killed(BaseException):
    """The process ends here and now."""


class MemoryBucket(Bucket):
    """A boto3 client of one bucket. `sent` counts how often each key got an object.

    `fault` is called before each call with its name, and returns whether its answer is to be lost; it may raise, too.
    """

    def __init__(self, *, has_conditions: bool = True) -> None:
        super().__init__()
        self.has_conditions = has_conditions
        self.metadata: dict[str, dict[str, str]] = {}
        self.etags: dict[str, str] = {}
        self.is_encrypted = False
        self.uploads: dict[str, dict[str, Any]] = {}
        self.sent: Counter[str] = Counter()
        self.numbers = 0
        self.fault: Callable[[str], bool] = lambda name: False
        self.spoil: Callable[[bytes], bytes] = lambda data: data

    def facts(self, key: str) -> dict[str, Any]:
        facts = {**super().facts(key), "Metadata": self.metadata.get(key, {})}
        if self.is_encrypted:
            facts |= {"ServerSideEncryption": "aws:kms"}
        return {**facts, "ETag": f'"{self.etags[key]}"'} if key in self.etags else facts

    def _do(self, name: str, effect: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        is_lost = self.fault(name)
        answer = effect()
        if is_lost:
            self.fault(f"{name} answered")
            raise ReadTimeoutError(endpoint_url="http://key:secret@server/")
        return answer

    def list_objects_v2(self, **request: Any) -> dict[str, Any]:
        return self._do("list", lambda: super(MemoryBucket, self).list_objects_v2(**request))

    def get_object(self, **request: Any) -> dict[str, Any]:
        return self._do("get", lambda: super(MemoryBucket, self).get_object(**request))

    def head_object(self, **request: Any) -> dict[str, Any]:
        return self._do("head", lambda: super(MemoryBucket, self).head_object(**request))

    def put_object(self, **request: Any) -> dict[str, Any]:
        def effect() -> dict[str, Any]:
            body = request["Body"]
            data = body if isinstance(body, bytes) else body.read()
            self._check_digest(request, data)
            self._keep(request, request["Key"], self.spoil(data), request.get("Metadata", {}))
            return self.facts(request["Key"])

        return self._do("put", effect)

    def create_multipart_upload(self, **request: Any) -> dict[str, Any]:
        def effect() -> dict[str, Any]:
            self.numbers += 1
            self.uploads[f"u{self.numbers}"] = {"Key": request["Key"], "Metadata": request["Metadata"], "parts": {}}
            return {"UploadId": f"u{self.numbers}"}

        return self._do("create", effect)

    def upload_part(self, **request: Any) -> dict[str, Any]:
        def effect() -> dict[str, Any]:
            self._check_digest(request, request["Body"])
            self._upload(request)["parts"][request["PartNumber"]] = request["Body"]
            return {"ETag": f'"{hashlib.md5(request["Body"]).hexdigest()}"'}

        return self._do("part", effect)

    def complete_multipart_upload(self, **request: Any) -> dict[str, Any]:
        def effect() -> dict[str, Any]:
            upload = self._upload(request)
            parts = [upload["parts"][part["PartNumber"]] for part in request["MultipartUpload"]["Parts"]]
            self._keep(request, upload["Key"], self.spoil(b"".join(parts)), upload["Metadata"])
            del self.uploads[request["UploadId"]]
            proof = hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts)).hexdigest()
            self.etags[upload["Key"]] = f"{proof}-{len(parts)}"
            return self.facts(upload["Key"])

        return self._do("complete", effect)

    def abort_multipart_upload(self, **request: Any) -> dict[str, Any]:
        return self._do("abort", lambda: {"gone": self.uploads.pop(request["UploadId"], None)})

    def delete_object(self, **request: Any) -> dict[str, Any]:
        return self._do("delete", lambda: {"gone": self.objects.pop(request["Key"], None)})

    def get_paginator(self, name: str) -> Any:
        bucket = self

        class Pages:
            def paginate(self, **request: Any) -> list[dict[str, Any]]:
                if name == "list_objects_v2":
                    return [bucket.list_objects_v2(**request)]
                found = [
                    {"UploadId": number, "Key": upload["Key"]}
                    for number, upload in bucket.uploads.items()
                    if upload["Key"].startswith(request["Prefix"])
                ]
                return [bucket._do("uploads", lambda: {"Uploads": found})]

        return Pages()

    def _keep(self, request: dict[str, Any], key: str, data: bytes, metadata: dict[str, str]) -> None:
        if self.has_conditions and request.get("IfNoneMatch") == "*" and key in self.objects:
            raise refusal("PreconditionFailed", 412)
        wanted = request.get("IfMatch")
        if self.has_conditions and wanted and (key not in self.objects or self.facts(key)["ETag"] != wanted):
            raise refusal("PreconditionFailed", 412)
        self.objects[key], self.metadata[key] = data, metadata
        self.etags.pop(key, None)
        self.sent[key] += 1

    def _upload(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["UploadId"] not in self.uploads:
            raise refusal("NoSuchUpload", 404)
        return self.uploads[request["UploadId"]]

    @staticmethod
    def _check_digest(request: dict[str, Any], data: bytes) -> None:
        if request.get("ContentMD5") not in (None, b64encode(hashlib.md5(data).digest()).decode()):
            raise refusal("BadDigest", 400)
