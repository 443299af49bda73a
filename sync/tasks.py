"""What the schedule does with what devices pushed."""

from photolala.celery import app
from sync.server.retention import forget_old


@app.task(name="sync.tasks.forget_old_mutations", ignore_result=True)
def forget_old_mutations() -> int:
    """Forget the results of mutations that were pushed long ago. Returns how many."""
    return forget_old()
