"""Import of catalog exports: what they say of photos is given back."""

from uuid import UUID

from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.response import Response

from accounts.requests import Request
from catalog.models import Library
from exports.catalogs.import_back import start_import
from exports.refusals import ExportRefused
from operations.api.idempotency import KEYED, idempotent
from operations.api.operations import OperationBody, already_active, operation_json
from operations.running import AlreadyActive
from photolala.web.refusals import Conflict
from photolala.web.views import ApiView, RequestBody, documented, made

from .exports import find_library, own_export


class ImportRequest(RequestBody):
    """Where what an export says goes."""

    library = serializers.UUIDField()
    apply = serializers.BooleanField(default=False, help_text="Change the photos; else only tell.")
    overwrite = serializers.BooleanField(default=False, help_text="Also where the catalog has something else.")


class ExportImport(ApiView):
    """Give what an export says back to the photos."""

    @documented(
        "exports_import",
        "Compare captions, ratings, keywords, places, dates and albums of a finished export with the photos of a library that "
        "one may edit, and with one's own albums, and tell what differs; with `apply` give them. What the catalog has is kept "
        "unless `overwrite` is given too; keywords, and photos of albums, are only ever added. 409 while another import to "
        "this library is under way.",
        {202: OperationBody},
        errors=(400, 401, 403, 404, 409, 415, 422, 429),
        request=ImportRequest,
        parameters=KEYED,
    )
    @idempotent()
    def post(self, request: Request, export_id: UUID) -> Response:
        export = own_export(request, export_id)
        body = ImportRequest(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = body.validated_data
        library = find_library(request, wanted["library"])
        if not Library.objects.editable_by(request.user).filter(pk=library.pk).exists():
            raise PermissionDenied("You may look at this library, but not change it. Nothing was changed.")
        try:
            operation = start_import(
                request.user, export, library, apply=wanted["apply"], overwrite=wanted["overwrite"]
            )
        except ExportRefused as refused:
            raise Conflict(str(refused), refused.code) from None
        except AlreadyActive as running:
            raise already_active(running, request.user) from None
        return made(operation_json(operation), "operation", operation.pk, 202)
