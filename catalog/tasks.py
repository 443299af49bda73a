"""The catalog's share of the schedule."""

from celery import shared_task

from . import writes


@shared_task(name="catalog.tasks.write_what_is_due", ignore_result=True)
def write_what_is_due() -> int:
    """Start writers where something waits for its time. Returns how many. Safe to run at any time."""
    return writes.start_all_due()
