"""What is in a destination, and what is not: the photos that a month lacks, reports of its exports; and its settings."""

import uuid
from datetime import date

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from accounts.requests import HttpRequest
from exports.destinations.changing import DestinationChanges, change_destination
from exports.destinations.moving import move_destination
from exports.ledger.errors import LedgerFailed
from exports.models import ExportDestination
from exports.originals.lacking import lacking_photos
from exports.originals.report import send_report
from exports.originals.requests import runs_to
from exports.refusals import ExportRefused

from .destinations import own_destination, render_destination


class SettingsForm(forms.Form):
    """What may be changed of a destination."""

    name = forms.CharField(max_length=200)
    template = forms.CharField(max_length=200)
    schedule = forms.ChoiceField(choices=ExportDestination.Schedule.choices, required=False)
    schedule_hour = forms.IntegerField(min_value=0, max_value=23)
    schedule_weekday = forms.TypedChoiceField(choices=ExportDestination.Weekday.choices, coerce=int)
    with_companions = forms.BooleanField(required=False)
    preview_px = forms.TypedChoiceField(choices=ExportDestination.Preview.choices, coerce=int, required=False)


@login_required
@require_POST
def change(request: HttpRequest, destination_id: uuid.UUID) -> HttpResponse:
    """Change the name, the template or the schedule."""
    destination = own_destination(request, destination_id)
    form = SettingsForm(request.POST)
    if not form.is_valid():
        name, problems = next(iter(form.errors.items()))
        sentence = f"{name.replace('_', ' ').capitalize()}: {problems[0]} Nothing was changed."
        return render_destination(request, destination, settings_error=sentence, status=422)
    sent = form.cleaned_data
    changes: DestinationChanges = {
        "name": sent["name"],
        "template": sent["template"],
        "schedule": sent["schedule"],
        "schedule_hour": sent["schedule_hour"],
        "schedule_weekday": sent["schedule_weekday"],
        "with_companions": sent["with_companions"],
        "preview_px": sent["preview_px"] or 0,
    }
    try:
        change_destination(destination, changes)
    except ExportRefused as refused:
        return render_destination(request, destination, settings_error=str(refused), status=422)
    messages.success(request, f"“{destination.name}” is changed. What is there already stays where it is.")
    return redirect("exports:destination", destination.pk)


@login_required
@require_POST
def move(request: HttpRequest, destination_id: uuid.UUID) -> HttpResponse:
    """Say that the destination's disk is mounted elsewhere now."""
    destination = own_destination(request, destination_id)
    try:
        moved = move_destination(request.user, destination, request.POST.get("folder", "").strip())
    except ExportRefused as refused:
        return render_destination(request, destination, move_error=str(refused), status=422)
    messages.success(request, f"“{moved.name}” is in {moved.folder} now. Nothing was copied.")
    return redirect("exports:destination", moved.pk)


@login_required
@require_GET
def lacking(request: HttpRequest, destination_id: uuid.UUID, year: int, month: int) -> HttpResponse:
    """Show the photos of a month that are not in the destination."""
    destination = own_destination(request, destination_id)
    try:
        first_day = date(year, month, 1)
    except ValueError:
        raise Http404 from None
    context = {"destination": destination, "first_day": first_day}
    try:
        context["count"], context["photos"] = lacking_photos(destination, request.user, year, month)
    except LedgerFailed as failed:
        context["ledger_error"] = str(failed)
    return render(request, "exports/lacking.html", context)


@login_required
@require_GET
def report(request: HttpRequest, destination_id: uuid.UUID, operation_id: uuid.UUID, kind: str) -> HttpResponseBase:
    """Download what became of each photo in an export, as CSV or JSON."""
    destination = own_destination(request, destination_id)
    run = get_object_or_404(runs_to(destination, request.user), pk=operation_id)
    if kind not in ("csv", "json"):
        raise Http404
    return send_report(run, kind)
