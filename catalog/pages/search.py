"""The page of a search: what it finds as a timeline, or how to write one."""

from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET

from accounts.requests import HttpRequest
from catalog.searching import grammar
from catalog.words import indexing

from .timeline import timeline_context

EXAMPLES = (
    ("beach rome", "both words, wherever they are: names, folders, captions, keywords, cameras, albums, notes"),
    ('"new york"', "these words in a row"),
    ("beach or lake, not rome", "one of two, without a third"),
    ("taken:2015", "taken in a year; also taken:2015-07, taken:2015..2018, taken:<2015"),
    ("rating:>=4", "with four stars or more"),
    ("camera:canon lens:50mm", "by camera and lens"),
    ("folder:2015/beach keyword:sea", "in a folder, with a keyword"),
    ("album:granny", "in an album that you see"),
    ("type:video", "videos; also type:raw, type:jpeg"),
    ("has:gps is:favourite", "with a place, among your favourites; also is:duplicate, is:undated"),
)
"""(search, what it finds); docs/search.md has all of them."""


@login_required
@require_GET
@ensure_csrf_cookie
def show_search(request: HttpRequest) -> HttpResponse:
    """Show the timeline of what `?q=` finds; without it, or where it cannot be understood, how to write one."""
    text = request.GET.get("q", "").strip()
    try:
        is_search = grammar.parse(text) is not None
    except grammar.QueryError as error:
        return _render(request, text, {"error": error.sentence, **_parts(text, error.place)})
    if not is_search:
        return _render(request, text, {})
    context = timeline_context(request, address_of(text), {"q": text})
    return _render(request, text, {**context, "is_search": True, "is_behind": indexing.is_behind()})


def address_of(text: str) -> str:
    """Return the address of the page of a search."""
    return f"{reverse('catalog:search')}?{urlencode({'q': text})}"


def _render(request: HttpRequest, text: str, context: dict[str, Any]) -> HttpResponse:
    return render(request, "catalog/search.html", {"search_text": text, "examples": EXAMPLES, **context})


def _parts(text: str, place: int) -> dict[str, str]:
    """Return the search before the place of the error, and from there on, for people to see where it is."""
    return {"before": text[:place], "wrong": text[place : place + 200] or " "}
