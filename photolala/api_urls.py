"""The routes of the API, below /api/v1/."""

from typing import Any, ClassVar

from django.http import Http404, HttpResponse
from django.urls import URLPattern, URLResolver, include, path, re_path
from drf_spectacular.generators import EndpointEnumerator, SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from photolala.web.views import ApiView


@extend_schema(exclude=True)
class NothingHere(ApiView):
    """Addresses that do not exist answer 404 as a problem object, whatever the verb, and to everybody."""

    authentication_classes = []
    permission_classes = [AllowAny]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Answer before the verb is looked at."""
        raise Http404


class Docs(SpectacularSwaggerSplitView):
    """The page that shows the schema."""

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Answer other verbs without the page's template, which knows only the page."""
        if request.method in ("GET", "HEAD"):
            return super().dispatch(request, *args, **kwargs)
        return HttpResponse(status=204 if request.method == "OPTIONS" else 405, headers={"Allow": "GET, HEAD, OPTIONS"})


class WithHead(EndpointEnumerator):
    """Finds the verbs of a view, HEAD too where the view says how it answers that."""

    def get_allowed_methods(self, callback: Any) -> list[str]:
        methods = super().get_allowed_methods(callback)  # type: ignore[no-untyped-call]
        return [*methods, "HEAD"] if hasattr(callback.cls, "head") else methods


class SchemaOnce(SchemaGenerator):
    """Works the schema out once: it is the same for everybody, anybody may ask, and it takes a quarter of a second."""

    endpoint_inspector_cls = WithHead
    _kept: ClassVar[dict[bool, Any]] = {}

    def get_schema(self, request: Any = None, public: bool = False) -> Any:
        """Return the schema; not to be changed."""
        if public not in self._kept:
            self._kept[public] = super().get_schema(request, public)  # type: ignore[no-untyped-call]
        return self._kept[public]


app_name = "api"
urlpatterns: list[URLPattern | URLResolver] = [
    path("schema/", SpectacularJSONAPIView.as_view(generator_class=SchemaOnce), name="schema"),
    path("docs/", Docs.as_view(url_name="api:schema", template_name="api/docs.html"), name="docs"),
    path("", include("accounts.api.urls")),
    path("", include("operations.api.urls")),
    path("", include("catalog.api.urls")),
    path("", include("exports.api.urls")),
    path("sync/", include("sync.api.urls")),
    re_path(r"^.*/$", NothingHere.as_view(), name="nothing"),
]
