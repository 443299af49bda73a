"""What an import of a catalog export changes, or would change, as its result tells it."""

from dataclasses import dataclass, field

from .matching import printable

MOST_CHANGES = 200
_LONGEST_SHOWN = 300


@dataclass
class Changes:
    """What is new: a count, and the first of it."""

    count: int = 0
    listed: list[dict[str, str]] = field(default_factory=list)

    def add(self, path: str, what: str, before: str, after: str) -> None:
        """Note that `what` of a photo or an album becomes `after`; long texts are shown in part."""
        self.count += 1
        if len(self.listed) < MOST_CHANGES:
            self.listed.append({"path": path, "field": what, "before": _shown(before), "after": _shown(after)})


def _shown(text: str) -> str:
    return printable(text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…")
