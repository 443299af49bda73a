"""The timeline's pages: all photos, a library's, one's favourites; an opened photo; a plain list that needs no script."""

import json
import uuid
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.db.models import Exists, OuterRef
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET

from accounts.requests import HttpRequest
from catalog.albums import smart
from catalog.browsing import photo_lists
from catalog.browsing.filters import PhotoFilters
from catalog.browsing.timeline import UNDATED_BUCKET
from catalog.models import Library, Photo
from photolala.lib.wall_clock import wall_clock_text
from photolala.web.problem_pages import say_problems

from .frame import library_frame

NO_ID = uuid.UUID(int=0)
PAGE_LENGTH = "100"
LIST_COLUMNS = ("id", "taken_local", "taken_source", "filename", "photo_md5", "has_thumbnail", "media_type")


@login_required
@require_GET
@ensure_csrf_cookie
@say_problems
def show_timeline(request: HttpRequest) -> HttpResponse:
    """Show the timeline of everything the user may see, with `?rating=` or `?min_rating=` only photos of such stars."""
    address = reverse("catalog:timeline")
    filters, home = _timeline(address, {}, PhotoFilters.from_query(request.GET))
    context = {**timeline_context(request, home, filters), **_stars_choice(address, filters)}
    return render(request, "catalog/timeline.html", context)


@login_required
@require_GET
@ensure_csrf_cookie
@say_problems
def show_favourites(request: HttpRequest) -> HttpResponse:
    """Show the timeline of the user's own favourites, with `?min_favourite=` only those of so many stars or more."""
    address = reverse("catalog:favourites")
    filters, home = _favourites(PhotoFilters.from_query(request.GET))
    context = {**timeline_context(request, home, filters), **_stars_choice(address, filters)}
    return render(request, "catalog/favourites.html", context)


@login_required
@require_GET
@ensure_csrf_cookie
@say_problems
def show_library(request: HttpRequest, library_id: uuid.UUID) -> HttpResponse:
    """Show the timeline of one library, narrowed by stars as that of all. 404 if it is not the user's to see."""
    frame = library_frame(request, library_id, "timeline")
    filters, home = _library_timeline(str(library_id), PhotoFilters.from_query(request.GET))
    address = reverse("catalog:library-timeline", args=[library_id])
    context = {**frame, **timeline_context(request, home, filters), **_stars_choice(address, filters)}
    return render(request, "catalog/library_timeline.html", context)


@login_required
@require_GET
@ensure_csrf_cookie
@say_problems
def show_photo(request: HttpRequest, photo_id: uuid.UUID) -> HttpResponse:
    """Show one photo, opened before the timeline it was reached from: `?library=`, `?favourite=true`, `?q=`, or `?album=` of a
    saved search.

    404 if it is not the user's to see, also when it is not there at all.
    """
    photos = photo_lists.with_own_stars(Photo.objects.visible_to(request.user), request.user)
    editable = Library.objects.editable_by(request.user).filter(pk=OuterRef("library_id"))
    photo = photos.annotate(can_edit=Exists(editable)).select_related("library").filter(pk=photo_id).first()
    if photo is None:
        raise Http404("There is no such photo, or it is not yours to see.")
    filters, home = _surroundings(request)
    context = timeline_context(request, home, filters)
    context |= {"photo": photo, "opened": json.dumps(opened_photo(photo))}
    return render(request, "catalog/photo.html", context)


@login_required
@require_GET
@say_problems
def list_photos(request: HttpRequest) -> HttpResponse:
    """Show the timeline as plain pages of links, for browsers without scripts. Takes the API's filters and its cursor."""
    filters = PhotoFilters.from_query(request.GET)
    params = {"limit": PAGE_LENGTH, "cursor": request.GET.get("cursor", "")}
    page = photo_lists.photo_page(request.user, filters, params, LIST_COLUMNS)
    more = request.GET.copy()
    if page.next_cursor:
        more["cursor"] = page.next_cursor
    return render(request, "catalog/photo_list.html", {"page": page, "more": more.urlencode()})


def timeline_context(request: HttpRequest, home_url: str, filters: dict[str, str]) -> dict[str, Any]:
    """Return what templates/catalog/_timeline.html wants; two queries."""
    libraries = list(Library.objects.visible_to(request.user).values_list("pk", "name"))
    mine = Library.objects.editable_by(request.user)
    if "library" in filters:
        mine = mine.filter(pk=filters["library"])
    sources = set(mine.order_by().values_list("source", flat=True).distinct())
    return {
        "can_edit": bool(sources),
        "can_trash": "local" in sources,
        "filters": json.dumps(filters),
        "list_query": urlencode(filters),
        "home_url": home_url,
        "photo_url": reverse("catalog:photo", args=[NO_ID]),
        "library_names": json.dumps({str(pk): name for pk, name in libraries}),
        "has_libraries": bool(libraries),
    }


_STARS = ("rating", "min_rating", "min_favourite")
_WHY_NOT = {
    Photo.State.MISSING: (
        "Its file is not in the library's folder any more. What is known of the photo is kept, and it comes back by itself "
        "when the file does."
    ),
    Photo.State.REMOTE: "It is on the phone; its file is not here.",
}


def opened_photo(photo: Any) -> dict[str, Any]:
    """Return what the script needs to open `photo` (with `stars` and `can_edit`) wherever its bucket may be."""
    is_dated = photo.taken_source not in ("", "file")  # as the timeline sees it
    return {
        "id": str(photo.pk),
        "bucket": photo.taken_local.date().isoformat() if is_dated else UNDATED_BUCKET,
        "taken_local": wall_clock_text(photo.taken_local) if is_dated else None,
        "version": photo.photo_md5[:8],
        "ratio": photo.ratio,
        "is_video": photo.is_video,
        "media_type": photo.media_type,
        "is_shown": photo.is_shown,
        "stars": photo.stars or 0,
        "has_thumbnail": photo.has_thumbnail,
        "can_edit": photo.can_edit,
        "problem": photo.problem or _WHY_NOT.get(photo.state, "This photo cannot be shown."),
    }


def _surroundings(request: HttpRequest) -> tuple[dict[str, str], str]:
    """Return the filters and the address of the timeline that an opened photo is before."""
    filters = PhotoFilters.from_query(request.GET)
    if filters.favourite:
        return _favourites(filters)
    if filters.query is not None:
        text = request.GET["q"].strip()
        return {"q": text}, f"{reverse('catalog:search')}?{urlencode({'q': text})}"
    if filters.album is not None and smart.saved_search(request.user, filters.album):
        return {"album": str(filters.album)}, reverse("albums:album", args=[filters.album])
    if filters.libraries:
        return _library_timeline(str(filters.libraries[0]), filters)
    return _timeline(reverse("catalog:timeline"), {}, filters)


def _favourites(asked: PhotoFilters) -> tuple[dict[str, str], str]:
    """Return the filters and the address of the user's favourites."""
    if asked.min_favourite is None:
        return {"favourite": "true"}, reverse("catalog:favourites")
    stars = {"min_favourite": str(asked.min_favourite)}
    return {"favourite": "true", **stars}, f"{reverse('catalog:favourites')}?{urlencode(stars)}"


def _library_timeline(library_id: str, asked: PhotoFilters) -> tuple[dict[str, str], str]:
    """Return the filters and the address of a library's timeline, narrowed by stars as it was asked for."""
    return _timeline(reverse("catalog:library-timeline", args=[library_id]), {"library": library_id}, asked)


def _timeline(home: str, filters: dict[str, str], asked: PhotoFilters) -> tuple[dict[str, str], str]:
    numbers = {"rating": asked.rating, "min_rating": asked.min_rating}
    stars = {name: str(number) for name, number in numbers.items() if number is not None}
    return {**filters, **stars}, f"{home}?{urlencode(stars)}" if stars else home


def _stars_choice(address: str, filters: dict[str, str]) -> dict[str, Any]:
    """Return what templates/catalog/_stars_filter.html and _empty_rating.html want."""
    chosen = urlencode({name: value for name, value in filters.items() if name in _STARS})
    least = "min_favourite" if "favourite" in filters else "min_rating"
    several = [(f"{least}={stars}", f"{stars} ★ and more", f"{stars} stars and more") for stars in (4, 3)]
    single = [(f"rating={stars}", f"{stars} ★", f"{stars} star{'s' if stars > 1 else ''}") for stars in range(5, 0, -1)]
    if least == "min_favourite":
        choices = [("", "All", ""), ("min_favourite=5", "5 ★", "5 stars"), *several]
    else:
        choices = [("", "All", ""), *several, *single, ("rating=0", "No stars", "")]
    words = next((label or "no stars" for query, _, label in choices if query and query == chosen), "these stars")
    return {"stars_choices": choices, "stars_chosen": chosen, "stars_words": words, "all_url": address}
