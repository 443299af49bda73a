"""How a search that somebody is typing could go on: only with what finds something among the photos that they may see."""

import re
from calendar import month_name
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from uuid import UUID

from accounts.models import User
from catalog.models import Album, SearchFacet
from catalog.words import facets, indexing
from catalog.words.folding import fold
from catalog.words.lookup import Phrase

from .conditions import albums_named
from .grammar import LONGEST_QUERY, LONGEST_VALUE

MOST = 10
MOST_OF_A_KIND = 4
_LAST = re.compile(r'(?:(?P<field>[A-Za-z]+):)?(?:"(?P<quoted>[^"]*)|(?P<bare>[^\s"()]*))$')
_FACETS = tuple(SearchFacet.Kind.values)


@dataclass(frozen=True)
class Suggestion:
    """One way to go on: what kind it is, how it is called, and the whole search that follows."""

    kind: str
    """year, month, album, camera, lens, keyword or folder."""
    label: str
    query: str


def candidates(user: User, libraries: Iterable[UUID], months: Iterable[str], text: str) -> Iterator[Suggestion]:
    """Yield what `text`, whose last word is still being typed, may become. Who asks leaves out what finds nothing.

    `months` are the months in which the user has photos, as "2024-05", the newest first. At most seven queries.
    """
    if len(text) > LONGEST_QUERY:
        return
    last = _LAST.search(text)
    if last is None:
        return
    field = (last["field"] or "").lower()
    typed = last["quoted"] if last["quoted"] is not None else last["bare"] or ""
    words = fold(typed)
    if not words and field != "taken":
        return
    before = text[: last.start()]
    if field in ("", "taken"):
        for kind, label, value in _times(list(months), typed.strip().lower(), by_field=field == "taken"):
            yield Suggestion(kind, label, f"{before}taken:{value} ")
    if not words:
        return
    if field in ("", "album"):
        named = albums_named(user, Phrase(tuple(words), marks=(indexing.PLAIN,)))[:MOST_OF_A_KIND]
        for title in Album.objects.filter(pk__in=named).order_by("title").values_list("title", flat=True):
            yield Suggestion("album", title, f"{before}album:{_quoted(title)} ")
    own = list(libraries)
    for kind in _FACETS:
        if field in ("", kind):
            for value in facets.beginning(own, kind, words, MOST_OF_A_KIND):
                yield Suggestion(kind, value, f"{before}{kind}:{_quoted(value)} ")


def _times(months: list[str], typed: str, *, by_field: bool) -> Iterator[tuple[str, str, str]]:
    """Yield (kind, label, value) of years and months that begin as `typed` does."""
    years = list(dict.fromkeys(month[:4] for month in months))
    if by_field or re.fullmatch(r"[12][0-9]{0,3}(-[0-9]{0,2})?", typed):
        chosen = [year for year in years if year.startswith(typed)]
        for year in chosen[:MOST_OF_A_KIND]:
            yield "year", year, year
        if len(typed) >= 4:
            for month in [month for month in dict.fromkeys(months) if month.startswith(typed)][:12]:
                yield "month", _month(month), month
    elif len(typed) >= 3:
        for month in [month for month in dict.fromkeys(months) if _month(month).lower().startswith(typed)][
            :MOST_OF_A_KIND
        ]:
            yield "month", _month(month), month


def _month(month: str) -> str:
    return f"{month_name[int(month[5:7])]} {month[:4]}"


def _quoted(value: str) -> str:
    return '"' + " ".join(value.replace('"', " ").split())[:LONGEST_VALUE] + '"'
