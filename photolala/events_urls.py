"""The routes of the events process."""

from django.urls import path, re_path

from catalog.api.events_stream import nothing, stream

urlpatterns = [path("api/v1/events/", stream), re_path("", nothing)]
handler500 = "catalog.api.events_stream.failed"
