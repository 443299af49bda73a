"""Imports: begin one, watch what becomes of each file, stop it, try again."""

from typing import Any
from uuid import UUID

from django.http import Http404
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.response import Response

from accounts.models import User
from accounts.requests import Request
from catalog.importing import requests as verbs
from catalog.models import Import, ImportItem, Library
from catalog.roots.folders import LibraryRefused
from catalog.roots.told import source_for_eyes_of, told_of_import
from operations.api.idempotency import KEYED, idempotent
from photolala.web.keyset import envelope, paginate
from photolala.web.parameters import check_parameters, utc_text
from photolala.web.refusals import BadRequest, Unprocessable
from photolala.web.views import (
    PAGE_PARAMETERS,
    ApiView,
    RequestBody,
    documented,
    made,
    page_body,
    query,
    refuse_members,
)

ORDER = ("-created_at", "id")
ITEM_ORDER = ("id",)


class NewImport(RequestBody):
    """What is to be imported, and into what."""

    library = serializers.UUIDField()
    folder = serializers.CharField(
        max_length=4096,
        required=False,
        trim_whitespace=False,
        help_text="Absolute path on the server, below PHOTOLALA_ROOTS. Without one: a batch that takes uploads.",
    )
    layout = serializers.ChoiceField(Import.Layout.choices, required=False, default=Import.Layout.MONTH)
    people_as_keywords = serializers.BooleanField(
        required=False,
        default=False,
        help_text="Add to photos, as keywords, the names of people that Google Takeout tells, `archived` and `locked`.",
    )


class ImportBody(serializers.Serializer[Any]):
    """One import, and how many of its photos are in each state."""

    id = serializers.UUIDField()
    library = serializers.UUIDField()
    kind = serializers.ChoiceField(Import.Kind.choices)
    source = serializers.CharField(
        help_text="The folder (its last name alone to others than who began it), or the archive's name."
    )  # type: ignore[assignment]
    layout = serializers.ChoiceField(Import.Layout.choices)
    people_as_keywords = serializers.BooleanField()
    error = serializers.CharField(help_text="Why the source as a whole could not be read; else empty.")
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    waiting = serializers.IntegerField()
    placing = serializers.IntegerField()
    imported = serializers.IntegerField()
    duplicate = serializers.IntegerField()
    rejected = serializers.IntegerField()
    bytes = serializers.IntegerField(help_text="Of the imported files.")


class ItemBody(serializers.Serializer[Any]):
    """One file, and what became of it."""

    upload = serializers.UUIDField(allow_null=True, help_text="The upload that brought it.")
    photo = serializers.UUIDField(allow_null=True, help_text="The photo that it became, or is a duplicate of.")
    path = serializers.CharField(help_text="In the import; with a number if several of one name were sent.")
    sent_path = serializers.CharField(help_text="As it was sent; else its path in the folder or archive.")
    size_bytes = serializers.IntegerField()
    state = serializers.ChoiceField(ImportItem.State.choices)
    target = serializers.CharField(help_text="Where it is in the library; empty if it is not there.")
    code = serializers.CharField(help_text="Why it was not imported, for programs; else empty.")
    reason = serializers.CharField(help_text="The same in a sentence.")
    finished_at = serializers.DateTimeField(allow_null=True)

    def get_fields(self) -> Any:
        """Add the one that Python has a word for."""
        return {"import": serializers.UUIDField(), **super().get_fields()}


class TriedBody(serializers.Serializer[Any]):
    """How many files it concerns."""

    count = serializers.IntegerField()


ImportPage = page_body("ImportPage", ImportBody)
ItemPage = page_body("ImportItemPage", ItemBody)


class ImportList(ApiView):
    """One's own imports, and those into one's own libraries."""

    @documented("imports_list", "Newest first.", {200: ImportPage}, errors=(400, 401), parameters=PAGE_PARAMETERS)
    def get(self, request: Request) -> Response:
        """Return a page. Two queries."""
        check_parameters(request.query_params, {"limit", "cursor"})
        page = paginate(verbs.visible_imports(request.user), ORDER, request.query_params)
        counts = verbs.counts_of(page.rows)
        return Response(envelope(page, [_import_json(one, counts[one.pk], request) for one in page.rows], request))

    @documented(
        "imports_create",
        "Begin to import a folder of the server, or open a batch for files that are going to be sent to `uploads/`.",
        {201: ImportBody},
        errors=(400, 401, 403, 404, 409, 415, 422, 429),
        request=NewImport,
        parameters=KEYED,
    )
    @idempotent()
    def post(self, request: Request) -> Response:
        """Do so; a worker does the work."""
        body = NewImport(data=request.data)
        body.is_valid(raise_exception=True)
        said = body.validated_data
        library = Library.objects.visible_to(request.user).filter(pk=said["library"]).first()
        if library is None:
            raise Http404
        if not Library.objects.editable_by(request.user).filter(pk=library.pk).exists():
            raise PermissionDenied("You may look at this library, but not change it. Nothing was changed.")
        wish = {"people_as_keywords": said["people_as_keywords"]}
        try:
            if said.get("folder"):
                wanted = verbs.start_folder_import(library, request.user, said["folder"], said["layout"], **wish)
            else:
                wanted = verbs.open_batch(library, request.user, said["layout"], **wish)
        except (verbs.ImportRefused, LibraryRefused) as refused:
            raise Unprocessable(str(refused), "refused") from None
        return made(_import_json(wanted, verbs.counts_of([wanted])[wanted.pk], request), "import", wanted.pk)


class ImportDetail(ApiView):
    """One import of the user."""

    @documented("imports_retrieve", "How far it is.", {200: ImportBody}, errors=(401, 404))
    def get(self, request: Request, import_id: UUID) -> Response:
        wanted = find(request.user, import_id)
        return Response(_import_json(wanted, verbs.counts_of([wanted])[wanted.pk], request))


class ImportItems(ApiView):
    """What became of each file."""

    @documented(
        "imports_items",
        "In the order in which they were listed.",
        {200: ItemPage},
        errors=(400, 401, 404),
        parameters=[query("state", "Only those.", enum=ImportItem.State.values), *PAGE_PARAMETERS],
    )
    def get(self, request: Request, import_id: UUID) -> Response:
        check_parameters(request.query_params, {"state", "limit", "cursor"})
        wanted = find(request.user, import_id)
        rows = wanted.items.all()
        state = request.query_params.get("state", "")
        if state and state not in ImportItem.State.values:
            raise BadRequest(f"state is one of {', '.join(ImportItem.State.values)}.", "bad_state")
        page = paginate(rows.filter(state=state) if state else rows, ITEM_ORDER, request.query_params)
        return Response(envelope(page, [_item_json(item, wanted, request) for item in page.rows], request))


class ImportRetry(ApiView):
    """Retry what an import could not take in."""

    @documented(
        "imports_retry",
        "Try again what was rejected for a reason that may be gone.",
        {200: TriedBody},
        errors=(400, 401, 403, 404, 409, 422, 429),
        parameters=KEYED,
    )
    @idempotent()
    def post(self, request: Request, import_id: UUID) -> Response:
        wanted = _changeable(request, import_id)
        refuse_members(request)
        return Response({"count": verbs.retry(wanted, request.user)})


class ImportStop(ApiView):
    """Stop an import; what it took in is kept."""

    @documented(
        "imports_stop",
        "Import nothing more of it; what came in stays.",
        {200: TriedBody},
        errors=(400, 401, 403, 404, 409, 422, 429),
        parameters=KEYED,
    )
    @idempotent()
    def post(self, request: Request, import_id: UUID) -> Response:
        wanted = _changeable(request, import_id)
        refuse_members(request)
        return Response({"count": verbs.stop(wanted)})


def find(user: User, import_id: UUID) -> Import:
    """Return an import that the user may see. Raises Http404."""
    wanted = verbs.visible_imports(user).select_related("user").filter(pk=import_id).first()
    if wanted is None:
        raise Http404("There is no such import, or it is not yours to see.")
    return wanted


def _changeable(request: Request, import_id: UUID) -> Import:
    wanted = find(request.user, import_id)
    if not Library.objects.editable_by(request.user).filter(pk=wanted.library_id).exists():
        raise PermissionDenied("You may look at this library, but not change it. Nothing was changed.")
    return wanted


def _import_json(wanted: Import, counts: dict[str, int], request: Request) -> dict[str, Any]:
    return {
        "id": str(wanted.pk),
        "library": str(wanted.library_id),
        "kind": wanted.kind,
        "source": source_for_eyes_of(wanted, request.user),
        "layout": wanted.layout,
        "people_as_keywords": wanted.people_as_keywords,
        "error": told_of_import(wanted, request.user, wanted.error),
        "created_at": utc_text(wanted.created_at),
        "finished_at": utc_text(wanted.finished_at),
        **counts,
    }


def _item_json(item: ImportItem, wanted: Import, request: Request) -> dict[str, Any]:
    plain = {name: getattr(item, name) for name in ("path", "size_bytes", "target", "code")}
    return {
        "import": str(item.import_run_id),
        "upload": str(item.upload) if item.upload else None,
        "photo": str(item.photo) if item.photo else None,
        **plain,
        "reason": told_of_import(wanted, request.user, item.reason),
        "sent_path": item.sent_path or item.path,
        "state": str(item.state),
        "finished_at": utc_text(item.finished_at),
    }
