"""The catalog's share of the schedule."""

import logging
from uuid import UUID

from django.conf import settings

from catalog.albums import media as media_store
from catalog.albums import media_uploads
from catalog.albums import trash as albums_trash
from catalog.cache import resume
from catalog.cache.hashes import prune_hash_cache
from catalog.cache.objects import CacheUnavailable
from catalog.cache.prune import prune_cache
from catalog.files import queue, trash_empty
from catalog.importing import cleanup, requests, upload_sweep
from catalog.scanning import helpers, schedule
from catalog.words import indexing
from photolala.celery import app

logger = logging.getLogger(__name__)
MOST_BATCHES = 1_000


@app.task(name="catalog.tasks.write_what_is_due", ignore_result=True)
def write_what_is_due() -> int:
    """Start writers where something waits for its time. Returns how many. Safe to run at any time."""
    return queue.start_all_due()


@app.task(name="catalog.tasks.keep_quota", ignore_result=True)
def keep_quota() -> int:
    """Bring the cache below its quota, as `cache prune` does. Returns how many objects went."""
    try:
        pruned = prune_cache(settings.CACHE_QUOTA_BYTES)
    except CacheUnavailable as error:
        logger.warning("The cache was not brought below its quota: %s", error)
        return 0
    return sum(shard.removed for shard in pruned.shards.values())


@app.task(name="catalog.tasks.prune_hashes", ignore_result=True)
def prune_hashes() -> int:
    """Remove the hashes of files that are gone, as `hashcache prune` does. Returns how many."""
    return prune_hash_cache()["removed"]


@app.task(name="catalog.tasks.scan_what_is_due", ignore_result=True)
def scan_what_is_due() -> int:
    """Start the scans for which it is time. Returns how many. Safe to run at any time."""
    return schedule.start_due_scans()


@app.task(name="catalog.tasks.import_what_waits", ignore_result=True)
def import_what_waits() -> int:
    """Take in what was sent whole, and start importers where something waits. Returns how many. Safe to run at any time."""
    upload_sweep.take_in_whole()
    return requests.start_all_waiting()


@app.task(name="catalog.tasks.forget_old_uploads", ignore_result=True)
def forget_old_uploads() -> int:
    """Bring rows and bytes of uploads into agreement, and remove what nobody went on with. Returns how many were removed."""
    return upload_sweep.tidy() + cleanup.forget_old_uploads() + media_uploads.forget_old()


@app.task(name="catalog.tasks.empty_trash", ignore_result=True)
def empty_trash() -> int:
    """Start deleting what has been in the trash for long enough. Returns in how many libraries."""
    return trash_empty.empty_what_is_due()


@app.task(name="catalog.tasks.empty_trash_of_albums", ignore_result=True)
def empty_trash_of_albums() -> int:
    """Delete for good what was deleted 30 days ago of albums and notes, and files that nothing holds. Returns how many."""
    return albums_trash.delete_what_is_due() + media_store.remove_unused()


@app.task(name="catalog.tasks.index_words", ignore_result=True)
def index_words() -> int:
    """Index the words of what changed. Returns of how many photos, albums and notes. Safe to run at any time."""
    return indexing.catch_up(MOST_BATCHES)


@app.task(name="catalog.tasks.go_on", ignore_result=True)
def go_on() -> int:
    """Resume what stopped because the cache was away. Returns how many operations. Safe to run at any time."""
    return resume.resume_what_waits_for_the_cache()


@app.task(name="catalog.tasks.assist_scan", ignore_result=True)
def assist_scan(operation_id: str, token: int, zone: str) -> int:
    """Read photos for a scan that another worker leads. Returns how many. Safe to deliver any number of times."""
    return helpers.run_helper(UUID(operation_id), token, zone)
