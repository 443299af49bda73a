"""How quick finished operations were, over time: what the charts show."""

from dataclasses import dataclass
from typing import Any

from accounts.models import User
from operations.kinds import KINDS

from .models import Operation, State

MOST_SHOWN = 300


@dataclass(frozen=True)
class History:
    """The finished operations of one kind, oldest first; `series` are the charts: title, unit, and a value for each."""

    kind: str
    label: str
    operations: list[Operation]
    series: list[dict[str, Any]]

    @property
    def chart(self) -> dict[str, Any]:
        """What the script draws: `times` in seconds since 1970, and the series."""
        times = [round(row.finished_at.timestamp()) for row in self.operations if row.finished_at]
        return {"times": times, "series": self.series}


def histories(user: User) -> list[History]:
    """Return the histories of the last 300 operations that `user` started and that were completed."""
    done = Operation.objects.visible_to(user).filter(state=State.COMPLETED, finished_at__isnull=False)
    rows = sorted(done.defer("checkpoint", "error_detail")[:MOST_SHOWN], key=lambda row: row.finished_at)  # type: ignore[arg-type, return-value]
    by_kind: dict[str, list[Operation]] = {}
    for row in rows:
        by_kind.setdefault(row.kind, []).append(row)
    return [_history(kind, of_kind) for kind, of_kind in sorted(by_kind.items())]


def _history(kind: str, rows: list[Operation]) -> History:
    known = KINDS.get(kind)
    series = [
        {"title": "Time", "unit": "s", "values": [round(row.seconds or 0.0, 2) for row in rows]},
        {"title": "Rate", "unit": f"{_unit(rows[-1])}/s", "values": [_rate(row) for row in rows]},
    ]
    if any(_number(row.metrics, "bytes_read") for row in rows):
        read = [_number(row.metrics, "bytes_read") / 1e6 / max(row.seconds or 0.0, 0.001) for row in rows]
        series.append({"title": "Read", "unit": "MB/s", "values": [round(value, 1) for value in read]})
    if any("cache_hits" in row.result for row in rows):
        series.append({"title": "Known already", "unit": "%", "values": [_hit_rate(row) for row in rows]})
    return History(kind, known.label if known else kind, rows, series)


def _rate(row: Operation) -> float:
    done = _number(row.result, "found") or row.done
    return round(done / max(row.seconds or 0.0, 0.001), 1)


def _unit(row: Operation) -> str:
    return "files" if "found" in row.result else row.unit


def _hit_rate(row: Operation) -> float | None:
    hits, misses = _number(row.result, "cache_hits"), _number(row.result, "cache_misses")
    return round(100 * hits / (hits + misses), 1) if hits + misses else None


def _number(values: Any, name: str) -> float:
    value = values.get(name) if isinstance(values, dict) else None
    return value if isinstance(value, int | float) else 0.0
