"""What waits to be written into files, what could not be, and what was: with the reasons, to try again or give up."""

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from accounts.requests import HttpRequest
from catalog.files import queue
from catalog.models import FileWrite
from photolala.web.keyset import paginate
from photolala.web.problem_pages import say_problems
from photolala.web.refusals import BadRequest

GROUPS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "waiting": (
        "Waiting",
        (FileWrite.State.PENDING, FileWrite.State.WRITING),
        "They are in the catalog already and go into the files as soon as that can be done.",
    ),
    "failed": (
        "Not possible",
        (FileWrite.State.FAILED,),
        "The files are as they were. What you wanted is kept in the catalog; try again when the reason is gone, or leave it "
        "at that.",
    ),
    "done": (
        "Written",
        (FileWrite.State.DONE, FileWrite.State.UNDONE),
        "They are in the files, which were read back to make sure.",
    ),
}
ORDER = ["-created_at", "id"]
FIELDS = (
    "id",
    "kind",
    "wanted",
    "previous",
    "state",
    "code",
    "reason",
    "attempts",
    "try_at",
    "created_at",
    "finished_at",
    "photo_id",
    "photo__filename",
    "photo__directory",
    "photo__photo_md5",
    "photo__has_thumbnail",
    "library__name",
    "is_sidecar",
)


@login_required
@require_GET
@say_problems
def show_writes(request: HttpRequest) -> HttpResponse:
    """Show one page of the writes in the libraries that the user may edit."""
    chosen = request.GET.get("show") or "waiting"
    if chosen not in GROUPS:
        raise BadRequest("What to show is one of waiting, failed and done.")
    mine = queue.visible_writes(request.user)
    rows = mine.filter(state__in=GROUPS[chosen][1]).values(*FIELDS)
    page = paginate(rows, ORDER, {"limit": "100", "cursor": request.GET.get("cursor", "")})
    context: dict[str, Any] = {
        "groups": [(key, words[0], _count(mine, words[1])) for key, words in GROUPS.items()],
        "chosen": chosen,
        "explanation": GROUPS[chosen][2],
        "page": page,
        "rows": [_row(row) for row in page.rows],
    }
    return render(request, "catalog/writes.html", context)


@login_required
@require_POST
def retry_write(request: HttpRequest, write_id: uuid.UUID) -> HttpResponse:
    """Retry a failed write at once, whatever its waiting time."""
    if queue.retry(_find(request, write_id), request.user):
        messages.success(request, "It is tried again now.")
    else:
        messages.warning(request, "It is not waiting any more.")
    return redirect("catalog:writes")


@login_required
@require_POST
def give_up_write(request: HttpRequest, write_id: uuid.UUID) -> HttpResponse:
    """Leave the file as it is."""
    if queue.give_up(_find(request, write_id)):
        messages.success(request, "The file stays as it is; what you wanted is kept in the catalog.")
    else:
        messages.warning(request, "It is not waiting any more.")
    return redirect("catalog:writes")


def _find(request: HttpRequest, write_id: uuid.UUID) -> FileWrite:
    write = queue.visible_writes(request.user).select_related("library").filter(pk=write_id).first()
    if write is None:
        raise Http404("There is no such write, or it is not yours to see.")
    return write


def _count(mine: Any, states: tuple[str, ...]) -> int:
    return int(mine.filter(state__in=states).count())


def _row(row: dict[str, Any]) -> dict[str, Any]:
    photo = {"id": row["photo_id"], "photo_md5": row["photo__photo_md5"], "has_thumbnail": row["photo__has_thumbnail"]}
    return {**row, "photo": photo, "filename": row["photo__filename"], "directory": row["photo__directory"]}
