"""How texts become words."""

import pytest

from catalog.words.folding import LONGEST_WORD, MOST_WORDS, fold, runs_within
from catalog.words.indexing import photo_text

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("IMG_0042.JPG", ["img", "0042", "jpg"]),
        ("Été — Ærø, Łódź & Straße", ["ete", "aero", "lodz", "strasse"]),
        ("e\u0301te\u0301", ["ete"]),
        ("ＡＢＣ ﬁne ①", ["abc", "fine", "1"]),
        ("北京2008 ひら", ["北", "京", "2008", "ひ", "ら"]),
        ("İstanbul DIYARBAKIR", ["istanbul", "diyarbakir"]),
        ("¥ ¤ ¢ £ | ' \" % _ *", []),
        ("x" * 100, ["x" * LONGEST_WORD]),
        ("é" * 100, ["e" * LONGEST_WORD]),
    ],
)
def test_words_are_small_letters_and_digits(text, words):
    assert fold(text) == words
    assert fold(" ".join(words)) == words  # once more changes nothing


def test_a_text_is_bounded():
    assert len(fold("a " * 10_000)) == len(fold("á " * 10_000)) == MOST_WORDS


def test_numbers_after_letters_are_words_too():
    assert runs_within(["dsc0042", "img", "2015", "20150103x", "r6"]) == ["0042"]


def test_fields_of_a_photo_are_marked_and_apart():
    text = photo_text(("2015/Été", "DSC0042.JPG", "By the sea", ["New York", 7], "Canon", "EOS", ""))
    assert text == " dsc0042 jpg | 0042 | by the sea | ¥2015 ¥ete | ¤new ¤york | ¢canon ¢eos "
