"""A cache in a store of elsewhere that is away, or gives half of its objects, when it is told to."""

import io
from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError
from django.core.files.base import File
from django.core.files.storage import Storage

ENDPOINT = "http://AKIASECRETKEY@cache.internal:9000/"
MODE = {"is": "well"}
"""`well`, `away` (no answer), `refusing` (an error of the server) or `cut` (bodies end early)."""


class FaultyCache(Storage):
    """Objects in memory, without paths, as a bucket has them; `MODE` says how it is."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        return name

    def _open(self, name: str, mode: str = "rb") -> File:
        self._fail()
        if name not in self.objects:
            raise FileNotFoundError(name)
        data = self.objects[name]
        file = File(io.BytesIO(data[: len(data) // 2] if MODE["is"] == "cut" else data), name)
        file.size = len(data)
        return file

    def _save(self, name: str, content: Any) -> str:
        self._fail()
        self.objects[name] = content.read()
        return name

    def size(self, name: str) -> int:
        self._fail()
        if name not in self.objects:
            raise FileNotFoundError(name)
        return len(self.objects[name])

    def exists(self, name: str) -> bool:
        self._fail()
        return name in self.objects

    def delete(self, name: str) -> None:
        self._fail()
        self.objects.pop(name, None)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        self._fail()
        return [], [name.removeprefix(f"{path}/") for name in self.objects if name.startswith(f"{path}/")]

    def _fail(self) -> None:
        if MODE["is"] == "away":
            raise EndpointConnectionError(endpoint_url=ENDPOINT)
        if MODE["is"] == "refusing":
            answer: Any = {
                "Error": {"Code": "InternalError", "Message": ENDPOINT},
                "ResponseMetadata": {"HTTPStatusCode": 500},
            }
            raise ClientError(answer, "AnyOperation")
