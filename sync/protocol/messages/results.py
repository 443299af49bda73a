"""The reply to a push: what became of each mutation, and how the things are now."""

from dataclasses import dataclass
from enum import StrEnum

from ..limits import MOST_ROWS
from ..values import JsonValue, Reader, dump, load, time_text
from .rows import Row


class Status(StrEnum):
    """What became of a mutation. All of them acknowledge it: the device does not send it again."""

    APPLIED = "applied"
    """As sent."""
    MERGED = "merged"
    """Together with what others had changed meanwhile; `conflicts` names the fields that wait for a person."""
    FORKED = "forked"
    """What the device sent is in a copy, `target`; the thing itself stays as others made it."""
    NOOP = "noop"
    """It was so already."""
    EDIT_WINS = "edit_wins"
    """A deletion met an edit that it had not seen: the thing stays, or has come back."""
    REJECTED = "rejected"
    """Not applied; `reason` says why for programs, `detail` for people. The device keeps what was written."""
    MISSING_REF = "missing_ref"
    """Not applied: something that it refers to is not there. The device keeps what was written."""


GONE = "gone"
"""Reason of a rejection: the thing was deleted for good. The device sends it whole, as a `create`, and it comes back."""
MOST_RESULTS = 10_000


@dataclass(frozen=True)
class MutationResult:
    """What became of one mutation. Stored with the commit that applied it, so that a repeated push gets the same."""

    mid: int
    status: Status
    version: int | None = None
    target: str | None = None
    reason: str | None = None
    detail: str | None = None
    conflicts: tuple[str, ...] = ()

    def to_wire(self) -> dict[str, JsonValue]:
        """Return it as JSON; members without a value are left out."""
        wire: dict[str, JsonValue] = {"mid": self.mid, "status": self.status.value}
        if self.version is not None:
            wire["version"] = str(self.version)
        texts = {"target": self.target, "reason": self.reason, "detail": self.detail}
        wire.update({name: text for name, text in texts.items() if text is not None})
        if self.conflicts:
            wire["conflicts"] = list(self.conflicts)
        return wire

    @classmethod
    def read(cls, value: JsonValue) -> "MutationResult":
        """Return the result that `value` says. A status that this version does not know counts as rejected."""
        reader = Reader.of(value, "A result")
        mid, status = reader.integer("mid", 1), reader.text("status")
        known = status in {item.value for item in Status}
        return cls(
            mid,
            Status(status) if known else Status.REJECTED,
            reader.version("version") if reader.has("version") else None,
            reader.text("target") if reader.has("target") else None,
            (reader.text("reason") if reader.has("reason") else None) if known else status,
            reader.text("detail", 2000) if reader.has("detail") else None,
            reader.texts("conflicts", 100) if reader.has("conflicts") else (),
        )


@dataclass(frozen=True)
class PushReply:
    """`acked_through`: the last mid that counts. `rows`: current rows of the things of the batch; `gone`: ids not to be seen."""

    acked_through: int
    server_time_ms: int
    results: tuple[MutationResult, ...]
    rows: tuple[Row, ...] = ()
    gone: tuple[str, ...] = ()

    def to_wire(self) -> dict[str, JsonValue]:
        """Return it as JSON."""
        return {
            "ackedThrough": self.acked_through,
            "serverTime": time_text(self.server_time_ms),
            "results": [result.to_wire() for result in self.results],
            "rows": [row.to_wire() for row in self.rows],
            "gone": list(self.gone),
        }

    def to_json(self) -> str:
        """Return it as the body of a reply."""
        return dump(self.to_wire())

    @classmethod
    def from_json(cls, body: str | bytes) -> "PushReply":
        """Return what a server replied; Malformed if it cannot be read."""
        reader = load(body, "The reply to a push")
        return cls(
            reader.integer("ackedThrough"),
            reader.time_ms("serverTime"),
            tuple(MutationResult.read(value) for value in reader.items("results", MOST_RESULTS)),
            tuple(Row.read(value) for value in reader.items("rows", MOST_RESULTS + MOST_ROWS)),
            reader.texts("gone", MOST_RESULTS) if reader.has("gone") else (),
        )
