"""The grammar of searches: what is understood, how it binds, and where it goes wrong."""

from datetime import date

import pytest

from catalog.searching.grammar import (
    NOTHING,
    Either,
    Every,
    Has,
    Is,
    Not,
    QueryError,
    Rating,
    Taken,
    Type,
    Words,
    parse,
)

pytestmark = pytest.mark.once
A, B, C = Words("a"), Words("b"), Words("c")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        (" \t", None),
        ("%", NOTHING),
        ("a & b", Every((A, B))),
        ("a b", Every((A, B))),
        ("a AND b or c", Either((Every((A, B)), C))),
        ("a (b or c)", Every((A, Either((B, C))))),
        ("not a b", Every((Not(A), B))),
        ("-a -(b c)", Every((Not(A), Not(Every((B, C)))))),
        ("a-b", Words("a-b")),
        ("2015 a", Every((Either((Words("2015"), Taken(date(2015, 1, 1), date(2016, 1, 1)))), A))),
        ("not 2015-02", Not(Either((Words("2015-02"), Taken(date(2015, 2, 1), date(2015, 3, 1)))))),
        ('"2015"', Words("2015", True)),
        ("name:2015", Words("2015", field="name")),
        ("2015-13", Words("2015-13")),
        ("1080", Words("1080")),
        ("- a", A),
        ('"not" "New  York"', Every((Words("not", True), Words("New  York", True)))),
        ('camera:"EOS R6" lens:50', Every((Words("EOS R6", True, "camera"), Words("50", False, "lens")))),
        ("FOLDER:2015/beach", Words("2015/beach", False, "folder")),
        ("12:30", Words("12:30")),
        ("rating:4", Rating(4, 4)),
        ("rating:>=4", Rating(4, 5)),
        ("rating:>4", Rating(5, 5)),
        ("rating:<2", Rating(0, 1)),
        ("rating:<=2", Rating(0, 2)),
        ("rating:2..4", Rating(2, 4)),
        ("rating:..3", Rating(0, 3)),
        ("rating:<0", Rating(0, -1)),
        ("taken:2019", Taken(date(2019, 1, 1), date(2020, 1, 1))),
        ("taken:2020-02", Taken(date(2020, 2, 1), date(2020, 3, 1))),
        ("taken:2020-2-29", Taken(date(2020, 2, 29), date(2020, 3, 1))),
        ("taken:2019..2021", Taken(date(2019, 1, 1), date(2022, 1, 1))),
        ("taken:2019..", Taken(date(2019, 1, 1), None)),
        ("taken:..2021-05", Taken(None, date(2021, 6, 1))),
        ("taken:<2020", Taken(None, date(2020, 1, 1))),
        ("taken:>2020", Taken(date(2021, 1, 1), None)),
        ("taken:>=2020-05", Taken(date(2020, 5, 1), None)),
        ("taken:9999", Taken(date(9999, 1, 1), None)),
        ("type:Photo", Type("image")),
        ("type:image/jpeg", Type("image/jpeg")),
        ("has:place", Has("gps")),
        ("is:favorite", Is("favourite")),
    ],
)
def test_what_is_understood(text, expected):
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a (b", 2, "not closed"),
        ("a) b", 1, "closes none"),
        ('a "b', 2, "not closed"),
        ("a or", 2, "missing"),
        ("a or or b", 2, "missing"),
        ("not", 0, "missing"),
        ("()", 0, "missing"),
        ("a and", 2, "missing"),
        ("a color:red", 2, "no `color:`"),
        ("camera:", 0, "missing"),
        ("camera: x", 0, "missing"),
        ("camera:%", 0, "letters"),
        ("rating:6", 0, "0 to 5"),
        ("rating:>=", 0, "0 to 5"),
        ("rating:²", 0, "0 to 5"),
        ("taken:2019-13", 0, "year"),
        ("taken:0000", 0, "year"),
        ("taken:19", 0, "year"),
        ("taken:>2019..2020", 0, "year"),
        ("taken:٢٠١٩", 0, "year"),
        ("type:a'b", 0, "image, video"),
        ("has:money", 0, "gps"),
        ("is:odd", 0, "favourite"),
        ("a\0b", 1, "NUL"),
        ("x" * 1001, 1000, "1,000"),
        ("x" * 201, 0, "200"),
        ("a " * 21, 40, "20 words"),
        ("(" * 11 + "a" + ")" * 11, 10, "10 deep"),
        ("not " * 11 + "a", 40, "10 deep"),
    ],
)
def test_what_makes_no_sense_is_said_with_its_place(text, place, words):
    with pytest.raises(QueryError) as error:
        parse(text)
    assert error.value.place == place
    assert words in error.value.sentence
    assert f"character {place + 1} " in str(error.value)
