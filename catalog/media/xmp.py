"""Read XMP packets, embedded or beside the photo, with a parser that follows no entity and no link."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import ParseError

from catalog.media.exif import tidy

LONGEST_PACKET_BYTES = 2 * 1024 * 1024
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
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
    "http://ns.google.com/photos/1.0/camera/": "GCamera",
}

Properties = dict[str, Any]


class BadXmp(ValueError):
    """The packet is no XMP that can be read; the message says why."""


def read_xmp(packet: bytes) -> Properties:
    """Return the properties of an XMP packet, `prefix:name` -> text or list of texts. Raises BadXmp."""
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    if len(packet) > LONGEST_PACKET_BYTES:
        raise BadXmp("it is larger than 2 MiB")
    packet = packet.strip(b"\0 \r\n\t") if packet[:2] not in (b"\xff\xfe", b"\xfe\xff") else packet
    if not packet:
        raise BadXmp("it is empty")
    try:
        root = fromstring(packet, forbid_dtd=True)
    except DefusedXmlException as error:
        raise BadXmp("it declares entities, which are never followed") from error
    except (ParseError, ValueError, LookupError, RecursionError) as error:
        raise BadXmp("it is no well-formed XML") from error
    found: Properties = {}
    for count, description in enumerate(root.iter(f"{_RDF}Description")):
        if count > 200:
            break
        for name, value in description.attrib.items():
            _keep(found, name, value)
        for child in list(description)[:_MOST_ELEMENTS]:
            _keep(found, child.tag, _value(child))
    return found


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
                text = tidy(item.text or "")
                language = item.get("{http://www.w3.org/XML/1998/namespace}lang", "")
                if text and language == "x-default":
                    items.insert(0, text)
                elif text:
                    items.append(text)
                else:
                    is_empty |= language == "x-default"
            # An empty default text is a statement, too: who takes a caption away says so by it.
            return items or ([""] if is_empty else [])
    return tidy(element.text or "")


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
