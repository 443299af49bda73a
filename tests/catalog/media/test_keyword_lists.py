"""Keywords that several fields of a file have are one list, in which each is once."""

import pytest

from catalog.media.keyword_lists import united, without


@pytest.mark.parametrize(
    ("in_xmp", "in_iptc", "in_windows", "words"),
    [
        (["A"], ["A", "B"], [], ["A", "B"]),
        ([], ["B"], ["C"], ["B", "C"]),
        (["ü" * 100, "Sea; sun"], ["ü" * 32], ["Sea, sun"], ["ü" * 100, "Sea; sun"]),  # as much as they can hold
        (["Zoë"], ["Zo\xeb", "zoe\u0308", "Zo?"], ["ZOË"], ["Zoë"]),
        (["?"], ["??"], [], ["?", "??"]),
        (["a/b"], ["a"], [], ["a/b", "a"]),
    ],
)
def test_united(in_xmp: list[str], in_iptc: list[str], in_windows: list[str], words: list[str]) -> None:
    assert united(in_xmp, in_iptc, in_windows) == words


def test_letters_of_an_unknown_encoding_make_no_other_keyword() -> None:
    assert united(["Zoë", "A"], ["Zo‘", "B"], [], is_legacy=True) == ["Zoë", "A", "B"]
    assert united(["Zoë"], ["Zo‘"], []) == ["Zoë", "Zo‘"]


def test_parts_of_paths_are_no_other_keywords() -> None:
    assert united(["People|Anna", "A/B"], ["anna", "B", "C"], [], are_paths=True) == ["People|Anna", "A/B", "C"]


def test_without() -> None:
    paths = ["People|Anna", "Anna", "Places/Germany/Berlin", "Annapolis"]
    assert without(paths, ["anna", "Germany"]) == {"People|Anna": "", "Anna": "", "Places/Germany/Berlin": "Berlin"}
    assert without(paths, ["anna", "Germany"], ["Anna"]) == {"Places/Germany/Berlin": "Berlin"}
