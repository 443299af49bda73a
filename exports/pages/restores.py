"""The pages of restores: send a backup, see what it would change, confirm, see what it changed."""

import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from accounts.requests import HttpRequest
from exports.models import Backup, Restore
from exports.refusals import ExportRefused
from exports.restore import requests as verbs
from exports.restore.expiry import KEPT_DAYS
from operations.running import AlreadyActive

MOST_SHOWN = 50
MOST_DIFFERENCES = 200
WORDS = {
    "create": "new",
    "update": "changed",
    "bring_back": "brought back from the trash",
    "same": "the same",
    "keep": "newer here",
    "trash": "into the trash",
    "only_here": "only here",
    "left": "cannot be restored",
    "waiting": "waiting for the photo",
}
KINDS = {
    "album": "Albums",
    "albumItem": "Photos and notes in albums",
    "destination": "Export destinations",
    "draft": "Drafts",
    "favourite": "Favourites",
    "library": "Libraries",
    "member": "Members",
    "note": "Notes",
    "photo": "What people said of photos",
    "user": "People",
}
_BUSY = "A backup of yours is being compared or restored already. Wait until that is done, or cancel it."


class SendForm(forms.Form):
    """A backup that a person sends."""

    backup = forms.FileField(required=False)
    kept = forms.UUIDField(required=False)
    mode = forms.ChoiceField(choices=Restore.Mode.choices)


@login_required
@require_GET
def list_restores(request: HttpRequest) -> HttpResponse:
    """Show the forms, with the backups that the server keeps, and what was restored. Three queries."""
    return _list(request)


@login_required
@require_POST
def send(request: HttpRequest) -> HttpResponse:
    """Take a backup, and begin to compare it."""
    form = SendForm(request.POST, request.FILES)
    if not form.is_valid():
        return _list(request, 422, error="Choose the ZIP file of a backup. Nothing was kept.")
    file, kept, mode = (form.cleaned_data[name] for name in ("backup", "kept", "mode"))
    if file is None and kept is None:
        return _list(request, 422, error="Choose the ZIP file of a backup. Nothing was kept.")
    try:
        if kept is not None:
            backup = get_object_or_404(Backup.objects.visible_to(request.user), pk=kept)
            restore = verbs.start_of_backup(request.user, backup, mode)
        else:
            restore = verbs.start_sent(request.user, file.chunks(), file.name, mode)
    except ExportRefused as refused:
        return _list(request, 422, error=str(refused))
    except AlreadyActive:
        return _list(request, 409, error=_BUSY)
    return redirect("exports:restore", restore.pk)


@login_required
@require_GET
def show(request: HttpRequest, restore_id: uuid.UUID) -> HttpResponse:
    """Show how far it is, what it would change or changed, and what waits. Three queries."""
    restore = _own(request, restore_id)
    counts = [
        (KINDS.get(kind, kind), [(WORDS.get(action, action), count) for action, count in actions.items()])
        for kind, actions in restore.counts.items()
    ]
    listed = restore.differences[:MOST_DIFFERENCES]
    rows = [
        {**row, "kind": KINDS.get(row["kind"], row["kind"]), "words": WORDS.get(row["action"], row["action"])}
        for row in listed
    ]
    waiting = list(restore.waiting.all()[: MOST_SHOWN + 1])
    context = {
        "restore": restore,
        "operation": restore.operation,
        "counts": counts,
        "rows": rows,
        "has_more": restore.difference_count > len(rows),
        "waiting": waiting[:MOST_SHOWN],
        "has_more_waiting": len(waiting) > MOST_SHOWN,
        "changes": _changes(restore.counts),
        "trash_count": sum(actions.get("trash", 0) for actions in restore.counts.values()),
    }
    return render(request, "exports/restore.html", context)


@login_required
@require_POST
def confirm(request: HttpRequest, restore_id: uuid.UUID) -> HttpResponse:
    """Put back what was compared."""
    restore = _own(request, restore_id)
    try:
        verbs.confirm(restore)
    except ExportRefused as refused:
        messages.warning(request, str(refused))
    except AlreadyActive:
        messages.warning(request, _BUSY)
    return redirect("exports:restore", restore.pk)


@login_required
@require_POST
def forget(request: HttpRequest, restore_id: uuid.UUID) -> HttpResponse:
    """Take a restore off the list."""
    try:
        verbs.forget(_own(request, restore_id))
    except ExportRefused as refused:
        messages.warning(request, str(refused))
    else:
        messages.success(request, "It is off the list. What was restored stays.")
    return redirect("exports:restores")


def _changes(counts: dict[str, dict[str, int]]) -> int:
    changing = ("create", "update", "bring_back", "trash")
    return sum(count for actions in counts.values() for action, count in actions.items() if action in changing)


def _list(request: HttpRequest, status: int = 200, **more: Any) -> HttpResponse:
    own = Restore.objects.visible_to(request.user).select_related("operation").defer("differences", "problems")
    kept = Backup.objects.visible_to(request.user).filter(completed_at__isnull=False, recipient="")
    kept = kept.filter(Q(parent="") | Q(destination__isnull=False))
    context = {
        "restores": list(own[:MOST_SHOWN]),
        "kept_backups": list(kept[:MOST_SHOWN]),
        "kept_days": KEPT_DAYS,
        "modes": Restore.Mode.choices,
        "largest": verbs.LARGEST_SENT_BYTES,
        **more,
    }
    return render(request, "exports/restores.html", context, status=status)


def _own(request: HttpRequest, restore_id: uuid.UUID) -> Restore:
    return get_object_or_404(Restore.objects.visible_to(request.user).select_related("operation"), pk=restore_id)
