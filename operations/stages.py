"""How long each stage of an operation took and how much it did, over all its claims."""

import time
from typing import Any

from .models import Operation

STAGES = "stages"
MOST_STAGES = 40


class Stages:
    """Keeps `metrics["stages"]`: a list of `{"name", "seconds", "done", "unit"}` in the order in which they began.

    A stage that a later claim comes through again continues counting: its seconds and its units are those of all claims.
    """

    def __init__(self, metrics: dict[str, Any]) -> None:
        self._metrics = metrics
        self._stages: list[dict[str, Any]] = [dict(stage) for stage in metrics.get(STAGES, [])]
        self._now: dict[str, Any] | None = None
        self._before = (0.0, 0)
        self._began = 0.0

    def begin(self, operation: Operation) -> None:
        """The operation is in a new phase now."""
        name = operation.phase
        self._now = next((stage for stage in self._stages if stage["name"] == name), None)
        if self._now is None:
            self._now = {"name": name, "seconds": 0.0, "done": 0, "unit": operation.unit}
            if len(self._stages) >= MOST_STAGES:
                return  # counted, but not listed
            self._stages.append(self._now)
        self._metrics[STAGES] = self._stages
        self._before = (self._now["seconds"], self._now["done"])
        self._began = time.monotonic()

    def note(self, operation: Operation) -> None:
        """Write down how far the present phase is."""
        if self._now is None or operation.phase not in ("", self._now["name"]):
            return
        seconds, done = self._before
        self._now["seconds"] = round(seconds + time.monotonic() - self._began, 3)
        if operation.phase:  # without, it tells the result of the whole already
            self._now["done"] = done + operation.done
