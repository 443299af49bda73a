"""What the schema says of the headers with which files are asked for and sent (RFC 9110)."""

from .schema import header

_SENT = [200, 206, 304]
LENGTH = {"type": "integer", "minimum": 0}


def _kind(name: str) -> dict[str, str]:
    return {"format": name}


CONDITIONS = [
    header(
        "If-None-Match", "ETags that the client has: 304 if one of them is the file's.", kind={"format": "entity-tags"}
    ),
    header(
        "If-Modified-Since",
        "304 if the file was not changed since; counts without If-None-Match only.",
        kind={"format": "http-date"},
    ),
    header(
        "Range",
        "`bytes=0-1023`: one range of the file; several, or another unit, get the whole file.",
        kind={"format": "byte-range"},
    ),
    header(
        "If-Range",
        "The range only if the file still has this ETag or date, else the whole file.",
        kind={"format": "entity-tag-or-http-date"},
    ),
    header("ETag", "Changes when the bytes do.", _SENT),
    header("Last-Modified", "When the file was changed last, where that is known.", _SENT),
    header("Accept-Ranges", "`bytes`.", _SENT),
    header("Cache-Control", "How long, and by whom, it may be kept.", _SENT, required=True),
    header("Content-Length", "Bytes that follow.", [200, 206], kind=LENGTH),
    header("Content-Disposition", "The file's name.", [200, 206]),
    header("Content-Range", "Which bytes of how many.", [206], required=True),
    header("Content-Range", "`bytes */` and how many there are.", [416]),
]
"""Those of a request that takes part in this, and of its answers."""
WHOLE = [one for one in CONDITIONS if one.name == "Accept-Ranges" or "Range" not in one.name]
"""The same where answers are always whole."""
