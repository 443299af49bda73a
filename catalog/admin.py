"""Libraries, photos, favourites, snapshots and the hash cache in the admin."""

import re
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from catalog.libraries.forget import forget_library
from catalog.libraries.members import remove_member, set_member
from catalog.libraries.settings import SETTINGS, SettingRefused, check_settings
from catalog.libraries.settings import change as change_settings
from catalog.libraries.transfer import check_transfer, transfer
from catalog.libraries.waiting import waiting_in
from catalog.roots.folders import LibraryRefused
from catalog.scanning.requests import start_scan
from catalog.words import indexing, lookup
from catalog.words.folding import fold
from operations.running import AlreadyActive
from photolala.web.admin import FactsAdmin, LargeTableAdmin, PathsForSuperusers

from .models import Album, Draft, Favourite, HashCache, Library, Media, Membership, Note, Photo, SearchKind, Snapshot

LIBRARY_FACTS = [
    "source",
    "root",
    "photo_count",
    "problem_count",
    "missing_count",
    "size_bytes",
    "created_at",
    "scanned_at",
    "revision",
    "snapshot_md5",
    "warning",
]
_MD5 = re.compile(r"[0-9a-f]{32}")


class LibraryForm(forms.ModelForm):  # type: ignore[type-arg]  # no generic at run time
    """What an administrator may change of a library, within what its page allows."""

    def clean(self) -> dict[str, Any]:
        """Refuse what the verbs would refuse."""
        cleaned: dict[str, Any] = super().clean() or {}
        try:
            check_settings(self.instance, {name: cleaned[name] for name in self.changed_data if name in SETTINGS})
        except SettingRefused as refused:
            self.add_error(refused.name, str(refused))
        except KeyError:
            return cleaned  # a field is refused already
        if "owner" in self.changed_data and "owner" in cleaned:
            try:
                check_transfer(self.instance, cleaned["owner"])
            except LibraryRefused as refused:
                self.add_error("owner", str(refused))
        return cleaned


class MembershipInline(admin.TabularInline):  # type: ignore[type-arg]  # no generic at run time
    """Who else may see it."""

    model = Membership
    raw_id_fields = ["user"]
    extra = 0


@admin.register(Library)
class LibraryAdmin(PathsForSuperusers, LargeTableAdmin):
    """Settings may be changed; roots and figures are facts. A library is added where its folder is checked: on its page."""

    form = LibraryForm
    hidden_from_others = ("root", "warning")
    list_display = ["name", "owner", "root", "photo_count", "problem_count", "missing_count", "scanned_at"]
    list_select_related = ["owner"]
    search_fields = ["name", "root", "owner__username"]
    raw_id_fields = ["owner"]
    fields = ["name", "owner", "ratings", "time_zone", *LIBRARY_FACTS]
    readonly_fields = LIBRARY_FACTS
    inlines = [MembershipInline]
    actions = ["scan"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """The page checks the folder; a form here would not."""
        return False

    @admin.action(description="Scan", permissions=["change"])
    def scan(self, request: HttpRequest, queryset: QuerySet[Library]) -> None:
        """Start a scan of each, in its owner's name."""
        for library in queryset.select_related("owner"):
            try:
                start_scan(library, library.owner)
            except AlreadyActive as running:
                self.message_user(request, f"{library}: {running}", messages.WARNING)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Say what is forgotten without loading a million photos to name them."""
        named: list[Any] = []
        for library in objs:
            named.append(f"{library}: {library.photo_count:,} catalogued photos (no file is touched)")
            waiting = waiting_in(library)
            if waiting.count:
                named.append([f"Lost with it: {waiting.sentence}"])
        return named, {"libraries": len(objs)}, set(), []

    def save_model(self, request: HttpRequest, obj: Library, form: Any, change: bool) -> None:
        """Change settings and owner as the page and the commands do."""
        library = Library.objects.select_related("owner").get(pk=obj.pk)
        wanted = {name: form.cleaned_data[name] for name in form.changed_data if name in SETTINGS}
        change_settings(library, **wanted)
        if "owner" in form.changed_data:
            before = library.owner
            transfer(library, obj.owner)
            self.message_user(
                request,
                f"{obj.owner} owns {obj.name} now: its photos' ratings are shown as their stars. {before} is an editor of it.",
            )

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Let members in and out as the page does: what they leave behind is finished."""
        formset.save(commit=False)
        for membership in formset.deleted_objects:
            remove_member(membership.library, membership.user)
        for membership in (*formset.new_objects, *(changed for changed, _ in formset.changed_objects)):
            set_member(membership.library, membership.user, membership.role)

    def delete_model(self, request: HttpRequest, obj: Library) -> None:
        """Forget it."""
        forget_library(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Library]) -> None:
        """Forget each."""
        for library in queryset:
            forget_library(library)


@admin.register(Photo)
class PhotoAdmin(FactsAdmin):
    """All photos; found by id, MD5 or exact file name, never by scanning the table's texts."""

    list_display = ["filename", "directory", "library", "state", "media_type", "size_bytes", "taken_local"]
    list_filter = ["state"]
    list_select_related = ["library"]
    search_fields = ["id"]  # shows the box; get_search_results does the work
    search_help_text = "A photo's id, MD5 or exact file name."
    raw_id_fields = ["library"]
    ordering = ["pk"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Photo], search_term: str
    ) -> tuple[QuerySet[Photo], bool]:
        """Find by what an index knows: id, MD5, file name; all exact, so that a million rows are not compared."""
        words = search_term.strip()
        if not words:
            return queryset, False
        # Every index of photos begins with the library: naming them all lets it be used.
        named = queryset.filter(library__in=list(Library.objects.values_list("pk", flat=True)))
        if _MD5.fullmatch(words.lower()):
            return named.filter(photo_md5=words.lower()), False
        try:
            return queryset.filter(pk=UUID(words)), False
        except ValueError:
            folded = tuple(fold(words))
        if not folded:
            return named.filter(filename=words), False
        indexing.catch_up_before_a_search()
        like_it = lookup.found(SearchKind.PHOTO, lookup.Phrase(folded, whole=True, marks=(indexing.PLAIN,)))
        return queryset.filter(pk__in=like_it.values("object_id"), filename=words), False


@admin.register(Favourite)
class FavouriteAdmin(FactsAdmin):
    """Who likes what."""

    list_display = ["user", "photo", "rating", "created_at"]
    list_select_related = ["user", "photo"]
    search_fields = ["user__username", "=photo__id"]
    raw_id_fields = ["user", "photo"]
    ordering = ["-pk"]


@admin.register(Snapshot)
class SnapshotAdmin(FactsAdmin):
    """The history of published catalogs."""

    list_display = ["md5", "library", "entry_count", "size_bytes", "published_at", "in_cache", "in_root"]
    list_select_related = ["library"]
    search_fields = ["=md5", "library__name"]
    raw_id_fields = ["library"]


@admin.register(HashCache)
class HashCacheAdmin(FactsAdmin):
    """Known MD5s of files."""

    list_display = ["path", "library", "photo_md5", "size_bytes", "cached_at"]
    list_select_related = ["library"]
    search_fields = ["=photo_md5"]
    search_help_text = "A photo MD5."
    raw_id_fields = ["library"]
    ordering = ["pk"]


class ContentAdmin(FactsAdmin):
    """What people write: that it is there, and its size; what it says only for those with the right `see_content`."""

    content: tuple[str, ...] = ()

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> Any:
        """Leave the content out."""
        return () if request.user.has_perm("catalog.see_content") else self.content


@admin.register(Album)
class AlbumAdmin(ContentAdmin):
    """Albums; people change them on their pages."""

    list_display = ["id", "owner", "is_saved_search", "created_at", "trashed_at"]
    list_select_related = ["owner"]
    search_fields = ["=id", "owner__username"]
    raw_id_fields = ["owner", "cover"]
    content = ("title", "description", "cover", "query")
    ordering = ["-created_at", "pk"]

    @admin.display(boolean=True, description="saved search")
    def is_saved_search(self, album: Album) -> bool:
        """Say that it is one, not for what it searches."""
        return album.query is not None


@admin.register(Note)
class NoteAdmin(ContentAdmin):
    """Notes."""

    list_display = ["id", "owner", "type", "created_at", "trashed_at"]
    list_select_related = ["owner"]
    search_fields = ["=id", "owner__username"]
    raw_id_fields = ["owner"]
    content = ("content", "caption", "attachments", "place", "noted_at", "noted_offset_minutes", "noted_local")
    ordering = ["-created_at", "pk"]


@admin.register(Draft)
class DraftAdmin(ContentAdmin):
    """Drafts."""

    list_display = ["id", "owner", "created_at", "updated_at", "trashed_at"]
    list_select_related = ["owner"]
    search_fields = ["=id", "owner__username"]
    raw_id_fields = ["owner"]
    content = ("blocks", "albums")
    ordering = ["-created_at", "pk"]


@admin.register(Media)
class MediaAdmin(FactsAdmin):
    """Files of the media store: whose, and how large."""

    list_display = ["md5", "owner", "media_type", "size_bytes", "added_at", "unused_since"]
    list_select_related = ["owner"]
    search_fields = ["=md5", "owner__username"]
    raw_id_fields = ["owner"]
    ordering = ["-pk"]
