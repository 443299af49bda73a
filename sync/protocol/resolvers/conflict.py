"""One field, two values: what a resolver is given, and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from ..clock import Stamp
from ..limits import MOST_TEXT
from ..values import JsonValue


class Outcome(Enum):
    """What becomes of the field."""

    KEEP_LOCAL = "keep_local"
    KEEP_REMOTE = "keep_remote"
    MERGE = "merge"
    """`Decision.value`, which has both."""
    COPY = "copy"
    """The thing keeps the remote value; a copy of the thing gets the local one."""
    MANUAL = "manual"
    """The thing keeps the remote value until a person has decided between the two."""


@dataclass(frozen=True)
class Side:
    """A value, and when it was written; None for a value of which only a file spoke."""

    value: JsonValue
    stamp: Stamp | None


@dataclass(frozen=True)
class Conflict:
    """A field that both sides changed, to different values. `most_text` limits what a merge may grow to."""

    kind: str
    field: str
    local: Side
    remote: Side
    most_text: int = MOST_TEXT


@dataclass(frozen=True)
class Decision:
    """An outcome; `value` is meant for MERGE only."""

    outcome: Outcome
    value: JsonValue = None


Resolver = Callable[[Conflict], Decision]

KEEP_LOCAL = Decision(Outcome.KEEP_LOCAL)
KEEP_REMOTE = Decision(Outcome.KEEP_REMOTE)
COPY = Decision(Outcome.COPY)
MANUAL = Decision(Outcome.MANUAL)
