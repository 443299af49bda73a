"""The files that notes and drafts hold: their paths in a backup, and copying each content once."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Min, Q, QuerySet

from accounts.models import User
from catalog.models import Media
from exports.bundle.layout import media_path


class HeldMedia(NamedTuple):
    """One content that notes or drafts hold, where it goes below `media/`, and whose media stores have it."""

    md5: str
    path: str
    media_type: str
    size_bytes: int


class MediaPaths:
    """Says which files belong to a backup, and where each goes: that of the earliest thing that holds it."""

    def __init__(self, user: User | None, using: str) -> None:
        self.user, self.using = user, using

    def of(self, attachments: Iterable[dict[str, Any]]) -> dict[str, str]:
        """Return the paths of the files among these attachments, by MD5. One query."""
        md5s = {held["media_md5"] for held in attachments if "media_md5" in held}
        return {one.md5: one.path for one in self._held(Media.objects.filter(md5__in=md5s))} if md5s else {}

    def all(self) -> Iterator[HeldMedia]:
        """Yield every file that the backup has, one for each content, by path."""
        yield from self._held(Media.objects.all())

    def _held(self, rows: QuerySet[Media]) -> Iterator[HeldMedia]:
        if self.user is not None:
            rows = rows.filter(owner=self.user)
        found = (
            rows.using(self.using)
            .order_by("md5")
            .values("md5")
            .annotate(
                noted_at=Min("attached_to__note__noted_at", filter=Q(attached_to__note__trashed_at=None)),
                drafted_at=Min("attached_to__draft__created_at", filter=Q(attached_to__draft__trashed_at=None)),
                one_type=Min("media_type"),
                one_size=Min("size_bytes"),
            )
            .values_list("md5", "noted_at", "drafted_at", "one_type", "one_size")
        )
        for md5, noted_at, drafted_at, media_type, size_bytes in found.iterator(chunk_size=1000):
            moments: list[datetime] = [moment for moment in (noted_at, drafted_at) if moment is not None]
            if moments:
                yield HeldMedia(md5, media_path(min(moments), md5, media_type), media_type, size_bytes)


def owners_of(md5: str, user: User | None) -> Iterator[Media]:
    """Yield who has this content in their media store: the user, or anybody if it is a backup of the whole server."""
    rows = Media.objects.filter(md5=md5).order_by("pk")
    yield from rows if user is None else rows.filter(owner=user)
