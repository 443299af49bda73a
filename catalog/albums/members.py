"""Who else may see or change an album."""

from typing import Any
from uuid import UUID

from django.db import transaction

from catalog.albums.albums import held_of_owner
from catalog.albums.refusals import Refused, not_found
from catalog.albums.shown import refresh
from catalog.albums.smart import refuse_if_smart
from catalog.models import Album, AlbumMember
from changes import scopes
from operations.database_conflicts import retried_on_conflict

MOST_MEMBERS = 200


@retried_on_conflict
def set_member(user: Any, album_id: UUID, member: Any, role: str) -> AlbumMember:
    """Let `member` see the album of `user` (viewer), or also change what is in it (editor). Raises Refused."""
    if role not in AlbumMember.Role.values:
        raise Refused(
            "invalid", f"A member is one of {', '.join(AlbumMember.Role.values)}. Nothing was changed.", field="role"
        )
    with transaction.atomic():
        album = _held(user, album_id)
        refuse_if_smart(album)
        if member.pk == album.owner_id:
            raise Refused(
                "invalid", "The owner of an album needs no membership. Nothing was changed.", field="username"
            )
        others = AlbumMember.objects.filter(album=album).exclude(user=member)
        if others.count() >= MOST_MEMBERS:
            raise Refused("too_many", f"An album has {MOST_MEMBERS} members at most. Nothing was changed.")
        membership, is_new = AlbumMember.objects.update_or_create(album=album, user=member, defaults={"role": role})
        Album.objects.filter(pk=album.pk).mark()
        if is_new:
            scopes.begin_for(_scope(album), [member])
            refresh(album.pk)  # what they had added before they left is theirs to share again
    return membership


@retried_on_conflict
def remove_member(user: Any, album_id: UUID, member: Any) -> bool:
    """Take the membership away, as the album's owner or as the member; return whether there was one.

    With the member's next request the album is gone for them. What they added stays in the album, and is shown to others
    only if its owner may share it.
    """
    with transaction.atomic():
        if member.pk != user.pk:
            album = _held(user, album_id)
        else:
            found = Album.objects.visible_to(user).filter(pk=album_id).first()
            if found is None:
                raise not_found("album")
            album = found
        removed, _ = AlbumMember.objects.filter(album=album, user=member).delete()
        if removed:
            Album.objects.filter(pk=album.pk).mark()
            scopes.end_for(_scope(album), [member])
            refresh(album.pk)
    return bool(removed)


def _held(user: Any, album_id: UUID) -> Album:
    album = held_of_owner(user, album_id)
    if album.trashed_at is not None:
        raise Refused("conflict", "This album is in the trash: restore it first. Nothing was changed.")
    return album


def _scope(album: Album) -> str:
    return scopes.scope_name("album", album.pk)
