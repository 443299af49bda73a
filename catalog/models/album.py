"""Album, who else may see it, and what is in it; all apart from the libraries that the photos belong to."""

import uuid
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q

from changes.models import Numbered, NumberedQuerySet

from .library import Library, Membership
from .note import Note
from .photo import Photo


def album_item_id(album_id: uuid.UUID, target_type: str, target_id: uuid.UUID) -> uuid.UUID:
    """Return the id of an item: two devices that add the same thing to an album while offline add one item."""
    return uuid.uuid5(album_id, f"{target_type}:{target_id}")


class ByteOrderedField(models.CharField):  # type: ignore[type-arg]  # it takes none at run time
    """A text that the database compares byte by byte, whatever the language of its locale."""

    def db_parameters(self, connection: Any) -> Any:
        """Return the column's type and collation; SQLite compares bytes anyway."""
        parameters = super().db_parameters(connection)
        if connection.vendor == "postgresql":
            parameters["collation"] = "C"
        return parameters


class AlbumQuerySet(NumberedQuerySet["Album"]):
    """Reads that say who may see."""

    def visible_to(self, user: Any) -> Self:
        """The albums that `user` owns or is a member of, without those in the trash."""
        shared = AlbumMember.objects.filter(user=user).values("album")
        return self.filter(Q(owner=user) | Q(pk__in=shared), trashed_at=None)

    def trashed_for(self, user: Any) -> Self:
        """The albums in the trash that `user` would see otherwise."""
        shared = AlbumMember.objects.filter(user=user).values("album")
        return self.filter(Q(owner=user) | Q(pk__in=shared), trashed_at__isnull=False)

    def editable_by(self, user: Any) -> Self:
        """The albums whose items, title, cover and order `user` may change."""
        shared = AlbumMember.objects.filter(user=user, role=AlbumMember.Role.EDITOR).values("album")
        return self.filter(Q(owner=user) | Q(pk__in=shared), trashed_at=None)

    def in_trash_of(self, user: Any) -> Self:
        """The albums that `user` deleted and can restore."""
        return self.filter(owner=user, trashed_at__isnull=False)


class Album(Numbered):
    """Photos and notes of any library, in an order, for its owner and members; or, with `query`, what a saved search finds."""

    class Order(models.TextChoices):
        """How its items are shown."""

        MANUAL = "manual", "by hand"
        TAKEN_ASC = "taken_asc", "by date, oldest first"
        TAKEN_DESC = "taken_desc", "by date, newest first"
        ADDED = "added", "as they were added"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="albums")
    title = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    cover = models.ForeignKey(
        Photo,
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
        help_text="Empty, or not (any more) a photo of the album: its first photo.",
    )
    order = models.CharField(max_length=10, choices=Order, default=Order.MANUAL)
    query = models.JSONField(
        null=True, blank=True, help_text='A saved search, {"q": "beach rome"}: then it has no items.'
    )
    allows_originals = models.BooleanField(default=False, help_text="Members may download the files themselves.")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now_add=True, help_text="When somebody last changed its own fields.")
    trashed_at = models.DateTimeField(null=True, blank=True)

    members = models.ManyToManyField(settings.AUTH_USER_MODEL, through="AlbumMember", related_name="+")
    objects = AlbumQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        ordering = ["-created_at", "id"]
        indexes = [
            models.Index(fields=["owner", "-created_at", "id"], name="album_of_owner"),
            models.Index(fields=["trashed_at"], condition=Q(trashed_at__isnull=False), name="album_in_trash"),
        ]

    def __str__(self) -> str:
        return f"album {self.pk}"  # the title is its people's alone; the admin shows this text


class AlbumMember(models.Model):
    """`user` may see (viewer) or also change (editor) what is in `album`."""

    class Role(models.TextChoices):
        """What a member may do."""

        VIEWER = "viewer"
        EDITOR = "editor"

    album = models.ForeignKey(Album, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    role = models.CharField(max_length=10, choices=Role, default=Role.VIEWER)
    added_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["album_id", "user_id"]
        constraints = [models.UniqueConstraint(fields=["album", "user"], name="one_album_membership_per_user")]

    def __str__(self) -> str:
        return f"{self.user} in {self.album} ({self.role})"


class AlbumItemQuerySet(NumberedQuerySet["AlbumItem"]):
    """Reads that say who may see."""

    def live(self) -> Self:
        """Those that nobody removed."""
        return self.filter(trashed_at=None)

    def shown_to(self, user: Any, *, trashed: bool = False) -> Self:
        """Those that `user`, who may see their album, sees in it: see `granted`; photos of one's own libraries always.

        With `trashed`: those that were removed, and would be seen.
        """
        own = Q(photo__library__in=Library.objects.visible_to(user).values("pk"))
        rows = self.filter(trashed_at__isnull=False) if trashed else self.live()
        return rows.filter(_is_there() & (own | _is_granted()))

    def granted(self) -> Self:
        """Those that all members may see while they are there: what the album's owner, or who added it, may share.

        That is decided with each request: who may no longer edit a library, or left the album, shares nothing there.
        """
        return self.live().filter(_is_granted())


class AlbumItem(Numbered):
    """A photo or note in an album. One that was removed stays for 30 days, so that it can come back to its place.

    `photo` has no constraint: a photo may be deleted for good, and an item that waits for its photo shows nothing.
    """

    class TargetType(models.TextChoices):
        """What it shows."""

        PHOTO = "photo"
        NOTE = "note"

    id = models.UUIDField(primary_key=True, editable=False)
    album = models.ForeignKey(Album, on_delete=models.CASCADE, related_name="items", db_index=False)
    target_type = models.CharField(max_length=10, choices=TargetType)
    photo = models.ForeignKey(
        Photo, null=True, blank=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="album_items"
    )
    note = models.ForeignKey(
        Note, null=True, blank=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="album_items"
    )
    position = ByteOrderedField(max_length=200, help_text="A fractional key (catalog.albums.positions).")
    added_at = models.DateTimeField()
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    trashed_at = models.DateTimeField(null=True, blank=True)

    objects = AlbumItemQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        ordering = ["album_id", "position", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(target_type="photo", photo__isnull=False, note=None)
                | Q(target_type="note", note__isnull=False, photo=None),
                name="album_item_has_its_target",
            ),
        ]
        indexes = [
            models.Index(fields=["album", "position", "id"], name="album_item_by_position"),
            models.Index(fields=["album", "version"], name="album_item_by_version"),
            models.Index(fields=["trashed_at"], condition=Q(trashed_at__isnull=False), name="album_item_in_trash"),
        ]

    def __str__(self) -> str:
        return f"{self.target_type} in {self.album_id}"

    @property
    def target_id(self) -> uuid.UUID:
        """The id of the photo or note."""
        target = self.photo_id if self.target_type == self.TargetType.PHOTO else self.note_id
        assert target is not None  # the constraint
        return target


def _is_there() -> Q:
    """It can be shown at all: the photo has a picture and is not in the trash, neither is the note."""
    return Q(photo__is_shown=True) | Q(note__owner__isnull=False, note__trashed_at=None)


def _is_granted() -> Q:
    editors = Membership.objects.filter(library=OuterRef("photo__library"), role=Membership.Role.EDITOR)
    by_owner = Q(photo__library__owner=F("album__owner")) | Q(Exists(editors.filter(user=OuterRef("album__owner"))))
    by_adder = Q(photo__library__owner=F("added_by")) | Q(Exists(editors.filter(user=OuterRef("added_by"))))
    own_note = Q(note__owner=F("added_by"))
    return by_owner | ((by_adder | own_note) & _adder_is_in_album())


def _adder_is_in_album() -> Q:
    present = AlbumMember.objects.filter(album=OuterRef("album"), user=OuterRef("added_by"))
    return Q(album__owner=F("added_by")) | Q(Exists(present))
