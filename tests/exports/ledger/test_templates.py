"""Templates: which folder and which name a photo gets."""

from datetime import datetime

import pytest

from exports.ledger.errors import InvalidRecord
from exports.ledger.templates import Template

FIELDS = frozenset({"album", "camera", "library", "original_name"})
TAKEN = datetime(2024, 5, 7)
VALUES = {"album": "Rome: a/b", "camera": "nul", "library": "CON.x", "original_name": "unused"}


@pytest.mark.parametrize(
    ("text", "folder", "filename"),
    [
        ("{year}/{month}/", "2024/05/", "IMG.1.jpg"),
        ("{year:06}-{month:01}-{day:03}", "002024-5-007/", "IMG.1.jpg"),
        ("{library}/{album}/{camera}", "_CON.x/Rome_ a_b/_nul/", "IMG.1.jpg"),
        ("{album}/{day}_{original_name}", "Rome_ a_b/", "07_IMG.1.jpg"),
        ("{original_name}/{year}", "unused/2024/", "IMG.1.jpg"),
        ("{year}/x {{{original_name}}}", "2024/", "x {IMG.1}.jpg"),
    ],
)
def test_folders_and_names(text: str, folder: str, filename: str) -> None:
    template = Template(text, FIELDS)
    assert template.folder(TAKEN, VALUES) == folder
    assert template.filename(TAKEN, VALUES, "IMG.1.jpg") == filename


@pytest.mark.parametrize(
    ("original", "filename"),
    [
        ("con.JPG", "_con.JPG"),
        ("a:b?\n.jpg", "a_b_.jpg"),
        ("\udcff.jpg", "_.jpg"),
        ("x" * 300 + ".jpeg", "x" * 250 + ".jpeg"),
        (".jpg", ".jpg"),
        ("é" * 130 + "." + "y" * 90, "é" * 107 + "." + "y" * 39),
    ],
)
def test_names_fit_any_disk(original: str, filename: str) -> None:
    found = Template("{year}/{original_name}", FIELDS).filename(TAKEN, VALUES, original)
    assert found == filename
    assert len(found.encode()) <= 255


@pytest.mark.parametrize(
    "text",
    ["{month:2}", "{month:0}", "{month:010}", "{month:x}", "{album:02}", "{owner}", "{year!r}", "{", "{original_name}"],
)
def test_what_is_no_template_is_refused_with_what_it_may_contain(text: str) -> None:
    with pytest.raises(InvalidRecord, match=r"it may contain \{album\}|no folder before"):
        Template(text, FIELDS)
