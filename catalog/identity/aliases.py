"""Follow a photo's content through the changes of its file: which MD5 an earlier one became, and which it was before."""

from collections.abc import Iterable, Iterator

from django.db.models import QuerySet
from django.utils import timezone

from catalog.models import Alias, Library

MOST_STEPS = 10_000
"""So many writes into one photo are followed; a cycle ends earlier."""


def note_aliases(library: Library, changes: Iterable[tuple[str, str]]) -> None:
    """Record for each (old MD5, new MD5) that the one content became the other. Call it in the re-keying transaction.

    The last word counts: content that is back (A -> B -> A) is no alias of anything any more.
    """
    became = {old: new for old, new in changes if old != new and old and new}
    _of(library).filter(old_md5__in=list(became.values())).delete()
    now = timezone.now()
    Alias.objects.bulk_create(
        [Alias(library=library, old_md5=old, new_md5=new, noted_at=now) for old, new in became.items()],
        update_conflicts=True,
        unique_fields=["library", "old_md5"],
        update_fields=["new_md5", "noted_at"],
    )


def current_md5(library: Library, photo_md5: str) -> str:
    """Return what became of the content: the end of its chain of aliases, itself without any. One query a step."""
    seen = {photo_md5}
    for _ in range(MOST_STEPS):
        following = _of(library).filter(old_md5=photo_md5).values_list("new_md5", flat=True).first()
        if following is None or following in seen:
            break
        photo_md5 = following
        seen.add(photo_md5)
    return photo_md5


def earlier_md5s(library: Library, photo_md5: str) -> set[str]:
    """Return all MD5s that the content had before, without its present one. One query for each generation."""
    found: set[str] = set()
    latest = {photo_md5}
    while latest and len(found) < MOST_STEPS:
        before = set(_of(library).filter(new_md5__in=latest).values_list("old_md5", flat=True))
        latest = before - found - {photo_md5}
        found |= latest
    return found


def alias_rows(library: Library) -> Iterator[tuple[str, str]]:
    """Yield (old MD5, new MD5) for a snapshot, in order of the old one."""
    yield from _of(library).order_by("old_md5").values_list("old_md5", "new_md5").iterator(chunk_size=2000)


def restore_aliases(library: Library, rows: Iterable[tuple[str, str]]) -> int:
    """Add the aliases of a snapshot that the catalog does not know; what it knows stays. Returns how many were added."""
    added = 0
    batch: list[Alias] = []
    known = set(_of(library).values_list("old_md5", flat=True))
    for old_md5, new_md5 in rows:
        if old_md5 in known or old_md5 == new_md5:
            continue
        known.add(old_md5)
        batch.append(Alias(library=library, old_md5=old_md5, new_md5=new_md5))
        if len(batch) == 500:
            added += len(Alias.objects.bulk_create(batch))
            batch = []
    return added + len(Alias.objects.bulk_create(batch))


def _of(library: Library) -> QuerySet[Alias]:
    return Alias.objects.filter(library=library)
