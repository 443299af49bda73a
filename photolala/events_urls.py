"""The routes of the events process."""

from django.urls import path, re_path

from catalog.api.events_stream import nothing, stream
from sync.api.events_stream import stream as sync_stream

urlpatterns = [path("api/v1/events/", stream), path("api/v1/sync/events/", sync_stream), re_path("", nothing)]
handler500 = "catalog.api.events_stream.failed"
