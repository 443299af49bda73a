"""Users and devices in the admin."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from knox.models import AuthToken

from photolala.web.admin import LargeTableAdmin

from .models import Device, User
from .signals import waiting_work_of

admin.site.site_header = admin.site.site_title = "Photolala administration"


@admin.register(User)
class PhotolalaUserAdmin(UserAdmin):  # type: ignore[type-arg]  # no generic at run time
    """Django's own, with what is wanted to find somebody."""

    list_display = ["username", "email", "first_name", "last_name", "is_staff", "is_active", "last_login"]
    show_full_result_count = False
    fieldsets = (*(UserAdmin.fieldsets or ()), ("Photolala", {"fields": ("quota_bytes",)}))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Say what goes without loading a million photos to name them."""
        kept = "libraries (no photo file is touched), favourites, devices, operations and exports"
        named: list[Any] = []
        for user in objs:
            named.append(f"{user}, with their {kept}")
            answers = waiting_work_of.send(sender=User, user=user)
            lines = [line for _, lines in answers for line in lines or ()]
            if lines:
                named.append(lines)
        return named, {"users": len(objs)}, set(), []

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Delete each user through `User.delete`, which hands over their work."""
        for user in queryset:
            user.delete()


@admin.register(Device)
class DeviceAdmin(LargeTableAdmin):
    """To be looked at and revoked; deleting one makes its token worthless."""

    list_display = ["name", "user", "created_at", "last_seen_at"]
    list_select_related = ["user"]
    search_fields = ["name", "user__username"]
    fields = ["name", "user", "created_at", "last_seen_at"]
    readonly_fields = ["name", "user", "created_at", "last_seen_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A device comes by signing in."""
        return False

    def delete_model(self, request: HttpRequest, obj: Device) -> None:
        """Delete the token, and the device with it."""
        AuthToken.objects.filter(pk=obj.token_id).delete()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Device]) -> None:
        """Delete the tokens, and the devices with them."""
        AuthToken.objects.filter(device__in=queryset).delete()

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Name the devices; that their tokens go too needs no permission of its own."""
        return [str(device) for device in objs], {"devices": len(objs)}, set(), []
