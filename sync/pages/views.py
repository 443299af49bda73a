"""How one's devices sync, and what a person has to decide."""

import json
import uuid
from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from accounts.models import User
from photolala.web.refusals import NotThere, Problem
from sync.models import Conflict
from sync.protocol.values import JsonValue
from sync.server import conflict_decisions
from sync.server.orm import OrmRepository
from sync.server.status import status_of

MOST_OPEN = 50
MOST_DECIDED = 20
KINDS = {
    "photo": "photo",
    "favourite": "favourite",
    "album": "album",
    "albumItem": "thing in an album",
    "note": "note",
    "draft": "draft",
    "library": "library",
}
FIELDS = {"takenAt": "date", "content": "text", "blocks": "text", "order": "order", "cover": "cover"}
DECISIONS = {
    Conflict.Decision.MINE: "What the device sent counts now.",
    Conflict.Decision.THEIRS: "What was here counts now.",
    Conflict.Decision.BOTH: "Both are kept.",
}


@login_required
@require_GET
def show(request: HttpRequest) -> HttpResponse:
    """Show how the devices stand, the conflicts that wait, and the last ones that were decided."""
    user = cast(User, request.user)
    repository = OrmRepository(user)
    visible = Conflict.objects.visible_to(user).select_related("device", "decided_by")
    waiting = list(visible.open()[: MOST_OPEN + 1])
    decided = list(visible.filter(state=Conflict.State.DECIDED).order_by("-decided_at", "pk")[:MOST_DECIDED])
    context = {
        "devices": [one for one in status_of(user) if one.has_synced],
        "waiting": [_card(one) for one in conflict_decisions.shown(repository, user, waiting[:MOST_OPEN])],
        "has_more": len(waiting) > MOST_OPEN,
        "decided": [_card(one) for one in conflict_decisions.shown(repository, user, decided)],
        "kinds": KINDS,
    }
    return render(request, "sync/status.html", context)


@login_required
@require_POST
def decide(request: HttpRequest, conflict_id: uuid.UUID) -> HttpResponse:
    """Let one side of a conflict count, or both."""
    user = cast(User, request.user)
    if not Conflict.objects.visible_to(user).filter(pk=conflict_id).exists():
        raise Http404
    decision = request.POST.get("decision", "")
    if decision not in Conflict.Decision.values:
        messages.warning(request, "Choose which side is to count. Nothing was changed.")
        return redirect("sync:status")
    try:
        conflict_decisions.decide(OrmRepository(user), user, conflict_id, decision)
    except NotThere:
        raise Http404 from None
    except Problem as problem:
        messages.warning(request, problem.detail)
    else:
        messages.success(request, DECISIONS[Conflict.Decision(decision)])
    return redirect("sync:status")


def _card(one: conflict_decisions.ShownConflict) -> dict[str, object]:
    row = one.conflict
    name = one.title or f"a {KINDS.get(row.kind, row.kind)}"
    return {
        "conflict": row,
        "heading": f"{FIELDS.get(row.field, row.field).capitalize()} of {name}",
        "kind": KINDS.get(row.kind, row.kind),
        "mine": _words(one.mine),
        "theirs": _words(one.theirs),
        "by_mine": "you" if one.is_mine else "somebody else",
        "by_theirs": "you" if one.is_theirs_mine else "somebody else",
        "other_device": one.other_device,
        "is_there": one.is_there,
        "may_keep_both": one.may_keep_both,
    }


def _words(value: JsonValue) -> str:
    """Return a value as people read it."""
    if value is None or value == "":
        return "nothing"
    if isinstance(value, list):
        texts = [part["text"] for part in value if isinstance(part, dict) and isinstance(part.get("text"), str)]
        return "\n\n".join(str(text) for text in texts) or json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        return ", ".join(f"{name}: {part}" for name, part in value.items())
    return str(value)
