"""Albums themselves: make, change, delete, restore, hand over."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from catalog.albums import smart, values
from catalog.albums.refusals import Refused, forbidden, id_taken, not_found
from catalog.albums.shown import refresh
from catalog.models import Album, AlbumMember
from changes import fields as field_states
from operations.database_conflicts import retried_on_conflict

LONGEST_TITLE = 200
LONGEST_DESCRIPTION = 10_000

READERS: dict[str, values.Reader] = {
    "title": values.text(LONGEST_TITLE, least=1),
    "description": values.text(LONGEST_DESCRIPTION),
    "cover": values.key_or_none,
    "order": values.choice(list(Album.Order.values)),
    "query": smart.read_query,
    "allowsOriginals": values.flag,
}
COLUMNS = {"cover": "cover_id", "allowsOriginals": "allows_originals"}
"""Of fields whose column has another name."""


@retried_on_conflict
def create(user: Any, album_id: UUID, fields: Mapping[str, Any]) -> Album:
    """Make an album of `user` with the id that the client chose. Sent again, it changes nothing. Raises Refused."""
    given = values.read(fields, READERS)
    if "title" not in given or given.get("cover") is not None:
        is_there = Album.objects.filter(pk=album_id, owner=user).exists()
        if "title" not in given and not is_there:
            raise values.invalid("title", "An album needs a title.")
        if given.get("cover") is not None and not is_there:
            raise values.invalid("cover", "A new album has no photo yet that could be its cover.")
    try:
        with transaction.atomic():
            album, made = Album.objects.get_or_create(pk=album_id, defaults={"owner": user, **_columns(given)})
            if made:
                field_states.touched("album", [album.pk], given, user=user.pk)
    except IntegrityError:
        raise id_taken() from None
    if not made and album.owner_id != user.pk:
        raise id_taken()
    return album


@retried_on_conflict
def patch(user: Any, album_id: UUID, fields: Mapping[str, Any]) -> Album:
    """Change some fields of an album that `user` may edit; who may download originals, its owner alone. Raises Refused."""
    given = values.read(fields, READERS)
    with transaction.atomic():
        album = held_for_editing(user, album_id)
        if "allowsOriginals" in given and album.owner_id != user.pk:
            raise forbidden("Only the owner of an album decides whether members may download the original files.")
        cover = given.get("cover")
        if cover is not None and not album.items.live().filter(photo=cover).exists():
            raise Refused("missing_ref", "The cover must be a photo of the album. Nothing was changed.", field="cover")
        if given.get("query") is not None and album.query is None:
            smart.refuse_if_it_holds_something(album)
        changed = {name: value for name, value in given.items() if getattr(album, COLUMNS.get(name, name)) != value}
        if changed:
            _write(album, **_columns(changed))
            field_states.touched("album", [album.pk], changed, user=user.pk)
    return album


@retried_on_conflict
def delete(user: Any, album_id: UUID) -> Album:
    """Move an album of one's own to the trash, where it can be restored for 30 days; its members no longer see it."""
    with transaction.atomic():
        album = held_of_owner(user, album_id)
        if album.trashed_at is None:
            _write(album, trashed_at=timezone.now())
    return album


@retried_on_conflict
def restore(user: Any, album_id: UUID) -> Album:
    """Bring an album of one's own back from the trash, with its items and members."""
    with transaction.atomic():
        album = held_of_owner(user, album_id)
        if album.trashed_at is not None:
            _write(album, trashed_at=None)
    return album


@retried_on_conflict
def hand_over(user: Any, album_id: UUID, new_owner: Any) -> Album:
    """Let a member own the album from now on; who owned it is an editor then. Raises Refused."""
    with transaction.atomic():
        album = held_of_owner(user, album_id)
        if album.trashed_at is not None:
            raise Refused("conflict", "This album is in the trash: restore it first. Nothing was changed.")
        if new_owner.pk == user.pk:
            return album
        removed, _ = AlbumMember.objects.filter(album=album, user=new_owner).delete()
        if not removed:
            raise Refused(
                "missing_ref", "An album is handed over to one of its members. Nothing was changed.", field="username"
            )
        AlbumMember.objects.create(album=album, user=user, role=AlbumMember.Role.EDITOR)
        _write(album, owner=new_owner)
        refresh(album.pk)
    return album


def visible(user: Any, album_id: UUID) -> Album:
    """Return the album if `user` may see it. Raises Refused("not_found"). One query."""
    album = Album.objects.visible_to(user).filter(pk=album_id).first()
    if album is None:
        raise not_found("album")
    return album


def held_for_editing(user: Any, album_id: UUID) -> Album:
    """Return the album, locked until the transaction ends. Raises Refused if `user` may not change what is in it."""
    album = _locked(user, album_id)
    if album is None or not Album.objects.visible_to(user).filter(pk=album_id).exists():
        raise not_found("album")
    if not Album.objects.editable_by(user).filter(pk=album_id).exists():
        raise forbidden("You may look at this album, but not change it: ask its owner to make you an editor.")
    return album


def held_or_refused(user: Any, album_id: UUID) -> None:
    """Raise Refused unless `user` owns the album, which may be in the trash."""
    with transaction.atomic():
        held_of_owner(user, album_id)


def held_of_owner(user: Any, album_id: UUID) -> Album:
    """Return the album, also one in the trash, locked until the transaction ends. Raises Refused unless `user` owns it."""
    album = _locked(user, album_id)
    if album is not None and album.owner_id == user.pk:
        return album
    if album is None or not Album.objects.visible_to(user).filter(pk=album_id).exists():
        raise not_found("album")
    raise forbidden("Only the owner of an album shares it, deletes it, or hands it over.")


def _locked(user: Any, album_id: UUID) -> Album | None:
    """Return an album that is the user's or shown to them, locked. Whether others exist shows by nothing: they hold up nobody."""
    mine = Q(owner=user) | Q(pk__in=Album.objects.visible_to(user).values("pk"))
    return Album.objects.select_for_update(of=("self",)).filter(mine, pk=album_id).first()


def is_shared(album: Album) -> bool:
    """Return whether anybody but its owner sees the album. One query."""
    return AlbumMember.objects.filter(album=album).exists()


def drop_cover(album: Album, photo_ids: set[UUID]) -> None:
    """Let the first photo be the cover again if the cover is one of `photo_ids`, which leave the album."""
    if album.cover_id in photo_ids:
        _write(album, cover_id=None)


def _columns(given: Mapping[str, Any]) -> dict[str, Any]:
    return {COLUMNS.get(name, name): value for name, value in given.items()}


def _write(album: Album, **changed: Any) -> None:
    changed["updated_at"] = timezone.now()
    for name, value in changed.items():
        setattr(album, name, value)
    Album.objects.filter(pk=album.pk).update(**changed)
