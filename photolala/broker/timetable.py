"""When the schedule rings: by Celery's beat, which believes the wall clock, without letting a clock that was set stop it."""

import time
from typing import Any

from celery.beat import PersistentScheduler
from celery.schedules import schedstate, schedule

SET_SECONDS = 5.0
"""Clocks that drift are corrected by less at a time."""


class Every(schedule):
    """Every so many seconds. A last time in the future is one of before the clock was set back: then it is due now."""

    def is_due(self, last_run_at: Any) -> schedstate:
        """Return whether it is due, and when to ask again."""
        if self.maybe_make_aware(last_run_at) > self.now():
            return schedstate(is_due=True, next=self.seconds)
        state: schedstate = super().is_due(last_run_at)
        return state


class Timetable(PersistentScheduler):
    """Beat's own scheduler, which sorts what is next by the wall clock: sorted anew when that clock was set."""

    _offset: float | None = None

    def tick(self, *args: Any, **named: Any) -> float:
        """Ring what is due; return the seconds until the next is."""
        offset = time.time() - time.monotonic()
        if self._offset is not None and abs(offset - self._offset) > SET_SECONDS:
            self._heap = None
        self._offset = offset
        seconds: float = super().tick(*args, **named)
        return seconds
