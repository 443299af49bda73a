"""How a search that somebody is typing could go on, with what finds something among what they may see."""

from contextlib import suppress

from accounts.models import User
from catalog.browsing import photo_lists
from catalog.browsing.filters import PhotoFilters, visible_libraries
from catalog.browsing.timeline import UNDATED_BUCKET, timeline_buckets
from catalog.searching import grammar, suggestions
from catalog.searching.suggestions import Suggestion
from catalog.words import indexing
from photolala.web import query_limits

SECONDS = 3
"""Whoever types waits no longer."""


def suggest(user: User, text: str) -> list[Suggestion]:
    """Return at most `suggestions.MOST` ways in which `text` may go on; each finds a photo that `user` may see.

    After SECONDS those that were found until then.
    """
    indexing.catch_up_before_a_search()
    found: list[Suggestion] = []
    with suppress(query_limits.TooSlow), query_limits.at_most(SECONDS):
        _suggest(user, text, found)
    return found


def _suggest(user: User, text: str, found: list[Suggestion]) -> None:
    buckets = timeline_buckets(user)
    months = [bucket["bucket"][:7] for bucket in buckets if bucket["bucket"] != UNDATED_BUCKET]
    libraries = [library for library, _ in visible_libraries(user, PhotoFilters())]
    for candidate in suggestions.candidates(user, libraries, months, text):
        if len(found) < suggestions.MOST and _finds(user, candidate.query):
            found.append(candidate)


def _finds(user: User, text: str) -> bool:
    try:
        query = grammar.parse(text)
    except grammar.QueryError:
        return False  # what stands before it makes no sense
    return photo_lists.photos(user, PhotoFilters(query=query)).exists()
