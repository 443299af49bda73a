"""What the schedule does with changes."""

from celery import shared_task

from changes.retention import collect_old


@shared_task(name="changes.tasks.collect_tombstones", ignore_result=True)
def collect_tombstones() -> int:
    """Remove tombstones that were kept for long enough. Returns how many."""
    return collect_old()
