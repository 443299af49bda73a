"""The page of backups: when the last verified one was, making one now and on a schedule, taking and deleting them."""

import uuid
from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_POST, require_safe

from accounts.requests import HttpRequest
from catalog.sources.s3_keys import SCHEME
from exports.backup import requests as verbs
from exports.backup.downloads import serve_backup
from exports.backup.encryption import BadKey, Key, make_key
from exports.backup.finding import NOT_VERIFIED
from exports.backup.retention import Keep
from exports.backup.schedule import MOST_KEPT, Where, set_schedule
from exports.backup.status import backup_status
from exports.models import Backup, BackupSchedule, ExportDestination, Scope
from exports.refusals import ExportRefused
from operations.models import Operation
from operations.running import AlreadyActive
from photolala.web.problem_pages import say_problems

MOST_SHOWN = 50
KINDS = ["backup", "verify_backup", "find_backups"]
LONGEST_PASSPHRASE = 1000


class BackupForm(forms.Form):
    """What a person wants backed up now."""

    scope = forms.ChoiceField(choices=Scope.choices)
    destination = forms.UUIDField(required=False)
    passphrase = forms.CharField(required=False, max_length=LONGEST_PASSPHRASE, strip=False)


class ScheduleForm(forms.Form):
    """How often, and how many are kept."""

    scope = forms.ChoiceField(choices=Scope.choices)
    every_days = forms.TypedChoiceField(choices=BackupSchedule.Every.choices, coerce=int)
    keep_daily = forms.IntegerField(min_value=0, max_value=MOST_KEPT)
    keep_weekly = forms.IntegerField(min_value=0, max_value=MOST_KEPT)
    keep_monthly = forms.IntegerField(min_value=0, max_value=MOST_KEPT)
    destination = forms.UUIDField(required=False)
    passphrase = forms.CharField(required=False, max_length=LONGEST_PASSPHRASE, strip=False)
    ends_encryption = forms.BooleanField(required=False)


@login_required
@require_GET
def list_backups(request: HttpRequest) -> HttpResponse:
    """Show when the last verified backup was, the forms, what is at work, and all backups."""
    return _page(request)


@sensitive_post_parameters("passphrase")
@login_required
@require_POST
def start(request: HttpRequest) -> HttpResponse:
    """Start a backup."""
    form = BackupForm(request.POST)
    if not form.is_valid():
        return _page(request, 422, backup_error="Choose what to back up.")
    wanted = form.cleaned_data
    destination = _destination(request, wanted["destination"])
    try:
        key = make_key(wanted["passphrase"]) if wanted["passphrase"] else Key("", "")
        verbs.start_backup(
            request.user,
            wanted["scope"],
            destination=destination,
            recipient=key.recipient,
            key_file=key.key_file,
        )
    except (ExportRefused, BadKey) as refused:
        return _page(request, 422, backup_error=str(refused))
    except AlreadyActive:
        return _page(
            request, 409, backup_error="This backup is at work or waits already. Wait until it is done, or cancel it."
        )
    return redirect("exports:backups")


@sensitive_post_parameters("passphrase")
@login_required
@require_POST
def schedule(request: HttpRequest) -> HttpResponse:
    """Say how often backups are made."""
    form = ScheduleForm(request.POST)
    if not form.is_valid():
        return _page(
            request,
            422,
            schedule_error=f"Choose how often, and keep 0 to {MOST_KEPT} of each kind. Nothing was changed.",
        )
    wanted = form.cleaned_data
    place = Where(_destination(request, wanted["destination"]))
    try:
        set_schedule(
            request.user,
            wanted["scope"],
            every_days=wanted["every_days"],
            keep=Keep(wanted["keep_daily"], wanted["keep_weekly"], wanted["keep_monthly"]),
            passphrase=wanted["passphrase"],
            recipient="" if wanted["ends_encryption"] else None,
            place=place,
        )
    except ExportRefused as refused:
        return _page(request, 422, schedule_error=str(refused))
    messages.success(request, "The schedule is changed.")
    return redirect("exports:backups")


@login_required
@require_POST
def find(request: HttpRequest) -> HttpResponse:
    """Look in a bucket for backups that are not listed here."""
    try:
        key = uuid.UUID(request.POST.get("destination", ""))
    except ValueError:
        raise Http404 from None
    destination = get_object_or_404(ExportDestination.objects.visible_to(request.user), pk=key)
    try:
        verbs.start_finding(request.user, destination)
    except ExportRefused as refused:
        messages.warning(request, str(refused))
    except AlreadyActive:
        messages.warning(request, "That bucket is just being looked at.")
    return redirect("exports:backups")


@login_required
@require_safe
@say_problems
def download(request: HttpRequest, backup_id: uuid.UUID) -> HttpResponse:
    """Send a finished backup as one file."""
    return cast(HttpResponse, serve_backup(request, _backup(request, backup_id)))


@login_required
@require_safe
def key_file(request: HttpRequest, backup_id: uuid.UUID) -> HttpResponse:
    """Send the key file of an encrypted backup: the passphrase opens it."""
    backup = _backup(request, backup_id)
    if not backup.key_file:
        raise Http404
    headers = {"Content-Disposition": f'attachment; filename="{backup.name}.key.age"', "Cache-Control": "no-store"}
    return HttpResponse(backup.key_file, content_type="application/octet-stream", headers=headers)


@login_required
@require_POST
def verify(request: HttpRequest, backup_id: uuid.UUID) -> HttpResponse:
    """Read all of a backup again."""
    try:
        verbs.start_verification(_backup(request, backup_id))
    except ExportRefused as refused:
        messages.warning(request, str(refused))
    except AlreadyActive:
        messages.warning(request, "This backup is just being verified.")
    return redirect("exports:backups")


@login_required
@require_POST
def delete(request: HttpRequest, backup_id: uuid.UUID) -> HttpResponse:
    """Delete a backup and its files."""
    try:
        verbs.delete_backup(_backup(request, backup_id))
    except ExportRefused as refused:
        messages.warning(request, str(refused))
    except OSError as error:
        messages.error(request, f"The files of this backup cannot be deleted now: {error.strerror}.")
    else:
        messages.success(request, "The backup is deleted. Nothing else was touched.")
    return redirect("exports:backups")


def _page(request: HttpRequest, status: int = 200, **more: Any) -> HttpResponse:
    mine = Operation.objects.visible_to(request.user).filter(kind__in=KINDS)
    found = list(Backup.objects.visible_to(request.user).filter(completed_at__isnull=False)[: MOST_SHOWN + 1])
    scopes = [Scope.PERSON, Scope.SERVER] if request.user.is_superuser else [Scope.PERSON]
    own_scope = request.POST.get("scope") if request.POST.get("scope") in scopes else Scope.PERSON
    statuses = [(scope, backup_status(request.user, scope)) for scope in scopes]
    context = {
        "statuses": statuses,
        "scopes": scopes,
        "own_scope": own_scope,
        "schedules": [(scope, known.schedule or BackupSchedule(scope=scope, refusal="")) for scope, known in statuses],
        "every": BackupSchedule.Every.choices,
        "unfinished": list(
            mine.unfinished().with_place().select_related("backup").defer("checkpoint", "error_detail")[:MOST_SHOWN]
        ),
        "backups": found[:MOST_SHOWN],
        "has_more": len(found) > MOST_SHOWN,
        "most_kept": MOST_KEPT,
        "not_verified": NOT_VERIFIED,
        "buckets": list(
            ExportDestination.objects.visible_to(request.user).filter(folder__startswith=SCHEME)[:MOST_SHOWN]
        ),
        **more,
    }
    return render(request, "exports/backups.html", context, status=status)


def _destination(request: HttpRequest, key: uuid.UUID | None) -> ExportDestination | None:
    """Return the person's destination; None for this server, 404 for one that is not theirs."""
    if key is None:
        return None
    return get_object_or_404(ExportDestination.objects.visible_to(request.user), pk=key)


def _backup(request: HttpRequest, backup_id: uuid.UUID) -> Backup:
    return get_object_or_404(Backup.objects.visible_to(request.user).select_related("operation"), pk=backup_id)
