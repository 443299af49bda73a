"""What all views of the API share: one format, clear words for bad parameters, and their documentation."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import isfunction
from typing import Any, TypeVar

from django.http import HttpResponseBase
from django.urls import reverse
from drf_spectacular.plumbing import build_basic_type
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from .bodies import MOST_NAMED, RequestBody
from .keyset import LARGEST_LIMIT
from .parameters import check_bounds
from .problem_types import CHOICES
from .problems import CONTENT_TYPE
from .schema import header

__all__ = [
    "PAGE_PARAMETERS",
    "AnyAccept",
    "ApiView",
    "JsonBody",
    "ProblemBody",
    "RequestBody",
    "documented",
    "header",
    "in_path",
    "made",
    "page_body",
    "query",
    "refuse_members",
]
View = Callable[..., Any]
ViewClass = TypeVar("ViewClass", bound="type[ApiView]")
MEANINGS = {
    400: "Something in the request is not right; `errors` says what.",
    401: "Not signed in, or the token is not (or no longer) valid.",
    403: "Yours to see, but not to change (or a request of the web pages without its CSRF token).",
    404: "Not there, or not yours to see.",
    405: "This address does not know that verb.",
    408: "It came too slowly; what came of a file stays. Send on from where it is.",
    409: "The present state does not allow it.",
    410: "It was there, and is gone; begin again.",
    412: "The header Tus-Resumable is missing, or names another version.",
    413: "The body is too large.",
    415: "The body is no JSON.",
    416: "The range begins beyond the end; Content-Range says how long the file is.",
    422: "Well-formed, but impossible.",
    423: "Another connection is at it just now.",
    429: "Too many tries; see Retry-After.",
    460: "The piece was spoilt on its way; send it again.",
    503: "Not now; see Retry-After.",
    507: "The server's disk has no room for it.",
}


class ProblemBody(serializers.Serializer[Any]):
    """RFC 9457 problem details."""

    type = serializers.ChoiceField(CHOICES)
    title = serializers.CharField(help_text="What all problems of this type have in common.")
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="A sentence for people.")
    errors = serializers.DictField(  # type: ignore[assignment]
        required=False, help_text="Field name -> what is wrong with it."
    )
    operation = serializers.UUIDField(required=False, help_text="The operation that stands in the way.")


class AnyAccept(BaseContentNegotiation):
    """The API speaks one format for each address; what the client would accept does not change it."""

    def select_parser(self, request: Any, parsers: Iterable[Any]) -> Any:
        """Return the parser for the body's media type."""
        kind = (request.content_type or "").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == kind), None)

    def select_renderer(self, request: Any, renderers: Iterable[Any], format_suffix: str | None = None) -> Any:
        first = next(iter(renderers))
        return first, first.media_type


class JsonBody(JSONParser):
    """JSON, but not so deeply nested that reading it would break something."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """Return what the body says. Raises ParseError."""
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError("JSON parse error: the body is nested too deeply.") from None


class ApiView(APIView):
    """The base of all views of the API."""

    content_negotiation_class = AnyAccept
    parser_classes = [JsonBody]

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        """Refuse what cannot be meant, once it is known who asks."""
        super().initial(request, *args, **kwargs)
        view = getattr(self, (request.method or "").lower(), None)
        check_bounds(request.query_params, getattr(view, "query_parameters", {}))


def refuse_members(request: Any) -> None:
    """Raise ValidationError if a POST that takes no body names something in one. Called once it is known who may ask."""
    if (request.content_type or "").partition(";")[0].strip().lower() != JsonBody.media_type:
        return
    said = request.data
    if isinstance(said, Mapping) and said:
        raise serializers.ValidationError(
            {str(name): ["There is no such member."] for name in sorted(said, key=str)[:MOST_NAMED]}
        )


def query(
    name: str,
    description: str,
    kind: Any = str,
    *,
    many: bool = False,
    required: bool = False,
    deprecated: bool = False,
    **bounds: Any,
) -> Any:
    """Describe a query parameter; `bounds` are those of its schema (`minimum`, `maxLength`, `pattern`, `enum`, `maxItems`…)."""
    schema: dict[str, Any] = dict(build_basic_type(kind) or {})
    for_list: dict[str, Any] = {key: bounds.pop(key) for key in ("minItems", "maxItems") if key in bounds}
    schema |= bounds
    return OpenApiParameter(
        name,
        {"type": "array", "items": schema, **for_list} if many else schema,
        description=description,
        required=required,
        deprecated=deprecated,
    )


def in_path(name: str, description: str, **bounds: Any) -> Any:
    """Describe a part of the address; `bounds` are those of its schema."""
    return OpenApiParameter(name, {"type": "string", **bounds}, OpenApiParameter.PATH, description=description)


def made(body: dict[str, Any], route: str, key: Any, status: int = 201) -> Response:
    """Return the answer about something new, or about work that was started, with its address in `Location`."""
    return Response(body, status=status, headers={"Location": reverse(f"api:{route}", args=[key])})


PAGE_PARAMETERS = [
    query("limit", "Rows of a page, 1 to 1,000; 100 if absent.", int, minimum=1, maximum=LARGEST_LIMIT, default=100),
    query("cursor", "`next_cursor` of the page before.", format="cursor"),
]


def page_body(
    name: str, row: Callable[..., serializers.Serializer[Any]], **more: serializers.Field[Any, Any, Any, Any]
) -> type[serializers.Serializer[Any]]:
    """Return a serializer class that describes a keyset-paged list of `row`."""
    return type(
        name,
        (serializers.Serializer,),
        {
            "__doc__": "One page.",
            **more,
            "results": row(many=True),
            "next_cursor": serializers.CharField(allow_null=True),
            "next": serializers.CharField(allow_null=True, help_text="The address of the next page."),
        },
    )


def documented(
    operation_id: str,
    summary: str,
    answers: Mapping[int, Any],
    *,
    errors: Sequence[int] = (401,),
    request: Any = None,
    parameters: Sequence[Any] = (),
    binary: str = "",
    auth: list[str] | None = None,
    deprecated: bool = False,
    **more: Any,
) -> Callable[[View], View]:
    """Describe a view's method for the schema: its answers (status -> serializer class, "" for none) and its errors.

    `binary` is the media type of the answer, for those that are no JSON. What can come everywhere is added: 400 (a host that
    is not ours, a parameter given twice), 405, 503 (a busy database) and 507 (a full disk); 408, 413 and 415 with a body.
    """
    responses: dict[Any, Any] = {}
    for status, given in answers.items():
        body = given() if isfunction(given) else given
        if binary and body is bytes:
            responses[(status, binary)] = OpenApiResponse(OpenApiTypes.BINARY, description="The bytes.")
        else:
            responses[status] = OpenApiResponse(
                None if isinstance(body, str) else body, description=body if isinstance(body, str) else ""
            )
    added = {400, 405, 503, 507} | ({408, 413, 415} if request is not None else set())
    failures = sorted({*errors, *(added - set(answers))})
    for status in failures:
        responses[(status, CONTENT_TYPE)] = OpenApiResponse(ProblemBody, description=MEANINGS[status])
    declare = extend_schema(
        operation_id=operation_id,
        summary=summary,
        request=request,
        responses=responses,
        parameters=[*parameters, *_headers(answers, failures, deprecated)],
        auth=auth,
        deprecated=deprecated or None,
        **more,
    )

    def decorate(view: View) -> View:
        view.described = (operation_id, answers, errors, parameters)  # type: ignore[attr-defined]
        view.takes_body = request is not None  # type: ignore[attr-defined]
        view.query_parameters = {one.name: one.type for one in parameters if one.location == one.QUERY}  # type: ignore[attr-defined]
        return declare(view)

    return decorate


def answers_head(view_class: ViewClass) -> ViewClass:
    """Declare HEAD for a view of files: the headers of its GET. Django answers it anyway; the schema does not say so."""
    get = view_class.get  # type: ignore[attr-defined]
    operation_id, answers, errors, parameters = get.described

    @documented(
        f"{operation_id}_head",
        "The headers that GET would have, and no bytes.",
        {status: body if isinstance(body, str) else "Headers only." for status, body in answers.items()},
        errors=errors,
        parameters=parameters,
    )
    def head(self: ApiView, request: Request, **kwargs: Any) -> HttpResponseBase:
        answer: HttpResponseBase = get(self, request, **kwargs)
        return answer

    view_class.head = head  # type: ignore[attr-defined]
    return view_class


def _headers(answers: Mapping[int, Any], failures: Sequence[int], deprecated: bool) -> list[Any]:
    """Return the headers that every answer of a status has, or may have."""
    headers = [header("Allow", "The verbs that this address knows.", [405], required=True)]
    if 401 in failures:
        headers.append(header("WWW-Authenticate", "The scheme: `Token`.", [401], required=True))
    if later := [status for status in (404, 429, 503, 507) if status in failures]:
        headers.append(
            header("Retry-After", "Seconds to wait, if waiting helps.", later, kind={"type": "integer", "minimum": 0})
        )
    if made := [status for status in (201, 202) if status in answers]:
        headers.append(header("Location", "The address of what was made, or of the operation.", made))
    if deprecated:
        headers.append(
            header("Deprecation", "Since when (RFC 9745); `Link` names the successor.", [200], required=True)
        )
    return headers
