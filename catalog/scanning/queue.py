"""The digest's queue: claim rows, renew, release."""

import uuid
from datetime import timedelta

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from catalog.entries.row_locks import hold_rows_of
from catalog.entries.rows import Claimed
from catalog.entries.sql import PHOTO_TABLE, parameter
from catalog.models import Library, Photo
from catalog.models.photo import PhotoQuerySet
from operations.models import Operation

CLAIM_LENGTH = timedelta(minutes=10)


def claim_prefix(operation: Operation) -> str:
    """Return what the claims of an operation's present run begin with; those of its leader are just that."""
    return f"{operation.pk}:{operation.token}:"


def claim_digests(library: Library, claimed_for: str, limit: int, length: timedelta = CLAIM_LENGTH) -> list[Claimed]:
    """Claim up to `limit` photos that lack their digest, newest first; the same run gets none of them twice.

    `claimed_for` begins with `claim_prefix`. Rows that an earlier run held (another prefix) are free at once: a library has
    one scan at a time, and the earlier one's fencing number is old. Rows that another worker of the same run holds are
    free when its claim, of `length` unless renewed, runs out.
    """
    now = timezone.now()
    prefix = claimed_for[: claimed_for.rindex(":") + 1]
    lock = " FOR UPDATE SKIP LOCKED" if connection.features.has_select_for_update_skip_locked else ""
    sql = (
        # Chosen once, and then claimed: PostgreSQL may run a subquery again for every row, and pass what is locked by now.
        f"WITH due AS MATERIALIZED (SELECT id FROM {PHOTO_TABLE} WHERE library_id = %s AND needs_digest "  # noqa: S608
        "AND (claimed_until IS NULL OR substr(claimed_for, 1, %s) <> %s "
        "OR (claimed_for <> %s AND (claimed_until < %s OR claimed_until > %s))) "
        f"ORDER BY taken_local DESC, id LIMIT {int(limit)}{lock}) "
        f"UPDATE {PHOTO_TABLE} SET claim_token = claim_token + 1, claimed_for = %s, claimed_until = %s "
        "WHERE id IN (SELECT id FROM due) "
        "RETURNING id, claim_token, directory, filename, size_bytes, mtime_ns, media_type, sidecars"
    )
    when = Photo._meta.get_field("claimed_until")
    parameters = [
        parameter("library", library.pk),
        len(prefix),
        prefix,
        claimed_for,
        when.get_db_prep_save(now, connection),
        when.get_db_prep_save(now + 2 * max(length, CLAIM_LENGTH), connection),
        claimed_for,
        when.get_db_prep_save(now + length, connection),
    ]
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows = cursor.fetchall()
    return [Claimed(row[0] if isinstance(row[0], uuid.UUID) else uuid.UUID(row[0]), *row[1:]) for row in rows]


def unclaimed(photos: PhotoQuerySet, claimed_for: str) -> PhotoQuerySet:
    """Return those of `photos` that `claim_digests` would give, `claimed_for` apart."""
    prefix = claimed_for[: claimed_for.rindex(":") + 1]
    now = timezone.now()
    # Further ahead than any claim: the clock was set back meanwhile.
    is_old = Q(claimed_until__isnull=True) | Q(claimed_until__lt=now) | Q(claimed_until__gt=now + 2 * CLAIM_LENGTH)
    return photos.filter(is_old | ~Q(claimed_for__startswith=prefix))


def renew_claims(library: Library, claimed_for: str, length: timedelta = CLAIM_LENGTH) -> None:
    """Hold for longer what is claimed and not yet written."""
    waiting = Photo.objects.filter(library=library).undigested()
    held = waiting.filter(claimed_for=claimed_for, claimed_until__isnull=False)
    with transaction.atomic():
        # Those that are being written just now are passed over, so that nobody waits for anybody.
        keys = list(held.select_for_update(skip_locked=True).order_by("pk").values_list("pk", flat=True))
        held.filter(pk__in=keys).update(claimed_until=timezone.now() + length)


def release_claims(library: Library, claimed_for: str) -> None:
    """Give back what was claimed and not written, when a run ends early."""
    waiting = Photo.objects.filter(library=library).undigested().filter(claimed_for=claimed_for)
    with transaction.atomic():
        hold_rows_of([waiting])
        waiting.update(claimed_until=None)
