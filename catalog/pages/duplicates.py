"""The files that one has more than once."""

import re

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accounts.requests import HttpRequest
from catalog.browsing.duplicates import duplicate_groups
from photolala.web.problem_pages import say_problems
from photolala.web.refusals import BadRequest

_MD5 = re.compile(r"[0-9a-f]{32}")


@login_required
@require_GET
@say_problems
def show_duplicates(request: HttpRequest) -> HttpResponse:
    """Show some groups of files with the same bytes, among all that the user may see."""
    after = request.GET.get("after", "")
    if after and not _MD5.fullmatch(after):
        raise BadRequest("This address is not one that was given here. Start again at the first page.")
    groups, more = duplicate_groups(request.user, after)
    return render(request, "catalog/duplicates.html", {"groups": groups, "more": more, "after": after})
