"""Pulling: pages of changes since a cursor, and digests by which a device proves that it has them all."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..digest import KindDigest
from ..limits import MOST_ROWS
from ..problems import Malformed
from ..values import JsonValue, Reader, dump, load
from .rows import Row


@dataclass(frozen=True)
class ChangesRequest:
    """Rows of `scope` after `cursor` ("" is the beginning), of these kinds (empty: all)."""

    scope: str
    cursor: str = ""
    types: tuple[str, ...] = ()
    limit: int = MOST_ROWS

    def to_query(self) -> dict[str, str]:
        """Return it as the parameters of a GET."""
        query = {"scope": self.scope, "cursor": self.cursor, "types": ",".join(self.types), "limit": str(self.limit)}
        return {name: value for name, value in query.items() if value}


@dataclass(frozen=True)
class ChangesReply:
    """A page of rows, each once, ascending by version. `cursor` asks for what comes after them; opaque to devices.

    `since` repeats the cursor of the request, so that a device notices a reply to another request. None: not said.
    """

    scope: str
    changes: tuple[Row, ...]
    cursor: str
    has_more: bool
    since: str | None = None

    def to_wire(self) -> dict[str, JsonValue]:
        """Return it as JSON."""
        said: dict[str, JsonValue] = {} if self.since is None else {"since": self.since}
        return said | {
            "scope": self.scope,
            "changes": [row.to_wire() for row in self.changes],
            "cursor": self.cursor,
            "hasMore": self.has_more,
        }

    def to_json(self) -> str:
        """Return it as the body of a reply."""
        return dump(self.to_wire())

    @classmethod
    def from_json(cls, body: str | bytes, scope: str) -> "ChangesReply":
        """Return what a server replied when asked for `scope`; Malformed if it cannot be read or is about another scope."""
        reader = load(body, "The page of changes")
        if reader.has("scope") and reader.text("scope") != scope:
            raise Malformed(f"The page of changes is not about {scope}.")
        rows = tuple(Row.read(value, scope) for value in reader.items("changes", MOST_ROWS))
        if any(row.scope != scope for row in rows):
            raise Malformed(f"The page of changes has rows that are not of {scope}.")
        since = reader.text("since", 1000, least=0) if reader.has("since") else None
        return cls(scope, rows, reader.text("cursor", 1000), reader.flag("hasMore"), since)


@dataclass(frozen=True)
class DigestReply:
    """Count and sum for each kind of `scope`, over rows that are not deleted, at `version` of the scope."""

    scope: str
    version: int
    kinds: Mapping[str, KindDigest]

    def to_wire(self) -> dict[str, JsonValue]:
        """Return it as JSON. The sum is decimal text, because it exceeds 2^53."""
        kinds: dict[str, JsonValue] = {
            name: {"count": kind.count, "sum": str(kind.total)} for name, kind in sorted(self.kinds.items())
        }
        return {"scope": self.scope, "version": str(self.version), "types": kinds}

    def to_json(self) -> str:
        """Return it as the body of a reply."""
        return dump(self.to_wire())

    @classmethod
    def from_json(cls, body: str | bytes) -> "DigestReply":
        """Return what a server replied; Malformed if it cannot be read."""
        reader = load(body, "The digest")
        scope, version, kinds = reader.text("scope"), reader.version("version"), reader.members("types")
        return cls(scope, version, {name: _kind(value, name) for name, value in kinds.items()})


def _kind(value: JsonValue, name: str) -> KindDigest:
    reader = Reader.of(value, f"The digest of {name}")
    count, total = reader.integer("count"), reader.text("sum", 20)
    if not total.isascii() or not total.isdecimal() or int(total) >= 2**64:
        raise Malformed(f"The digest of {name}: `sum` must be decimal digits below 2^64.")
    return KindDigest(count, int(total))
