"""Sends files: ranges, conditional requests, safe headers, flat memory; or leaves the sending to nginx."""

import os
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO
from urllib.parse import quote

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotModified, StreamingHttpResponse
from django.utils.http import http_date, parse_http_date_safe

from .refusals import Unavailable

BLOCK_BYTES = 64 * 1024
MOST_STREAMS = settings.WEB_THREADS * 16  # no thread waits for their readers, but each holds a file and a block
_PLACES = threading.BoundedSemaphore(MOST_STREAMS)
# Nothing in a file of other people's making may ever run, whatever it pretends to be.
SANDBOX = "sandbox; default-src 'none'"
_RANGE = re.compile(r"bytes=\s*(\d*)\s*-\s*(\d*)\s*", re.IGNORECASE | re.ASCII)
_ENTITY_TAG = re.compile(r'(?:W/)?"[^"]*"')


@dataclass
class Download:
    """What is sent, and how it is described."""

    size_bytes: int
    content_type: str
    etag: str = ""
    """Without its quotes; must change whenever the bytes do."""
    modified: float | None = None
    """Seconds since 1970."""
    filename: str = ""
    attachment: bool = False
    cache_control: str = "private, no-cache"
    headers: dict[str, str] = field(default_factory=dict)
    has_ranges: bool = True
    """Whether parts may be asked for; an answer whose body has a schema is always whole."""
    server_path: bytes | None = None
    """Where nginx finds the file, if it may send it."""
    ended: Callable[[], None] | None = None
    """Called when the body has been sent or the client has left; not for an answer that was dropped before it was sent."""


def serve(request: HttpRequest, download: Download, file: BinaryIO) -> HttpResponseBase:
    """Answer GET or HEAD with `file` (seekable, opened at any place) or a part of it, and close it in the end.

    200, 206 for one satisfiable range, 304 for what the client has already, 416 for a range beyond the end. Several
    ranges at once get the whole file, as HTTP allows. Streams in blocks of 64 KiB. Raises Unavailable if too many files
    are being sent.
    """
    try:
        if _is_known(request, download):
            return _described(HttpResponseNotModified(), download, file)
        if download.server_path is not None and settings.ACCEL_PREFIX and request.method != "HEAD":
            response: HttpResponseBase = HttpResponse(content_type=download.content_type)
            response["X-Accel-Redirect"] = settings.ACCEL_PREFIX.rstrip("/") + quote(download.server_path)
            return _described(response, download, file)
        wanted = _wanted_range(request, download)
        if wanted is not None and wanted[0] >= wanted[1]:
            response = HttpResponse(status=416)
            response["Content-Range"] = f"bytes */{download.size_bytes}"
            return _described(response, download, file)
        start, end = wanted or (0, download.size_bytes)
        if request.method == "HEAD":
            response = HttpResponse(content_type=download.content_type)
            file.close()
        else:
            file.seek(start)
            blocks = _Blocks(file, end - start, download.ended)
            response = StreamingHttpResponse(blocks, content_type=download.content_type)
        if wanted is not None:
            response.status_code = 206
            response["Content-Range"] = f"bytes {start}-{end - 1}/{download.size_bytes}"
        response["Content-Length"] = str(end - start)
        return _described(response, download)
    except BaseException:
        file.close()
        raise


def content_disposition(filename: str, *, attachment: bool) -> str:
    """Return the header's value: a plain ASCII name for old clients, the real one as RFC 5987 has it."""
    kind = "attachment" if attachment else "inline"
    plain = "".join(
        character if " " <= character <= "~" and character not in '"\\%;/' else "_" for character in filename
    )
    if plain == filename:
        return f'{kind}; filename="{plain}"'
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(filename.encode('utf-8', 'replace'), safe='')}"


class _Blocks:
    """An iterator over the next `length` bytes of a file that closes it when it is done or dropped.

    A client that stops reading (a paused video) keeps its file open, and a few blocks in memory, for as long as it likes; so
    the number of files being sent that are too large for the buffers on the way is bounded.
    """

    def __init__(self, file: BinaryIO, length: int, ended: Callable[[], None] | None = None) -> None:
        self._file = file
        self._left = length
        self._ended = ended
        self._has_place = False
        if length > BLOCK_BYTES:
            if not _PLACES.acquire(blocking=False):
                raise Unavailable("Many files are being sent just now. Try again in a moment.", "busy", wait_seconds=5)
            self._has_place = True

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        block = self._file.read(min(BLOCK_BYTES, self._left)) if self._left > 0 else b""
        if not block:
            self._release()
            if self._left > 0:
                # Content-Length promised more: only a broken connection tells the client that it has not got it all.
                raise OSError(f"The file ended {self._left:,} bytes too early; it became shorter while it was sent.")
            raise StopIteration
        self._left -= len(block)
        return block

    def close(self) -> None:
        """Close the file; Django calls it when the response is over."""
        ended, self._ended = self._ended, None
        try:
            if ended is not None:
                ended()
        finally:
            self._release()

    def _release(self) -> None:
        self._file.close()
        if self._has_place:
            self._has_place = False
            _PLACES.release()

    def __del__(self) -> None:
        """Close the file of an answer that was never sent."""
        self._release()


def _described(response: HttpResponseBase, download: Download, file: BinaryIO | None = None) -> HttpResponseBase:
    """Set the headers that every answer about this file has; close `file` if it is not sent."""
    if file is not None:
        file.close()
    if download.etag:
        response["ETag"] = f'"{download.etag}"'
    if download.modified is not None:
        response["Last-Modified"] = http_date(int(download.modified))
    response["Cache-Control"] = download.cache_control
    response["Accept-Ranges"] = "bytes" if download.has_ranges else "none"
    response["Vary"] = "Authorization, Cookie"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = SANDBOX
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    if download.filename:
        response["Content-Disposition"] = content_disposition(download.filename, attachment=download.attachment)
    for name, value in download.headers.items():
        response[name] = value
    return response


def _is_known(request: HttpRequest, download: Download) -> bool:
    """Tell whether the client has the current bytes: If-None-Match, else If-Modified-Since (RFC 9110, 13.2)."""
    tags = request.headers.get("If-None-Match")
    if tags is not None:
        if tags.strip() == "*":
            return True
        return bool(download.etag) and any(
            tag.removeprefix("W/") == f'"{download.etag}"' for tag in _ENTITY_TAG.findall(tags)
        )
    since = request.headers.get("If-Modified-Since")
    seconds = parse_http_date_safe(since) if since else None
    return seconds is not None and download.modified is not None and int(download.modified) <= seconds


def _wanted_range(request: HttpRequest, download: Download) -> tuple[int, int] | None:
    """Return (start, end) of the one range asked for; start >= end if it cannot be met; None for the whole file."""
    header = request.headers.get("Range", "")
    if not header or not download.has_ranges or not _if_range_holds(request, download):
        return None
    match = _RANGE.fullmatch(header.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = (text and (text.lstrip("0")[:19] or "0") for text in match.groups())
    size = download.size_bytes
    if not first:
        return (max(0, size - int(last)), size) if int(last) else (size, size)
    if last and int(last) < int(first):
        return None
    return int(first), min(size, int(last) + 1) if last else size


def _if_range_holds(request: HttpRequest, download: Download) -> bool:
    condition = request.headers.get("If-Range", "").strip()
    if not condition:
        return True
    if condition.startswith('"'):
        return bool(download.etag) and condition == f'"{download.etag}"'
    seconds = parse_http_date_safe(condition)
    return seconds is not None and download.modified is not None and int(download.modified) == seconds


def opened(descriptor: int) -> BinaryIO:
    """Return a file object that owns `descriptor`, unbuffered: blocks are read whole anyway."""
    return os.fdopen(descriptor, "rb", buffering=0)
