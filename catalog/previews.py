"""Make pictures while a person waits: lost thumbnails, and the lightbox's previews; one decoder a process."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from catalog.media.pool import DecoderPool, Job
from catalog.media.results import DigestResult, PreviewResult

PREVIEW_EDGE_PX = 2_048
MOST_WAITING = 8
WAIT_SECONDS = 15.0


class DecoderBusy(Exception):
    """Too many pictures are being made just now; try again in a moment."""


class OnDemandDecoder:
    """One sandboxed decoder for all threads of this process; it starts with the first picture and is kept."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._places = threading.BoundedSemaphore(MOST_WAITING)
        self._pool: DecoderPool | None = None
        self._process = 0

    def preview(self, job: Job, edge_px: int = PREVIEW_EDGE_PX) -> PreviewResult:
        """Return an upright JPEG fitted into `edge_px`, or the reason why there is none. Raises DecoderBusy."""
        with self._mine() as pool:
            return pool.preview(job, edge_px)

    def digest(self, job: Job) -> DigestResult:
        """Return all facts and the thumbnail, as a scan would find them. Raises DecoderBusy."""
        with self._mine() as pool:
            return next(result for _, result in pool.digest([job]))

    def close(self) -> None:
        """End the decoder process; the next picture starts another one."""
        with self._turn:
            if self._pool is not None and self._process == os.getpid():
                self._pool.close()
            self._pool = None

    @contextmanager
    def _mine(self) -> Iterator[DecoderPool]:
        if not self._places.acquire(blocking=False):
            raise DecoderBusy
        try:
            if not self._turn.acquire(timeout=WAIT_SECONDS):
                raise DecoderBusy
            try:
                if self._pool is None or self._process != os.getpid():  # a forked child must not use its parent's
                    self._pool, self._process = DecoderPool(1), os.getpid()
                yield self._pool
            finally:
                self._turn.release()
        finally:
            self._places.release()


decoder = OnDemandDecoder()
