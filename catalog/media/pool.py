"""Hand files to sandboxed decoder processes and collect what they say; a crash, a hang or a lie costs one file."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

from catalog.media.decoder import Decoder, DecoderGone, close_all
from catalog.media.decoder_libraries import HEAVY
from catalog.media.limits import DEFAULT_LIMITS, Limits
from catalog.media.results import BadAnswer, DigestResult, PreviewResult, SurveyResult
from catalog.media.task import AnyResult, Job, Task
from catalog.media.wire import BadMessage
from catalog.media.work import Work, zones_of

_DIGEST_IN_FLIGHT = 2
_MOST_BATCH = 40
_MOST_INNOCENT_STARTS = 5
TICK_SECONDS = 0.5


class DecoderPool:
    """Decoder processes for one caller at a time; use as a context manager. Not for use from two threads at once."""

    def __init__(
        self, processes: int, limits: Limits = DEFAULT_LIMITS, *, worker_module: str = "catalog.media.worker"
    ) -> None:
        self.limits = limits
        self._worker_module = worker_module
        self._decoders: list[Decoder | None] = [None] * max(1, processes)
        self._busy = False
        self.libraries: set[str] = set()
        """What some file needed, which decoders started from then on bring along."""
        self.tick: Callable[[], object] | None = None
        """Called about every second while the pool waits for a process; what it raises ends the work under way."""

    def __enter__(self) -> DecoderPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def survey(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, SurveyResult]]:
        """Yield each job with what its first bytes tell, in no particular order; pulls `jobs` as processes become free."""
        batch = max(4, min(_MOST_BATCH, 128 // len(self._decoders)))
        work = Work("survey", SurveyResult, iter(jobs), self.limits, batch=batch, in_flight=2)
        return cast(Iterator[tuple[Job, SurveyResult]], self._results(work))

    def digest(self, jobs: Iterable[Job], in_flight: int = _DIGEST_IN_FLIGHT) -> Iterator[tuple[Job, DigestResult]]:
        """Yield each job with all facts and its thumbnail, in no particular order; pulls at most `in_flight` ahead per process.

        More than two serve a caller that does other work between two results, so that no process waits for it.
        """
        work = Work("digest", DigestResult, iter(jobs), self.limits, in_flight=in_flight)
        return cast(Iterator[tuple[Job, DigestResult]], self._results(work))

    def facts(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, DigestResult]]:
        """Like `digest`, but nothing is drawn: for files whose pictures are known, such as rewritten ones."""
        work = Work("facts", DigestResult, iter(jobs), self.limits, in_flight=_DIGEST_IN_FLIGHT)
        return cast(Iterator[tuple[Job, DigestResult]], self._results(work))

    def preview(self, job: Job, edge_px: int) -> PreviewResult:
        """Return an upright sRGB JPEG of the job's file fitted into `edge_px` pixels, or the reason why there is none."""
        job = Job(job.key, job.name, job.open, {**job.params, "edge_px": int(edge_px)})
        work = Work("preview", PreviewResult, iter([job]), self.limits)
        ((_, result),) = self._results(work)
        return cast(PreviewResult, result)

    def close(self) -> None:
        """End all processes. The pool can be used again; it starts new ones."""
        close_all(self._decoders)
        self._decoders = [None] * len(self._decoders)

    def layers(self) -> list[str]:
        """Start a process and return the layers of its sandbox. Raises RuntimeError if it does not start."""
        decoder = Decoder(self.limits, self._worker_module)
        try:
            while decoder.layers is None:
                if not decoder.read():
                    raise RuntimeError(f"The decoder process ended at its start ({decoder.kill()}).")
                list(decoder.messages())
            return [str(layer) for layer in decoder.layers]
        finally:
            decoder.close()

    def process_ids(self) -> list[int]:
        """Return the ids of the running processes."""
        return [decoder.pid for decoder in self._decoders if decoder is not None]

    def _results(self, work: Work) -> Iterator[tuple[Job, AnyResult]]:
        if self._busy:
            raise RuntimeError("This decoder pool is at work already; finish that loop first or use a second pool.")
        self._busy = True
        try:
            while True:
                self._fill(work)
                while work.done:
                    task = work.done.popleft()
                    yield task.job, task.result
                if not any(decoder and decoder.batches for decoder in self._decoders):
                    if work.is_over():
                        return
                    continue
                self._wait(work)
                if self.tick:
                    self.tick()
        finally:
            self._busy = False
            for index, decoder in enumerate(self._decoders):
                if decoder is not None and decoder.batches:
                    decoder.kill()
                    self._decoders[index] = None

    def _fill(self, work: Work) -> None:
        """Give each process work, until all have enough or there is none; a task to be tried alone waits for an idle process."""
        progress = True
        while progress and not work.is_over():
            progress = False
            for index in range(len(self._decoders)):
                decoder = self._decoders[index]
                waiting = len(decoder.batches) if decoder else 0
                if (
                    decoder
                    and waiting
                    and (decoder.is_retiring or waiting >= work.in_flight or decoder.batches[0][0].is_alone)
                ):
                    continue
                if work.retries:
                    if waiting:
                        continue
                    tasks = [work.retries.popleft()]
                else:
                    tasks = work.pull()
                if tasks:
                    progress = True
                    self._give(index, tasks, work)
                if work.done:
                    # Results that need no process must not wait behind a caller that claims work lazily.
                    return

    def _give(self, index: int, tasks: list[Task], work: Work) -> None:
        """Open the files and send them; what cannot be opened is done, a process that is gone is replaced."""
        for attempt in range(_MOST_INNOCENT_STARTS):
            decoder = self._decoders[index]
            if decoder is None or decoder.is_retiring or (tasks[0].wants_fresh and decoder.has_served):
                if decoder is not None:
                    decoder.close()
                self.libraries.update(zones_of(tasks))
                decoder = self._decoders[index] = Decoder(self.limits, self._worker_module, self.libraries)
            try:
                refused = decoder.give(work.verb, tasks)
            except DecoderGone:
                self._lost(index, work, tasks)
                if attempt + 1 == _MOST_INNOCENT_STARTS:
                    raise
                continue
            for task, reason in refused:
                work.refuse(task, reason)
            return

    def _lost(self, index: int, work: Work, unsent: list[Task]) -> None:
        """Clear away a process found dead while giving it work: the batch it held is to blame, `unsent` is not."""
        decoder = self._decoders[index]
        self._decoders[index] = None
        if decoder is None:
            return
        reason = decoder.kill()
        held = [batch for batch in decoder.batches if batch is not unsent]
        work.settle_crash(held, reason)

    def _wait(self, work: Work) -> None:
        now = time.monotonic()
        with selectors.DefaultSelector() as selector:
            deadline = now + 60.0
            for index, decoder in enumerate(self._decoders):
                if decoder is not None and decoder.batches:
                    selector.register(decoder.channel, selectors.EVENT_READ, index)
                    deadline = min(deadline, decoder.deadline)
            longest = TICK_SECONDS if self.tick else deadline - now
            ready = [key.data for key, _ in selector.select(max(0.0, min(longest, deadline - now)))]
        for index in ready:
            self._read(index, work)
        now = time.monotonic()
        for index, decoder in enumerate(self._decoders):
            if decoder is not None and decoder.batches and index not in ready and decoder.is_overdue(now):
                self._decoders[index] = None
                decoder.kill()
                work.settle_crash(decoder.batches, "", is_timeout=True)

    def _read(self, index: int, work: Work) -> None:
        decoder = self._decoders[index]
        if decoder is None:
            return
        reason = ""
        try:
            is_open = decoder.read()
            for header, blob in decoder.messages():
                if "needs" in header:
                    self._replace(index, decoder, header["needs"], work)
                    return
                if not decoder.batches:
                    raise BadAnswer("an answer that nobody asked for")
                if work.take(decoder.batches[0], header, blob, has_served=decoder.has_served):
                    decoder.finished(header.get("rss"))
            if is_open:
                return
        except (BadMessage, BadAnswer) as error:
            reason = f"answered nonsense: {error}"
        self._decoders[index] = None
        ended = decoder.kill()
        work.settle_crash(decoder.batches, reason or ended)

    def _replace(self, index: int, decoder: Decoder, name: Any, work: Work) -> None:
        """End a sealed process that lacks a library or zone, and try its files again with that; nobody is to blame."""
        held = [task for batch in decoder.batches for task in batch]
        if name in self.libraries or not (name in HEAVY or name in zones_of(held)):
            raise BadAnswer("a library that it has, or that there is not")
        self.libraries.add(name)
        self._decoders[index] = None
        decoder.kill()
        work.try_again(held)
