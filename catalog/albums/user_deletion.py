"""What becomes of albums, notes and files of a user who is deleted."""

from typing import Any

from django.db import transaction
from django.dispatch import receiver

from accounts.signals import user_is_leaving, waiting_work_of
from catalog.albums import media
from catalog.albums.shown import refresh
from catalog.albums.trash import forget_album
from catalog.models import Album, AlbumItem, AlbumMember, Media, Note


@receiver(waiting_work_of, dispatch_uid="albums of others")
def say_what_others_lose(sender: Any, user: Any, **_: Any) -> list[str]:
    """Return a sentence for each album of the user's that others see: it can be handed over before."""
    shared = Album.objects.filter(owner=user, trashed_at=None, memberships__isnull=False).distinct().order_by("title")
    lost = "is lost to its members: hand it over first if they shall keep it."
    return [f"The album “{album.title}” {lost}" for album in shared]


@receiver(user_is_leaving, dispatch_uid="forget albums")
def leave(sender: Any, user: Any, **_: Any) -> None:
    """Forget the user's albums, take their notes out of others' albums, and remove their files once that is committed."""
    for album in Album.objects.filter(owner=user):
        forget_album(album)
    AlbumItem.objects.filter(note__in=Note.objects.filter(owner=user)).delete()
    joined = list(AlbumMember.objects.filter(user=user).values_list("album", flat=True))
    AlbumMember.objects.filter(user=user).delete()
    Album.objects.filter(pk__in=joined).mark()
    for album_id in joined:
        refresh(album_id)
    names = [media.name_of(user.pk, md5) for md5 in Media.objects.filter(owner=user).values_list("md5", flat=True)]
    transaction.on_commit(lambda: media.remove(names))
