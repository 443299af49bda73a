"""What templates say of operations: the kind's label, the state's badge, and which notices were dismissed."""

from typing import Any

from django import template
from django.http import HttpRequest

from operations.kinds import KINDS
from operations.models import Operation, State

from .figures import rate

register = template.Library()
DISMISSED = "dismissed_operations"  # a session's list of operation ids
STATE_WORDS = {
    State.PENDING: ("waiting", ""),
    State.RUNNING: ("running", "is-accent"),
    State.COMPLETED: ("done", "is-good"),
    State.FAILED: ("failed", "is-danger"),
    State.CANCELLED: ("cancelled", ""),
    State.INTERRUPTED: ("interrupted", "is-warning"),
}


@register.filter
def kind_label(kind: str) -> str:
    """Return the kind's label for people ("scan" -> "Scan")."""
    known = KINDS.get(kind)
    text = known.label if known else kind.replace("_", " ")
    return text[:1].upper() + text[1:]


@register.filter
def state_words(state: str) -> str:
    """Return the state as people say it ("completed" -> "done")."""
    return STATE_WORDS[State(state)][0]


@register.filter
def state_class(state: str) -> str:
    """Return the badge's class of a state."""
    return STATE_WORDS[State(state)][1]


@register.filter
def not_dismissed(operations: list[Operation] | None, request: HttpRequest) -> list[Operation]:
    """Return those whose notice was not dismissed since this person signed in."""
    if not operations:
        return []
    dismissed: list[Any] = request.session.get(DISMISSED, [])
    return [operation for operation in operations if str(operation.pk) not in dismissed]


@register.filter
def stage_rate(stage: dict[str, Any]) -> str:
    """Return how much a stage did each second, or a dash where that says nothing."""
    seconds, done = stage.get("seconds") or 0.0, stage.get("done") or 0
    return rate(done / seconds, stage.get("unit", "")) if done and seconds >= 0.01 else "–"
