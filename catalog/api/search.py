"""How a search that somebody is typing could go on."""

from typing import Any

from rest_framework import serializers
from rest_framework.response import Response

from accounts.requests import Request
from catalog.browsing.search_suggestions import suggest
from catalog.searching.grammar import LONGEST_QUERY
from photolala.web.parameters import check_parameters
from photolala.web.refusals import BadRequest
from photolala.web.views import ApiView, documented, query

KINDS = ["year", "month", "album", "camera", "lens", "keyword", "folder"]


class SuggestionBody(serializers.Serializer[Any]):
    """One way to go on."""

    kind = serializers.ChoiceField(choices=KINDS)
    name = serializers.CharField(help_text="As people call it.")
    query = serializers.CharField(help_text="The whole search, for `q` of the photo list.")


class SuggestionsBody(serializers.Serializer[Any]):
    """What is suggested, the likeliest first."""

    results = SuggestionBody(many=True)


class SearchSuggestions(ApiView):
    """Years, months, albums, cameras, lenses, keywords and folders that begin as the last word does."""

    @documented(
        "search_suggestions",
        "How a search whose last word is still being typed could go on: at most ten ways, each of which finds something "
        "that one may see.",
        {200: SuggestionsBody},
        errors=(400, 401),
        parameters=[query("q", "What was typed so far.", maxLength=LONGEST_QUERY)],
    )
    def get(self, request: Request) -> Response:
        check_parameters(request.query_params, {"q"})
        text = request.query_params.get("q", "")
        if len(text) > LONGEST_QUERY or "\0" in text:
            raise BadRequest(f"q must be a text of at most {LONGEST_QUERY:,} characters.", "bad_text")
        found = suggest(request.user, text)
        rows = [{"kind": one.kind, "name": one.label, "query": one.query} for one in found]
        return Response({"results": rows})
