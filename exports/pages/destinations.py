"""The page of one export destination: its months, exporting to it, forgetting it; and adding one."""

import calendar
import uuid
from collections.abc import Callable

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from accounts.requests import HttpRequest
from catalog.models import Library
from exports.destinations import folders as verbs
from exports.destinations.changing import forget_destination
from exports.destinations.naming import check_template
from exports.ledger.errors import LedgerFailed
from exports.ledger.state import MonthStatus, MonthSummary
from exports.models import ExportDestination
from exports.originals import checks
from exports.originals.lacking import month_calendar
from exports.originals.months import month_summaries
from exports.originals.name_preview import PreviewedName, preview_names
from exports.originals.report import has_report
from exports.originals.requests import last_rebuild, runs_to, start_folder_export, start_rebuild
from exports.refusals import ExportRefused
from operations.models import ACTIVE, Operation
from operations.running import AlreadyActive

from .exports import render_list

CHOOSE = "Choose a library."
RUNS_SHOWN = 10
MONTH_NAMES = list(calendar.month_name)[1:]
AT_WORK = "An export to this destination, or a check of it, is at work already."
STATUS_WORDS = {
    MonthStatus.NOT_EXPORTED: ("not exported", ""),
    MonthStatus.PARTIAL: ("in part", "is-warning"),
    MonthStatus.COMPLETE: ("complete", "is-good"),
}
SELECTED = ("selected photos", "")
"""Of a month of which there are copies of no library that was exported as a whole: there is nothing to compare them with."""


@login_required
@require_POST
def add(request: HttpRequest) -> HttpResponse:
    """Make a folder of the server, or a prefix of a bucket, a destination; or show what photos would be called there."""
    sent = request.POST
    if "preview" in sent:
        return _preview(request)
    try:
        destination = verbs.add_destination(
            request.user, sent.get("name", ""), sent.get("folder", "").strip(), sent.get("template", "").strip()
        )
    except ExportRefused as refused:
        where = "template_error" if refused.code == "bad_template" else "destination_error"
        return render_list(request, 422, **{where: str(refused)})
    return redirect("exports:destination", destination.pk)


@login_required
@require_GET
def show(request: HttpRequest, destination_id: uuid.UUID) -> HttpResponse:
    """Show what is in the destination, month by month."""
    return render_destination(request, own_destination(request, destination_id))


@login_required
@require_POST
def export(request: HttpRequest, destination_id: uuid.UUID) -> HttpResponse:
    """Copy the originals of a library that are not there yet."""
    destination = own_destination(request, destination_id)
    library = _chosen_library(request)
    if library is None:
        return render_destination(request, destination, CHOOSE, 422)
    return _started(request, destination, lambda: start_folder_export(request.user, library, destination))


@login_required
@require_POST
def rebuild(request: HttpRequest, destination_id: uuid.UUID) -> HttpResponse:
    """Find out which photos of a library the copies there are; record them if that is wished."""
    destination = own_destination(request, destination_id)
    library = _chosen_library(request)
    if library is None:
        return render_destination(request, destination, CHOOSE, 422)
    apply = bool(request.POST.get("apply"))
    return _started(request, destination, lambda: start_rebuild(request.user, library, destination, apply=apply))


@login_required
@require_POST
def remove(request: HttpRequest, destination_id: uuid.UUID) -> HttpResponse:
    """Forget the destination; its files and records stay in the folder."""
    destination = own_destination(request, destination_id)
    if _running(destination) is not None:
        return render_destination(request, destination, f"{AT_WORK} Cancel it first.", 409)
    try:
        forget_destination(destination)
    except ExportRefused as refused:
        return render_destination(request, destination, str(refused), 409)
    kept = " This server keeps what it knows of them for 30 days." if destination.is_bucket else ""
    messages.success(request, f"“{destination.name}” is forgotten. All files stay in {destination.folder}.{kept}")
    return redirect("exports:list")


@login_required
@require_POST
def verify(request: HttpRequest, destination_id: uuid.UUID) -> HttpResponse:
    """Read every copy there; copy bad ones again if that is wished."""
    destination = own_destination(request, destination_id)
    repair = bool(request.POST.get("repair"))
    return _started(request, destination, lambda: checks.start_verification(request.user, destination, repair=repair))


@login_required
@require_POST
def dismiss(request: HttpRequest, destination_id: uuid.UUID) -> HttpResponse:
    """Show the damage that exports found earlier no more."""
    destination = own_destination(request, destination_id)
    try:
        checks.dismiss(destination)
    except ExportRefused as refused:
        return render_destination(request, destination, str(refused), 422)
    return redirect("exports:destination", destination.pk)


def _preview(request: HttpRequest) -> HttpResponse:
    """Show the page with example names, of the library that has most photos; the form keeps what was sent."""
    library = Library.objects.visible_to(request.user).order_by("-photo_count", "pk").first()
    if library is None:
        return render_list(request)
    try:
        template = request.POST.get("template", "").strip()
        check_template(template)
        names = preview_names(request.user, library, template)
    except ExportRefused as refused:
        return render_list(request, 422, template_error=str(refused))
    return render_list(request, preview=names, preview_library=library)


def _chosen_library(request: HttpRequest) -> Library | None:
    """Return the library that was chosen, None if none was; 404 for one that this person may not see."""
    try:
        library_id = uuid.UUID(request.POST.get("library", ""))
    except ValueError:
        return None
    return get_object_or_404(Library.objects.visible_to(request.user), pk=library_id)


def _started(request: HttpRequest, destination: ExportDestination, begin: Callable[[], Operation]) -> HttpResponse:
    """Begin work on the destination; say why if that is refused."""
    try:
        verbs.check_folder(request.user, destination.folder, but=destination)
        begin()
    except ExportRefused as refused:
        return render_destination(request, destination, str(refused), 422)
    except AlreadyActive:
        return render_destination(request, destination, AT_WORK, 409)
    return redirect("exports:destination", destination.pk)


def render_destination(
    request: HttpRequest,
    destination: ExportDestination,
    error: str = "",
    status: int = 200,
    *,
    settings_error: str = "",
    move_error: str = "",
) -> HttpResponse:
    """Return the page of a destination, with what was wrong with a wish."""
    months: list[tuple[MonthSummary, str, str]] = []
    ledger_error = ""
    condition = None
    summaries: list[MonthSummary] = []
    try:
        condition = checks.condition_of(destination)
        summaries = month_summaries(destination, request.user)
        months = [(month, *(STATUS_WORDS[month.status] if month.total_count else SELECTED)) for month in summaries]
    except LedgerFailed as failed:
        ledger_error = str(failed)
    libraries = list(Library.objects.visible_to(request.user))
    context = {
        "destination": destination,
        "libraries": libraries,
        "example": _example(request, destination, libraries),
        "operation": _running(destination),
        "months": months,
        "condition": condition,
        "last_check": checks.last_verification(destination),
        "last_rebuild": last_rebuild(destination),
        "calendar": month_calendar(summaries),
        "month_names": MONTH_NAMES,
        "schedules": ExportDestination.Schedule.choices,
        "previews": ExportDestination.Preview.choices,
        "weekdays": ExportDestination.Weekday.choices,
        "hours": range(24),
        "time_zone": settings.TIME_ZONE,
        "runs": [(run, has_report(run)) for run in runs_to(destination, request.user)[:RUNS_SHOWN]],
        "error": error,
        "settings_error": settings_error,
        "move_error": move_error,
        "sent_folder": request.POST.get("folder", "") if move_error else "",
        "sent": request.POST if settings_error else None,
        "ledger_error": ledger_error,
    }
    return render(request, "exports/destination.html", context, status=status)


def _example(request: HttpRequest, destination: ExportDestination, libraries: list[Library]) -> PreviewedName | None:
    """Return what the newest photo of the largest library would be called there; None if there is no photo."""
    if not libraries:
        return None
    largest = max(libraries, key=lambda library: (library.photo_count, str(library.pk)))
    try:
        return next(iter(preview_names(request.user, largest, destination.template, shown=1)), None)
    except ExportRefused:
        return None


def _running(destination: ExportDestination) -> Operation | None:
    return Operation.objects.filter(active_key=destination.active_key, state__in=ACTIVE).first()


def own_destination(request: HttpRequest, destination_id: uuid.UUID) -> ExportDestination:
    """Return the user's destination; Http404 if it is not theirs."""
    return get_object_or_404(ExportDestination.objects.visible_to(request.user), pk=destination_id)
