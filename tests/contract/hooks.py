"""Values for the formats of ours that no JSON schema library knows."""

import base64
import uuid
from typing import Any

import schemathesis
from hypothesis import strategies as st


def encoded(text: str) -> str:
    """Return what tus writes for a text."""
    return base64.b64encode(text.encode()).decode()


@schemathesis.serializer("application/offset+octet-stream", "application/zip")
def piece(context: schemathesis.SerializationContext, value: Any) -> bytes:
    """Return the bytes of a piece, or of a file."""
    return value if isinstance(value, bytes) else str(value).encode()


MOMENTS = st.datetimes().map(lambda moment: moment.replace(microsecond=0).isoformat())
ZONES = st.sampled_from(["", "Z", "+02:00", "-09:30"])
DAYS = st.dates().map(lambda day: day.isoformat())

schemathesis.openapi.format("wall-clock", st.tuples(MOMENTS, ZONES).map("".join))
schemathesis.openapi.format("date-or-time", st.one_of(DAYS, MOMENTS, MOMENTS.map(lambda text: f"{text}Z")))
schemathesis.openapi.format("cursor", st.just(""))  # opaque: others come from answers alone
schemathesis.openapi.format("bucket", st.one_of(st.just("undated"), DAYS, DAYS.map(lambda text: text[:7])))
schemathesis.openapi.format(
    "time-zone", st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"])
)
schemathesis.openapi.format(
    "tus-metadata", st.just(f"filename {encoded('a.jpg')},library {encoded(str(uuid.uuid4()))}")
)
schemathesis.openapi.format("tus-checksum", st.just(f"sha1 {encoded('the digest of nothing')}"))
