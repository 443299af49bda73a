"""A push: the edits of one device, numbered without gaps, in the order in which they are to be applied."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

from ..clock import Stamp
from ..limits import MOST_BYTES, MOST_MUTATIONS
from ..problems import Malformed, TooLarge
from ..values import JsonObject, JsonValue, Reader, dump, load


class Op(StrEnum):
    """What an edit does. `create` of a thing that exists is a patch with all its fields: two devices may make the same thing."""

    CREATE = "create"
    PATCH = "patch"
    DELETE = "delete"


@dataclass(frozen=True)
class Base:
    """What the author of an edit had seen: `version` of the thing, and the results of the device's own edits up to `mid`.

    A thing that the device made and that still waits has no version; one without edits on their way has no mid.
    """

    version: int | None = None
    mid: int | None = None

    def to_wire(self) -> dict[str, JsonValue]:
        """Return it as JSON."""
        wire: dict[str, JsonValue] = {}
        if self.version is not None:
            wire["version"] = str(self.version)
        if self.mid is not None:
            wire["mid"] = self.mid
        return wire

    @classmethod
    def read(cls, value: JsonValue, what: str) -> "Base":
        """Return the base that `value` says; Malformed if it is none."""
        reader = Reader.of(value, f"{what}: `base`")
        version = reader.version("version") if reader.has("version") else None
        mid = reader.integer("mid", 1) if reader.has("mid") else None
        reader.refuse_unknown()
        if version is None and mid is None:
            raise Malformed(f"{what}: `base` must name a version, a mid, or both.")
        return cls(version, mid)


@dataclass(frozen=True)
class Mutation:
    """One edit of one thing. `base` is None only for a thing that the device made and the server has never shown it."""

    mid: int
    type: str
    id: str
    op: Op
    base: Base | None
    hlc: Stamp
    fields: JsonObject = field(default_factory=dict)

    def to_wire(self) -> dict[str, JsonValue]:
        """Return it as JSON."""
        wire: dict[str, JsonValue] = {"mid": self.mid, "type": self.type, "id": self.id, "op": self.op.value}
        if self.base is not None:
            wire["base"] = self.base.to_wire()
        wire["hlc"] = str(self.hlc)
        if self.op is not Op.DELETE:
            wire["fields"] = dict(self.fields)
        return wire

    @property
    def digest(self) -> str:
        """SHA-256 of all that it says, by which a server notices a mid that is used for something else."""
        return hashlib.sha256(dump(self.to_wire()).encode("utf-8", "surrogatepass")).hexdigest()

    @classmethod
    def read(cls, reader: Reader, mid: int, what: str) -> "Mutation":
        """Return the mutation whose `mid` has been taken from `reader`; Malformed if it is none."""
        kind, id = reader.name("type"), reader.uuid("id")
        op = _op(reader.text("op"), what)
        base = Base.read(reader.members("base"), what) if reader.has("base") else None
        reader.skip("base")
        stamp = reader.stamp("hlc")
        fields: dict[str, JsonValue] = {}
        if op is not Op.DELETE:
            fields = reader.members("fields")
        reader.refuse_unknown()
        if op is not Op.CREATE and base is None:
            raise Malformed(f"{what}: `base` is missing. Only a thing that the device makes has none.")
        if base is not None and base.mid is not None and base.mid >= mid:
            raise Malformed(f"{what}: `base` names mid {base.mid}, which does not come before {mid}.")
        return cls(mid, kind, id, op, base, stamp, fields)


@dataclass(frozen=True)
class Unreadable:
    """A mutation with a mid, but with content that no server can read: rejected with this sentence, the others are applied."""

    mid: int
    sentence: str
    digest: str


@dataclass(frozen=True)
class PushRequest:
    """The next mutations of a device. `pending` says how many of each kind wait on it, this batch included."""

    device_id: str
    epoch: int
    mutations: tuple[Mutation | Unreadable, ...]
    pending: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return it as the body of a request. Unreadable mutations cannot be sent."""
        wire: dict[str, JsonValue] = {
            "deviceId": self.device_id,
            "epoch": self.epoch,
            "mutations": [item.to_wire() for item in self.mutations if isinstance(item, Mutation)],
            "pending": dict(self.pending),
        }
        return dump(wire)

    @classmethod
    def from_json(cls, body: str | bytes) -> "PushRequest":
        """Return what a device sent. TooLarge or Malformed if the whole of it is refused.

        A mutation that cannot be read is Unreadable and leaves the others alone, as long as its mid can be.
        """
        size_bytes = len(body) if isinstance(body, bytes) else len(body.encode("utf-8", "surrogatepass"))
        if size_bytes > MOST_BYTES:
            raise TooLarge(
                f"The push has {size_bytes:,} bytes; the limit is {MOST_BYTES:,}. Send fewer mutations at once."
            )
        reader = load(body, "The push")
        device_id, epoch = reader.uuid("deviceId"), reader.integer("epoch")
        if not reader.has("mutations"):
            raise Malformed("The push: `mutations` must be a list.")
        items = reader.items("mutations", 2**31)
        pending = reader.members("pending") if reader.has("pending") else {}
        reader.skip("pending")
        reader.refuse_unknown()
        if len(items) > MOST_MUTATIONS:
            raise TooLarge(f"The push has {len(items):,} mutations; the limit is {MOST_MUTATIONS}. Send fewer at once.")
        mutations = tuple(_read(item, f"mutation {place}") for place, item in enumerate(items, 1))
        for before, after in pairwise(mutations):
            if after.mid != before.mid + 1:
                raise Malformed(f"Mutation {after.mid} follows {before.mid}: number them one by one, in order.")
        return cls(device_id, epoch, mutations, _counts(pending))


def _read(value: JsonValue, what: str) -> Mutation | Unreadable:
    reader = Reader.of(value, what)
    mid = reader.integer("mid", 1)
    try:
        return Mutation.read(reader, mid, what)
    except Malformed as problem:
        digest = hashlib.sha256(dump(value).encode("utf-8", "surrogatepass")).hexdigest()
        return Unreadable(mid, problem.sentence, digest)


def _op(text: str, what: str) -> Op:
    try:
        return Op(text)
    except ValueError:
        raise Malformed(f"{what}: `op` must be create, patch or delete.") from None


def _counts(pending: Mapping[str, JsonValue]) -> dict[str, int]:
    counts = {}
    for name, count in pending.items():
        if not isinstance(count, int) or isinstance(count, bool) or count < 0 or len(name) > 64 or len(pending) > 100:
            raise Malformed("The push: `pending` must give a count for each kind.")
        counts[name] = count
    return counts
