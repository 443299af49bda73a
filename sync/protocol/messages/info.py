"""What a server says of itself: its time, its epoch, and the scopes and kinds that the asking device may see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .. import limits
from ..ordering import depths
from ..problems import Malformed
from ..values import JsonValue, Reader, dump, load, time_text


@dataclass(frozen=True)
class Limits:
    """Most mutations and bytes in a push, most rows in a page."""

    mutations: int = limits.MOST_MUTATIONS
    bytes: int = limits.MOST_BYTES
    rows: int = limits.MOST_ROWS


@dataclass(frozen=True)
class ScopeInfo:
    """A scope that one may see: `library:<uuid>`, `album:<uuid>` or `user:<uuid>`, and its newest version."""

    scope: str
    version: int
    role: str = ""

    def to_wire(self) -> dict[str, JsonValue]:
        """Return it as JSON."""
        return {"scope": self.scope, "version": str(self.version), "role": self.role}


@dataclass(frozen=True)
class EndedScope:
    """A scope that one could see until `ended_ms`, and may see no more."""

    scope: str
    ended_ms: int

    def to_wire(self) -> dict[str, JsonValue]:
        """Return it as JSON."""
        return {"scope": self.scope, "endedAt": time_text(self.ended_ms)}


@dataclass(frozen=True)
class FieldInfo:
    """A field of a kind: the resolver of its conflicts, and whether devices may write it."""

    name: str
    resolver: str = "last_writer"
    writable: bool = True


@dataclass(frozen=True)
class KindInfo:
    """A kind of things: `scope` is the sort of scope that it is at home in ("library", "album", "user")."""

    name: str
    scope: str
    parents: tuple[str, ...] = ()
    fields: tuple[FieldInfo, ...] = ()

    def to_wire(self) -> dict[str, JsonValue]:
        """Return it as JSON."""
        fields: list[JsonValue] = [
            {"name": field.name, "resolver": field.resolver, "writable": field.writable} for field in self.fields
        ]
        return {"name": self.name, "scope": self.scope, "parents": list(self.parents), "fields": fields}

    @property
    def writable(self) -> frozenset[str]:
        """Names of the fields that devices may write."""
        return frozenset(field.name for field in self.fields if field.writable)


def parents_of(kinds: Sequence[KindInfo]) -> Mapping[str, Sequence[str]]:
    """Return the parents of each kind, for `ordering`."""
    return {kind.name: kind.parents for kind in kinds}


@dataclass(frozen=True)
class Info:
    """`acked_through`: the last mid of this device that counts, 0 for one that has pushed nothing in this epoch."""

    server_id: str
    user_id: str
    device_id: str
    server_time_ms: int
    epoch: int
    acked_through: int
    scopes: tuple[ScopeInfo, ...]
    ended: tuple[EndedScope, ...] = ()
    kinds: tuple[KindInfo, ...] = ()
    limits: Limits = Limits()

    def to_wire(self) -> dict[str, JsonValue]:
        """Return it as JSON."""
        return {
            "serverId": self.server_id,
            "userId": self.user_id,
            "deviceId": self.device_id,
            "serverTime": time_text(self.server_time_ms),
            "epoch": self.epoch,
            "ackedThrough": self.acked_through,
            "scopes": [scope.to_wire() for scope in self.scopes],
            "ended": [scope.to_wire() for scope in self.ended],
            "kinds": [kind.to_wire() for kind in self.kinds],
            "limits": {"mutations": self.limits.mutations, "bytes": self.limits.bytes, "rows": self.limits.rows},
        }

    def to_json(self) -> str:
        """Return it as the body of a reply."""
        return dump(self.to_wire())

    @classmethod
    def from_json(cls, body: str | bytes) -> "Info":
        """Return what a server replied; Malformed if it cannot be read."""
        reader = load(body, "The server's info")
        kinds = tuple(_kind(value) for value in reader.items("kinds", 1000))
        try:
            depths(parents_of(kinds))
        except ValueError as error:
            raise Malformed(f"The server's info: {error}") from None
        return cls(
            reader.text("serverId"),
            reader.text("userId"),
            reader.uuid("deviceId"),
            reader.time_ms("serverTime"),
            reader.integer("epoch"),
            reader.integer("ackedThrough"),
            tuple(_scope(value) for value in reader.items("scopes", 1_000_000)),
            tuple(_ended(value) for value in reader.items("ended", 1_000_000)) if reader.has("ended") else (),
            kinds,
            _limits(reader.members("limits")) if reader.has("limits") else Limits(),
        )


def _scope(value: JsonValue) -> ScopeInfo:
    reader = Reader.of(value, "A scope")
    scope, version = reader.text("scope"), reader.version("version")
    return ScopeInfo(scope, version, reader.text("role", least=0) if reader.has("role") else "")


def _ended(value: JsonValue) -> EndedScope:
    reader = Reader.of(value, "An ended scope")
    return EndedScope(reader.text("scope"), reader.time_ms("endedAt"))


def _kind(value: JsonValue) -> KindInfo:
    reader = Reader.of(value, "A kind")
    name, scope, parents = reader.text("name"), reader.text("scope"), reader.texts("parents", 100)
    return KindInfo(name, scope, parents, tuple(_field(field, name) for field in reader.items("fields", 1000)))


def _field(value: JsonValue, kind: str) -> FieldInfo:
    reader = Reader.of(value, f"A field of {kind}")
    name = reader.text("name")
    resolver = reader.text("resolver") if reader.has("resolver") else "last_writer"
    return FieldInfo(name, resolver, reader.flag("writable"))


def _limits(members: dict[str, JsonValue]) -> Limits:
    reader = Reader(members, "The limits")
    default = Limits()
    return Limits(
        reader.integer("mutations", 1) if reader.has("mutations") else default.mutations,
        reader.integer("bytes", 1) if reader.has("bytes") else default.bytes,
        reader.integer("rows", 1) if reader.has("rows") else default.rows,
    )
