"""Hand files to sandboxed decoder processes and collect what they say; a crash, a hang or a lie costs one file."""

from __future__ import annotations

import selectors
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from catalog.media.decoder import Decoder, DecoderGone, close_all
from catalog.media.libraries import HEAVY, ZONE
from catalog.media.limits import DEFAULT_LIMITS, Limits
from catalog.media.results import BadAnswer, DigestResult, PreviewResult, SurveyResult, apply_wire
from catalog.media.task import AnyResult, Job, Task
from catalog.media.wire import BadMessage

_DIGEST_IN_FLIGHT = 2
_MOST_BATCH = 40
_MOST_INNOCENT_STARTS = 5
TICK_SECONDS = 0.5


@dataclass(slots=True)
class _Run:
    """One pass of a verb over jobs."""

    verb: str
    make: Callable[[], AnyResult]
    source: Iterator[Job]
    batch: int
    in_flight: int
    retries: deque[Task] = field(default_factory=deque)
    done: deque[Task] = field(default_factory=deque)
    is_exhausted: bool = False


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
        run = _Run("survey", SurveyResult, iter(jobs), batch, 2)
        return cast(Iterator[tuple[Job, SurveyResult]], self._results(run))

    def digest(self, jobs: Iterable[Job], in_flight: int = _DIGEST_IN_FLIGHT) -> Iterator[tuple[Job, DigestResult]]:
        """Yield each job with all facts and its thumbnail, in no particular order; pulls at most `in_flight` ahead per process.

        More than two serve a caller that does other work between two results, so that no process waits for it.
        """
        run = _Run("digest", DigestResult, iter(jobs), 1, in_flight)
        return cast(Iterator[tuple[Job, DigestResult]], self._results(run))

    def facts(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, DigestResult]]:
        """Like `digest`, but nothing is drawn: for files whose pictures are known, such as rewritten ones."""
        run = _Run("facts", DigestResult, iter(jobs), 1, _DIGEST_IN_FLIGHT)
        return cast(Iterator[tuple[Job, DigestResult]], self._results(run))

    def preview(self, job: Job, edge_px: int) -> PreviewResult:
        """Return an upright sRGB JPEG of the job's file fitted into `edge_px` pixels, or the reason why there is none."""
        job = Job(job.key, job.name, job.open, {**job.params, "edge_px": int(edge_px)})
        run = _Run("preview", PreviewResult, iter([job]), 1, 1)
        ((_, result),) = self._results(run)
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

    def _results(self, run: _Run) -> Iterator[tuple[Job, AnyResult]]:
        if self._busy:
            raise RuntimeError("This decoder pool is at work already; finish that loop first or use a second pool.")
        self._busy = True
        try:
            while True:
                self._fill(run)
                while run.done:
                    task = run.done.popleft()
                    yield task.job, task.result
                if not any(decoder and decoder.batches for decoder in self._decoders):
                    if run.is_exhausted and not run.retries:
                        return
                    continue
                self._wait(run)
                if self.tick:
                    self.tick()
        finally:
            self._busy = False
            for index, decoder in enumerate(self._decoders):
                if decoder is not None and decoder.batches:
                    decoder.kill()
                    self._decoders[index] = None

    def _fill(self, run: _Run) -> None:
        """Give each process work, until all have enough or there is none; a task to be tried alone waits for an idle process."""
        progress = True
        while progress and not (run.is_exhausted and not run.retries):
            progress = False
            for index in range(len(self._decoders)):
                decoder = self._decoders[index]
                waiting = len(decoder.batches) if decoder else 0
                if (
                    decoder
                    and waiting
                    and (decoder.is_retiring or waiting >= run.in_flight or decoder.batches[0][0].is_alone)
                ):
                    continue
                if run.retries:
                    if waiting:
                        continue
                    tasks = [run.retries.popleft()]
                else:
                    tasks = self._pull(run)
                if tasks:
                    progress = True
                    self._give(index, tasks, run)
                if run.done:
                    # Results that need no process must not wait behind a caller that claims work lazily.
                    return

    def _pull(self, run: _Run) -> list[Task]:
        tasks: list[Task] = []
        while len(tasks) < run.batch and not run.is_exhausted:
            job = next(run.source, None)
            if job is None:
                run.is_exhausted = True
                break
            tasks.append(Task(job, run.make()))
        return tasks

    def _give(self, index: int, tasks: list[Task], run: _Run) -> None:
        """Open the files and send them; what cannot be opened is done, a process that is gone is replaced."""
        for attempt in range(_MOST_INNOCENT_STARTS):
            decoder = self._decoders[index]
            if decoder is None or decoder.is_retiring or (tasks[0].wants_fresh and decoder.has_served):
                if decoder is not None:
                    decoder.close()
                self.libraries.update(_zones(tasks))
                decoder = self._decoders[index] = Decoder(self.limits, self._worker_module, self.libraries)
            try:
                refused = decoder.give(run.verb, tasks)
            except DecoderGone:
                self._lost(index, run, tasks)
                if attempt + 1 == _MOST_INNOCENT_STARTS:
                    raise
                continue
            for task, reason in refused:
                task.result.problem = reason
                run.done.append(task)
            return

    def _lost(self, index: int, run: _Run, unsent: list[Task]) -> None:
        """Clear away a process found dead while giving it work: the batch it held is to blame, `unsent` is not."""
        decoder = self._decoders[index]
        self._decoders[index] = None
        if decoder is None:
            return
        reason = decoder.kill()
        held = [batch for batch in decoder.batches if batch is not unsent]
        self._settle_crash(held, reason, False, run)

    def _wait(self, run: _Run) -> None:
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
            self._read(index, run)
        now = time.monotonic()
        for index, decoder in enumerate(self._decoders):
            if decoder is not None and decoder.batches and index not in ready and now >= decoder.deadline:
                self._decoders[index] = None
                decoder.kill()
                self._settle_crash(list(decoder.batches), "", True, run)

    def _read(self, index: int, run: _Run) -> None:
        decoder = self._decoders[index]
        if decoder is None:
            return
        reason = ""
        try:
            is_open = decoder.read()
            for header, blob in decoder.messages():
                if "needs" in header:
                    self._replace(index, decoder, header["needs"], run)
                    return
                self._take(decoder, header, blob, run)
            if is_open:
                return
        except (BadMessage, BadAnswer) as error:
            reason = f"answered nonsense: {error}"
        self._decoders[index] = None
        ended = decoder.kill()
        self._settle_crash(list(decoder.batches), reason or ended, False, run)

    def _replace(self, index: int, decoder: Decoder, name: Any, run: _Run) -> None:
        """End a sealed process that lacks a library or zone, and try its files again with that; nobody is to blame."""
        held = [task for batch in decoder.batches for task in batch]
        if name in self.libraries or not (name in HEAVY or name in _zones(held)):
            raise BadAnswer("a library that it has, or that there is not")
        self.libraries.add(name)
        self._decoders[index] = None
        decoder.kill()
        for task in held:
            task.result, task.has_facts = run.make(), False
        run.retries.extend(held)

    def _take(self, decoder: Decoder, header: dict[str, Any], blob: bytes, run: _Run) -> None:
        if not decoder.batches:
            raise BadAnswer("an answer that nobody asked for")
        batch = decoder.batches[0]
        if run.verb == "survey":
            wires = header.get("results")
            if not isinstance(wires, list) or len(wires) != len(batch):
                raise BadAnswer("as many answers as questions are expected")
            fresh = [apply_wire(SurveyResult(), wire) for wire in wires]
            for task, result in zip(batch, fresh, strict=True):
                task.result = result
            run.done.extend(batch)
        elif "facts" in header and not batch[0].has_facts:
            batch[0].result = apply_wire(DigestResult(), header["facts"])
            batch[0].has_facts = True
            return
        elif "facts" in header:
            apply_wire(DigestResult(), header["facts"])
            return
        elif "final" in header:
            task = batch[0]
            self._take_final(task, header["final"], blob)
            is_short = isinstance(task.result, DigestResult | PreviewResult) and task.result.short_of_memory
            if is_short and decoder.has_served and not task.wants_fresh:
                task.result, task.has_facts, task.is_alone, task.wants_fresh = run.make(), False, True, True
                run.retries.append(task)
            else:
                run.done.append(task)
        else:
            raise BadAnswer("an answer of no known kind")
        decoder.finished(header.get("rss"))

    def _take_final(self, task: Task, wire: Any, blob: bytes) -> None:
        if blob and not (blob.startswith(b"\xff\xd8") and blob.endswith(b"\xff\xd9")):
            raise BadAnswer("a picture that is no JPEG")
        if isinstance(task.result, DigestResult):
            apply_wire(task.result, wire)
            task.result.thumbnail = blob or None
        elif isinstance(task.result, PreviewResult):
            apply_wire(task.result, wire)
            task.result.picture = blob or None

    def _settle_crash(self, batches: list[list[Task]], ended: str, is_timeout: bool, run: _Run) -> None:
        """Decide what follows a process's end: its first batch was at work, the others are innocent and go again."""
        for position, batch in enumerate(batches):
            for task in batch:
                if position > 0:
                    run.retries.append(task)
                    continue
                # In a larger batch nobody knows who did it: each is tried alone before it is blamed.
                is_blamed = len(batch) == 1
                task.crashes += is_blamed and not is_timeout
                task.timeouts += is_blamed and is_timeout
                task.is_alone = True
                if task.crashes >= self.limits.crashes or task.timeouts >= self.limits.timeouts:
                    self._give_up(task, ended)
                    run.done.append(task)
                else:
                    run.retries.append(task)

    def _give_up(self, task: Task, ended: str) -> None:
        if task.timeouts >= self.limits.timeouts:
            sentence = f"The decoder ran beyond its time limit on this file {task.timeouts} times."
        else:
            sentence = f"The decoder crashed on this file {task.crashes} times ({ended})."
        if task.has_facts:
            sentence = f"The picture could not be drawn. {sentence}"
        task.result.problem = sentence


def _zones(tasks: Iterable[Task]) -> set[str]:
    """Return the time zones of some tasks as names of what a decoder loads before it is sealed."""
    return {f"{ZONE}{zone}" for task in tasks if (zone := task.job.params.get("zone"))}
