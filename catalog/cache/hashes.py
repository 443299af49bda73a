"""What the hash cache holds and how well it serves, and the removal of rows whose files are gone."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from catalog.models import HashCache, Library, Photo
from operations.models import Operation, State
from operations.progress import Progress, quietly

BATCH = 500
SCANS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class ScanHits:
    """How many files one scan knew already (hits; of those `from_memory`), and how many it had to read (misses)."""

    operation: str
    library: str
    finished_at: str
    hits: int
    misses: int
    from_memory: int
    hit_rate: float | None


@dataclass(slots=True)
class HashCacheStats:
    """Rows by library, and the hit rate of all finished scans and of the latest ones, newest first."""

    rows: int
    libraries: list[dict[str, Any]]
    scan_count: int = 0
    hits: int = 0
    misses: int = 0
    from_memory: int = 0
    hit_rate: float | None = None
    scans: list[ScanHits] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return what `hashcache stats --json` prints."""
        return asdict(self)


def hash_cache_stats(*, scans_shown: int = SCANS_SHOWN) -> HashCacheStats:
    """Count the rows of each library, and sum up what the finished scans found known and unknown."""
    counts = dict(HashCache.objects.order_by().values_list("library").annotate(rows=Count("pk")))
    libraries = [
        {"library": str(pk), "name": name, "rows": counts.get(pk, 0)}
        for pk, name in Library.objects.values_list("pk", "name")
    ]
    stats = HashCacheStats(sum(counts.values()), libraries)
    scans = Operation.objects.filter(kind="scan", state=State.COMPLETED).order_by("-created_at", "id")
    columns = ("pk", "subject", "finished_at", "result__cache_hits", "result__cache_misses")
    columns += ("metrics__known_from_memory",)
    for pk, subject, finished_at, hits, misses, from_memory in scans.values_list(*columns).iterator(chunk_size=1000):
        if hits is None or misses is None:  # a scan of an earlier version
            continue
        stats.scan_count += 1
        stats.hits += hits
        stats.misses += misses
        in_memory = min(from_memory or 0, hits)
        stats.from_memory += in_memory
        if len(stats.scans) < scans_shown:
            when = finished_at.isoformat(timespec="seconds") if finished_at else ""
            stats.scans.append(ScanHits(str(pk), subject, when, hits, misses, in_memory, hit_rate(hits, misses)))
    stats.hit_rate = hit_rate(stats.hits, stats.misses)
    return stats


@dataclass(frozen=True, slots=True)
class LibraryHashes:
    """How many files of a library have known MD5s, and how well that served its last scans."""

    rows: int
    scan_count: int
    hits: int
    misses: int

    @property
    def hit_rate(self) -> float | None:
        """From 0 to 1; None before anything was looked up."""
        return hit_rate(self.hits, self.misses)


def library_hashes(library: Library) -> LibraryHashes:
    """Return it for the library's page: the last twenty finished scans, none before the first. One query."""
    of_it = HashCache.objects.filter(library=library).order_by().values("library")
    known = Coalesce(Subquery(of_it.annotate(rows=Count("pk")).values("rows")), 0)
    scans = Operation.objects.filter(active_key=library.scan_key, kind="scan", state=State.COMPLETED)
    columns = ("known", "result__cache_hits", "result__cache_misses")
    rows = list(scans.annotate(known=known).order_by("-created_at").values_list(*columns)[:SCANS_SHOWN])
    told = [(hits, misses) for _, hits, misses in rows if hits is not None and misses is not None]
    hits, misses = sum(hits for hits, _ in told), sum(misses for _, misses in told)
    return LibraryHashes(rows[0][0] if rows else 0, len(told), hits, misses)


def hit_rate(hits: int, misses: int) -> float | None:
    """Return hits as a part of all look-ups, from 0 to 1; None without any."""
    return round(hits / (hits + misses), 4) if hits + misses else None


def prune_hash_cache(*, progress: Progress = quietly) -> dict[str, int]:
    """Remove the rows of files that the catalog no longer has, or has as missing; return `rows`, `removed`, `left`.

    A row that a scan writes meanwhile stays. Memory holds one batch, each batch is a transaction of its own.
    """
    started_at = timezone.now()
    rows = removed = 0
    for batch in progress(_batches(), "Looking at known hashes, in five hundreds"):
        rows += len(batch)
        removed += _remove_stale(batch, started_at)
    return {"rows": rows, "removed": removed, "left": rows - removed}


def _batches() -> Iterator[list[HashCache]]:
    last = 0
    while batch := list(HashCache.objects.filter(pk__gt=last).order_by("pk")[:BATCH]):
        last = batch[-1].pk
        yield batch


def _remove_stale(batch: Iterable[HashCache], started_at: datetime) -> int:
    by_library: dict[Any, dict[tuple[str, str], int]] = {}
    for row in batch:
        directory, _, filename = row.path.rpartition("/")
        by_library.setdefault(row.library_id, {})[directory, filename] = row.pk
    stale: list[int] = []
    for library_id, places in by_library.items():
        photos = Photo.objects.filter(
            library=library_id,
            directory__in={directory for directory, _ in places},
            filename__in={filename for _, filename in places},
        ).exclude(state=Photo.State.MISSING)
        present = set(photos.values_list("directory", "filename"))
        stale += [pk for place, pk in places.items() if place not in present]
    count, _ = HashCache.objects.filter(pk__in=stale, cached_at__lt=started_at).delete()
    return count
