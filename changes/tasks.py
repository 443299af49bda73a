"""What the schedule does with changes."""

from changes.retention import collect_old
from photolala.celery import app


@app.task(name="changes.tasks.collect_tombstones", ignore_result=True)
def collect_tombstones() -> int:
    """Remove tombstones that were kept for long enough. Returns how many."""
    return collect_old()
