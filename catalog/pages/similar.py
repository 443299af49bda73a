"""Pictures that look alike: have them found, keep some of each group, and take that back."""

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from accounts.requests import HttpRequest
from catalog.browsing.similar import group_of, similar_groups
from catalog.duplicates import keeping as verbs
from catalog.duplicates.similar import KIND, start_finding
from operations.models import Operation
from operations.running import AlreadyActive
from photolala.web.problem_pages import say_problems
from photolala.web.refusals import BadRequest

from .duplicates import UNDO, tell_problems


@login_required
@require_GET
@say_problems
def show_similar(request: HttpRequest) -> HttpResponse:
    """Show some of the groups that were found when this person last asked for them."""
    after = _number(request.GET.get("after", "") or "0")
    groups, more = similar_groups(request.user, after)
    last = Operation.objects.filter(owner=request.user, kind=KIND).order_by("-created_at").first()
    context = {
        "groups": groups,
        "more": more,
        "after": after,
        "last": last,
        "undo_count": len(request.session.get(UNDO, [])),
    }
    return render(request, "catalog/similar.html", context)


@login_required
@require_POST
@say_problems
def find_similar(request: HttpRequest) -> HttpResponse:
    """Start looking for similar pictures."""
    try:
        start_finding(request.user)
        messages.success(request, "Your pictures are being compared. Come back to this page in a moment.")
    except AlreadyActive:
        messages.info(request, "Your pictures are being compared already.")
    return redirect("catalog:similar")


@login_required
@require_POST
@say_problems
def keep_selected(request: HttpRequest) -> HttpResponse:
    """Keep the pictures of a group that were selected (`keep`), and trash the others that were shown (`shown`)."""
    number, after = _number(request.POST.get("group", "")), _number(request.POST.get("after", "") or "0")
    found = group_of(request.user, number)
    shown, kept = (_ids(request, name, found) for name in ("shown", "keep"))
    gone = [key for key in shown if key not in kept]
    if not kept:
        tell_problems(request, ["Select the pictures that are to be kept. Nothing was changed."])
    elif not gone:
        tell_problems(request, ["All of them are selected: there is nothing to move to the trash."])
    else:
        done = verbs.keep_some(request.user, kept, gone)
        if done.items:
            request.session[UNDO] = done.items
            pictures = "1 picture" if len(done.items) == 1 else f"{len(done.items):,} pictures"
            messages.success(request, f"{pictures} moved to the trash.")
        tell_problems(request, done.problems)
    return redirect(f"{reverse('catalog:similar')}{f'?after={after}' if after else ''}")


def _ids(request: HttpRequest, name: str, found: set[str]) -> list[uuid.UUID]:
    """Return the photos that a form names, which must be of the group that was shown. Raises BadRequest."""
    texts = [str(text) for text in request.POST.getlist(name)]
    if not found.issuperset(texts):
        raise BadRequest(
            "These pictures changed, or were compared anew, meanwhile. Look at them again. Nothing was changed."
        )
    return [uuid.UUID(text) for text in texts]


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadRequest("This address is not one that was given here. Start again at the first page.")
    return int(text)
