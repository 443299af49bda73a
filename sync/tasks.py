"""What the schedule does with what devices pushed."""

from celery import shared_task

from sync.server.retention import forget_old


@shared_task(name="sync.tasks.forget_old_mutations", ignore_result=True)
def forget_old_mutations() -> int:
    """Forget the results of mutations that were pushed long ago. Returns how many."""
    return forget_old()
