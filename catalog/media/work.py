"""One pass of a verb over jobs: which tasks wait, which are to be tried again, and what an answer or a crash means for them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from catalog.media.decoder_libraries import ZONE
from catalog.media.limits import Limits
from catalog.media.results import BadAnswer, DigestResult, PreviewResult, SurveyResult, apply_wire
from catalog.media.task import AnyResult, Job, Task


class Work:
    """The tasks of one pass. A task is pulled from the jobs, held by a decoder, and then `done`, or in `retries`."""

    def __init__(
        self,
        verb: str,
        make: Callable[[], AnyResult],
        jobs: Iterator[Job],
        limits: Limits,
        *,
        batch: int = 1,
        in_flight: int = 1,
    ) -> None:
        """`make` returns an empty result; a message holds up to `batch` tasks, a decoder up to `in_flight` messages."""
        self.verb = verb
        self.in_flight = in_flight
        self.retries: deque[Task] = deque()
        """Tried again one by one: nobody knows any more whose fault it was."""
        self.done: deque[Task] = deque()
        self._make = make
        self._jobs = jobs
        self._limits = limits
        self._batch = batch
        self._is_exhausted = False

    def is_over(self) -> bool:
        """True if no task is left that a decoder could be given."""
        return self._is_exhausted and not self.retries

    def pull(self) -> list[Task]:
        """Return the next tasks, none when the jobs are exhausted. Runs the caller's iterator."""
        tasks: list[Task] = []
        while len(tasks) < self._batch and not self._is_exhausted:
            job = next(self._jobs, None)
            if job is None:
                self._is_exhausted = True
                break
            tasks.append(Task(job, self._make()))
        return tasks

    # -- answers ------------------------------------------------------------------------------------------------------

    def take(self, batch: Sequence[Task], header: dict[str, Any], blob: bytes, *, has_served: bool) -> bool:
        """Take an answer about the tasks of `batch`; return True if it was the last one about them. Raises BadAnswer.

        `has_served` says that the decoder had other files before, whose memory it may still hold.
        """
        if self.verb == "survey":
            self._take_survey(batch, header.get("results"))
        elif "facts" in header:
            self._take_facts(batch[0], header["facts"])
            return False
        elif "final" in header:
            task = batch[0]
            _take_final(task, header["final"], blob)
            is_short = isinstance(task.result, DigestResult | PreviewResult) and task.result.short_of_memory
            if is_short and has_served and not task.wants_fresh:
                task.is_alone = task.wants_fresh = True
                self.try_again([task])
            else:
                self.done.append(task)
        else:
            raise BadAnswer("an answer of no known kind")
        return True

    def _take_survey(self, batch: Sequence[Task], wires: Any) -> None:
        if not isinstance(wires, list) or len(wires) != len(batch):
            raise BadAnswer("as many answers as questions are expected")
        fresh = [apply_wire(SurveyResult(), wire) for wire in wires]
        for task, result in zip(batch, fresh, strict=True):
            task.result = result
        self.done.extend(batch)

    def _take_facts(self, task: Task, wire: Any) -> None:
        """Keep the facts that come before the picture: they stay if that cannot be drawn. The first ones count."""
        result = apply_wire(DigestResult(), wire)
        if not task.has_facts:
            task.result = result
            task.has_facts = True

    # -- what went wrong ----------------------------------------------------------------------------------------------

    def try_again(self, tasks: Iterable[Task]) -> None:
        """Let tasks start anew, without what was said of them; they are not to blame."""
        for task in tasks:
            task.result, task.has_facts = self._make(), False
            self.retries.append(task)

    def refuse(self, task: Task, reason: str) -> None:
        """End a task whose file cannot be opened."""
        task.result.problem = reason
        self.done.append(task)

    def settle_crash(self, batches: Iterable[list[Task]], ended: str, *, is_timeout: bool = False) -> None:
        """Decide what follows a process's end: its first batch was at work, the others are innocent and are tried again."""
        for position, batch in enumerate(batches):
            for task in batch:
                if position > 0:
                    self.retries.append(task)
                    continue
                # In a larger batch nobody knows who did it: each is tried alone before it is blamed.
                is_blamed = len(batch) == 1
                task.crashes += is_blamed and not is_timeout
                task.timeouts += is_blamed and is_timeout
                task.is_alone = True
                if task.crashes >= self._limits.crashes or task.timeouts >= self._limits.timeouts:
                    self._give_up(task, ended)
                else:
                    self.retries.append(task)

    def _give_up(self, task: Task, ended: str) -> None:
        if task.timeouts >= self._limits.timeouts:
            sentence = f"The decoder ran beyond its time limit on this file {task.timeouts} times."
        else:
            sentence = f"The decoder crashed on this file {task.crashes} times ({ended})."
        if task.has_facts:
            sentence = f"The picture could not be drawn. {sentence}"
        task.result.problem = sentence
        if isinstance(task.result, PreviewResult):
            task.result.gave_up = True
        self.done.append(task)


def zones_of(tasks: Iterable[Task]) -> set[str]:
    """Return the time zones of some tasks as names of what a decoder loads before it is sealed."""
    return {f"{ZONE}{zone}" for task in tasks if (zone := task.job.params.get("zone"))}


def _take_final(task: Task, wire: Any, blob: bytes) -> None:
    if blob and not (blob.startswith(b"\xff\xd8") and blob.endswith(b"\xff\xd9")):
        raise BadAnswer("a picture that is no JPEG")
    if isinstance(task.result, DigestResult):
        apply_wire(task.result, wire)
        task.result.thumbnail = blob or None
    elif isinstance(task.result, PreviewResult):
        apply_wire(task.result, wire)
        task.result.picture = blob or None
