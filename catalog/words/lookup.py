"""Conditions on the index of words: which objects have a word, or words in a row, in any field or in one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet
from django.db.models.expressions import RawSQL

from catalog.models import Photo, SearchKind, SearchText
from catalog.models.photo import IS_ESTIMATED

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


@dataclass(frozen=True)
class Match:
    """Texts found by the full-text index alone, but for `read`: words in a row, which have to be read."""

    query: str
    """In the language of the database's full-text index."""
    read: tuple[Phrase, ...] = ()
    is_without: bool = False
    """All but these are meant."""

    @classmethod
    def of(cls, phrase: Phrase) -> "Match":
        """Return the match of the texts that have `phrase`."""
        return cls(phrase.query(), (phrase,) if len(phrase.words) > 1 else ())


def every(matches: Sequence[Match]) -> Match | None:
    """Return the match of the texts in all of `matches`, None where the index cannot tell."""
    wanted = [match for match in matches if not match.is_without]
    unwanted = [match for match in matches if match.is_without]
    if any(match.read for match in unwanted):
        return None
    without = _either([match.query for match in unwanted])
    if not wanted:
        return Match(without, is_without=True)
    query = _all([match.query for match in wanted])
    if unwanted:
        query = f"({query} NOT {without})" if connection.vendor == "sqlite" else f"({query} & !{without})"
    return Match(query, tuple(phrase for match in wanted for phrase in match.read))


def either(matches: Sequence[Match]) -> Match | None:
    """Return the match of the texts in any of `matches`, None where the index cannot tell."""
    if any(match.read or match.is_without for match in matches):
        return None
    return Match(_either([match.query for match in matches]))


def found(kind: SearchKind, phrase: Phrase) -> QuerySet[SearchText]:
    """Return the texts of this kind that have `phrase`, from the index."""
    texts = SearchText.objects.filter(kind=kind, pk__in=_ids(phrase)).order_by()
    return texts.filter(_contains(phrase)) if len(phrase.words) > 1 else texts


def days(libraries: Iterable[UUID], match: Match) -> dict[int, int]:
    """Return how many photos of `libraries` that are shown have the words of `match`, by their taken_day; 0 if only their
    file's time is known. From the index of words alone, but for the latter.

    Of a match `is_without` those that are not meant are counted.
    """
    libraries = list(libraries)
    ids = [_as_kept(library) for library in libraries]
    if not ids:
        return {}
    where = f"t.library_id IN ({', '.join(['%s'] * len(ids))}) AND t.day IS NOT NULL"
    matching, query = _select(match.query)
    contains, patterns = _reading(match.read)
    estimated = (
        "SELECT t.day, count(*) FROM catalog_photo AS p CROSS JOIN {texts} AS t "
        "WHERE t.object_id = p.id AND t.kind = 'photo' AND p.library_id = t.library_id AND {where}{contains} "
        "AND p.is_shown AND p.taken_source = 'file' AND t.id IN ({matching}) GROUP BY t.day"
    )
    if connection.vendor == "sqlite":  # in this order: each text is looked up as the index tells of it
        counted = (
            f"SELECT t.day, count(*) FROM {tables.FULL_TEXT} AS f CROSS JOIN {tables.TEXTS} AS t "  # noqa: S608  (our names)
            f"ON t.id = f.rowid WHERE {tables.FULL_TEXT} MATCH %s AND {where}{contains} GROUP BY t.day"
        )
    else:
        counted = (
            f"SELECT t.day, count(*) FROM {tables.TEXTS} AS t WHERE {tables.LEXEMES} @@ %s::tsquery "  # noqa: S608
            f"AND {where}{contains} GROUP BY t.day"
        )
    with connection.cursor() as cursor:
        cursor.execute(counted, [query, *ids, *patterns])
        found: dict[int, int] = dict(cursor.fetchall())
        if Photo.objects.filter(IS_ESTIMATED, library__in=libraries, is_shown=True).exists():
            sql = estimated.format(texts=tables.TEXTS, where=where, contains=contains, matching=matching)
            cursor.execute(sql, [*ids, *patterns, query])
            for day, count in cursor.fetchall():
                found[day] = found.get(day, 0) - count
                found[0] = found.get(0, 0) + count
    return {day: count for day, count in found.items() if count > 0}


def _reading(phrases: Sequence[Phrase]) -> tuple[str, list[str]]:
    """Return the SQL that reads the texts for all of `phrases`, and its parameters."""
    function = "instr" if connection.vendor == "sqlite" else "strpos"
    parts = [" OR ".join([f"{function}(t.text, %s) > 0"] * len(phrase.patterns)) for phrase in phrases]
    return "".join(f" AND ({part})" for part in parts), [one for phrase in phrases for one in phrase.patterns]


def _as_kept(library: UUID) -> str | UUID:
    kept: str | UUID = SearchText._meta.get_field("library_id").get_db_prep_value(library, connection)
    return kept


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
