"""Sends the short video inside a motion photo: the part of the original that it is."""

import io
import os

from django.http import HttpRequest, HttpResponseBase

from catalog.browsing.make import open_original
from catalog.browsing.stored import Stored, name_with
from catalog.media.motion import video_at_end
from catalog.roots.reach import source_for
from photolala.web.ranges import Download, serve
from photolala.web.refusals import NotThere


class _Part(io.RawIOBase):
    """The bytes from `start` to `end` of an open file, which it owns, as a file of their own."""

    def __init__(self, descriptor: int, start: int, end: int) -> None:
        super().__init__()
        self._descriptor, self._start, self._end, self._position = descriptor, start, end, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._end - self._start}[
            whence
        ] + offset
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        place = self._start + self._position
        data = os.pread(self._descriptor, max(0, min(len(buffer), self._end - place)), place)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


def serve_motion(request: HttpRequest, photo: Stored) -> HttpResponseBase:
    """Answer with the MP4 inside the original, or a part of it; NotThere if the file is no motion photo (any more)."""
    if not photo.motion_bytes:
        raise NotThere("There is no short video in this file.", "no_video")
    source = source_for(photo.library)
    try:
        descriptor = open_original(source, photo)
    finally:
        source.close()
    try:
        place = video_at_end(descriptor, photo.motion_bytes)
        if place is None:
            raise NotThere(
                "The short video is not where the last scan found it. The next scan looks again.", "no_video"
            )
        facts = os.fstat(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    download = Download(
        place[1] - place[0],
        "video/mp4",
        etag=f"{facts.st_mtime_ns:x}-{facts.st_size:x}-motion",
        modified=facts.st_mtime,
        filename=name_with(photo, "mp4"),
        cache_control="private, no-cache",
    )
    return serve(request, download, _Part(descriptor, *place))  # type: ignore[arg-type]
