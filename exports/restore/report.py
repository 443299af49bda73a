"""What a restore would change, or changed: counts, the first differences, and all of them in a file. Pure."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

MOST_LISTED = 1_000
_LONGEST_SHOWN = 200


class Action(StrEnum):
    """What becomes of a thing of the backup."""

    CREATE = "create"
    UPDATE = "update"
    BRING_BACK = "bring_back"
    """It is in the trash here."""
    SAME = "same"
    KEEP = "keep"
    """What is here is newer."""
    TRASH = "trash"
    """The backup does not have it (replace)."""
    ONLY_HERE = "only_here"
    LEFT = "left"
    """It cannot be restored; the reason says why."""
    WAITING = "waiting"
    """Its photo is not here yet."""


CHANGES = frozenset({Action.CREATE, Action.UPDATE, Action.BRING_BACK, Action.TRASH})


@dataclass(frozen=True)
class Difference:
    """One thing: what becomes of it, and for each field that differs what is here and what the backup says."""

    kind: str
    id: str
    action: Action
    name: str = ""
    fields: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as the report has it; long values are shortened there."""
        wins = "here" if self.action is Action.KEEP else "backup"
        fields = {
            name: {"here": _shown(here), "backup": _shown(there), "wins": wins}
            for name, (here, there) in self.fields.items()
        }
        line = {"kind": self.kind, "id": self.id, "action": str(self.action), "name": self.name[:_LONGEST_SHOWN]}
        return {**line, "fields": fields, "reason": self.reason}


class Report:
    """Takes differences one by one; what is the same on both sides is only counted. A context manager, for its file."""

    def __init__(self, path: Path) -> None:
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.listed: list[dict[str, Any]] = []
        self.difference_count = 0
        self._path = path
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("w", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._file is not None
        self._file.close()

    def add(self, difference: Difference) -> None:
        """Count it, and note it unless both sides are the same."""
        self.counts[difference.kind][difference.action] += 1
        if difference.action is Action.SAME:
            return
        self.difference_count += 1
        line = difference.as_json()
        if len(self.listed) < MOST_LISTED:
            self.listed.append(line)
        assert self._file is not None
        self._file.write(json.dumps(line, ensure_ascii=True) + "\n")

    @property
    def change_count(self) -> int:
        """How many things are made, changed or moved to the trash."""
        return sum(count for of_kind in self.counts.values() for action, count in of_kind.items() if action in CHANGES)

    def counts_json(self) -> dict[str, dict[str, int]]:
        """Return the counts by kind and action, in a fixed order."""
        return {kind: {str(name): self.counts[kind][name] for name in Action if self.counts[kind][name]}
                for kind in sorted(self.counts)}  # fmt: skip


def _shown(value: Any) -> Any:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    if len(text) <= _LONGEST_SHOWN:
        return value if isinstance(value, str | int | float | bool | None) else text
    return text[:_LONGEST_SHOWN] + "…"
