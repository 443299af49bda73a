"""A file to be written as the catalog knows it, and its proven new version that waits to take its place."""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from catalog.media.file_changes import FileChange, KeywordChange
from catalog.media.results import DigestResult
from catalog.media.rewriting import Rewritten
from catalog.sources.hidden import HiddenVersions
from catalog.sources.new_files import NewFile
from catalog.sources.replacing import Replacement
from photolala.lib.paths import join_path


@dataclass(frozen=True, slots=True)
class Way:
    """What leads from one version of a file to the bytes of an earlier one: `md5`, which says `said`."""

    delta: bytes
    md5: str
    said: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Task:
    """One file to be written, as the catalog knows it. `family` names all tries of the same write, `claim` this one."""

    family: str
    claim: int
    directory: str
    filename: str
    size_bytes: int
    mtime_ns: int
    photo_md5: str
    zone: str
    change: FileChange
    is_sidecar: bool = False
    keep_mtime: bool = False
    way: Way | None = None
    """What leads from the present version to an earlier one."""
    is_way_wanted: bool = False
    """That earlier version says what is wanted; else the new version's undo delta should lead there."""

    @property
    def token(self) -> str:
        """What the hidden names of this try carry."""
        return f"{self.family}{self.claim}"

    @property
    def path(self) -> str:
        """Where the file lies, relative to the root."""
        return join_path(self.directory, self.filename)

    def keeping(self, old: DigestResult) -> "Task":
        """Return the task that leaves in the file, of which `old` are the facts, the keywords that nobody took away."""
        return replace(self, change=self.change.keeping(old)) if isinstance(self.change, KeywordChange) else self


@dataclass(frozen=True, slots=True)
class SidecarVersion:
    """A new XMP file that waits to take its place; MD5s of the bytes there now ("" for none) and then."""

    place: Replacement | NewFile
    old_md5: str
    new_md5: str
    others: list[str] = field(default_factory=list)
    """Names of other photos for which it speaks, too."""


@dataclass(slots=True)
class Prepared:
    """A new version that waits to take its place, or `rewritten` None if the file says already what it should."""

    task: Task
    old: DigestResult
    replacement: Replacement | None = None
    rewritten: Rewritten | None = None
    sidecar: SidecarVersion | None = None
    undo_delta: bytes | None = None
    way: Way | None = None
    """`undo_delta` leads where this leads; None: to the version that lay there before."""
    sidecars: str | None = None
    """The signature of the sidecars if one was written."""
    is_recovered: bool = False
    """A writer that died put the new version into its place; `old` are its facts."""
    leftover: HiddenVersions | None = None
    """What that writer left, until the catalog is told."""
    old_md5: str = ""
    old_rating: int = 0
    """What the file itself said before, of no rating 0."""
    rating_before: int = 0
    """What counted before: the file's own stars, or its sidecar's."""
    old_date: dict[str, Any] = field(default_factory=dict)
    """The date that the file itself said before (`date_said`)."""
    old_caption: str = ""
    """The caption before: the file's own or, if it had none, that of a sidecar."""
    caption_before: str = ""
    """The one that counted before: where they are written into XMP files, those go first."""
    old_keywords: list[str] = field(default_factory=list)
    """The keywords that the file itself said before."""
    keywords_before: list[str] = field(default_factory=list)
    """Those that counted before: where they are written into XMP files, those go first."""
    old_place: list[float] | None = None
    """The place that the file itself said before."""
    place_before: list[float] | None = None
    """The one that counted before, likewise."""
    beside: dict[str, Any] = field(default_factory=dict)
    """What an XMP file said before that is written along: `{"sidecar": …}`, its caption, keywords, place or date."""
    is_unclear: bool = False
    """It is not known which version lies in its place: the next writer finds out."""
    is_told: bool = False
    """The catalog knows of it."""

    @property
    def is_other(self) -> bool:
        """True if the version that was recovered says something else than what is wanted by now."""
        return self.is_recovered and not self.task.change.is_done(self.old)

    def swap(self) -> None:
        """Let the new versions take their places. Raises OSError."""
        if self.sidecar:
            self.sidecar.place.swap()
        if self.replacement:
            self.replacement.swap()

    def swap_back(self) -> None:
        """Put the old versions back into their places where that can be done; else this `is_unclear`."""
        places = [self.replacement, self.sidecar.place if self.sidecar else None]
        for place in [place for place in places if place]:
            with suppress(OSError):
                place.swap_back()
            self.is_unclear |= place.is_in_place

    def close(self) -> None:
        """Remove what is left beside the file; what a new version has displaced only when the catalog has been told."""
        for place in (self.replacement, self.sidecar.place if self.sidecar else None):
            if place:
                place.leave() if place.is_in_place and not self.is_told else place.close()
        if self.leftover:
            self.leftover.close() if self.is_told else self.leftover.leave()
