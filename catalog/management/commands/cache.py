"""`cache prune`: bring the cache below its quota and clear away what killed writers left."""

import json
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from catalog.cache.objects import CacheUnavailable
from catalog.cache.prune import Pruned, prune_cache
from operations.progress import CommandProgress, quietly
from operations.templatetags.figures import counted, file_size
from photolala.lib.sizes import parse_size


class Command(BaseCommand):
    """Prunes the cache: the least recently used objects of a shard that is over its quota go. No photo is touched."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare `prune` with --quota and --json."""
        actions = parser.add_subparsers(dest="action", required=True)
        prune = actions.add_parser("prune", help="Remove the least recently used objects of shards over their quota.")
        prune.add_argument("--quota", default="", metavar="SIZE", help="Such as 10GB; else PHOTOLALA_CACHE_QUOTA.")
        prune.add_argument("--json", action="store_true", help="Print one JSON object last, and nothing else.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Prune, print what went, and exit 0 (done), 1 (something could not be removed) or 2 (wrong usage)."""
        try:
            quota_bytes = parse_size(options["quota"]) if options["quota"] else settings.CACHE_QUOTA_BYTES
        except ValueError as error:
            raise CommandError(str(error), returncode=2) from None
        try:
            pruned = prune_cache(quota_bytes, progress=quietly if options["json"] else CommandProgress(self))
        except CacheUnavailable as error:
            raise CommandError(f"{error} What was removed until then stays removed; run it again.") from None
        self.stdout.write(json.dumps(pruned.as_json(), ensure_ascii=False) if options["json"] else describe(pruned))
        if pruned.failed:
            sys.exit(1)


def describe(pruned: Pruned) -> str:
    """Return what was done as lines for people."""
    lines = [
        f"{name}: {counted(shard.objects, 'object,objects')}, {file_size(shard.size_bytes)} of "
        f"{file_size(pruned.quota_bytes)}; "
        + (f"removed {shard.removed:,} ({file_size(shard.removed_bytes)})" if shard.removed else "nothing removed")
        for name, shard in pruned.shards.items()
        if shard.objects
    ]
    if pruned.temporary_removed:
        lines.append(
            f"Removed {counted(pruned.temporary_removed, 'unfinished file,unfinished files')} of killed writers."
        )
    if pruned.failed:
        lines += [f"{counted(pruned.failed, 'object')} could not be removed:", *pruned.problems]
    return "\n".join(lines) or "The cache is empty."
