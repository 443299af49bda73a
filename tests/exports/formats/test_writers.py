"""JSON and CSV exports: exact bytes, the same for every split into batches, and read back as the same rows."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exports.formats.columns import COLUMNS, NAMES, Kind, format_time, without_infinities
from exports.formats.csv_writer import (
    BOM,
    CsvWriter,
    InvalidCsv,
    join_list,
    neutralise,
    parse_csv,
    restore,
    split_list,
)
from exports.formats.json_writer import JsonWriter, encode_indented
from tests.exports.batches import batch_of, plain_csv, row_from_mapping

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
formula = st.builds(
    lambda quotes, sign, rest: "'" * quotes + sign + rest, st.integers(0, 2), st.sampled_from("=+-@\t"), text
)
number = st.floats(allow_nan=False, allow_infinity=False)
json_value = st.recursive(
    st.none() | st.booleans() | st.integers() | number | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
VALUES: dict[Kind, st.SearchStrategy] = {
    Kind.WORD: st.sampled_from([None, "4f2c", "2024-05-01T12:00:00+02:00"]),
    Kind.TEXT: st.none() | text | formula,
    Kind.INTEGER: st.none() | st.integers(-(2**63), 2**63),
    Kind.NUMBER: st.none() | number,
    Kind.BOOLEAN: st.none() | st.booleans(),
    Kind.LIST: st.none() | st.lists((text | formula).filter(bool), max_size=3),
    Kind.OBJECT: st.none() | st.dictionaries(text, json_value, max_size=4),
}
row = st.tuples(st.just("id-1"), *(VALUES[column.kind] for column in COLUMNS[1:]))
rows = st.lists(row, max_size=7)


def as_object(values: tuple) -> dict[str, Any]:
    return {name: value for name, value in zip(NAMES, values, strict=True) if value not in (None, "", [], {})}


def written(writer_class: type[JsonWriter] | type[CsvWriter], batches: list) -> bytes:
    stream = io.BytesIO()
    writer = writer_class(stream)
    for batch in batches:
        writer.write_batch(batch_of(batch))
    writer.finish()
    return stream.getvalue()


def splits(items: list, cuts: list[int]) -> list[list]:
    edges = sorted({0, len(items), *(cut % (len(items) + 1) for cut in cuts)})
    return [items[start:stop] for start, stop in pairwise(edges)] or [[]]


@pytest.mark.promise("S3-077", "S3-078", "S3-X02", "S3-U06")
@settings(max_examples=150, deadline=None)
@given(rows, st.lists(st.integers(0, 100), max_size=5))
def test_json_bytes_are_those_of_the_standard_encoder_for_any_batches(items: list, cuts: list[int]) -> None:
    whole = json.dumps([as_object(item) for item in items], indent=2, ensure_ascii=False).encode() + b"\n"
    assert written(JsonWriter, splits(items, cuts)) == whole


@pytest.mark.promise("S3-077")
@settings(max_examples=100, deadline=None)
@given(rows, st.lists(st.integers(0, 100), max_size=5))
def test_csv_bytes_are_those_of_the_standard_writer_for_any_batches(items: list, cuts: list[int]) -> None:
    assert written(CsvWriter, splits(items, cuts)) == plain_csv(items)


@settings(max_examples=40, deadline=None)
@given(st.lists(row, min_size=1, max_size=4), st.integers(30, 70), st.randoms())
def test_values_that_come_again_and_again_have_the_same_bytes(items: list, count: int, chance: Any) -> None:
    many = [tuple(chance.choice(items)[index] for index in range(len(COLUMNS))) for _ in range(count)]
    assert written(CsvWriter, [many]) == plain_csv(many)
    whole = json.dumps([as_object(item) for item in many], indent=2, ensure_ascii=False).encode() + b"\n"
    assert written(JsonWriter, [many]) == whole


@settings(max_examples=200, deadline=None)
@given(rows)
def test_csv_reads_back_as_the_same_rows(items: list) -> None:
    data = written(CsvWriter, [items])
    found = list(parse_csv(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert found == [as_object(item) for item in items]
    plain = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))  # what any other reader sees
    assert plain[0] == list(NAMES)
    assert len(plain) == len(items) + 1
    for cells in plain[1:]:
        for column, cell in zip(COLUMNS, cells, strict=True):
            if column.kind in (Kind.TEXT, Kind.LIST):
                assert not cell.startswith(("=", "+", "-", "@", "\t"))


@pytest.mark.promise("S3-X03", "S3-057")
def test_no_rows_have_one_canonical_form() -> None:
    assert written(JsonWriter, []) == written(JsonWriter, [[]]) == b"[]\n"
    assert written(CsvWriter, []) == written(CsvWriter, [[]]) == BOM + ",".join(NAMES).encode() + b"\r\n"


def sample() -> list:
    values = {"id": "a", "filename": '=Ünï "x"\n.jpg', "has_media": True, "is_edited": False, "rating": 0}
    values |= {"latitude": -12.5, "keywords": ["a;b", "c"], "metadata": {"iso": 100, "exifData": {"k": ["<&>"]}}}
    return row_from_mapping(values)


@pytest.mark.promise("S3-U06", "S3-078")
def test_json_example_byte_for_byte() -> None:
    expected = """[
  {
    "id": "a",
    "filename": "=Ünï \\"x\\"\\n.jpg",
    "latitude": -12.5,
    "rating": 0,
    "has_media": true,
    "is_edited": false,
    "keywords": [
      "a;b",
      "c"
    ],
    "metadata": {
      "iso": 100,
      "exifData": {
        "k": [
          "<&>"
        ]
      }
    }
  }
]
"""
    assert written(JsonWriter, [[sample()]]).decode() == expected


def test_metadata_may_come_as_its_text() -> None:
    with_text = sample()
    position = NAMES.index("metadata")
    with_text[position] = json.dumps(with_text[position])
    assert written(JsonWriter, [[with_text]]) == written(JsonWriter, [[sample()]])
    cells = list(parse_csv(io.StringIO(written(CsvWriter, [[with_text]]).decode("utf-8-sig"), newline="")))
    assert cells[0]["metadata"] == {"iso": 100, "exifData": {"k": ["<&>"]}}


@pytest.mark.parametrize(
    "texts",
    [
        ['{"a": 1}', "{}", None, "", '{"b":"x},\\n      {"}', '{"c":[1]}', '{"d":{"e":null}}'],
        ['{"a": NaN, "b": 1}', '{"c":2}'],
        ['{"a":1,"a":2}', '{"\\u007b":"\\n"}'],
        ['{"a": ": {"}', '{"b":{"c":1}}', '{"d":1}'],  # to the encoder's eye the text begins an object
        ['{": {": "x"}', '{"b":{},"c":"},\\n"}'],
    ],
)
def test_metadata_texts_of_a_batch_are_each_written_as_alone(texts: list[str | None]) -> None:
    batch = [row_from_mapping({"id": str(number), "metadata": text}) for number, text in enumerate(texts)]
    assert written(JsonWriter, [batch]) == written(JsonWriter, [[item] for item in batch])
    expected = [json.loads((text or "{}").replace("NaN", "null")) for text in texts]
    assert [item.get("metadata", {}) for item in json.loads(written(JsonWriter, [batch]))] == expected


def test_damaged_metadata_stops_the_export() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        written(JsonWriter, [[row_from_mapping({"id": "a", "metadata": '{"a":'})]])


def test_csv_example_byte_for_byte() -> None:
    line = written(CsvWriter, [[sample()]]).split(b"\r\n", 1)[1].decode()
    expected = 'a,,,,,"\'=Ünï ""x""\n.jpg",,,,,,,,,,,,,,,,,-12.5,,0,,,,,true,false,,a\\;b;c,'
    assert line == expected + '"{""iso"":100,""exifData"":{""k"":[""<&>""]}}",,\r\n'


def test_numbers_that_no_format_holds_are_left_out() -> None:
    values = row_from_mapping({"id": "a", "latitude": float("nan"), "aperture": float("inf"), "metadata": {"f": 1e999}})
    parsed = json.loads(written(JsonWriter, [[values]]))
    assert parsed == [{"id": "a", "metadata": {"f": None}}]
    assert next(parse_csv(io.StringIO(written(CsvWriter, [[values[:-3] + [None] * 3]]).decode("utf-8-sig")))) == {
        "id": "a"
    }


hostile = st.text(st.sampled_from("=+-@\t\r\n;,'\"a\uff1d\\ "), max_size=9)
hostile_row = st.builds(
    lambda words, keywords, key: row_from_mapping(
        {"id": "a", "path": words[0], "caption": words[1], "lens_model": words[2]}
        | {"keywords": keywords, "metadata": {key: words[0]}}
    ),
    st.tuples(hostile, hostile, hostile),
    st.lists(hostile.filter(bool), max_size=3),
    hostile,
)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@settings(max_examples=60, deadline=None)
@given(st.lists(hostile_row, min_size=1, max_size=3))
def test_no_cell_of_a_spreadsheet_begins_a_formula_wherever_it_splits(separator: str, items: list) -> None:
    data = written(CsvWriter, [items]).decode("utf-8-sig")
    signs = ("=", "+", "-", "@", "\t", "\uff1d")
    for cells in csv.reader(io.StringIO(data, newline=""), delimiter=separator):
        for cell in cells:
            first, *others = re.split("[\r\n]", cell)
            assert not first.startswith(signs)
            if separator != ",":  # the quotes are not at the start of a cell: each line may begin one
                assert not [line for line in others if line.lstrip('"').startswith(signs)]
    assert list(parse_csv(io.StringIO(data, newline=""))) == [as_object(item) for item in items]


@pytest.mark.parametrize(
    ("plain", "safe"),
    [
        ("\r=1+1", "\r'=1+1"),
        ("a;=cmd|' /C calc'!A0;b", "a;'=cmd|' /C calc'!A0;b"),
        ("x\n'@SUM(1)", "x\n''@SUM(1)"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("Tom; -5 degrees, a-b", "Tom; -5 degrees, a-b"),
    ],
)
def test_what_is_written_for_a_formula(plain: str, safe: str) -> None:
    assert (neutralise(plain), restore(safe)) == (safe, plain)


@given(text | formula | hostile)
def test_neutralising_has_an_exact_inverse(value: str) -> None:
    assert restore(neutralise(value)) == value
    assert not neutralise(value).startswith(("=", "+", "-", "@", "\t"))


@given(st.lists(st.text(st.sampled_from(";\\ab\n"), min_size=1), max_size=4))
def test_lists_have_an_exact_inverse(items: list[str]) -> None:
    assert split_list(join_list(items)) == items


@given(json_value, st.integers(0, 3))
def test_nested_values_are_indented_as_the_standard_encoder_does(value: Any, level: int) -> None:
    expected = json.dumps(value, indent=2, ensure_ascii=False).replace("\n", "\n" + "  " * level)
    assert encode_indented(value, level) == expected


def test_deep_metadata_is_written() -> None:
    value: Any = 1
    for _ in range(200):
        value = [value]
    assert json.loads(encode_indented(value, 2)) == value


def test_columns_stand_for_every_field_of_the_specification_in_order() -> None:
    expected = (
        "id photo_md5 owner_id library_id path filename caption taken_at taken_at_source added_at size_bytes "
        "media_type width height duration_ms camera_make camera_model lens_model iso aperture shutter_speed "
        "focal_length latitude longitude rating favorite_count share_count note_count album_count has_media "
        "is_edited original_id keywords metadata archived_at media_files "
    )
    assert list(NAMES) == expected.split()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "header"),
        ("name\r\nx\r\n", "header"),
        ("id,width\r\na\r\n", "Line 2 has 1 cells"),
        ("id,width\r\na,wide\r\n", "Line 2: 'wide' is no value for the column 'width'"),
        pytest.param(f"id,metadata\r\na,{'[' * 100_000}\r\n", "no value for the column 'metadata'", id="nested"),
        ("id,has_media\r\na,yes\r\n", "has_media"),
        ('id,caption\r\na,"never closed', "not CSV"),
    ],
)
def test_a_file_that_is_no_export_is_refused_with_its_line(content: str, message: str) -> None:
    with pytest.raises(InvalidCsv, match=message):
        list(parse_csv(io.StringIO(content, newline="")))


def test_booleans_are_read_as_spreadsheets_save_them() -> None:
    content = "id,has_media,is_edited\n1,TRUE,FALSE\n2,true,\n"
    assert list(parse_csv(io.StringIO(content, newline=""))) == [
        {"id": "1", "has_media": True, "is_edited": False},
        {"id": "2", "has_media": True},
    ]


def test_times_keep_their_offset() -> None:
    moment = datetime(2024, 5, 1, 12, 0, 0, 999)
    assert format_time(moment) == "2024-05-01T12:00:00"
    assert format_time(moment.replace(tzinfo=UTC)) == "2024-05-01T12:00:00Z"
    assert format_time(moment.replace(tzinfo=timezone(timedelta(hours=2)))) == "2024-05-01T12:00:00+02:00"


METADATA = st.dictionaries(
    st.text(max_size=6),
    st.one_of(
        st.text(alphabet='ab"\\{}:,\n\u2028é', max_size=6),
        st.none(),
        st.floats(),
        st.dictionaries(st.text(alphabet='a{"', max_size=3), st.text(alphabet='}{",\n: ', max_size=5), max_size=3),
    ),
    max_size=5,
)


@given(bodies=st.lists(METADATA, max_size=6))
def test_objects_in_metadata_are_written_together_as_they_are_one_by_one(bodies: list[dict]) -> None:
    stream = io.BytesIO()
    writer = JsonWriter(stream)
    writer.write_batch(batch_of([row_from_mapping({"id": "x", "metadata": json.dumps(body)}) for body in bodies]))
    writer.finish()
    plain = [{"id": "x", **({"metadata": without_infinities(body)} if body else {})} for body in bodies]
    assert stream.getvalue() == json.dumps(plain, indent=2, ensure_ascii=False).encode() + b"\n"
