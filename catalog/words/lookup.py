"""Conditions on the index of words: which objects have a word, or words in a row, in any field or in one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection
from django.db.models import Count, Q, QuerySet
from django.db.models.expressions import RawSQL

from catalog.models import SearchKind, SearchText

from . import tables
from .indexing import MARKS


@dataclass(frozen=True)
class Phrase:
    """Folded words in a row. Unless it is `whole`, more letters may follow on the last one."""

    words: tuple[str, ...]
    whole: bool = False
    marks: Sequence[str] = MARKS
    """Of the fields in which it may be."""

    @property
    def patterns(self) -> list[str]:
        """What one of is in the text of all that have it."""
        end = " " if self.whole else ""
        return [" " + " ".join(mark + word for word in self.words) + end for mark in self.marks]

    def query(self) -> str:
        """Return it in the language of the database's full-text index: all words, in one field, in any order."""
        return _either([_all([self._word(mark, place) for place in range(len(self.words))]) for mark in self.marks])

    def _word(self, mark: str, place: int) -> str:
        is_open = not self.whole and place == len(self.words) - 1
        if connection.vendor == "sqlite":
            return f'"{mark}{self.words[place]}"{" *" if is_open else ""}'
        return f"'{mark}{self.words[place]}'{':*' if is_open else ''}"


def found(kind: SearchKind, phrase: Phrase) -> QuerySet[SearchText]:
    """Return the texts of this kind that have `phrase`, from the index."""
    texts = SearchText.objects.filter(kind=kind, pk__in=_ids(phrase)).order_by()
    return texts.filter(_contains(phrase)) if len(phrase.words) > 1 else texts


def days(libraries: Iterable[UUID], phrases: Sequence[Phrase]) -> dict[int, int]:
    """Return how many photos of `libraries` that are shown have all of `phrases`, by their taken_day. From the index alone."""
    sql, query = _select(_all([phrase.query() for phrase in phrases]))
    texts = SearchText.objects.filter(pk__in=RawSQL(sql, [query]), library_id__in=list(libraries), day__isnull=False)  # noqa: S611
    for phrase in phrases:
        if len(phrase.words) > 1:
            texts = texts.filter(_contains(phrase))
    return dict(texts.order_by().values_list("day").annotate(count=Count("*")))


def having(texts: QuerySet[SearchText], phrase: Phrase) -> QuerySet[SearchText]:
    """Return those of a few `texts` that have `phrase`, by reading them instead of the index."""
    return texts.filter(_contains(phrase))


def count_up_to(phrase: Phrase, most: int) -> int:
    """Return how many texts of all kinds have the words of `phrase`, or `most` if those are more."""
    sql, query = _select(phrase.query())
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM ({sql} LIMIT {int(most)}) AS matches", [query])  # noqa: S608
        return int(cursor.fetchone()[0])


def _select(query: str) -> tuple[str, str]:
    """Return the SQL that selects the ids of texts by a query of the full-text index, and its parameter."""
    if connection.vendor == "sqlite":
        return f"SELECT rowid FROM {tables.FULL_TEXT} WHERE {tables.FULL_TEXT} MATCH %s", query  # noqa: S608
    return f"SELECT id FROM {tables.TEXTS} WHERE {tables.LEXEMES} @@ %s::tsquery", query  # noqa: S608


def _ids(phrase: Phrase) -> RawSQL:
    sql, query = _select(phrase.query())
    return RawSQL(sql, [query])  # noqa: S611  (our own names; the words are a parameter)


def _contains(phrase: Phrase) -> Q:
    condition = Q()
    for pattern in phrase.patterns:
        condition |= Q(text__contains=pattern)
    return condition


def _all(parts: list[str]) -> str:
    return f"({(' AND ' if connection.vendor == 'sqlite' else ' & ').join(parts)})"


def _either(parts: list[str]) -> str:
    return f"({(' OR ' if connection.vendor == 'sqlite' else ' | ').join(parts)})"
