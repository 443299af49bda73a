"""Read XMP packets, embedded or beside the photo, with a parser that follows no entity and no link."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, TypeVar
from xml.etree.ElementTree import Element, ParseError

from catalog.media.exif import tidy

LONGEST_PACKET_BYTES = 2 * 1024 * 1024
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_SUBJECT = "{http://purl.org/dc/elements/1.1/}subject"
_MOST_ELEMENTS = 20_000
_PREFIXES = {
    "http://ns.adobe.com/xap/1.0/": "xmp",
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://cipa.jp/exif/1.0/": "exifEX",
    "http://ns.adobe.com/exif/1.0/aux/": "aux",
    "http://ns.adobe.com/tiff/1.0/": "tiff",
    "http://ns.adobe.com/photoshop/1.0/": "photoshop",
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://ns.microsoft.com/photo/1.0": "MicrosoftPhoto",
    "http://ns.microsoft.com/photo/1.0/": "MicrosoftPhoto",
    "http://www.digikam.org/ns/1.0/": "digiKam",
    "http://ns.adobe.com/lightroom/1.0/": "lr",
    "http://ns.acdsee.com/iptc/1.0/": "acdsee",
    "http://ns.google.com/photos/1.0/camera/": "GCamera",
}

_WIDE = (
    ("utf-32-le", re.compile(rb"(?:\xff\xfe\0\0)?<\0\0\0")),
    ("utf-32-be", re.compile(rb"(?:\0\0\xfe\xff)?\0\0\0<\0")),
    ("utf-16-le", re.compile(rb"(?:\xff\xfe)?<\0")),
    ("utf-16-be", re.compile(rb"(?:\xfe\xff)?\0<\0")),
)
"""How documents begin in the encodings with wide characters, with or without a mark before it."""

Properties = dict[str, Any]
_Text = TypeVar("_Text", str, bytes)


class BadXmp(ValueError):
    """The packet is no XMP that can be read; the message says why."""


def read_xmp(packet: bytes) -> Properties:
    """Return the properties of an XMP packet, `prefix:name` -> text or list of texts. Raises BadXmp."""
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    if len(packet) > LONGEST_PACKET_BYTES:
        raise BadXmp("it is larger than 2 MiB")
    if not packet.strip(b"\0 \r\n\t"):
        raise BadXmp("it is empty")
    document = _document_in(packet)
    try:
        try:
            root = fromstring(document, forbid_dtd=True)
        except ParseError:
            if not isinstance(document, bytes) or _is_utf8(document):
                raise
            root = fromstring(document.decode("cp1252", "replace"), forbid_dtd=True)
    except DefusedXmlException as error:
        raise BadXmp("it declares entities, which are never followed") from error
    except (ParseError, ValueError, LookupError, RecursionError) as error:
        raise BadXmp("it is no well-formed XML") from error
    found: Properties = {}
    for description in islice(_descriptions(root), 200):
        for name, value in description.attrib.items():
            _keep(found, name, value)
        for child in list(description)[:_MOST_ELEMENTS]:
            _keep(found, child.tag, _value(child))
    return found


def _descriptions(root: Element) -> Iterator[Element]:
    """Yield what is said of the photo itself: descriptions within these are of other pictures, and of what was done."""
    top = next(root.iter(f"{_RDF}RDF"), None)
    if top is None:
        yield from (root,) if root.tag == f"{_RDF}Description" else root.findall(f"{_RDF}Description")
        return
    yield from top.findall(f"{_RDF}Description")


def _document_in(packet: bytes) -> bytes | str:
    """Return the document in `packet`, without what stands before it and behind its end."""
    for encoding, beginning in _WIDE if b"\0" in packet[:4] else ():
        if beginning.match(packet):
            text = packet.decode(encoding, "ignore")
            return text[text.find("<") : _end_of(text, "<?xpacket end", "?>", ">")]
    end = _end_of(packet, b"<?xpacket end", b"?>", b">")
    return packet[max(packet.find(b"<"), 0) : end]


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _end_of(packet: _Text, ending: _Text, mark: _Text, last: _Text) -> int:
    """Return where the document ends: behind its `ending`, which is an instruction up to `mark`, or else behind its `last`."""
    ends = packet.find(ending)
    at = packet.find(mark, ends) if ends >= 0 else -1
    return at + len(mark) if at >= 0 else packet.rfind(last) + 1


def _keep(found: Properties, name: str, value: Any) -> None:
    if not name.startswith("{") or not value:
        return
    namespace, _, local = name[1:].partition("}")
    prefix = _PREFIXES.get(namespace)
    if prefix:
        found.setdefault(f"{prefix}:{local}", value)


def _value(element: Any) -> Any:
    for container in element:
        if container.tag in (f"{_RDF}Seq", f"{_RDF}Bag", f"{_RDF}Alt"):
            items: list[str] = []
            is_empty = False
            for item in list(container)[:5000]:
                text = tidy(_text_in(item))
                language = item.get("{http://www.w3.org/XML/1998/namespace}lang", "")
                if text and language == "x-default":
                    items.insert(0, text)
                elif text:
                    items.append(text)
                else:
                    is_empty |= language == "x-default" or element.tag == _SUBJECT
            # An empty default text is a statement, too: who takes a caption away says so by it, and keywords likewise.
            return items or ([""] if is_empty else [])
    return tidy(_text_in(element))


def _text_in(element: Element) -> str:
    """Return an element's text, also where something is said about it and it stands in a value of its own."""
    for path in (f"{_RDF}value", f"{_RDF}Description/{_RDF}value") if len(element) else ():
        if (value := element.find(path)) is not None:
            return value.text or ""
    return element.text or ""


def text_of(properties: Properties, *names: str) -> str:
    """Return the first non-empty value among `names`, a list's first item."""
    for name in names:
        value = properties.get(name, "")
        if isinstance(value, list):
            value = value[0] if value else ""
        if value:
            return str(value)
    return ""


def list_of(properties: Properties, *names: str) -> list[str]:
    """Return the first non-empty list among `names`; a single text counts as a list of one."""
    for name in names:
        value = properties.get(name)
        if value:
            return value if isinstance(value, list) else [value]
    return []
