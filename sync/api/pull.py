"""Pull, over HTTP: info, changes, digest."""

from rest_framework.request import Request
from rest_framework.response import Response

from photolala.web.keyset import LARGEST_LIMIT, read_limit
from photolala.web.parameters import check_parameters
from photolala.web.views import ApiView, documented, query
from sync.server.devices import device_of
from sync.server.pull import digest, info, pull

from .asking import repository_of, user_of
from .bodies import SCOPE, ChangesBody, DigestBody, InfoBody

_SCOPE = query(
    "scope", "`library:<id>`, `album:<id>` or `user:<id>`, as `info` names them.", required=True, pattern=SCOPE
)


class InfoView(ApiView):
    """What this server is."""

    @documented(
        "sync_info",
        "The server's time, epoch and limits, all kinds of things, and the scopes that one may see.",
        {200: InfoBody},
    )
    def get(self, request: Request) -> Response:
        """Return it."""
        check_parameters(request.query_params, set())
        found = info(repository_of(request), request.user, device_of(request.auth))
        return Response(found.to_wire())


class Changes(ApiView):
    """What changed."""

    @documented(
        "sync_changes",
        "What changed in a scope since `cursor`. 404: no such scope, or none of yours; 410: the scope is not shared with you "
        "any more, or was deleted (type `scope_ended`: remove your copy), or the cursor is too old (type `start_over`: pull the "
        "scope from zero, beside your copy, and keep what waits to be pushed).",
        {200: ChangesBody},
        errors=(400, 401, 404, 410),
        parameters=[
            _SCOPE,
            query("cursor", "`cursor` of the page before; leave it out to begin.", format="cursor", maxLength=1000),
            query("types", "Only these types, with commas; the cursor is for these only.", maxLength=1000),
            query("limit", "Rows of a page.", int, minimum=1, maximum=LARGEST_LIMIT, default=LARGEST_LIMIT),
        ],
    )
    def get(self, request: Request) -> Response:
        """Return a page."""
        params = request.query_params
        check_parameters(params, {"scope", "cursor", "types", "limit"})
        page = pull(
            repository_of(request),
            user_of(request),
            request.auth,
            params.get("scope", ""),
            params.get("cursor", ""),
            [name for name in params.get("types", "").split(",") if name],
            read_limit(params, LARGEST_LIMIT),
        )
        return Response(page.to_wire())


class Digest(ApiView):
    """Whether a copy is whole."""

    @documented(
        "sync_digest",
        "Count and sum of the things of a scope, by type: equal to those of a copy that has drifted nowhere.",
        {200: DigestBody},
        errors=(400, 401, 404, 410),
        parameters=[_SCOPE],
    )
    def get(self, request: Request) -> Response:
        """Return it."""
        check_parameters(request.query_params, {"scope"})
        found = digest(repository_of(request), user_of(request), request.query_params.get("scope", ""))
        return Response(found.to_wire())
