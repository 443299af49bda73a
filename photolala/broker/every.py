"""When something is due again, by a clock that may be set."""

from typing import Any

from celery.schedules import schedstate, schedule


class Every(schedule):
    """Every so many seconds. A last time in the future is one of before the clock was set back: then it is due now."""

    def is_due(self, last_run_at: Any) -> schedstate:
        """Return whether it is due, and when to ask again."""
        if self.maybe_make_aware(last_run_at) > self.now():
            return schedstate(is_due=True, next=self.seconds)
        state: schedstate = super().is_due(last_run_at)
        return state
