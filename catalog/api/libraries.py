"""Libraries: list, add, change, forget, scan."""

from dataclasses import asdict
from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.response import Response

from accounts.requests import Request
from catalog.libraries import adding as verbs
from catalog.libraries import forget
from catalog.libraries import members as libraries_members
from catalog.libraries.relocate import relocate
from catalog.libraries.settings import SETTINGS, SettingRefused, change, check_settings
from catalog.libraries.waiting import waiting_in
from catalog.models import Library, Membership
from catalog.roots import folders
from catalog.scanning import requests
from catalog.scanning.requests import last_scans
from operations.api.idempotency import KEYED, idempotent
from operations.api.operations import OperationBody, started
from photolala.web.keyset import envelope, paginate
from photolala.web.parameters import check_parameters, read_number
from photolala.web.refusals import Conflict, Unprocessable
from photolala.web.views import PAGE_PARAMETERS, ApiView, RequestBody, documented, made, page_body, query

from .found_libraries import find_library, find_own_library
from .library_json import LibraryBody, LibrarySettings, library_json

BY_NAME = ("name", "id")


class LibraryChange(RequestBody, LibrarySettings):
    """What an owner may change."""

    root = serializers.CharField(  # type: ignore[assignment]
        max_length=4096,
        required=False,
        trim_whitespace=False,
        help_text="Where its folder is now, after a remount. It must hold the same photos.",
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Return the fields; what the body does not name stays as it is."""
        fields = super().get_fields()
        for name in SETTINGS:
            fields[name].required = False
        return fields


class NewLibrary(LibraryChange):
    """A folder that becomes a library."""

    root = None  # type: ignore[assignment]
    folder = serializers.CharField(
        max_length=4096, trim_whitespace=False, help_text="Absolute path on the server, below PHOTOLALA_ROOTS."
    )


LibraryPage = page_body("LibraryPage", LibraryBody)


class LibraryList(ApiView):
    """All that one may see."""

    @documented(
        "libraries_list",
        "The libraries that one may see, by name.",
        {200: LibraryPage},
        errors=(400, 401),
        parameters=PAGE_PARAMETERS,
    )
    def get(self, request: Request) -> Response:
        """Return a page. Three queries."""
        check_parameters(request.query_params, {"limit", "cursor"})
        visible = Library.objects.visible_to(request.user).select_related("owner")
        page = paginate(visible, BY_NAME, request.query_params)
        own = Membership.objects.filter(user=request.user)
        roles = dict(own.values_list("library", "role"))
        last = last_scans(page.rows)
        rows = [
            library_json(
                row,
                request.user,
                "owner" if row.owner_id == request.user.pk else roles.get(row.pk, "viewer"),
                last,
            )
            for row in page.rows
        ]
        return Response(envelope(page, rows, request))

    @documented(
        "libraries_create",
        "Make a folder of the server a library. Nothing is scanned yet: POST to its `scan/`.",
        {201: LibraryBody},
        errors=(400, 401, 403, 415, 422),
        request=NewLibrary,
    )
    def post(self, request: Request) -> Response:
        body = NewLibrary(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = dict(body.validated_data)
        try:
            library = verbs.add_library(request.user, wanted.pop("folder"), wanted.pop("name", None), **wanted)
        except folders.LibraryRefused as refused:
            raise Unprocessable(str(refused), "folder_refused") from None
        return made(library_json(library, request.user, "owner"), "library", library.pk)


class LibraryDetail(ApiView):
    """One library that the user may see."""

    @documented("libraries_retrieve", "One library.", {200: LibraryBody}, errors=(401, 404))
    def get(self, request: Request, library_id: UUID) -> Response:
        library = find_library(request, library_id)
        return Response(library_json(library, request.user, libraries_members.role_of(library, request.user)))

    @documented(
        "libraries_update",
        "Change its name, where stars are written, its time zone, its schedule, or where its folder is. The owner's alone.",
        {200: LibraryBody},
        errors=(400, 401, 403, 404, 415, 422),
        request=LibraryChange,
    )
    def patch(self, request: Request, library_id: UUID) -> Response:
        library = find_own_library(request, library_id)
        body = LibraryChange(data=request.data)
        body.is_valid(raise_exception=True)
        root = body.validated_data.pop("root", None)
        try:
            check_settings(library, body.validated_data)
        except SettingRefused as refused:
            raise Unprocessable(str(refused), refused.code) from None
        if root is not None:
            try:
                library = relocate(library, request.user, root)
            except folders.LibraryRefused as refused:
                raise Unprocessable(str(refused), "folder_refused") from None
        try:
            library = change(library, **body.validated_data)
        except SettingRefused as refused:
            raise Unprocessable(str(refused), refused.code) from None
        return Response(library_json(library, request.user, "owner"))

    @documented(
        "libraries_forget",
        "Forget the catalog of this library. No photo is touched. The owner's alone. 409 `work_waits` with numbers while "
        "something that people were told would be done is not done; `waiting` then says that it may be lost.",
        {204: "It is forgotten."},
        errors=(400, 401, 403, 404, 409),
        parameters=[
            query(
                "waiting",
                "How much waits, as the 409 said (`waiting`): it is lost with the library.",
                int,
                minimum=0,
                maximum=2**63 - 1,
            )
        ],
    )
    def delete(self, request: Request, library_id: UUID) -> Response:
        check_parameters(request.query_params, {"waiting"})
        library = find_own_library(request, library_id)
        waiting = waiting_in(library)
        text = request.query_params.get("waiting", "")
        confirmed = read_number(text, "waiting", 0, 2**63 - 1) if text else 0
        if waiting.count and confirmed != waiting.count:
            raise Conflict(
                f"This would be lost: {waiting.sentence}. Nothing was forgotten. Wait until it is done, or confirm it.",
                "work_waits",
                waiting=waiting.count,
                **asdict(waiting),
            )
        forget.forget_library(library)
        return Response(status=204)


class ScanBody(RequestBody):
    """What is special about this scan."""

    confirm_gone = serializers.BooleanField(
        required=False, default=False, help_text="A person's confirmation that what is gone was really taken away."
    )
    verify_heads = serializers.BooleanField(
        required=False, default=False, help_text="Also read the first 4 KB of files that look unchanged."
    )
    only_failed = serializers.BooleanField(
        required=False, default=False, help_text="Only try the broken and damaged files again."
    )


class Scan(ApiView):
    """Start a scan of the library."""

    @documented(
        "libraries_scan",
        "Start a scan; owner and editors may. 409 with the running operation's id if one is under way.",
        {202: OperationBody},
        errors=(400, 401, 403, 404, 409, 415, 422, 429),
        request=ScanBody,
        parameters=KEYED,
    )
    @idempotent()
    def post(self, request: Request, library_id: UUID) -> Response:
        library = find_library(request, library_id)
        body = ScanBody(data=request.data)
        body.is_valid(raise_exception=True)
        if libraries_members.role_of(library, request.user) not in ("owner", Membership.Role.EDITOR):
            raise PermissionDenied("Viewers of a library cannot scan it; its owner and editors can.")
        if library.source == "device":
            raise Unprocessable("What is on a phone is told by the phone itself; there is nothing to scan.", "device")
        return started(request, lambda: requests.start_scan(library, request.user, **body.validated_data))
