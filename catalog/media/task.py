"""Jobs and their state in the pool."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from catalog.media.results import DigestResult, PreviewResult, SurveyResult

AnyResult = SurveyResult | DigestResult | PreviewResult


@dataclass(slots=True)
class Job:
    """One file for the pool. Opening happens in the parent, everything else in a child."""

    key: Any
    """The caller's own, never looked at."""
    name: str
    """File name, read for a date only."""
    open: Callable[[], int]
    """Returns a read-only descriptor, which the pool closes; an OSError becomes the result's problem."""
    params: dict[str, Any] = field(default_factory=dict)
    """`zone` (name), `mtime_ns`, `size_bytes`."""
    sidecars: dict[str, Callable[[], int]] = field(default_factory=dict)
    """Openers of the files beside it: `xmp`, `takeout`."""


@dataclass(slots=True)
class Task:
    job: Job
    result: AnyResult
    crashes: int = 0
    timeouts: int = 0
    has_facts: bool = False
    is_alone: bool = False
    wants_fresh: bool = False
    """It failed in a process that held much already: its next one must have done nothing before."""
