"""What was deleted more than 30 days ago goes for good: albums, their items, notes, drafts. For the schedule."""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import transaction

from catalog.albums import attachments
from catalog.models import Album, AlbumItem, Attachment, Draft, Note
from changes import scopes
from operations import clock
from operations.database_conflicts import retried_on_conflict

KEPT_FOR = timedelta(days=30)
BATCH = 500


def delete_what_is_due(now: datetime | None = None) -> int:
    """Delete for good what lies in the trash for 30 days of being there; return how many things.

    While the clock is suspect nothing is deleted; give `now` where the time is known. Each batch is a transaction.
    """
    if now is None and clock.is_suspect():
        return 0
    before = clock.time_ago(KEPT_FOR, now)
    return sum(_all(delete, before) for delete in (_albums, _items, _notes, _drafts))


def forget_album(album: Album) -> None:
    """Delete an album for good, with its items; its members' devices are told that it ended. Call it in a transaction."""
    scope = scopes.scope_name("album", album.pk)
    people = [album.owner_id, *album.memberships.values_list("user", flat=True)]
    items = AlbumItem.objects.filter(album=album)
    items._raw_delete(items.db)  # the scope ends with all that was in it: none needs a tombstone
    album.delete()
    scopes.end(scope, people)


def _all(delete: Callable[[datetime], int], before: datetime) -> int:
    deleted = 0
    while some := delete(before):
        deleted += some
    return deleted


@retried_on_conflict
@transaction.atomic
def _albums(before: datetime) -> int:
    due = Album.objects.select_for_update(of=("self",)).filter(trashed_at__lte=before).order_by("pk")
    albums = list(due[:1])  # each may have many items
    for album in albums:
        forget_album(album)
    return len(albums)


@retried_on_conflict
@transaction.atomic
def _items(before: datetime) -> int:
    due = AlbumItem.objects.select_for_update(of=("self",)).filter(trashed_at__lte=before).order_by("pk")[:BATCH]
    keys = list(due.values_list("pk", flat=True))
    AlbumItem.objects.filter(pk__in=keys).delete()
    return len(keys)


@retried_on_conflict
@transaction.atomic
def _notes(before: datetime) -> int:
    due = Note.objects.select_for_update(of=("self",)).filter(trashed_at__lte=before).order_by("pk")[:BATCH]
    keys = list(due.values_list("pk", flat=True))
    held = list(Attachment.objects.filter(note__in=keys, media__isnull=False).values_list("media", flat=True))
    AlbumItem.objects.filter(note__in=keys).delete()
    Attachment.objects.filter(note__in=keys).delete()
    Note.objects.filter(pk__in=keys).delete()
    attachments.mark_use(held)
    return len(keys)


@retried_on_conflict
@transaction.atomic
def _drafts(before: datetime) -> int:
    due = Draft.objects.select_for_update(of=("self",)).filter(trashed_at__lte=before).order_by("pk")[:BATCH]
    keys = list(due.values_list("pk", flat=True))
    held = list(Attachment.objects.filter(draft__in=keys, media__isnull=False).values_list("media", flat=True))
    Attachment.objects.filter(draft__in=keys).delete()
    Draft.objects.filter(pk__in=keys).delete()
    attachments.mark_use(held)
    return len(keys)
