"""XMP as other programs write it: the forms that RDF allows, places in other notations, and what speaks of other pictures."""

from __future__ import annotations

import pytest

from catalog.media.positions import xmp_degrees
from catalog.media.sidecars import read_xmp_sidecar
from tests.catalog.media.photos import xmp_packet

_OTHER = 'rdf:about="other" xmp:Rating="5" exif:DateTimeOriginal="1999-01-01" exif:GPSLatitude="1,0N" exif:GPSLongitude="2,0E"'


def test_what_is_said_of_other_pictures_is_not_said_of_this_one() -> None:
    """As Photoshop's xmpMM:Pantry does, which holds the whole XMP of each picture that was put in."""
    pantry = f'<dc:relation><rdf:Bag><rdf:li><rdf:Description {_OTHER} dc:description="Other"/></rdf:li></rdf:Bag></dc:relation>'
    alone = read_xmp_sidecar(xmp_packet("", pantry))
    assert (alone.candidates, alone.words.place, alone.words.caption, alone.words.rating) == ([], None, "", None)
    own = read_xmp_sidecar(xmp_packet("", f"{pantry}<xmp:Rating>2</xmp:Rating>"))
    assert own.words.rating == 2


@pytest.mark.parametrize(
    "elements",
    [
        '<xmp:Rating rdf:parseType="Resource"><rdf:value>3</rdf:value></xmp:Rating>',
        "<xmp:Rating><rdf:Description><rdf:value>3</rdf:value></rdf:Description></xmp:Rating>",
    ],
)
def test_values_of_which_something_is_said(elements: str) -> None:
    first = '<rdf:li rdf:parseType="Resource"><rdf:value>a</rdf:value></rdf:li>'
    subject = f"<dc:subject><rdf:Bag>{first}<rdf:li>b</rdf:li></rdf:Bag></dc:subject>"
    words = read_xmp_sidecar(xmp_packet("", elements + subject)).words
    assert (words.rating, words.keywords) == (3, ["a", "b"])


@pytest.mark.parametrize(
    ("text", "reference", "degrees"),
    [
        ("48,51.5N", "", 48.858333),
        ("48,51,30S", "", -48.858333),
        ("48,51.5s", "", -48.858333),
        ("48.8583", "", 48.8583),
        ("-48.8583", "", -48.8583),
        ("48.8583 S", "", -48.8583),
        ("48,51.5", "South", -48.858333),
        ("48.8583E", "", None),  # no latitude
        ("48,8583", "", None),  # minutes, or a decimal comma
        ("", "", None),
        ("north", "", None),
    ],
)
def test_degrees(text: str, reference: str, degrees: float | None) -> None:
    read = xmp_degrees(text, reference, "NS")
    assert read == (degrees if degrees is None else pytest.approx(degrees, abs=1e-6))
