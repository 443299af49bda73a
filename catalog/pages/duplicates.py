"""The files that one has more than once: keep one of each, and take that back."""

import re
import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from accounts.requests import HttpRequest
from catalog.browsing.duplicates import GROUPS, RULES, choose, duplicate_groups, note_pairs
from catalog.duplicates import keeping as verbs
from catalog.files.trash import MOST_AT_ONCE
from catalog.models import Library
from photolala.web.problem_pages import say_problems
from photolala.web.refusals import BadRequest

MOST_TOLD = 5
UNDO = "duplicates_in_trash"
"""Where the session remembers what went into the trash last."""
_MD5 = re.compile(r"[0-9a-f]{32}")


@login_required
@require_GET
@say_problems
def show_duplicates(request: HttpRequest) -> HttpResponse:
    """Show some groups of files with the same bytes, among all that the user may see; `keep` is a rule or a library's id."""
    after = _after(request.GET.get("after", ""))
    groups, more = duplicate_groups(request.user, after)
    note_pairs(request.user, groups)
    libraries = list(Library.objects.editable_by(request.user).order_by("name", "pk").values_list("pk", "name"))
    rules = [*RULES.items(), *((str(pk), f"the one in {name}") for pk, name in libraries)]
    rule = request.GET.get("keep", "")
    if rule not in dict(rules):
        rule = ""
    chosen = choose(request.user, groups, rule) if rule else {}
    context = {
        "groups": groups,
        "more": more,
        "after": after,
        "rules": rules if any(group.can_choose for group in groups) else [],
        "rule": rule,
        "chosen": set(chosen.values()),
        "undo_count": len(request.session.get(UNDO, [])),
    }
    return render(request, "catalog/duplicates.html", context)


@login_required
@require_POST
@say_problems
def keep_chosen(request: HttpRequest) -> HttpResponse:
    """Keep the copies that were chosen (`keep-<MD5>`), of all groups or of the one that `only` names; trash the others."""
    after = _after(request.POST.get("after", ""))
    only = request.POST.get("only", "")
    chosen = {
        _md5(name.removeprefix("keep-")): _photo_id(str(value))  # all are looked at before anything is moved
        for name, value in request.POST.items()
        if name.startswith("keep-") and only in ("", name.removeprefix("keep-"))
    }
    items: list[dict[str, str]] = []
    problems = [] if chosen else ["Choose which copy is to be kept. Nothing was changed."]
    for md5, keep_id in list(chosen.items())[:GROUPS]:
        if len(items) >= MOST_AT_ONCE:
            problems.append(f"{MOST_AT_ONCE:,} copies are moved at once. Go on with the others.")
            break
        kept = verbs.keep_one(request.user, keep_id, md5, most=MOST_AT_ONCE - len(items))
        items += kept.items
        problems += kept.problems
    if items:
        request.session[UNDO] = items
        copies = "1 copy" if len(items) == 1 else f"{len(items):,} copies"
        messages.success(request, f"{copies} moved to the trash.")
    tell_problems(request, problems)
    return redirect(f"{reverse('catalog:duplicates')}{f'?after={after}' if after else ''}")


@login_required
@require_POST
def undo(request: HttpRequest) -> HttpResponse:
    """Bring back what went into the trash here last."""
    items = request.session.pop(UNDO, [])
    is_similar = request.POST.get("page") == "similar"
    back = verbs.undo(request.user, items)
    if back.count:
        one, many = ("picture", "pictures") if is_similar else ("copy", "copies")
        messages.success(request, f"1 {one} is back." if back.count == 1 else f"{back.count:,} {many} are back.")
    tell_problems(request, back.problems)
    return redirect("catalog:similar" if is_similar else "catalog:duplicates")


def tell_problems(request: HttpRequest, problems: list[str]) -> None:
    """Say why some things were not done, the first few of them."""
    for problem in problems[:MOST_TOLD]:
        messages.warning(request, problem)


def _after(text: str) -> str:
    if text and not _MD5.fullmatch(text):
        raise BadRequest("This address is not one that was given here. Start again at the first page.")
    return text


def _md5(text: str) -> str:
    if not _MD5.fullmatch(text):
        raise BadRequest("This is no content of photos. Choose again. Nothing was changed.")
    return text


def _photo_id(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise BadRequest("This is no id of a photo. Choose again. Nothing was changed.", "bad_id") from None
