"""Routes of sync."""

from django.urls import path

from . import events, pull, push, status

urlpatterns = [
    path("info/", pull.InfoView.as_view(), name="sync-info"),
    path("push/", push.Push.as_view(), name="sync-push"),
    path("changes/", pull.Changes.as_view(), name="sync-changes"),
    path("digest/", pull.Digest.as_view(), name="sync-digest"),
    path("events/", events.Events.as_view(), name="sync-events"),
    path("status/", status.Status.as_view(), name="sync-status"),
    path("conflicts/", status.ConflictList.as_view(), name="sync-conflicts"),
    path("conflicts/<uuid:conflict_id>/decide/", status.DecideConflict.as_view(), name="sync-conflict-decide"),
]
