"""What photos would be called by the template of a destination, through the API."""

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.response import Response

from accounts.requests import Request
from exports.destinations.naming import check_template
from exports.ledger.placement import DEFAULT_TEMPLATE
from exports.originals.name_preview import preview_names
from photolala.web.parameters import check_parameters
from photolala.web.refusals import BadRequest
from photolala.web.views import ApiView, documented, query

from .destinations import saying_refusals
from .exports import find_library

LONGEST_TEMPLATE = 200


class PreviewedNameBody(serializers.Serializer[Any]):
    """A photo and the name that it would get."""

    path = serializers.CharField(help_text="In the library.")
    exported_as = serializers.CharField(help_text="Below the destination.")


class TemplatePreview(serializers.Serializer[Any]):
    """The ten newest photos of a library, as a template names them."""

    results = PreviewedNameBody(many=True)


class Preview(ApiView):
    """Try a template."""

    @documented(
        "export_destinations_preview",
        "What the ten newest photos of a library would be called by a template. 422 `bad_template` if it cannot be used.",
        {200: TemplatePreview},
        errors=(400, 401, 404, 422),
        parameters=[
            query("library", "The library's id.", UUID, required=True),
            query("template", "The template; the usual one if it is not given.", maxLength=LONGEST_TEMPLATE),
        ],
    )
    def get(self, request: Request) -> Response:
        check_parameters(request.query_params, {"library", "template"})
        template = request.query_params.get("template", DEFAULT_TEMPLATE)
        if len(template) > LONGEST_TEMPLATE or "\0" in template:
            raise BadRequest(f"A template has at most {LONGEST_TEMPLATE} characters, and no NUL.", "bad_text")
        try:
            library_id = UUID(request.query_params.get("library", ""))
        except ValueError:
            raise BadRequest("library must be the id of a library.", "bad_library") from None
        library = find_library(request, library_id)
        with saying_refusals():
            check_template(template)
            names = preview_names(request.user, library, template)
        return Response({"results": [name._asdict() for name in names]})
