"""When the schedule sends its tasks: by Celery's beat, which believes the wall clock; a clock that was set does not stop it."""

import time
from typing import Any

from celery.beat import PersistentScheduler, ScheduleEntry
from celery.schedules import schedule

from photolala.broker.every import Every

__all__ = ["Every", "Timetable"]  # beat's file names `Every` by this module
SET_SECONDS = 5.0
"""Clocks that drift are corrected by less at a time."""


class Entry(ScheduleEntry):
    """A task and when it was last due. What the settings give as seconds is `Every` so many seconds."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        if type(self.schedule) is schedule:
            self.schedule = Every(self.schedule.seconds, app=self.app)


class Timetable(PersistentScheduler):
    """Beat's own scheduler, which sorts what is next by the wall clock: sorted anew when that clock was set."""

    Entry = Entry
    _offset: float | None = None

    def tick(self, *args: Any, **named: Any) -> float:
        """Send what is due; return the seconds until the next is."""
        offset = time.time() - time.monotonic()
        if self._offset is not None and abs(offset - self._offset) > SET_SECONDS:
            self._heap = None
        self._offset = offset
        seconds: float = super().tick(*args, **named)
        return seconds
