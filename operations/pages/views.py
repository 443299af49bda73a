"""The operations' pages: what runs, what waits for a person, what was; cancel, resume, dismiss."""

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST

from accounts.requests import HttpRequest
from operations import control, figures
from operations.models import Operation, State
from operations.running import AlreadyActive
from operations.stages import STAGES
from operations.templatetags.operations_words import DISMISSED

HISTORY_LENGTH = 50
MOST_DISMISSED = 200
LISTED = ("problem_count", "change_count", "fraction")  # the lists and the bar say them


@login_required
@require_GET
def list_operations(request: HttpRequest) -> HttpResponse:
    """Show the user's operations: at work, waiting for a decision, and the last fifty that ended. Two queries."""
    mine = Operation.objects.visible_to(request.user).defer("checkpoint", "error_detail")
    unfinished = list(mine.unfinished()[:100])
    shown = [operation.pk for operation in unfinished]
    history = list(mine.exclude(pk__in=shown)[: HISTORY_LENGTH + 1])
    context = {
        "at_work": [operation for operation in unfinished if operation.is_active],
        "waiting": [operation for operation in unfinished if not operation.is_active],
        "history": history[:HISTORY_LENGTH],
        "has_more": len(history) > HISTORY_LENGTH,
    }
    return render(request, "operations/list.html", context)


@login_required
@require_GET
def show_figures(request: HttpRequest) -> HttpResponse:
    """Show how quick the user's finished operations were, as charts and as a table. One query."""
    histories = figures.histories(request.user)
    return render(request, "operations/figures.html", {"histories": histories})


@login_required
@require_GET
def show_operation(request: HttpRequest, operation_id: uuid.UUID) -> HttpResponse:
    """Show one operation: progress, counts, problems, and what can be done about it."""
    operation = _operation(request, operation_id)
    gone, broken = operation.result.get("gone"), operation.result.get("broken")
    problems, total = _problems(operation), operation.result.get("problem_count")
    context = {
        "operation": operation,
        "problems": problems,
        "problem_total": total if isinstance(total, int) else len(problems),
        "changes": operation.result.get("changes", []),
        "counts": _counts(operation),
        "stages": operation.metrics.get(STAGES, []),
        "can_start_over": control.can_start_over(operation),
        "asks_confirmation": operation.error_code == "confirm_gone" and operation.can_resume,
        "gone_count": gone if isinstance(gone, int) else None,
        "broken_count": broken if isinstance(broken, int) else None,
    }
    return render(request, "operations/detail.html", context)


@login_required
@require_POST
def cancel_operation(request: HttpRequest, operation_id: uuid.UUID) -> HttpResponse:
    """Ask the operation to stop; what was done stays."""
    operation = _operation(request, operation_id)
    try:
        control.cancel(operation)
    except control.NotPossible as error:
        messages.warning(request, str(error))
    else:
        if operation.state == State.CANCELLED:
            messages.success(request, "Cancelled. What was done stays; resume continues from there.")
        else:
            messages.success(request, "It stops within a moment. What was done stays.")
    return _back(request, operation)


@login_required
@require_POST
def resume_operation(request: HttpRequest, operation_id: uuid.UUID) -> HttpResponse:
    """Set the operation to work again; `confirm_gone=1` answers the question of a scan that found too much gone.

    `start_over=1` throws away what it has read so far.
    """
    operation = _operation(request, operation_id)
    answers: dict[str, object] = {"confirm_gone": True} if request.POST.get("confirm_gone") == "1" else {}
    try:
        if request.POST.get("start_over") == "1":
            control.start_over(operation)
        else:
            control.resume(operation, **answers)
    except control.NotPossible as error:
        messages.warning(request, str(error))
    except AlreadyActive as active:
        messages.warning(request, "This is being done already.")
        return redirect("operations:detail", active.operation.pk)
    else:
        is_new = request.POST.get("start_over") == "1"
        messages.success(request, "It starts over." if is_new else "It continues where it stopped.")
    return _back(request, operation)


@login_required
@require_POST
def dismiss_operation(request: HttpRequest, operation_id: uuid.UUID) -> HttpResponse:
    """Hide the notice of an unfinished operation until the next sign-in; the operation itself stays as it is."""
    operation = _operation(request, operation_id)
    dismissed = [*request.session.get(DISMISSED, []), str(operation.pk)]
    request.session[DISMISSED] = dismissed[-MOST_DISMISSED:]
    return _back(request, operation)


def _operation(request: HttpRequest, operation_id: uuid.UUID) -> Operation:
    return get_object_or_404(Operation.objects.visible_to(request.user), pk=operation_id)


def _back(request: HttpRequest, operation: Operation) -> HttpResponseRedirect:
    """Return to the page that asked (`next`, this site only), else to the operation."""
    wanted = request.POST.get("next", "")
    if wanted and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None):
        return HttpResponseRedirect(wanted)
    return redirect("operations:detail", operation.pk)


def _problems(operation: Operation) -> list[dict[str, str]]:
    """Return the problems that the result lists, as `{"path", "reason"}`, at most 200."""
    found = operation.result.get("problems")
    problems: list[dict[str, str]] = []
    for item in (found if isinstance(found, list) else [])[:200]:
        if isinstance(item, dict):
            reason = item.get("reason") or item.get("problem") or item.get("error") or ""
            problems.append({"path": str(item.get("path", "")), "reason": str(reason)})
        elif isinstance(item, list | tuple) and len(item) == 2:
            problems.append({"path": str(item[0]), "reason": str(item[1])})
        else:
            problems.append({"path": "", "reason": str(item)})
    return problems


def _counts(operation: Operation) -> list[tuple[str, int | float]]:
    """Return the numbers of the metrics and the result (the result's win), in their order."""
    merged = {**(operation.metrics or {}), **(operation.result or {})}
    return [(name, value) for name, value in merged.items() if type(value) in (int, float) and name not in LISTED]
