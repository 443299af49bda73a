"""The grammar of searches (docs/search.md): words, "quotes", fields, and, or, not, parentheses. Text in, a tree out."""

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

LONGEST_QUERY = 1_000
LONGEST_VALUE = 200
MOST_TERMS = 20
DEEPEST = 10
WORD_FIELDS = ("name", "folder", "keyword", "camera", "lens", "album")
TYPES = ("image", "photo", "video", "raw")
HAS = ("gps", "caption", "keyword", "rating")
IS = ("favourite", "duplicate", "undated")
_SPELLINGS = {"favorite": "favourite", "place": "gps", "keywords": "keyword", "stars": "rating", "photo": "image"}
FIELDS = (*WORD_FIELDS, "rating", "taken", "type", "has", "is")


class QueryError(ValueError):
    """A search that makes no sense. `sentence` says why, `place` where: the index of a character."""

    def __init__(self, sentence: str, place: int) -> None:
        super().__init__(f"{sentence} (At character {place + 1} of the search.)")
        self.sentence = sentence
        self.place = place


@dataclass(frozen=True)
class Words:
    """A text whose words are there in a row, anywhere or in one field; `whole`: the last one, too, is complete."""

    text: str
    whole: bool = False
    field: str = ""


@dataclass(frozen=True)
class Rating:
    """Stars from `low` to `high`, both included; the unrated have 0."""

    low: int
    high: int


@dataclass(frozen=True)
class Taken:
    """Taken on `start` or later and before `end`; None: no bound. Undated photos never are."""

    start: date | None
    end: date | None


@dataclass(frozen=True)
class Type:
    """`image`, `video`, `raw`, a media type, or the second part of one."""

    name: str


@dataclass(frozen=True)
class Has:
    """Something is known: one of HAS."""

    thing: str


@dataclass(frozen=True)
class Is:
    """One of IS."""

    thing: str


@dataclass(frozen=True)
class Not:
    """All others."""

    node: "Node"


@dataclass(frozen=True)
class Every:
    """All of these hold."""

    nodes: "tuple[Node, ...]"


@dataclass(frozen=True)
class Either:
    """At least one of these holds; none if there are none."""

    nodes: "tuple[Node, ...]"


Node = Words | Rating | Taken | Type | Has | Is | Not | Every | Either
NOTHING = Either(())


@dataclass(frozen=True)
class _Token:
    kind: str
    """`(`, `)`, `and`, `or`, `not`, or `term`."""
    place: int
    field: str = ""
    text: str = ""
    quoted: bool = False


_FIELD = re.compile(r"([A-Za-z]+):(?!//)")
_BARE = re.compile(r'[^\s()"]+')
_DAY = re.compile(r"(18|19|20)[0-9]{2}(-[0-9]{1,2}){0,2}")
_OPERATOR = re.compile(r"(>=|<=|>|<|=)?(.*)", re.DOTALL)


def parse(text: str) -> Node | None:
    """Return what `text` asks for, None if it is blank. Raises QueryError."""
    if len(text) > LONGEST_QUERY:
        raise QueryError(f"A search has at most {LONGEST_QUERY:,} characters, this one {len(text):,}.", LONGEST_QUERY)
    if "\0" in text:
        raise QueryError("A search cannot hold a NUL character.", text.index("\0"))
    if not text.strip():
        return None
    return _Parser(text).parse()


class _Parser:
    """Reads tokens from left to right: `or` binds less than `and`, which may be left out, and that less than `not`."""

    def __init__(self, text: str) -> None:
        self._end = len(text)
        self._tokens = list(_tokens(text))
        self._next = 0
        self._depth = 0
        terms = [token for token in self._tokens if token.kind == "term"]
        if len(terms) > MOST_TERMS:
            raise QueryError(f"A search has at most {MOST_TERMS} words and conditions.", terms[MOST_TERMS].place)

    def parse(self) -> Node:
        found = self._either()
        token = self._peek()
        if token is not None:
            raise QueryError("This parenthesis closes none: leave it out, or open one before it.", token.place)
        return NOTHING if found is None else found

    def _peek(self) -> _Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _either(self) -> Node | None:
        nodes = [self._every()]
        while (token := self._peek()) is not None and token.kind == "or":
            self._next += 1
            self._require_more(token)
            nodes.append(self._every())
        given = tuple(node for node in nodes if node is not None)
        return given[0] if len(given) == 1 else Either(given) if given else None

    def _every(self) -> Node | None:
        nodes: list[Node] = []
        while (token := self._peek()) is not None and token.kind not in (")", "or"):
            if token.kind == "and":
                self._next += 1
                self._require_more(token)
                continue
            node = self._one()
            nodes += [] if node is None else [node]
        return nodes[0] if len(nodes) == 1 else Every(tuple(nodes)) if nodes else None

    def _one(self) -> Node | None:
        token = self._tokens[self._next]
        self._next += 1
        if token.kind == "term":
            return _term(token)
        self._depth += 1
        if self._depth > DEEPEST:
            raise QueryError(f"Parentheses and `not` go at most {DEEPEST} deep.", token.place)
        self._require_more(token)
        if token.kind == "not":
            node = self._one()
            found: Node | None = None if node is None else Not(node)
        else:
            found = self._either()
            closing = self._peek()
            if closing is None:
                raise QueryError("This parenthesis is not closed: add a `)`.", token.place)
            self._next += 1
        self._depth -= 1
        return found

    def _require_more(self, token: _Token) -> None:
        """An operator, or an open parenthesis, wants something after it."""
        after = self._peek()
        if after is None or after.kind in (")", "or", "and"):
            name = "the parenthesis" if token.kind == "(" else f"`{token.kind}`"
            raise QueryError(
                f'After {name} something is missing. To search for the word itself, write "{token.kind}" in quotes.',
                token.place,
            )


def _tokens(text: str) -> Iterator[_Token]:
    place = 0
    while place < len(text):
        character = text[place]
        if character.isspace():
            place += 1
        elif character in "()":
            yield _Token(character, place)
            place += 1
        elif character == "-" and text[place + 1 : place + 2].strip() not in ("", ")", "-"):
            yield _Token("not", place)
            place += 1
        else:
            token, place = _read_term(text, place)
            yield token


def _read_term(text: str, start: int) -> tuple[_Token, int]:
    """Return the term or word that begins at `start`, and where it ends."""
    field, place = "", start
    named = _FIELD.match(text, start)
    if named is not None:
        field, place = named.group(1).lower(), named.end()
    if text[place : place + 1] == '"':
        end = text.find('"', place + 1)
        if end < 0:
            raise QueryError("This quotation mark is not closed.", place)
        return _checked(_Token("term", start, field, text[place + 1 : end], quoted=True)), end + 1
    bare = _BARE.match(text, place)
    if bare is None:
        raise QueryError(f"After `{field}:` a value is missing, without a space.", start)
    value = bare.group()
    if not field and value.lower() in ("and", "or", "not"):
        return _Token(value.lower(), start), bare.end()
    return _checked(_Token("term", start, field, value)), bare.end()


def _checked(token: _Token) -> _Token:
    if len(token.text) > LONGEST_VALUE:
        raise QueryError(f"A word of a search has at most {LONGEST_VALUE} characters.", token.place)
    if token.field and token.field not in FIELDS:
        raise QueryError(
            f"There is no `{token.field[:40]}:`. There are {', '.join(FIELDS)}; to search for the text itself, put it in quotes.",
            token.place,
        )
    return token


def _term(token: _Token) -> Node | None:
    """Return the node of a term; None for a mark without letters or digits, which narrows nothing."""
    if token.field in ("", *WORD_FIELDS):
        if any(character.isalnum() for character in token.text):
            words = Words(token.text, token.quoted, token.field)
            taken = None if token.field or token.quoted else _day_in(token.text)
            return words if taken is None else Either((words, taken))
        if token.field:
            raise QueryError(f"`{token.field}:` wants letters or digits.", token.place)
        return None
    if token.field == "rating":
        return _rating(token)
    if token.field == "taken":
        return _taken(token)
    value = token.text.lower()
    if token.field == "type":
        if not re.fullmatch(r"[a-z0-9][a-z0-9.+/-]*", value):
            raise QueryError("`type:` is image, video, raw, or a kind of file such as jpeg.", token.place)
        return Type(_SPELLINGS.get(value, value))
    value = _SPELLINGS.get(value, value)
    choices = HAS if token.field == "has" else IS
    if value not in choices:
        raise QueryError(f"`{token.field}:` is one of {', '.join(choices)}.", token.place)
    return Has(value) if token.field == "has" else Is(value)


def _day_in(text: str) -> Taken | None:
    """Return the year, month or day that a word may mean, from 1800 to 2099; None for any other word."""
    if not _DAY.fullmatch(text):
        return None
    try:
        return Taken(*_period(text, QueryError("", 0)))
    except QueryError:
        return None


def _rating(token: _Token) -> Rating:
    wrong = QueryError("`rating:` is 0 to 5, as in rating:4, rating:>=4 or rating:2..4.", token.place)
    operator, low, high = _bounds(token.text, wrong)
    if any(bound not in ("", "0", "1", "2", "3", "4", "5") for bound in (low, high)):
        raise wrong
    first, last = int(low or 0), int(high or 5)
    return {
        ">=": Rating(first, 5),
        ">": Rating(first + 1, 5),
        "<=": Rating(0, first),
        "<": Rating(0, first - 1),
    }.get(operator, Rating(first, last))


def _taken(token: _Token) -> Taken:
    wrong = QueryError(
        "`taken:` is a year, month or day, as in taken:2019, taken:2019-05, taken:2019..2021 or taken:<2020.",
        token.place,
    )
    operator, low, high = _bounds(token.text, wrong)
    start, after_start = _period(low, wrong) if low else (None, None)
    _, end = _period(high, wrong) if high else (None, None)
    return {
        ">=": Taken(start, None),
        ">": Taken(after_start, None),
        "<=": Taken(None, after_start),
        "<": Taken(None, start),
    }.get(operator, Taken(start, end))


def _bounds(text: str, wrong: QueryError) -> tuple[str, str, str]:
    """Return (operator, low, high) of `x`, `>=x`, `x..y`, `x..` or `..y`; both bounds are x if there is only one value."""
    matched = _OPERATOR.fullmatch(text)
    assert matched is not None  # it matches everything
    operator, value = matched.group(1) or "", matched.group(2)
    low, dots, high = value.partition("..")
    if not (low or high) or (operator and dots):
        raise wrong
    return operator, low, high if dots else low


def _period(text: str, wrong: QueryError) -> tuple[date, date | None]:
    """Return the first day of a year, month or day, and the one after its last; None at the end of the calendar."""
    if not re.fullmatch(r"[0-9]{4}(-[0-9]{1,2}){0,2}", text):
        raise wrong
    numbers = [int(part) for part in text.split("-")]
    try:
        start = date(numbers[0], *(numbers[1:] + [1, 1])[:2])
        last = {
            1: lambda: date(start.year, 12, 31),
            2: lambda: start.replace(day=monthrange(start.year, start.month)[1]),
        }
        end = last.get(len(numbers), lambda: start)()
    except ValueError:
        raise wrong from None
    return start, None if end == date.max else end + timedelta(days=1)
