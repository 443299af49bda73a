"""Bring the cache below its quota and clear away what killed writers left; safe beside scans, servers and itself."""

import shutil
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

from catalog.cache.objects import ABANDONED_AFTER_SECONDS, BATCH, SHARDS, CacheObjects, cache_objects
from catalog.cache.quota import KEEP_FRACTION, MOST_AT_ONCE, choose
from catalog.cache.working import WORK, is_in_use
from operations.progress import Progress, quietly

MOST_PROBLEMS = 20


@dataclass(slots=True)
class ShardPruned:
    """What a shard held before, and what went."""

    objects: int = 0
    size_bytes: int = 0
    removed: int = 0
    removed_bytes: int = 0


@dataclass(slots=True)
class Pruned:
    """What was done, shard by shard; `problems` are sentences, at most 20 of the `failed` ones."""

    quota_bytes: int
    shards: dict[str, ShardPruned] = field(default_factory=dict)
    temporary_removed: int = 0
    failed: int = 0
    problems: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return what `cache prune --json` prints."""
        return asdict(self)


def prune_cache(quota_bytes: int, *, progress: Progress = quietly, most_at_once: int = MOST_AT_ONCE) -> Pruned:
    """Bring each shard that is over `quota_bytes` down to 80 % of it, least recently used first, previews before all.

    Thumbnails and metadata may go: they are made again when asked for. Snapshots are never touched. What somebody uses
    meanwhile stays. Raises CacheUnavailable if the cache cannot be listed; what was removed by then stays removed.
    """
    store = cache_objects()
    pruned = Pruned(quota_bytes)
    pruned.temporary_removed = store.remove_abandoned() + _remove_working_folders()
    for shard in SHARDS:
        pruned.shards[shard] = _prune_shard(store, shard, pruned, progress, most_at_once)
    return pruned


def _prune_shard(store: CacheObjects, shard: str, pruned: Pruned, progress: Progress, most: int) -> ShardPruned:
    done = ShardPruned()
    keep_bytes = int(pruned.quota_bytes * KEEP_FRACTION)
    limit_bytes = pruned.quota_bytes
    while True:
        objects = progress(store.walk(shard), f"Looking at the shard {shard}")
        choice = choose(objects, limit_bytes=limit_bytes, keep_bytes=keep_bytes, most=most)
        if limit_bytes == pruned.quota_bytes and not done.removed:
            done.objects, done.size_bytes = choice.count, choice.size_bytes
        removed_before = done.removed
        batches = (choice.chosen[start : start + BATCH] for start in range(0, len(choice.chosen), BATCH))
        for batch in progress(batches, f"Removing from the shard {shard}, in thousands"):
            removed = store.remove(batch)
            done.removed += removed.count
            done.removed_bytes += removed.size_bytes
            pruned.failed += len(removed.problems)
            pruned.problems += removed.problems[: MOST_PROBLEMS - len(pruned.problems)]
        if choice.is_complete or done.removed == removed_before:
            return done
        limit_bytes = keep_bytes


def _remove_working_folders() -> int:
    """Remove the folders in which what was killed a day or more ago worked; return how many."""
    working = Path(settings.DATA_DIR) / "working"
    oldest = time.time() - ABANDONED_AFTER_SECONDS
    removed = 0
    for folder in working.iterdir() if working.is_dir() else ():
        if not folder.name.startswith(WORK):
            continue
        try:
            is_old = folder.is_dir() and not folder.is_symlink() and folder.stat().st_mtime < oldest
        except FileNotFoundError:  # its scan has just finished
            continue
        if is_old and not is_in_use(folder):  # whatever the clock says
            shutil.rmtree(folder, ignore_errors=True)
            removed += not folder.exists()
    return removed
