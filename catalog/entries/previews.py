"""Make pictures while a person waits: lost thumbnails, and the lightbox's previews; one decoder a process."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from catalog.entries.decoders import preview_decoder
from catalog.media.pool import DecoderPool
from catalog.media.results import DigestResult, PreviewResult
from catalog.media.task import Job

PREVIEW_EDGE_PX = 1_600
MOST_WAITING = 8
WAIT_SECONDS = 15.0
Result = TypeVar("Result")


class DecoderBusy(Exception):
    """Too many pictures are being made just now; try again in a moment."""


class OnDemandDecoder:
    """One sandboxed decoder for all threads of this process; it starts with the first picture and is kept.

    The kernel ends a decoder with the thread that started it, and web servers let idle threads go. Therefore one
    thread, which lives as long as the process, starts the decoder and does all the work.
    """

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._places = threading.BoundedSemaphore(MOST_WAITING)
        self._thread: ThreadPoolExecutor | None = None
        self._pool: DecoderPool | None = None
        self._process = 0

    def preview(self, job: Job, edge_px: int = PREVIEW_EDGE_PX) -> PreviewResult:
        """Return an upright JPEG fitted into `edge_px`, or the reason why there is none. Raises DecoderBusy."""
        return self.work(lambda pool: pool.preview(job, edge_px))

    def digest(self, job: Job) -> DigestResult:
        """Return all facts and the thumbnail, as a scan would find them. Raises DecoderBusy."""
        return self.work(lambda pool: next(result for _, result in pool.digest([job])))

    def work(self, verb: Callable[[DecoderPool], Result]) -> Result:
        """Return what `verb` makes of the pool, in turn. Raises DecoderBusy after WAIT_SECONDS, or if eight wait."""
        if not self._places.acquire(blocking=False):
            raise DecoderBusy
        try:
            future = self._worker().submit(self._with_pool, verb)
            try:
                return future.result(timeout=WAIT_SECONDS)
            except TimeoutError:
                if future.cancel():
                    raise DecoderBusy from None
            return future.result()  # it is at work, and the decoder has a time limit of its own
        finally:
            self._places.release()

    def close(self) -> None:
        """End the decoder process; the next picture starts another one."""
        with self._starting:
            thread, self._thread = self._thread, None
            if thread is not None and self._process == os.getpid():
                thread.shutdown(wait=True)
            if self._pool is not None and self._process == os.getpid():
                self._pool.close()
            self._pool = None

    def process_ids(self) -> list[int]:
        """Return the ids of the running decoder processes."""
        return self._pool.process_ids() if self._pool is not None and self._process == os.getpid() else []

    def _worker(self) -> ThreadPoolExecutor:
        with self._starting:
            if self._thread is None or self._process != os.getpid():  # a forked child must not use its parent's
                self._thread, self._process = ThreadPoolExecutor(1, thread_name_prefix="pictures"), os.getpid()
                self._pool = preview_decoder()
            return self._thread

    def _with_pool(self, verb: Callable[[DecoderPool], Result]) -> Result:
        pool = self._pool
        if pool is None:
            raise DecoderBusy
        return verb(pool)


decoder = OnDemandDecoder()
