"""`hashcache stats|prune`: how well the hash cache serves, and the removal of rows whose files are gone."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from catalog.cache.hashes import HashCacheStats, hash_cache_stats, prune_hash_cache
from operations.progress import CommandProgress, quietly
from operations.templatetags.figures import counted, percent


class Command(BaseCommand):
    """Shows how well the hash cache serves, or removes what it knows of files that are gone."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare `stats` and `prune`, each with --json."""
        actions = parser.add_subparsers(dest="action", required=True)
        stats = actions.add_parser("stats", help="Rows, and how many files each scan knew already.")
        prune = actions.add_parser("prune", help="Remove rows of files that the catalog no longer has.")
        for action in (stats, prune):
            action.add_argument("--json", action="store_true", help="Print one JSON object last, and nothing else.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it and print the result; exits 0."""
        as_json = options["json"]
        if options["action"] == "stats":
            stats = hash_cache_stats()
            self.stdout.write(json.dumps(stats.as_json(), ensure_ascii=False) if as_json else describe(stats))
            return
        result = prune_hash_cache(progress=quietly if as_json else CommandProgress(self))
        if as_json:
            self.stdout.write(json.dumps(result))
        else:
            gone = counted(result["removed"], "row")
            self.stdout.write(f"Removed {gone} of files that are gone; {result['left']:,} are left.")


def describe(stats: HashCacheStats) -> str:
    """Return the statistics as lines for people."""
    lines = [f"{counted(stats.rows, 'row')} in {counted(len(stats.libraries), 'library,libraries')}"]
    lines += [f"  {library['name']}: {library['rows']:,}" for library in stats.libraries]
    if not stats.scan_count:
        return "\n".join([*lines, "No scan has finished yet."])
    lines.append(
        f"Hit rate of {counted(stats.scan_count, 'scan')}: {percent(stats.hit_rate) or 'no files'} "
        f"({stats.hits:,} known, {stats.from_memory:,} of them from memory, {stats.misses:,} read). The latest:"
    )
    lines += [
        f"  {scan.finished_at}  {scan.library}: {percent(scan.hit_rate) or 'no files'} "
        f"({scan.hits:,} known, {scan.from_memory:,} from memory, {scan.misses:,} read)"
        for scan in stats.scans
    ]
    return "\n".join(lines)
