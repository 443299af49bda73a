"""Exports and export destinations in the admin: to be looked at."""

from django.contrib import admin

from photolala.web.admin import FactsAdmin, PathsForSuperusers

from .models import Backup, BackupSchedule, Export, ExportDestination, ExportDownload, Restore


@admin.register(Export)
class ExportAdmin(PathsForSuperusers, FactsAdmin):
    """All exports of all people. They are deleted on their page, together with their files."""

    hidden_from_others = ("parent",)
    list_display = ["created_at", "library_name", "format", "user", "photo_count", "size_bytes", "completed_at"]
    list_filter = ["format", "include_media"]
    list_select_related = ["user"]
    search_fields = ["=id", "library_name", "user__username"]


@admin.register(ExportDestination)
class ExportDestinationAdmin(PathsForSuperusers, FactsAdmin):
    """All destinations. They are added where their folder is checked: on their page."""

    hidden_from_others = ("folder",)
    list_display = ["name", "folder", "owner", "template", "schedule", "created_at"]
    list_select_related = ["owner"]
    search_fields = ["name", "folder", "owner__username"]


@admin.register(ExportDownload)
class ExportDownloadAdmin(FactsAdmin):
    """Who downloaded what, and how far."""

    list_display = [
        "started_at",
        "export_name",
        "user",
        "address",
        "first_byte",
        "sent_bytes",
        "size_bytes",
        "ended_at",
    ]
    list_select_related = ["user"]
    search_fields = ["export_name", "user__username", "address"]
    date_hierarchy = "started_at"


@admin.register(Restore)
class RestoreAdmin(PathsForSuperusers, FactsAdmin):
    """Who restored which backup, and how many things; not what is in it."""

    hidden_from_others = ("source", "differences", "problems")
    list_display = ["created_at", "source_name", "user", "mode", "is_dry_run", "difference_count", "completed_at"]
    list_filter = ["mode", "is_dry_run"]
    list_select_related = ["user"]
    search_fields = ["=id", "user__username"]


@admin.register(Backup)
class BackupAdmin(PathsForSuperusers, FactsAdmin):
    """All backups of all people: that they are there, not what is in them."""

    hidden_from_others = ("parent",)
    list_display = ["created_at", "user", "scope", "size_bytes", "verified_at", "recipient", "is_scheduled", "problem"]
    list_filter = ["scope", "is_scheduled"]
    list_select_related = ["user"]
    search_fields = ["=id", "user__username"]


@admin.register(BackupSchedule)
class BackupScheduleAdmin(FactsAdmin):
    """Who has backups made, and how often. They are changed on the page of backups."""

    list_display = ["user", "scope", "every_days", "keep_daily", "keep_weekly", "keep_monthly", "started_at", "refusal"]
    list_select_related = ["user"]
    search_fields = ["user__username"]
