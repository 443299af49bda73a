"""Paths as text: every file name has exactly one text, and every such text leads back to the same bytes."""

import os
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from photolala.lib.paths import escape_path, unescape_path

tricky_text = st.text(alphabet=st.sampled_from("\\x0aAc3é\u0301/\n "), max_size=12) | st.text(max_size=20)
tricky_bytes = st.binary(max_size=20) | st.lists(
    st.sampled_from([b"\\", b"x", b"c3", b"\xc3", b"\xa9", b"\xed\xa0\x80", b"\x00", b"a", b"\xf0\x9f"]), max_size=10
).map(b"".join)


@given(tricky_bytes)
@example(b"\\xc3")
@example(b"\xc3\\xa9")
@example(b"\xed\xb2\x80")
def test_bytes_come_back(raw: bytes) -> None:
    text = escape_path(raw)
    assert unescape_path(text) == raw
    assert "\x00" not in text
    assert text.encode("utf-8").decode("utf-8") == text  # no surrogates


@given(tricky_bytes)
def test_a_decoded_name_gives_the_same_text_as_its_bytes(raw: bytes) -> None:
    assert escape_path(raw.decode("utf-8", "surrogateescape")) == escape_path(raw)


@given(tricky_text)
@example("\\x41")
@example("\\xC3")
@example("\\xc3\\xa9")
@example("\\")
def test_text_is_either_refused_or_comes_back(text: str) -> None:
    try:
        raw = unescape_path(text)
    except ValueError:
        return
    assert escape_path(raw) == text


@given(tricky_bytes, tricky_bytes)
def test_different_names_never_share_a_text(one: bytes, other: bytes) -> None:
    assert (escape_path(one) == escape_path(other)) == (one == other)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"2024/IMG_1.JPG", "2024/IMG_1.JPG"),
        (b"a\\b.jpg", r"a\\b.jpg"),
        (b"caf\xe9.jpg", r"caf\xe9.jpg"),
        ("café.jpg".encode(), "café.jpg"),
        (b"two\nlines.jpg", "two\nlines.jpg"),
        (b"", ""),
    ],
)
def test_examples_of_the_format(raw: bytes, text: str) -> None:
    assert escape_path(raw) == text
    assert escape_path(os.fsdecode(raw)) == text
    assert unescape_path(text) == raw


def test_both_unicode_forms_stay_apart() -> None:
    composed, decomposed = (unicodedata.normalize(form, "Käse.jpg") for form in ("NFC", "NFD"))
    assert escape_path(composed) == composed
    assert escape_path(decomposed) == decomposed
    assert composed != decomposed


@pytest.mark.parametrize("text", ["\\", "a\\b", "\\x4", "\\x41", "\\xC3", "\\xc3\\xa9", "a\x00b", "\udcff", "\ud800"])
def test_text_that_is_never_written_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="path"):
        unescape_path(text)


def test_a_lone_surrogate_that_stands_for_no_byte_is_refused() -> None:
    with pytest.raises(ValueError, match="no bytes"):
        escape_path("\ud800")
