"""The format of bundles: lists stream and come back as they were, what is damaged is refused with where and why."""

import io
import json
import tracemalloc
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from typing import Any, BinaryIO, cast

import pytest

from exports.bundle import entries, layout
from exports.bundle.decoding import decode
from exports.bundle.lists import InvalidBundle, decode_object, encode_object, read_list, write_list

NOTES = [
    {"id": "1", "content": 'quotes " and \\ and\nlines', "place": None, "n": 1.5},
    {"id": "2", "content": "𝄞 ünï", "nested": {"list": [1, [2, {"deep": "]}"}]]}},
]


class OneByteAtATime(io.BytesIO):
    """A stream that gives as little as it may: every value and character is cut somewhere."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(1)


def written(entries_: Any, key: str = "notes") -> bytes:
    sink = io.BytesIO()
    write_list(sink, key, entries_)
    return sink.getvalue()


@pytest.mark.parametrize("stream_of", [io.BytesIO, OneByteAtATime])
def test_what_is_written_is_json_and_comes_back(stream_of: Any) -> None:
    data = written(NOTES)
    assert json.loads(data) == {"notes": NOTES}
    assert list(read_list(stream_of(data), "notes", "notes.json")) == NOTES
    assert data == written(iter(NOTES)), "the same entries give the same bytes"


def test_no_entries_are_an_empty_list() -> None:
    assert written([]) == b'{\n  "notes": []\n}\n'
    assert list(read_list(io.BytesIO(written([])), "notes", "notes.json")) == []


def test_files_of_other_programs_are_read_however_they_are_indented() -> None:
    for text in (
        json.dumps({"notes": NOTES}, indent=4),
        json.dumps({"notes": NOTES}),
        "\ufeff" + json.dumps({"notes": NOTES}),
    ):
        assert list(read_list(io.BytesIO(text.encode()), "notes", "notes.json")) == NOTES


def test_many_entries_need_the_memory_of_one() -> None:
    class Endless(io.RawIOBase):
        """The bytes of 20,000 entries, made as they are read."""

        def __init__(self) -> None:
            self.parts: Iterator[bytes] = self._parts()

        def _parts(self) -> Iterator[bytes]:
            yield b'{"notes": ['
            for number in range(20_000):
                yield (b"," if number else b"") + b'{"id": "%d", "text": "%s"}' % (number, b"x" * 80)
            yield b"]}"

        def read(self, size: int = -1) -> bytes:
            return b"".join(islice(self.parts, 500))

    tracemalloc.start()
    try:
        assert len(deque(read_list(cast(BinaryIO, Endless()), "notes", "notes.json"), maxlen=1)) == 1
        assert tracemalloc.get_traced_memory()[1] < 1_000_000  # all of it are two million bytes, and more as objects
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "ends too early"),
        (b"[]", "has '[' where '{' must be"),
        (b'{"drafts": []}', "does not begin with the list 'notes'"),
        (b'{"notes": [1]}', "an entry that is no JSON object"),
        (b'{"notes": [{}', "ends too early"),
        (b'{"notes": [{"a": ', "is not JSON"),
        (b'{"notes": [{"a": NaN}]}', "is not JSON"),
        (b'{"notes": [{}], "more": []}', "has ',' where '}' must be"),
        (b'{"notes": []} {}', "more after its list"),
        (b'{"notes": [{"a": "\xff"}]}', "is not UTF-8"),
        (b'{"notes": [{"a": "' + b"x" * 3000 + b'"}]}', "more than 1,000 characters"),
        (b'{"notes": [{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}]}", "is not JSON"),
    ],
)
def test_what_is_damaged_is_refused_with_where(data: bytes, words: str) -> None:
    class Small(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(900 if len(data) < 5000 else -1)

    with pytest.raises(InvalidBundle, match=r"^notes\.json") as raised:
        list(read_list(Small(data), "notes", "notes.json", largest=1000 if len(data) < 5000 else 1 << 20))
    assert words in str(raised.value)


def test_a_number_that_json_cannot_hold_is_not_written() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        written([{"latitude": float("nan")}])


def test_small_objects_come_back_and_have_a_bound() -> None:
    assert decode_object(io.BytesIO(encode_object({"version": "1.0", "ü": None})), "metadata.json") == {
        "version": "1.0",
        "ü": None,
    }
    for data in (b"[]", b"{", b'{"a": "' + b"x" * 200 + b'"}'):
        with pytest.raises(InvalidBundle, match=r"^metadata\.json"):
            decode_object(io.BytesIO(data), "metadata.json", most_bytes=100)


RIGHT: dict[str, Any] = {
    "id": "a",
    "title": "Rome",
    "description": "",
    "cover": None,
    "order": "manual",
    "query": None,
    "createdAt": "2024-05-17T10:00:00Z",
    "updatedAt": "2024-05-17T10:00:00Z",
    "owner": "alice",
    "members": [{"username": "bob", "role": "viewer"}],
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"title": 7}, "title must be a text, not 7"),
        ({"members": {}}, "members must be a list"),
        ({"members": [{"username": "bob"}]}, r"members\[0\].role is missing"),
        ({"cover": True}, "cover must be a text"),
        ({"syncVersion": True}, "syncVersion must be a whole number"),
        ({"query": []}, "query must be an object"),
    ],
)
def test_an_entry_is_what_its_type_says(change: dict[str, Any], words: str) -> None:
    assert decode({**RIGHT, "ofALaterVersion": 1}, entries.Album, "albums.json, entry 1")
    with pytest.raises(InvalidBundle, match=rf"^albums\.json, entry 1: {words}"):
        decode({**RIGHT, **change}, entries.Album, "albums.json, entry 1")


def test_media_have_one_path_for_one_content() -> None:
    moment = datetime(2024, 1, 1, 0, 30, 15, tzinfo=timezone(timedelta(hours=2)))
    path = layout.media_path(moment, "0" * 32, "image/jpeg")
    assert path == f"2023/2023-12-31T22-30-15Z_{'0' * 32}.jpg"
    assert layout.is_media_path(path)
    assert (
        layout.media_path(datetime(33, 4, 3, tzinfo=UTC), "0" * 32, "x/y")
        == f"0033/0033-04-03T00-00-00Z_{'0' * 32}.bin"
    )
    for bad in (
        f"../{path}",
        f"/{path}",
        path.replace("/", "//"),
        path + "/..",
        path + "\n",
        path.replace("2023-", "2023\\"),
    ):
        assert not layout.is_media_path(bad)


def test_times_come_back_to_the_microsecond() -> None:
    moment = datetime(2024, 5, 17, 10, 0, 0, 123456, tzinfo=UTC)
    assert datetime.fromisoformat(layout.time_text(moment)) == moment
    assert layout.time_text(moment.replace(microsecond=0)) == "2024-05-17T10:00:00Z"
