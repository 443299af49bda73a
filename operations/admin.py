"""Operations in the admin: to be looked at, cancelled and resumed."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from operations.running import AlreadyActive
from photolala.web.admin import FactsAdmin, PathsForSuperusers, may_change

from . import control
from .models import Operation


@admin.register(Operation)
class OperationAdmin(PathsForSuperusers, FactsAdmin):
    """All operations of all people."""

    hidden_from_others = ("error", "error_detail", "result", "params", "checkpoint", "metrics")
    list_display = ["created_at", "kind", "subject", "owner", "state", "phase", "done", "total", "finished_at"]
    list_filter = ["state", "kind"]
    list_select_related = ["owner"]
    search_fields = ["=id", "subject", "owner__username"]
    date_hierarchy = None
    actions = ["cancel", "resume"]

    def has_work_permission(self, request: HttpRequest) -> bool:
        """Who may only look must not stop other people's work."""
        return may_change(request, Operation)

    @admin.action(description="Cancel: they stop within their batch", permissions=["work"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Operation]) -> None:
        """Cancel each that has not ended."""
        for operation in queryset:
            try:
                control.cancel(operation)
            except control.NotPossible as reason:
                self.message_user(request, f"{operation}: {reason}", messages.WARNING)

    @admin.action(description="Resume: they go on from where they stood", permissions=["work"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Operation]) -> None:
        """Resume each that waits for it."""
        for operation in queryset:
            try:
                control.resume(operation)
            except (control.NotPossible, AlreadyActive) as reason:
                self.message_user(request, f"{operation}: {reason}", messages.WARNING)
