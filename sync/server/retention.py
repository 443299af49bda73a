"""How long the results of mutations are kept: for a device that never heard the answer."""

from datetime import timedelta

from operations import clock
from sync.models import PushedMutation

KEEP = timedelta(days=180)
_BATCH = 1000


def forget_old() -> int:
    """Remove results of more than 180 days of being there; return how many.

    A mutation that is sent again after that is answered "noop", for its number is known to be applied.
    """
    if clock.is_suspect():
        return 0
    before = clock.time_ago(KEEP)
    count = 0
    while keys := list(PushedMutation.objects.filter(pushed_at__lt=before).values_list("pk", flat=True)[:_BATCH]):
        count += PushedMutation.objects.filter(pk__in=keys).delete()[0]
    return count
