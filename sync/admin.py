"""Sync in the admin: to be looked at. What people wrote is not shown there."""

from django.contrib import admin

from photolala.web.admin import FactsAdmin

from .models import Conflict, DeviceState, PulledScope, PushedMutation


@admin.register(PushedMutation)
class PushedMutationAdmin(FactsAdmin):
    """What devices pushed, and what became of it."""

    list_display = ["pushed_at", "device", "mid", "kind", "target"]
    list_filter = ["kind"]
    list_select_related = ["device"]
    search_fields = ["=target", "=device__id", "device__user__username"]


@admin.register(DeviceState)
class DeviceStateAdmin(FactsAdmin):
    """How far devices are."""

    list_display = ["device", "epoch", "acked_through", "last_push_at"]
    list_select_related = ["device"]
    search_fields = ["=device__id", "device__name", "device__user__username"]


@admin.register(PulledScope)
class PulledScopeAdmin(FactsAdmin):
    """Up to where devices have pulled."""

    list_display = ["device", "scope", "version", "pulled_at"]
    list_select_related = ["device"]
    search_fields = ["scope", "=device__id", "device__user__username"]


@admin.register(Conflict)
class ConflictAdmin(FactsAdmin):
    """That there are conflicts, of what and whose."""

    exclude = ["mine", "theirs"]
    list_display = ["made_at", "user", "kind", "field", "resolver", "state", "decision", "decided_at"]
    list_filter = ["state", "kind", "resolver"]
    list_select_related = ["user"]
    search_fields = ["=object_id", "user__username"]
