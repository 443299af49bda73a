"""Albums, their items, notes and drafts as devices, backups and the digest know them: keys, scopes, verbs."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from catalog.albums import albums, drafts, items, notes
from catalog.models import Album, AlbumItem, AlbumMember, Draft, Note
from changes.types import Field, Kind, register
from photolala.web.parameters import utc_text

_LIVE = Q(trashed_at=None)


@dataclass(frozen=True)
class Verbs:
    """The verbs of a type. What is in the trash comes back, with the fields that are given, when it is created again."""

    module: Any
    model: type[Any]

    def create(self, user: Any, id: UUID, fields: Mapping[str, Any]) -> None:
        """Make it, or bring it back from the trash. What is there already stays as it is. Raises Refused."""
        made = self.module.create(user, id, fields)
        is_item = self.model is AlbumItem  # of which `create` brings back what was removed
        if not is_item and made.trashed_at is not None:
            self.module.restore(user, id)
            self.module.patch(user, id, fields)

    def patch(self, user: Any, id: UUID, fields: Mapping[str, Any]) -> None:
        """Change these fields. Raises Refused."""
        self.module.patch(user, id, fields)

    def delete(self, user: Any, id: UUID) -> None:
        """Move it to the trash. Raises Refused."""
        self.module.delete(user, id)

    def restore(self, user: Any, id: UUID) -> None:
        """Bring it back from the trash as it was. Raises Refused."""
        if self.module is items:
            items.bring_back(user, id)
        else:
            self.module.restore(user, id)


def album_json(rows: Sequence[Album], scope: str = "") -> list[dict[str, Any]]:
    """Return albums as devices and backups have them. One query for the members of all."""
    members: dict[UUID, list[dict[str, str]]] = defaultdict(list)
    found = AlbumMember.objects.filter(album__in=[row.pk for row in rows]).order_by("user__username")
    for album_id, username, role in found.values_list("album", "user__username", "role"):
        members[album_id].append({"username": username, "role": role})
    return [
        {
            "title": row.title,
            "description": row.description,
            "cover": _text(row.cover_id),
            "order": row.order,
            "query": row.query,
            "allowsOriginals": row.allows_originals,
            "owner": row.owner.get_username(),
            "members": members[row.pk],
            "createdAt": utc_text(row.created_at),
            "updatedAt": utc_text(row.updated_at),
        }
        for row in rows
    ]


def item_json(rows: Sequence[AlbumItem], scope: str = "") -> list[dict[str, Any]]:
    """Return album items as devices and backups have them. No query."""
    return [
        {
            "albumId": str(row.album_id),
            "targetType": row.target_type,
            "targetId": str(row.target_id),
            "position": row.position,
            "addedAt": utc_text(row.added_at),
            "addedBy": row.added_by.get_username() if row.added_by else None,
        }
        for row in rows
    ]


def note_json(rows: Sequence[Note], scope: str = "") -> list[dict[str, Any]]:
    """Return notes as devices and backups have them. No query."""
    return [
        {
            "type": row.type,
            "content": row.content,
            "caption": row.caption,
            "attachments": row.attachments,
            "notedAt": moment_text(row.noted_at, row.noted_offset_minutes),
            "place": row.place,
            "createdAt": utc_text(row.created_at),
            "updatedAt": utc_text(row.updated_at),
            "owner": row.owner.get_username(),
        }
        for row in rows
    ]


def draft_json(rows: Sequence[Draft], scope: str = "") -> list[dict[str, Any]]:
    """Return drafts as devices and backups have them. No query."""
    return [
        {
            "blocks": row.blocks,
            "albums": row.albums,
            "createdAt": utc_text(row.created_at),
            "updatedAt": utc_text(row.updated_at),
            "owner": row.owner.get_username(),
        }
        for row in rows
    ]


def moment_text(moment: datetime, offset_minutes: int) -> str:
    """Return a moment as RFC 3339 with the offset of the clock on the wall."""
    local = moment.astimezone(timezone(timedelta(minutes=offset_minutes)))
    return local.isoformat().replace("+00:00", "Z") if offset_minutes == 0 else local.isoformat()


def _text(key: UUID | None) -> str | None:
    return str(key) if key else None


def _with(*relations: str) -> Callable[[QuerySet[Any]], QuerySet[Any]]:
    return lambda rows: rows.select_related(*relations)


def _read_only(*names: str) -> tuple[Field, ...]:
    return tuple(Field(name, writable=False) for name in names)


ALBUM = register(
    Kind(
        name="album",
        model=Album,
        scope="album",
        scope_column="id",
        fields=(
            *(Field(name) for name in albums.READERS),
            *_read_only("owner", "members", "createdAt", "updatedAt"),
        ),
        parents=(),
        data=album_json,
        marks=frozenset(
            "title description cover order query allows_originals owner updated_at trashed_at".split()  # noqa: SIM905
        ),
        verbs=Verbs(albums, Album),
        live=_LIVE,
        select=_with("owner"),
    )
)
NOTE = register(
    Kind(
        name="note",
        model=Note,
        scope="user",
        scope_column="owner_id",
        fields=(
            Field("content", "keep_both"),
            *(Field(name) for name in notes.READERS if name != "content"),
            *_read_only("createdAt", "updatedAt", "owner"),
        ),
        parents=(),
        data=note_json,
        marks=frozenset(
            {"type", "content", "caption", "attachments", "noted_at", "noted_offset_minutes", "place", "owner"}
            | {"updated_at", "trashed_at"}
        ),
        verbs=Verbs(notes, Note),
        live=_LIVE,
        select=_with("owner"),
        shown_in=frozenset({"album"}),
    )
)
ITEM = register(
    Kind(
        name="albumItem",
        model=AlbumItem,
        scope="album",
        scope_column="album_id",
        fields=(
            Field("position"),
            *(Field(name, "matching_base") for name in ("albumId", "targetType", "targetId")),
            *_read_only("addedAt", "addedBy"),
        ),
        parents=("album", "photo", "note"),
        data=item_json,
        marks=frozenset({"album", "photo", "note", "position", "added_at", "added_by", "trashed_at"}),
        verbs=Verbs(items, AlbumItem),
        live=_LIVE,
        select=_with("added_by"),
    )
)
DRAFT = register(
    Kind(
        name="draft",
        model=Draft,
        scope="user",
        scope_column="owner_id",
        fields=(Field("blocks", "keep_both"), Field("albums"), *_read_only("createdAt", "updatedAt", "owner")),
        parents=(),
        data=draft_json,
        marks=frozenset({"blocks", "albums", "owner", "updated_at", "trashed_at"}),
        verbs=Verbs(drafts, Draft),
        live=_LIVE,
        select=_with("owner"),
    )
)
