"""What every page shows of the operations: the thin bar at the top, and the notice of what waits."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from .models import Operation, State


def running_operations(request: HttpRequest) -> dict[str, Any]:
    """Return the user's unfinished operations (at most 20), lazily: one query, and only if the template asks."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {}
    cache: list[Operation] = []
    loaded = False

    def unfinished() -> list[Operation]:
        nonlocal loaded
        if not loaded:
            cache.extend(Operation.objects.visible_to(user).unfinished()[:20])
            loaded = True
        return cache

    return {
        "has_events": settings.HAS_EVENTS,
        "running_operations": lambda: [o for o in unfinished() if o.is_active],
        "waiting_operations": lambda: [o for o in unfinished() if o.state in (State.INTERRUPTED, State.FAILED)],
    }
